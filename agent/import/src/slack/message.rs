//! What the index keeps of a message.

use std::ops::Range;

use crate::json::{Broken, Cursor, Value};
use crate::row::{Doubt, EDITED, Row, RowKind};

/// Digits after the point of a time.
const FRACTION_DIGITS: usize = 6;

/// What people do, by `subtype`; without one, they write.
const PEOPLES: [&[u8]; 9] = [
    b"bot_message",
    b"me_message",
    b"thread_broadcast",
    b"reply_broadcast",
    b"file_share",
    b"file_comment",
    b"file_mention",
    b"slackbot_response",
    b"document_comment_root",
];

/// What happens to a channel, by the start of `subtype`.
const CHANNELS: [&[u8]; 11] = [
    b"channel_",
    b"group_",
    b"mpim_",
    b"bot_add",
    b"bot_remove",
    b"bot_enable",
    b"bot_disable",
    b"app_conversation_",
    b"pinned_item",
    b"unpinned_item",
    b"conversation_",
];

/// A message as it was read.
pub(super) struct Read<'a> {
    /// Where its object stands in the file.
    pub(super) span: Range<usize>,
    pub(super) author: Author<'a>,
    /// What it says of its author: a bot, or somebody from another workspace, is in no list.
    pub(super) profile: Option<Value<'a>>,
    /// Its row, but for its place and its author.
    pub(super) row: Row,
    /// Whether it has files.
    pub(super) files: bool,
}

/// An author as a message names them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Author<'a> {
    pub(super) id: Option<Value<'a>>,
    /// What a bot calls itself here.
    pub(super) name: Option<Value<'a>>,
}

#[derive(Default)]
struct Fields<'a> {
    subtype: Option<Value<'a>>,
    ts: Option<Value<'a>>,
    user: Option<Value<'a>>,
    bot: Option<Value<'a>>,
    username: Option<Value<'a>>,
    user_profile: Option<Value<'a>>,
    bot_profile: Option<Value<'a>>,
    text: Option<Value<'a>>,
    files: Option<Value<'a>>,
    attachments: Option<Value<'a>>,
}

impl<'a> Read<'a> {
    /// Reads the message that `cursor` stands before.
    pub(super) fn next(cursor: &mut Cursor<'a>) -> Result<Self, Broken> {
        cursor.expect(b'{')?;
        let start = cursor.at() - 1;
        let mut row = Row::at(0, 0);
        let mut fields = Fields::default();
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            let value = cursor.value()?;
            let field = match key {
                b"subtype" => &mut fields.subtype,
                b"ts" => &mut fields.ts,
                b"user" => &mut fields.user,
                b"bot_id" => &mut fields.bot,
                b"username" => &mut fields.username,
                b"user_profile" => &mut fields.user_profile,
                b"bot_profile" => &mut fields.bot_profile,
                b"text" => &mut fields.text,
                b"files" => &mut fields.files,
                b"attachments" => &mut fields.attachments,
                b"edited" if !value.is_null() => {
                    row.flags |= EDITED;
                    continue;
                }
                _ => continue,
            };
            row.keep_first(field, value);
        }
        let files = fields.items(fields.files) > 0;
        fields.describe(&mut row, files);
        Ok(Self {
            span: start..cursor.at(),
            author: fields.author(),
            profile: fields.user_profile.or(fields.bot_profile),
            row,
            files,
        })
    }
}

impl<'a> Fields<'a> {
    fn describe(&self, row: &mut Row, files: bool) {
        let time = self.ts.and_then(Value::raw).and_then(instant);
        if self.ts.is_some() && time.is_none() {
            row.doubt(Doubt::Malformed);
        }
        row.set_instant(time);
        let said = match self.text {
            Some(text) if text.raw().is_none() && !text.is_null() => {
                row.doubt(Doubt::Malformed);
                false
            }
            text => text
                .and_then(Value::raw)
                .is_some_and(|text| !text.is_empty()),
        };
        let shares = self
            .attachments
            .into_iter()
            .flat_map(Value::items)
            .any(is_share);
        if shares {
            row.doubt(Doubt::Forwarded);
        }
        row.kind = self.kind(files, said || self.items(self.attachments) > 0);
        if row.kind == RowKind::Blank {
            row.doubt(Doubt::NotShown);
        }
    }

    fn kind(&self, files: bool, said: bool) -> RowKind {
        match self.subtype.and_then(Value::raw) {
            Some(b"tombstone" | b"message_deleted") => RowKind::Deleted,
            Some(subtype) if CHANNELS.iter().any(|of| subtype.starts_with(of)) => RowKind::System,
            // The app's words, in a way that this version does not know.
            Some(subtype) if !PEOPLES.contains(&subtype) => RowKind::Notice,
            _ if files => RowKind::Omitted,
            _ if said => RowKind::Text,
            _ => RowKind::Blank,
        }
    }

    fn items(&self, list: Option<Value<'_>>) -> usize {
        list.map_or(0, |list| list.items().count())
    }

    fn author(&self) -> Author<'a> {
        let string = |value: Option<Value<'a>>| {
            value.filter(|value| !matches!(value.raw(), None | Some(b"")))
        };
        let id = string(self.user);
        Author {
            id: id.or(string(self.bot)),
            // People have one name; it is in the list of people.
            name: string(self.username).filter(|_| id.is_none() || self.bot.is_some()),
        }
    }
}

/// Whether an attachment of a message is another message, passed on.
pub(super) fn is_share(attachment: Value<'_>) -> bool {
    ["is_share", "is_msg_unfurl"]
        .into_iter()
        .any(|key| attachment.get(key).is_some_and(|is| is.0 == b"true"))
}

/// Whether a text is a time of Slack's: `1355517523.000005`.
pub(super) fn is_instant(text: &[u8]) -> bool {
    instant(text).is_some()
}

/// Milliseconds since the Unix epoch.
fn instant(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (seconds, micros) = text.split_once('.')?;
    let digits = |part: &str| part.bytes().all(|digit| digit.is_ascii_digit());
    if micros.len() != FRACTION_DIGITS || !digits(seconds) || !digits(micros) {
        return None;
    }
    let millis = micros.parse::<i64>().ok()? / 1_000;
    seconds
        .parse::<i64>()
        .ok()?
        .checked_mul(1_000)?
        .checked_add(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_and_microseconds() {
        assert_eq!(instant(b"1355517523.000005"), Some(1_355_517_523_000));
        assert_eq!(instant(b"1717236000.123456"), Some(1_717_236_000_123));
        for bad in [
            &b"1717236000"[..],
            b"1717236000.12",
            b"-1.000000",
            b"a.000000",
            b"99999999999999999999.000000",
            b"",
        ] {
            assert_eq!(instant(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }
}
