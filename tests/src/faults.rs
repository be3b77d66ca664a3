//! A disk under the agent that counts what is written to it and kills the process at a given
//! write, before or after it is done.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use candour_core::ports::{
    Change, Document, Home, Row, SpoolFile, Store, StoreError, Table, Usage,
};
use candour_wire::Digest;
use jiff::Timestamp;
use rustix::process::{Signal, getpid, kill_process};

/// The environment variable that says when the agent is to die, such as `before:3` or `after:1`.
pub const DIE: &str = "CANDOUR_TESTS_DIE";

/// At which write the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    /// Number of the write, from 1.
    pub at: u64,
    /// Whether the write is done first.
    pub after: bool,
}

impl FromStr for Death {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (when, at) = text
            .split_once(':')
            .ok_or("write it as before:3 or after:3")?;
        let after = match when {
            "before" => false,
            "after" => true,
            _ => return Err("before or after".into()),
        };
        Ok(Self {
            at: at.parse().map_err(|_| "the number of a write")?,
            after,
        })
    }
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}:{}",
            if self.after { "after" } else { "before" },
            self.at
        )
    }
}

/// A home whose process dies at a given write: a commit of the store, a document, or a file of the
/// spool that gets its name.
pub struct MortalHome {
    inner: Arc<dyn Home>,
    fate: Arc<Countdown>,
}

struct Countdown {
    writes: AtomicU64,
    death: Death,
}

impl Countdown {
    fn around<T>(&self, write: impl FnOnce() -> T) -> T {
        let fatal = self.writes.fetch_add(1, Ordering::SeqCst) + 1 == self.death.at;
        if fatal && !self.death.after {
            die();
        }
        let written = write();
        if fatal {
            die();
        }
        written
    }
}

/// Ends this process as `kill -9` does: nothing is flushed, nothing is dropped.
fn die() -> ! {
    // If the signal cannot be sent, aborting comes nearest.
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}

impl MortalHome {
    /// Puts the countdown before `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Home>, death: Death) -> Self {
        Self {
            inner,
            fate: Arc::new(Countdown {
                writes: AtomicU64::new(0),
                death,
            }),
        }
    }
}

impl Home for MortalHome {
    fn open_store(&self, now: Timestamp) -> Result<(Box<dyn Store>, Option<String>), StoreError> {
        let (inner, set_aside) = self.inner.open_store(now)?;
        Ok((
            Box::new(MortalStore {
                inner,
                fate: Arc::clone(&self.fate),
            }),
            set_aside,
        ))
    }

    fn set_aside_stores(&self) -> Result<Vec<String>, StoreError> {
        self.inner.set_aside_stores()
    }

    fn read(&self, document: Document) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.read(document)
    }

    fn write(&self, document: Document, bytes: &[u8]) -> Result<(), StoreError> {
        self.fate.around(|| self.inner.write(document, bytes))
    }

    fn spool(&self) -> Result<Box<dyn SpoolFile>, StoreError> {
        Ok(Box::new(MortalFile {
            inner: self.inner.spool()?,
            fate: Arc::clone(&self.fate),
        }))
    }

    fn read_spooled(&self, name: &Digest, offset: u64, max: usize) -> Result<Vec<u8>, StoreError> {
        self.inner.read_spooled(name, offset, max)
    }

    fn spooled(&self) -> Result<Vec<Digest>, StoreError> {
        self.inner.spooled()
    }

    fn spooled_bytes(&self) -> Result<u64, StoreError> {
        self.inner.spooled_bytes()
    }

    fn remove_spooled(&self, name: &Digest) -> Result<(), StoreError> {
        self.fate.around(|| self.inner.remove_spooled(name))
    }

    fn destroy(&self) -> Result<(), StoreError> {
        self.fate.around(|| self.inner.destroy())
    }
}

struct MortalStore {
    inner: Box<dyn Store>,
    fate: Arc<Countdown>,
}

impl Store for MortalStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.inner.scan(table, prefix, after, limit)
    }

    fn scan_lengths(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, u64)>, StoreError> {
        self.inner.scan_lengths(table, prefix, after, limit)
    }

    fn usage(&self, table: Table) -> Result<Usage, StoreError> {
        self.inner.usage(table)
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let Self { inner, fate } = self;
        fate.around(|| inner.apply(changes))
    }
}

struct MortalFile {
    inner: Box<dyn SpoolFile>,
    fate: Arc<Countdown>,
}

impl std::io::Write for MortalFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl SpoolFile for MortalFile {
    fn finish(self: Box<Self>, name: &Digest) -> Result<(), StoreError> {
        let Self { inner, fate } = *self;
        fate.around(|| inner.finish(name))
    }
}
