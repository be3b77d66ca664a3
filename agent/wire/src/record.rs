//! The record: what a handset signs, one by one, in order.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{HandsetId, RecordId};
use crate::posture::{Heartbeat, Inventory, InventoryChange, Status};
use crate::seal::Sealed;

/// The version of the record format that this crate writes.
pub const VERSION: u8 = 1;

/// The media type in the JWS header of a record (RFC 7515, section 4.1.9).
pub const TYP: &str = "candour-record+jws";

/// One of a handset's two chains. They have different endpoints, roles and retention
/// (invariant I9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Stream {
    /// Which catalogue apps are installed, and how the agent fares.
    Posture,
    /// What the holder declared.
    Records,
}

impl Stream {
    /// Both streams.
    pub const ALL: [Self; 2] = [Self::Posture, Self::Records];

    /// The stream's name in JSON, SQL and paths.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Posture => "posture",
            Self::Records => "records",
        }
    }
}

/// What a JWS of a record carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`].
    pub v: u8,
    /// The record's id and idempotency key.
    pub id: RecordId,
    /// Who signed it.
    pub handset: HandsetId,
    /// Place in the handset's chain of this stream, from 1, without gaps.
    pub seq: u64,
    /// Digest of the JWS before it in the chain; [`crate::chain::genesis`] for the first.
    pub prev: Digest,
    /// When it was made, by the handset's clock.
    pub created: Timestamp,
    /// Version of the policy in force when it was made; 0 before the first policy.
    pub policy: u64,
    /// What it says.
    #[serde(flatten)]
    pub body: Body,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "snake_case")]
pub enum Body {
    /// The whole list of catalogue apps.
    Inventory(Inventory),
    /// What changed since the last list.
    InventoryChange(InventoryChange),
    /// Nothing changed for a day.
    Heartbeat(Heartbeat),
    /// How the agent itself fares.
    Status(Status),
    /// Business messages, declared by the holder.
    Declaration(Declaration),
    /// A correction of an earlier declaration.
    Amendment(Amendment),
    /// The holder takes an earlier declaration back. The department decides what happens to it.
    Withdrawal(Withdrawal),
}

/// A record's kind, for tables and for the sealing context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "each is documented at `Body`")]
pub enum Kind {
    Inventory,
    InventoryChange,
    Heartbeat,
    Status,
    Declaration,
    Amendment,
    Withdrawal,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Inventory,
        Self::InventoryChange,
        Self::Heartbeat,
        Self::Status,
        Self::Declaration,
        Self::Amendment,
        Self::Withdrawal,
    ];

    /// The kind's name in JSON, SQL and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::InventoryChange => "inventory_change",
            Self::Heartbeat => "heartbeat",
            Self::Status => "status",
            Self::Declaration => "declaration",
            Self::Amendment => "amendment",
            Self::Withdrawal => "withdrawal",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The chain that records of this kind belong to.
    #[must_use]
    pub const fn stream(self) -> Stream {
        match self {
            Self::Inventory | Self::InventoryChange | Self::Heartbeat | Self::Status => {
                Stream::Posture
            }
            Self::Declaration | Self::Amendment | Self::Withdrawal => Stream::Records,
        }
    }
}

impl Body {
    /// What kind of record this is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Inventory(_) => Kind::Inventory,
            Self::InventoryChange(_) => Kind::InventoryChange,
            Self::Heartbeat(_) => Kind::Heartbeat,
            Self::Status(_) => Kind::Status,
            Self::Declaration(_) => Kind::Declaration,
            Self::Amendment(_) => Kind::Amendment,
            Self::Withdrawal(_) => Kind::Withdrawal,
        }
    }

    /// The sealed content and the files that a record of the records stream carries.
    #[must_use]
    pub fn sealed(&self) -> Option<(&Sealed, &[AttachmentRef])> {
        match self {
            Self::Declaration(Declaration {
                sealed,
                attachments,
            })
            | Self::Amendment(Amendment {
                sealed,
                attachments,
                ..
            }) => Some((sealed, attachments)),
            Self::Withdrawal(Withdrawal { sealed, .. }) => Some((sealed, &[])),
            _ => None,
        }
    }

    /// The earlier declaration that this record is about.
    #[must_use]
    pub const fn refers_to(&self) -> Option<RecordId> {
        match self {
            Self::Amendment(Amendment { amends, .. }) => Some(*amends),
            Self::Withdrawal(Withdrawal { withdraws, .. }) => Some(*withdraws),
            _ => None,
        }
    }
}

/// A declaration as the gateway sees it: nothing but a sealed box and the names of sealed files
/// (invariant I5). What is inside is [`crate::content::DeclarationContent`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declaration {
    /// The content, sealed to the department's records key.
    pub sealed: Sealed,
    /// The sealed files, which must have arrived first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentRef>,
}

/// A correction: the whole declaration as it should have been, in a record of its own. The first
/// stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// The declaration that is corrected.
    pub amends: RecordId,
    /// The corrected [`crate::content::DeclarationContent`], sealed.
    pub sealed: Sealed,
    /// The sealed files of the corrected declaration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentRef>,
}

/// The holder takes a declaration back, with a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// The declaration that is taken back.
    pub withdraws: RecordId,
    /// A [`crate::content::WithdrawalContent`], sealed.
    pub sealed: Sealed,
}

/// A sealed file, by the digest of its ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentRef {
    /// Digest of the ciphertext; its name at `PUT /v1/attachments/{sha256}`.
    pub sha256: Digest,
    /// Length of the ciphertext in bytes.
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(json: &str) -> Body {
        serde_json::from_str::<Record>(json).unwrap().body
    }

    #[test]
    fn a_body_tells_what_is_sealed_in_it_and_what_it_is_about() {
        let declaration = body(include_str!("../tests/fixtures/v1/declaration.json"));
        let amendment = body(include_str!("../tests/fixtures/v1/amendment.json"));
        let withdrawal = body(include_str!("../tests/fixtures/v1/withdrawal.json"));
        let heartbeat = body(include_str!("../tests/fixtures/v1/heartbeat.json"));
        let (Body::Declaration(declared), Body::Amendment(amended), Body::Withdrawal(withdrawn)) =
            (&declaration, &amendment, &withdrawal)
        else {
            panic!("each is of its kind");
        };
        let files = |of: &Body| of.sealed().map(|(_, files)| files.to_vec());
        assert_eq!(files(&declaration), Some(declared.attachments.clone()));
        assert_eq!(files(&amendment), Some(amended.attachments.clone()));
        assert_eq!(files(&withdrawal), Some(vec![]));
        assert_eq!(withdrawal.sealed().unwrap().0, &withdrawn.sealed);
        assert_eq!(heartbeat.sealed(), None);
        let about = [&declaration, &amendment, &withdrawal, &heartbeat].map(Body::refers_to);
        assert_eq!(
            about,
            [None, Some(amended.amends), Some(withdrawn.withdraws), None]
        );
    }

    #[test]
    fn a_kind_is_read_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::parse("no_kind"), None);
    }
}
