//! What is inside the sealed rows: JSON, version 1 of the store.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candour_wire::record::AttachmentRef;
use candour_wire::{Digest, RecordId};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Summary;
/// The plaintext of a row; wiped when dropped, since it may hold names.
pub(super) use crate::wiped::to_json as to_bytes;

/// A record that waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct WaitingRow {
    pub(super) seq: u64,
    pub(super) prev: Digest,
    pub(super) created: Timestamp,
    pub(super) policy: u64,
    pub(super) jws: String,
    pub(super) attachments: Vec<AttachmentRef>,
    pub(super) summary: Summary,
}

/// A record that was set aside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct QuarantineRow {
    pub(super) created: Timestamp,
    pub(super) policy: u64,
    pub(super) code: String,
    pub(super) detail: Option<String>,
    pub(super) at: Timestamp,
    pub(super) summary: Option<Summary>,
    pub(super) kept: Kept,
}

/// Which imported messages a record declares.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DeclaredRow {
    pub(super) at: Timestamp,
    /// The record that it corrects.
    pub(super) amends: Option<RecordId>,
    /// The origins one after the other, base64.
    pub(super) origins: String,
}

/// What is left of a record that was set aside.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kept {
    /// The signed record.
    Jws(String),
    /// The row as it stood in the outbox; it does not open.
    Damaged {
        /// Row key, base64.
        key: String,
        /// Value, base64.
        value: String,
    },
}

impl Kept {
    pub(super) fn damaged(key: &[u8], value: &[u8]) -> Self {
        Self::Damaged {
            key: STANDARD.encode(key),
            value: STANDARD.encode(value),
        }
    }
}

/// `None` where the bytes are not such a row.
pub(super) fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}
