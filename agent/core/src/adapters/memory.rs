//! A store and keys in memory: for simulations and tests. Nothing here survives the process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candour_wire::Sensitive;

use super::software_keys::{KeyMaterial, WrappingKey, make_signing_key};
use crate::ports::{Change, KeyError, KeyStore, Row, Store, StoreError, Table, Usage};

/// What goes wrong in a [`MemoryStore`], and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The commit is refused for lack of room. The store goes on.
    Full,
    /// The commit fails and nothing was changed; every later call fails until
    /// [`MemoryStore::reopen`].
    Lost,
    /// The changes were made and yet the commit fails, as when power goes before the call
    /// returns; every later call fails until [`MemoryStore::reopen`].
    Unanswered,
}

/// Tables in memory. Clones share them, so one can be kept as "the disk" while another is used
/// up by what crashes.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Disk>>);

#[derive(Default)]
struct Disk {
    tables: BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>,
    commits: u64,
    fault: Option<(u64, Fault)>,
    failed: bool,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a commit fail: the next one for `after` = 0, the one after it for 1, and so on.
    pub fn fail_after(&self, after: u64, fault: Fault) {
        self.disk().fault = Some((after, fault));
    }

    /// Ends the state of failure, as opening a file again does, and forgets a fault to come.
    pub fn reopen(&self) {
        let mut disk = self.disk();
        disk.failed = false;
        disk.fault = None;
    }

    /// How many commits have succeeded.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.disk().commits
    }

    /// A store of its own with the same content, as a backup has it.
    #[must_use]
    pub fn backup(&self) -> Self {
        let tables = self.disk().tables.clone();
        Self(Arc::new(Mutex::new(Disk {
            tables,
            ..Disk::default()
        })))
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        // A panic elsewhere leaves whole changes only.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(&self) -> Result<MutexGuard<'_, Disk>, StoreError> {
        let disk = self.disk();
        if disk.failed { Err(failed()) } else { Ok(disk) }
    }

    /// Calls `visit` with rows in order until it has had `limit`.
    fn visit(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), StoreError> {
        let disk = self.reading()?;
        let Some(rows) = disk.tables.get(&table) else {
            return Ok(());
        };
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        rows.range::<[u8], _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .for_each(|(key, value)| visit(key, value));
        Ok(())
    }
}

impl Store for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .reading()?
            .tables
            .get(&table)
            .and_then(|rows| rows.get(key))
            .cloned())
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        self.visit(table, prefix, after, limit, |key, value| {
            rows.push((key.to_vec(), value.to_vec()))
        })?;
        Ok(rows)
    }

    fn scan_lengths(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, u64)>, StoreError> {
        let mut rows = Vec::new();
        self.visit(table, prefix, after, limit, |key, value| {
            rows.push((key.to_vec(), value.len() as u64))
        })?;
        Ok(rows)
    }

    fn usage(&self, table: Table) -> Result<Usage, StoreError> {
        let disk = self.reading()?;
        let Some(rows) = disk.tables.get(&table) else {
            return Ok(Usage::default());
        };
        Ok(Usage {
            rows: rows.len() as u64,
            bytes: rows.values().map(|value| value.len() as u64).sum(),
        })
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let mut disk = self.reading()?;
        let fault = match disk.fault.take() {
            Some((0, fault)) => Some(fault),
            Some((after, fault)) => {
                disk.fault = Some((after - 1, fault));
                None
            }
            None => None,
        };
        if fault == Some(Fault::Full) {
            return Err(StoreError::Full);
        }
        disk.failed = fault.is_some();
        if fault == Some(Fault::Lost) {
            return Err(failed());
        }
        for change in changes {
            match change {
                Change::Put(table, key, value) => {
                    disk.tables
                        .entry(*table)
                        .or_default()
                        .insert(key.clone(), value.clone());
                }
                Change::Delete(table, key) => {
                    if let Some(rows) = disk.tables.get_mut(table) {
                        rows.remove(key);
                    }
                }
            }
        }
        if disk.failed {
            return Err(failed());
        }
        disk.commits += 1;
        Ok(())
    }
}

fn failed() -> StoreError {
    StoreError::Io("a fault was asked for".into())
}

/// Keys in memory.
#[derive(Default)]
pub struct MemoryKeys {
    keys: Mutex<Option<KeyMaterial>>,
    locked: AtomicBool,
}

impl MemoryKeys {
    /// No keys yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Locks the keys, as a phone does that has not been unlocked since it started, or unlocks
    /// them. While they are locked only the public key can be had, and they can be destroyed.
    pub fn set_locked(&self, locked: bool) {
        self.locked.store(locked, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Option<KeyMaterial>> {
        // The keys are set in one go, so a panic elsewhere leaves none half-made.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&KeyMaterial) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        if self.locked.load(Ordering::Relaxed) {
            return Err(KeyError::Unavailable {
                reason: "locked".to_owned(),
            });
        }
        work(self.lock().as_ref().ok_or(KeyError::Missing)?)
    }
}

impl KeyStore for MemoryKeys {
    fn public_key(&self) -> Result<Option<Vec<u8>>, KeyError> {
        Ok(self.lock().as_ref().map(KeyMaterial::public_key))
    }

    fn create(&self) -> Result<Vec<u8>, KeyError> {
        let mut keys = self.lock();
        if let Some(keys) = keys.as_ref() {
            return Ok(keys.public_key());
        }
        // EXPOSE: the document is read back at once.
        let made = KeyMaterial::new(make_signing_key()?.expose(), WrappingKey::make()?)?;
        Ok(keys.insert(made).public_key())
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.with(|keys| keys.sign(message))
    }

    fn wrap(&self, secret: &Sensitive<Vec<u8>>) -> Result<Vec<u8>, KeyError> {
        self.with(|keys| keys.wrapping().wrap(secret))
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Sensitive<Vec<u8>>, KeyError> {
        self.with(|keys| keys.wrapping().unwrap(wrapped))
    }

    fn destroy(&self) -> Result<(), KeyError> {
        *self.lock() = None;
        Ok(())
    }
}
