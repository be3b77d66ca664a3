//! What the index keeps of a message.

use std::ops::Range;

use super::Author;
use crate::json::{Broken, Cursor, Value};
use crate::row::{Clock, Doubt, EDITED, Row, RowKind};

/// Zones are whole quarters of an hour away from Greenwich …
const ZONE_STEP_SECONDS: i64 = 15 * 60;

/// … and at most fourteen hours.
const ZONE_MAX_SECONDS: i64 = 14 * 60 * 60;

/// Seconds before the year 2100.
const SECONDS_MAX: i64 = 4_102_444_800;

/// A message as it was read.
pub(super) struct Read<'a> {
    /// Where its object stands in the file.
    pub(super) span: Range<usize>,
    pub(super) author: Author<'a>,
    /// Its row, but for its place and its author.
    pub(super) row: Row,
}

#[derive(Default)]
struct Fields<'a> {
    kind: Option<Value<'a>>,
    action: Option<Value<'a>>,
    date: Option<Value<'a>>,
    unixtime: Option<Value<'a>>,
    from: Option<Value<'a>>,
    from_id: Option<Value<'a>>,
    actor: Option<Value<'a>>,
    actor_id: Option<Value<'a>>,
    text: Option<Value<'a>>,
    file: Option<Value<'a>>,
}

impl<'a> Read<'a> {
    /// Reads the message that `cursor` stands before.
    pub(super) fn next(cursor: &mut Cursor<'a>) -> Result<Self, Broken> {
        cursor.expect(b'{')?;
        let start = cursor.at() - 1;
        let mut row = Row::at(0, 0);
        let mut fields = Fields::default();
        let mut content = None;
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            let value = cursor.value()?;
            let field = match key {
                b"type" => &mut fields.kind,
                b"action" => &mut fields.action,
                b"date" => &mut fields.date,
                b"date_unixtime" => &mut fields.unixtime,
                b"from" => &mut fields.from,
                b"from_id" => &mut fields.from_id,
                b"actor" => &mut fields.actor,
                b"actor_id" => &mut fields.actor_id,
                b"text" => &mut fields.text,
                b"photo" | b"file" => &mut fields.file,
                _ => {
                    match key {
                        b"edited" | b"edited_unixtime" => row.flags |= EDITED,
                        b"forwarded_from" | b"saved_from" => row.doubt(Doubt::Forwarded),
                        b"poll" => content = Some(RowKind::Poll),
                        b"location_information" | b"place_name" => {
                            content = Some(RowKind::Location);
                        }
                        b"contact_information" => content = Some(RowKind::Contact),
                        _ => {}
                    }
                    continue;
                }
            };
            row.keep_first(field, value);
        }
        fields.time(&mut row);
        let service = fields.kind.is_some_and(|kind| kind.0 == b"\"service\"");
        row.kind = fields.row_kind(service, content);
        if row.kind == RowKind::Blank {
            row.doubt(Doubt::NotShown);
        }
        Ok(Self {
            span: start..cursor.at(),
            author: if service {
                (fields.actor, fields.actor_id)
            } else {
                (fields.from, fields.from_id)
            },
            row,
        })
    }
}

impl Fields<'_> {
    fn row_kind(&self, service: bool, content: Option<RowKind>) -> RowKind {
        if service {
            // Somebody rings; everything else happens to the chat.
            return match self.action.map(|action| action.0) {
                Some(b"\"phone_call\"" | b"\"group_call\"") => RowKind::Notice,
                _ => RowKind::System,
            };
        }
        if let Some(kind) = content {
            return kind;
        }
        match self.file.and_then(Value::raw) {
            // In place of a path: "(File not included. Change data exporting settings …)".
            Some(path) if path.starts_with(b"(") => RowKind::Omitted,
            Some(_) => RowKind::Media,
            None if self.text.is_some_and(says) => RowKind::Text,
            None => RowKind::Blank,
        }
    }

    /// The instant where there is one, the time on the wall otherwise.
    fn time(&self, row: &mut Row) {
        let wall = self.date.and_then(Value::raw).and_then(wall);
        let instant = self.unixtime.and_then(Value::integer);
        if (self.date.is_some() && wall.is_none()) || (self.unixtime.is_some() && instant.is_none())
        {
            row.doubt(Doubt::Malformed);
        }
        match (instant, wall) {
            (Some(instant), _) => row.set_instant(instant.checked_mul(1_000)),
            (None, Some(wall)) => {
                row.time = wall.unsigned_abs();
                row.clock = Clock::Wall;
            }
            (None, None) => row.doubt(Doubt::NoTime),
        }
        if let (Some(instant), Some(wall)) = (instant, wall) {
            let zone = wall.saturating_sub(instant);
            if zone % ZONE_STEP_SECONDS != 0
                || !(-ZONE_MAX_SECONDS..=ZONE_MAX_SECONDS).contains(&zone)
            {
                row.doubt(Doubt::TimesDisagree);
            }
        }
    }
}

/// Whether a text, which is a string or an array of pieces, is not empty.
fn says(text: Value<'_>) -> bool {
    match text.raw() {
        Some(raw) => !raw.is_empty(),
        None => text.items().next().is_some(),
    }
}

/// Seconds of the wall clock since 1970 of `2024-02-13T09:05:00`.
fn wall(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    if text.len() != 19 {
        return None;
    }
    let number = |range: Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        digits
            .bytes()
            .all(|digit| digit.is_ascii_digit())
            .then(|| digits.parse().ok())?
    };
    let mark = |at: usize, mark: u8| text.as_bytes().get(at) == Some(&mark);
    if !(mark(4, b'-') && mark(7, b'-') && mark(10, b'T') && mark(13, b':') && mark(16, b':')) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let date = jiff::civil::Date::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
    )
    .ok()?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_from_epoch(date);
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    (0..SECONDS_MAX).contains(&seconds).then_some(seconds)
}

/// Days since 1970-01-01.
fn days_from_epoch(date: jiff::civil::Date) -> i64 {
    let epoch = jiff::civil::date(1970, 1, 1);
    (date - epoch).get_days().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_times_are_read_and_impossible_ones_are_not() {
        assert_eq!(wall(b"1970-01-02T00:00:01"), Some(86_401));
        assert_eq!(wall(b"2024-02-29T23:59:59"), Some(1_709_251_199));
        for bad in [
            &b"2023-02-29T09:00:00"[..],
            b"2024-13-01T09:00:00",
            b"2024-02-13T24:00:00",
            b"2024-02-13 09:00:00",
            b"+024-02-13T09:00:00",
            b"2200-02-13T09:00:00",
            b"",
        ] {
            assert_eq!(wall(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }
}
