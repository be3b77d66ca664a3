//! The common headers, without the grammar.

use super::{Header, Layout, Number, Shape, TimeJoin, YearPlace};
use crate::limits::HEADER_MAX_BYTES;
use crate::whatsapp::chars::LRM;
use crate::whatsapp::day_part;

/// Reads a header of the shape that the file is locked to, if it has the plainest form of it.
///
/// Gives what [`parse`] gives, or nothing, some five times as fast: a file of 100 MB has some
/// 700,000 headers, and nearly all of them are read here.
pub(crate) fn parse_plain(shape: &Shape, line: &[u8]) -> Option<Header> {
    let marked = line.starts_with(LRM);
    let mut p = Plain {
        line,
        at: if marked { LRM.len() } else { 0 },
    };
    if shape.script != u32::from('0') || shape.day_part_first || shape.time == TimeJoin::H {
        return None;
    }
    if shape.layout == Layout::IosBrackets {
        p.eat(b"[")?;
    }
    let first = p.number()?;
    p.eat(shape.joins.first()?.bytes())?;
    let second = p.number()?;
    p.eat(shape.joins.last()?.bytes())?;
    let third = p.number()?;
    p.eat(shape.connector.bytes())?;
    let hour = p.number()?;
    let widths = match shape.year {
        YearPlace::First => first.width == 4 && third.width <= 2,
        YearPlace::Last => first.width <= 2 && third.width == 4,
        YearPlace::Short => first.width <= 2 && third.width <= 2,
    };
    if !widths || second.width > 2 || hour.width > 2 {
        return None;
    }
    let join: &[u8] = if shape.time == TimeJoin::Colon {
        b":"
    } else {
        b"."
    };
    p.eat(join)?;
    let minute = p.number().filter(|minute| minute.width == 2)?.value;
    let mut seconds = 0;
    if shape.seconds {
        p.eat(join)?;
        seconds = p.number().filter(|seconds| seconds.width == 2)?.value;
    }
    p.eat(shape.gap.bytes())?;
    let mut hours = u8::try_from(hour.value).ok()?;
    if shape.day_part != 0 {
        let (part, group, len) = day_part::at_start(line.get(p.at..)?)?;
        p.at += len;
        hours = part.hour(hours).filter(|_| group == shape.day_part)?;
    }
    p.eat(match shape.layout {
        Layout::IosBrackets => b"] ",
        Layout::AndroidDash => b" - ",
        Layout::IosColon => b": ",
    })?;
    if hours > 23 || minute > 59 || seconds > 59 || p.at > HEADER_MAX_BYTES {
        return None;
    }
    Some(Header {
        shape: *shape,
        date: [first, second, third],
        second: u32::from(hours) * 3_600 + u32::from(minute) * 60 + u32::from(seconds),
        hour,
        len: u16::try_from(p.at).ok()?,
    })
}

/// A cursor over ASCII.
struct Plain<'a> {
    line: &'a [u8],
    at: usize,
}

impl Plain<'_> {
    fn eat(&mut self, wanted: &[u8]) -> Option<()> {
        let found = self.line.get(self.at..)?.starts_with(wanted);
        self.at += wanted.len();
        found.then_some(())
    }

    fn number(&mut self) -> Option<Number> {
        let mut number = Number { value: 0, width: 0 };
        while let Some(digit) = self.line.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            if number.width == 4 {
                return None;
            }
            number.value = number.value * 10 + u16::from(digit - b'0');
            number.width += 1;
            self.at += 1;
        }
        (number.width > 0).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::parse;
    use super::*;

    const HEADERS: [&str; 12] = [
        "13/02/2024, 09:05 - ",
        "[13/02/2024, 09:05:01] ",
        "\u{200e}[3/2/24, 9:05:01\u{202f}PM] ",
        "2/13/24, 7:02\u{202f}PM - ",
        "2/13/24, 7:02 am - ",
        "13.6.2018 klo 21.25 - ",
        "13.6.2018 21.25.01 - ",
        "2024-02-13 17:46 - ",
        "2024. 02. 13. du. 5:46 - ",
        "13.02.2024 г., 17:46 ч. - ",
        "13/02/2024 17:46:00: ",
        "١٣/٢/٢٠٢٤، ٥:٤٦ م - ",
    ];

    /// A header, perhaps with one character changed, dropped or added.
    fn nearly() -> impl Strategy<Value = String> {
        let change = prop::sample::select(vec![
            "", "0", "7", " ", ":", ".", "/", "-", "]", "P", "\u{200e}",
        ]);
        (
            prop::sample::select(HEADERS.to_vec()),
            any::<prop::sample::Index>(),
            change,
            0..3_usize,
        )
            .prop_map(|(header, index, change, drop)| {
                let mut characters: Vec<char> = header.chars().collect();
                let at = index.index(characters.len());
                let end = (at + drop).min(characters.len());
                characters.splice(at..end, change.chars());
                characters.into_iter().collect()
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        #[test]
        fn the_quick_way_reads_only_what_the_grammar_reads(header in nearly()) {
            for shape in HEADERS.iter().filter_map(|header| parse(header.as_bytes())) {
                if let Some(quick) = parse_plain(&shape.shape, header.as_bytes()) {
                    prop_assert_eq!(Some(quick), parse(header.as_bytes()));
                }
            }
        }
    }

    #[test]
    fn the_quick_way_reads_the_common_headers() {
        for header in &HEADERS[..8] {
            let slow = parse(header.as_bytes()).unwrap();
            assert_eq!(
                parse_plain(&slow.shape, header.as_bytes()),
                Some(slow),
                "{header}"
            );
        }
    }
}
