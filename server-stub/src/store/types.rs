//! What goes into a [`super::Store`] and comes out of it.

use candour_wire::chain::Head;
use candour_wire::code::Refusal;
use candour_wire::limits::LONG_TEXT_MAX_CHARS;
use candour_wire::log::LeafSalt;
use candour_wire::record::{Kind, Record, Stream};
use candour_wire::{AppId, DepartmentId, Digest, HandsetId, RecordId};
use jiff::Timestamp;

/// A one-time enrolment token, by its digest; the token itself is never kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Digest of the token.
    pub hash: Digest,
    /// The department that the token enrols into.
    pub department: DepartmentId,
    /// What the device team calls the handset, such as an asset tag.
    pub label: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// From when it is refused.
    pub expires: Timestamp,
}

/// A key that asks to be enrolled with a token. The caller has checked that the key signed the
/// request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolRequest {
    /// Digest of the token.
    pub token: Digest,
    /// DER of the key's `SubjectPublicKeyInfo`; the caller has checked that it is P-256.
    pub spki: Vec<u8>,
    /// When it was asked.
    pub now: Timestamp,
}

/// An enrolled handset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handset {
    /// Derived from the key.
    pub id: HandsetId,
    /// The department of the token that enrolled it.
    pub department: DepartmentId,
    /// The token's label.
    pub label: Option<String>,
    /// When it was first enrolled.
    pub enrolled: Timestamp,
}

/// A certificate that was given to a handset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// Whose.
    pub handset: HandsetId,
    /// The serial number's bytes.
    pub serial: Vec<u8>,
    /// When it ends.
    pub not_after: Timestamp,
}

/// Why a person did something, in their words: not empty, at most
/// [`LONG_TEXT_MAX_CHARS`] characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

/// The text gives no reason, or is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reason is 1 to {LONG_TEXT_MAX_CHARS} characters")]
pub struct EmptyReason;

impl Reason {
    /// Takes a reason, without the space around it.
    ///
    /// # Errors
    ///
    /// When nothing is left or it is too long.
    pub fn new(text: &str) -> Result<Self, EmptyReason> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > LONG_TEXT_MAX_CHARS {
            return Err(EmptyReason);
        }
        Ok(Self(text.to_owned()))
    }

    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// That and why an enrolment was withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// What [`super::Store::revoke`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeOutcome {
    /// The enrolment is withdrawn now.
    Revoked,
    /// It had been before; the first reason stays.
    AlreadyRevoked,
    /// There is no such handset.
    Unknown,
}

/// What [`super::Store::reinstate`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReinstateOutcome {
    /// The handset may connect again.
    Reinstated,
    /// It was not revoked; nothing was noted.
    NotRevoked,
    /// There is no such handset.
    Unknown,
}

/// That and why a revoked handset was let back in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reinstatement {
    /// The revocation that was taken back.
    pub revocation: Revocation,
    /// When it was taken back.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A key that may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledKey {
    /// Digest of the DER of the `SubjectPublicKeyInfo`.
    pub spki: Digest,
    /// Whose key.
    pub handset: HandsetId,
    /// Its department.
    pub department: DepartmentId,
}

/// What changed in the set of enrolled keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentChanges {
    /// To be passed the next time.
    pub version: u64,
    /// Keys to add; some may be in the set already.
    pub enrolled: Vec<EnrolledKey>,
    /// Keys to remove, by the digest of the DER of the `SubjectPublicKeyInfo`.
    pub revoked: Vec<Digest>,
}

/// Which handsets to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandsetFilter {
    /// Only this department's.
    pub department: Option<DepartmentId>,
    /// Only those after this id: the last one of the page before.
    pub after: Option<HandsetId>,
    /// At most this many.
    pub limit: u32,
}

/// What is known of a handset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandsetRow {
    /// Id, department, label and enrolment.
    pub handset: Handset,
    /// DER of the key's `SubjectPublicKeyInfo`.
    pub spki: Vec<u8>,
    /// Set when the enrolment was withdrawn.
    pub revoked: Option<Revocation>,
    /// When the certificate issued last ends.
    pub certificate_not_after: Option<Timestamp>,
    /// When its last batch was taken.
    pub last_seen: Option<Timestamp>,
    /// When its list of apps was last sent or confirmed.
    pub posture_confirmed: Option<Timestamp>,
    /// The head of its posture chain.
    pub posture_head: Head,
    /// The head of its records chain.
    pub records_head: Head,
    /// How many times something was out of order.
    pub anomalies: u64,
    /// What it last said of itself.
    pub status: Option<ReportedStatus>,
}

/// A handset's last `status` record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedStatus {
    /// When it was received.
    pub received: Timestamp,
    /// What it says.
    pub status: candour_wire::posture::Status,
}

/// A kind of thing that was out of order with a handset's batches.
///
/// Repetitions are counted, not listed, so that a broken or hostile handset cannot fill the
/// store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// In which chain.
    pub stream: Stream,
    /// The stable code of the refusal, or `log_forked` for a `log_size` beyond the log's.
    pub code: String,
    /// How often.
    pub count: u64,
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
    /// Sequence number of the last record concerned, where one is known.
    pub last_seq: Option<u64>,
    /// Id of the last record concerned, where one is known.
    pub last_record: Option<RecordId>,
}

/// A record whose signature the caller has checked against the handset's enrolled key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The payload.
    pub record: Record,
    /// The compact JWS.
    pub jws: String,
    /// Digest of `jws`.
    pub digest: Digest,
}

impl Verified {
    /// Pairs a record with the JWS it was read from.
    #[must_use]
    pub fn new(record: Record, jws: String) -> Self {
        let digest = candour_wire::chain::link(&jws);
        Self {
            record,
            jws,
            digest,
        }
    }
}

/// One batch of one handset's one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Who sent it, from the verified connection.
    pub handset: HandsetId,
    /// Which chain.
    pub stream: Stream,
    /// The records in the order of the request; those that the caller refused stand as refusals.
    pub entries: Vec<Result<Verified, Refusal>>,
    /// [`candour_wire::api::BatchRequest::log_size`].
    pub log_size: u64,
    /// When it came, by the server's clock; receipts and the checkpoint carry it.
    pub received: Timestamp,
}

/// A piece of a sealed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Who sends it, from the verified connection.
    pub handset: HandsetId,
    /// Digest of the whole file.
    pub sha256: Digest,
    /// Length of the whole file in bytes.
    pub total: u64,
    /// Where the piece starts.
    pub offset: u64,
    /// At most [`candour_wire::limits::ATTACHMENT_PIECE_MAX_BYTES`].
    pub bytes: Vec<u8>,
    /// When it came.
    pub now: Timestamp,
}

/// A record as it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its id.
    pub id: RecordId,
    /// Who signed it.
    pub handset: HandsetId,
    /// DER of the `SubjectPublicKeyInfo` of the key that signed it.
    pub spki: Vec<u8>,
    /// The handset's department.
    pub department: DepartmentId,
    /// Which chain.
    pub stream: Stream,
    /// Its kind.
    pub kind: Kind,
    /// Place in the chain.
    pub seq: u64,
    /// When it was taken.
    pub received: Timestamp,
    /// Number of its leaf in the log.
    pub index: u64,
    /// Salt of its leaf.
    pub salt: LeafSalt,
    /// The compact JWS, with its content sealed.
    pub jws: String,
}

/// Someone read, or tried to read, a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// When.
    pub at: Timestamp,
    /// Who: an account name.
    pub who: String,
    /// What.
    pub action: AuditAction,
    /// Which record.
    pub record: RecordId,
    /// Why.
    pub reason: Reason,
}

/// What was done to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditAction {
    /// It was taken out to be unsealed and read.
    Open,
    /// So were its files.
    OpenWithAttachments,
}

impl AuditAction {
    /// The word in SQL, JSON and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::OpenWithAttachments => "open_with_attachments",
        }
    }

    /// The action of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Open, Self::OpenWithAttachments]
            .into_iter()
            .find(|action| action.as_str() == name)
    }
}

/// How many handsets of a department have an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPrevalence {
    /// Which department.
    pub department: DepartmentId,
    /// Which app.
    pub app: AppId,
    /// Handsets that have it.
    pub installed: u64,
    /// Handsets that do not.
    pub absent: u64,
    /// Handsets that cannot tell, or whose catalogue does not have the app yet.
    pub unknown: u64,
    /// Handsets that reported at all: the sum of the three.
    pub reporting: u64,
}

/// Numbers for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Times something was out of order, over all handsets.
    pub anomalies: u64,
    /// Leaves in the log.
    pub log_size: u64,
    /// Writes that wait.
    pub queued: u64,
}
