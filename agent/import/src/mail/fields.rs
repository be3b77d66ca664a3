//! Header fields as they stand, and those that the index needs.

use memchr::memchr;

use crate::limits::HEADER_FIELD_MAX_BYTES;

/// One header field.
#[derive(Clone, Copy)]
pub(super) struct Field<'m> {
    name: &'m [u8],
    /// What follows the colon, with its folds, without the last line ending.
    pub(super) value: &'m [u8],
}

impl Field<'_> {
    /// Whether it is the field `name`.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Walks the fields at the start of a message or of a part, up to the first line that is none.
#[derive(Clone)]
pub(super) struct Fields<'m> {
    bytes: &'m [u8],
    at: usize,
    end: End,
}

/// How the fields end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    EmptyLine,
    OtherLine,
    NoMoreBytes,
}

impl<'m> Fields<'m> {
    pub(super) const fn new(bytes: &'m [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            end: End::NotYet,
        }
    }

    /// Where the body starts; meaningful once there are no more fields.
    pub(super) const fn body_at(&self) -> usize {
        self.at
    }

    /// Whether nothing but fields stood before the empty line, or before the end of the bytes.
    pub(super) fn ended_well(&self) -> bool {
        matches!(self.end, End::EmptyLine | End::NoMoreBytes)
    }

    fn line(&self, at: usize) -> &'m [u8] {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let end = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        rest.get(..end).unwrap_or_default()
    }
}

impl<'m> Iterator for Fields<'m> {
    type Item = Field<'m>;

    fn next(&mut self) -> Option<Field<'m>> {
        if self.end != End::NotYet {
            return None;
        }
        let line = self.line(self.at);
        if line.is_empty() {
            self.end = End::NoMoreBytes;
            return None;
        }
        if matches!(line, b"\n" | b"\r\n") {
            self.end = End::EmptyLine;
            self.at += line.len();
            return None;
        }
        let Some(name) = name_of(line) else {
            self.end = End::OtherLine;
            return None;
        };
        let start = self.at + name.len() + 1;
        let mut end = self.at + line.len();
        while matches!(self.bytes.get(end), Some(b' ' | b'\t')) {
            end += self.line(end).len();
        }
        self.at = end;
        let value = self.bytes.get(start..end).unwrap_or_default();
        let value = value.strip_suffix(b"\n").unwrap_or(value);
        let value = value.strip_suffix(b"\r").unwrap_or(value);
        Some(Field {
            name: name.trim_ascii_end(),
            value,
        })
    }
}

/// The name of the field that `line` begins: RFC 5322, 3.6.8, and the blanks before the colon that
/// 4.5 allows.
pub(super) fn name_of(line: &[u8]) -> Option<&[u8]> {
    let name = line.get(..memchr(b':', line.get(..NAME_MAX_BYTES.min(line.len()))?)?)?;
    let bare = name.trim_ascii_end();
    let plain = !bare.is_empty() && bare.iter().all(u8::is_ascii_graphic);
    plain.then_some(name)
}

/// Longest name of a field, in bytes. RFC 5322 has no limit but that of a line, 998.
const NAME_MAX_BYTES: usize = 200;

/// What the index needs of a message's header.
#[derive(Default)]
pub(super) struct Start<'m> {
    pub(super) from: Option<&'m [u8]>,
    pub(super) date: Option<&'m [u8]>,
    /// `Content-Type`.
    pub(super) content: Option<&'m [u8]>,
    /// `Content-Length`, which some mailboxes have.
    pub(super) length: Option<usize>,
    /// Gmail's thread and labels.
    pub(super) thread: Option<&'m [u8]>,
    pub(super) labels: Option<&'m [u8]>,
    /// Whether `From` or `Date` is given twice.
    pub(super) repeated: bool,
    /// Where the body starts, counted from the header.
    pub(super) body_at: usize,
}

impl<'m> Start<'m> {
    /// Reads the header at the start of `bytes`.
    pub(super) fn read(bytes: &'m [u8]) -> Self {
        let mut start = Self::default();
        let mut fields = Fields::new(bytes);
        for field in fields.by_ref() {
            // Few of the many fields are looked at twice.
            match field.name.first().map(u8::to_ascii_lowercase) {
                Some(b'f') if field.is("From") => start.set(|s| &mut s.from, field),
                Some(b'd') if field.is("Date") => start.set(|s| &mut s.date, field),
                Some(b'c') if field.is("Content-Type") => {
                    start.content = start.content.or(Some(field.value));
                }
                Some(b'c') if field.is("Content-Length") => {
                    let length = std::str::from_utf8(field.value.trim_ascii());
                    start.length = length.ok().and_then(|length| length.parse().ok());
                }
                Some(b'x') if field.is("X-GM-THRID") => {
                    start.thread = Some(field.value.trim_ascii()).filter(|id| !id.is_empty());
                }
                Some(b'x') if field.is("X-Gmail-Labels") => start.labels = Some(field.value),
                _ => {}
            }
        }
        start.body_at = fields.body_at();
        start
    }

    /// Keeps the first of a field, and says where there are several.
    fn set(&mut self, place: impl Fn(&mut Self) -> &mut Option<&'m [u8]>, field: Field<'m>) {
        if place(self).is_some() {
            self.repeated = true;
            return;
        }
        let value = field.value.trim_ascii();
        *place(self) =
            Some(value).filter(|value| !value.is_empty() && value.len() <= HEADER_FIELD_MAX_BYTES);
    }
}

/// Whether the owner of a Gmail account sent a message, by its labels, which are in the language
/// of the account: of other languages nothing is known.
pub(super) fn is_sent(labels: &[u8]) -> Option<bool> {
    let labels = labels.get(..labels.len().min(HEADER_FIELD_MAX_BYTES))?;
    let has = |wanted: &str| {
        labels
            .split(|byte| *byte == b',')
            .any(|label| label.trim_ascii() == wanted.as_bytes())
    };
    if has("Sent") {
        Some(true)
    } else {
        has("Inbox").then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_with_their_folds_up_to_the_empty_line() {
        let bytes = b"Subject: one\r\n two\r\nFrom : a@example.org\r\n\r\nDate: body";
        let mut fields = Fields::new(bytes);
        let found: Vec<_> = fields.by_ref().map(|f| (f.name, f.value)).collect();
        assert_eq!(
            found,
            [
                (&b"Subject"[..], &b" one\r\n two"[..]),
                (b"From", b" a@example.org")
            ]
        );
        assert!(fields.ended_well());
        assert_eq!(&bytes[fields.body_at()..], b"Date: body");
    }

    #[test]
    fn a_line_that_is_no_field_ends_them() {
        let mut fields = Fields::new(b"From: a\nno field here: x\n\nbody");
        assert_eq!(fields.by_ref().count(), 1);
        assert!(!fields.ended_well());
        assert_eq!(fields.body_at(), 8);
    }

    #[test]
    fn a_second_author_is_said_and_the_first_is_taken() {
        let start = Start::read(b"From: a@example.org\nFrom: b@example.org\n\n");
        assert_eq!(start.from, Some(&b"a@example.org"[..]));
        assert!(start.repeated);
    }

    #[test]
    fn labels_say_who_sent_where_they_are_english() {
        assert_eq!(is_sent(b" Inbox,Sent,Opened"), Some(true));
        assert_eq!(is_sent(b" Inbox,Important"), Some(false));
        assert_eq!(is_sent(b" Posteingang"), None);
    }
}
