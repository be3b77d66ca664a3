//! Telegram Desktop's `result.json`: one chat, or an account with its chats under `chats.list` and
//! `left_chats.list`.
//!
//! It is JSON but for control characters, which it writes as `\x1B`. Times stand in it twice, as
//! `date` on the exporting machine's wall and, since 2022, as `date_unixtime`. Rows of a type that
//! the app could not export have no time at all. The export is written as it goes, so one that was
//! stopped ends in the middle: what came before is taken, and [`Caveat::CutOff`] says so.
//!
//! A message is its object, without the comma and white space around it.

mod message;
mod show;
mod walk;

use std::borrow::Cow;

use self::message::Read;
use self::show::Telegram;
use self::walk::{Head, Sink};
use crate::conversation::{Authors, Person};
use crate::files::{Files, address, bom};
use crate::json::{Cursor, Value};
use crate::limits::MESSAGES_MAX;
use crate::people::Interner;
use crate::row::{Clock, Doubt, EDITED, INCOMING, OUTGOING, Row, RowKind};
use crate::{Caveat, Conversation, Format, ImportError, Options, Stamp, Summary};

/// How far a message may be dated before the one above it, in milliseconds of an instant.
const JITTER_MS: u64 = 60 * 1_000;

/// Keys of an account's export that stand beside `about`.
const ACCOUNT: [&[u8]; 10] = [
    b"personal_information",
    b"profile_pictures",
    b"stories",
    b"contacts",
    b"frequent_contacts",
    b"sessions",
    b"web_sessions",
    b"other_data",
    b"chats",
    b"left_chats",
];

/// Whether `start` is the start of a `result.json`.
pub(crate) fn looks_like(start: &[u8]) -> bool {
    let mut cursor = Cursor::new(start, bom(start));
    if cursor.expect(b'{').is_err() {
        return false;
    }
    let (mut about, mut account, mut typed, mut messages) = (false, false, false, false);
    let mut first = true;
    while let Ok(Some(key)) = cursor.key(&mut first) {
        match key {
            b"about" => about = true,
            b"type" => typed = true,
            b"messages" => messages = is_first_message(cursor),
            // Messenger's files have this beside their messages.
            b"participants" => return false,
            _ if ACCOUNT.contains(&key) => account = true,
            _ => {}
        }
        if cursor.value().is_err() {
            break;
        }
    }
    (about && account) || (typed && messages)
}

/// Whether `cursor` stands before an array that is empty or begins with a message of Telegram's.
fn is_first_message(mut cursor: Cursor<'_>) -> bool {
    if cursor.expect(b'[').is_err() {
        return false;
    }
    match cursor.item(&mut true) {
        Ok(true) => {}
        Ok(false) => return true,
        Err(_) => return false,
    }
    if cursor.expect(b'{').is_err() {
        return false;
    }
    let (mut first, mut id, mut typed) = (true, false, false);
    while let Ok(Some(key)) = cursor.key(&mut first) {
        id |= key == b"id";
        typed |= key == b"type";
        if cursor.value().is_err() {
            break;
        }
    }
    id && typed
}

/// Lists the chats that have messages.
pub(crate) fn conversations(source: &[u8]) -> Result<Vec<Summary>, ImportError> {
    let mut listing = Listing { chats: Vec::new() };
    walk::walk(source, &mut listing)?;
    Ok(listing.chats)
}

struct Listing {
    chats: Vec<Summary>,
}

impl<'a> Sink<'a> for Listing {
    fn wants(&mut self, _head: &Head<'a>) -> Result<bool, ImportError> {
        Ok(true)
    }

    fn message(&mut self, head: &Head<'a>, read: &Read<'a>) -> Result<(), ImportError> {
        let at = Stamp::of(&read.row);
        match self.chats.last_mut() {
            Some(last) if last.id == head.key => {
                last.messages += 1;
                if at != Stamp::None {
                    last.last = at;
                    if last.first == Stamp::None {
                        last.first = at;
                    }
                }
            }
            _ => self.chats.push(Summary {
                id: head.key.clone(),
                title: head.title().map(Cow::into_owned),
                messages: 1,
                first: at,
                last: at,
            }),
        }
        Ok(())
    }
}

pub(crate) fn import<'a>(
    source: &'a [u8],
    options: &Options<'_>,
) -> Result<Conversation<'a>, ImportError> {
    let mut taking = Taking {
        source,
        sound: std::str::from_utf8(source).is_ok(),
        wanted: options.conversation,
        chosen: None,
        title: None,
        rows: Vec::new(),
        authors: Interner::new(),
        latest: None,
        several: false,
    };
    let end = walk::walk(source, &mut taking)?;
    if taking.several {
        return Err(ImportError::NeedsConversation(conversations(source)?.len()));
    }
    if taking.rows.is_empty() {
        return Err(match options.conversation {
            Some(_) => ImportError::NoSuchConversation,
            None => ImportError::NoChat,
        });
    }
    let Taking {
        mut rows,
        authors,
        title,
        ..
    } = taking;
    rows.shrink_to_fit();
    let people: Vec<Person> = authors.keys().iter().map(|key| person(*key)).collect();
    if let Some(owner) = end.owner.map(|id| format!("user{id}")) {
        for row in &mut rows {
            let author = people.get(row.author as usize);
            if let Some(id) = author.and_then(|person| person.id.as_deref()) {
                row.flags |= if id == owner { OUTGOING } else { INCOMING };
            }
        }
    }
    let mut caveats = vec![Caveat::DeletedLeftOut];
    if rows.iter().any(|row| row.flags & EDITED != 0) {
        caveats.push(Caveat::EarlierWordingsLeftOut);
    }
    caveats.extend(end.caveat);
    Ok(Conversation {
        format: Format::Telegram,
        files: Files::one(source),
        rows,
        authors: Authors::People(people),
        title: options.title.map(str::to_owned).or(title),
        headers: None,
        caveats,
        dialect: Box::new(Telegram::new(options.attachments)),
    })
}

/// An author as a message names them: by name and by id.
type Author<'a> = (Option<Value<'a>>, Option<Value<'a>>);

fn person((name, id): Author<'_>) -> Person {
    let text = |value: Option<Value<'_>>| value?.full().map(Cow::into_owned);
    Person {
        name: text(name),
        id: text(id),
    }
}

/// Takes the messages of one chat.
struct Taking<'a, 'o> {
    source: &'a [u8],
    sound: bool,
    wanted: Option<&'o str>,
    chosen: Option<String>,
    title: Option<String>,
    rows: Vec<Row>,
    authors: Interner<Author<'a>>,
    /// The latest message so far.
    latest: Option<Row>,
    /// Whether there is another chat with messages, and none was chosen.
    several: bool,
}

impl<'a> Sink<'a> for Taking<'a, '_> {
    fn wants(&mut self, head: &Head<'a>) -> Result<bool, ImportError> {
        Ok(!self.several && self.wanted.is_none_or(|wanted| wanted == head.key))
    }

    fn message(&mut self, head: &Head<'a>, read: &Read<'a>) -> Result<(), ImportError> {
        match &self.chosen {
            None => {
                self.chosen = Some(head.key.clone());
                self.title = head.title().map(Cow::into_owned);
            }
            Some(chosen) if *chosen != head.key => {
                self.several = true;
                return Ok(());
            }
            Some(_) => {}
        }
        if self.rows.len() == MESSAGES_MAX {
            return Err(ImportError::TooManyMessages);
        }
        let mut row = read.row;
        row.start = address(read.span.start as u64)?;
        row.body = row.start;
        row.end = address(read.span.end as u64)?;
        if read.author.0.is_some() || read.author.1.is_some() {
            row.author = self.authors.number(read.author)?;
        }
        let named = read
            .author
            .0
            .is_some_and(|name| !matches!(name.raw(), None | Some(b"")));
        if row.kind != RowKind::System && !named {
            row.doubt(Doubt::AuthorUnknown);
        }
        let bytes = self.source.get(read.span.clone()).unwrap_or_default();
        if !self.sound && std::str::from_utf8(bytes).is_err() {
            row.doubt(Doubt::InvalidUtf8);
        }
        let jitter = if row.clock == Clock::Instant {
            JITTER_MS
        } else {
            JITTER_MS / 1_000
        };
        match &self.latest {
            Some(latest) if row.is_before(latest, jitter) => row.doubt(Doubt::TimeRunsBack),
            // Times on a wall and instants cannot be compared.
            Some(latest) if row.clock != latest.clock || row.is_before(latest, 0) => {}
            _ if row.clock == Clock::None => {}
            _ => self.latest = Some(row),
        }
        self.rows.push(row);
        Ok(())
    }
}
