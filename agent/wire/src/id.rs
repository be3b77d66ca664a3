//! Identifiers. Each is a type of its own, so that one cannot be passed where another is meant,
//! and a value that exists has been checked.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest::Digest;

/// A text is not a valid identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {rule}")]
pub struct InvalidId {
    what: &'static str,
    rule: &'static str,
}

/// A record's id and idempotency key: a UUID version 7 (RFC 9562, section 5.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Uuid", into = "Uuid")]
pub struct RecordId(Uuid);

impl RecordId {
    /// Makes a fresh id whose first 48 bits are `now` in milliseconds.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness to give; nothing safe can be done then.
    #[must_use]
    pub fn make(now: Timestamp) -> Self {
        let mut random = [0; 10];
        SystemRandom::new()
            .fill(&mut random)
            .expect("the operating system gives randomness");
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The sixteen bytes of the UUID.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Reads the sixteen bytes that [`RecordId::as_bytes`] gave.
    ///
    /// # Errors
    ///
    /// When they are not a version 7 UUID.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, InvalidId> {
        Uuid::from_slice(bytes).map_err(|_| RECORD_RULE)?.try_into()
    }
}

const RECORD_RULE: InvalidId = InvalidId {
    what: "a record id",
    rule: "a version 7 UUID",
};

impl TryFrom<Uuid> for RecordId {
    type Error = InvalidId;

    fn try_from(uuid: Uuid) -> Result<Self, InvalidId> {
        if uuid.get_version_num() == 7 {
            Ok(Self(uuid))
        } else {
            Err(RECORD_RULE)
        }
    }
}

impl From<RecordId> for Uuid {
    fn from(id: RecordId) -> Self {
        id.0
    }
}

impl FromStr for RecordId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.parse::<Uuid>().map_err(|_| RECORD_RULE)?.try_into()
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else { Err(InvalidId { what: $what, rule: $rule }) }
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn is_slug(text: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    bytes.len() <= 40
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

text_id! {
    /// An app in the catalogue, such as `whatsapp`.
    AppId, "an app id", "1 to 40 of a-z, 0-9 and inner hyphens", is_slug
}
text_id! {
    /// A channel that the policy lets staff declare, such as `whatsapp` or `sms`.
    ChannelId, "a channel id", "1 to 40 of a-z, 0-9 and inner hyphens", is_slug
}
text_id! {
    /// A department, such as `hm-treasury`.
    DepartmentId, "a department id", "1 to 40 of a-z, 0-9 and inner hyphens", is_slug
}
text_id! {
    /// An enrolled handset: `h` and 32 hexadecimal digits, derived from its public key.
    HandsetId, "a handset id", "h followed by 32 lower-case hexadecimal digits", |text| {
        text.len() == 33
            && text.starts_with('h')
            && text.bytes().skip(1).all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    }
}

impl HandsetId {
    /// Derives the id from the DER of the key's `SubjectPublicKeyInfo`.
    ///
    /// Both sides compute it, so nobody can enrol under another handset's name: 128 bits of a
    /// SHA-256 leave no second key with the same id within reach.
    #[must_use]
    pub fn derive(spki_der: &[u8]) -> Self {
        let hex = Digest::of(spki_der).to_hex();
        Self(format!("h{}", &hex[..32]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_id_is_a_version_7_uuid_and_sorts_by_time() {
        let early = RecordId::make("2026-11-22T10:00:00Z".parse().unwrap());
        let late = RecordId::make("2026-11-22T10:00:01Z".parse().unwrap());
        assert!(early < late);
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!(RecordId::from_slice(early.as_bytes()), Ok(early));
        assert_eq!(Uuid::from(early).as_bytes(), early.as_bytes());
        assert!(
            "936da01f-9abd-4d9d-80c7-02af85c822a8"
                .parse::<RecordId>()
                .is_err(),
            "version 4"
        );
    }

    #[test]
    fn slugs_refuse_what_could_be_read_as_a_path_or_markup() {
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a b",
            "../a",
            "a\n",
            "<b>",
            &"a".repeat(41),
        ] {
            assert!(bad.parse::<AppId>().is_err(), "{bad:?}");
        }
        assert_eq!(
            "whatsapp-business".parse::<AppId>().unwrap().as_str(),
            "whatsapp-business"
        );
    }

    #[test]
    fn a_handset_id_comes_from_its_key() {
        let id = HandsetId::derive(b"key");
        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        assert_ne!(id, HandsetId::derive(b"other key"));
        assert!("h123".parse::<HandsetId>().is_err());
    }
}
