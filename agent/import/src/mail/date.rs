//! The `Date` header: RFC 5322, 3.3, and the obsolete forms of 4.3.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::separator::MONTHS;

/// When a message was sent, as its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    /// Milliseconds since the Unix epoch.
    Instant(i64),
    /// Seconds of a wall clock since 1970-01-01T00:00:00: the zone is missing or none that the
    /// standard defines (`BST` is British Summer Time and Bangladesh's).
    Wall(u64),
}

/// Reads a header's value. `None` when it is not a date of the standard.
pub(super) fn parse(value: &[u8]) -> Option<Time> {
    let value = std::str::from_utf8(value).ok()?;
    let mut words = Words { rest: value };
    let mut day = words.next()?;
    if !day.starts_with(|c: char| c.is_ascii_digit()) {
        // The name of the day says nothing that the date does not.
        day = words.next()?;
    }
    let day: i8 = number(day, 1, 2)?.try_into().ok()?;
    let month = month(words.next()?)?;
    let year = words.next()?;
    let year: i16 = match (year.len(), number(year, 2, 4)?) {
        (2, year @ 0..=49) => year + 2_000,
        (2 | 3, year) => year + 1_900,
        (_, year) => year,
    };
    let mut time = words.next()?.split(':');
    let hour: i8 = number(time.next()?, 1, 2)?.try_into().ok()?;
    let minute: i8 = number(time.next()?, 2, 2)?.try_into().ok()?;
    let second: i8 = match time.next() {
        // A leap second is counted with the one before it, as everywhere else.
        Some("60") => 59,
        Some(second) => number(second, 2, 2)?.try_into().ok()?,
        None => 0,
    };
    if time.next().is_some() {
        return None;
    }
    let wall = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let as_utc = TimeZone::UTC.to_timestamp(wall).ok()?;
    match words.next().and_then(offset_minutes) {
        Some(minutes) => as_utc
            .as_millisecond()
            .checked_sub(i64::from(minutes) * 60_000)
            .map(Time::Instant),
        None => u64::try_from(as_utc.as_second())
            .ok()
            .filter(|s| *s < END)
            .map(Time::Wall),
    }
}

/// The end of the year 2099, in seconds since the epoch: as for chat texts.
const END: u64 = 4_102_444_800;

/// Minutes ahead of UTC, where the standard defines the zone. `-0000` is UTC from a clock that
/// does not know its zone.
fn offset_minutes(zone: &str) -> Option<i32> {
    if let Some(digits) = zone.strip_prefix(['+', '-']) {
        let (hours, minutes) = digits.split_at_checked(2)?;
        let minutes = i32::from(number(hours, 2, 2)?) * 60
            + i32::from(number(minutes, 2, 2).filter(|minutes| *minutes < 60)?);
        return Some(if zone.starts_with('-') {
            -minutes
        } else {
            minutes
        });
    }
    let hours = match zone.to_ascii_uppercase().as_str() {
        "UT" | "UTC" | "GMT" | "Z" => 0,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        _ => return None,
    };
    Some(hours * 60)
}

fn month(word: &str) -> Option<i8> {
    // Some write the name in full, which begins with the abbreviation.
    let short = word.get(..3)?;
    let at = MONTHS
        .iter()
        .position(|month| month.eq_ignore_ascii_case(short))?;
    i8::try_from(at + 1).ok()
}

fn number(digits: &str, least: usize, most: usize) -> Option<i16> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    (plain && (least..=most).contains(&digits.len()))
        .then(|| digits.parse().ok())
        .flatten()
}

/// The words of a header, without comments, which may be nested, and without commas.
struct Words<'v> {
    rest: &'v str,
}

impl<'v> Words<'v> {
    fn next(&mut self) -> Option<&'v str> {
        loop {
            self.rest = self
                .rest
                .trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
            if !self.rest.starts_with('(') {
                break;
            }
            self.skip_comment();
        }
        let ends = |c: char| c.is_ascii_whitespace() || matches!(c, ',' | '(');
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    fn skip_comment(&mut self) {
        let (mut depth, mut escaped) = (0_u32, false);
        for (at, c) in self.rest.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '(' => depth = depth.saturating_add(1),
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                self.rest = self.rest.get(at + c.len_utf8()..).unwrap_or_default();
                return;
            }
        }
        self.rest = "";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(value: &str) -> Option<String> {
        match parse(value.as_bytes())? {
            Time::Instant(ms) => Some(jiff::Timestamp::from_millisecond(ms).ok()?.to_string()),
            Time::Wall(seconds) => Some(format!("wall {seconds}")),
        }
    }

    #[test]
    fn dates_of_the_standard_are_instants() {
        for value in [
            "Tue, 13 Feb 2024 09:05:01 +0000",
            "13 Feb 2024 09:05:01 +0000",
            "Tue, 13 Feb 2024 14:35:01 +0530 (IST)",
            "Tue, 13 Feb 2024 04:05:01 EST",
            "Tue,13 Feb 24 9:05:01 GMT",
            "Tue,\r\n 13 Feb 2024 (a (nested) comment) 09:05:01 -0000",
            "Tue 13 February 2024 09:05:01 UTC",
            "Mon, 13 Feb 2024 09:05:01 Z",
        ] {
            assert_eq!(
                instant(value).as_deref(),
                Some("2024-02-13T09:05:01Z"),
                "{value}"
            );
        }
        assert_eq!(
            instant("Sat, 31 Dec 2016 23:59:60 +0000").as_deref(),
            Some("2016-12-31T23:59:59Z")
        );
        assert_eq!(
            instant("1 Jan 99 00:00 +0000").as_deref(),
            Some("1999-01-01T00:00:00Z")
        );
        assert_eq!(
            instant("1 Jan 124 00:00 +0000").as_deref(),
            Some("2024-01-01T00:00:00Z")
        );
    }

    #[test]
    fn a_zone_that_the_standard_does_not_define_leaves_the_wall_clock() {
        for value in [
            "13 Feb 2024 09:05:01",
            "13 Feb 2024 09:05:01 BST",
            "13 Feb 2024 09:05:01 A",
        ] {
            assert_eq!(
                instant(value).as_deref(),
                Some("wall 1707815101"),
                "{value}"
            );
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for value in [
            "",
            "yesterday",
            "Tue, 31 Feb 2024 09:05:01 +0000",
            "13 Feb 2024",
            "13 Feb 2024 25:00 +0000",
            "13 Feb 2024 09:05:61 +0000",
            "2024-02-13T09:05:01Z",
            "(",
            "13 Feb 2 09:05 +0000",
            "13 Feb 2024 9 +0000",
        ] {
            assert_eq!(instant(value), None, "{value}");
        }
    }
}
