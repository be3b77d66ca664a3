//! One pass over the lines: which of them start a message.

use std::collections::HashMap;
use std::ops::Range;

use memchr::memchr;

use super::chars::may_start_header;
use super::fit::UsualPadding;
use super::header::{self, Header, Number, Shape, YearPlace};
use super::order::Tally;
use crate::ImportError;
use crate::limits::{AUTHOR_MAX_BYTES, HEADER_MAX_BYTES, MESSAGES_MAX, PREAMBLE_MAX_BYTES};
use crate::row::{Clock, Doubt, NOBODY, Row, RowKind};

/// Years that a phone with WhatsApp on it can show. Earlier and later ones belong to other
/// calendars (Buddhist 2567, Persian 1403), or to no header.
const YEARS: std::ops::RangeInclusive<u16> = 1970..=2099;

/// What the pass found. The rows' `time` holds [`Raw`] numbers.
pub(crate) struct Scan {
    pub(crate) rows: Vec<Row>,
    pub(crate) authors: Vec<Range<u32>>,
    pub(crate) figures: Figures,
}

/// What all headers of a file say together.
pub(crate) struct Figures {
    pub(crate) shape: Shape,
    pub(crate) tally: Tally,
    pub(crate) usual: UsualPadding,
}

impl Figures {
    pub(crate) const fn new(shape: Shape) -> Self {
        Self {
            shape,
            tally: Tally::new(),
            usual: UsualPadding::new(),
        }
    }

    /// Counts the next header.
    pub(crate) fn add(&mut self, raw: Raw) {
        self.tally.add(raw, self.shape.year);
        self.usual.add(raw);
    }
}

/// Finds the messages of `source`, which the caller has checked to be under 4 GiB.
pub(crate) fn scan(source: &[u8]) -> Result<Scan, ImportError> {
    let (start, shape) = lock(source)?;
    let mut rows: Vec<Row> = Vec::new();
    let mut figures = Figures::new(shape);
    let mut names = Names {
        source,
        authors: Vec::new(),
        known: HashMap::new(),
    };
    let mut at = start;
    while at < source.len() {
        let rest = source.get(at..).unwrap_or_default();
        let line = rest
            .get(..memchr(b'\n', rest).map_or(rest.len(), |n| n + 1))
            .unwrap_or(rest);
        match Line::read(&shape, line) {
            Line::Header(header) => {
                if rows.len() == MESSAGES_MAX {
                    return Err(ImportError::TooManyMessages);
                }
                figures.add(Raw::of(&header));
                rows.push(names.row(at, line, &header)?);
            }
            Line::Foreign => {
                if let Some(row) = rows.last_mut() {
                    row.doubt(Doubt::OtherHeaderInside);
                }
            }
            Line::Misfit => {
                if let Some(row) = rows.last_mut() {
                    row.doubt(Doubt::HeaderInside);
                }
            }
            Line::Body => {}
        }
        at += line.len();
    }
    Ok(Scan {
        rows,
        authors: names.authors,
        figures,
    })
}

/// What a line is to a file that is locked to a shape.
pub(crate) enum Line {
    Header(Header),
    /// A header of another shape.
    Foreign,
    /// What would be a header of the file's shape, but for a time of day that cannot be.
    Misfit,
    Body,
}

impl Line {
    /// Reads a line, of which the first [`LINE_START_BYTES`] are enough.
    pub(crate) fn read(shape: &Shape, line: &[u8]) -> Self {
        if !line.first().is_some_and(|byte| may_start_header(*byte)) {
            return Self::Body;
        }
        let plain = header::parse_plain(shape, line).map(|header| (header, true));
        match plain.or_else(|| header::read(line)) {
            Some((header, true)) if header.shape == *shape => Self::Header(header),
            Some((_, true)) => Self::Foreign,
            Some((header, false)) if header.shape == *shape => Self::Misfit,
            Some((_, false)) | None => Self::Body,
        }
    }
}

/// How much of a line is looked at: a header, an author, a colon and a space.
pub(crate) const LINE_START_BYTES: usize = HEADER_MAX_BYTES + AUTHOR_MAX_BYTES + 2;

/// Where the first header stands in `start`, the start of a text, and its shape.
pub(crate) fn lock(start: &[u8]) -> Result<(usize, Shape), ImportError> {
    let (at, first) = first_header(start).ok_or(ImportError::UnknownFormat)?;
    let year = match first.shape.year {
        YearPlace::First => first.date.first(),
        YearPlace::Last => first.date.last(),
        YearPlace::Short => None,
    };
    if year.is_some_and(|year| !YEARS.contains(&year.value)) {
        return Err(ImportError::UnknownCalendar);
    }
    Ok((at, first.shape))
}

/// The first header of a text and where it stands.
pub(crate) fn first_header(source: &[u8]) -> Option<(usize, Header)> {
    // A byte-order mark belongs to the file and to no message.
    let mut at = if source.starts_with("\u{feff}".as_bytes()) {
        3
    } else {
        0
    };
    while at <= PREAMBLE_MAX_BYTES {
        let rest = source.get(at..).filter(|rest| !rest.is_empty())?;
        let line = rest.get(..memchr(b'\n', rest).map_or(rest.len(), |n| n + 1))?;
        if let Some(header) = header::parse(line) {
            return Some((at, header));
        }
        at += line.len();
    }
    None
}

struct Names<'a> {
    source: &'a [u8],
    authors: Vec<Range<u32>>,
    known: HashMap<&'a [u8], u32>,
}

impl<'a> Names<'a> {
    fn row(&mut self, start: usize, line: &'a [u8], header: &Header) -> Result<Row, ImportError> {
        let (mut row, name) = row(line, header);
        if let Some(name) = name {
            row.author = self.intern(start + name.start, name.len())?;
        }
        row.start = offset(start)?;
        row.body = offset(start + row.body as usize)?;
        Ok(row)
    }

    fn intern(&mut self, start: usize, len: usize) -> Result<u32, ImportError> {
        let name = self.source.get(start..start + len).unwrap_or_default();
        if let Some(author) = self.known.get(name) {
            return Ok(*author);
        }
        let author = offset(self.authors.len())?;
        self.authors.push(offset(start)?..offset(start + len)?);
        self.known.insert(name, author);
        Ok(author)
    }
}

/// The row that a header begins, as if its line were at 0, and where the author's name stands.
pub(crate) fn row(line: &[u8], header: &Header) -> (Row, Option<Range<usize>>) {
    let head = usize::from(header.len);
    let name = colon(line.get(head..).unwrap_or_default()).map(|len| head..head + len);
    let body = name.as_ref().map_or(header.len, |name| {
        // A header and a name are at most LINE_START_BYTES.
        u16::try_from(name.end + 2).unwrap_or(header.len)
    });
    let row = Row {
        start: 0,
        end: 0,
        body: u32::from(body),
        author: NOBODY,
        head: header.len,
        flags: 0,
        time: Raw::of(header).pack(),
        clock: Clock::Wall,
        kind: RowKind::System,
    };
    (row, name)
}

/// Where the first colon that can end an author's name stands: the app puts a space after it.
pub(crate) fn colon(text: &[u8]) -> Option<usize> {
    let text = text
        .get(..text.len().min(AUTHOR_MAX_BYTES))
        .unwrap_or_default();
    memchr::memchr_iter(b':', text).find(|at| text.get(at + 1) == Some(&b' '))
}

fn offset(at: usize) -> Result<u32, ImportError> {
    u32::try_from(at).map_err(|_| ImportError::TooLarge {
        bytes: at as u64,
        max: u64::from(u32::MAX),
    })
}

/// How a number under ten was written; phones pad all or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    /// Two digits anyway, or four.
    Silent = 0,
    /// `05`
    Padded = 1,
    /// `5`
    Bare = 2,
}

impl Padding {
    fn of(number: Number) -> Self {
        match number.width {
            1 => Self::Bare,
            2 if number.value < 10 => Self::Padded,
            _ => Self::Silent,
        }
    }

    const fn from_bits(bits: u64) -> Self {
        match bits & 3 {
            1 => Self::Padded,
            2 => Self::Bare,
            _ => Self::Silent,
        }
    }
}

/// A header's numbers before their order is known, as they wait in [`Row::time`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) date: [u16; 3],
    /// Second of the day.
    pub(crate) second: u32,
    /// Of the three numbers of the date, and of the hour.
    pub(crate) padding: [Padding; 4],
}

impl Raw {
    pub(crate) fn of(header: &Header) -> Self {
        let [a, b, c] = header.date;
        Self {
            date: [a.value, b.value, c.value],
            second: header.second,
            padding: [a, b, c, header.hour].map(Padding::of),
        }
    }

    /// From the low end: first number (14 bits, at most 9,999), third (14), second (7, at most
    /// 99), padding (4 × 2), second of the day (17).
    fn pack(self) -> u64 {
        let [a, b, c] = self.date.map(u64::from);
        let padding = self
            .padding
            .iter()
            .fold(0, |bits, padding| bits << 2 | *padding as u64);
        a | c << 14 | b << 28 | padding << 35 | u64::from(self.second) << 43
    }

    pub(crate) fn unpack(bits: u64) -> Self {
        let number =
            |shift: u32, width: u32| u16::try_from(bits >> shift & ((1 << width) - 1)).unwrap_or(0);
        let padding = |shift: u32| Padding::from_bits(bits >> shift);
        Self {
            date: [number(0, 14), number(28, 7), number(14, 14)],
            second: u32::try_from(bits >> 43).unwrap_or(0),
            padding: [padding(41), padding(39), padding(37), padding(35)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_numbers_survive_packing() {
        let raw = Raw {
            date: [9_999, 99, 9_999],
            second: 86_399,
            padding: [
                Padding::Bare,
                Padding::Padded,
                Padding::Silent,
                Padding::Bare,
            ],
        };
        assert_eq!(Raw::unpack(raw.pack()), raw);
        let raw = Raw {
            date: [1, 2, 2024],
            second: 0,
            padding: [Padding::Padded; 4],
        };
        assert_eq!(Raw::unpack(raw.pack()), raw);
    }

    #[test]
    fn the_first_colon_with_a_space_ends_the_author() {
        assert_eq!(colon(b"Bob:by: hi"), Some(6));
        assert_eq!(colon(b"Alice Example left"), None);
        assert_eq!(colon(b"at 12:30"), None);
    }
}
