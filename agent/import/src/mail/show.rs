//! How a mail is shown: as it is printed.
//!
//! A record has a place for the author and the time of a message, and none for whom it went to and
//! what it was about. So the text begins with the lines that a printed mail begins with, subject
//! first because lists show the first line; then an empty line; then the words.

use std::borrow::Cow;
use std::fmt::Write as _;

use candour_wire::limits::MESSAGE_MAX_CHARS;
use mail_parser::parsers::MessageStream;
use mail_parser::{Addr, Address, HeaderValue};
use memchr::memmem;

use super::decode::{self, Undecodable};
use super::fields::{Field, Fields};
use super::mime::{Parts, ended, parts, stand_in_name};
use super::{html, mbox, without_mark};
use crate::dialect::{Dialect, RowView};
use crate::limits::HEADER_FIELD_MAX_BYTES;
use crate::{Attachment, ImportError, Place};

/// The lines at the head, in their order. Those that a mail gives twice, as `To` may be, are shown
/// twice.
const SHOWN: [&str; 7] = ["Subject", "From", "Sender", "To", "Cc", "Bcc", "Date"];

/// What stands between people: names hold commas.
const BETWEEN: &str = "; ";

/// How mails are shown.
pub(super) struct Mail {
    /// Whether `From ` at the start of a line is quoted.
    pub(super) quoted: bool,
}

impl Dialect for Mail {
    fn text<'s>(&'s self, row: &RowView<'s>) -> Cow<'s, str> {
        let mail = self.plain(row.source);
        Cow::Owned(Shown::of(&mail, &parts(&mail)).text)
    }

    fn attachments<'s>(&'s self, row: &RowView<'s>) -> Vec<Attachment<'s>> {
        let mail = self.plain(row.source);
        let parts = parts(&mail);
        let whole = is_cut(&mail, &parts).then(|| Attachment {
            name: Cow::Borrowed(WHOLE),
            media_type: Some(Cow::Borrowed("message/rfc822")),
            bytes: Some(mail.len() as u64),
            sha256: None,
            place: Place::Embedded(parts.files.len()),
        });
        let files = parts.files.into_iter().enumerate();
        files
            .map(|(place, part)| Attachment {
                name: match part.name {
                    Some(name) => Cow::Owned(name),
                    None => stand_in_name(&part.media_type),
                },
                media_type: Some(Cow::Owned(part.media_type)),
                bytes: part.size,
                sha256: None,
                place: Place::Embedded(place),
            })
            .chain(whole)
            .collect()
    }

    fn embedded(&self, row: &RowView<'_>, place: usize, max: u64) -> Result<Vec<u8>, ImportError> {
        let mail = self.plain(row.source);
        let parts = parts(&mail);
        let too_large = |bytes: u64| ImportError::TooLarge { bytes, max };
        if place == parts.files.len() && is_cut(&mail, &parts) {
            let bytes = mail.len() as u64;
            return if bytes > max {
                Err(too_large(bytes))
            } else {
                Ok(mail.into_owned())
            };
        }
        let part = parts.files.get(place).ok_or(ImportError::NoSuchFile)?;
        decode::file(part, max).map_err(|why| match why {
            Undecodable::TooLarge(bytes) => too_large(bytes),
            Undecodable::Damaged => ImportError::Damaged(std::io::ErrorKind::InvalidData.into()),
        })
    }
}

/// The name of the file that is the whole of a mail whose words are too long to be shown.
const WHOLE: &str = "whole message.eml";

/// Most characters of the head: it must leave room for words.
const HEAD_MAX_CHARS: usize = MESSAGE_MAX_CHARS / 2;

/// Room for what is said of a mail that is cut.
const CUT_MAX_CHARS: usize = 200;

/// Whether not all of a mail is shown. Most are too short for that, whatever is in them: decoding
/// makes no text longer but by its entities, which are far shorter than this leaves room for.
fn is_cut(mail: &[u8], parts: &Parts<'_>) -> bool {
    mail.len() > MESSAGE_MAX_CHARS / 4 && Shown::of(mail, parts).is_cut
}

/// A mail as it is shown: at most [`MESSAGE_MAX_CHARS`], which is what a record takes.
struct Shown {
    text: String,
    is_cut: bool,
}

impl Shown {
    fn of(mail: &[u8], parts: &Parts<'_>) -> Self {
        let mut text = head(mail);
        let (mut words, mut is_cut) = body(parts, &mut text);
        if let Some(kept) = start_of(&text, HEAD_MAX_CHARS) {
            text.truncate(kept);
            text.push('\n');
            is_cut = true;
        }
        let room = MESSAGE_MAX_CHARS - CUT_MAX_CHARS - text.chars().count();
        if let Some(kept) = start_of(&words, room) {
            words.truncate(kept);
            is_cut = true;
        }
        if is_cut {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "Content: cut off here; the whole of it is in “{WHOLE}”"
            );
        }
        text.push('\n');
        text.push_str(&words);
        let end = text.trim_end_matches(['\n', '\r']).len();
        text.truncate(end);
        Self { text, is_cut }
    }
}

/// Where the first `chars` characters of `text` end; nothing when it has no more.
fn start_of(text: &str, chars: usize) -> Option<usize> {
    text.char_indices().nth(chars).map(|(at, _)| at)
}

impl Mail {
    /// The mail without what the mailbox adds to it.
    fn plain<'s>(&self, source: &'s [u8]) -> Cow<'s, [u8]> {
        let inner = mbox::inner(without_mark(source));
        if self.quoted {
            unquoted(inner)
        } else {
            Cow::Borrowed(inner)
        }
    }
}

/// Takes one `>` away from every line that begins with some of them and `From `.
fn unquoted(mail: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find(mail, b">From ").is_none() {
        return Cow::Borrowed(mail);
    }
    let mut plain = Vec::with_capacity(mail.len());
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        let marks = line.iter().take_while(|byte| **byte == b'>').count();
        let quoted = marks > 0
            && line
                .get(marks..)
                .is_some_and(|rest| rest.starts_with(b"From "));
        plain.extend_from_slice(line.get(usize::from(quoted)..).unwrap_or_default());
    }
    Cow::Owned(plain)
}

/// The lines that a printed mail begins with.
fn head(mail: &[u8]) -> String {
    let mut text = String::new();
    for name in SHOWN {
        for field in Fields::new(mail).filter(|field| field.is(name)) {
            let value = match name {
                "Subject" => words_of(&field),
                "Date" => unfolded(&field),
                _ => people(&field),
            };
            if !value.is_empty() {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{name}: {value}");
            }
        }
    }
    text
}

/// The words of a mail, and whether they are cut; what must be said of them goes into the head.
fn body(parts: &Parts<'_>, head: &mut String) -> (String, bool) {
    let mut say = |what: &str| {
        let _ = writeln!(head, "Content: {what}");
    };
    if parts.encrypted {
        say("encrypted or sealed, so that it cannot be shown");
    }
    if parts.cut {
        say("more parts than can be shown");
    }
    let mut text = String::new();
    let (mut from_html, mut is_cut) = (false, false);
    for part in &parts.words {
        let words = decode::words(part);
        is_cut |= words.cut;
        if let Some(charset) = words.unknown_charset {
            say(&format!(
                "in a character set that is not known ({})",
                one_line(&charset)
            ));
        }
        from_html |= part.is_html();
        let words = if part.is_html() {
            html::words(&words.text)
        } else {
            words.text
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&words);
    }
    if from_html {
        say("the words of an HTML page, without its form");
    }
    (text, is_cut)
}

/// The subject of a message of a mailbox, or of its own.
pub(super) fn subject(message: &[u8]) -> Option<String> {
    let field =
        Fields::new(mbox::inner(without_mark(message))).find(|field| field.is("Subject"))?;
    Some(words_of(&field)).filter(|subject| !subject.is_empty())
}

/// The name and the address of a `From` header's value; of several authors all.
pub(super) fn author(from: &[u8]) -> (Option<String>, Option<String>) {
    let found = addresses(from);
    let joined = |each: &dyn Fn(&Addr<'static>) -> Option<String>| {
        let all: Vec<String> = found.iter().filter_map(each).collect();
        (!all.is_empty()).then(|| all.join(BETWEEN))
    };
    let name = |addr: &Addr<'static>| {
        let name = one_line(addr.name.as_deref().unwrap_or_default());
        Some(name).filter(|name| !name.is_empty())
    };
    let address = |addr: &Addr<'static>| addr.address.as_deref().map(one_line);
    let names = joined(&|addr| name(addr).or_else(|| address(addr)));
    (names, joined(&address))
}

/// The people of an address header, as `Name <address>`.
fn people(field: &Field<'_>) -> String {
    let found = addresses(field.value);
    if found.is_empty() {
        return unfolded(field);
    }
    let shown = found.iter().map(|addr| {
        match (
            addr.name.as_deref().map(one_line),
            addr.address.as_deref().map(one_line),
        ) {
            (Some(name), Some(address)) if !name.is_empty() => format!("{name} <{address}>"),
            (_, Some(address)) => address,
            (name, None) => name.unwrap_or_default(),
        }
    });
    shown.collect::<Vec<_>>().join(BETWEEN)
}

fn addresses(value: &[u8]) -> Vec<Addr<'static>> {
    let Some(value) = capped(value) else {
        return Vec::new();
    };
    match MessageStream::new(&ended(value))
        .parse_address()
        .into_owned()
    {
        HeaderValue::Address(Address::List(list)) => list,
        HeaderValue::Address(Address::Group(groups)) => groups
            .into_iter()
            .flat_map(|group| group.addresses)
            .collect(),
        _ => Vec::new(),
    }
}

/// The words of a header without structure, encoded ones decoded.
fn words_of(field: &Field<'_>) -> String {
    let Some(value) = capped(field.value) else {
        return unfolded(field);
    };
    match MessageStream::new(&ended(value)).parse_unstructured() {
        HeaderValue::Text(text) => one_line(&text),
        _ => String::new(),
    }
}

/// A header as it stands, on one line.
fn unfolded(field: &Field<'_>) -> String {
    let value = field
        .value
        .get(..HEADER_FIELD_MAX_BYTES)
        .unwrap_or(field.value);
    one_line(&String::from_utf8_lossy(value))
}

fn capped(value: &[u8]) -> Option<&[u8]> {
    (value.len() <= HEADER_FIELD_MAX_BYTES).then_some(value)
}

/// `text` on one line: an encoded line ending must not begin a line that looks like a header.
fn one_line(text: &str) -> String {
    let text = text.trim();
    let mut line = String::with_capacity(text.len());
    let mut space = false;
    for c in text.chars() {
        // The ends of lines and of paragraphs are no control characters.
        let breaks = c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        if breaks {
            space = true;
            continue;
        }
        if space && !line.ends_with(' ') && c != ' ' {
            line.push(' ');
        }
        space = false;
        line.push(c);
    }
    line
}
