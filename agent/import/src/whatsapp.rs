//! WhatsApp's exported chat text, of iOS and Android, in any of their languages.
//!
//! The export is not made to be read back: a header is just the start of a line, nothing is
//! escaped, and its form depends on the phone's locale. So:
//!
//! 1. [`scan`] finds the first header, locks its [`header::Shape`] and makes a row of every line
//!    that starts with one of that shape;
//! 2. [`order`] decides in which order the numbers of the dates stand, or asks;
//! 3. [`fit`] keeps headers that cannot be genuine (impossible date, other padding, out of time)
//!    inside the message before them, and flags it;
//! 4. [`classify`] says what each body is, by the app's marks and structure first and by its words
//!    where structure is silent;
//! 5. [`authors`] settles names that hold a colon, and rows that nobody wrote.

mod authors;
mod chars;
mod classify;
mod day_part;
mod fit;
mod header;
mod order;
mod phrases;
mod scan;
mod title;

use classify::attachment_name;
pub use header::Layout;
pub use title::title_from_name;

use std::borrow::Cow;
use std::ops::Range;

use crate::conversation::{Authors, Headers};
use crate::dialect::{Dialect, RowView};
use crate::files::Files;
use crate::limits::MESSAGE_MAX_BYTES;
use crate::row::{Doubt, EDITED, Row};
use crate::{Attachment, Conversation, Format, ImportError, Options, RowKind};

/// Whether `start`, the start of a text, holds a header.
pub(crate) fn looks_like(start: &[u8]) -> bool {
    scan::first_header(start).is_some()
}

/// A chat while it is being read.
pub(crate) struct Chat<'a> {
    source: &'a [u8],
    rows: Vec<Row>,
    /// Where each author's name first stands in the source.
    authors: Vec<Range<u32>>,
    title: Option<String>,
}

impl Chat<'_> {
    fn end(&self, index: usize) -> u32 {
        // Imports refuse sources over TEXT_MAX_BYTES, which is under 4 GiB.
        let len = u32::try_from(self.source.len()).unwrap_or(u32::MAX);
        self.rows
            .get(index.saturating_add(1))
            .map_or(len, |row| row.start)
    }
}

pub(crate) fn import<'a>(
    source: &'a [u8],
    options: &Options<'_>,
) -> Result<Conversation<'a>, ImportError> {
    let scan::Scan {
        shape,
        mut rows,
        authors,
    } = scan::scan(source)?;
    let (order, basis) = order::decide(&rows, shape.year, options.date_order)?;
    fit::resolve(&mut rows, order, options.embedded);
    fit::time(&mut rows, options.embedded);
    rows.shrink_to_fit();

    let mut chat = Chat {
        source,
        rows,
        authors,
        title: options.title.map(str::to_owned),
    };
    describe(&mut chat, options);
    authors::settle(&mut chat, options);
    Ok(Conversation {
        format: Format::WhatsAppText,
        files: Files::one(source),
        rows: chat.rows,
        authors: Authors::Spans(chat.authors),
        title: chat.title,
        headers: Some(Headers {
            layout: shape.layout,
            order,
            basis,
        }),
        caveats: Vec::new(),
        dialect: Box::new(WhatsApp),
    })
}

/// How a WhatsApp chat's rows are shown.
struct WhatsApp;

impl Dialect for WhatsApp {
    fn text<'s>(&'s self, row: &RowView<'s>) -> Cow<'s, str> {
        chars::for_display(row.body())
    }

    fn attachments<'s>(&'s self, row: &RowView<'s>) -> Vec<Attachment<'s>> {
        if !matches!(row.kind, RowKind::Media | RowKind::Contact) {
            return Vec::new();
        }
        let name = attachment_name(row.body()).map(String::from_utf8_lossy);
        name.map(Attachment::named).into_iter().collect()
    }
}

/// Fills in what each row is, and what is wrong with its bytes.
fn describe(chat: &mut Chat<'_>, options: &Options<'_>) {
    let sound = std::str::from_utf8(chat.source).is_ok();
    for index in 0..chat.rows.len() {
        let end = chat.end(index);
        let Some(row) = chat.rows.get_mut(index) else {
            break;
        };
        let whole = chat
            .source
            .get(row.start as usize..end as usize)
            .unwrap_or_default();
        let body = chat
            .source
            .get(row.body as usize..end as usize)
            .unwrap_or_default();
        if row.author != crate::row::NOBODY {
            let (kind, edited) = classify::classify(body, options.attachments);
            row.kind = kind;
            row.flags |= if edited { EDITED } else { 0 };
        }
        if !sound && std::str::from_utf8(whole).is_err() {
            row.doubt(Doubt::InvalidUtf8);
        }
        if body.len() > MESSAGE_MAX_BYTES {
            row.doubt(Doubt::TooLong);
        }
    }
}
