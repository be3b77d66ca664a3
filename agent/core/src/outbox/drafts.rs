//! Drafts, and the named values that other modules keep here.

use candour_wire::{RecordId, Sensitive};

use super::{Also, Outbox, OutboxError, StoredDraft};
use crate::ports::{Change, Table};

/// Drafts that are read at a time.
const PAGE: usize = 16;

impl Outbox {
    /// Stores a draft, in place of an earlier one with this id.
    ///
    /// # Errors
    ///
    /// [`OutboxError::DraftLimit`] when there are too many or it is too long; or when the key
    /// store or the store fails.
    pub fn draft_put(
        &mut self,
        id: RecordId,
        content: &Sensitive<Vec<u8>>,
    ) -> Result<(), OutboxError> {
        let key = id.as_bytes().to_vec();
        let earlier = self.store.get(Table::Draft, &key)?;
        let usage = self.store.usage(Table::Draft)?;
        // EXPOSE: it is measured and sealed.
        let plain = content.expose();
        let too_many = earlier.is_none() && usage.rows >= self.limits.drafts;
        if too_many || plain.len() > self.limits.draft_bytes {
            return Err(OutboxError::DraftLimit);
        }
        let put = self.put(Table::Draft, key, plain)?;
        let earlier = earlier.map_or(0, |value| value.len() as u64);
        let others = usage.bytes.saturating_sub(earlier);
        let bytes = put.value_bytes();
        // One that takes no more room than before is always welcome.
        if bytes > earlier && others.saturating_add(bytes) > self.limits.bytes {
            return Err(OutboxError::DraftLimit);
        }
        self.commit(&[put])
    }

    /// A draft; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Damaged`] where it is there and does not open, or when the key store or the
    /// store fails.
    pub fn draft(&mut self, id: RecordId) -> Result<Option<Sensitive<Vec<u8>>>, OutboxError> {
        match self.read(Table::Draft, id.as_bytes())? {
            Some(content) => content.map(Some).ok_or(OutboxError::Damaged(id)),
            None => Ok(None),
        }
    }

    /// All drafts, oldest first.
    ///
    /// # Errors
    ///
    /// When the key store or the store fails.
    pub fn drafts(&mut self) -> Result<Vec<StoredDraft>, OutboxError> {
        let mut drafts = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = self.store.scan(Table::Draft, &[], after.as_deref(), PAGE)?;
            let full = rows.len() == PAGE;
            after = rows.last().map(|(key, _)| key.clone());
            for (key, value) in rows {
                let Ok(id) = RecordId::from_slice(&key) else {
                    continue;
                };
                drafts.push(StoredDraft {
                    id,
                    content: self.unseal(Table::Draft, &key, &value)?,
                });
            }
            if !full {
                return Ok(drafts);
            }
        }
    }

    /// Deletes a draft, if it is there.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn draft_delete(&mut self, id: RecordId) -> Result<(), OutboxError> {
        self.apply(&[Also::DeleteDraft(id)])
    }

    /// A named value; `None` where there is none, or it cannot be read any more. What is kept
    /// under a name must therefore be such that it can be found out anew.
    ///
    /// # Errors
    ///
    /// When the key store or the store fails.
    pub fn value(&mut self, name: &str) -> Result<Option<Sensitive<Vec<u8>>>, OutboxError> {
        Ok(self.read(Table::Meta, &value_key(name))?.flatten())
    }

    /// Sets a named value.
    ///
    /// # Errors
    ///
    /// When the key store or the store fails.
    pub fn value_put(
        &mut self,
        name: &'static str,
        value: Sensitive<Vec<u8>>,
    ) -> Result<(), OutboxError> {
        self.apply(&[Also::PutValue(name, value)])
    }

    /// Makes several changes in one commit.
    ///
    /// # Errors
    ///
    /// When the key store or the store fails.
    pub fn apply(&mut self, changes: &[Also]) -> Result<(), OutboxError> {
        let changes = self.also_changes(changes)?;
        self.commit(&changes)
    }

    pub(super) fn also_changes(&mut self, also: &[Also]) -> Result<Vec<Change>, OutboxError> {
        also.iter()
            .map(|also| match also {
                Also::DeleteDraft(id) => Ok(Change::Delete(Table::Draft, id.as_bytes().to_vec())),
                // EXPOSE: the value is sealed.
                Also::PutValue(name, value) => {
                    self.put(Table::Meta, value_key(name), value.expose())
                }
                Also::DeleteValue(name) => Ok(Change::Delete(Table::Meta, value_key(name))),
            })
            .collect()
    }
}

/// Apart from the names that the outbox uses itself.
fn value_key(name: &str) -> Vec<u8> {
    format!("value/{name}").into_bytes()
}
