//! Text messages and MMS as the Android app SMS Backup & Restore writes them: `sms-….xml`.
//!
//! The root `<smses>` holds an `<sms …/>` or `<mms …>…</mms>` for each message of the phone, all
//! that it says in attributes, attached files in base64. A message is exactly its element. It is
//! XML but for one thing: characters outside the first 65,536 are two references to the halves of
//! a surrogate pair, which XML does not allow ([`crate::xml`]).
//!
//! The file holds the whole phone. Text messages may stand before all MMS, so the rows of a chat
//! are put in the order of their times. Elements that are broken are left out, which
//! [`Caveat::Unreadable`] says; a document type declaration and an encoding other than UTF-8 are
//! refused.

mod chats;
mod entry;
mod show;
mod stream;
mod walk;

use memchr::memmem;

use self::chats::Chats;
use self::entry::Entry;
use self::show::Sms;
use self::walk::{Step, Walk};
use crate::conversation::{Authors, Person};
use crate::files::{Files, address, bom};
use crate::limits::MESSAGES_MAX;
use crate::people::Interner;
use crate::row::{Doubt, INCOMING, OUTGOING, Row, order_by_time};
use crate::xml::{Broken, Cursor, Markup, decode};
use crate::{Caveat, Conversation, Format, ImportError, Options, Summary};
pub use stream::{list_sms, select_sms};

/// Who sent what the phone sent: the export names nobody. In brackets as the app's `(Unknown)`.
const OWNER: &str = "(owner of the phone)";

const ROOT: &[u8] = b"<smses";

/// How far into a file of 16-bit characters its root is looked for, in bytes.
const WIDE_START_BYTES: usize = 1_024;

/// Whether `start` is the start of such an export. One that will be refused for its encoding or
/// for its document type declaration is one too.
pub(crate) fn looks_like(start: &[u8]) -> bool {
    if is_wide(start) {
        let start = start.get(..WIDE_START_BYTES).unwrap_or(start);
        let narrow: Vec<u8> = start.iter().copied().filter(|byte| *byte != 0).collect();
        return memmem::find(&narrow, ROOT).is_some();
    }
    let mut cursor = Cursor::new(start, bom(start));
    loop {
        if !cursor.text().trim_ascii().is_empty() {
            return false;
        }
        match cursor.markup() {
            Ok(Some(Markup::Comment | Markup::Instruction(_))) => {}
            Ok(Some(Markup::Open(tag))) => return tag.name == ROOT.get(1..).unwrap_or_default(),
            Ok(Some(Markup::Doctype)) => return memmem::find(start, ROOT).is_some(),
            _ => return false,
        }
    }
}

/// Whether the file is in UTF-16, by its byte-order mark or its first character.
fn is_wide(start: &[u8]) -> bool {
    [b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<"]
        .iter()
        .any(|mark| start.starts_with(*mark))
}

/// Lists the chats, in the order of their first messages in the file.
pub(crate) fn conversations(source: &[u8]) -> Result<Vec<Summary>, ImportError> {
    let mut chats = Chats::new();
    each::<&[u8]>(source, |step, _| {
        match step {
            Step::Ended(entry) => {
                let number = chats.number(&entry)?;
                if let Some(tally) = chats.tally(number) {
                    tally.count(&entry.row);
                }
            }
            Step::Contact(address, name) => chats.contact(address, name)?,
            Step::Nothing | Step::Began => {}
        }
        Ok(())
    })?;
    Ok(chats.summaries())
}

pub(crate) fn import<'a>(
    source: &'a [u8],
    options: &Options<'_>,
) -> Result<Conversation<'a>, ImportError> {
    let sound = std::str::from_utf8(source).is_ok();
    let mut chats = Chats::new();
    let mut chosen = None;
    let mut several = false;
    let mut rows: Vec<Row> = Vec::new();
    let mut authors = Interner::new();
    let walk = each(source, |step, span| {
        let entry = match step {
            Step::Ended(entry) => entry,
            Step::Contact(address, name) => return chats.contact(address, name),
            Step::Nothing | Step::Began => return Ok(()),
        };
        let number = chats.number(&entry)?;
        let wanted = match options.conversation {
            Some(id) => chosen == Some(number) || (chosen.is_none() && chats.key(number) == id),
            None => chosen.is_none_or(|chosen| chosen == number),
        };
        if !wanted {
            several |= options.conversation.is_none();
            return Ok(());
        }
        chosen = Some(number);
        if rows.len() == MESSAGES_MAX {
            return Err(ImportError::TooManyMessages);
        }
        let mut row = entry.row;
        row.start = address(span.start as u64)?;
        row.body = row.start;
        row.end = address(span.end as u64)?;
        match author(&entry, &chats, number) {
            Some(author) => row.author = authors.number(author)?,
            None => row.doubt(Doubt::AuthorUnknown),
        }
        let bytes = source.get(span).unwrap_or_default();
        if !sound && std::str::from_utf8(bytes).is_err() {
            row.doubt(Doubt::InvalidUtf8);
        }
        rows.push(row);
        Ok(())
    })?;
    if several {
        return Err(ImportError::NeedsConversation(conversations(source)?.len()));
    }
    let Some(chosen) = chosen else {
        return Err(match options.conversation {
            Some(_) => ImportError::NoSuchConversation,
            None => ImportError::NoChat,
        });
    };
    order_by_time(&mut rows);
    rows.shrink_to_fit();
    let people = authors.keys().iter().map(|author| author.person(&chats));
    Ok(Conversation {
        format: Format::Sms,
        files: Files::one(source),
        rows,
        authors: Authors::People(people.collect()),
        title: options.title.map(str::to_owned).or(chats.title(chosen)),
        headers: None,
        caveats: caveats(&walk),
        dialect: Box::new(Sms),
    })
}

fn caveats(walk: &Walk<&[u8]>) -> Vec<Caveat> {
    let mut caveats = vec![Caveat::DeletedLeftOut];
    if walk.is_damaged() {
        caveats.push(Caveat::Unreadable);
    }
    if walk.is_cut_off() {
        caveats.push(Caveat::CutOff);
    }
    if walk.miscounts() {
        caveats.push(Caveat::CountDiffers);
    }
    caveats
}

/// Goes through `source` and gives every step and, of a message that ended, its place.
fn each<'a, K: From<&'a [u8]>>(
    source: &'a [u8],
    mut take: impl FnMut(Step<K>, std::ops::Range<usize>) -> Result<(), ImportError>,
) -> Result<Walk<K>, ImportError> {
    if is_wide(source) {
        return Err(ImportError::UnknownEncoding);
    }
    let mut walk = Walk::new();
    let mut cursor = Cursor::new(source, 0);
    let mut start = 0;
    loop {
        walk.text(cursor.text());
        let at = cursor.at();
        match cursor.markup() {
            Ok(Some(markup)) => {
                if walk.begins(&markup) {
                    start = at;
                }
                take(walk.markup(&markup)?, start..cursor.at())?;
            }
            Ok(None) | Err(Broken::End) => return Ok(walk),
            Err(Broken::Bad) => walk.broken(),
        }
    }
}

/// An author as messages name them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Author<'a> {
    Owner,
    /// An address, and the name that the message gives with it.
    Other(&'a [u8], Option<&'a [u8]>),
}

/// Who wrote a message; `None` where it does not say.
fn author<'a>(entry: &Entry<&'a [u8]>, chats: &Chats, number: u32) -> Option<Author<'a>> {
    match entry.row.flags & (INCOMING | OUTGOING) {
        OUTGOING => Some(Author::Owner),
        // The names of several stand in one list, which does not say whose is whose.
        INCOMING => {
            let address = match entry.from {
                Some(from) => from,
                None => entry.address.filter(|address| {
                    !entry.multimedia || chats.is_with(number, &decode(address))
                })?,
            };
            let alone = chats.is_with(number, &decode(address));
            Some(Author::Other(address, entry.name.filter(|_| alone)))
        }
        _ => None,
    }
}

impl Author<'_> {
    fn person(&self, chats: &Chats) -> Person {
        match self {
            Self::Owner => Person {
                name: Some(OWNER.to_owned()),
                id: None,
            },
            Self::Other(address, name) => {
                let address = decode(address).into_owned();
                let known = || chats.name_of(&address).map(str::to_owned);
                Person {
                    name: name.map(|name| decode(name).into_owned()).or_else(known),
                    id: Some(address),
                }
            }
        }
    }
}
