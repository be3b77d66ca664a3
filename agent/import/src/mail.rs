//! E-mail: single messages as `.eml` files, and mailboxes in the mbox format.
//!
//! A message of a mailbox is its bytes from its `From ` line to before the next one, so that the
//! messages tile the file; a message of its own is its file. Mailboxes stand in no order that
//! means anything, so the rows are put in that of the `Date` headers, those without one last.
//!
//! Indexing only splits and reads the headers that a row needs. The rest is read when a message is
//! looked at ([`show`]): the structure by the walker in [`mime`], which is linear and limited, and
//! what stands in it (addresses, encoded words, parameters, character sets, entities) by
//! `mail-parser`. Its own walker is not used: it takes a boundary in the middle of a line for one,
//! decodes every attachment to show a text, is quadratic for parts whose boundary never comes, and
//! frees messages in messages by recursion.
//!
//! `>From ` is unquoted to show and to parse; the bytes and the digest of a message are those of
//! the file.

mod date;
mod decode;
mod fields;
mod html;
mod mbox;
mod mime;
mod separator;
mod show;

use crate::conversation::{Authors, Person};
use crate::files::{Files, address};
use crate::limits::{MESSAGES_MAX, PREAMBLE_MAX_BYTES};
use crate::mail::fields::{Fields, Start};
use crate::mail::show::Mail;
use crate::people::Interner;
use crate::row::{Clock, Doubt, INCOMING, OUTGOING, Row, RowKind};
use crate::{Conversation, Format, ImportError, Options, Stamp, Summary};

/// Whether `start` is the start of a mailbox: a `From ` line with a date, and a header.
pub(crate) fn is_mailbox(start: &[u8]) -> bool {
    mbox::first(start).is_some()
}

/// Whether `start` is the start of a message: nothing but headers up to the first empty line,
/// `From` among them, and another that every message has.
///
/// The name of a header has no space in it, so no header of a chat text is one.
pub(crate) fn is_message(start: &[u8]) -> bool {
    // A longer header ends somewhere in a line.
    let start = match start.iter().rposition(|byte| *byte == b'\n') {
        Some(end) if start.len() == PREAMBLE_MAX_BYTES => start.get(..=end).unwrap_or(start),
        _ => start,
    };
    let start = without_mark(start);
    let mut fields = Fields::new(start);
    let (mut from, mut other) = (false, false);
    for field in fields.by_ref() {
        from |= field.is("From");
        other |= ["Date", "Message-ID", "Received", "MIME-Version"]
            .iter()
            .any(|name| field.is(name));
    }
    from && other && fields.ended_well()
}

/// A byte-order mark belongs to the file.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}

/// Lists the threads of a mailbox that names them (Gmail's do), or the mailbox as a whole.
pub(crate) fn conversations(
    files: &[&[u8]],
    format: Format,
    options: &Options<'_>,
) -> Result<Vec<Summary>, ImportError> {
    let index = Index::of(files, format, options, None)?;
    let whole = index.threads.keys().len() < 2 || index.unthreaded;
    let mut listed: Vec<Summary> = if whole {
        vec![empty_summary(String::new())]
    } else {
        index
            .threads
            .keys()
            .iter()
            .map(|key| empty_summary(text_id(key)))
            .collect()
    };
    let all = Files::several(files)?;
    for (row, thread) in index.rows.iter().zip(&index.thread_of) {
        let place = if whole { 0 } else { *thread as usize };
        let Some(summary) = listed.get_mut(place) else {
            continue;
        };
        summary.messages += 1;
        let at = Stamp::of(row);
        if at != Stamp::None {
            // The rows are in the order of time.
            summary.last = at;
            if summary.first == Stamp::None {
                summary.first = at;
            }
        }
        if summary.title.is_none() {
            summary.title = show::subject(all.slice(row.start..row.end));
        }
    }
    if whole && let (Some(only), Some(title)) = (listed.first_mut(), options.title) {
        only.title = Some(title.to_owned());
    }
    Ok(listed)
}

fn empty_summary(id: String) -> Summary {
    Summary {
        id,
        title: None,
        messages: 0,
        first: Stamp::None,
        last: Stamp::None,
    }
}

fn text_id(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

/// Indexes messages, or mailboxes. [`Options::conversation`] may name one thread of Gmail's.
pub(crate) fn import<'a>(
    files: &[&'a [u8]],
    format: Format,
    options: &Options<'_>,
) -> Result<Conversation<'a>, ImportError> {
    let thread = options.conversation.filter(|id| !id.is_empty());
    let Index {
        mut rows,
        authors,
        quoted,
        ..
    } = Index::of(files, format, options, thread)?;
    if rows.is_empty() {
        return Err(match thread {
            Some(_) => ImportError::NoSuchConversation,
            None => ImportError::NoChat,
        });
    }
    rows.shrink_to_fit();
    let files = Files::several(files)?;
    let title = options.title.map(str::to_owned).or_else(|| {
        rows.iter()
            .take(TITLED_MAX)
            .find_map(|row| show::subject(files.slice(row.start..row.end)))
    });
    Ok(Conversation {
        format,
        files,
        rows,
        authors: Authors::People(authors.keys().iter().map(|from| person(from)).collect()),
        title,
        headers: None,
        caveats: Vec::new(),
        dialect: Box::new(Mail { quoted }),
    })
}

/// How many messages are asked for a subject that can be the title.
const TITLED_MAX: usize = 100;

fn person(from: &[u8]) -> Person {
    let (name, id) = show::author(from);
    Person { name, id }
}

/// What is known of every message once the files are split.
struct Index<'a> {
    rows: Vec<Row>,
    /// `From` headers as they stand.
    authors: Interner<&'a [u8]>,
    /// Threads as Gmail numbers them, and the number of each row's.
    threads: Interner<&'a [u8]>,
    thread_of: Vec<u32>,
    /// Whether a message names no thread.
    unthreaded: bool,
    /// Whether `From ` at the start of a line is quoted in these files.
    quoted: bool,
}

impl<'a> Index<'a> {
    fn of(
        files: &[&'a [u8]],
        format: Format,
        options: &Options<'_>,
        thread: Option<&str>,
    ) -> Result<Self, ImportError> {
        let mut index = Self {
            rows: Vec::new(),
            authors: Interner::new(),
            threads: Interner::new(),
            thread_of: Vec::new(),
            unthreaded: false,
            quoted: format == Format::Mbox,
        };
        for (base, file) in Files::several(files)?.iter() {
            if format == Format::Mbox {
                let lengths_rule = mbox::split(file, options.embedded, |found| {
                    index.add(base, file, &found, thread)
                })?;
                index.quoted &= !lengths_rule;
            } else {
                index.add(base, file, &mbox::Found::whole(file), thread)?;
            }
        }
        index.sort();
        Ok(index)
    }

    fn add(
        &mut self,
        base: u32,
        file: &'a [u8],
        found: &mbox::Found<'a>,
        thread: Option<&str>,
    ) -> Result<(), ImportError> {
        let start: &Start<'a> = &found.start;
        if thread.is_some_and(|wanted| start.thread != Some(wanted.as_bytes())) {
            return Ok(());
        }
        if self.rows.len() == MESSAGES_MAX {
            return Err(ImportError::TooManyMessages);
        }
        let at = |place: usize| address(u64::from(base) + place as u64);
        let mut row = Row::at(at(found.span.start)?, at(found.span.end)?);
        row.kind = RowKind::Text;
        match start.from {
            Some(from) => row.author = self.authors.number(from)?,
            None => row.doubt(Doubt::AuthorUnknown),
        }
        match start.date.and_then(date::parse) {
            Some(date::Time::Instant(ms)) => row.set_instant(Some(ms)),
            Some(date::Time::Wall(seconds)) => {
                row.clock = Clock::Wall;
                row.time = seconds;
                row.doubt(Doubt::ZoneUnknown);
            }
            None => row.doubt(Doubt::NoTime),
        }
        if start.repeated {
            row.doubt(Doubt::RepeatedPart);
        }
        if found.inside {
            row.doubt(Doubt::HeaderInside);
        }
        if start.content.is_some_and(mime::is_encrypted) {
            row.doubt(Doubt::NotShown);
        }
        row.flags |= match start.labels.map(fields::is_sent) {
            Some(Some(true)) => OUTGOING,
            Some(Some(false)) => INCOMING,
            _ => 0,
        };
        let number = match start.thread {
            Some(thread) => self.threads.number(thread)?,
            None => {
                self.unthreaded = true;
                0
            }
        };
        debug_assert!(row.end as usize <= base as usize + file.len());
        self.rows.push(row);
        self.thread_of.push(number);
        Ok(())
    }

    /// Puts the rows in the order of time. A time without a zone counts as if it were UTC, here
    /// only.
    fn sort(&mut self) {
        let mut both: Vec<(Row, u32)> = self.rows.drain(..).zip(self.thread_of.drain(..)).collect();
        both.sort_by_key(|(row, _)| match row.clock {
            Clock::Instant => row.time,
            Clock::Wall => row.time.saturating_mul(1_000),
            Clock::None => u64::MAX,
        });
        (self.rows, self.thread_of) = both.into_iter().unzip();
    }
}
