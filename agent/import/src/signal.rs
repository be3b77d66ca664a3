//! Signal's own export: `main.jsonl`, with `metadata.json` and a folder `files` beside it.
//!
//! One line for the backup's data, then one frame a line: the account, recipients, chats and, in
//! the order in which they were received, the items of all chats. The form is Protocol Buffers'
//! JSON of Signal's `backup.proto`. It holds the whole account, so:
//!
//! - a frame of another chat than the chosen one is left as soon as its chat is known;
//! - the first line holds a key (`mediaRootBackupKey`), and recipients' lines hold others. They are
//!   gone past, never decoded, never part of a message.
//!
//! A message is the object of its line. Signal leaves disappearing messages and the content of
//! view-once messages out, which [`Caveat`] says.

mod pointer;
mod recipient;
mod show;
mod stream;
mod survey;

use std::collections::HashMap;

use self::recipient::Recipients;
use self::show::Signal;
use self::survey::Survey;
use crate::conversation::Authors;
use crate::files::{Files, address, bom};
use crate::json::{self, Broken, Cursor, Value};
use crate::limits::{MESSAGES_MAX, PEOPLE_MAX};
use crate::people::Interner;
use crate::row::{Doubt, EDITED, INCOMING, OUTGOING, Row, RowKind};
use crate::{Caveat, Conversation, Format, ImportError, Options, Summary};
pub use stream::{list_signal, select_signal};

/// By how much the server's clock may be behind the sender's before the two do not agree.
const CLOCKS_MS: i64 = 5 * 60 * 1_000;

/// How far a message may be dated before the one above it: it is rounding and delivery, not news.
const JITTER_MS: u64 = 60 * 1_000;

/// Whether `start` is the start of `main.jsonl`.
pub(crate) fn looks_like(start: &[u8]) -> bool {
    let Some((line, _)) = json::line(start, bom(start)) else {
        return false;
    };
    let mut cursor = Cursor::new(line, 0);
    if cursor.expect(b'{').is_err() {
        return false;
    }
    let mut keys = Vec::new();
    let mut first = true;
    while let Ok(Some(key)) = cursor.key(&mut first) {
        keys.push(key);
        if cursor.value().is_err() || keys.len() > 16 {
            break;
        }
    }
    let has = |key: &[u8]| keys.contains(&key);
    // The line of the backup's data, or a frame where that was taken out.
    has(b"backupTimeMs")
        || has(b"mediaRootBackupKey")
        || (keys.len() == 1
            && [b"account".as_slice(), b"recipient", b"chat", b"chatItem"]
                .iter()
                .any(|key| has(key)))
}

/// Lists the chats that have messages, in the order of their first one.
pub(crate) fn conversations(source: &[u8]) -> Result<Vec<Summary>, ImportError> {
    let mut survey = Survey::new();
    let mut recipients = Recipients::new();
    for line in Lines::of(source) {
        match Frame::read(line.bytes, None) {
            Ok(Frame::Item(item)) => survey.count(&item)?,
            Ok(Frame::Other(kind, value)) => recipients.take(kind, value)?,
            Ok(Frame::Elsewhere) | Err(_) => {}
        }
    }
    Ok(survey.summaries(&recipients))
}

pub(crate) fn import<'a>(
    source: &'a [u8],
    options: &Options<'_>,
) -> Result<Conversation<'a>, ImportError> {
    let sound = std::str::from_utf8(source).is_ok();
    let wanted = options.conversation.map(str::as_bytes);
    let mut chosen: Option<Vec<u8>> = wanted.map(<[u8]>::to_vec);
    let mut recipients = Recipients::new();
    let mut authors = Interner::new();
    let mut rows: Vec<Row> = Vec::new();
    let mut caveats = vec![Caveat::DisappearingLeftOut, Caveat::ViewOnceLeftOut];
    let mut latest = 0;
    for line in Lines::of(source) {
        let item = match Frame::read(line.bytes, wanted) {
            Ok(Frame::Item(item)) => item,
            Ok(Frame::Other(key, value)) => {
                recipients.take(key, value)?;
                continue;
            }
            Ok(Frame::Elsewhere) => continue,
            Err(broken) => {
                let caveat = if broken == Broken::End && line.last {
                    Caveat::CutOff
                } else {
                    Caveat::Unreadable
                };
                if !caveats.contains(&caveat) {
                    caveats.push(caveat);
                }
                continue;
            }
        };
        match &chosen {
            None => chosen = Some(item.chat.to_vec()),
            Some(chat) if chat != item.chat => {
                return Err(ImportError::NeedsConversation(conversations(source)?.len()));
            }
            Some(_) => {}
        }
        if rows.len() == MESSAGES_MAX {
            return Err(ImportError::TooManyMessages);
        }
        let start = line.start + item.start;
        let mut row = item.row(
            address(start as u64)?,
            address((line.start + item.end) as u64)?,
        );
        if let Some(author) = item.author {
            row.author = authors.number(author)?;
        }
        if !sound && std::str::from_utf8(line.bytes).is_err() {
            row.doubt(Doubt::InvalidUtf8);
        }
        if row.time + JITTER_MS < latest && !row.has(Doubt::NoTime) {
            row.doubt(Doubt::TimeRunsBack);
        }
        latest = latest.max(row.time);
        rows.push(row);
    }
    let chat = chosen.ok_or(ImportError::NoChat)?;
    if rows.is_empty() {
        return Err(ImportError::NoSuchConversation);
    }
    rows.shrink_to_fit();
    let people: Vec<_> = authors
        .keys()
        .iter()
        .map(|id| recipients.person(id))
        .collect();
    for row in &mut rows {
        if row.kind != RowKind::System
            && people
                .get(row.author as usize)
                .is_none_or(|person| !person.known)
        {
            row.doubt(Doubt::AuthorUnknown);
        }
    }
    let title = options
        .title
        .map(str::to_owned)
        .or_else(|| recipients.title(&chat));
    Ok(Conversation {
        format: Format::Signal,
        files: Files::one(source),
        rows,
        authors: Authors::People(people.into_iter().map(|person| person.person).collect()),
        title,
        headers: None,
        caveats,
        dialect: Box::new(Signal::new(recipients, options.attachments)),
    })
}

/// One line of the file.
struct Line<'a> {
    start: usize,
    bytes: &'a [u8],
    /// Whether nothing comes after it, not even a line ending.
    last: bool,
}

struct Lines<'a> {
    source: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    fn of(source: &'a [u8]) -> Self {
        Self {
            source,
            at: bom(source),
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            let start = self.at;
            let (bytes, next) = json::line(self.source, start)?;
            self.at = next;
            if !bytes.trim_ascii().is_empty() {
                return Some(Line {
                    start,
                    bytes,
                    last: next == self.source.len() && self.source.last() != Some(&b'\n'),
                });
            }
        }
    }
}

/// What a line is.
enum Frame<'a> {
    /// An item of a chat.
    Item(Item<'a>),
    /// An item of another chat than the chosen one.
    Elsewhere,
    /// Anything else: its kind and what it holds.
    Other(&'a [u8], Value<'a>),
}

impl<'a> Frame<'a> {
    /// Reads a line; of an item of another chat than `chosen`, only until that is known.
    fn read(line: &'a [u8], chosen: Option<&[u8]>) -> Result<Self, Broken> {
        let mut cursor = Cursor::new(line, 0);
        cursor.expect(b'{')?;
        let start = cursor.at() - 1;
        let Some(kind) = cursor.key(&mut true)? else {
            // A frame that this version of the app did not know when it wrote it.
            return Ok(Self::Elsewhere);
        };
        if kind != b"chatItem" {
            // The first line is flat; nothing of it is looked at.
            let value = cursor.value()?;
            return Ok(Self::Other(kind, value));
        }
        cursor.expect(b'{')?;
        let mut item = Item::new(start);
        if !item.read(&mut cursor, chosen)? {
            return Ok(Self::Elsewhere);
        }
        cursor.expect(b'}')?;
        item.end = cursor.at();
        // Two objects in one line are no line of the app's.
        if line
            .get(item.end..)
            .is_some_and(|rest| !rest.trim_ascii().is_empty())
        {
            return Err(Broken::Bad);
        }
        Ok(Self::Item(item))
    }
}

/// What the index keeps of an item.
struct Item<'a> {
    /// Where its object starts and ends in its line.
    start: usize,
    end: usize,
    chat: &'a [u8],
    author: Option<&'a [u8]>,
    sent: Option<i64>,
    /// When the server took it.
    taken: Option<i64>,
    flags: u32,
    kind: Option<RowKind>,
}

impl<'a> Item<'a> {
    const fn new(start: usize) -> Self {
        Self {
            start,
            end: start,
            chat: b"",
            author: None,
            sent: None,
            taken: None,
            flags: 0,
            kind: None,
        }
    }

    /// Reads the item; `false` as soon as it is one of another chat than `chosen`.
    fn read(&mut self, cursor: &mut Cursor<'a>, chosen: Option<&[u8]>) -> Result<bool, Broken> {
        let mut first = true;
        // Which fields came: a second one of a kind is not taken.
        let mut came = 0_u8;
        while let Some(key) = cursor.key(&mut first)? {
            let value = cursor.value()?;
            let field = match key {
                b"chatId" => 1,
                b"authorId" => 2,
                b"dateSent" => 4,
                b"incoming" | b"outgoing" | b"directionless" => 8,
                b"revisions" => 16,
                _ => 32,
            };
            let kind = if field == 32 { Kind::of(key) } else { None };
            if field != 32 || kind.is_some() {
                if came & field != 0 {
                    self.flags |= Doubt::RepeatedPart.bit();
                    continue;
                }
                came |= field;
            }
            match key {
                b"chatId" => {
                    self.chat = number(value);
                    if chosen.is_some_and(|chosen| chosen != self.chat) {
                        return Ok(false);
                    }
                }
                b"authorId" => self.author = Some(number(value)),
                b"dateSent" => self.sent = value.integer(),
                b"incoming" => {
                    self.flags |= INCOMING;
                    self.taken = value.get("dateServerSent").and_then(Value::integer);
                }
                b"outgoing" => self.flags |= OUTGOING,
                b"revisions" if value.items().next().is_some() => self.flags |= EDITED,
                _ => {}
            }
            if let Some(kind) = kind {
                self.kind = Some(kind.row(value, &mut self.flags));
            }
        }
        // Protocol Buffers leave a number out that is 0; Signal counts from 1.
        if self.chat.is_empty() {
            return Err(Broken::Bad);
        }
        Ok(true)
    }

    fn row(&self, start: u32, end: u32) -> Row {
        let mut row = Row::at(start, end);
        row.flags = self.flags;
        row.kind = self.kind.unwrap_or(RowKind::Blank);
        if self.kind.is_none() {
            row.doubt(Doubt::NotShown);
        }
        row.set_instant(self.sent);
        if let (Some(sent), Some(taken)) = (self.sent, self.taken)
            && sent.saturating_sub(taken) > CLOCKS_MS
        {
            row.doubt(Doubt::TimesDisagree);
        }
        row
    }
}

/// A number as it is written, with or without quotes.
fn number(value: Value<'_>) -> &[u8] {
    value.raw().unwrap_or(value.0)
}

/// What an item can be, by the field that holds it.
#[derive(Clone, Copy)]
enum Kind {
    Standard,
    Update,
    Is(RowKind),
}

impl Kind {
    const fn of(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"standardMessage" => Self::Standard,
            b"updateMessage" => Self::Update,
            b"directStoryReplyMessage" => Self::Is(RowKind::Text),
            b"stickerMessage" => Self::Is(RowKind::Media),
            b"contactMessage" => Self::Is(RowKind::Contact),
            b"poll" => Self::Is(RowKind::Poll),
            b"remoteDeletedMessage" | b"adminDeletedMessage" => Self::Is(RowKind::Deleted),
            b"viewOnceMessage" => Self::Is(RowKind::Blank),
            b"paymentNotification" | b"giftBadge" => Self::Is(RowKind::Notice),
            _ => return None,
        })
    }

    fn row(self, value: Value<'_>, flags: &mut u32) -> RowKind {
        match self {
            Self::Is(kind) => kind,
            Self::Standard => {
                let mut kind = RowKind::Text;
                for (key, value) in value.entries() {
                    match key {
                        b"attachments" if value.items().next().is_some() => kind = RowKind::Media,
                        b"longText" if value.is_object() => {
                            *flags |= Doubt::TextContinues.bit();
                        }
                        _ => {}
                    }
                }
                kind
            }
            // Somebody rings; everything else happens to the chat.
            Self::Update => match value.entries().next() {
                Some((b"individualCall" | b"groupCall", _)) => RowKind::Notice,
                _ => RowKind::System,
            },
        }
    }
}

/// Chats and people by their numbers, as slices of the file.
type Table<'a> = HashMap<&'a [u8], Value<'a>>;

/// Adds to a table; the first of one number counts.
fn add<'a>(table: &mut Table<'a>, id: &'a [u8], value: Value<'a>) -> Result<(), ImportError> {
    if table.len() == PEOPLE_MAX {
        return Err(ImportError::TooManyPeople);
    }
    table.entry(id).or_insert(value);
    Ok(())
}
