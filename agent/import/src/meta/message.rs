//! What the index keeps of a message.

use std::ops::Range;

use super::phrases::{Said, said};
use super::text::is_damaged;
use crate::Format;
use crate::json::{Broken, Cursor, Value};
use crate::row::{Doubt, Row, RowKind};

/// The day on which Facebook opened, 4 February 2004, in milliseconds since the Unix epoch. Some
/// rows are dated 1970, which is no date.
const EARLIEST_MS: i64 = 1_075_852_800_000;

/// A message as it was read.
pub(super) struct Read<'a> {
    /// Where its object stands in the file.
    pub(super) span: Range<usize>,
    pub(super) author: Option<Value<'a>>,
    /// Its row, but for its place and its author.
    pub(super) row: Row,
}

#[derive(Default)]
struct Fields<'a> {
    sender: Option<Value<'a>>,
    time: Option<Value<'a>>,
    kind: Option<Value<'a>>,
    text: Option<Value<'a>>,
    unsent: Option<Value<'a>>,
    share: Option<Value<'a>>,
    call: Option<Value<'a>>,
    missed: Option<Value<'a>>,
    bumped: Option<Value<'a>>,
    /// Whether there are files, and whether one of them is in the download.
    files: Option<bool>,
}

impl<'a> Read<'a> {
    /// Reads the message that `cursor` stands before.
    pub(super) fn next(cursor: &mut Cursor<'a>, format: Format) -> Result<Self, Broken> {
        cursor.expect(b'{')?;
        let start = cursor.at() - 1;
        let mut row = Row::at(0, 0);
        let mut fields = Fields::default();
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            let value = cursor.value()?;
            let field = match (format, key) {
                (Format::Meta, b"sender_name") => &mut fields.sender,
                (Format::Meta, b"timestamp_ms") => &mut fields.time,
                (Format::Meta, b"content") => &mut fields.text,
                (Format::Meta, b"is_unsent") => &mut fields.unsent,
                (Format::Meta, b"share") => &mut fields.share,
                (Format::Meta, b"call_duration") => &mut fields.call,
                (Format::Meta, b"missed") => &mut fields.missed,
                (Format::Meta, b"bumped_message_metadata") => &mut fields.bumped,
                (Format::MessengerEncrypted, b"senderName") => &mut fields.sender,
                (Format::MessengerEncrypted, b"timestamp") => &mut fields.time,
                (Format::MessengerEncrypted, b"text") => &mut fields.text,
                (Format::MessengerEncrypted, b"isUnsent") => &mut fields.unsent,
                (_, b"type") => &mut fields.kind,
                _ => {
                    if is_files(key) {
                        for file in files(value) {
                            let held = uri(file).is_some_and(is_held);
                            fields.files = Some(held || fields.files == Some(true));
                        }
                    }
                    continue;
                }
            };
            row.keep_first(field, value);
        }
        fields.describe(&mut row, format);
        Ok(Self {
            span: start..cursor.at(),
            author: fields.sender.filter(|name| name.raw().is_some()),
            row,
        })
    }
}

impl Fields<'_> {
    fn describe(&self, row: &mut Row, format: Format) {
        let time = self.time.and_then(Value::integer);
        if self.time.is_some() && time.is_none_or(|time| time < EARLIEST_MS) {
            row.doubt(Doubt::Malformed);
        }
        row.set_instant(time.filter(|time| *time >= EARLIEST_MS));
        let text = self.text.and_then(Value::raw).unwrap_or_default();
        if self
            .text
            .is_some_and(|text| text.raw().is_none() && !text.is_null())
        {
            row.doubt(Doubt::Malformed);
        }
        if format == Format::Meta && is_damaged(text) {
            row.doubt(Doubt::InvalidUtf8);
        }
        let sender = self.sender.and_then(Value::raw).unwrap_or_default();
        row.kind = self.kind(sender, text);
        match row.kind {
            RowKind::Blank => row.doubt(Doubt::NotShown),
            RowKind::Text if said(sender, text) == Said::Perhaps => row.doubt(Doubt::PerhapsNotice),
            _ => {}
        }
    }

    fn kind(&self, sender: &[u8], text: &[u8]) -> RowKind {
        if is_true(self.unsent) {
            return RowKind::Deleted;
        }
        match self.kind.and_then(Value::raw) {
            Some(b"Subscribe" | b"Unsubscribe") => return RowKind::System,
            Some(b"Call" | b"Payment" | b"placeholder") => return RowKind::Notice,
            _ => {}
        }
        if self.call.is_some() || is_true(self.missed) {
            return RowKind::Notice;
        }
        match self.files {
            Some(true) => return RowKind::Media,
            Some(false) => return RowKind::Omitted,
            None => {}
        }
        if !text.is_empty() {
            return match said(sender, text) {
                // "Alice sent an attachment." stands before what Alice shared.
                Said::ByApp if self.share.is_none() => RowKind::Notice,
                Said::OfPlace => RowKind::Location,
                _ => RowKind::Text,
            };
        }
        let bumped = self.bumped.and_then(|bumped| bumped.get("bumped_message"));
        if self.share.is_some_and(shares) || bumped.and_then(Value::full).is_some() {
            RowKind::Text
        } else {
            RowKind::Blank
        }
    }
}

fn is_true(value: Option<Value<'_>>) -> bool {
    value.is_some_and(|value| value.0 == b"true")
}

/// Whether a share has anything to show.
fn shares(share: Value<'_>) -> bool {
    ["link", "share_text"]
        .into_iter()
        .any(|key| share.get(key).and_then(Value::full).is_some())
}

/// Whether files stand under `key`.
pub(super) fn is_files(key: &[u8]) -> bool {
    matches!(
        key,
        b"photos" | b"videos" | b"audio_files" | b"files" | b"gifs" | b"sticker" | b"media"
    )
}

/// The files under such a key: a list of them or, of stickers, one.
pub(super) fn files<'a>(value: Value<'a>) -> impl Iterator<Item = Value<'a>> {
    value.items().chain(value.is_object().then_some(value))
}

/// Where a file is, as it is written.
pub(super) fn uri(file: Value<'_>) -> Option<&[u8]> {
    file.get("uri")?.raw()
}

/// Whether a file is in the download: not where there is an address in the web or, in a sentence,
/// the reason why there is none.
pub(super) fn is_held(uri: &[u8]) -> bool {
    !uri.is_empty() && !uri.contains(&b' ') && !uri.starts_with(b"http")
}
