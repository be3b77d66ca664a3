//! Which imported messages were declared, and in which record.
//!
//! An export that is read again offers only what has not been declared yet. The origins of a
//! declaration's messages are therefore kept in a row of its own, sealed like every other, which
//! is written in the commit that queues the declaration and outlives it: the content goes with
//! the receipt, this stays. It goes when the holder takes the declaration back or gives it up, so
//! that its messages are offered again.
//!
//! Forgetting costs one look too many, and remembering wrongly would keep a message out of
//! sight: wherever there is a choice (a damaged row, too many rows) the row counts as forgotten.

use std::collections::{BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candour_wire::RecordId;
use candour_wire::record::Body;

use super::format::{self, DeclaredRow};
use super::{Declared, NewRecord, Outbox, OutboxError};
use crate::declaration::Origin;
use crate::ports::{Change, Table};

/// Rows that are read at a time: the longest has 2,000 origins, under 90 KB.
const PAGE: usize = 16;

/// Keys that are read at a time.
const KEYS_PAGE: usize = 1_024;

impl Outbox {
    /// In which record each message was declared, in the order asked; `None` where it was not, or
    /// not that this handset knows. Where several records declare it, the oldest is named.
    ///
    /// # Errors
    ///
    /// When the key store or the store fails.
    pub fn declared(&mut self, origins: &[Origin]) -> Result<Vec<Option<Declared>>, OutboxError> {
        // What was declared is bounded, and mostly far less than what an export holds.
        let mut known: HashMap<Origin, Declared> = HashMap::new();
        self.for_each_declared(|declared, row| {
            for origin in row.origins() {
                known.entry(origin).or_insert(declared);
            }
        })?;
        Ok(origins
            .iter()
            .map(|origin| known.get(origin).copied())
            .collect())
    }

    /// What belongs to a record in the commit that queues it: a declaration is remembered, and a
    /// withdrawal forgets the one that it takes back, with whatever corrected it.
    pub(super) fn declared_changes(
        &mut self,
        record: &NewRecord,
    ) -> Result<Vec<Change>, OutboxError> {
        let amends = match &record.body {
            Body::Withdrawal(withdrawal) => return self.forget_changes(withdrawal.withdraws),
            Body::Amendment(amendment) => Some(amendment.amends),
            _ => None,
        };
        if record.origins.is_empty() {
            return Ok(Vec::new());
        }
        let row = DeclaredRow {
            at: record.created,
            amends,
            origins: STANDARD.encode(Origin::to_bytes(&record.origins)),
        };
        let put = self.put(
            Table::Declared,
            record.id.as_bytes().to_vec(),
            &format::to_bytes(&row),
        )?;
        let mut changes = self.make_room(put.value_bytes())?;
        changes.push(put);
        Ok(changes)
    }

    /// The change that forgets what one record declared.
    pub(super) fn forget(id: RecordId) -> Change {
        Change::Delete(Table::Declared, id.as_bytes().to_vec())
    }

    fn forget_changes(&mut self, withdrawn: RecordId) -> Result<Vec<Change>, OutboxError> {
        let mut amendments = Vec::new();
        self.for_each_declared(|declared, row| {
            amendments.extend(row.amends.map(|amends| (declared.record, amends)));
        })?;
        let mut gone = BTreeSet::from([withdrawn]);
        // An amendment may correct another one, and ids say nothing of their order.
        loop {
            let before = gone.len();
            for (id, amends) in &amendments {
                if gone.contains(amends) {
                    gone.insert(*id);
                }
            }
            if gone.len() == before {
                return Ok(gone.into_iter().map(Self::forget).collect());
            }
        }
    }

    /// Forgets the oldest rows until there is room for `bytes` more.
    fn make_room(&self, bytes: u64) -> Result<Vec<Change>, OutboxError> {
        let mut changes = Vec::new();
        let used = self.store.usage(Table::Declared)?.bytes;
        let mut over = used
            .saturating_add(bytes)
            .saturating_sub(self.limits.declared_bytes);
        let mut after: Option<Vec<u8>> = None;
        while over > 0 {
            let page =
                self.store
                    .scan_lengths(Table::Declared, &[], after.as_deref(), KEYS_PAGE)?;
            for (key, length) in &page {
                if over > 0 {
                    over = over.saturating_sub(*length);
                    changes.push(Change::Delete(Table::Declared, key.clone()));
                }
            }
            match page.into_iter().next_back() {
                Some((key, _)) => after = Some(key),
                None => break,
            }
        }
        Ok(changes)
    }

    /// Calls `visit` with each row that opens, oldest record first.
    fn for_each_declared(
        &mut self,
        mut visit: impl FnMut(Declared, DeclaredRow),
    ) -> Result<(), OutboxError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = self
                .store
                .scan(Table::Declared, &[], after.as_deref(), PAGE)?;
            let Some((last, _)) = rows.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            for (key, value) in rows {
                let plain = self.unseal(Table::Declared, &key, &value)?;
                // EXPOSE: the row is parsed.
                let row: Option<DeclaredRow> =
                    plain.and_then(|plain| format::from_bytes(plain.expose()));
                match (RecordId::from_slice(&key), row) {
                    (Ok(record), Some(row)) => visit(Declared { record, at: row.at }, row),
                    _ => tracing::warn!("which messages a record declared cannot be read any more"),
                }
            }
        }
    }
}

impl DeclaredRow {
    fn origins(&self) -> Vec<Origin> {
        STANDARD
            .decode(&self.origins)
            .ok()
            .and_then(|bytes| Origin::from_bytes(&bytes))
            .unwrap_or_default()
    }
}
