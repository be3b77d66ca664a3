//! Small private files: written whole or not at all, and a lock on the agent's home.
//!
//! A file that is replaced is written beside its place, synced, renamed over it, and then the
//! directory is synced: after a power cut there is the old file or the new one. On Apple's
//! systems Rust's `sync_all` is `F_FULLFSYNC`, which reaches the platter.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use candour_wire::Digest;
use ring::rand::{SecureRandom, SystemRandom};

use crate::ports::StoreError;

/// Makes a directory that only its owner may enter, with its parents, unless it is there. What is
/// made lasts through a power cut: a file that is synced is lost all the same where the directory
/// above it is.
///
/// # Errors
///
/// When it cannot be made.
pub fn create_private_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        create_private_dir(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => sync_parent(dir),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes a file that only its owner may read, in place of an earlier one. When it returns, the
/// file is on disk. Blocks on the disk.
///
/// # Errors
///
/// When it cannot be written. The earlier file is untouched then, unless it was the directory that
/// could not be synced: the new file is in its place, and a power cut may bring the earlier one
/// back.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_path(path)?;
    let written = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // What was half-written is of no use; if it cannot be removed it does no harm either.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_parent(path)
}

/// Overwrites a file with zeros, then removes it. Does nothing where there is none.
///
/// Flash memory may keep the old pages all the same; what counts is that nothing else is left
/// that leads to them.
///
/// # Errors
///
/// When it cannot be overwritten or removed.
pub fn destroy(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut left = file.metadata()?.len();
    while left > 0 {
        let piece = left.min(ZEROS.len() as u64);
        let zeros = usize::try_from(piece)
            .ok()
            .and_then(|piece| ZEROS.get(..piece))
            .unwrap_or(&ZEROS);
        file.write_all(zeros)?;
        left -= piece;
    }
    file.sync_all()?;
    fs::remove_file(path)?;
    sync_parent(path)
}

/// Makes what was created, renamed or removed in the directory of `path` last through a power
/// cut.
///
/// # Errors
///
/// When the directory cannot be synced.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()
}

/// The agent's home, held by this process alone for as long as this lives.
///
/// The lock is the operating system's, on `agent.lock`, so it ends with the process however that
/// ends. The file holds the process id, for whoever is told that it is taken.
#[derive(Debug)]
pub struct HomeLock {
    /// Closing the file gives the lock back.
    _file: File,
}

impl HomeLock {
    /// Takes the lock of the home `dir`, which is made if need be. Does not wait.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] where another process, or this one, has it; [`StoreError::Io`] where
    /// the lock file cannot be written.
    pub fn acquire(dir: &Path) -> Result<Self, StoreError> {
        create_private_dir(dir)?;
        let path = dir.join("agent.lock");
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let mut file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Busy {
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        file.set_len(0).and_then(|()| file.rewind())?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }
}

/// Who wrote the lock file. It may be half-written or be rewritten right now, so it is only told
/// to people.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A name beside `path` that nobody else uses.
fn temporary_path(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| io::Error::other("no randomness"))?;
    let mut name = path
        .file_name()
        .ok_or(io::ErrorKind::InvalidFilename)?
        .to_owned();
    name.push(format!(".tmp-{:.12}", Digest::of(&random).to_hex()));
    Ok(path.with_file_name(name))
}

static ZEROS: [u8; 4096] = [0; 4096];

#[cfg(test)]
mod tests;
