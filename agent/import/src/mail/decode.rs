//! From the bytes of a part to what it says.

use std::borrow::Cow;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;

use super::mime::Part;
use crate::limits::MAIL_TEXT_MAX_BYTES;

/// `Content-Transfer-Encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `7bit`, `8bit`, `binary`, or one that nobody knows.
    None,
    QuotedPrintable,
    Base64,
}

impl Encoding {
    pub(super) fn of(value: &[u8]) -> Self {
        // A comment may follow, and some put a semicolon there.
        let word = value
            .trim_ascii()
            .split(|byte| byte.is_ascii_whitespace() || matches!(byte, b';' | b'('))
            .next()
            .unwrap_or_default();
        if word.eq_ignore_ascii_case(b"base64") {
            Self::Base64
        } else if word.eq_ignore_ascii_case(b"quoted-printable") {
            Self::QuotedPrintable
        } else {
            Self::None
        }
    }
}

/// What a part says, and what stands in the way.
pub(super) struct Words {
    pub(super) text: String,
    /// The part is longer than [`MAIL_TEXT_MAX_BYTES`].
    pub(super) cut: bool,
    /// A character set that is not known, by its name.
    pub(super) unknown_charset: Option<String>,
}

/// The words of a text part, with plain line endings.
pub(super) fn words(part: &Part<'_>) -> Words {
    let cut = part.body.len() > MAIL_TEXT_MAX_BYTES;
    let body = part.body.get(..MAIL_TEXT_MAX_BYTES).unwrap_or(part.body);
    let bytes = match part.encoding {
        Encoding::None => Cow::Borrowed(body),
        Encoding::QuotedPrintable => Cow::Owned(quoted_printable(body)),
        Encoding::Base64 => Cow::Owned(base64_lines(body)),
    };
    let label = part.charset.as_deref().map_or("utf-8", str::trim);
    let same = ["utf-8", "utf8", "us-ascii", "ascii"];
    let as_utf8 = || String::from_utf8_lossy(&bytes).into_owned();
    let (text, unknown) = if same.iter().any(|same| label.eq_ignore_ascii_case(same)) {
        (as_utf8(), false)
    } else {
        match charset_decoder(label.as_bytes()) {
            Some(decode) => (decode(&bytes), false),
            None => (as_utf8(), true),
        }
    };
    Words {
        text: if text.contains('\r') {
            text.replace("\r\n", "\n")
        } else {
            text
        },
        cut,
        unknown_charset: unknown.then(|| label.chars().take(CHARSET_SHOWN_MAX).collect()),
    }
}

/// How much of an unknown character set's name is shown, in characters. RFC 2978 allows 40.
const CHARSET_SHOWN_MAX: usize = 40;

/// How much of a part is looked at to see whether there is anything in it, in bytes.
const BLANK_MAX_BYTES: usize = 4 << 10;

/// Whether a plain text has no words. Some senders put an empty one beside the HTML.
pub(super) fn is_blank(part: &Part<'_>) -> bool {
    if part.is_html() || part.body.len() > BLANK_MAX_BYTES {
        return false;
    }
    words(part)
        .text
        .chars()
        .all(|c| c.is_whitespace() || c == '\u{feff}')
}

/// The bytes of a file, of at most `max` bytes.
///
/// # Errors
///
/// [`Undecodable`] where they are more, or not base64 all through.
pub(super) fn file(part: &Part<'_>, max: u64) -> Result<Vec<u8>, Undecodable> {
    // Decoding makes nothing longer; base64 makes four bytes three, and lines need some more.
    let least = match part.encoding {
        Encoding::None => part.body.len(),
        Encoding::Base64 => part.body.len() / 8 * 5,
        Encoding::QuotedPrintable => part.body.len() / 3,
    };
    if least as u64 > max {
        return Err(Undecodable::TooLarge(least as u64));
    }
    let bytes = match part.encoding {
        Encoding::None => part.body.to_vec(),
        Encoding::QuotedPrintable => quoted_printable(part.body),
        Encoding::Base64 => base64_decode(part.body).ok_or(Undecodable::Damaged)?,
    };
    if bytes.len() as u64 > max {
        return Err(Undecodable::TooLarge(bytes.len() as u64));
    }
    Ok(bytes)
}

/// Why a file is not given.
pub(super) enum Undecodable {
    /// It has at least so many bytes.
    TooLarge(u64),
    Damaged,
}

/// Decodes quoted-printable. What is not encoded as RFC 2045, 6.7 says stands as it is.
fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
        let ending = line.get(bare.len()..).unwrap_or_default();
        // Blanks at the end of a line were added on the way.
        let mut rest = bare.trim_ascii_end();
        let soft = rest.ends_with(b"=");
        if soft {
            rest = rest.get(..rest.len() - 1).unwrap_or_default();
        }
        while let Some(at) = memchr::memchr(b'=', rest) {
            let (plain, coded) = rest.split_at(at);
            out.extend_from_slice(plain);
            match coded {
                [_, high, low, after @ ..] => {
                    if let (Some(high), Some(low)) = (hex(*high), hex(*low)) {
                        out.push(high << 4 | low);
                        rest = after;
                    } else {
                        out.push(b'=');
                        rest = coded.get(1..).unwrap_or_default();
                    }
                }
                _ => {
                    out.extend_from_slice(coded);
                    rest = &[];
                }
            }
        }
        out.extend_from_slice(rest);
        if !soft {
            out.extend_from_slice(ending);
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Decodes the lines that are base64. From the first that is not, the rest stands as it is: lists
/// and scanners put their footers there.
fn base64_lines(bytes: &[u8]) -> Vec<u8> {
    let is_coded = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\r' | b' ' | b'\t')
    };
    let mut coded = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        if !bare.iter().all(is_coded) {
            break;
        }
        coded += line.len();
    }
    let (coded, rest) = bytes.split_at(coded);
    match base64_decode(coded) {
        Some(mut out) => {
            out.extend_from_slice(rest);
            out
        }
        None => bytes.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_printable_is_decoded_and_what_is_none_stands() {
        for (coded, plain) in [
            ("caf=C3=A9 =3D 1", "café = 1"),
            ("one=\r\ntwo  \r\nthree", "onetwo\r\nthree"),
            ("a=b =ZZ =4", "a=b =ZZ =4"),
            ("=", ""),
            ("soft=  \nbreak", "softbreak"),
            ("=c3=a9", "é"),
        ] {
            assert_eq!(
                String::from_utf8(quoted_printable(coded.as_bytes())).unwrap(),
                plain
            );
        }
    }

    #[test]
    fn a_footer_behind_base64_is_shown_as_it_stands() {
        let bytes = b"SGVsbG8s\r\nIEFsaWNlLg==\r\n\r\n_____\nThe list's footer";
        assert_eq!(
            base64_lines(bytes),
            b"Hello, Alice._____\nThe list's footer"
        );
        assert_eq!(base64_lines(b"not base64!"), b"not base64!");
    }

    #[test]
    fn encodings_are_known_in_any_case_and_with_comments() {
        for value in ["base64", " Base64\r\n", "BASE64 (yes)", "base64;"] {
            assert_eq!(Encoding::of(value.as_bytes()), Encoding::Base64);
        }
        assert_eq!(Encoding::of(b"Quoted-Printable"), Encoding::QuotedPrintable);
        assert_eq!(Encoding::of(b"x-uuencode"), Encoding::None);
    }
}
