//! Microsoft's export of chats, of Skype and of the free Teams: `messages.json`.
//!
//! `{"userId", "exportDate", "conversations": [{"id", "displayName", "threadProperties",
//! "MessageList": [messages]}]}`, each conversation newest message first. Microsoft documents how
//! to get it and not what is in it; what is read here is what public readers of it agree on
//! (Skyperious' `SkypeExport`, which reads both services'). It comes as a tar archive, which is to
//! be unpacked first.
//!
//! What people write is a kind of HTML ([`markup`]). A message is its object; rows are put in the
//! order of their times.

mod markup;
mod message;
mod show;

use std::collections::HashMap;

use self::message::Read;
use self::show::Teams;
use crate::conversation::{Authors, Person};
use crate::files::{Files, address, bom};
use crate::json::{Broken, Cursor, Stop, Value};
use crate::limits::{MESSAGES_MAX, PEOPLE_MAX};
use crate::people::Interner;
use crate::row::{Doubt, EDITED, INCOMING, OUTGOING, Row, RowKind, order_by_time};
use crate::tally::Tally;
use crate::{Caveat, Conversation, Format, ImportError, Options, Summary};

/// Where the mark of a tar archive stands (POSIX.1-1988, ustar), in bytes.
const TAR_MARK: std::ops::Range<usize> = 257..262;

/// Whether `start`, which is the start of no export, is that of a tar archive.
pub(crate) fn is_tar(start: &[u8]) -> bool {
    start.get(TAR_MARK) == Some(b"ustar")
}

/// Whether `start` is the start of a `messages.json`.
pub(crate) fn looks_like(start: &[u8]) -> bool {
    let mut cursor = Cursor::new(start, bom(start));
    if cursor.expect(b'{').is_err() {
        return false;
    }
    let (mut user, mut date, mut first) = (false, false, true);
    while let Ok(Some(key)) = cursor.key(&mut first) {
        match key {
            b"userId" => user = true,
            b"exportDate" => date = true,
            b"conversations" => return user && (date || begins_with_a_chat(cursor)),
            _ => {}
        }
        if cursor.value().is_err() {
            return false;
        }
    }
    false
}

/// Whether `cursor` stands before an array that begins with a conversation.
fn begins_with_a_chat(mut cursor: Cursor<'_>) -> bool {
    if cursor.expect(b'[').is_err() || cursor.expect(b'{').is_err() {
        return false;
    }
    let mut first = true;
    while let Ok(Some(key)) = cursor.key(&mut first) {
        if key == b"MessageList" {
            return true;
        }
        if cursor.value().is_err() {
            return false;
        }
    }
    false
}

/// A conversation, as far as it is known.
#[derive(Default)]
struct Head<'a> {
    /// Tells it from the others of the file.
    key: String,
    id: Option<Value<'a>>,
    name: Option<Value<'a>>,
    topic: Option<Value<'a>>,
}

impl Head<'_> {
    fn title(&self) -> Option<String> {
        let names = [self.name, self.topic, self.id];
        let mut names = names.into_iter().flatten().filter_map(Value::full);
        names.next().map(|name| name.into_owned())
    }
}

/// Lists the conversations that have messages.
pub(crate) fn conversations(source: &[u8]) -> Result<Vec<Summary>, ImportError> {
    let mut chats: Vec<(String, Option<String>, Tally)> = Vec::new();
    walk(source, |head, read| {
        let Some(read) = read else {
            return Ok(true);
        };
        if chats.last().is_none_or(|(key, ..)| *key != head.key) {
            chats.push((head.key.clone(), head.title(), Tally::new()));
        }
        if let Some((_, _, tally)) = chats.last_mut() {
            tally.count(&read.row);
        }
        Ok(true)
    })?;
    Ok(chats
        .into_iter()
        .map(|(key, title, tally)| tally.summary(key, title))
        .collect())
}

/// An author as a message names them: by name and by id.
type Author<'a> = (Option<Value<'a>>, Option<Value<'a>>);

pub(crate) fn import<'a>(
    source: &'a [u8],
    options: &Options<'_>,
) -> Result<Conversation<'a>, ImportError> {
    let sound = std::str::from_utf8(source).is_ok();
    let mut chosen: Option<(String, Option<String>)> = None;
    let mut several = false;
    let mut rows: Vec<Row> = Vec::new();
    let mut authors: Interner<Author<'a>> = Interner::new();
    // With one other person, the conversation has their id and their name.
    let mut other: Author<'a> = (None, None);
    let end = walk(source, |head, read| {
        let Some(read) = read else {
            let wanted = options.conversation.is_none_or(|wanted| wanted == head.key);
            return Ok(wanted && !several);
        };
        match &chosen {
            None => {
                chosen = Some((head.key.clone(), head.title()));
                other = (head.name, head.id);
            }
            Some((key, _)) if *key != head.key => {
                several = true;
                return Ok(false);
            }
            Some(_) => {}
        }
        if rows.len() == MESSAGES_MAX {
            return Err(ImportError::TooManyMessages);
        }
        let mut row = read.row;
        row.start = address(read.span.start as u64)?;
        row.body = row.start;
        row.end = address(read.span.end as u64)?;
        if read.author.0.is_some() || read.author.1.is_some() {
            row.author = authors.number(read.author)?;
        }
        let bytes = source.get(read.span.clone()).unwrap_or_default();
        if !sound && std::str::from_utf8(bytes).is_err() {
            row.doubt(Doubt::InvalidUtf8);
        }
        rows.push(row);
        Ok(true)
    })?;
    if several {
        return Err(ImportError::NeedsConversation(conversations(source)?.len()));
    }
    let Some((_, title)) = chosen else {
        return Err(match options.conversation {
            Some(_) => ImportError::NoSuchConversation,
            None => ImportError::NoChat,
        });
    };
    let people = people(authors.keys(), other);
    let owner = end.owner.and_then(Value::full);
    for row in &mut rows {
        let person = people.get(row.author as usize);
        let id = person.and_then(|person| person.id.as_deref());
        if row.kind == RowKind::System {
            continue;
        }
        match (id, &owner) {
            (None, _) => row.doubt(Doubt::AuthorUnknown),
            (Some(id), Some(owner)) if bare(id) == bare(owner) => row.flags |= OUTGOING,
            (Some(_), Some(_)) => row.flags |= INCOMING,
            (Some(_), None) => {}
        }
    }
    order_by_time(&mut rows);
    rows.shrink_to_fit();
    let mut caveats = Vec::new();
    if rows.iter().any(|row| row.flags & EDITED != 0) {
        caveats.push(Caveat::EarlierWordingsLeftOut);
    }
    caveats.extend(end.caveat);
    Ok(Conversation {
        format: Format::Teams,
        files: Files::one(source),
        rows,
        authors: Authors::People(people),
        title: options.title.map(str::to_owned).or(title),
        headers: None,
        caveats,
        dialect: Box::new(Teams),
    })
}

/// Names authors: as the message does, as another message of theirs does, or as the conversation
/// with them is called.
fn people(authors: &[Author<'_>], other: Author<'_>) -> Vec<Person> {
    let text = |value: Option<Value<'_>>| value?.full().map(|text| text.into_owned());
    let mut names: HashMap<String, String> = HashMap::new();
    for (name, id) in authors.iter().chain([&other]) {
        if let (Some(name), Some(id)) = (text(*name), text(*id)) {
            names.entry(bare(&id).to_owned()).or_insert(name);
        }
    }
    authors
        .iter()
        .map(|(name, id)| {
            let id = text(*id);
            let known = || names.get(bare(id.as_deref()?)).cloned();
            Person {
                name: text(*name).or_else(known),
                id,
            }
        })
        .collect()
}

/// An account's name without the number of its kind, which stands before it in some places and not
/// in others: `8:live:alice`.
fn bare(id: &str) -> &str {
    match id.split_once(':') {
        Some((kind, rest)) if kind.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => id,
    }
}

/// What was found out on the way.
struct End<'a> {
    /// The account whose export it is.
    owner: Option<Value<'a>>,
    /// Why it ended before the file.
    caveat: Option<Caveat>,
}

/// Goes through `source`; ends early where it is cut off or damaged. `take` is asked with no message
/// whether those of a conversation are wanted, then gets them.
fn walk<'a>(
    source: &'a [u8],
    take: impl FnMut(&Head<'a>, Option<&Read<'a>>) -> Result<bool, ImportError>,
) -> Result<End<'a>, ImportError> {
    let mut walk = Walk {
        cursor: Cursor::new(source, bom(source)),
        take,
        keys: HashMap::new(),
        owner: None,
    };
    let caveat = Stop::caveat(walk.root())?;
    Ok(End {
        owner: walk.owner,
        caveat,
    })
}

struct Walk<'a, T> {
    cursor: Cursor<'a>,
    take: T,
    /// How many conversations had this key.
    keys: HashMap<String, u32>,
    owner: Option<Value<'a>>,
}

impl<'a, T> Walk<'a, T>
where
    T: FnMut(&Head<'a>, Option<&Read<'a>>) -> Result<bool, ImportError>,
{
    fn root(&mut self) -> Result<(), Stop> {
        self.cursor.expect(b'{')?;
        let mut first = true;
        while let Some(key) = self.cursor.key(&mut first)? {
            if key == b"conversations" && self.cursor.peek()? == b'[' {
                self.cursor.expect(b'[')?;
                let mut first = true;
                while self.cursor.item(&mut first)? {
                    self.cursor.expect(b'{')?;
                    self.chat()?;
                }
                continue;
            }
            let value = self.cursor.value()?;
            if key == b"userId" {
                self.owner.get_or_insert(value);
            }
        }
        match self.cursor.peek() {
            Err(Broken::End) => Ok(()),
            // Something follows the end.
            _ => Err(Stop::At(Broken::Bad)),
        }
    }

    /// A conversation, past its `{`.
    fn chat(&mut self) -> Result<(), Stop> {
        let mut head = Head::default();
        // Its name may stand behind its messages, and the file may end in them.
        let mut messages = None;
        let end = self.head(&mut head, &mut messages);
        if let Some(messages) = messages {
            self.name(&mut head)?;
            let end = std::mem::replace(&mut self.cursor, messages);
            self.messages(&head)?;
            self.cursor = end;
        }
        Ok(end?)
    }

    fn head(
        &mut self,
        head: &mut Head<'a>,
        messages: &mut Option<Cursor<'a>>,
    ) -> Result<(), Broken> {
        let mut first = true;
        while let Some(key) = self.cursor.key(&mut first)? {
            if key == b"MessageList" && messages.is_none() && self.cursor.peek()? == b'[' {
                *messages = Some(self.cursor);
            }
            let value = self.cursor.value()?;
            match key {
                b"id" => head.id.get_or_insert(value),
                b"displayName" => head.name.get_or_insert(value),
                b"threadProperties" => match value.get("topic") {
                    Some(topic) => head.topic.get_or_insert(topic),
                    None => continue,
                },
                _ => continue,
            };
        }
        Ok(())
    }

    /// The array of a conversation's messages.
    fn messages(&mut self, head: &Head<'a>) -> Result<(), Stop> {
        if !(self.take)(head, None)? {
            return Ok(());
        }
        self.cursor.expect(b'[')?;
        let mut first = true;
        while self.cursor.item(&mut first)? {
            let read = Read::next(&mut self.cursor)?;
            if !(self.take)(head, Some(&read))? {
                break;
            }
        }
        Ok(())
    }

    /// Gives a conversation its key: its id, and a count where that comes again.
    fn name(&mut self, head: &mut Head<'a>) -> Result<(), ImportError> {
        if self.keys.len() == PEOPLE_MAX {
            return Err(ImportError::TooManyPeople);
        }
        let id = head.id.and_then(Value::text).unwrap_or_default();
        let count = self.keys.entry(id.clone().into_owned()).or_insert(0);
        *count += 1;
        head.key = match count {
            1 => id.into_owned(),
            _ => format!("{id}-{count}"),
        };
        Ok(())
    }
}
