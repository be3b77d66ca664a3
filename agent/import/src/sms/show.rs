//! What text messages and MMS say.

use std::borrow::Cow;
use std::io;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::entry::{full, is_layout, is_text, subject};
use crate::dialect::{Dialect, RowView};
use crate::xml::{Broken, Cursor, Markup, Tag, decode};
use crate::{Attachment, ImportError, Place};

/// Apps leave the padding out now and then.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Shows the rows of one chat. What they say stands in their elements.
pub(super) struct Sms;

/// The tags that an element opens from `at` on, each with where it begins. At 0 is its own.
fn tags<'s>(element: &'s [u8], at: usize) -> impl Iterator<Item = (usize, Tag<'s>)> {
    let mut cursor = Cursor::new(element, at);
    std::iter::from_fn(move || {
        loop {
            cursor.text();
            let at = cursor.at();
            match cursor.markup() {
                Ok(Some(Markup::Open(tag))) => return Some((at, tag)),
                Ok(Some(_)) | Err(Broken::Bad) => {}
                Ok(None) | Err(Broken::End) => return None,
            }
        }
    })
}

/// A part of an MMS.
#[derive(Default)]
struct Part<'s> {
    media_type: &'s [u8],
    text: Option<&'s [u8]>,
    data: Option<&'s [u8]>,
    /// By the attribute that gives it: `cl`, `name`, `fn`.
    names: [Option<&'s [u8]>; 3],
}

impl<'s> Part<'s> {
    fn of(tag: &Tag<'s>) -> Self {
        let mut part = Self::default();
        let [mut media_type, mut text, mut data] = [None; 3];
        for (name, value) in tag.attributes().map_while(Result::ok) {
            let field = match name {
                b"ct" => &mut media_type,
                b"text" => &mut text,
                b"data" => &mut data,
                b"cl" => &mut part.names[0],
                b"name" => &mut part.names[1],
                b"fn" => &mut part.names[2],
                _ => continue,
            };
            field.get_or_insert(value);
        }
        part.media_type = media_type.and_then(full).unwrap_or_default();
        part.text = text.and_then(full);
        part.data = data.and_then(full);
        part
    }

    /// What it says as a part of the message's text.
    fn said(&self) -> Option<&'s [u8]> {
        self.text.filter(|_| is_text(self.media_type))
    }

    /// Whether it is a file that was sent.
    fn is_file(&self) -> bool {
        let empty = is_text(self.media_type) && self.data.is_none();
        !is_layout(self.media_type) && self.said().is_none() && !empty
    }

    /// The file of the part with this number, whose tag begins at `at`.
    fn file(&self, number: usize, at: usize) -> Attachment<'s> {
        let name = self.names.into_iter().flatten().find_map(full);
        Attachment {
            name: name.map_or_else(|| Cow::Owned(format!("part {number}")), decode),
            media_type: full(self.media_type).map(decode),
            bytes: self.data.and_then(len),
            sha256: None,
            place: match self.data {
                Some(_) => Place::Embedded(at),
                None => Place::LeftOut,
            },
        }
    }
}

/// The parts of an MMS from `at` on, each with where its tag begins.
fn parts<'s>(element: &'s [u8], at: usize) -> impl Iterator<Item = (usize, Part<'s>)> {
    tags(element, at)
        .filter(|(_, tag)| tag.name == b"part")
        .map(|(at, tag)| (at, Part::of(&tag)))
}

impl Dialect for Sms {
    fn text<'s>(&'s self, row: &RowView<'s>) -> Cow<'s, str> {
        let Some((_, tag)) = tags(row.source, 0).next() else {
            return Cow::Borrowed("");
        };
        if tag.name == b"sms" {
            let body = tag.get(b"body").and_then(full).map(decode);
            return match (tag.get(b"subject").and_then(full), body) {
                (None, body) => body.unwrap_or_default(),
                (Some(subject), None) => decode(subject),
                (Some(subject), Some(body)) => Cow::Owned(format!("{}\n{body}", decode(subject))),
            };
        }
        let subject = tag
            .get(b"sub")
            .and_then(full)
            .map(|raw| Cow::Owned(subject(raw, tag.get(b"sub_cs"))));
        let texts = parts(row.source, 0).filter_map(|(_, part)| part.said().map(decode));
        let mut said: Vec<Cow<'_, str>> = subject.into_iter().chain(texts).collect();
        match said.len() {
            0 | 1 => said.pop().unwrap_or_default(),
            _ => Cow::Owned(said.join("\n")),
        }
    }

    fn attachments<'s>(&'s self, row: &RowView<'s>) -> Vec<Attachment<'s>> {
        parts(row.source, 0)
            .enumerate()
            .filter(|(_, (_, part))| part.is_file())
            .map(|(number, (at, part))| part.file(number, at))
            .collect()
    }

    fn embedded(&self, row: &RowView<'_>, place: usize, max: u64) -> Result<Vec<u8>, ImportError> {
        // Its tag stands there: to look for it would be to read the message for each of its files.
        let part = parts(row.source, place)
            .next()
            .filter(|(at, _)| *at == place);
        let part = part.map(|(_, part)| part).filter(Part::is_file);
        let part = part.ok_or(ImportError::NoSuchFile)?;
        let data = part.data.ok_or(ImportError::NoSuchFile)?;
        let data: Cow<'_, [u8]> = if is_plain(data) {
            Cow::Borrowed(data)
        } else {
            // Broken into lines, which the app writes as references.
            let mut lines = decode(data).into_owned().into_bytes();
            lines.retain(|byte| !byte.is_ascii_whitespace());
            Cow::Owned(lines)
        };
        // Four characters are three bytes.
        let bytes = (data.len() as u64).div_ceil(4).saturating_mul(3);
        if bytes.saturating_sub(2) > max {
            return Err(ImportError::TooLarge { bytes, max });
        }
        let file = BASE64.decode(&*data).map_err(|broken| {
            ImportError::Damaged(io::Error::new(io::ErrorKind::InvalidData, broken))
        })?;
        if file.len() as u64 > max {
            return Err(ImportError::TooLarge {
                bytes: file.len() as u64,
                max,
            });
        }
        Ok(file)
    }
}

/// Whether base64 stands in one line.
fn is_plain(data: &[u8]) -> bool {
    memchr::memchr3(b'&', b'\n', b' ', data).is_none()
}

/// How many bytes there are behind base64 in one line.
fn len(data: &[u8]) -> Option<u64> {
    if !is_plain(data) {
        return None;
    }
    let padding = data
        .iter()
        .rev()
        .take(2)
        .take_while(|byte| **byte == b'=')
        .count();
    let digits = data.len().checked_sub(padding)? as u64;
    Some(digits / 4 * 3 + (digits % 4).saturating_sub(1))
}

#[cfg(test)]
mod tests;
