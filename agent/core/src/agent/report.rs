//! What the agent tells its holder.

use candour_wire::posture::{HandsetFacts, Inventory};
use candour_wire::record::Kind;
use candour_wire::{Code, DepartmentId, HandsetId, RecordId};
use jiff::Timestamp;
use serde::Serialize;

use crate::outbox::Summary;

/// What an enrolment brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Enrolment {
    /// Who this handset is from now on.
    pub handset: HandsetId,
    /// Whose it is.
    pub department: DepartmentId,
    /// Until when the certificate is valid; it renews itself.
    pub certificate_expires: Timestamp,
    /// Version of the policy that came along; `None` where it could not be fetched yet.
    pub policy: Option<u64>,
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scan {
    /// One answer for each app of the catalogue.
    pub inventory: Inventory,
    /// What was queued because of it; `None` where nothing changed.
    pub queued: Option<Kind>,
}

/// How the agent fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusReport {
    /// Version of Candour and what the handset is.
    pub handset_facts: HandsetFacts,
    /// Who this handset is; `None` before enrolment.
    pub handset: Option<HandsetId>,
    /// Whose it is, by configuration.
    pub department: DepartmentId,
    /// Until when the certificate is valid.
    pub certificate_expires: Option<Timestamp>,
    /// Version of the policy in force.
    pub policy: Option<u64>,
    /// Posture records that wait.
    pub pending_posture: u64,
    /// Declarations, amendments and withdrawals that wait.
    pub pending_records: u64,
    /// Bytes on disk of what waits.
    pub pending_bytes: u64,
    /// When the oldest waiting record was made.
    pub oldest_pending: Option<Timestamp>,
    /// Damaged stores that were set aside and that the holder has not dealt with: file names in
    /// the agent's home.
    pub set_aside_stores: Vec<String>,
    /// Records that were refused and wait for the holder.
    pub quarantined: u64,
    /// Declarations that are not declared yet.
    pub drafts: u64,
    /// When a sync last went through.
    pub last_success: Option<Timestamp>,
    /// When and why a sync last failed, where none went through since.
    pub last_failure: Option<Failure>,
    /// When the next sync is due by itself.
    pub next_sync: Option<Timestamp>,
    /// Everything that wants doing, most urgent first; empty when all is well.
    pub problems: Vec<Advice>,
}

/// When and why a sync failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// The stable code.
    pub code: String,
    /// More about it, never content.
    pub detail: Option<String>,
}

/// One thing that wants doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// The stable code.
    pub code: String,
    /// What happened.
    pub title: String,
    /// What to do.
    pub advice: String,
}

impl Advice {
    pub(crate) fn new(code: Code) -> Self {
        Self {
            code: code.as_str().to_owned(),
            title: code.title().to_owned(),
            advice: code.advice().to_owned(),
        }
    }
}

/// Where a record is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordState {
    /// Declared or made, and safe on this phone.
    Queued,
    /// The department has it, and the receipt was verified.
    Received,
    /// The server refused it; it waits for the holder.
    Quarantined,
}

/// A record that left this phone, or will (invariant I8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SentItem {
    /// Its id.
    pub id: RecordId,
    /// Its kind.
    pub kind: Kind,
    /// When it was made; `None` where that cannot be read any more.
    pub created: Option<Timestamp>,
    /// Where it is.
    pub state: RecordState,
    /// Policy under which it was made; 0 before the first.
    pub policy: u64,
    /// Length of the signed record in bytes; `None` where it was set aside.
    pub size: Option<u64>,
    /// What it says and why it is sent; `None` where that cannot be read any more.
    pub summary: Option<Summary>,
    /// Its place in the department's log.
    pub index: Option<u64>,
    /// When the department took it.
    pub received: Option<Timestamp>,
    /// Why it was set aside, or why what is kept of it cannot be read.
    pub refused: Option<Advice>,
}

/// Whether a receipt still proves that its record is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The record.
    pub id: RecordId,
    /// Its kind.
    pub kind: Kind,
    /// When it was made.
    pub created: Timestamp,
    /// When the department took it.
    pub received: Timestamp,
    /// Its place in the log.
    pub index: u64,
    /// Size of the log at the checkpoint that its receipt leads to.
    pub log_size: u64,
    /// What was found.
    pub finding: Finding,
}

/// What checking a receipt found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The receipt proves that the record is in the log, under a checkpoint that the log's key
    /// signed, and no other receipt and no given checkpoint contradicts it.
    Verified,
    /// The receipt's proof or its checkpoint's signature does not hold.
    Invalid,
    /// The receipt holds for itself, but it and another receipt, or the given checkpoint, cannot be
    /// of one log: a leaf has two values, or a smaller log was signed later. The log was rewritten
    /// or cut.
    Contradicted,
}
