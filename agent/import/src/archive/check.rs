//! Is an archive safe to open?

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use memchr::memmem;
use zip::CompressionMethod;
use zip::read::{ZipArchive, ZipFileEntry};
use zip::result::ZipError;

use super::damaged;
use crate::ImportError;
use crate::bundle::{Entry, Refusal, check_path};
use crate::limits::{ENTRIES_MAX, ENTRY_PATH_MAX_BYTES, RATIO_FREE_BYTES, RATIO_MAX};

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

/// A file, and its place in the archive's directory.
pub(super) type Listed = (usize, Entry);

/// Reads and checks the directory, after making sure that it announces no more entries than are taken.
pub(super) fn open<R: Read + Seek>(
    mut reader: R,
) -> Result<(ZipArchive<Metered<R>>, Vec<Listed>), ImportError> {
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

/// Checks what only an archive can have, of every entry, and lists the files.
fn entries<R: Read + Seek>(
    archive: &mut ZipArchive<Metered<R>>,
) -> Result<Vec<Listed>, ImportError> {
    if archive.len() > ENTRIES_MAX {
        return Err(Refusal::TooManyEntries.into());
    }
    if archive.has_duplicate_names() {
        return Err(Refusal::DuplicateName.into());
    }
    let mut files = Vec::new();
    for position in 0..archive.len() {
        let entry = archive.by_index_data(position).map_err(refused)?;
        let name = check(&entry)?;
        if entry.is_file() || entry.is_symlink() {
            let file = Entry {
                name,
                bytes: entry.size(),
                is_link: entry.is_symlink(),
            };
            files.push((position, file));
        } else {
            check_path(name.strip_suffix('/').unwrap_or(&name))?;
        }
    }
    if archive.has_overlapping_entries().map_err(refused)? {
        return Err(Refusal::Overlap.into());
    }
    Ok(files)
}

fn check(entry: &ZipFileEntry<'_>) -> Result<String, Refusal> {
    if entry.name_raw().len() > ENTRY_PATH_MAX_BYTES {
        return Err(Refusal::NameUnreadable);
    }
    let name = entry
        .name()
        .map_err(|_| Refusal::NameUnreadable)?
        .into_owned();
    if entry.encrypted() {
        return Err(Refusal::Encrypted);
    }
    if !matches!(
        entry.compression(),
        CompressionMethod::Stored | CompressionMethod::Deflated
    ) {
        return Err(Refusal::Method);
    }
    let most = entry.compressed_size().saturating_mul(RATIO_MAX);
    if entry.size() > RATIO_FREE_BYTES && entry.size() > most {
        return Err(Refusal::Ratio);
    }
    Ok(name)
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
                return Err(Refusal::TooManyEntries.into());
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
            .ok_or(Refusal::Unreadable)?;
        if number(&tail, record + 32, 8).is_none_or(|count| count > ENTRIES_MAX as u64) {
            return Err(Refusal::TooManyEntries.into());
        }
    }
    if found {
        Ok(())
    } else {
        Err(Refusal::Unreadable.into())
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
            Refusal::TooManyEntries.into()
        }
        ZipError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            damaged(ZipError::Io(error))
        }
        _ => Refusal::Unreadable.into(),
    }
}
