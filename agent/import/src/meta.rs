//! Messenger's and Instagram's downloads.
//!
//! Two forms. `message_1.json`, `message_2.json` … in a folder for each conversation come from
//! Facebook's "Download your information" and from Instagram's; nothing in them says which of the
//! two. Messenger's own download of end-to-end encrypted chats has one `Name_12.json` for each, in
//! other words.
//!
//! - In the first form every text is UTF-8 whose bytes are written as if each were a character
//!   (`\u00e2\u009d\u00a4` for ❤); see [`text`].
//! - Messages stand newest first, 10,000 a file. Here they come oldest first, whatever the order of
//!   the files; their places in the files are kept.
//! - The app's own rows look like messages. They are told apart by structure where there is any, by
//!   their English words where not, and are doubted where neither says; see [`phrases`].
//! - Neither form says whose download it is, so that sent and received cannot be told apart.
//!
//! A message is its object, without the comma and white space around it. Reactions are a part of it
//! and are not shown.

mod message;
mod phrases;
mod show;
mod text;

use std::collections::BTreeMap;

use self::message::Read;
use self::show::Meta;
use crate::conversation::{Authors, Person};
use crate::files::{Files, address, bom};
use crate::json::{Broken, Cursor, Stop, Value};
use crate::limits::MESSAGES_MAX;
use crate::people::Interner;
use crate::row::{Clock, Doubt, Row, RowKind};
use crate::tally::Tally;
use crate::{Caveat, Conversation, Format, ImportError, Options, Summary};

/// How far a message may be dated before the one that it follows, in milliseconds.
const JITTER_MS: u64 = 60 * 1_000;

/// Where Meta keeps what was written before a chat became end-to-end encrypted. What came after is
/// in the other download.
const CUTOVER: &str = "e2ee_cutover/";

/// Which of the two forms `start` is the start of.
pub(crate) fn looks_like(start: &[u8]) -> Option<Format> {
    let mut cursor = Cursor::new(start, bom(start));
    cursor.expect(b'{').ok()?;
    let mut first = true;
    let mut people = None;
    while let Ok(Some(key)) = cursor.key(&mut first) {
        match key {
            b"participants" => people = form_of_people(cursor),
            // An empty list says nothing of its form, but the people beside it do.
            b"messages" => match first_item(cursor) {
                Some(true) => return form_of_message(cursor, people),
                Some(false) => {}
                None => return None,
            },
            _ => {}
        }
        if cursor.value().is_err() {
            // Cut off, perhaps in a long list of people.
            return people;
        }
    }
    people
}

/// Whether there is an item in the array that `cursor` stands before; `None` where there is no
/// array.
fn first_item(mut cursor: Cursor<'_>) -> Option<bool> {
    cursor.expect(b'[').ok()?;
    cursor.item(&mut true).ok()
}

/// By the keys of the first message. Where one of two is missing, the people must say the same.
fn form_of_message(mut cursor: Cursor<'_>, people: Option<Format>) -> Option<Format> {
    cursor.expect(b'[').ok()?;
    cursor.expect(b'{').ok()?;
    let (mut first, mut old, mut new) = (true, 0, 0);
    while let Ok(Some(key)) = cursor.key(&mut first) {
        match key {
            b"sender_name" | b"timestamp_ms" => old += 1,
            b"senderName" | b"timestamp" => new += 1,
            _ => {}
        }
        if cursor.value().is_err() {
            break;
        }
    }
    match (old, new) {
        (2, _) => Some(Format::Meta),
        (1, _) => people.filter(|people| *people == Format::Meta),
        (_, 2) => Some(Format::MessengerEncrypted),
        _ => None,
    }
}

/// By how the first of the people is written: `{"name": "Alice"}` or `"Alice"`.
fn form_of_people(mut cursor: Cursor<'_>) -> Option<Format> {
    cursor.expect(b'[').ok()?;
    match cursor.peek().ok()? {
        b'{' => {
            cursor.expect(b'{').ok()?;
            let key = cursor.key(&mut true).ok()?;
            (key == Some(b"name")).then_some(Format::Meta)
        }
        b'"' => Some(Format::MessengerEncrypted),
        _ => None,
    }
}

/// Lists the conversations that have messages.
pub(crate) fn conversations(
    files: &Files<'_>,
    format: Format,
) -> Result<Vec<Summary>, ImportError> {
    let mut found: BTreeMap<String, (Tally, Option<String>)> = BTreeMap::new();
    let mut authors = Interner::new();
    for (base, source) in files.iter() {
        let part = Part::read(base, source, format, &mut authors, MESSAGES_MAX)?;
        if part.rows.is_empty() {
            continue;
        }
        let (tally, title) = found
            .entry(part.id.unwrap_or_default())
            .or_insert((Tally::new(), None));
        for row in &part.rows {
            tally.count(row);
        }
        *title = title.take().or(part.title);
    }
    Ok(found
        .into_iter()
        .map(|(id, (tally, title))| tally.summary(id, title))
        .collect())
}

pub(crate) fn import<'a>(
    files: Files<'a>,
    format: Format,
    options: &Options<'_>,
) -> Result<Conversation<'a>, ImportError> {
    let mut authors = Interner::new();
    let mut rows: Vec<Row> = Vec::new();
    let mut title = None;
    let mut id: Option<String> = options.conversation.map(str::to_owned);
    let mut caveats = vec![
        Caveat::DisappearingLeftOut,
        Caveat::DeletedLeftOut,
        Caveat::EarlierWordingsLeftOut,
    ];
    for (base, source) in files.iter() {
        let left = MESSAGES_MAX - rows.len();
        let part = Part::read(base, source, format, &mut authors, left)?;
        if part.rows.is_empty() {
            continue;
        }
        let name = part.id.unwrap_or_default();
        match &id {
            None => id = Some(name),
            Some(id) if *id == name => {}
            Some(_) if options.conversation.is_some() => continue,
            Some(_) => {
                let found = conversations(&files, format)?;
                return Err(ImportError::NeedsConversation(found.len()));
            }
        }
        title = title.or(part.title);
        caveats.extend(part.caveat.filter(|caveat| !caveats.contains(caveat)));
        rows.extend(part.rows);
    }
    if rows.is_empty() {
        return Err(match options.conversation {
            Some(_) => ImportError::NoSuchConversation,
            None => ImportError::NoChat,
        });
    }
    rows.shrink_to_fit();
    // A row without a time carries that of the row that it follows.
    rows.sort_by_key(|row| row.time);
    let id = id.unwrap_or_default();
    if id.starts_with(CUTOVER) {
        caveats.push(Caveat::EncryptedLeftOut);
    }
    let people: Vec<Person> = authors
        .keys()
        .iter()
        .map(|key| person(*key, format))
        .collect();
    let unknown: Vec<bool> = people
        .iter()
        .map(|person| person.name.as_deref().is_none_or(phrases::is_nobody))
        .collect();
    for row in &mut rows {
        let known = unknown.get(row.author as usize) == Some(&false);
        if row.kind != RowKind::System && !known {
            row.doubt(Doubt::AuthorUnknown);
        }
    }
    let folder = id.rsplit('/').next().unwrap_or_default();
    Ok(Conversation {
        format,
        rows,
        authors: Authors::People(people),
        title: options.title.map(str::to_owned).or(title),
        headers: None,
        caveats,
        dialect: Box::new(Meta::new(
            format,
            folder,
            options.attachments,
            files.first(),
        )),
        files,
    })
}

fn person(name: Value<'_>, format: Format) -> Person {
    Person {
        name: text::string(name, format)
            .filter(|name| !name.is_empty())
            .map(Into::into),
        id: None,
    }
}

/// What one file holds.
struct Part {
    /// Tells its conversation from others; `None` where the file ends before it says.
    id: Option<String>,
    title: Option<String>,
    /// Oldest first.
    rows: Vec<Row>,
    /// Why reading ended before the file.
    caveat: Option<Caveat>,
}

impl Part {
    /// Reads a file of at most `max` messages that stands at address `base`.
    fn read<'a>(
        base: u32,
        source: &'a [u8],
        format: Format,
        authors: &mut Interner<Value<'a>>,
        max: usize,
    ) -> Result<Self, ImportError> {
        let mut reader = Reader {
            base,
            source,
            sound: std::str::from_utf8(source).is_ok(),
            format,
            authors,
            max,
            rows: Vec::new(),
            id: None,
            title: None,
        };
        let caveat = Stop::caveat(reader.file())?;
        let string = |value: Option<Value<'_>>| {
            let text = text::string(value?, format)?;
            (!text.is_empty()).then(|| text.into_owned())
        };
        let (id, title) = (string(reader.id), string(reader.title));
        let mut rows = reader.rows;
        order(&mut rows);
        Ok(Self {
            title: title.or_else(|| Some(phrases::without_number(id.as_deref()?).to_owned())),
            id,
            rows,
            caveat,
        })
    }
}

/// Puts the rows of one file in the order of time and doubts those that are not where they belong.
fn order(rows: &mut [Row]) {
    let timed = |row: &&Row| row.clock != Clock::None;
    let first = rows.iter().find(timed).map(|row| row.time);
    let last = rows.iter().rfind(timed).map(|row| row.time);
    if first > last {
        rows.reverse();
    }
    let mut latest: Option<Row> = None;
    for row in rows.iter_mut() {
        match &latest {
            Some(latest) if row.clock == Clock::None => row.time = latest.time,
            Some(latest) if row.is_before(latest, 0) => {
                if row.is_before(latest, JITTER_MS) {
                    row.doubt(Doubt::TimeRunsBack);
                }
            }
            _ if row.clock == Clock::None => {}
            _ => latest = Some(*row),
        }
    }
}

/// Goes through a file.
struct Reader<'a, 'i> {
    base: u32,
    source: &'a [u8],
    sound: bool,
    format: Format,
    authors: &'i mut Interner<Value<'a>>,
    max: usize,
    rows: Vec<Row>,
    id: Option<Value<'a>>,
    title: Option<Value<'a>>,
}

impl Reader<'_, '_> {
    fn file(&mut self) -> Result<(), Stop> {
        let mut cursor = Cursor::new(self.source, bom(self.source));
        cursor.expect(b'{')?;
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            if key == b"messages" && cursor.peek()? == b'[' {
                cursor.expect(b'[')?;
                let mut first = true;
                while cursor.item(&mut first)? {
                    let read = Read::next(&mut cursor, self.format)?;
                    self.take(read)?;
                }
                continue;
            }
            let value = cursor.value()?;
            match key {
                b"thread_path" | b"threadName" => self.id = self.id.or(Some(value)),
                b"title" => self.title = self.title.or(Some(value)),
                _ => {}
            }
        }
        match cursor.peek() {
            Err(Broken::End) => Ok(()),
            // Something follows the end.
            _ => Err(Stop::At(Broken::Bad)),
        }
    }
}

impl<'a> Reader<'a, '_> {
    fn take(&mut self, read: Read<'a>) -> Result<(), ImportError> {
        if self.rows.len() == self.max {
            return Err(ImportError::TooManyMessages);
        }
        let mut row = read.row;
        row.start = address(u64::from(self.base) + read.span.start as u64)?;
        row.body = row.start;
        row.end = address(u64::from(self.base) + read.span.end as u64)?;
        if let Some(author) = read.author {
            row.author = self.authors.number(author)?;
        }
        let bytes = self.source.get(read.span).unwrap_or_default();
        if !self.sound && std::str::from_utf8(bytes).is_err() {
            row.doubt(Doubt::InvalidUtf8);
        }
        self.rows.push(row);
        Ok(())
    }
}
