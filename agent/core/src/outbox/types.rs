//! What goes into the outbox and what it shows.

use candour_wire::chain::Head;
use candour_wire::log::{HashPath, LeafSalt};
use candour_wire::record::{AttachmentRef, Body, Kind};
use candour_wire::{Code, Digest, RecordId, Sensitive, limits};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::declaration::Origin;

/// How much may wait. Beyond it the holder is told; nothing is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Records that wait or are set aside. At ten a day, 10,000 is years: more is a fault.
    pub records: u64,
    /// Their bytes on disk. 256 MiB is what a phone can spare without anybody noticing.
    pub bytes: u64,
    /// How long the oldest record may wait before new declarations are refused. Ninety days
    /// without a sync needs a person; posture is exempt, since nobody would see the refusal.
    pub age: SignedDuration,
    /// Drafts that may be kept. Their bytes on disk are bounded as those of the records are.
    pub drafts: u64,
    /// Longest draft, in bytes: twice the longest content, since a draft's JSON escapes text.
    pub draft_bytes: usize,
    /// Bytes of sealed files that may wait. 1 GiB is ten of the largest.
    pub spool_bytes: u64,
    /// Bytes on disk of what is remembered of declared messages; the oldest are forgotten first,
    /// and offered again by their export. At some 60 bytes a message 16 MiB are more than 250,000
    /// messages, a hundred a day for seven years, and are read through in a fraction of a second.
    pub declared_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            records: 10_000,
            bytes: 256 << 20,
            age: SignedDuration::from_hours(90 * 24),
            drafts: 1_000,
            draft_bytes: 2 * limits::CONTENT_MAX_BYTES,
            spool_bytes: 1 << 30,
            declared_bytes: 16 << 20,
        }
    }
}

/// What a record is about, for the holder (invariant I8). It may hold names, so it is only ever
/// stored sealed, and it never leaves the handset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// What it says in a few words, such as `3 messages, WhatsApp, received`.
    pub what: Sensitive<String>,
    /// Why it is sent, such as `declared by you` or `the app list changed`.
    pub why: Sensitive<String>,
}

impl Summary {
    /// Keeps up to [`limits::SHORT_TEXT_MAX_CHARS`] characters of each text.
    #[must_use]
    pub fn new(what: &str, why: &str) -> Self {
        Self {
            what: shortened(what),
            why: shortened(why),
        }
    }
}

fn shortened(text: &str) -> Sensitive<String> {
    Sensitive::new(text.chars().take(limits::SHORT_TEXT_MAX_CHARS).collect())
}

/// A record that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// Its id. The caller makes it, since content is sealed to it beforehand.
    pub id: RecordId,
    /// When it was made.
    pub created: Timestamp,
    /// Version of the policy in force; 0 before the first.
    pub policy: u64,
    /// What it says.
    pub body: Body,
    /// What the holder is shown of it.
    pub summary: Summary,
    /// The imported messages that it declares.
    pub origins: Vec<Origin>,
}

/// Where an imported message was declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    /// The declaration or amendment.
    pub record: RecordId,
    /// When it was made, by the handset's clock.
    pub at: Timestamp,
}

/// A change that is made in the same commit as another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Also {
    /// The draft has become a record. Does nothing where there is none.
    DeleteDraft(RecordId),
    /// Sets a named value.
    PutValue(&'static str, Sensitive<Vec<u8>>),
    /// Removes a named value, if it is there.
    DeleteValue(&'static str),
}

/// A record that is ready to be sent, in its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its id.
    pub id: RecordId,
    /// Its place in the chain.
    pub seq: u64,
    /// Its kind.
    pub kind: Kind,
    /// When it was made.
    pub created: Timestamp,
    /// Policy under which it was made.
    pub policy: u64,
    /// The signed record.
    pub jws: String,
    /// The files that must arrive before it.
    pub attachments: Vec<AttachmentRef>,
    /// What it is about.
    pub summary: Summary,
}

/// A record that waits, as the holder sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its id.
    pub id: RecordId,
    /// Its kind.
    pub kind: Kind,
    /// When it was made, to the millisecond.
    pub created: Timestamp,
    /// Policy under which it was made.
    pub policy: u64,
    /// Length of the signed record, in bytes.
    pub size: u64,
    /// The files that it needs.
    pub attachments: Vec<AttachmentRef>,
    /// What it is about.
    pub summary: Summary,
}

/// Everything that waits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Queue {
    /// Records that can be read.
    pub waiting: Vec<Waiting>,
    /// Records that are there and cannot be read.
    pub damaged: Vec<(RecordId, Kind)>,
}

/// A record that is to be set aside, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its id.
    pub id: RecordId,
    /// The code, which this version need not know.
    pub code: String,
    /// More about it, never content.
    pub detail: Option<String>,
}

impl Refused {
    /// Refused on this side, by a code of ours.
    #[must_use]
    pub fn new(id: RecordId, code: Code) -> Self {
        Self {
            id,
            code: code.as_str().to_owned(),
            detail: None,
        }
    }
}

/// A record that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its id.
    pub id: RecordId,
    /// Its kind.
    pub kind: Kind,
    /// When it was made; `None` where that cannot be read.
    pub created: Option<Timestamp>,
    /// Policy under which it was made; 0 where that cannot be read.
    pub policy: u64,
    /// Why, as a stable code.
    pub code: String,
    /// More about it, never content.
    pub detail: Option<String>,
    /// When it was set aside; `None` where that cannot be read.
    pub at: Option<Timestamp>,
    /// What it is about; `None` where that cannot be read.
    pub summary: Option<Summary>,
    /// Whether [`Outbox::requeue`](super::Outbox::requeue) can send it again: it cannot where
    /// the stored bytes are damaged.
    pub can_requeue: bool,
}

/// A record that the department has, with the proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredReceipt {
    /// Which record.
    pub id: RecordId,
    /// Its kind.
    pub kind: Kind,
    /// Its place in the chain.
    pub seq: u64,
    /// When it was made.
    pub created: Timestamp,
    /// Policy under which it was made.
    pub policy: u64,
    /// Digest of the signed record.
    pub jws_sha256: Digest,
    /// Length of the signed record, in bytes.
    pub size: u64,
    /// When the department took it.
    pub received: Timestamp,
    /// Number of its leaf in the log.
    pub index: u64,
    /// Salt of its leaf.
    pub salt: LeafSalt,
    /// Audit path from the leaf to the checkpoint's root.
    pub path: HashPath,
    /// The signed checkpoint that the path leads to.
    pub checkpoint: String,
    /// What it is about.
    pub summary: Summary,
}

/// Receipts, newest record first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipts {
    /// Those that can be read.
    pub receipts: Vec<StoredReceipt>,
    /// Records whose receipts are there and cannot be read.
    pub damaged: Vec<RecordId>,
}

/// A declaration that is not declared yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDraft {
    /// Its id, which becomes the record's.
    pub id: RecordId,
    /// What was put; `None` where it cannot be read.
    pub content: Option<Sensitive<Vec<u8>>>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Posture records that wait.
    pub posture: u64,
    /// Declarations, amendments and withdrawals that wait.
    pub records: u64,
    /// Bytes on disk of both.
    pub bytes: u64,
    /// Records that were set aside.
    pub quarantined: u64,
    /// Drafts.
    pub drafts: u64,
    /// Rows that were records once, waiting or set aside: their keys are damaged, so that nobody
    /// can say which.
    pub unreadable: u64,
}

/// Where the server's chain of a stream stands, as far as this handset knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainState {
    /// The last record that has a receipt, or what the server named since.
    pub acknowledged: Head,
    /// Whether the waiting records may be signed anew to follow from there: not after local
    /// damage, until the server has said where it is, because it may hold a record whose reply
    /// was lost.
    pub anchored: bool,
}
