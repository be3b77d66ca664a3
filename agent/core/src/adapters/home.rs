//! The agent's home as a directory.
//!
//! ```text
//! agent.db, agent.db-wal   the store
//! agent.db.damaged-…       stores that were set aside
//! identity.json            who this handset is
//! policy.jws               the signed policy in force
//! attachments/             sealed files that wait
//! keys/                    the keys, where there is no hardware for them
//! agent.lock               held by the process that has the home
//! ```
//!
//! Everything belongs to its owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use candour_wire::{Digest, RecordId};
use jiff::Timestamp;

use super::files::{self, HomeLock};
use super::sqlite;
use crate::ports::{Document, Home, SpoolFile, Store, StoreError};

/// Name of the store's file; those beside it begin with it.
const STORE: &str = "agent.db";

/// What goes first when a home is destroyed: what says that there is a store, and then its log.
/// Either without the store would look like damage after a crash.
const GONE_FIRST: [&str; 2] = ["identity.json", "agent.db-wal"];

/// Longest document that is read, in bytes; a policy with its catalogue is the largest.
const DOCUMENT_MAX_BYTES: u64 = 4 << 20;

/// How the names of half-written files in the spool end.
const PARTIAL: &str = "part";

/// A directory that this process has to itself for as long as the value lives.
#[derive(Debug)]
pub struct HomeDir {
    dir: PathBuf,
    _lock: HomeLock,
}

impl HomeDir {
    /// Takes the directory, which is made if need be.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] where another process has it.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let lock = HomeLock::acquire(dir)?;
        let home = Self {
            dir: dir.to_owned(),
            _lock: lock,
        };
        files::create_private_dir(&home.spool_dir())?;
        home.remove_partial()?;
        Ok(home)
    }

    /// Removes what a process that was killed left half-written in the spool. Nobody else writes
    /// there while this process has the home.
    fn remove_partial(&self) -> Result<(), StoreError> {
        for entry in fs::read_dir(self.spool_dir())? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == PARTIAL)
            {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn document_path(&self, document: Document) -> PathBuf {
        self.dir.join(match document {
            Document::Identity => "identity.json",
            Document::Policy => "policy.jws",
        })
    }

    fn spool_dir(&self) -> PathBuf {
        self.dir.join("attachments")
    }
}

impl Home for HomeDir {
    fn open_store(&self, now: Timestamp) -> Result<(Box<dyn Store>, Option<String>), StoreError> {
        // Nobody is enrolled before the store is there.
        let used = self.document_path(Document::Identity).try_exists()?;
        let (store, set_aside) = sqlite::open_or_set_aside(&self.dir.join(STORE), used, now)?;
        Ok((Box::new(store), set_aside))
    }

    fn set_aside_stores(&self) -> Result<Vec<String>, StoreError> {
        sqlite::set_aside(&self.dir.join(STORE))
    }

    fn read(&self, document: Document) -> Result<Option<Vec<u8>>, StoreError> {
        let file = match File::open(self.document_path(document)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        file.take(DOCUMENT_MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn write(&self, document: Document, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(files::write_atomically(
            &self.document_path(document),
            bytes,
        )?)
    }

    fn spool(&self) -> Result<Box<dyn SpoolFile>, StoreError> {
        let partial = self.spool_dir().join(format!(
            "{}.{PARTIAL}",
            RecordId::make(Timestamp::UNIX_EPOCH)
        ));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)?;
        Ok(Box::new(Partial {
            file,
            partial,
            finished: false,
        }))
    }

    fn read_spooled(&self, name: &Digest, offset: u64, max: usize) -> Result<Vec<u8>, StoreError> {
        let mut file = File::open(self.spool_dir().join(name.to_string()))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(max as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn spooled(&self) -> Result<Vec<Digest>, StoreError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.spool_dir())? {
            names.extend(
                entry?
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse::<Digest>().ok()),
            );
        }
        Ok(names)
    }

    fn spooled_bytes(&self) -> Result<u64, StoreError> {
        let mut bytes = 0_u64;
        for entry in fs::read_dir(self.spool_dir())? {
            bytes = bytes.saturating_add(entry?.metadata()?.len());
        }
        Ok(bytes)
    }

    fn remove_spooled(&self, name: &Digest) -> Result<(), StoreError> {
        match fs::remove_file(self.spool_dir().join(name.to_string())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn destroy(&self) -> Result<(), StoreError> {
        let mut entries: Vec<_> = fs::read_dir(&self.dir)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(|entry| {
            let name = entry.file_name();
            GONE_FIRST
                .iter()
                .position(|first| name == **first)
                .unwrap_or(GONE_FIRST.len())
        });
        let mut first_error = None;
        for entry in entries {
            let name = entry.file_name();
            // The lock stays until the process ends, and a configuration is not the agent's.
            let ours = name.to_str().is_some_and(|name| {
                name.starts_with(STORE)
                    || ["identity.json", "policy.jws", "attachments"].contains(&name)
            });
            if !ours {
                continue;
            }
            let removed = match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path()),
                false => fs::remove_file(entry.path()),
            };
            first_error = first_error.or(removed.err());
        }
        files::sync_parent(&self.dir.join("agent.lock"))?;
        first_error.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// A spooled file before it has its name.
struct Partial {
    file: File,
    partial: PathBuf,
    finished: bool,
}

impl Write for Partial {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl SpoolFile for Partial {
    fn finish(mut self: Box<Self>, name: &Digest) -> Result<(), StoreError> {
        self.file.sync_all()?;
        let path = self.partial.with_file_name(name.to_string());
        fs::rename(&self.partial, &path)?;
        self.finished = true;
        Ok(files::sync_parent(&path)?)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.finished {
            // What is left behind goes when the home is next opened.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_replaced_whole_and_a_second_process_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let home = HomeDir::open(dir.path()).unwrap();
        assert_eq!(home.read(Document::Policy).unwrap(), None);
        home.write(Document::Policy, b"one").unwrap();
        home.write(Document::Policy, b"two").unwrap();
        assert_eq!(
            home.read(Document::Policy).unwrap().as_deref(),
            Some(b"two".as_slice())
        );
        let Err(StoreError::Busy { holder }) = HomeDir::open(dir.path()) else {
            panic!("two have the home");
        };
        assert_eq!(holder, Some(std::process::id()));
        drop(home);
        HomeDir::open(dir.path()).unwrap();
    }

    #[test]
    fn a_spooled_file_has_its_name_only_once_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let home = HomeDir::open(dir.path()).unwrap();
        let name = Digest::of(b"sealed");
        let mut abandoned = home.spool().unwrap();
        abandoned.write_all(b"sea").unwrap();
        drop(abandoned);
        assert_eq!(
            fs::read_dir(dir.path().join("attachments"))
                .unwrap()
                .count(),
            0
        );
        let mut spooled = home.spool().unwrap();
        spooled.write_all(b"sealed").unwrap();
        assert_eq!(home.spooled().unwrap(), []);
        assert_eq!(home.spooled_bytes().unwrap(), 6);
        spooled.finish(&name).unwrap();
        assert_eq!(home.spooled_bytes().unwrap(), 6);
        assert_eq!(home.spooled().unwrap(), [name]);
        assert_eq!(home.read_spooled(&name, 2, 3).unwrap(), b"ale");
        assert_eq!(home.read_spooled(&name, 6, 3).unwrap(), b"");
        home.remove_spooled(&name).unwrap();
        home.remove_spooled(&name).unwrap();
        assert!(home.read_spooled(&name, 0, 1).is_err());
    }

    #[test]
    fn what_a_killed_process_left_half_written_goes_when_the_home_is_next_opened() {
        let dir = tempfile::tempdir().unwrap();
        let home = HomeDir::open(dir.path()).unwrap();
        let mut whole = home.spool().unwrap();
        whole.write_all(b"sealed").unwrap();
        whole.finish(&Digest::of(b"sealed")).unwrap();
        std::mem::forget(home.spool().unwrap());
        drop(home);
        assert_eq!(
            fs::read_dir(dir.path().join("attachments"))
                .unwrap()
                .count(),
            2
        );
        let home = HomeDir::open(dir.path()).unwrap();
        assert_eq!(
            fs::read_dir(dir.path().join("attachments"))
                .unwrap()
                .count(),
            1
        );
        assert_eq!(home.spooled().unwrap(), [Digest::of(b"sealed")]);
    }

    #[test]
    fn a_store_that_was_set_aside_is_listed_once_even_where_only_its_log_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let home = HomeDir::open(dir.path()).unwrap();
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        drop(home.open_store(now).unwrap());
        assert_eq!(home.set_aside_stores().unwrap(), [""; 0]);
        fs::write(dir.path().join("agent.db"), [b'x'; 4096]).unwrap();
        let (_, set_aside) = home.open_store(now).unwrap();
        let first = set_aside.unwrap();
        for name in ["agent.db.damaged-20270101T000000Z-wal", "agent.db.damage"] {
            fs::write(dir.path().join(name), b"x").unwrap();
        }
        fs::write(dir.path().join(format!("{first}-wal")), b"x").unwrap();
        assert_eq!(
            home.set_aside_stores().unwrap(),
            [first.as_str(), "agent.db.damaged-20270101T000000Z"]
        );
    }

    #[test]
    fn a_store_that_is_gone_or_empty_is_told_where_somebody_was_enrolled() {
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        for harm in [
            |store: &Path| fs::remove_file(store),
            |store: &Path| fs::write(store, b""),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let home = HomeDir::open(dir.path()).unwrap();
            drop(home.open_store(now).unwrap());
            harm(&dir.path().join("agent.db")).unwrap();
            let (store, set_aside) = home.open_store(now).unwrap();
            assert_eq!(set_aside, None, "there was nothing in it");
            drop(store);
            home.write(Document::Identity, b"{}").unwrap();
            harm(&dir.path().join("agent.db")).unwrap();
            let (store, set_aside) = home.open_store(now).unwrap();
            let names = home.set_aside_stores().unwrap();
            assert_eq!(names, [set_aside.unwrap()]);
            drop(store);
            let (_, again) = home.open_store(now).unwrap();
            assert_eq!(again, None, "told once");
        }
    }

    #[test]
    fn a_crash_while_a_home_is_destroyed_leaves_nothing_that_looks_like_damage() {
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let [first, second] = GONE_FIRST;
        let in_order = [first, second, STORE];
        for removed in 0..=in_order.len() {
            let dir = tempfile::tempdir().unwrap();
            let home = HomeDir::open(dir.path()).unwrap();
            home.write(Document::Identity, b"{}").unwrap();
            let (mut store, _) =
                sqlite::open_or_set_aside(&dir.path().join(STORE), false, now).unwrap();
            let put = crate::ports::Change::Put(crate::ports::Table::Meta, vec![1], vec![2]);
            store.apply(&[put]).unwrap();
            // The store is open while its home is destroyed, so its log is there.
            let files = in_order.map(|name| fs::read(dir.path().join(name)).unwrap());
            drop(store);
            for (name, bytes) in in_order.iter().zip(files).skip(removed) {
                fs::write(dir.path().join(name), bytes).unwrap();
            }
            for name in in_order.iter().take(removed) {
                let _ = fs::remove_file(dir.path().join(name));
            }
            let (_, set_aside) = home.open_store(now).unwrap();
            assert_eq!(set_aside, None, "{removed} removed");
        }
    }

    #[test]
    fn destroying_a_home_leaves_only_what_is_not_the_agents() {
        let dir = tempfile::tempdir().unwrap();
        let home = HomeDir::open(dir.path()).unwrap();
        drop(
            home.open_store("2026-11-22T00:00:00Z".parse().unwrap())
                .unwrap(),
        );
        home.write(Document::Identity, b"{}").unwrap();
        fs::write(dir.path().join("agent.db.damaged-1"), b"x").unwrap();
        fs::write(dir.path().join("config.toml"), b"x").unwrap();
        home.destroy().unwrap();
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["agent.lock", "config.toml"]);
    }
}
