//! What left this phone, with the proof that it arrived (invariant I8).

use candour_wire::RecordId;
use candour_wire::record::Stream;
use jiff::Timestamp;

use super::index;
use super::{Outbox, OutboxError, Receipts, StoredReceipt};
use crate::ports::{Change, Table};

/// Receipts that are deleted in one commit.
const PRUNE_MAX: usize = 256;

impl Outbox {
    /// Up to `limit` receipts, newest record id first; those of one stream and before one id
    /// where given. Ids begin with the time they were made.
    ///
    /// # Errors
    ///
    /// When the key store or the store fails.
    pub fn receipts(
        &mut self,
        stream: Option<Stream>,
        before: Option<RecordId>,
        limit: usize,
    ) -> Result<Receipts, OutboxError> {
        let mut keys = Vec::new();
        index::for_each_key(&*self.store, Table::Receipt, |key, _| {
            if let Some((id, kind, _)) = index::decode_id_key(key)
                && stream.is_none_or(|stream| kind.stream() == stream)
                && before.is_none_or(|before| id < before)
            {
                keys.push((id, key.to_vec()));
            }
        })?;
        let mut found = Receipts::default();
        for (id, key) in keys.into_iter().rev().take(limit) {
            match self.read_indexed(Table::Receipt, &key)? {
                Ok(receipt) => found.receipts.push(receipt),
                Err(_) => found.damaged.push(id),
            }
        }
        Ok(found)
    }

    /// The receipt of one record; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Damaged`] where it is there and does not open, or when the key store or the
    /// store fails.
    pub fn receipt(&mut self, id: RecordId) -> Result<Option<StoredReceipt>, OutboxError> {
        let Some(key) = self.receipt_row_key(id)? else {
            return Ok(None);
        };
        match self.read_indexed(Table::Receipt, &key)? {
            Ok(receipt) => Ok(Some(receipt)),
            Err(_) => Err(OutboxError::Damaged(id)),
        }
    }

    /// Forgets the receipts that the department gave before `before`, and says how many. What
    /// was sent stays with the department; where the chains stand stays here.
    ///
    /// # Errors
    ///
    /// When the store fails; some may have been forgotten then.
    pub fn prune_receipts(&mut self, before: Timestamp) -> Result<u64, OutboxError> {
        let mut old = Vec::new();
        index::for_each_key(&*self.store, Table::Receipt, |key, _| {
            let received =
                index::decode_id_key(key).and_then(|(_, _, rest)| index::received_of(rest));
            if received.is_some_and(|received| received < before) {
                old.push(Change::Delete(Table::Receipt, key.to_vec()));
            }
        })?;
        for changes in old.chunks(PRUNE_MAX) {
            self.commit(changes)?;
        }
        Ok(old.len() as u64)
    }

    pub(super) fn receipt_row_key(&self, id: RecordId) -> Result<Option<Vec<u8>>, OutboxError> {
        let found = self
            .store
            .scan_lengths(Table::Receipt, id.as_bytes(), None, 1)?;
        Ok(found.into_iter().next().map(|(key, _)| key))
    }
}
