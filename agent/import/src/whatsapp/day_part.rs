//! Halves of the day, in the words that phones use (CLDR `dayPeriods`, abbreviated).

use super::chars::{first_char, is_mark, is_space};

/// How a 12-hour clock's hour becomes one of 24.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DayPart {
    /// Before noon: 12 is 0.
    Morning,
    /// After noon: 12 stays, the rest gain 12.
    Afternoon,
    /// Around noon (Chinese 中午): 10 and 11 are before it, 12, 1 and 2 after.
    Noon,
}

impl DayPart {
    /// The hour of 24, from an hour of 12 (Japanese phones count 0 to 11).
    pub(crate) fn hour(self, hour: u8) -> Option<u8> {
        match self {
            _ if hour > 12 => None,
            Self::Morning => Some(hour % 12),
            Self::Afternoon => Some(hour % 12 + 12),
            Self::Noon if hour >= 10 => Some(hour),
            Self::Noon => Some(hour + 12),
        }
    }
}

use DayPart::{Afternoon, Morning, Noon};

/// Word, meaning, group. A file keeps to one group, so that `PM` in a file that writes `p.m.`
/// shows as foreign. A word that another one begins with stands after it.
const WORDS: &[(&str, DayPart, u8)] = &[
    ("AM", Morning, 1),
    ("PM", Afternoon, 1),
    ("am", Morning, 2),
    ("pm", Afternoon, 2),
    ("a.m.", Morning, 3),
    ("p.m.", Afternoon, 3),
    ("a. m.", Morning, 4),
    ("p. m.", Afternoon, 4),
    ("A.M.", Morning, 5),
    ("P.M.", Afternoon, 5),
    ("a.m", Morning, 6),
    ("p.m", Afternoon, 6),
    // Chinese divides the day further.
    ("凌晨", Morning, 10),
    ("清晨", Morning, 10),
    ("早上", Morning, 10),
    ("上午", Morning, 10),
    ("中午", Noon, 10),
    ("下午", Afternoon, 10),
    ("傍晚", Afternoon, 10),
    ("晚上", Afternoon, 10),
    ("午前", Morning, 11),
    ("午後", Afternoon, 11),
    ("오전", Morning, 12),
    ("오후", Afternoon, 12),
    ("ص", Morning, 13),
    ("م", Afternoon, 13),
    ("ق.ظ.", Morning, 14),
    ("ب.ظ.", Afternoon, 14),
    ("π.μ.", Morning, 15),
    ("μ.μ.", Afternoon, 15),
    ("πμ", Morning, 16),
    ("μμ", Afternoon, 16),
    ("ÖÖ", Morning, 17),
    ("ÖS", Afternoon, 17),
    ("de.", Morning, 18),
    ("du.", Afternoon, 18),
    ("SA", Morning, 19),
    ("CH", Afternoon, 19),
    ("пр.об.", Morning, 20),
    ("сл.об.", Afternoon, 20),
    ("PD", Morning, 21),
    ("MD", Afternoon, 21),
    ("dop.", Morning, 22),
    ("odp.", Afternoon, 22),
    ("PTG", Afternoon, 23),
    ("PG", Morning, 23),
    ("पूर्वाह्न", Morning, 24),
    ("अपराह्न", Afternoon, 24),
    ("לפנה״צ", Morning, 25),
    ("אחה״צ", Afternoon, 25),
    ("ก่อนเที่ยง", Morning, 26),
    ("หลังเที่ยง", Afternoon, 26),
    ("পূর্বাহ্ণ", Morning, 27),
    ("অপরাহ্ণ", Afternoon, 27),
    ("முற்பகல்", Morning, 28),
    ("பிற்பகல்", Afternoon, 28),
    ("fm", Morning, 29),
    ("em", Afternoon, 29),
    ("ap.", Morning, 30),
    ("ip.", Afternoon, 30),
    ("ДП", Morning, 31),
    ("ПП", Afternoon, 31),
    ("дп", Morning, 32),
    ("пп", Afternoon, 32),
    ("AG", Morning, 33),
    ("EG", Afternoon, 33),
];

/// The word at the start of `bytes`: its meaning, its group and its length.
///
/// A space in a word stands for any kind of space. A word ends before a space, a mark, a digit, a
/// bracket or the end.
pub(crate) fn at_start(bytes: &[u8]) -> Option<(DayPart, u8, usize)> {
    WORDS.iter().find_map(|(word, part, group)| {
        let len = matches_word(bytes, word)?;
        let rest = bytes.get(len..)?;
        let ends = first_char(rest).is_none_or(|c| {
            is_space(c) || is_mark(c) || c.is_numeric() || matches!(c, ']' | ':' | ',' | '\r')
        });
        ends.then_some((*part, *group, len))
    })
}

fn matches_word(bytes: &[u8], word: &str) -> Option<usize> {
    let mut at = 0;
    for wanted in word.chars() {
        let found = first_char(bytes.get(at..)?)?;
        if found != wanted && !(wanted == ' ' && is_space(found)) {
            return None;
        }
        at += found.len_utf8();
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_oclock_is_midnight_in_the_morning_and_noon_after_it() {
        assert_eq!(Morning.hour(12), Some(0));
        assert_eq!(Afternoon.hour(12), Some(12));
        assert_eq!(Afternoon.hour(0), Some(12));
        assert_eq!(Noon.hour(11), Some(11));
        assert_eq!(Noon.hour(1), Some(13));
        assert_eq!(Afternoon.hour(13), None);
    }

    #[test]
    fn every_word_is_found_as_itself() {
        for (word, part, group) in WORDS {
            let text = format!("{word} - ");
            assert_eq!(
                at_start(text.as_bytes()),
                Some((*part, *group, word.len())),
                "{word}"
            );
        }
        assert_eq!(at_start("p.\u{a0}m.]".as_bytes()), Some((Afternoon, 4, 6)));
        assert_eq!(at_start(b"pmx"), None);
        assert_eq!(at_start(b"amber"), None);
    }
}
