//! An export in several files: its chats, the files of one of them, and its attachments one at a
//! time.
//!
//! [`Export`] finds the chats of a [`Bundle`] by the first bytes of its files. Nothing more is read
//! until a chat is chosen, and then only that chat's files.

mod chats;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read};

pub use chats::ChatFiles;

use crate::bundle::{Bundle, Entry, check};
use crate::limits::{FILES_MAX, PREAMBLE_MAX_BYTES, TEXT_MAX_BYTES};
use crate::teams::is_tar;
use crate::{Conversation, ImportError, Options, import_files};

/// Most bytes that room is made for before they come: an archive can announce what it does not hold.
const ROOM_BYTES: usize = 32 << 20;

/// Files that were exported together, and the chats in them.
pub struct Export<B> {
    bundle: B,
    entries: Vec<Entry>,
    chats: Vec<ChatFiles>,
}

impl<B: Bundle> Export<B> {
    /// Checks all that `bundle` lists and finds its chats by their content.
    ///
    /// Blocks on the bundle; holds at most the list of its files.
    ///
    /// # Errors
    ///
    /// [`ImportError::Refused`] with the reason when it is not safe to open,
    /// [`ImportError::NoChat`] when there is no chat in it, [`ImportError::Tar`] when it is a tar
    /// archive, [`ImportError::TooManyFiles`] when more files than [`FILES_MAX`] could be one,
    /// [`ImportError::Damaged`] when it cannot be read.
    pub fn open(mut bundle: B) -> Result<Self, ImportError> {
        let entries = bundle.entries()?;
        check(&entries)?;
        let mut start = |place, entry: &Entry| {
            let mut start = Vec::new();
            reader(&mut bundle, place, entry)?
                .take(PREAMBLE_MAX_BYTES as u64)
                .read_to_end(&mut start)
                .map_err(ImportError::Damaged)?;
            Ok(start)
        };
        let chats = chats::find(&entries, &mut start)?;
        if chats.is_empty() {
            return Err(match entries.as_slice() {
                [only] if is_tar(&start(0, only)?) => ImportError::Tar,
                _ => ImportError::NoChat,
            });
        }
        Ok(Self {
            bundle,
            entries,
            chats,
        })
    }

    /// Its chats, of which there is at least one, in the order of their names.
    #[must_use]
    pub fn chats(&self) -> &[ChatFiles] {
        &self.chats
    }

    /// Every file, the chats' own among them.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The place in [`chats`](Self::chats) of the one that `conversation` names.
    ///
    /// The only chat of an export is found whatever is asked for, because one chat's files can hold
    /// several conversations and `conversation` may be one of those.
    ///
    /// # Errors
    ///
    /// [`ImportError::NeedsConversation`] when there are several and none is named,
    /// [`ImportError::NoSuchConversation`] when there are several and none has that id.
    pub fn find(&self, conversation: Option<&str>) -> Result<usize, ImportError> {
        match (self.chats.as_slice(), conversation) {
            ([_], _) => Ok(0),
            (several, None) => Err(ImportError::NeedsConversation(several.len())),
            (several, Some(id)) => several
                .iter()
                .position(|chat| chat.id == id)
                .ok_or(ImportError::NoSuchConversation),
        }
    }

    /// Reads the files of the chat at place `chat`, whole.
    ///
    /// # Errors
    ///
    /// [`ImportError::NoSuchConversation`] when there is none, [`ImportError::TooManyFiles`] over
    /// [`FILES_MAX`], [`ImportError::TooLarge`] over [`TEXT_MAX_BYTES`] together,
    /// [`ImportError::Damaged`] when one ends early or fails its checksum.
    pub fn read(&mut self, chat: usize) -> Result<Vec<Vec<u8>>, ImportError> {
        let chat = self
            .chats
            .get(chat)
            .ok_or(ImportError::NoSuchConversation)?;
        if chat.files.len() > FILES_MAX {
            return Err(ImportError::TooManyFiles);
        }
        let max = TEXT_MAX_BYTES as u64;
        if chat.bytes > max {
            return Err(ImportError::TooLarge {
                bytes: chat.bytes,
                max,
            });
        }
        let mut files = Vec::with_capacity(chat.files.len());
        for place in &chat.files {
            let entry = self.entries.get(*place).ok_or(ImportError::NoSuchFile)?;
            let room = usize::try_from(entry.bytes).unwrap_or_default();
            let mut file = Vec::with_capacity(room.min(ROOM_BYTES));
            reader(&mut self.bundle, *place, entry)?
                .read_to_end(&mut file)
                .map_err(ImportError::Damaged)?;
            files.push(file);
        }
        Ok(files)
    }

    /// Reads the file of the chat at place `chat` part by part, for files that are too large to be
    /// held whole.
    ///
    /// # Errors
    ///
    /// [`ImportError::NoSuchConversation`] when there is none, [`ImportError::FilesDiffer`] when
    /// the chat is not one file. Reading ends in an error as for
    /// [`attachment`](Self::attachment).
    pub fn chat_reader(&mut self, chat: usize) -> Result<FileReader<'_>, ImportError> {
        let chat = self
            .chats
            .get(chat)
            .ok_or(ImportError::NoSuchConversation)?;
        let [place] = chat.files.as_slice() else {
            return Err(ImportError::FilesDiffer);
        };
        let entry = self.entries.get(*place).ok_or(ImportError::NoSuchFile)?;
        reader(&mut self.bundle, *place, entry)
    }

    /// Indexes `files`, which [`read`](Self::read) returned for the chat at place `chat`, knowing
    /// which files came with it.
    ///
    /// # Errors
    ///
    /// As [`import_files`]; [`ImportError::NoSuchConversation`] when there is no such chat.
    pub fn import<'a>(
        &self,
        chat: usize,
        files: &'a [Vec<u8>],
        options: &Options<'_>,
    ) -> Result<Conversation<'a>, ImportError> {
        let chat = self
            .chats
            .get(chat)
            .ok_or(ImportError::NoSuchConversation)?;
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let mut beside: BTreeSet<String> =
            self.paths(chat).map(|(_, path)| path.to_owned()).collect();
        for place in &chat.files {
            let own = self
                .entries
                .get(*place)
                .and_then(|entry| entry.name.strip_prefix(&chat.base));
            own.map(|own| beside.remove(own));
        }
        import_files(
            &files,
            &Options {
                attachments: Some(&beside),
                title: options.title.or(chat.title()),
                // The chat's own id says nothing about the conversations in its files.
                conversation: options.conversation.filter(|id| *id != chat.id),
                ..*options
            },
        )
    }

    /// Reads the file at the path `name`, as an attachment's
    /// [`Place::Beside`](crate::Place::Beside) gives it for the chat at place `chat`, of at most
    /// `max_bytes` bytes.
    ///
    /// # Errors
    ///
    /// [`ImportError::NoSuchFile`] when there is none (exports leave old media out),
    /// [`ImportError::TooLarge`] when it announces more. Reading ends in an error when the file
    /// fails its checksum or does not hold what it announced.
    pub fn attachment(
        &mut self,
        chat: usize,
        name: &str,
        max_bytes: u64,
    ) -> Result<FileReader<'_>, ImportError> {
        let chat = self
            .chats
            .get(chat)
            .ok_or(ImportError::NoSuchConversation)?;
        let place = self
            .paths(chat)
            .find(|(_, path)| *path == name)
            .map(|(place, _)| place)
            .filter(|place| !chat.files.contains(place))
            .ok_or(ImportError::NoSuchFile)?;
        let entry = self.entries.get(place).ok_or(ImportError::NoSuchFile)?;
        if entry.bytes > max_bytes {
            return Err(ImportError::TooLarge {
                bytes: entry.bytes,
                max: max_bytes,
            });
        }
        reader(&mut self.bundle, place, entry)
    }

    /// Every file below the folder that a chat's attachments count from, and its path from there.
    fn paths<'s>(&'s self, chat: &'s ChatFiles) -> impl Iterator<Item = (usize, &'s str)> {
        self.entries
            .iter()
            .enumerate()
            .filter_map(|(place, entry)| Some((place, entry.name.strip_prefix(&chat.base)?)))
    }
}

impl<B> fmt::Debug for Export<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("entries", &self.entries.len())
            .field("chats", &self.chats)
            .finish_non_exhaustive()
    }
}

fn reader<'b>(
    bundle: &'b mut impl Bundle,
    place: usize,
    entry: &Entry,
) -> Result<FileReader<'b>, ImportError> {
    Ok(FileReader {
        file: bundle.open(place)?,
        left: entry.bytes,
    })
}

/// Reads one file of an export: as many bytes as it announced, or an error.
pub struct FileReader<'b> {
    file: Box<dyn Read + 'b>,
    /// What it may still give.
    left: u64,
}

impl Read for FileReader<'_> {
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
                "a file of the export is larger than it announced",
            )),
        }
    }
}

impl fmt::Debug for FileReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileReader")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
