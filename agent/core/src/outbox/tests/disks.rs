//! Disks for the model: one whose n-th read or write fails, and one that breaks its promise.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::model::Disk;
use crate::adapters::memory::MemoryStore;
use crate::ports::{Change, Row, Store, StoreError, Table, Usage};

/// A disk whose n-th read or write fails, and everything after it until it is opened again.
pub(super) struct Nth {
    disk: MemoryStore,
    counts: AtomicBool,
    failed: AtomicBool,
    /// Reads and writes so far.
    done: AtomicU64,
    fails_at: u64,
}

impl Nth {
    /// The one with this number fails, from 0.
    pub(super) fn new(fails_at: u64) -> Arc<Self> {
        Arc::new(Self {
            disk: MemoryStore::new(),
            counts: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            done: AtomicU64::new(0),
            fails_at,
        })
    }

    /// Whether its turn has come.
    pub(super) fn has_come(&self) -> bool {
        self.done.load(Ordering::Relaxed) > self.fails_at
    }

    fn turn(&self) -> Result<&MemoryStore, StoreError> {
        if self.counts.load(Ordering::Relaxed)
            && self.done.fetch_add(1, Ordering::Relaxed) == self.fails_at
        {
            self.failed.store(true, Ordering::Relaxed);
        }
        if self.failed.load(Ordering::Relaxed) {
            return Err(StoreError::Io("it is its turn".into()));
        }
        Ok(&self.disk)
    }
}

impl Disk for Arc<Nth> {
    fn open(&self) -> Box<dyn Store> {
        self.failed.store(false, Ordering::Relaxed);
        Box::new(NthStore(Self::clone(self)))
    }

    fn memory(&self) -> Option<&MemoryStore> {
        None
    }

    fn count(&self, counts: bool) {
        self.counts.store(counts, Ordering::Relaxed);
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

/// A disk that acknowledges a commit before it is on it: opened again, it has lost the last one.
#[derive(Clone, Default)]
pub(super) struct Forgetful(Arc<Mutex<[MemoryStore; 2]>>);

impl Disk for Forgetful {
    fn open(&self) -> Box<dyn Store> {
        let mut stores = self.0.lock().unwrap();
        stores[0] = stores[1].backup();
        drop(stores);
        Box::new(self.clone())
    }

    fn memory(&self) -> Option<&MemoryStore> {
        None
    }
}

impl Forgetful {
    fn now(&self) -> MemoryStore {
        self.0.lock().unwrap()[0].clone()
    }
}

impl Store for Forgetful {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.now().get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.now().scan(table, prefix, after, limit)
    }

    fn scan_lengths(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, u64)>, StoreError> {
        self.now().scan_lengths(table, prefix, after, limit)
    }

    fn usage(&self, table: Table) -> Result<Usage, StoreError> {
        self.now().usage(table)
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let mut stores = self.0.lock().unwrap();
        stores[1] = stores[0].backup();
        stores[0].apply(changes)
    }
}

struct NthStore(Arc<Nth>);

impl Store for NthStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.turn()?.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.0.turn()?.scan(table, prefix, after, limit)
    }

    fn scan_lengths(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, u64)>, StoreError> {
        self.0.turn()?.scan_lengths(table, prefix, after, limit)
    }

    fn usage(&self, table: Table) -> Result<Usage, StoreError> {
        self.0.turn()?.usage(table)
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.0.turn()?.clone().apply(changes)
    }
}
