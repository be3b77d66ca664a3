//! The header of a message: date, time and what ends them.
//!
//! One grammar reads every known header and yields its [`Shape`], which is everything about it
//! but the numbers. A phone writes all headers of one export with one formatter, so a file has
//! one shape, locked by its first header; a line of another shape is body.

mod plain;

pub(crate) use plain::parse_plain;

use super::chars::{digit, first_char, is_mark, is_space};
use super::day_part::{self, DayPart};
use crate::limits::HEADER_MAX_BYTES;

/// Which phone writes headers so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// `[13/02/2024, 09:05:01] Name: text`
    IosBrackets,
    /// `13/02/2024, 09:05 - Name: text`
    AndroidDash,
    /// `13/02/2015 09:05:01: Name: text`, iOS until 2016.
    IosColon,
}

impl Layout {
    /// The name used in records and on screen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IosBrackets => "whatsapp_ios",
            Self::AndroidDash => "whatsapp_android",
            Self::IosColon => "whatsapp_ios_old",
        }
    }
}

/// Where a date has its year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum YearPlace {
    /// Four digits first (or 年): the order is known.
    First,
    /// Four digits last: day and month are in question.
    Last,
    /// Two digits somewhere.
    Short,
}

/// A few bytes in place, so that shapes compare and copy without allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Few {
    bytes: [u8; 32],
    len: u8,
}

impl Few {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn of(from: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        Some(Self {
            bytes,
            len: u8::try_from(from.len()).ok()?,
        })
    }
}

/// How a time's parts are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimeJoin {
    Colon,
    Dot,
    /// `9 h 05 min 01 s`, French Canada.
    H,
}

/// Everything about a header but its numbers and the digits they are padded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) layout: Layout,
    pub(crate) year: YearPlace,
    /// Zero of the script of the digits.
    script: u32,
    /// What stands between the numbers of the date.
    joins: [Few; 2],
    /// What stands between date and time (`, `, ` klo `), and between day part and time.
    connector: Few,
    time: TimeJoin,
    seconds: bool,
    /// Group of the day part, 0 for a 24-hour clock; whether it stands before the time.
    day_part: u8,
    day_part_first: bool,
    /// What stands between time and day part.
    gap: Few,
}

/// A header as read. The date's numbers are not in order yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) shape: Shape,
    pub(crate) date: [Number; 3],
    /// Second of the day, 0 to 86,399.
    pub(crate) second: u32,
    pub(crate) hour: Number,
    /// Length up to the author, in bytes.
    pub(crate) len: u16,
}

/// A number and how many digits it was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number {
    pub(crate) value: u16,
    pub(crate) width: u8,
}

/// Reads the header at the start of `line`, whatever its shape. `None` when there is none.
pub(crate) fn parse(line: &[u8]) -> Option<Header> {
    match read(line)? {
        (header, true) => Some(header),
        (_, false) => None,
    }
}

/// As [`parse`], with whether its time of day can be one. One that cannot, such as 24:05, is
/// given as midnight.
pub(crate) fn read(line: &[u8]) -> Option<(Header, bool)> {
    let line = line.get(..line.len().min(HEADER_MAX_BYTES))?;
    let mut c = Cursor {
        bytes: line,
        at: 0,
        script: None,
    };
    c.skip_marks();
    let bracket = c.eat(b"[");
    c.skip_marks();

    let first = c.number(4)?;
    let join_a = c.date_join()?;
    let second = c.number(2)?;
    let join_b = c.date_join()?;
    let third = c.number(4)?;
    let year = match (first.width, third.width) {
        (4, 1..=2) => YearPlace::First,
        (1..=2, 4) => YearPlace::Last,
        (1..=2, 1..=2) => YearPlace::Short,
        _ => return None,
    };

    let (connector, leading) = c.connector()?;
    let hour = c.number(2)?;
    let (time_join, minute, seconds) = c.minutes()?;
    let gap_start = c.at;
    let trailing = if leading.is_none() {
        c.trailing_day_part()
    } else {
        None
    };
    let gap = match trailing {
        Some((_, _, word_start)) => c.bytes.get(gap_start..word_start)?,
        None => {
            c.neutral_suffix();
            c.bytes.get(gap_start..c.at)?
        }
    };
    let gap = Few::of(gap)?;
    let layout = c.terminator(bracket)?;

    let part = leading.or(trailing.map(|(part, group, _)| (part, group)));
    let hours = u8::try_from(hour.value).ok()?;
    let hours = match part {
        Some((part, _)) => part.hour(hours),
        None => (hours < 24).then_some(hours),
    };
    let seconds_of = seconds.unwrap_or(0);
    let time = hours
        .filter(|_| minute <= 59 && seconds_of <= 59)
        .map(|hours| u32::from(hours) * 3_600 + u32::from(minute) * 60 + u32::from(seconds_of));
    let header = Header {
        shape: Shape {
            layout,
            year,
            script: c.script?,
            joins: [join_a, join_b],
            connector,
            time: time_join,
            seconds: seconds.is_some(),
            day_part: part.map_or(0, |(_, group)| group),
            day_part_first: leading.is_some(),
            gap,
        },
        date: [first, second, third],
        second: time.unwrap_or(0),
        hour,
        len: u16::try_from(c.at).ok()?,
    };
    Some((header, time.is_some()))
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    script: Option<u32>,
}

impl Cursor<'_> {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        first_char(self.rest())
    }

    fn eat(&mut self, wanted: &[u8]) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    fn eat_if(&mut self, test: impl Fn(char) -> bool) -> bool {
        match self.peek() {
            Some(c) if test(c) => {
                self.at += c.len_utf8();
                true
            }
            _ => false,
        }
    }

    fn skip_marks(&mut self) {
        while self.eat_if(is_mark) {}
    }

    /// A number of at most `max` digits, all of one script, the same in the whole header.
    fn number(&mut self, max: u8) -> Option<Number> {
        let mut value = 0_u16;
        let mut width = 0;
        while let Some((digit, zero)) = self.peek().and_then(digit) {
            if width == max || *self.script.get_or_insert(zero) != zero {
                return None;
            }
            // At most four digits, so at most 9,999.
            value = value * 10 + u16::from(digit);
            width += 1;
            self.at += self.peek().map_or(1, char::len_utf8);
        }
        (width > 0).then_some(Number { value, width })
    }

    /// `/`, `.`, `-`, `. `, 年, 月 or their Korean like, with marks around.
    fn date_join(&mut self) -> Option<Few> {
        let start = self.at;
        self.skip_marks();
        if !self.eat_if(|c| matches!(c, '/' | '.' | '-' | '年' | '月' | '년' | '월')) {
            return None;
        }
        self.skip_marks();
        self.eat_if(is_space);
        self.skip_marks();
        Few::of(self.bytes.get(start..self.at)?)
    }

    /// What stands between date and time, and the day part if it stands there.
    fn connector(&mut self) -> Option<(Few, Option<(DayPart, u8)>)> {
        let start = self.at;
        let mut letters = 0;
        let mut in_word = false;
        loop {
            let c = self.peek()?;
            if digit(c).is_some() {
                break;
            }
            if !in_word
                && self.at > start
                && let Some((part, group, len)) = day_part::at_start(self.rest())
            {
                let connector = Few::of(self.bytes.get(start..self.at)?)?;
                self.at += len;
                while self.eat_if(|c| is_space(c) || is_mark(c)) {}
                return Some((connector, Some((part, group))));
            }
            let is_sun = matches!(c, '日' | '일');
            in_word = c.is_alphabetic() && !is_sun;
            if in_word {
                // `klo`, `kl.`, `г.`, `om`, `à`: a word, not a sentence, and after a space.
                letters += 1;
                if letters > 8 || self.at == start {
                    return None;
                }
            } else if !(is_sun || is_space(c) || is_mark(c) || matches!(c, ',' | '.' | '،' | '、'))
            {
                return None;
            }
            self.at += c.len_utf8();
        }
        let connector = self.bytes.get(start..self.at)?;
        if connector.is_empty() {
            return None;
        }
        Some((Few::of(connector)?, None))
    }

    /// `:05`, `:05:01`, `.05`, ` h 05`, ` h 05 min 01 s`.
    fn minutes(&mut self) -> Option<(TimeJoin, u8, Option<u8>)> {
        let join = if self.eat(b":") {
            TimeJoin::Colon
        } else if self.eat(b".") {
            TimeJoin::Dot
        } else {
            self.eat_if(is_space);
            if !self.eat(b"h") {
                return None;
            }
            self.eat_if(is_space);
            TimeJoin::H
        };
        let minute = self.two_digits()?;
        let before = self.at;
        let joined = match join {
            TimeJoin::Colon => self.eat(b":"),
            TimeJoin::Dot => self.eat(b"."),
            TimeJoin::H => {
                self.eat_if(is_space);
                let min = self.eat(b"min");
                self.eat_if(is_space);
                min
            }
        };
        // `9.05. `: the dot is not always a join.
        let seconds = if joined { self.two_digits() } else { None };
        if seconds.is_none() {
            self.at = before;
        } else if join == TimeJoin::H {
            self.eat_if(is_space);
            self.eat(b"s");
        }
        Some((join, minute, seconds))
    }

    fn two_digits(&mut self) -> Option<u8> {
        let before = self.at;
        let found = self.number(2).filter(|number| number.width == 2);
        if found.is_none() {
            self.at = before;
        }
        u8::try_from(found?.value).ok()
    }

    /// The day part after the time: meaning, group, where its word starts.
    fn trailing_day_part(&mut self) -> Option<(DayPart, u8, usize)> {
        let before = self.at;
        while self.eat_if(|c| is_space(c) || is_mark(c)) {}
        let word_start = self.at;
        match day_part::at_start(self.rest()) {
            Some((part, group, len)) => {
                self.at += len;
                Some((part, group, word_start))
            }
            None => {
                self.at = before;
                None
            }
        }
    }

    /// Words after the time that say nothing about its half: Bulgarian `ч.`, German `Uhr`.
    fn neutral_suffix(&mut self) {
        let before = self.at;
        self.eat_if(is_space);
        if !["ч.", "Uhr", "h"]
            .iter()
            .any(|word| self.eat(word.as_bytes()))
        {
            self.at = before;
        }
    }

    fn terminator(&mut self, bracket: bool) -> Option<Layout> {
        self.skip_marks();
        if bracket {
            return (self.eat(b"]") && self.eat_if(is_space)).then_some(Layout::IosBrackets);
        }
        if self.eat(b": ") {
            return Some(Layout::IosColon);
        }
        let dash = self.eat_if(is_space)
            && self.eat_if(|c| matches!(c, '-' | '–'))
            && self.eat_if(is_space);
        dash.then_some(Layout::AndroidDash)
    }
}
