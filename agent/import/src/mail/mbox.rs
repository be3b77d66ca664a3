//! Splits a mailbox into its messages.
//!
//! There are four kinds of mbox, and a file does not say which it is. `mboxo` puts `>` before a
//! line that begins with `From `; `mboxrd` before `>From ` too, so that it can be undone; `mboxcl`
//! and `mboxcl2` count the body in `Content-Length`, and the latter quotes nothing. So: a line
//! begins a message when it has the form of a [`separator`](super::separator), stands after an
//! empty line and before a header. A `Content-Length` is followed where it leads to the next such
//! line or to the end of the file; separators within it are then body, and the message is flagged.

use std::ops::Range;

use memchr::{memchr, memmem};

use super::fields::{Start, name_of};
use super::separator::{LINE_MAX_BYTES, is_separator};
use super::without_mark;
use crate::ImportError;
use crate::limits::PREAMBLE_MAX_BYTES;
use crate::options::EmbeddedHeaders;

/// One message.
pub(super) struct Found<'a> {
    /// Its bytes in the file.
    pub(super) span: Range<usize>,
    pub(super) start: Start<'a>,
    /// Whether it holds a line in the form of a separator that does not begin a message.
    pub(super) inside: bool,
}

impl<'a> Found<'a> {
    /// A file that is one message.
    pub(super) fn whole(file: &'a [u8]) -> Self {
        Self {
            span: 0..file.len(),
            start: Start::read(without_mark(file)),
            inside: false,
        }
    }
}

/// Where the first message of a mailbox begins: at its start, but for a byte-order mark and empty
/// lines.
pub(super) fn first(file: &[u8]) -> Option<usize> {
    let start = file.get(..file.len().min(PREAMBLE_MAX_BYTES))?;
    let rest = without_mark(start).trim_ascii_start();
    let at = start.len() - rest.len();
    begins_message(file, at).then_some(at)
}

/// The message's own header and body: without the mailbox's line, and without the empty line that
/// separates it from the next.
pub(super) fn inner(message: &[u8]) -> &[u8] {
    if !message.starts_with(b"From ") {
        return message;
    }
    let start = memchr(b'\n', message).map_or(message.len(), |end| end + 1);
    let inner = message.get(start..).unwrap_or_default();
    let (line, empty) = if inner.ends_with(b"\r\n") {
        (2, &b"\r\n\r\n"[..])
    } else {
        (1, &b"\n\n"[..])
    };
    if inner.ends_with(empty) {
        inner.get(..inner.len() - line).unwrap_or(inner)
    } else {
        inner
    }
}

/// Gives `each` the messages of `file`. Says whether separators stand in bodies whose length is
/// counted, so that nothing is quoted in this file. Linear.
pub(super) fn split<'a>(
    file: &'a [u8],
    embedded: EmbeddedHeaders,
    mut each: impl FnMut(Found<'a>) -> Result<(), ImportError>,
) -> Result<bool, ImportError> {
    let mut at = first(file).ok_or(ImportError::UnknownFormat)?;
    let finder = memmem::Finder::new(b"\nFrom ");
    let mut lengths_rule = false;
    while at < file.len() {
        let header_at = at + line(file, at).len();
        let start = Start::read(file.get(header_at..).unwrap_or_default());
        let body_at = header_at + start.body_at;
        let counted = start
            .length
            .and_then(|length| sound_end(file, body_at.checked_add(length)?));
        // The line before the body ends with the first \n that can stand before a separator.
        let mut seek = body_at.saturating_sub(1);
        let mut inside = false;
        let end = loop {
            let Some(found) = finder.find(file.get(seek..).unwrap_or_default()) else {
                break file.len();
            };
            let next = seek + found + 1;
            seek = next;
            if !begins_message(file, next) {
                continue;
            }
            let in_body = counted.is_some_and(|end| next < end);
            let after_empty = next == body_at || after_empty_line(file, next);
            if !in_body && after_empty || embedded == EmbeddedHeaders::ReadAsMessages {
                break next;
            }
            lengths_rule |= in_body && after_empty;
            inside = true;
        };
        each(Found {
            span: at..end,
            start,
            inside,
        })?;
        at = end;
    }
    Ok(lengths_rule)
}

/// Whether a separator stands at `at`, with a header behind it. Looks at a few hundred bytes,
/// however long the lines are.
fn begins_message(file: &[u8], at: usize) -> bool {
    let start = |at: usize| {
        let rest = file.get(at..).unwrap_or_default();
        rest.get(..LINE_MAX_BYTES).unwrap_or(rest)
    };
    let separator = line(start(at), 0);
    is_separator(separator) && name_of(start(at + separator.len())).is_some()
}

/// The end that a `Content-Length` leads to, where the file agrees: there is nothing behind it but
/// empty lines and the next message.
fn sound_end(file: &[u8], end: usize) -> Option<usize> {
    let rest = file.get(end..)?;
    let after = [&b"\r\n\r\n"[..], b"\n\n", b"\r\n", b"\n", b""]
        .into_iter()
        .find_map(|lines| rest.strip_prefix(lines))?;
    let at = file.len() - after.len();
    let fresh = at == 0 || file.get(at - 1) == Some(&b'\n');
    (after.is_empty() || fresh && begins_message(file, at)).then_some(at)
}

/// Whether the line before `at`, where a line begins, is empty.
fn after_empty_line(file: &[u8], at: usize) -> bool {
    let before = file.get(..at).unwrap_or_default();
    before.ends_with(b"\n\n") || before.ends_with(b"\n\r\n")
}

fn line(file: &[u8], at: usize) -> &[u8] {
    let rest = file.get(at..).unwrap_or_default();
    let end = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
    rest.get(..end).unwrap_or_default()
}
