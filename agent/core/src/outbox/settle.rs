//! Receipts come in and records go: the only way out of the outbox.

use std::collections::BTreeMap;
use std::sync::Arc;

use candour_wire::api::Receipt;
use candour_wire::chain::Head;
use candour_wire::log::checkpoint::CheckpointError;
use candour_wire::log::{self, Checkpoint, LogVerifier, ProofError, ReceiptProof};
use candour_wire::record::Stream;
use candour_wire::{Digest, RecordId};

use super::format::{self, WaitingRow};
use super::index::{self, WaitingKey};
use super::{ChainState, Outbox, OutboxError, StoredReceipt};
use crate::ports::{Change, Table};

/// A checkpoint that the pinned log key has signed.
#[derive(Debug, Clone)]
pub struct VerifiedCheckpoint {
    note: Arc<str>,
    checkpoint: Checkpoint,
}

impl VerifiedCheckpoint {
    /// Checks the signature and the origin. Whether the log has only grown since the last one is
    /// for the caller to check.
    ///
    /// # Errors
    ///
    /// When the note is not a checkpoint that this key has signed.
    pub fn open(note: &str, log: &LogVerifier) -> Result<Self, CheckpointError> {
        Ok(Self {
            note: note.into(),
            checkpoint: Checkpoint::open(note, log)?,
        })
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
    note: Arc<str>,
}

impl VerifiedReceipt {
    /// Checks that the record with this JWS is in the checkpoint's tree where the receipt says.
    ///
    /// # Errors
    ///
    /// When the proof does not hold.
    pub fn verify(
        jws: &str,
        receipt: Receipt,
        checkpoint: &VerifiedCheckpoint,
    ) -> Result<Self, ProofError> {
        let jws_sha256 = Digest::of(jws.as_bytes());
        let proof = ReceiptProof {
            index: receipt.index,
            salt: receipt.salt,
            path: &receipt.path,
        };
        log::verify_receipt(&proof, &jws_sha256, &checkpoint.checkpoint)?;
        Ok(Self {
            receipt,
            jws_sha256,
            note: Arc::clone(&checkpoint.note),
        })
    }

    /// Which record it is for, as the server says; settling holds it against the record's bytes.
    #[must_use]
    pub const fn id(&self) -> RecordId {
        self.receipt.id
    }
}

impl Outbox {
    /// Stores the receipts and the checkpoint and lets their records go, in one commit. Receipts
    /// for records that no longer wait are passed over, so that it can be repeated.
    ///
    /// # Errors
    ///
    /// [`OutboxError::ReceiptMismatch`] when a receipt is for other bytes than those that wait
    /// under its id; or when the key store or the store fails. Nothing has settled then.
    pub fn settle(
        &mut self,
        receipts: &[VerifiedReceipt],
        checkpoint: &VerifiedCheckpoint,
    ) -> Result<(), OutboxError> {
        let mut changes = Vec::new();
        let mut heads: BTreeMap<Stream, Head> = BTreeMap::new();
        for verified in receipts {
            let Some(key) = self.index.waiting(verified.receipt.id) else {
                continue;
            };
            // Damaged since it was handed out: `pending` sets it aside.
            let Ok(row) = self.waiting_row(&key)? else {
                continue;
            };
            let (jws_sha256, head) = (Digest::of(row.jws.as_bytes()), row.head());
            if jws_sha256 != verified.jws_sha256 {
                return Err(OutboxError::ReceiptMismatch(key.id));
            }
            let newest = heads.entry(key.stream()).or_insert(head);
            if head.seq > newest.seq {
                *newest = head;
            }
            let receipt = verified.stored(&key, row);
            let to = index::receipt_key(key.id, key.kind, receipt.received);
            changes.push(self.put(Table::Receipt, to, &format::to_bytes(&receipt))?);
            changes.push(Change::Delete(Table::Outbox, key.encode()));
        }
        for (stream, head) in heads {
            let state = self.chain_state(stream)?;
            if head.seq > state.acknowledged.seq {
                changes.push(self.put_chain_state(
                    stream,
                    &ChainState {
                        acknowledged: head,
                        ..state
                    },
                )?);
            }
        }
        changes.push(self.put(Table::Meta, CHECKPOINT.to_vec(), checkpoint.note.as_bytes())?);
        self.commit(&changes)?;
        Ok(())
    }

    /// The last checkpoint that was settled, as a signed note; `None` before the first, or where
    /// it cannot be read any more.
    ///
    /// # Errors
    ///
    /// When the key store or the store fails.
    pub fn last_checkpoint(&mut self) -> Result<Option<String>, OutboxError> {
        let row = self.read(Table::Meta, CHECKPOINT)?.flatten();
        // EXPOSE: a checkpoint is public; it is only sealed because everything is.
        Ok(row.and_then(|note| String::from_utf8(note.expose().clone()).ok()))
    }
}

impl VerifiedReceipt {
    fn stored(&self, key: &WaitingKey, row: WaitingRow) -> StoredReceipt {
        let Receipt {
            id,
            received,
            index,
            salt,
            ref path,
            ..
        } = self.receipt;
        let WaitingRow {
            seq,
            created,
            policy,
            jws,
            summary,
            ..
        } = row;
        StoredReceipt {
            id,
            kind: key.kind,
            seq,
            created,
            policy,
            jws_sha256: self.jws_sha256,
            size: jws.len() as u64,
            received,
            index,
            salt,
            path: path.clone(),
            checkpoint: self.note.as_ref().to_owned(),
            summary,
        }
    }
}

const CHECKPOINT: &[u8] = b"checkpoint";
