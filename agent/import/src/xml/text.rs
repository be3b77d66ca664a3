//! Character references, and the entities that XML names itself.

use std::borrow::Cow;

use memchr::memchr;

/// Longest reference that is looked at, in bytes: `&#x10FFFF;` with room for zeros before it.
const REFERENCE_MAX_BYTES: usize = 24;

/// What an `&` begins.
enum Reference {
    Char(char),
    /// A number that is no character: half of a pair without the other half, U+0000, or one over
    /// U+10FFFF.
    NoChar,
}

/// Resolves the references of `raw`. One that is not known stands as it is written; numbers that
/// are no characters and bytes that are not UTF-8 become U+FFFD.
///
/// Line ends and tabs stand as they are written too, where XML 1.0, 3.3.3 would make blanks of
/// them: who wrote them meant them.
pub(crate) fn decode(raw: &[u8]) -> Cow<'_, str> {
    if memchr(b'&', raw).is_none() {
        return String::from_utf8_lossy(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr(b'&', rest) {
        out.extend(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        let len = match reference(rest) {
            Some((reference, len)) => {
                let char = match reference {
                    Reference::Char(char) => char,
                    Reference::NoChar => char::REPLACEMENT_CHARACTER,
                };
                out.extend(char.encode_utf8(&mut [0; 4]).as_bytes());
                len
            }
            None => {
                out.push(b'&');
                1
            }
        };
        rest = rest.get(len..).unwrap_or_default();
    }
    out.extend(rest);
    match String::from_utf8(out) {
        Ok(text) => Cow::Owned(text),
        Err(broken) => Cow::Owned(String::from_utf8_lossy(broken.as_bytes()).into_owned()),
    }
}

/// Whether every `&` of `raw` begins a reference to a character.
pub(crate) fn is_sound(raw: &[u8]) -> bool {
    let mut rest = raw;
    while let Some(at) = memchr(b'&', rest) {
        rest = rest.get(at..).unwrap_or_default();
        match reference(rest) {
            Some((Reference::Char(_), len)) => rest = rest.get(len..).unwrap_or_default(),
            Some((Reference::NoChar, _)) | None => return false,
        }
    }
    true
}

/// The reference at the start of `text` and its length; `None` where there is none that is known.
fn reference(text: &[u8]) -> Option<(Reference, usize)> {
    let (body, len) = body(text)?;
    let Some(number) = body.strip_prefix(b"#") else {
        let char = match body {
            b"amp" => '&',
            b"lt" => '<',
            b"gt" => '>',
            b"quot" => '"',
            b"apos" => '\'',
            _ => return None,
        };
        return Some((Reference::Char(char), len));
    };
    let number = code(number)?;
    if let Some(char) = char::from_u32(number).filter(|char| *char != '\0') {
        return Some((Reference::Char(char), len));
    }
    // Android apps write what is outside the first 65,536 characters as the two halves of UTF-16.
    let low = || {
        let (body, more) = body_at(text, len)?;
        let low = code(body.strip_prefix(b"#")?)?;
        (0xdc00..0xe000).contains(&low).then_some((low, more))
    };
    if (0xd800..0xdc00).contains(&number)
        && let Some((low, more)) = low()
        && let Some(char) = char::from_u32(0x1_0000 + ((number - 0xd800) << 10) + (low - 0xdc00))
    {
        return Some((Reference::Char(char), len + more));
    }
    Some((Reference::NoChar, len))
}

fn body_at(text: &[u8], at: usize) -> Option<(&[u8], usize)> {
    body(text.get(at..)?)
}

/// What stands between the `&` at the start of `text` and its `;`, and the length of it all.
fn body(text: &[u8]) -> Option<(&[u8], usize)> {
    let rest = text.strip_prefix(b"&")?;
    let rest = rest.get(..REFERENCE_MAX_BYTES).unwrap_or(rest);
    let end = memchr(b';', rest)?;
    Some((rest.get(..end)?, end + 2))
}

/// The number that `digits` write: decimal, or hexadecimal after an `x`. One that is too large for
/// any character stays too large.
fn code(digits: &[u8]) -> Option<u32> {
    let (digits, radix) = match digits.strip_prefix(b"x") {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |number, digit| {
        let digit = char::from(*digit).to_digit(radix)?;
        Some(number.saturating_mul(radix).saturating_add(digit))
    })
}
