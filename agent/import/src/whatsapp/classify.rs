//! What a body is: the app's marks and structure first, its words where structure is silent.

use std::collections::BTreeSet;

use memchr::memmem;

use super::chars::{LRM, is_space};
use super::phrases::{ATTACHED, DELETED, DELETED_BY, EDITED, FILE_ATTACHED, OMITTED, POLL};
use crate::row::RowKind;

/// Says what `body`, with its last line ending, is, and whether the app says it was edited.
pub(crate) fn classify(body: &[u8], files: Option<&BTreeSet<String>>) -> (RowKind, bool) {
    let body = without_line_ending(body);
    let (core, edited) = without_edited(body);
    (kind(core, files), edited)
}

fn kind(body: &[u8], files: Option<&BTreeSet<String>>) -> RowKind {
    if body.is_empty() {
        return RowKind::Blank;
    }
    let by_app = body.starts_with(LRM);
    let bare = without_lrm(body);
    let first = first_line(bare);
    let single = first.len() == bare.len();

    if let Some(name) = attached(body, files) {
        return if has_suffix(name, b".vcf") {
            RowKind::Contact
        } else {
            RowKind::Media
        };
    }
    if single && is_deleted(bare) {
        return RowKind::Deleted;
    }
    if single && is_omitted(body) {
        return RowKind::Omitted;
    }
    let app_lines =
        by_app && first.ends_with(b":") && memmem::find(bare, b"\n\xe2\x80\x8e").is_some();
    if !single && (app_lines || POLL.iter().any(|poll| first == poll.as_bytes())) {
        return RowKind::Poll;
    }
    if is_location(first) {
        return RowKind::Location;
    }
    if by_app {
        RowKind::Notice
    } else {
        RowKind::Text
    }
}

/// The name of the file that a media row carries.
pub(crate) fn attachment_name(body: &[u8]) -> Option<&[u8]> {
    let (core, _) = without_edited(body);
    // Whatever made it media when it was indexed: the name is before a bracketed remark.
    attached(core, None).or_else(|| parenthesised(core).map(|(name, _)| name))
}

fn attached<'b>(body: &'b [u8], files: Option<&BTreeSet<String>>) -> Option<&'b [u8]> {
    let first = first_line(body);
    if first.ends_with(b")")
        && let Some((name, remark)) = parenthesised(body)
    {
        let known = files
            .is_some_and(|files| std::str::from_utf8(name).is_ok_and(|name| files.contains(name)));
        let by_words = FILE_ATTACHED.iter().any(|words| remark == words.as_bytes());
        if body.starts_with(LRM) || known || by_words || is_media_name(name) {
            return Some(name);
        }
    }
    // A caption may stand before it on the same line, or on lines before or after it.
    let last = match memchr::memrchr(b'\n', body) {
        Some(end) => body.get(end + 1..).unwrap_or_default(),
        None => body,
    };
    [first, last].into_iter().find_map(angled)
}

/// `name.ext (remark)`: name and remark.
fn parenthesised(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = without_lrm(first_line(body)).strip_suffix(b")")?;
    let open = memmem::rfind(line, b" (")?;
    let (name, remark) = (line.get(..open)?, line.get(open + 2..)?);
    has_extension(name).then_some((name, remark))
}

/// `…<word: name.ext>` at the end of a line: the name.
fn angled(line: &[u8]) -> Option<&[u8]> {
    let inside = line.strip_suffix(b">")?;
    let open = memchr::memrchr(b'<', inside)?;
    let by_app = inside.get(..open)?.ends_with(LRM);
    let inside = inside.get(open + 1..)?;
    let colon = memmem::find(inside, b": ")?;
    let word = trim_spaces(inside.get(..colon)?);
    let name = inside.get(colon + 2..)?;
    let known = ATTACHED.iter().any(|known| word == known.as_bytes());
    ((by_app || known) && has_extension(name)).then_some(name)
}

/// Android's own names for files: `IMG-20240213-WA0001.jpg`.
fn is_media_name(name: &[u8]) -> bool {
    let mut parts = name.splitn(3, |byte| *byte == b'-');
    let kind = parts.next().unwrap_or_default();
    let day = parts.next().unwrap_or_default();
    let rest = parts.next().unwrap_or_default();
    (2..=5).contains(&kind.len())
        && kind.iter().all(u8::is_ascii_uppercase)
        && day.len() == 8
        && day.iter().all(u8::is_ascii_digit)
        && rest.starts_with(b"WA")
}

/// Whether `name` can be a file's: a dot and one to five letters or digits at its end, and none of
/// the characters that phones keep out of file names.
fn has_extension(name: &[u8]) -> bool {
    let plain = !name
        .iter()
        .any(|byte| matches!(byte, b':' | b'/' | b'\\' | b'<' | b'>' | b'\n'));
    plain
        && memchr::memrchr(b'.', name).is_some_and(|dot| {
            let extension = name.get(dot + 1..).unwrap_or_default();
            (1..=5).contains(&extension.len()) && extension.iter().all(u8::is_ascii_alphanumeric)
        })
}

fn is_deleted(bare: &[u8]) -> bool {
    let words = bare.strip_suffix(b".").unwrap_or(bare);
    DELETED.iter().any(|phrase| words == phrase.as_bytes())
        || DELETED_BY
            .iter()
            .any(|phrase| bare.starts_with(phrase.as_bytes()))
}

/// `<Media omitted>` as the whole body, or, after the app's mark, words that end (or begin) so.
fn is_omitted(body: &[u8]) -> bool {
    let bare = without_lrm(body);
    let words = match bare
        .strip_prefix(b"<")
        .and_then(|rest| rest.strip_suffix(b">"))
    {
        Some(inside) => inside,
        None => match last_lrm(body) {
            Some(mark) => body.get(mark + LRM.len()..).unwrap_or_default(),
            None => return false,
        },
    };
    let words = words.strip_suffix(b".").unwrap_or(words);
    OMITTED.iter().any(|word| {
        let word = word.as_bytes();
        words
            .strip_suffix(word)
            .is_some_and(|rest| rest.ends_with(b" "))
            || words
                .strip_prefix(word)
                .is_some_and(|rest| rest.starts_with(b" "))
    })
}

/// `Location: https://maps.google.com/?q=51.5,-0.1`, whatever the word.
fn is_location(first: &[u8]) -> bool {
    const LINK: &[u8] = b": https://maps.google.com/?q=";
    let head = first.get(..first.len().min(64)).unwrap_or_default();
    memchr::memchr_iter(b':', head)
        .any(|at| head.get(at..).is_some_and(|rest| rest.starts_with(LINK)))
}

/// Where the last U+200E stands. Runs for every message, so it builds no searcher.
fn last_lrm(body: &[u8]) -> Option<usize> {
    memchr::memrchr_iter(0x8e, body)
        .filter_map(|end| end.checked_sub(2))
        .find(|start| body.get(*start..).is_some_and(|rest| rest.starts_with(LRM)))
}

/// The body without a closing `<This message was edited>`, and whether there was one.
fn without_edited(body: &[u8]) -> (&[u8], bool) {
    let Some(inside) = body.strip_suffix(b">") else {
        return (body, false);
    };
    let Some(open) = memchr::memrchr(b'<', inside) else {
        return (body, false);
    };
    let before = inside.get(..open).unwrap_or_default();
    let words = inside.get(open + 1..).unwrap_or_default();
    let words = words.strip_suffix(b".").unwrap_or(words);
    let unmarked = before.strip_suffix(LRM);
    let known = EDITED.iter().any(|phrase| words == phrase.as_bytes());
    // In other languages: the app's mark, after words, and not a file's name.
    let by_mark = unmarked.is_some_and(|text| text.ends_with(b" ")) && angled(body).is_none();
    if known || by_mark {
        let text = unmarked.unwrap_or(before);
        (text.strip_suffix(b" ").unwrap_or(text), true)
    } else {
        (body, false)
    }
}

pub(crate) fn without_line_ending(body: &[u8]) -> &[u8] {
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    body.strip_suffix(b"\r").unwrap_or(body)
}

pub(crate) fn without_lrm(mut body: &[u8]) -> &[u8] {
    while let Some(rest) = body.strip_prefix(LRM) {
        body = rest;
    }
    body
}

pub(crate) fn first_line(body: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'\n', body).unwrap_or(body.len());
    let line = body.get(..end).unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn trim_spaces(mut word: &[u8]) -> &[u8] {
    while let Some(rest) = [" ", "\u{a0}", "\u{202f}"]
        .iter()
        .find_map(|space| word.strip_suffix(space.as_bytes()))
    {
        word = rest;
    }
    while let Some(c) = super::chars::first_char(word).filter(|c| is_space(*c)) {
        word = word.get(c.len_utf8()..).unwrap_or_default();
    }
    word
}

fn has_suffix(name: &[u8], suffix: &[u8]) -> bool {
    name.len() >= suffix.len()
        && name
            .get(name.len() - suffix.len()..)
            .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}
