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
mod fit;
mod header;
mod order;
mod phrases;
mod scan;
mod title;

pub(crate) use classify::attachment_name;
pub use header::Layout;
pub use title::title_from_name;

use crate::limits::{MESSAGE_MAX_BYTES, TEXT_MAX_BYTES};
use crate::row::{Doubt, EDITED};
use crate::{Conversation, ImportError, Options};

/// Whether `start`, the start of a text, holds a header.
pub(crate) fn looks_like(start: &[u8]) -> bool {
    scan::first_header(start).is_some()
}

pub(crate) fn import<'a>(
    source: &'a [u8],
    options: &Options<'_>,
) -> Result<Conversation<'a>, ImportError> {
    if source.len() > TEXT_MAX_BYTES {
        return Err(ImportError::TooLarge {
            bytes: source.len() as u64,
            max: TEXT_MAX_BYTES as u64,
        });
    }
    let scan::Scan {
        shape,
        mut rows,
        authors,
    } = scan::scan(source)?;
    let (order, basis) = order::decide(&rows, shape.year, options.date_order)?;
    fit::resolve(&mut rows, order, options.embedded);
    fit::time(&mut rows, options.embedded);
    rows.shrink_to_fit();

    let mut chat = Conversation {
        source,
        rows,
        authors,
        title: options.title.map(str::to_owned),
        layout: shape.layout,
        order,
        basis,
    };
    describe(&mut chat, options);
    authors::settle(&mut chat, options);
    Ok(chat)
}

/// Fills in what each row is, and what is wrong with its bytes.
fn describe(chat: &mut Conversation<'_>, options: &Options<'_>) {
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
