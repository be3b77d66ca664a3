//! A home in memory: for simulations and tests. Nothing here survives the process.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candour_wire::Digest;
use jiff::Timestamp;

use super::memory::MemoryStore;
use crate::ports::{Document, Home, SpoolFile, Store, StoreError};

/// A home in memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryHome {
    store: MemoryStore,
    files: Arc<Mutex<Files>>,
}

#[derive(Default)]
struct Files {
    documents: HashMap<Document, Vec<u8>>,
    spool: BTreeMap<Digest, Vec<u8>>,
    set_aside: Vec<String>,
}

impl MemoryHome {
    /// An empty home.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many commits of the store have succeeded.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.store.commits()
    }

    /// Says from now on that a store was set aside under this name.
    pub fn set_store_aside(&self, name: &str) {
        self.files().set_aside.push(name.to_owned());
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Home for MemoryHome {
    fn open_store(&self, _now: Timestamp) -> Result<(Box<dyn Store>, Option<String>), StoreError> {
        Ok((Box::new(self.store.clone()), None))
    }

    fn set_aside_stores(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.files().set_aside.clone())
    }

    fn read(&self, document: Document) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.files().documents.get(&document).cloned())
    }

    fn write(&self, document: Document, bytes: &[u8]) -> Result<(), StoreError> {
        self.files().documents.insert(document, bytes.to_vec());
        Ok(())
    }

    fn spool(&self) -> Result<Box<dyn SpoolFile>, StoreError> {
        Ok(Box::new(Partial {
            bytes: Vec::new(),
            home: self.clone(),
        }))
    }

    fn read_spooled(&self, name: &Digest, offset: u64, max: usize) -> Result<Vec<u8>, StoreError> {
        let files = self.files();
        let file = files
            .spool
            .get(name)
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(file.iter().skip(from).take(max).copied().collect())
    }

    fn spooled(&self) -> Result<Vec<Digest>, StoreError> {
        Ok(self.files().spool.keys().copied().collect())
    }

    fn spooled_bytes(&self) -> Result<u64, StoreError> {
        let files = self.files();
        Ok(files.spool.values().map(|file| file.len() as u64).sum())
    }

    fn remove_spooled(&self, name: &Digest) -> Result<(), StoreError> {
        self.files().spool.remove(name);
        Ok(())
    }

    fn destroy(&self) -> Result<(), StoreError> {
        *self.files() = Files::default();
        Ok(())
    }
}

struct Partial {
    bytes: Vec<u8>,
    home: MemoryHome,
}

impl Write for Partial {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SpoolFile for Partial {
    fn finish(self: Box<Self>, name: &Digest) -> Result<(), StoreError> {
        let home = self.home.clone();
        home.files().spool.insert(*name, self.bytes);
        Ok(())
    }
}
