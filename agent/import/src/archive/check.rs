//! Is an archive safe to open?

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use memchr::memmem;
use zip::CompressionMethod;
use zip::read::{ZipArchive, ZipFileEntry};
use zip::result::ZipError;

use super::{Entry, damaged};
use crate::ImportError;
use crate::limits::{
    ENTRIES_MAX, ENTRY_DEPTH_MAX, ENTRY_MAX_BYTES, ENTRY_NAME_MAX_BYTES, RATIO_FREE_BYTES,
    RATIO_MAX,
};

/// Why an archive is not opened. Numbers are those of [`crate::limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveRefusal {
    /// It is no zip archive, or its directory cannot be read.
    #[error("it is not a zip archive, or its directory is damaged")]
    Unreadable,
    /// More than [`ENTRIES_MAX`] entries.
    #[error("it has more than {ENTRIES_MAX} entries")]
    TooManyEntries,
    /// An entry's name is longer than [`ENTRY_NAME_MAX_BYTES`], or not in a known encoding.
    #[error("an entry's name is too long or unreadable")]
    NameUnreadable,
    /// An entry's name leads out of the archive (absolute, `..`, a drive, a backslash, a NUL).
    #[error("an entry's name leads out of the archive")]
    PathTraversal,
    /// An entry lies under more than [`ENTRY_DEPTH_MAX`] folders.
    #[error("an entry lies under more than {ENTRY_DEPTH_MAX} folders")]
    TooDeep,
    /// Two entries have one name.
    #[error("two entries have the same name")]
    DuplicateName,
    /// An entry is a symbolic link.
    #[error("an entry is a symbolic link")]
    Symlink,
    /// An entry is encrypted.
    #[error("an entry is encrypted")]
    Encrypted,
    /// An entry is compressed in a way that no export uses.
    #[error("an entry is compressed with a method other than deflate")]
    Method,
    /// An entry announces more than [`ENTRY_MAX_BYTES`].
    #[error("an entry is larger than {ENTRY_MAX_BYTES} bytes")]
    EntryTooLarge,
    /// An entry inflates to more than [`RATIO_MAX`] times its size.
    #[error("an entry inflates to more than {RATIO_MAX} times its size")]
    Ratio,
    /// Two entries share bytes.
    #[error("two entries overlap")]
    Overlap,
}

/// Most bytes read while the directory is checked: 60,000 entries with names, times and paddings,
/// in the directory and before each file's bytes, make some 30 MB.
const DIRECTORY_MAX_BYTES: u64 = 64 << 20;

/// A reader with an allowance, so that a hostile directory cannot make the archive reader take in
/// more than one export's worth. [`open`] lifts it at its end.
pub(super) struct Metered<R> {
    inner: R,
    left: Arc<AtomicU64>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Relaxed);
        let allowed = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if allowed == 0 && !buffer.is_empty() {
            return Err(io::Error::other(Spent));
        }
        let read = self
            .inner
            .read(buffer.get_mut(..allowed).unwrap_or_default())?;
        self.left.store(left.saturating_sub(read as u64), Relaxed);
        Ok(read)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the archive's directory is too large")]
struct Spent;

/// Reads and checks the directory, after making sure that it announces no more entries than are taken.
pub(super) fn open<R: Read + Seek>(
    mut reader: R,
) -> Result<(ZipArchive<Metered<R>>, Vec<Entry>), ImportError> {
    end_records(&mut reader)?;
    let left = Arc::new(AtomicU64::new(DIRECTORY_MAX_BYTES));
    let metered = Metered {
        inner: reader,
        left: Arc::clone(&left),
    };
    let mut archive = ZipArchive::new(metered).map_err(refused)?;
    let entries = entries(&mut archive)?;
    // What the holder asks for from here on has limits of its own.
    left.store(u64::MAX, Relaxed);
    Ok((archive, entries))
}

/// Checks every entry and lists the files.
fn entries<R: Read + Seek>(
    archive: &mut ZipArchive<Metered<R>>,
) -> Result<Vec<Entry>, ImportError> {
    if archive.len() > ENTRIES_MAX {
        return Err(ArchiveRefusal::TooManyEntries.into());
    }
    if archive.has_duplicate_names() {
        return Err(ArchiveRefusal::DuplicateName.into());
    }
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    for position in 0..archive.len() {
        let entry = archive.by_index_data(position).map_err(refused)?;
        let name = check(&entry)?;
        // Names that differ only in case are one file on a phone or a Mac.
        if !seen.insert(name.to_lowercase()) {
            return Err(ArchiveRefusal::DuplicateName.into());
        }
        if entry.is_file() {
            files.push(Entry {
                name,
                bytes: entry.size(),
                position,
            });
        }
    }
    if archive.has_overlapping_entries().map_err(refused)? {
        return Err(ArchiveRefusal::Overlap.into());
    }
    Ok(files)
}

fn check(entry: &ZipFileEntry<'_>) -> Result<String, ArchiveRefusal> {
    if entry.name_raw().len() > ENTRY_NAME_MAX_BYTES {
        return Err(ArchiveRefusal::NameUnreadable);
    }
    let name = entry
        .name()
        .map_err(|_| ArchiveRefusal::NameUnreadable)?
        .into_owned();
    safe_path(&name)?;
    if entry.is_symlink() {
        return Err(ArchiveRefusal::Symlink);
    }
    if entry.encrypted() {
        return Err(ArchiveRefusal::Encrypted);
    }
    if !matches!(
        entry.compression(),
        CompressionMethod::Stored | CompressionMethod::Deflated
    ) {
        return Err(ArchiveRefusal::Method);
    }
    if entry.size() > ENTRY_MAX_BYTES {
        return Err(ArchiveRefusal::EntryTooLarge);
    }
    let most = entry.compressed_size().saturating_mul(RATIO_MAX);
    if entry.size() > RATIO_FREE_BYTES && entry.size() > most {
        return Err(ArchiveRefusal::Ratio);
    }
    Ok(name)
}

/// Whether a path stays inside its folder, on any system.
pub(crate) fn is_safe_path(path: &str) -> bool {
    safe_path(path).is_ok()
}

/// Whether a name stays inside the folder it would be unpacked to, on any system.
fn safe_path(name: &str) -> Result<(), ArchiveRefusal> {
    let path = name.strip_suffix('/').unwrap_or(name);
    if path.contains(['\\', '\0']) {
        return Err(ArchiveRefusal::PathTraversal);
    }
    let mut depth = 0_usize;
    for part in path.split('/') {
        // An empty part is an absolute path or a doubled slash; `C:` is a drive on Windows.
        let drive = part.len() == 2 && part.ends_with(':');
        if part.is_empty() || part == "." || part == ".." || drive {
            return Err(ArchiveRefusal::PathTraversal);
        }
        depth += 1;
    }
    if depth > ENTRY_DEPTH_MAX + 1 {
        Err(ArchiveRefusal::TooDeep)
    } else {
        Ok(())
    }
}

/// Looks at every end record that the archive reader could take (APPNOTE 4.3.16: in the last
/// 64 KiB) and refuses counts over [`ENTRIES_MAX`], since room for the directory is made by them.
fn end_records<R: Read + Seek>(reader: &mut R) -> Result<(), ImportError> {
    const END: &[u8] = b"PK\x05\x06";
    const END_BYTES: usize = 22;
    const LOCATOR: &[u8] = b"PK\x06\x07";
    const LOCATOR_BYTES: usize = 20;
    const END64: &[u8] = b"PK\x06\x06";
    const END64_BYTES: usize = 56;
    const COMMENT_MAX_BYTES: usize = u16::MAX as usize;
    const TAIL_BYTES: usize = END64_BYTES + LOCATOR_BYTES + END_BYTES + COMMENT_MAX_BYTES;

    let len = reader
        .seek(SeekFrom::End(0))
        .map_err(ImportError::Damaged)?;
    let tail_len = len.min(TAIL_BYTES as u64);
    let tail_start = len - tail_len;
    reader
        .seek(SeekFrom::Start(tail_start))
        .map_err(ImportError::Damaged)?;
    let mut tail = Vec::new();
    reader
        .take(tail_len)
        .read_to_end(&mut tail)
        .map_err(ImportError::Damaged)?;

    let mut found = false;
    for at in memmem::find_iter(&tail, END) {
        let Some(count) = number(&tail, at + 10, 2) else {
            continue;
        };
        found = true;
        let locator = at.checked_sub(LOCATOR_BYTES);
        let Some(locator) =
            locator.filter(|at| tail.get(*at..).is_some_and(|l| l.starts_with(LOCATOR)))
        else {
            if count > ENTRIES_MAX as u64 {
                return Err(ArchiveRefusal::TooManyEntries.into());
            }
            continue;
        };
        // The ZIP64 record (4.3.14) stands right before its locator (4.3.15) in what phones and
        // common tools write; anywhere else its count could not be trusted.
        let record = locator.checked_sub(END64_BYTES);
        let named = number(&tail, locator + 8, 8);
        let record = record
            .filter(|at| named == Some(tail_start + *at as u64))
            .filter(|at| {
                tail.get(*at..)
                    .is_some_and(|record| record.starts_with(END64))
            })
            .ok_or(ArchiveRefusal::Unreadable)?;
        if number(&tail, record + 32, 8).is_none_or(|count| count > ENTRIES_MAX as u64) {
            return Err(ArchiveRefusal::TooManyEntries.into());
        }
    }
    if found {
        Ok(())
    } else {
        Err(ArchiveRefusal::Unreadable.into())
    }
}

/// The little-endian number of `width` bytes at `at`.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

fn refused(error: ZipError) -> ImportError {
    match error {
        ZipError::Io(error) if error.get_ref().is_some_and(|source| source.is::<Spent>()) => {
            ArchiveRefusal::TooManyEntries.into()
        }
        ZipError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            damaged(ZipError::Io(error))
        }
        _ => ArchiveRefusal::Unreadable.into(),
    }
}
