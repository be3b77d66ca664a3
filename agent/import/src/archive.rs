//! An export in a zip archive: the chat's text, and its files one at a time.
//!
//! Archives come from other people. Opening one reads its directory and refuses the whole archive
//! for anything that no export contains; nothing is inflated until it is asked for, and then never
//! more than was announced. An archive inside an archive is a file like any other and is not
//! opened.

mod check;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read, Seek};

use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

pub use check::ArchiveRefusal;
use check::Metered;
pub(crate) use check::is_safe_path;

use crate::limits::{PREAMBLE_MAX_BYTES, TEXT_MAX_BYTES};
use crate::{Conversation, Format, ImportError, Options, import, sniff};

/// Most texts looked into for the chat: besides it, people send text files now and then.
const CANDIDATES_MAX: usize = 64;

/// One file in an archive.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the archive, checked: relative, no `..`, `/` between parts.
    pub name: String,
    /// How many bytes it has once inflated, as announced.
    pub bytes: u64,
    position: usize,
}

impl fmt::Debug for Entry {
    /// Without the name, which is content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// An opened archive that holds one chat.
pub struct Export<R> {
    archive: ZipArchive<Metered<R>>,
    entries: Vec<Entry>,
    /// The paths of the files beside the chat's text, from the folder that it lies in.
    names: BTreeSet<String>,
    chat: usize,
    format: Format,
}

impl<R: Read + Seek> Export<R> {
    /// Opens an archive, checks all of its directory and finds the chat's text by its content.
    ///
    /// Blocks on `reader`; holds at most the directory, some hundred bytes an entry.
    ///
    /// # Errors
    ///
    /// [`ImportError::Archive`] with the reason when it is not safe to open,
    /// [`ImportError::NoChat`] or [`ImportError::SeveralChats`] when there is not one chat in it,
    /// [`ImportError::Damaged`] when it cannot be read.
    pub fn open(reader: R) -> Result<Self, ImportError> {
        let (mut archive, entries) = check::open(reader)?;
        let (chat, format) = find_chat(&mut archive, &entries)?;
        let folder = entries.get(chat).map_or("", |entry| folder(&entry.name));
        let names = entries
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != chat)
            .filter_map(|(_, entry)| entry.name.strip_prefix(folder))
            .map(str::to_owned)
            .collect();
        Ok(Self {
            archive,
            entries,
            names,
            chat,
            format,
        })
    }

    /// The name of the chat's text in the archive.
    #[must_use]
    pub fn chat_name(&self) -> &str {
        self.entries.get(self.chat).map_or("", |entry| &entry.name)
    }

    /// Which export the archive holds.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The files beside the chat's text.
    pub fn attachments(&self) -> impl Iterator<Item = &Entry> {
        let chat = self.chat;
        self.entries
            .iter()
            .enumerate()
            .filter(move |(index, _)| *index != chat)
            .map(|(_, e)| e)
    }

    /// Reads the chat's text as it is inflated, for texts that are too large to be held whole.
    ///
    /// # Errors
    ///
    /// As [`attachment`](Self::attachment), without a limit.
    pub fn chat_reader(&mut self) -> Result<AttachmentReader<'_, R>, ImportError> {
        let entry = self
            .entries
            .get(self.chat)
            .cloned()
            .ok_or(ImportError::NoChat)?;
        self.reader(&entry, u64::MAX)
    }

    /// Inflates the chat's text, whole.
    ///
    /// # Errors
    ///
    /// [`ImportError::TooLarge`] over [`TEXT_MAX_BYTES`], [`ImportError::Damaged`] when it ends
    /// early or fails its checksum.
    pub fn read_chat(&mut self) -> Result<Vec<u8>, ImportError> {
        let entry = self
            .entries
            .get(self.chat)
            .cloned()
            .ok_or(ImportError::NoChat)?;
        let mut text = Vec::new();
        self.reader(&entry, TEXT_MAX_BYTES as u64)?
            .read_to_end(&mut text)
            .map_err(ImportError::Damaged)?;
        Ok(text)
    }

    /// Indexes `text`, which [`read_chat`](Self::read_chat) returned, knowing which files came
    /// with it.
    ///
    /// # Errors
    ///
    /// As [`import`](crate::import()).
    pub fn import<'a>(
        &self,
        text: &'a [u8],
        options: &Options<'_>,
    ) -> Result<Conversation<'a>, ImportError> {
        import(
            text,
            &Options {
                attachments: Some(&self.names),
                ..*options
            },
        )
    }

    /// Reads the file `name`, as a message names it, of at most `max_bytes` bytes.
    ///
    /// # Errors
    ///
    /// [`ImportError::NoSuchFile`] when there is none (exports leave old media out),
    /// [`ImportError::TooLarge`] when it announces more. Reading ends in an error when the file
    /// fails its checksum or holds more than it announced.
    pub fn attachment(
        &mut self,
        name: &str,
        max_bytes: u64,
    ) -> Result<AttachmentReader<'_, R>, ImportError> {
        let chat = self.chat;
        let folder = folder(self.chat_name()).to_owned();
        let entry = self
            .entries
            .iter()
            .enumerate()
            .find(|(index, entry)| {
                *index != chat && entry.name.strip_prefix(folder.as_str()) == Some(name)
            })
            .map(|(_, entry)| entry.clone())
            .ok_or(ImportError::NoSuchFile)?;
        self.reader(&entry, max_bytes)
    }

    fn reader(&mut self, entry: &Entry, max: u64) -> Result<AttachmentReader<'_, R>, ImportError> {
        open_entry(&mut self.archive, entry, max)
    }
}

impl<R> fmt::Debug for Export<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

/// Reads one file of an archive; see [`Export::attachment`].
pub struct AttachmentReader<'a, R: Read> {
    file: ZipFile<'a, Metered<R>>,
    /// What it may still give.
    left: u64,
}

impl<R: Read> Read for AttachmentReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) if read > 0 || left == 0 || buffer.is_empty() => {
                self.left = left;
                Ok(read)
            }
            Some(_) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "an archive entry is larger than it announced",
            )),
        }
    }
}

impl<R: Read> fmt::Debug for AttachmentReader<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachmentReader")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

fn open_entry<'a, R: Read + Seek>(
    archive: &'a mut ZipArchive<Metered<R>>,
    entry: &Entry,
    max: u64,
) -> Result<AttachmentReader<'a, R>, ImportError> {
    if entry.bytes > max {
        return Err(ImportError::TooLarge {
            bytes: entry.bytes,
            max,
        });
    }
    let file = archive.by_index(entry.position).map_err(damaged)?;
    Ok(AttachmentReader {
        file,
        left: entry.bytes,
    })
}

/// The folder of `name`, with its last slash.
fn folder(name: &str) -> &str {
    name.rfind('/')
        .and_then(|slash| name.get(..=slash))
        .unwrap_or_default()
}

/// Whether an app gives its export this name. A chat that somebody sent as a file has another.
fn is_given(name: &str) -> bool {
    matches!(name, "_chat.txt" | "main.jsonl" | "result.json")
        || crate::title_from_name(name).is_some()
}

/// The entry that is an exported chat, by its content.
fn find_chat<R: Read + Seek>(
    archive: &mut ZipArchive<Metered<R>>,
    entries: &[Entry],
) -> Result<(usize, Format), ImportError> {
    let base = |entry: &Entry| {
        let from = folder(&entry.name).len();
        is_given(entry.name.get(from..).unwrap_or_default())
    };
    let mut texts: Vec<(usize, &Entry)> = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| {
            let name = entry.name.to_ascii_lowercase();
            let text = [".txt", ".json", ".jsonl"]
                .iter()
                .any(|end| name.ends_with(end));
            // Files that people sent lie in folders; WhatsApp has none.
            text && (base(entry) || !name.contains('/'))
        })
        .collect();
    texts.sort_by_key(|(_, entry)| !base(entry));
    let mut found = Vec::new();
    for (index, entry) in texts.into_iter().take(CANDIDATES_MAX) {
        let mut start = Vec::new();
        open_entry(archive, entry, u64::MAX)?
            .take(PREAMBLE_MAX_BYTES as u64)
            .read_to_end(&mut start)
            .map_err(ImportError::Damaged)?;
        match sniff(&start) {
            None | Some(Format::Zip) => {}
            Some(format) => found.push((index, entry, format)),
        }
    }
    match found.as_slice() {
        [] => Err(ImportError::NoChat),
        [(index, _, format)] => Ok((*index, *format)),
        several => {
            // Of those the outermost: files that people sent lie deeper.
            let named = several.iter().filter(|(_, entry, _)| base(entry));
            let depth = |entry: &Entry| entry.name.matches('/').count();
            let least = named.clone().map(|(_, entry, _)| depth(entry)).min();
            let mut named = named.filter(|(_, entry, _)| Some(depth(entry)) == least);
            match (named.next(), named.next()) {
                (Some((index, _, format)), None) => Ok((*index, *format)),
                _ => Err(ImportError::SeveralChats(several.len())),
            }
        }
    }
}

/// Errors of the archive reader say nothing that a holder can use beyond their kind.
fn damaged(error: ZipError) -> ImportError {
    match error {
        ZipError::Io(error) => ImportError::Damaged(error),
        other => ImportError::Damaged(io::Error::new(io::ErrorKind::InvalidData, other)),
    }
}
