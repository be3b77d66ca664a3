//! What can go wrong in the outbox, and the stable code for each.

use candour_wire::{Code, RecordId};

use crate::ports::{KeyError, StoreError};

/// An operation of the outbox failed; nothing has changed then, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The handset's key failed.
    #[error("the phone's key failed")]
    Key(#[from] KeyError),
    /// The key store's signature cannot be used.
    #[error("the phone's key does not sign as it should")]
    Signature(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// As many records or bytes wait as may.
    #[error("{records} records of {bytes} bytes wait, which is as much as the outbox holds")]
    Full {
        /// Records that wait or are set aside.
        records: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// As many drafts, or as many bytes of them, are kept as may, or this one is too long.
    #[error("no more drafts can be kept, or this one is too long")]
    DraftLimit,
    /// The oldest record has waited too long.
    #[error("the oldest record has waited since {since}")]
    Stale {
        /// When it was made.
        since: jiff::Timestamp,
    },
    /// The signed record would be longer than the wire allows.
    #[error(
        "the record is longer than {} bytes once signed",
        candour_wire::limits::RECORD_MAX_BYTES
    )]
    TooLarge,
    /// The id has been given to another record of this phone.
    #[error("record {0} is there already")]
    Duplicate(RecordId),
    /// There is no such record, draft or receipt.
    #[error("there is no record {0} here")]
    Unknown(RecordId),
    /// The row is there and does not open.
    #[error("what is stored of record {0} is damaged")]
    Damaged(RecordId),
    /// The receipt is for other bytes than those that wait under this id.
    #[error("the receipt for record {0} is for another record")]
    ReceiptMismatch(RecordId),
}

impl OutboxError {
    /// The stable code; the only place that decides it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Store(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Damaged(_) => Code::StoreDamaged,
            Self::Signature(_) => Code::KeyUnavailable,
            Self::Full { .. } | Self::DraftLimit => Code::OutboxFull,
            Self::Stale { .. } => Code::OutboxStale,
            Self::TooLarge => Code::RecordTooLarge,
            Self::Duplicate(_) => Code::IdConflict,
            Self::Unknown(_) => Code::RecordUnknown,
            Self::ReceiptMismatch(_) => Code::ReceiptInvalid,
        }
    }
}
