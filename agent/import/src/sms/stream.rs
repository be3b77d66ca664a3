//! An export that is larger than memory allows: read tag by tag, all but one chat gone at once.
//!
//! A tag is looked at without its long values, which are attached files: of messages of other
//! chats those are passed over as they are read. What stays is the text of a smaller export: the
//! elements of the chosen chat as they are, and the names of those in it whose own chats are not
//! in it, each as an instruction that [`Walk`] knows.

use std::collections::BTreeSet;
use std::io::Read;

use memchr::memchr2;

use super::chats::{Chats, one};
use super::entry::Entry;
use super::walk::{CONTACT, Step, Walk};
use super::{is_wide, looks_like};
use crate::limits::{PREAMBLE_MAX_BYTES, SMS_TAG_MAX_BYTES, SMS_VALUE_MAX_BYTES, TEXT_MAX_BYTES};
use crate::row::{INCOMING, OUTGOING};
use crate::selected::Meter;
use crate::xml::{Broken, Cursor, decode, is_name};
use crate::{ImportError, SelectedChat, Summary};

/// How much is read at a time, in bytes.
const CHUNK_BYTES: usize = 256 << 10;

/// How much of a tag says whether it begins a message: `<sms` and what comes next.
const NAME_BYTES: usize = 5;

/// How the smaller export begins, with room for the number of its messages.
const HEAD: &[u8] =
    b"<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<smses          >\n";

/// A number of messages that is wrong for any chat, in that room.
const WRONG_COUNT: &[u8] = b"count=\"0\"";

/// Lists the chats of an `sms-….xml` of any size, in the order of their first messages.
///
/// Blocks on `reader`; holds under 2 MiB of it, and the addresses and names of its chats.
///
/// # Errors
///
/// [`ImportError::UnknownFormat`] when it is no such export, [`ImportError::Doctype`] and
/// [`ImportError::UnknownEncoding`] when it is one that is refused, [`ImportError::TooLarge`] for a
/// tag over [`SMS_TAG_MAX_BYTES`], [`ImportError::TooManyPeople`], [`ImportError::Damaged`] when it
/// cannot be read.
pub fn list_sms(reader: impl Read) -> Result<Vec<Summary>, ImportError> {
    list(Feed::new(reader))
}

fn list(mut feed: Feed<impl Read>) -> Result<Vec<Summary>, ImportError> {
    let mut chats = Chats::new();
    feed.run(&mut Walk::new(), |step, _, _| {
        match step {
            Step::Ended(entry) => {
                let number = chats.number(&entry)?;
                if let Some(tally) = chats.tally(number) {
                    tally.count(&entry.row);
                }
            }
            Step::Contact(address, name) => chats.contact(&address, &name)?,
            Step::Nothing | Step::Began => {}
        }
        Ok(())
    })?;
    Ok(chats.summaries())
}

/// Takes the chat `id` (of its [`Summary`]) out of an `sms-….xml` of any size.
///
/// Blocks on `reader`; holds what [`list_sms`] does, one message and what is taken. Of a message of
/// another chat nothing is held once it has named its address, which the app does first.
///
/// # Errors
///
/// As [`list_sms`]; [`ImportError::NoSuchConversation`] when no message is of that chat,
/// [`ImportError::TooLarge`] when they are over [`TEXT_MAX_BYTES`] together.
pub fn select_sms(reader: impl Read, id: &str) -> Result<SelectedChat, ImportError> {
    select(Feed::new(reader), id)
}

fn select(mut feed: Feed<impl Read>, id: &str) -> Result<SelectedChat, ImportError> {
    feed.holds = true;
    let mut text = HEAD.to_vec();
    let mut chats = Chats::new();
    let mut authors = BTreeSet::new();
    let mut walk = Walk::new();
    feed.run(&mut walk, |step, begun, held| {
        match step {
            Step::Began => {
                if let Some(entry) = begun.filter(|entry| entry.address.is_some()) {
                    let number = chats.number(entry)?;
                    held.on = chats.key(number) == id;
                }
            }
            Step::Ended(entry) => {
                let number = chats.number(&entry)?;
                if chats.key(number) == id {
                    text.extend(&held.bytes);
                    text.push(b'\n');
                    held.left = TEXT_MAX_BYTES.saturating_sub(text.len());
                    if entry.row.flags & (INCOMING | OUTGOING) == INCOMING
                        && let Some(author) = entry.from.as_ref().or(entry.address.as_ref())
                    {
                        authors.insert(one(&decode(author)).into_owned());
                    }
                }
            }
            Step::Contact(address, name) => chats.contact(&address, &name)?,
            Step::Nothing => {}
        }
        Ok(())
    })?;
    if text.len() == HEAD.len() {
        return Err(ImportError::NoSuchConversation);
    }
    for author in &authors {
        if author != id
            && let Some(name) = chats.name_of(author)
        {
            contact(&mut text, author, name);
        }
    }
    // What is wrong with the file must be said of what is taken from it too, when that is imported.
    if walk.is_damaged() {
        text.extend(b"<damaged/>\n");
    }
    if walk.miscounts() {
        let room = HEAD.len() - WRONG_COUNT.len() - 2..HEAD.len() - 2;
        if let Some(room) = text.get_mut(room) {
            room.copy_from_slice(WRONG_COUNT);
        }
    }
    if !walk.is_cut_off() {
        text.extend(b"</smses>\n");
    }
    Ok(feed.meter.chat(text))
}

fn contact(text: &mut Vec<u8>, address: &str, name: &str) {
    text.extend(b"<?");
    text.extend(CONTACT);
    for (key, value) in [("address", address), ("contact_name", name)] {
        text.push(b' ');
        text.extend(key.as_bytes());
        text.extend(b"=\"");
        for char in value.chars() {
            match char {
                '&' => text.extend(b"&amp;"),
                '<' => text.extend(b"&lt;"),
                '>' => text.extend(b"&gt;"),
                '"' => text.extend(b"&quot;"),
                _ => text.extend(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        text.push(b'"');
    }
    text.extend(b"?>\n");
}

/// The bytes of the message that is being read.
struct Held {
    /// Whether they are wanted.
    on: bool,
    bytes: Vec<u8>,
    /// How many there may be.
    left: usize,
}

impl Held {
    fn add(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        if bytes.len() > self.left.saturating_sub(self.bytes.len()) {
            return Err(ImportError::TooLarge {
                bytes: TEXT_MAX_BYTES as u64 + 1,
                max: TEXT_MAX_BYTES as u64,
            });
        }
        self.bytes.extend(bytes);
        Ok(())
    }
}

/// A file, of which as much is in memory as one tag without its long values.
struct Feed<R> {
    reader: R,
    meter: Meter,
    buffer: Vec<u8>,
    /// How much of the buffer is done with.
    at: usize,
    /// How much of the buffer is in `held`, where it is wanted. Never before `at`.
    kept: usize,
    /// Whether messages are held at all.
    holds: bool,
    held: Held,
    /// How much is looked at to know what it is, in bytes.
    start: usize,
    /// How much is read at a time, in bytes.
    chunk: usize,
    /// Longest value that is not taken out of a tag in which the buffer ends, in bytes.
    value_max: usize,
}

impl<R: Read> Feed<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            meter: Meter::new(),
            buffer: Vec::new(),
            at: 0,
            kept: 0,
            holds: false,
            held: Held {
                on: false,
                bytes: Vec::new(),
                left: TEXT_MAX_BYTES - HEAD.len(),
            },
            start: PREAMBLE_MAX_BYTES,
            chunk: CHUNK_BYTES,
            value_max: SMS_VALUE_MAX_BYTES,
        }
    }

    /// Goes through the file; gives every step, the message that has begun, and the bytes of the
    /// message so far.
    fn run(
        &mut self,
        walk: &mut Walk<Vec<u8>>,
        mut take: impl FnMut(
            Step<Vec<u8>>,
            Option<&Entry<Vec<u8>>>,
            &mut Held,
        ) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        while self.buffer.len() < self.start && self.fill()? {}
        if is_wide(&self.buffer) && looks_like(&self.buffer) {
            return Err(ImportError::UnknownEncoding);
        }
        if !looks_like(&self.buffer) {
            return Err(ImportError::UnknownFormat);
        }
        loop {
            let mut cursor = Cursor::new(&self.buffer, self.at);
            walk.text(cursor.text());
            let to = cursor.at();
            self.pass(to)?;
            if to == self.buffer.len() {
                if self.fill()? {
                    continue;
                }
                return Ok(());
            }
            while self.buffer.len() - self.at < NAME_BYTES && self.fill()? {}
            // A tag that begins a message is held until it is known whose it is.
            if walk.message().is_none() || self.begins() {
                self.held.bytes.clear();
                self.held.on = self.holds;
            }
            loop {
                let mut cursor = Cursor::new(&self.buffer, self.at);
                let read = cursor.markup();
                let (to, open_value) = (cursor.at(), cursor.open_value());
                match read {
                    Ok(Some(markup)) => {
                        let step = walk.markup(&markup)?;
                        self.pass(to)?;
                        take(step, walk.message(), &mut self.held)?;
                        break;
                    }
                    Ok(None) => break,
                    Err(Broken::Bad) => {
                        walk.broken();
                        self.pass(to)?;
                        break;
                    }
                    Err(Broken::End) => {
                        let more = match open_value {
                            Some(value) if self.buffer.len() - value > self.value_max => {
                                self.pass_over(value)?
                            }
                            _ => self.fill()?,
                        };
                        if !more {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    /// Whether the tag at hand begins a message.
    fn begins(&self) -> bool {
        let tag = self.buffer.get(self.at..).unwrap_or_default();
        let goes_on = tag.get(NAME_BYTES - 1).is_some_and(|byte| is_name(*byte));
        !goes_on && (tag.starts_with(b"<sms") || tag.starts_with(b"<mms"))
    }

    /// Is done with the buffer up to `to`.
    fn pass(&mut self, to: usize) -> Result<(), ImportError> {
        if self.held.on {
            self.held
                .add(self.buffer.get(self.kept..to).unwrap_or_default())?;
        }
        self.at = to;
        self.kept = self.kept.max(to);
        Ok(())
    }

    /// Reads on; `false` at the end of the file.
    fn fill(&mut self) -> Result<bool, ImportError> {
        self.buffer.drain(..self.at);
        self.kept -= self.at;
        self.at = 0;
        if self.buffer.len() > SMS_TAG_MAX_BYTES {
            return Err(ImportError::TooLarge {
                bytes: self.buffer.len() as u64,
                max: SMS_TAG_MAX_BYTES as u64,
            });
        }
        let start = self.buffer.len();
        self.reader
            .by_ref()
            .take(self.chunk as u64)
            .read_to_end(&mut self.buffer)
            .map_err(ImportError::Damaged)?;
        let read = self.buffer.get(start..).unwrap_or_default();
        self.meter.add(read);
        Ok(!read.is_empty())
    }

    /// Takes the value that begins at `value`, in which the buffer ends, out of the tag at hand, and
    /// reads on to its end; `false` when the file ends before.
    fn pass_over(&mut self, value: usize) -> Result<bool, ImportError> {
        let quote = value
            .checked_sub(1)
            .and_then(|at| self.buffer.get(at).copied());
        let quote = quote.unwrap_or(b'"');
        if self.held.on {
            self.held
                .add(self.buffer.get(self.kept..).unwrap_or_default())?;
        }
        self.buffer.truncate(value);
        self.kept = value;
        let mut chunk = Vec::new();
        loop {
            chunk.clear();
            self.reader
                .by_ref()
                .take(self.chunk as u64)
                .read_to_end(&mut chunk)
                .map_err(ImportError::Damaged)?;
            if chunk.is_empty() {
                return Ok(false);
            }
            self.meter.add(&chunk);
            let end = memchr2(quote, b'<', &chunk);
            let (passed, rest) = chunk.split_at(end.unwrap_or(chunk.len()));
            if self.held.on {
                self.held.add(passed)?;
            }
            if end.is_some() {
                self.buffer.extend(rest);
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests;
