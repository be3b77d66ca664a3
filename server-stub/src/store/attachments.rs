//! The bytes of sealed files, in a directory: `<handset id>/<hex SHA-256>`, with `.part` until
//! the file is whole.
//!
//! How far a file has come is decided by the store's row, which is written after the bytes are
//! synced. Bytes beyond that are of a piece that was cut off, and are written over. A file loses
//! its `.part` only once its digest has been checked and it is synced.
//!
//! All functions block.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use candour_wire::{Digest, HandsetId};
use ring::digest::{Context, SHA256};

/// The directory.
#[derive(Debug, Clone)]
pub(super) struct AttachmentDir {
    root: PathBuf,
}

/// What became of a piece that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The file goes on at this offset.
    Partial(u64),
    /// The file is whole and right.
    Whole,
    /// The file is whole and has another digest; it was removed.
    WrongDigest,
    /// What came before the piece is not on disk, as after a restore from a backup; the file
    /// starts again.
    Lost,
}

/// Why a piece was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpoolError {
    /// There is no room.
    #[error("no room for attachments")]
    Full(#[source] io::Error),
    /// A sync failed: nobody knows what is on disk.
    #[error("an attachment could not be synced to disk")]
    Sync(#[source] io::Error),
    /// Anything else.
    #[error("an attachment could not be written or read")]
    Io(#[source] io::Error),
}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(error),
            _ => Self::Io(error),
        }
    }
}

impl AttachmentDir {
    /// Uses `root`, making it when it is missing.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        make_private_dir(root)?;
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// Writes `bytes` at `offset` of a file that will have `total` bytes, up to `offset` of which
    /// are there, and syncs.
    pub(super) fn write(
        &self,
        handset: &HandsetId,
        sha256: &Digest,
        offset: u64,
        bytes: &[u8],
        total: u64,
    ) -> Result<Written, SpoolError> {
        let part = self.part_path(handset, sha256);
        let whole = self.whole_path(handset, sha256);
        let dir = self.handset_dir(handset);
        make_private_dir(&dir)?;
        if whole.try_exists()? {
            // It was finished, but the row was not written. Its digest was checked then.
            if fs::metadata(&whole)?.len() == total {
                sync_dir(&dir)?;
                return Ok(Written::Whole);
            }
            self.remove(handset, sha256)?;
            return Ok(Written::WrongDigest);
        }
        let mut file = private_file(&part)?;
        if file.metadata()?.len() < offset {
            drop(file);
            self.remove(handset, sha256)?;
            return Ok(Written::Lost);
        }
        file.set_len(offset)?;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)?;
        file.sync_all().map_err(SpoolError::Sync)?;
        let arrived = offset.saturating_add(bytes.len() as u64);
        if arrived < total {
            sync_dir(&dir)?;
            return Ok(Written::Partial(arrived));
        }
        file.seek(SeekFrom::Start(0))?;
        if digest_of(&mut file)? != *sha256 {
            drop(file);
            self.remove(handset, sha256)?;
            return Ok(Written::WrongDigest);
        }
        fs::rename(&part, &whole)?;
        sync_dir(&dir)?;
        Ok(Written::Whole)
    }

    /// At most `max_bytes` from `offset` of a whole file; `None` when it is not there.
    pub(super) fn read(
        &self,
        handset: &HandsetId,
        sha256: &Digest,
        offset: u64,
        max_bytes: usize,
    ) -> Result<Option<Vec<u8>>, SpoolError> {
        let mut file = match File::open(self.whole_path(handset, sha256)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(max_bytes as u64).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Says what is wrong with a file that had arrived; reads all of it.
    pub(super) fn fault(
        &self,
        handset: &HandsetId,
        sha256: &Digest,
        size: u64,
    ) -> Option<&'static str> {
        let read = || {
            let mut file = File::open(self.whole_path(handset, sha256))?;
            Ok::<_, io::Error>((file.metadata()?.len(), digest_of(&mut file)?))
        };
        match read() {
            Ok(found) if found == (size, *sha256) => None,
            Ok(_) => Some("is not what arrived"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some("is missing"),
            Err(_) => Some("cannot be read"),
        }
    }

    /// Removes what there is of a file.
    pub(super) fn remove(&self, handset: &HandsetId, sha256: &Digest) -> Result<(), SpoolError> {
        for path in [
            self.part_path(handset, sha256),
            self.whole_path(handset, sha256),
        ] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn handset_dir(&self, handset: &HandsetId) -> PathBuf {
        // A handset id is an h and hexadecimal digits, so it cannot lead elsewhere.
        self.root.join(handset.as_str())
    }

    fn whole_path(&self, handset: &HandsetId, sha256: &Digest) -> PathBuf {
        self.handset_dir(handset).join(sha256.to_hex())
    }

    fn part_path(&self, handset: &HandsetId, sha256: &Digest) -> PathBuf {
        self.handset_dir(handset)
            .join(format!("{}.part", sha256.to_hex()))
    }
}

fn digest_of(file: &mut File) -> io::Result<Digest> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => context.update(buffer.get(..count).unwrap_or(&buffer)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    Ok(Digest(digest))
}

/// Makes the directory if it is missing, for this account alone, and syncs its parent.
fn make_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(dir) {
        Ok(()) => match dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => File::open(parent)?.sync_all(),
            None => File::open(".")?.sync_all(),
        },
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn sync_dir(dir: &Path) -> Result<(), SpoolError> {
    File::open(dir)?.sync_all().map_err(SpoolError::Sync)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"0123456789";

    struct Fixture {
        _root: tempfile::TempDir,
        dir: AttachmentDir,
        handset: HandsetId,
    }

    impl Fixture {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let dir = AttachmentDir::open(&root.path().join("attachments")).unwrap();
            Self {
                _root: root,
                dir,
                handset: HandsetId::derive(b"key"),
            }
        }

        fn write(&self, offset: u64, bytes: &[u8]) -> Written {
            self.dir
                .write(&self.handset, &Digest::of(FILE), offset, bytes, 10)
                .unwrap()
        }

        fn read(&self) -> Option<Vec<u8>> {
            self.dir
                .read(&self.handset, &Digest::of(FILE), 0, 100)
                .unwrap()
        }
    }

    #[test]
    fn bytes_of_a_piece_that_was_cut_off_are_written_over() {
        let spool = Fixture::new();
        assert_eq!(spool.write(0, b"0123"), Written::Partial(4));
        // The row was not written: the same piece comes again, here with other neighbours.
        assert_eq!(spool.write(0, b"01"), Written::Partial(2));
        assert_eq!(spool.read(), None);
        assert_eq!(spool.write(2, b"23456789"), Written::Whole);
        assert_eq!(spool.read().unwrap(), FILE);
    }

    #[test]
    fn a_file_that_was_finished_before_its_row_was_written_is_whole() {
        let spool = Fixture::new();
        assert_eq!(spool.write(0, FILE), Written::Whole);
        assert_eq!(spool.write(4, b"456789"), Written::Whole);
        assert_eq!(spool.read().unwrap(), FILE);
    }

    #[test]
    fn a_file_that_is_shorter_than_its_row_says_starts_again() {
        let spool = Fixture::new();
        assert_eq!(spool.write(0, b"01"), Written::Partial(2));
        assert_eq!(spool.write(4, b"456789"), Written::Lost);
        assert_eq!(spool.write(0, FILE), Written::Whole);
    }
}
