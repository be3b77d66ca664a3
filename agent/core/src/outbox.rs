//! The outbox: what waits to be sent, and what is known of what was sent.

mod error;
mod types;

use std::sync::Arc;

use candour_wire::api::Receipt;
use candour_wire::chain::Head;
use candour_wire::log::checkpoint::CheckpointError;
use candour_wire::log::{Checkpoint, LogVerifier, ProofError};
use candour_wire::record::{Kind, Stream};
use candour_wire::{Digest, RecordId, Sensitive};
use jiff::Timestamp;

pub use self::error::OutboxError;
pub use self::types::{
    Also, ChainState, Counts, Limits, NewRecord, Pending, Quarantined, Receipts, Refused, StoredDraft, StoredReceipt,
    Summary, Waiting,
};
use crate::ports::{Clock, KeyStore, Store};

/// A checkpoint that the pinned log key has signed.
#[derive(Debug, Clone)]
pub struct VerifiedCheckpoint {
    note: Arc<str>,
    checkpoint: Checkpoint,
}

impl VerifiedCheckpoint {
    /// Checks the signature and the origin.
    ///
    /// # Errors
    ///
    /// When the note is not a checkpoint that this key has signed.
    pub fn open(note: &str, log: &LogVerifier) -> Result<Self, CheckpointError> {
        Ok(Self { note: note.into(), checkpoint: Checkpoint::open(note, log)? })
    }

    /// The signed note.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// What it says.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

/// A receipt whose proof holds. Only [`VerifiedReceipt::verify`] makes one, so that nothing else
/// can be settled.
#[derive(Debug, Clone)]
pub struct VerifiedReceipt {
    receipt: Receipt,
    jws_sha256: Digest,
    checkpoint: VerifiedCheckpoint,
}

impl VerifiedReceipt {
    /// Checks that the record with this JWS is in the checkpoint's tree where the receipt says.
    ///
    /// # Errors
    ///
    /// When the proof does not hold.
    pub fn verify(jws: &str, receipt: Receipt, checkpoint: &VerifiedCheckpoint) -> Result<Self, ProofError> {
        let _ = (jws, receipt, checkpoint);
        todo!()
    }
}

/// The outbox.
pub struct Outbox {
    store: Box<dyn Store>,
    keys: Arc<dyn KeyStore>,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

#[expect(clippy::todo, clippy::needless_pass_by_value, unused_variables, missing_docs, clippy::missing_errors_doc)]
impl Outbox {
    /// Opens it. Needs no key: those that touch sealed rows do.
    pub fn open(
        store: Box<dyn Store>,
        keys: Arc<dyn KeyStore>,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Result<Self, OutboxError> {
        todo!()
    }
    /// Durable before it returns. A heartbeat that follows a waiting one is not appended; the
    /// waiting one's id comes back.
    pub fn append(&mut self, record: &NewRecord, also: &[Also]) -> Result<RecordId, OutboxError> {
        todo!()
    }
    /// In order; a valid chain from the acknowledged head. At least one record even if longer
    /// than `max_bytes`.
    pub fn pending(&mut self, stream: Stream, limit: usize, max_bytes: usize) -> Result<Vec<Pending>, OutboxError> {
        todo!()
    }
    /// Everything that waits, as the holder sees it; signs nothing.
    pub fn waiting(&mut self, limit: usize) -> Result<Vec<Waiting>, OutboxError> {
        todo!()
    }
    pub fn counts(&self) -> Result<Counts, OutboxError> {
        todo!()
    }
    pub fn oldest_pending(&self) -> Option<Timestamp> {
        todo!()
    }
    /// Stores receipts and the checkpoint, and lets the records go, in one commit.
    pub fn settle(
        &mut self,
        receipts: &[VerifiedReceipt],
        checkpoint: &VerifiedCheckpoint,
    ) -> Result<(), OutboxError> {
        todo!()
    }
    /// The last checkpoint that was settled.
    pub fn last_checkpoint(&mut self) -> Result<Option<String>, OutboxError> {
        todo!()
    }
    pub fn chain_state(&mut self, stream: Stream) -> Result<ChainState, OutboxError> {
        todo!()
    }
    /// The server named its head: from now on waiting records of the stream follow from it.
    pub fn rechain(&mut self, stream: Stream, head: Head) -> Result<(), OutboxError> {
        todo!()
    }
    /// Sets refused records aside, and (where named) takes the server's head, in one commit.
    pub fn after_refusals(
        &mut self,
        stream: Stream,
        head: Option<Head>,
        refused: &[Refused],
    ) -> Result<(), OutboxError> {
        todo!()
    }
    pub fn quarantined(&mut self) -> Result<Vec<Quarantined>, OutboxError> {
        todo!()
    }
    /// A quarantined record goes to the end of its chain.
    pub fn requeue(&mut self, id: RecordId) -> Result<(), OutboxError> {
        todo!()
    }
    /// The holder gives a quarantined record up.
    pub fn discard(&mut self, id: RecordId) -> Result<(), OutboxError> {
        todo!()
    }
    /// Newest record first; `stream` and `before` (an id) narrow it down.
    pub fn receipts(
        &mut self,
        stream: Option<Stream>,
        before: Option<RecordId>,
        limit: usize,
    ) -> Result<Receipts, OutboxError> {
        todo!()
    }
    pub fn receipt(&mut self, id: RecordId) -> Result<Option<StoredReceipt>, OutboxError> {
        todo!()
    }
    /// Forgets receipts that the department gave before `before`; returns how many.
    pub fn prune_receipts(&mut self, before: Timestamp) -> Result<u64, OutboxError> {
        todo!()
    }
    pub fn draft_put(&mut self, id: RecordId, content: &Sensitive<Vec<u8>>) -> Result<(), OutboxError> {
        todo!()
    }
    pub fn draft(&mut self, id: RecordId) -> Result<Option<Sensitive<Vec<u8>>>, OutboxError> {
        todo!()
    }
    pub fn drafts(&mut self) -> Result<Vec<StoredDraft>, OutboxError> {
        todo!()
    }
    pub fn draft_delete(&mut self, id: RecordId) -> Result<(), OutboxError> {
        todo!()
    }
    pub fn value(&mut self, name: &str) -> Result<Option<Sensitive<Vec<u8>>>, OutboxError> {
        todo!()
    }
    pub fn value_put(&mut self, name: &'static str, value: Sensitive<Vec<u8>>) -> Result<(), OutboxError> {
        todo!()
    }
    /// Several changes in one commit.
    pub fn apply(&mut self, changes: &[Also]) -> Result<(), OutboxError> {
        todo!()
    }
    /// Destroys the keys and deletes every row.
    pub fn wipe(&mut self) -> Result<(), OutboxError> {
        todo!()
    }
    /// What kind of record waits, is set aside or has a receipt under this id.
    pub fn kind_of(&mut self, id: RecordId) -> Result<Option<Kind>, OutboxError> {
        todo!()
    }
}
