//! Letting old epoch keys go, and letting everything go.

use super::{Outbox, OutboxError, row};
use crate::ports::{Change, Table};

/// Rows that one step looks at: with rows of at most 1.5 MB, some 12 MB of memory.
const STEP_ROWS: usize = 8;

/// Rows that are wiped in one commit.
const WIPE_ROWS: usize = 256;

/// The tables whose rows are sealed.
const SEALED: [Table; 6] = [
    Table::Meta,
    Table::Draft,
    Table::Outbox,
    Table::Quarantine,
    Table::Receipt,
    Table::Declared,
];

/// How far the pass over all rows has come that seals the old ones anew. It starts over when the
/// outbox is opened and when another epoch begins; what has been sealed anew by then is only read
/// past.
#[derive(Debug, Clone, Default)]
pub(super) struct Sweep {
    /// Every row that the pass has gone by is sealed under this epoch or a later one.
    epoch: u32,
    table: usize,
    after: Option<Vec<u8>>,
}

impl Outbox {
    /// Does what is left to do after a new epoch has begun: seals old rows anew, a few in each
    /// commit, and in the end deletes the old keys. Stops once it has sealed `rows` anew, so that
    /// it takes some milliseconds for every eight of them at most, and says whether there is more
    /// to do. To be called once in each turn of a phone's work: whatever interrupts it, the next
    /// call gets at least as far.
    ///
    /// # Errors
    ///
    /// When the key store or the store fails.
    pub fn maintain(&mut self, rows: usize) -> Result<bool, OutboxError> {
        let mut sealed = 0;
        while sealed < rows {
            match self.sweep_step()? {
                Some(more) => sealed += more,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Looks at a few rows, and says how many of them it has sealed anew; `None` where there is
    /// nothing left to do.
    pub(super) fn sweep_step(&mut self) -> Result<Option<usize>, OutboxError> {
        let Some(sweep) = self.sweep.clone() else {
            return Ok(None);
        };
        let current = self
            .epochs
            .current(&mut *self.store, &*self.keys, self.clock.now())?
            .0
            .number();
        let Sweep {
            epoch,
            table,
            after,
        } = if sweep.epoch == current {
            sweep
        } else {
            Sweep {
                epoch: current,
                ..Sweep::default()
            }
        };
        let deletions = self.epochs.deletions(&*self.keys, epoch)?;
        let Some(at) = SEALED.get(table).copied().filter(|_| !deletions.is_empty()) else {
            self.commit(&deletions)?;
            self.sweep = None;
            return Ok(None);
        };
        let rows = self.store.scan(at, &[], after.as_deref(), STEP_ROWS)?;
        // Rows that come while the pass is under way have the new key, so the end of a table is not
        // looked for twice; with a row more at each step it would never be met.
        let next = match rows.last().filter(|_| rows.len() == STEP_ROWS) {
            Some((key, _)) => Sweep {
                epoch,
                table,
                after: Some(key.clone()),
            },
            None => Sweep {
                epoch,
                table: table + 1,
                after: None,
            },
        };
        let mut changes = Vec::new();
        for (key, value) in rows {
            if row::epoch_of(&value) == Some(epoch) {
                continue;
            }
            // What does not open stays as it is; no key would help it.
            if let Some(plain) = self.unseal(at, &key, &value)? {
                // EXPOSE: it is sealed anew.
                changes.push(self.put(at, key, plain.expose())?);
            }
        }
        self.commit(&changes)?;
        self.sweep = Some(next);
        Ok(Some(changes.len()))
    }

    /// Destroys the keys and deletes every row, waiting records and drafts included. When it
    /// fails half-way nothing can be read any more; call it again.
    ///
    /// # Errors
    ///
    /// When the keys cannot be destroyed (nothing is deleted then) or the store fails.
    pub fn wipe(&mut self) -> Result<(), OutboxError> {
        self.keys.destroy()?;
        self.epochs.clear();
        self.verifying = None;
        self.seen_to_sign = false;
        self.sweep = None;
        // The wrapped keys first.
        for table in [Table::Epoch].into_iter().chain(SEALED) {
            loop {
                let rows = self.store.scan_lengths(table, &[], None, WIPE_ROWS)?;
                if rows.is_empty() {
                    break;
                }
                let changes: Vec<_> = rows
                    .into_iter()
                    .map(|(key, _)| Change::Delete(table, key))
                    .collect();
                self.commit(&changes)?;
            }
        }
        Ok(())
    }
}
