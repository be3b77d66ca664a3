//! Strings: RFC 8259's escapes and those of apps that do not keep to it.

use std::borrow::Cow;

use memchr::memchr;

/// Whether `raw`, a string as written, says `text`. Keys are hardly ever escaped.
pub(crate) fn matches(raw: &[u8], text: &str) -> bool {
    raw == text.as_bytes() || (memchr(b'\\', raw).is_some() && decode(raw) == text)
}

/// Resolves the escapes of `raw`. What is no escape stands as it is written; bytes that are not
/// UTF-8 and halves of surrogate pairs become U+FFFD.
pub(crate) fn decode(raw: &[u8]) -> Cow<'_, str> {
    let Some(first) = memchr(b'\\', raw) else {
        return String::from_utf8_lossy(raw);
    };
    let mut out = Vec::with_capacity(raw.len());
    out.extend(raw.get(..first).unwrap_or_default());
    let mut rest = raw.get(first..).unwrap_or_default();
    while let Some(at) = memchr(b'\\', rest) {
        out.extend(rest.get(..at).unwrap_or_default());
        let escape = rest.get(at..).unwrap_or_default();
        let len = match one(escape) {
            Some((char, len)) => {
                let mut buffer = [0; 4];
                out.extend(char.encode_utf8(&mut buffer).as_bytes());
                len
            }
            None => {
                out.push(b'\\');
                1
            }
        };
        rest = escape.get(len..).unwrap_or_default();
    }
    out.extend(rest);
    match String::from_utf8(out) {
        Ok(text) => Cow::Owned(text),
        Err(broken) => Cow::Owned(String::from_utf8_lossy(broken.as_bytes()).into_owned()),
    }
}

/// The escape at the start of `escape` and its length.
fn one(escape: &[u8]) -> Option<(char, usize)> {
    let char = match *escape.get(1)? {
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        byte @ (b'"' | b'\\' | b'/') => char::from(byte),
        // Telegram Desktop writes other control characters so.
        b'x' => return Some((char::from_u32(hex(escape.get(2..4)?)?)?, 4)),
        b'u' => return Some(unicode(escape)),
        _ => return None,
    };
    Some((char, 2))
}

/// A `\u` escape: one, or the two of a surrogate pair.
fn unicode(escape: &[u8]) -> (char, usize) {
    let half = |at: usize| {
        let digits = escape.get(at..at + 6)?.strip_prefix(b"\\u")?;
        hex(digits)
    };
    let Some(high) = half(0) else {
        return ('\u{fffd}', 2);
    };
    if let Some(char) = char::from_u32(high) {
        return (char, 6);
    }
    let pair = half(6)
        .filter(|low| (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(low))
        .and_then(|low| char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)));
    match pair {
        Some(char) => (char, 12),
        None => ('\u{fffd}', 6),
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, digit| {
        Some(number << 4 | char::from(*digit).to_digit(16)?)
    })
}
