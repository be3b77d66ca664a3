//! A phone's disk: what survives a crash, and writes that fail or are the last thing that happens.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candour_core::adapters::memory::MemoryStore;
use candour_core::ports::{
    Change, Document, Home, Row, SpoolFile, Store, StoreError, Table, Usage,
};
use candour_wire::Digest;
use jiff::Timestamp;

use super::coverage::Coverage;

/// What happens at a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DiskFault {
    /// The process dies before it.
    CrashBefore,
    /// The process dies once it is on disk.
    CrashAfter,
    /// It is refused for lack of room.
    Full,
    /// The store fails and nothing was written.
    FailBefore,
    /// The store fails although it is on disk.
    FailAfter,
}

/// What is left of the process that had the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Well,
    /// Its store has failed; it has to be opened again.
    StoreFailed,
    /// It is gone.
    Dead,
}

/// A disk. Clones share it.
#[derive(Clone)]
pub(super) struct Disk(Arc<Mutex<Inner>>);

struct Inner {
    store: MemoryStore,
    /// Where the disk does not keep what it acknowledges: what it would have after a crash.
    lagging: Option<MemoryStore>,
    documents: HashMap<Document, Vec<u8>>,
    spool: BTreeMap<Digest, Vec<u8>>,
    /// The fault to come, and how many writes come before it.
    fault: Option<(u64, DiskFault)>,
    full: bool,
    condition: Condition,
    /// Goes up with each process that opens the disk; earlier ones are dead.
    life: u64,
    met: Coverage,
}

/// What a write is to do.
enum Fate {
    Go,
    Refuse(StoreError),
    /// Do it, and then fail.
    GoAndFail,
}

impl Disk {
    /// An empty disk. One that lags acknowledges a commit before it is on it.
    pub(super) fn new(lags: bool) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            store: MemoryStore::new(),
            lagging: lags.then(MemoryStore::new),
            documents: HashMap::new(),
            spool: BTreeMap::new(),
            fault: None,
            full: false,
            condition: Condition::Well,
            life: 0,
            met: Coverage::default(),
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn condition(&self) -> Condition {
        self.inner().condition
    }

    /// The fault at the write after the next `after`.
    pub(super) fn arm(&self, after: u64, fault: DiskFault) {
        self.inner().fault = Some((after, fault));
    }

    pub(super) fn set_full(&self, full: bool) {
        self.inner().full = full;
    }

    pub(super) fn is_full(&self) -> bool {
        self.inner().full
    }

    /// The process is gone; another may open what is on the disk.
    pub(super) fn end_life(&self) {
        let mut inner = self.inner();
        if inner.condition == Condition::Dead
            && let Some(lagging) = &inner.lagging
        {
            inner.store = lagging.backup();
        }
        inner.condition = Condition::Well;
        inner.life += 1;
    }

    /// No more faults.
    pub(super) fn calm(&self) {
        let mut inner = self.inner();
        inner.fault = None;
        inner.full = false;
    }

    /// The process dies now.
    pub(super) fn kill(&self) {
        self.inner().condition = Condition::Dead;
    }

    pub(super) fn take_met(&self) -> Coverage {
        std::mem::take(&mut self.inner().met)
    }

    pub(super) fn document(&self, document: Document) -> Option<Vec<u8>> {
        self.inner().documents.get(&document).cloned()
    }

    /// Writes a file beside what the agent keeps.
    pub(super) fn plant(&self, name: &Digest, bytes: Vec<u8>) {
        self.inner().spool.insert(*name, bytes);
    }

    /// Loses the file at this place of the spool; says whether there was one.
    pub(super) fn lose_file(&self, at: usize) -> bool {
        let mut inner = self.inner();
        // Their names are digests of what a random key has sealed; their lengths are not random.
        let mut names: Vec<(usize, Digest)> = inner
            .spool
            .iter()
            .map(|(name, file)| (file.len(), *name))
            .collect();
        names.sort();
        let name = names.get(at).map(|(_, name)| *name);
        name.is_some_and(|name| inner.spool.remove(&name).is_some())
    }

    /// Everything that is on the disk, to be searched.
    pub(super) fn all_bytes(&self) -> Vec<u8> {
        let inner = self.inner();
        let mut all = Vec::new();
        for table in Table::ALL {
            let rows = inner.store.scan(table, &[], None, usize::MAX);
            for (key, value) in rows.unwrap_or_default() {
                all.extend(key);
                all.extend(value);
            }
        }
        for bytes in inner.documents.values().chain(inner.spool.values()) {
            all.extend(bytes);
        }
        all
    }
}

impl Inner {
    fn reading(&self, life: u64) -> Result<(), StoreError> {
        if self.life == life && self.condition == Condition::Well {
            Ok(())
        } else {
            Err(failed())
        }
    }

    /// Decides about a write of this kind: `[before, after]` name it in the counts.
    fn write(&mut self, life: u64, [before, after]: [&'static str; 2]) -> Result<Fate, StoreError> {
        self.reading(life)?;
        if self.full {
            self.met.hit("agent: disk full");
            return Ok(Fate::Refuse(StoreError::Full));
        }
        let fault = match self.fault.take() {
            Some((0, fault)) => fault,
            Some((later, fault)) => {
                self.fault = Some((later - 1, fault));
                return Ok(Fate::Go);
            }
            None => return Ok(Fate::Go),
        };
        Ok(match fault {
            DiskFault::Full => {
                self.met.hit("agent: disk full");
                Fate::Refuse(StoreError::Full)
            }
            DiskFault::CrashBefore => {
                self.met.hit(before);
                self.condition = Condition::Dead;
                Fate::Refuse(failed())
            }
            DiskFault::CrashAfter => {
                self.met.hit(after);
                self.condition = Condition::Dead;
                Fate::GoAndFail
            }
            DiskFault::FailBefore => {
                self.met.hit("agent: store failed before the write");
                self.condition = Condition::StoreFailed;
                Fate::Refuse(failed())
            }
            DiskFault::FailAfter => {
                self.met.hit("agent: store failed after the write");
                self.condition = Condition::StoreFailed;
                Fate::GoAndFail
            }
        })
    }
}

fn failed() -> StoreError {
    StoreError::Io("the simulation asked for it".into())
}

/// What a commit is for, by the tables that it writes.
fn commit_names(changes: &[Change]) -> [&'static str; 2] {
    let puts = |table| {
        changes
            .iter()
            .any(|change| matches!(change, Change::Put(t, ..) if *t == table))
    };
    let settles = puts(Table::Receipt)
        || changes
            .iter()
            .any(|change| matches!(change, Change::Delete(Table::Outbox, _)));
    if puts(Table::Quarantine) {
        [
            "agent: crash before commit set aside",
            "agent: crash after commit set aside",
        ]
    } else if settles {
        [
            "agent: crash before commit settle",
            "agent: crash after commit settle",
        ]
    } else if puts(Table::Outbox) {
        [
            "agent: crash before commit append",
            "agent: crash after commit append",
        ]
    } else if puts(Table::Draft) {
        [
            "agent: crash before commit draft",
            "agent: crash after commit draft",
        ]
    } else if puts(Table::Epoch) {
        [
            "agent: crash before commit epoch",
            "agent: crash after commit epoch",
        ]
    } else {
        [
            "agent: crash before commit state",
            "agent: crash after commit state",
        ]
    }
}

const DOCUMENT: [&str; 2] = [
    "agent: crash before document",
    "agent: crash after document",
];
const SPOOL: [&str; 2] = ["agent: crash before spool", "agent: crash after spool"];

/// The disk as one process has it.
pub(super) struct SimHome {
    disk: Disk,
    life: u64,
}

impl SimHome {
    pub(super) fn open(disk: &Disk) -> Self {
        let life = disk.inner().life;
        Self {
            disk: disk.clone(),
            life,
        }
    }

    fn reading(&self) -> Result<MutexGuard<'_, Inner>, StoreError> {
        let inner = self.disk.inner();
        inner.reading(self.life)?;
        Ok(inner)
    }

    fn writing<T>(
        &self,
        names: [&'static str; 2],
        write: impl FnOnce(&mut Inner) -> T,
    ) -> Result<T, StoreError> {
        let mut inner = self.disk.inner();
        match inner.write(self.life, names)? {
            Fate::Go => Ok(write(&mut inner)),
            Fate::Refuse(error) => Err(error),
            Fate::GoAndFail => {
                write(&mut inner);
                Err(failed())
            }
        }
    }
}

impl Home for SimHome {
    fn open_store(&self, _now: Timestamp) -> Result<(Box<dyn Store>, Option<String>), StoreError> {
        let inner = self.reading()?;
        let store = SimStore {
            store: inner.store.clone(),
            disk: self.disk.clone(),
            life: self.life,
        };
        Ok((Box::new(store), None))
    }

    fn set_aside_stores(&self) -> Result<Vec<String>, StoreError> {
        self.reading().map(|_| Vec::new())
    }

    fn read(&self, document: Document) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.reading()?.documents.get(&document).cloned())
    }

    fn write(&self, document: Document, bytes: &[u8]) -> Result<(), StoreError> {
        self.writing(DOCUMENT, |inner| {
            inner.documents.insert(document, bytes.to_vec());
        })
    }

    fn spool(&self) -> Result<Box<dyn SpoolFile>, StoreError> {
        drop(self.reading()?);
        Ok(Box::new(Partial {
            bytes: Vec::new(),
            home: Self {
                disk: self.disk.clone(),
                life: self.life,
            },
        }))
    }

    fn read_spooled(&self, name: &Digest, offset: u64, max: usize) -> Result<Vec<u8>, StoreError> {
        let inner = self.reading()?;
        let file = inner
            .spool
            .get(name)
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(file.len());
        let to = from.saturating_add(max).min(file.len());
        Ok(file.get(from..to).unwrap_or_default().to_vec())
    }

    fn spooled(&self) -> Result<Vec<Digest>, StoreError> {
        Ok(self.reading()?.spool.keys().copied().collect())
    }

    fn spooled_bytes(&self) -> Result<u64, StoreError> {
        let inner = self.reading()?;
        Ok(inner.spool.values().map(|file| file.len() as u64).sum())
    }

    fn remove_spooled(&self, name: &Digest) -> Result<(), StoreError> {
        self.writing(SPOOL, |inner| {
            inner.spool.remove(name);
        })
    }

    fn destroy(&self) -> Result<(), StoreError> {
        self.writing(SPOOL, |inner| {
            inner.documents.clear();
            inner.spool.clear();
        })
    }
}

/// A file of the spool that is being written; gone when it is dropped.
struct Partial {
    bytes: Vec<u8>,
    home: SimHome,
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
        let Self { bytes, home } = *self;
        home.writing(SPOOL, |inner| {
            inner.spool.insert(*name, bytes);
        })
    }
}

struct SimStore {
    store: MemoryStore,
    disk: Disk,
    life: u64,
}

impl SimStore {
    fn reading(&self) -> Result<(), StoreError> {
        self.disk.inner().reading(self.life)
    }
}

impl Store for SimStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.reading()?;
        self.store.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.reading()?;
        self.store.scan(table, prefix, after, limit)
    }

    fn scan_lengths(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, u64)>, StoreError> {
        self.reading()?;
        self.store.scan_lengths(table, prefix, after, limit)
    }

    fn usage(&self, table: Table) -> Result<Usage, StoreError> {
        self.reading()?;
        self.store.usage(table)
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let mut inner = self.disk.inner();
        let fate = inner.write(self.life, commit_names(changes))?;
        if let Fate::Refuse(error) = fate {
            return Err(error);
        }
        if inner.lagging.is_some() {
            inner.lagging = Some(self.store.backup());
        }
        self.store.apply(changes)?;
        match fate {
            Fate::GoAndFail => Err(failed()),
            Fate::Go | Fate::Refuse(_) => Ok(()),
        }
    }
}
