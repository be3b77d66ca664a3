//! Characters that exports are full of: direction marks, odd spaces, other scripts' digits.

use std::borrow::Cow;

/// U+200E, which iOS (and lately Android) puts before words of the app.
pub(crate) const LRM: &[u8] = "\u{200e}".as_bytes();

/// The first character, when it is UTF-8.
pub(crate) fn first_char(bytes: &[u8]) -> Option<char> {
    let first = *bytes.first()?;
    if first.is_ascii() {
        return Some(char::from(first));
    }
    let head = bytes.get(..bytes.len().min(4))?;
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(head.get(..error.valid_up_to())?).ok()?,
    };
    valid.chars().next()
}

/// Whether `c` is invisible: it directs the text (UAX #9) or is a byte-order mark.
pub(crate) const fn is_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}' | '\u{feff}')
}

/// Whether `c` is a space as exports write them; a tab is none.
pub(crate) const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}')
}

/// The zeros of the scripts whose digits phones write dates in.
const ZEROS: [u32; 12] = [
    0x0660, // Arabic-Indic
    0x06f0, // Persian, Urdu
    0x0966, // Devanagari
    0x09e6, // Bengali
    0x0a66, // Gurmukhi
    0x0ae6, // Gujarati
    0x0be6, // Tamil
    0x0c66, // Telugu
    0x0ce6, // Kannada
    0x0d66, // Malayalam
    0x0e50, // Thai
    0x1040, // Burmese
];

/// The value of a decimal digit and the zero of its script.
pub(crate) fn digit(c: char) -> Option<(u8, u32)> {
    let code = u32::from(c);
    let zero = if c.is_ascii_digit() {
        u32::from('0')
    } else if code < 0x660 {
        return None;
    } else {
        *ZEROS
            .iter()
            .find(|zero| (**zero..**zero + 10).contains(&code))?
    };
    u8::try_from(code - zero).ok().map(|value| (value, zero))
}

/// Whether a line that starts with `byte` can be a header: a digit, a bracket, or the first byte
/// of a mark or of another script's digit.
pub(crate) const fn may_start_header(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'[' | 0xd8 | 0xd9 | 0xdb | 0xe0..=0xe2 | 0xef)
}

/// Text for people; see [`crate::Message::text`].
pub(crate) fn for_display(body: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(body);
    if text.contains('\u{200e}') || text.contains("\r\n") {
        Cow::Owned(text.replace("\r\n", "\n").replace('\u{200e}', ""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_every_script_have_their_value() {
        assert_eq!(digit('7').map(|(value, _)| value), Some(7));
        assert_eq!(digit('٣').map(|(value, _)| value), Some(3));
        assert_eq!(digit('۹').map(|(value, _)| value), Some(9));
        assert_eq!(digit('५').map(|(value, _)| value), Some(5));
        assert_eq!(digit('x'), None);
        assert_eq!(digit('²'), None);
        for zero in ZEROS {
            let zero = char::from_u32(zero).unwrap();
            let mut bytes = [0; 4];
            assert!(
                may_start_header(zero.encode_utf8(&mut bytes).as_bytes()[0]),
                "{zero}"
            );
        }
    }

    #[test]
    fn a_cut_character_is_no_character_and_never_a_panic() {
        assert_eq!(first_char(&[0xe2, 0x80]), None);
        assert_eq!(first_char(&[0xff]), None);
        assert_eq!(first_char("é!".as_bytes()), Some('é'));
        assert_eq!(first_char("aé".as_bytes()), Some('a'));
    }
}
