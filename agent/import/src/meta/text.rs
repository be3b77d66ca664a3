//! Texts of Meta's downloads.
//!
//! What Facebook and Instagram write is UTF-8 whose bytes are each escaped as if they were
//! characters of Latin-1. Such a text has no character over U+00FF, and its characters, taken as
//! bytes, are UTF-8. Anything else stands as it is written: somebody may have put the file right.

use std::borrow::Cow;

use memchr::memchr;

use crate::Format;
use crate::json::Value;

/// A string's text.
pub(super) fn string<'a>(value: Value<'a>, format: Format) -> Option<Cow<'a, str>> {
    let raw = value.raw()?;
    let text = crate::json::decode(raw);
    // Only an escape makes a byte.
    if format != Format::Meta || memchr(b'\\', raw).is_none() {
        return Some(text);
    }
    Some(repair(&text).map_or(text, Cow::Owned))
}

/// Whether a string as written has escaped bytes that are not UTF-8.
pub(super) fn is_damaged(raw: &[u8]) -> bool {
    // A text with a character as itself was not written byte by byte.
    if memchr(b'\\', raw).is_none() || !raw.is_ascii() {
        return false;
    }
    let text = crate::json::decode(raw);
    bytes(&text).is_some_and(|bytes| std::str::from_utf8(&bytes).is_err())
}

fn repair(text: &str) -> Option<String> {
    String::from_utf8(bytes(text)?).ok()
}

/// The characters of a text as bytes, where some are over ASCII and all fit.
fn bytes(text: &str) -> Option<Vec<u8>> {
    if text.is_ascii() {
        return None;
    }
    text.chars()
        .map(|char| u8::try_from(u32::from(char)).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> String {
        string(Value(json.as_bytes()), Format::Meta)
            .unwrap()
            .into_owned()
    }

    #[test]
    fn bytes_written_as_characters_become_the_characters_that_they_are() {
        assert_eq!(read(r#""\u00f0\u009f\u0098\u0080 ok""#), "😀 ok");
        assert_eq!(read(r#""Chlo\u00c3\u00ab""#), "Chloë");
        assert_eq!(read(r#""a\u00e2\u0080\u0099b \/ \"c\"""#), "a’b / \"c\"");
    }

    #[test]
    fn what_was_not_written_byte_by_byte_stands_as_it_is() {
        assert_eq!(read(r#""Chlo\u00eb""#), "Chloë", "no UTF-8");
        assert_eq!(
            read(r#""\ud83d\ude00 \u00c3\u00ab""#),
            "😀 Ã«",
            "over U+00FF"
        );
        assert_eq!(read(r#""Chloë Ã«""#), "Chloë Ã«", "no escapes");
        let secure = Value(br#""\u00c3\u00ab""#);
        assert_eq!(string(secure, Format::MessengerEncrypted).unwrap(), "Ã«");
    }

    #[test]
    fn escaped_bytes_that_are_cut_are_damage() {
        assert!(is_damaged(br"a \u00f0\u009f"));
        assert!(is_damaged(br"Chlo\u00eb"));
        for sound in [
            &br"\u00c3\u00ab"[..],
            b"plain",
            br"line\nbreak",
            br"\ud83d\ude00",
        ] {
            assert!(!is_damaged(sound), "{}", String::from_utf8_lossy(sound));
        }
        assert!(!is_damaged("Chloë\\n".as_bytes()));
    }
}
