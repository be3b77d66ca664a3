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
pub(crate) mod chars;
mod classify;
mod day_part;
pub(crate) mod fit;
pub(crate) mod header;
pub(crate) mod order;
mod phrases;
pub(crate) mod scan;
mod stream;
mod title;

use authors::Survey;
use classify::attachment_name;
pub use header::Layout;
pub use stream::{ChatStream, Part};
pub use title::title_from_name;

use std::borrow::Cow;
use std::ops::Range;

use crate::conversation::{Authors, Headers};
use crate::dialect::{Dialect, RowView};
use crate::files::Files;
use crate::limits::MESSAGE_MAX_BYTES;
use crate::row::{Doubt, EDITED, Row};
use crate::{Attachment, Caveat, Conversation, Format, ImportError, Options, RowKind};

/// Whether `start`, the start of a text, holds a header.
pub(crate) fn looks_like(start: &[u8]) -> bool {
    scan::first_header(start).is_some()
}

pub(crate) fn import<'a>(
    source: &'a [u8],
    options: &Options<'_>,
) -> Result<Conversation<'a>, ImportError> {
    let scan::Scan {
        mut rows,
        mut authors,
        figures,
    } = scan::scan(source)?;
    let shape = figures.shape;
    let (order, basis) = order::decide(&figures.tally, shape.year, options.date_order)?;
    fit::resolve(&mut rows, &figures.usual, order, options.embedded);
    fit::time(&mut rows, options.embedded);
    rows.shrink_to_fit();

    let mut survey = Survey::new();
    let sound = std::str::from_utf8(source).is_ok();
    each_with_end(&mut rows, source, |row, _, whole| {
        describe(row, whole, sound, options);
        survey.add(row, body(row, whole), options);
    });
    let names: Vec<&[u8]> = authors.iter().map(|name| span(source, name)).collect();
    let settled = survey.settle(&names, options.title);
    each_with_end(&mut rows, source, |row, index, whole| {
        settled.apply(row, index == 0, body(row, whole), options);
    });
    for (author, range) in authors.iter_mut().enumerate() {
        if let Some(longer) = settled.longer_range(author, range) {
            *range = longer;
        }
    }
    let caveats = caveats(rows.first().map_or(0, |row| u64::from(row.start)));
    Ok(Conversation {
        format: Format::WhatsAppText,
        files: Files::one(source),
        rows,
        authors: Authors::Spans(authors),
        title: settled.title,
        headers: Some(Headers {
            layout: shape.layout,
            order,
            basis,
        }),
        caveats,
        dialect: Box::new(WhatsApp),
    })
}

/// What is to be said of a chat whose first message begins at `start`. A message whose header is
/// broken may hide above it; a byte-order mark is no words.
fn caveats(start: u64) -> Vec<Caveat> {
    if start > "\u{feff}".len() as u64 {
        vec![Caveat::WordsBefore]
    } else {
        Vec::new()
    }
}

/// Calls `each` with every row, its place and its bytes.
fn each_with_end(rows: &mut [Row], source: &[u8], mut each: impl FnMut(&mut Row, usize, &[u8])) {
    // Imports refuse sources over TEXT_MAX_BYTES, which is under 4 GiB.
    let len = u32::try_from(source.len()).unwrap_or(u32::MAX);
    for index in 0..rows.len() {
        let end = rows.get(index + 1).map_or(len, |next| next.start);
        if let Some(row) = rows.get_mut(index) {
            let whole = span(source, &(row.start..end));
            each(row, index, whole);
        }
    }
}

fn body<'w>(row: &Row, whole: &'w [u8]) -> &'w [u8] {
    let at = row.body.saturating_sub(row.start) as usize;
    whole.get(at..).unwrap_or_default()
}

fn span<'a>(source: &'a [u8], range: &Range<u32>) -> &'a [u8] {
    source
        .get(range.start as usize..range.end as usize)
        .unwrap_or_default()
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

/// Fills in what a row is, and what is wrong with its bytes; `sound` when they are UTF-8 for sure.
fn describe(row: &mut Row, whole: &[u8], sound: bool, options: &Options<'_>) {
    let body = body(row, whole);
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
