//! How the apps copy several messages.
//!
//! | app | form |
//! |---|---|
//! | WhatsApp on phones | `[13/02/2024, 09:05] Alice: text`, as in its exports |
//! | WhatsApp on phones, older | `[13/02, 09:05] Alice: text`, without the year |
//! | WhatsApp Web and Desktop | `[09:05, 13/02/2024] Alice: text` |
//! | Telegram Desktop | `Alice, [13.02.2024 09:05]`, and the text in the next line |
//! | Teams, until 2024 | `[13/02/2024 09:05] Alice`, and the text in the next line |
//! | Slack | `Alice`, then `  9:05 AM`, then the text; or `Alice  [9:05 AM]` |
//!
//! Signal, Messages on Apple's systems and today's Teams copy the words alone. Dates and times
//! are read by the grammar of WhatsApp's headers: they are put into its order for that, in a copy
//! of a few bytes.

use std::ops::Range;

use memchr::{memchr, memmem, memrchr};

use crate::limits::{AUTHOR_MAX_BYTES, HEADER_MAX_BYTES};
use crate::whatsapp::chars::{first_char, is_mark};
use crate::whatsapp::header::{self, Header, Layout};
use crate::whatsapp::scan::colon;

/// A way to write headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As in an exported chat.
    Export,
    /// `[09:05, 13/02/2024] Alice: text`
    TimeFirst,
    /// `[13/02, 09:05] Alice: text`
    NoYear,
    /// `[09:05] Alice: text`
    NoDate,
    /// `Alice, [13.02.2024 09:05]`
    NameFirst,
    /// `[13/02/2024 09:05] Alice`, with or without the year.
    NameLast,
    NameLastNoYear,
    /// `Alice`, `  9:05 AM`
    TimeBelow,
    /// `Alice  [9:05 AM]`
    TimeBehind,
}

impl Form {
    /// The channel whose app copies so.
    pub(super) const fn channel(self) -> Option<&'static str> {
        match self {
            Self::TimeFirst | Self::NoYear => Some("whatsapp"),
            Self::NameFirst => Some("telegram"),
            Self::NameLast | Self::NameLastNoYear => Some("microsoft-teams"),
            Self::TimeBelow | Self::TimeBehind => Some("slack"),
            Self::Export | Self::NoDate => None,
        }
    }

    /// Whether a header of the form can be nothing else, so that it counts behind other words.
    pub(super) const fn is_telling(self) -> bool {
        matches!(
            self,
            Self::Export | Self::TimeFirst | Self::NoYear | Self::NameFirst
        )
    }

    /// Whether the app leaves an empty line before every header but the first.
    pub(super) const fn stands_apart(self) -> bool {
        matches!(self, Self::NameFirst)
    }
}

/// The header of a message, counted from its first byte.
pub(super) struct Heading {
    pub(super) form: Form,
    /// Date and time, where the year is given.
    pub(super) stamp: Option<Header>,
    /// Where the author's name stands; `None` where it is the one before.
    pub(super) name: Option<Range<usize>>,
    /// Where the text starts.
    pub(super) text: usize,
}

impl Heading {
    /// Reads the header at the start of `rest`, where a line begins.
    pub(super) fn read(rest: &[u8]) -> Option<Self> {
        let near = rest.get(..NEAR_MAX_BYTES).unwrap_or(rest);
        let length = memchr(b'\n', near).map_or(near.len(), |end| end + 1);
        let line = near.get(..length)?;
        if let Some(found) = Self::bracketed(line) {
            return Some(found);
        }
        Self::behind(line).or_else(|| Self::below(line, near.get(length..)?))
    }

    /// `[…] Alice: text` and `[…] Alice`
    fn bracketed(line: &[u8]) -> Option<Self> {
        let mut open = 0;
        while let Some(mark) = first_char(line.get(open..)?).filter(|c| is_mark(*c)) {
            open += mark.len_utf8();
        }
        let inside = line.get(open..)?.strip_prefix(b"[")?;
        let inside = inside.get(..inside.len().min(HEADER_MAX_BYTES))?;
        let inside = inside.get(..memchr(b']', inside)?)?;
        let after = open + inside.len() + 2;
        let after = after + line.get(after..)?.strip_prefix(b" ").map(|_| 1)?;
        let behind = line.get(after..)?;
        let (year, stamp) = Stamp::read(inside)?;
        let with_colon = colon(behind);
        let form = match (year, with_colon.is_some()) {
            (Known::DateThenTime, true) => Form::Export,
            (Known::TimeThenDate, true) => Form::TimeFirst,
            (Known::NoYear, true) => Form::NoYear,
            (Known::TimeOnly, true) => Form::NoDate,
            (Known::DateThenTime, false) => Form::NameLast,
            (Known::NoYear, false) => Form::NameLastNoYear,
            (Known::TimeThenDate | Known::TimeOnly, false) => return None,
        };
        let (name, text) = match with_colon {
            Some(end) => (after..after + end, after + end + 2),
            None => (name(behind, after)?, line.len()),
        };
        Some(Self {
            form,
            stamp,
            name: Some(name),
            text,
        })
    }

    /// `Alice, [13.02.2024 09:05]` and `Alice  [9:05 AM]`
    fn behind(line: &[u8]) -> Option<Self> {
        let bare = line.trim_ascii_end().strip_suffix(b"]")?;
        let open = memrchr(b'[', bare)?;
        let inside = bare
            .get(open + 1..)
            .filter(|inside| inside.len() <= HEADER_MAX_BYTES)?;
        let before = bare.get(..open)?;
        let (known, stamp) = Stamp::read(inside)?;
        let (form, before) = match known {
            Known::DateThenTime => (Form::NameFirst, before.strip_suffix(b", ")?),
            Known::TimeOnly => (Form::TimeBehind, before.strip_suffix(b"  ")?),
            Known::NoYear | Known::TimeThenDate => return None,
        };
        Some(Self {
            form,
            stamp,
            name: Some(name(before, 0)?),
            text: line.len(),
        })
    }

    /// `Alice`, and in the next line two blanks and a time; or such a time alone.
    fn below(line: &[u8], next: &[u8]) -> Option<Self> {
        let indented = |line: &[u8]| {
            let inside = line.strip_prefix(b"  ")?.trim_ascii();
            matches!(Stamp::read(inside)?, (Known::TimeOnly, _)).then_some(())
        };
        let form = Form::TimeBelow;
        if indented(line).is_some() {
            return Some(Self {
                form,
                stamp: None,
                name: None,
                text: line.len(),
            });
        }
        let name = name(line, 0)?;
        let length = memchr(b'\n', next).map_or(next.len(), |end| end + 1);
        indented(next.get(..length)?)?;
        Some(Self {
            form,
            stamp: None,
            name: Some(name),
            text: line.len() + length,
        })
    }
}

/// How far into a text its header is looked for: a name, a date and a time.
const NEAR_MAX_BYTES: usize = AUTHOR_MAX_BYTES + 2 * HEADER_MAX_BYTES;

/// Where the name stands that is all of `bytes`, which begin at `at`.
fn name(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let bare = bytes.trim_ascii();
    let start = at + bytes.len() - bytes.trim_ascii_start().len();
    let fits = !bare.is_empty() && bare.len() <= AUTHOR_MAX_BYTES;
    fits.then_some(start..start + bare.len())
}

/// What a header says of its time.
#[derive(Clone, Copy)]
enum Known {
    DateThenTime,
    TimeThenDate,
    NoYear,
    TimeOnly,
}

struct Stamp;

impl Stamp {
    /// Reads what stands in the brackets.
    fn read(inside: &[u8]) -> Option<(Known, Option<Header>)> {
        if !inside.iter().any(|byte| matches!(byte, b':' | b'.' | b'h')) {
            return None;
        }
        if let Some(header) = parse(&[inside]) {
            return Some((Known::DateThenTime, Some(header)));
        }
        if let Some(comma) = memmem::rfind(inside, b", ")
            && let (Some(time), Some(date)) = (inside.get(..comma), inside.get(comma + 2..))
            && let Some(header) = parse(&[date, b", ", time])
        {
            return Some((Known::TimeThenDate, Some(header)));
        }
        if let Some((day_and_month, join, time)) = without_year(inside)
            && parse(&[day_and_month, join, b"2000", time]).is_some()
        {
            return Some((Known::NoYear, None));
        }
        parse(&[b"1/1/2000, ", inside]).map(|_| (Known::TimeOnly, None))
    }
}

/// The parts of `13/02, 09:05` and `13.02., 09:05`: `13/02`, `/`, `, 09:05`.
fn without_year(inside: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let digits = |from: usize| {
        let rest = inside.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let first = digits(0);
    let join = inside
        .get(first..first + 1)
        .filter(|join| matches!(join, [b'/' | b'.' | b'-']))?;
    let second = digits(first + 1);
    let end = first + 1 + second;
    let time = inside.get(end..)?;
    let time = time.strip_prefix(join).unwrap_or(time);
    let plain = (1..=2).contains(&first)
        && (1..=2).contains(&second)
        && time.first().is_some_and(|byte| matches!(byte, b',' | b' '));
    plain.then_some((inside.get(..end)?, join, time))
}

/// Reads date and time, in the order and the brackets of an export.
fn parse(parts: &[&[u8]]) -> Option<Header> {
    let mut line = b"[".to_vec();
    for part in parts {
        line.extend_from_slice(part);
    }
    line.extend_from_slice(b"] ");
    header::parse(&line).filter(|header| header.shape.layout == Layout::IosBrackets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(Form, Option<&str>, &str)> {
        let heading = Heading::read(text.as_bytes())?;
        let name = heading.name.map(|name| &text[name]);
        Some((heading.form, name, &text[heading.text..]))
    }

    #[test]
    fn every_form_is_known() {
        for (text, form) in [
            ("[13/02/2024, 09:05] Alice B: Hi", Form::Export),
            ("[2/13/24, 9:05:01\u{202f}PM] Alice B: Hi", Form::Export),
            ("[09:05, 13/02/2024] Alice B: Hi", Form::TimeFirst),
            ("[9:05 AM, 2/13/2024] Alice B: Hi", Form::TimeFirst),
            ("[9:05 p. m., 13/2/2024] Alice B: Hi", Form::TimeFirst),
            ("[13/02, 09:05] Alice B: Hi", Form::NoYear),
            ("[13.02., 09:05] Alice B: Hi", Form::NoYear),
            ("[2/13, 9:05 AM] Alice B: Hi", Form::NoYear),
            ("[09:05] Alice B: Hi", Form::NoDate),
            ("Alice B, [13.02.2024 09:05]\nHi", Form::NameFirst),
            ("Alice B, [13.02.24 09:05]\nHi", Form::NameFirst),
            ("Alice B, [2/13/24 9:05\u{202f}AM]\nHi", Form::NameFirst),
            ("Alice B, [2024-02-13 9:05]\nHi", Form::NameFirst),
            ("[13/02/2024 09:05] Alice B\nHi", Form::NameLast),
            ("[13/02 09:05] Alice B\nHi", Form::NameLastNoYear),
            ("Alice B  \n  9:05 AM  \nHi", Form::TimeBelow),
            ("Alice B  [9:05 AM]\nHi", Form::TimeBehind),
        ] {
            assert_eq!(read(text), Some((form, Some("Alice B"), "Hi")), "{text}");
        }
        assert_eq!(read("  9:04\nHi"), Some((Form::TimeBelow, None, "Hi")));
    }

    #[test]
    fn sentences_are_no_headers() {
        for text in [
            "Lunch?\n12:30",
            "[sic] Alice: Hi",
            "[1] Alice: Hi",
            "See [13.02.2024 09:05]",
            "Alice, [draft]\nHi",
            "Alice: Hi",
            "[13/02/2024] Alice: Hi",
            "[09:05, yesterday] Alice: Hi",
            "[13/02/2024, 09:05]Alice: Hi",
            "[09:05] done",
            "",
            "[",
            "]",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
