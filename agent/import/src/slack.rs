//! Slack's export: a folder for each channel with a file for each day, and lists of people and
//! channels at the root.
//!
//! A day's file is an array of messages, and nothing in it says of which channel; the folder does.
//! People stand in messages by their ids, whose names are in `users.json`. Times are instants, to
//! the microsecond. Of files the export has links only, and of what was deleted nothing, unless the
//! workspace kept it.
//!
//! A message is its object, without the comma and white space around it. A reply in a thread is a
//! message like any other, where its time puts it.

mod message;
mod names;
mod show;

use std::collections::HashMap;

use self::message::{Author, Read, is_instant};
use self::names::{Names, called};
use self::show::Slack;
use crate::conversation::{Authors, Person};
use crate::files::{Files, address, bom};
use crate::json::{Broken, Cursor, Value};
use crate::limits::MESSAGES_MAX;
use crate::people::Interner;
use crate::row::{Clock, Doubt, EDITED, Row, RowKind};
use crate::{Caveat, Conversation, Format, ImportError, Options};

/// How far a message may be dated before the one above it, in milliseconds.
const JITTER_MS: u64 = 60 * 1_000;

/// Whether `start` is the start of a day's file or of one of the lists.
pub(crate) fn looks_like(start: &[u8]) -> bool {
    kind(start).is_some()
}

/// The two kinds of files.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Day,
    List,
}

/// By the keys of the first item.
fn kind(start: &[u8]) -> Option<Kind> {
    let mut cursor = Cursor::new(start, bom(start));
    cursor.expect(b'[').ok()?;
    cursor.expect(b'{').ok()?;
    let mut first = true;
    let (mut instant, mut said, mut id, mut listed) = (false, false, false, 0);
    while let Ok(Some(key)) = cursor.key(&mut first) {
        let Ok(value) = cursor.value() else {
            break;
        };
        match key {
            b"ts" => instant = value.raw().is_some_and(is_instant),
            b"type" => said |= value.0 == b"\"message\"",
            b"user" | b"text" | b"subtype" | b"bot_id" => said = true,
            b"id" => {
                id = value
                    .raw()
                    .is_some_and(|id| id.len() >= 2 && id.iter().all(u8::is_ascii_alphanumeric))
            }
            // Of people, and of channels.
            b"team_id" | b"profile" | b"is_bot" | b"deleted" => listed += 1,
            b"members" | b"created" | b"creator" | b"is_archived" => listed += 1,
            _ => {}
        }
    }
    match (instant && said, id && listed >= 2) {
        (true, _) => Some(Kind::Day),
        (_, true) => Some(Kind::List),
        _ => None,
    }
}

/// Indexes the days of one channel, with whatever lists came with them.
pub(crate) fn import<'a>(
    files: Files<'a>,
    options: &Options<'_>,
) -> Result<Conversation<'a>, ImportError> {
    let mut names = Names::new();
    let mut taking = Taking {
        authors: Interner::new(),
        profiles: HashMap::new(),
        rows: Vec::new(),
        files: false,
    };
    let mut caveats = vec![Caveat::DeletedLeftOut];
    for (base, source) in files.iter() {
        let end = match kind(source) {
            Some(Kind::List) => names.take(source, bom(source))?,
            _ => taking.day(base, source)?,
        };
        let caveat = end.map(Broken::caveat);
        caveats.extend(caveat.filter(|caveat| !caveats.contains(caveat)));
    }
    let Taking {
        authors,
        profiles,
        mut rows,
        files: has_files,
    } = taking;
    if rows.is_empty() {
        return Err(ImportError::NoChat);
    }
    rows.shrink_to_fit();
    // A row without a time carries that of the row that it follows.
    rows.sort_by_key(|row| row.time);
    let people: Vec<Person> = authors
        .keys()
        .iter()
        .map(|author| person(author, &names, &profiles))
        .collect();
    for row in &mut rows {
        let named = people
            .get(row.author as usize)
            .is_some_and(|person| person.name.is_some());
        if row.kind != RowKind::System && !named {
            row.doubt(Doubt::AuthorUnknown);
        }
    }
    if rows.iter().any(|row| row.flags & EDITED != 0) {
        caveats.push(Caveat::EarlierWordingsLeftOut);
    }
    if has_files {
        caveats.push(Caveat::FilesLeftOut);
    }
    Ok(Conversation {
        format: Format::Slack,
        rows,
        authors: Authors::People(people),
        title: options.title.map(|title| names.channel(title)),
        headers: None,
        caveats,
        dialect: Box::new(Slack::new(names)),
        files,
    })
}

fn person<'a>(author: &Author<'a>, names: &Names, profiles: &Profiles<'a>) -> Person {
    let text = |value: Option<Value<'_>>| Some(value?.full()?.into_owned());
    let id = text(author.id);
    // A bot goes by a name of its own in each message.
    let name = text(author.name)
        .or_else(|| names.person(id.as_deref()?).map(str::to_owned))
        .or_else(|| {
            profiles
                .get(&author.id?)
                .and_then(|profile| called(*profile))
        });
    Person { name, id }
}

/// What messages say of their authors, by id; the first counts.
type Profiles<'a> = HashMap<Value<'a>, Value<'a>>;

/// Takes the messages of every day.
struct Taking<'a> {
    authors: Interner<Author<'a>>,
    profiles: Profiles<'a>,
    rows: Vec<Row>,
    /// Whether any message has files.
    files: bool,
}

impl<'a> Taking<'a> {
    /// Takes a day's file that stands at address `base`; says why reading ended before the file.
    fn day(&mut self, base: u32, source: &'a [u8]) -> Result<Option<Broken>, ImportError> {
        let sound = std::str::from_utf8(source).is_ok();
        let mut latest: Option<Row> = None;
        let mut cursor = Cursor::new(source, bom(source));
        if let Err(broken) = cursor.expect(b'[') {
            return Ok(Some(broken));
        }
        let mut first = true;
        loop {
            match cursor.item(&mut first) {
                Ok(true) => {}
                Ok(false) => break,
                Err(broken) => return Ok(Some(broken)),
            }
            let read = match Read::next(&mut cursor) {
                Ok(read) => read,
                Err(broken) => return Ok(Some(broken)),
            };
            let bytes = source.get(read.span.clone()).unwrap_or_default();
            let damaged = !sound && std::str::from_utf8(bytes).is_err();
            self.take(base, &read, damaged, &mut latest)?;
        }
        Ok(match cursor.peek() {
            Err(Broken::End) => None,
            // Something follows the end.
            _ => Some(Broken::Bad),
        })
    }

    fn take(
        &mut self,
        base: u32,
        read: &Read<'a>,
        damaged: bool,
        latest: &mut Option<Row>,
    ) -> Result<(), ImportError> {
        if self.rows.len() == MESSAGES_MAX {
            return Err(ImportError::TooManyMessages);
        }
        let mut row = read.row;
        row.start = address(u64::from(base) + read.span.start as u64)?;
        row.body = row.start;
        row.end = address(u64::from(base) + read.span.end as u64)?;
        if read.author.id.is_some() || read.author.name.is_some() {
            row.author = self.authors.number(read.author)?;
        }
        if let (Some(id), Some(profile)) = (read.author.id, read.profile) {
            self.profiles.entry(id).or_insert(profile);
        }
        if damaged {
            row.doubt(Doubt::InvalidUtf8);
        }
        match latest {
            Some(latest) if row.clock == Clock::None => row.time = latest.time,
            Some(latest) if row.is_before(latest, 0) => {
                if row.is_before(latest, JITTER_MS) {
                    row.doubt(Doubt::TimeRunsBack);
                }
            }
            _ if row.clock == Clock::None => {}
            _ => *latest = Some(row),
        }
        self.files |= read.files;
        self.rows.push(row);
        Ok(())
    }
}
