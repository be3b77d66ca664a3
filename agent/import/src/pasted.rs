//! Text that was copied out of an app and pasted.
//!
//! Some chats cannot be exported: WhatsApp's Advanced Chat Privacy forbids it. Their messages can
//! be copied, and most apps copy several messages with who wrote them and when. Such text is never
//! recognised in a file ([`sniff`](crate::sniff) does not know it); the holder says that it is
//! pasted.
//!
//! [`form`] knows how the apps copy. The first header locks the form, and lines in another one are
//! body, as in an exported text; a copy that is written like an export is read as one. What stands
//! before the first header, or has none, is one message without author and time: the text does not
//! say them, so nobody and no time is made up. A time without a date, or without a year, is no
//! time either; then the message shows its header as it stands.

mod form;

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use memchr::memchr;

use self::form::{Form, Heading};
use crate::conversation::{Authors, Headers};
use crate::dialect::{Dialect, RowView};
use crate::files::{Files, address};
use crate::limits::{MESSAGE_MAX_BYTES, MESSAGES_MAX, PREAMBLE_MAX_BYTES, TEXT_MAX_BYTES};
use crate::row::{Clock, Doubt, NOBODY, Row, RowKind};
use crate::whatsapp::chars::for_display;
use crate::whatsapp::header::Layout;
use crate::whatsapp::scan::{Figures, Raw, first_header};
use crate::whatsapp::{fit, order};
use crate::{
    Attachment, Conversation, DateOrder, Format, ImportError, Options, OrderBasis, whatsapp,
};

/// Indexes text that the holder copied out of an app. Linear; copies none of it.
///
/// No text is too short, and one without a header that is known is one message, whose doubts say
/// that neither its author nor its time are known. [`Conversation::channel`] is that of the app
/// whose copies look so.
///
/// # Errors
///
/// [`ImportError::NoChat`] when there are no words, [`ImportError::NeedsDateOrder`] when day and
/// month cannot be told apart and `options` does not say, [`ImportError::DateOrderImpossible`] when
/// it says what cannot be, and those about limits.
pub fn import_pasted<'a>(
    source: &'a [u8],
    options: &Options<'_>,
) -> Result<Conversation<'a>, ImportError> {
    if source.len() > TEXT_MAX_BYTES {
        return Err(ImportError::TooLarge {
            bytes: source.len() as u64,
            max: TEXT_MAX_BYTES as u64,
        });
    }
    let blank = start_of_words(source);
    if blank == source.len() {
        return Err(ImportError::NoChat);
    }
    match lock(source, blank) {
        Some((_, Form::Export)) => {
            let unsaid = Options {
                date_order: None,
                ..*options
            };
            let read = whatsapp::import(source, options);
            if let Some(chat) = decided(read, || whatsapp::import(source, &unsaid))? {
                return exported(chat, blank);
            }
        }
        Some((at, form)) => return headed(source, blank, at, form, options),
        None => {}
    }
    Ok(conversation(
        source,
        vec![nameless(blank)?],
        Vec::new(),
        None,
        None,
        options,
    ))
}

/// What was read, or nothing where no order of day and month makes dates of what stands there:
/// the words are there all the same. `unsaid` reads without the order that the holder gave.
fn decided<T>(
    read: Result<T, ImportError>,
    unsaid: impl FnOnce() -> Result<T, ImportError>,
) -> Result<Option<T>, ImportError> {
    let hopeless = |error: &ImportError| {
        matches!(
            error,
            ImportError::UnknownFormat | ImportError::UnknownCalendar
        )
    };
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if hopeless(&error) => Ok(None),
        Err(error @ ImportError::DateOrderImpossible(_)) => match unsaid() {
            Err(without) if hopeless(&without) => Ok(None),
            _ => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// Where the words begin: behind a byte-order mark and empty lines.
fn start_of_words(source: &[u8]) -> usize {
    let rest = source.strip_prefix("\u{feff}".as_bytes()).unwrap_or(source);
    let words = rest.iter().position(|byte| !byte.is_ascii_whitespace());
    let Some(words) = words else {
        return source.len();
    };
    // Blanks at the start of a line belong to it.
    let line = rest
        .get(..words)
        .and_then(|before| before.iter().rposition(|byte| *byte == b'\n'))
        .map_or(0, |end| end + 1);
    source.len() - rest.len() + line
}

/// The first header and its form.
fn lock(source: &[u8], blank: usize) -> Option<(usize, Form)> {
    let mut at = blank;
    while at < source.len() && at <= PREAMBLE_MAX_BYTES {
        let rest = source.get(at..).unwrap_or_default();
        if let Some(heading) = Heading::read(rest)
            && (at == blank || heading.form.is_telling())
            && (at == blank || !heading.form.stands_apart() || after_empty_line(source, at))
        {
            return Some((at, heading.form));
        }
        if first_header(line(rest)).is_some_and(|(at, _)| at == 0) {
            return Some((at, Form::Export));
        }
        at += line(rest).len();
    }
    None
}

/// A copy in the form of an export, with what stands before it as a message of its own.
fn exported(mut chat: Conversation<'_>, blank: usize) -> Result<Conversation<'_>, ImportError> {
    let source = chat.source();
    let start = chat.preamble().len();
    let first = line(source.get(start..).unwrap_or_default());
    // Telegram's phones copy as WhatsApp's do, but without a comma.
    let comma = first_header(first).and_then(|(_, header)| first.get(..usize::from(header.len)));
    let whatsapp = chat.layout() != Some(Layout::IosBrackets)
        || comma.is_some_and(|head| head.contains(&b',') || contains(head, "،"));
    if blank < start {
        chat.rows.insert(0, nameless(blank)?);
    }
    chat.format = Format::Pasted;
    chat.dialect = Box::new(Pasted {
        channel: whatsapp.then_some("whatsapp"),
        export: Some(chat.dialect),
    });
    Ok(chat)
}

fn contains(bytes: &[u8], part: &str) -> bool {
    memchr::memmem::find(bytes, part.as_bytes()).is_some()
}

/// A copy whose headers have `form`, the first of them at `first`.
fn headed<'a>(
    source: &'a [u8],
    blank: usize,
    first: usize,
    form: Form,
    options: &Options<'_>,
) -> Result<Conversation<'a>, ImportError> {
    let mut taking = Taking {
        source,
        form,
        figures: None,
        rows: Vec::new(),
        raws: Vec::new(),
        authors: Vec::new(),
        known: HashMap::new(),
    };
    if blank < first {
        taking.push(nameless(blank)?, None)?;
    }
    let mut at = first;
    while at < source.len() {
        at += taking.line(at)?;
    }
    let Taking {
        figures,
        mut rows,
        raws,
        authors,
        ..
    } = taking;
    let decided = match figures {
        Some(figures) => {
            let decide = |given| order::decide(&figures.tally, figures.shape.year, given);
            decided(decide(options.date_order), || decide(None))?
        }
        None => None,
    };
    let mut latest = 0;
    for (row, raw) in rows.iter_mut().zip(raws) {
        let wall = decided
            .zip(raw)
            .and_then(|((order, _), raw)| order::wall(raw, order));
        match wall {
            Some(seconds) => {
                row.clock = Clock::Wall;
                row.time = seconds;
                fit::flag_if_behind(row, &mut latest);
            }
            None => {
                row.body = row.start;
                row.doubt(Doubt::NoTime);
            }
        }
    }
    Ok(conversation(
        source,
        rows,
        authors,
        decided,
        form.channel(),
        options,
    ))
}

/// A conversation of rows that are followed by each other, flagged where their bytes are at fault.
fn conversation<'a>(
    source: &'a [u8],
    mut rows: Vec<Row>,
    authors: Vec<Range<u32>>,
    decided: Option<(DateOrder, OrderBasis)>,
    channel: Option<&'static str>,
    options: &Options<'_>,
) -> Conversation<'a> {
    let ends: Vec<usize> = rows
        .iter()
        .skip(1)
        .map(|row| row.start as usize)
        .chain([source.len()])
        .collect();
    for (row, end) in rows.iter_mut().zip(ends) {
        let bytes = source.get(row.start as usize..end).unwrap_or_default();
        if std::str::from_utf8(bytes).is_err() {
            row.doubt(Doubt::InvalidUtf8);
        }
        if bytes.len() > MESSAGE_MAX_BYTES {
            row.doubt(Doubt::TooLong);
        }
    }
    Conversation {
        format: Format::Pasted,
        files: Files::one(source),
        rows,
        authors: Authors::Spans(authors),
        title: options.title.map(str::to_owned),
        headers: decided.map(|(order, basis)| Headers {
            layout: Layout::IosBrackets,
            order,
            basis,
        }),
        caveats: Vec::new(),
        dialect: Box::new(Pasted {
            channel,
            export: None,
        }),
    }
}

/// Words of which nobody says who wrote them, and when: from `start` to the first header.
fn nameless(start: usize) -> Result<Row, ImportError> {
    let mut row = Row::at(address(start as u64)?, 0);
    row.kind = RowKind::Text;
    row.doubt(Doubt::NoTime);
    row.doubt(Doubt::AuthorUnknown);
    Ok(row)
}

/// Takes the messages of a copy whose form is known.
struct Taking<'a> {
    source: &'a [u8],
    form: Form,
    figures: Option<Figures>,
    rows: Vec<Row>,
    /// The numbers of each row's header, where it has a whole date.
    raws: Vec<Option<Raw>>,
    authors: Vec<Range<u32>>,
    known: HashMap<&'a [u8], u32>,
}

impl Taking<'_> {
    /// Looks at the line at `at`. Gives the length of what was looked at: a header may take two
    /// lines.
    fn line(&mut self, at: usize) -> Result<usize, ImportError> {
        let rest = self.source.get(at..).unwrap_or_default();
        let length = line(rest).len();
        let Some(heading) = Heading::read(rest) else {
            if first_header(line(rest)).is_some_and(|(at, _)| at == 0) {
                self.doubt(Doubt::OtherHeaderInside);
            }
            return Ok(length);
        };
        let shape = self.figures.as_ref().map(|figures| figures.shape);
        let fits = heading.form == self.form
            && heading
                .stamp
                .is_none_or(|stamp| shape.is_none_or(|shape| shape == stamp.shape));
        if !fits {
            self.doubt(Doubt::OtherHeaderInside);
            return Ok(length);
        }
        let first = self.rows.is_empty();
        if self.form.stands_apart() && !first && !after_empty_line(self.source, at) {
            self.doubt(Doubt::HeaderInside);
            return Ok(length);
        }
        let raw = heading.stamp.map(|stamp| {
            let raw = Raw::of(&stamp);
            self.figures
                .get_or_insert_with(|| Figures::new(stamp.shape))
                .add(raw);
            raw
        });
        let place = |offset: usize| address((at + offset) as u64);
        let mut row = Row::at(place(0)?, 0);
        row.body = place(heading.text)?;
        row.kind = RowKind::Text;
        row.author = match heading.name {
            Some(name) => self.author(place(name.start)?..place(name.end)?)?,
            // Slack gives the name once for several messages of a person.
            None => self.rows.last().map_or(NOBODY, |row| row.author),
        };
        if row.author == NOBODY {
            row.doubt(Doubt::AuthorUnknown);
        }
        self.push(row, raw)?;
        Ok(length.max(heading.text))
    }

    fn push(&mut self, row: Row, raw: Option<Raw>) -> Result<(), ImportError> {
        if self.rows.len() == MESSAGES_MAX {
            return Err(ImportError::TooManyMessages);
        }
        self.rows.push(row);
        self.raws.push(raw);
        Ok(())
    }

    fn doubt(&mut self, doubt: Doubt) {
        if let Some(row) = self.rows.last_mut() {
            row.doubt(doubt);
        }
    }

    fn author(&mut self, name: Range<u32>) -> Result<u32, ImportError> {
        let range = name.start as usize..name.end as usize;
        let bytes = self.source.get(range).unwrap_or_default();
        if let Some(number) = self.known.get(bytes) {
            return Ok(*number);
        }
        let number = address(self.authors.len() as u64)?;
        self.authors.push(name);
        self.known.insert(bytes, number);
        Ok(number)
    }
}

/// Whether the line before `at`, where a line begins, is empty.
fn after_empty_line(source: &[u8], at: usize) -> bool {
    let before = source.get(..at).unwrap_or_default();
    before.ends_with(b"\n\n") || before.ends_with(b"\n\r\n")
}

/// The first line of `bytes`, with its ending.
fn line(bytes: &[u8]) -> &[u8] {
    let end = memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
    bytes.get(..end).unwrap_or_default()
}

/// How pasted messages are shown.
struct Pasted<'a> {
    channel: Option<&'static str>,
    /// The dialect of a copy that is written like an export.
    export: Option<Box<dyn Dialect + 'a>>,
}

impl Dialect for Pasted<'_> {
    fn text<'s>(&'s self, row: &RowView<'s>) -> Cow<'s, str> {
        // Between messages the apps leave empty lines.
        let body = row.raw_body.trim_ascii_end();
        for_display(body)
    }

    fn attachments<'s>(&'s self, row: &RowView<'s>) -> Vec<Attachment<'s>> {
        let export = self.export.as_ref();
        export.map_or_else(Vec::new, |export| export.attachments(row))
    }

    fn channel(&self) -> Option<&'static str> {
        self.channel
    }
}
