//! The structure of a message: its parts, which of them are its words and which are files.
//!
//! RFC 2046. A boundary is a whole line (5.1.1), the last wording of an alternative that can be
//! shown is as good as the others (5.1.4), and a message in a message is a file. Linear in the
//! length of the message times [`PART_DEPTH_MAX`].

use std::borrow::Cow;

use mail_parser::parsers::MessageStream;
use mail_parser::{ContentType, HeaderValue};
use memchr::{memchr, memmem};

use super::decode::{self, Encoding};
use super::fields::Fields;
use crate::limits::{MIME_FIELD_MAX_BYTES, PART_DEPTH_MAX, PARTS_MAX};

/// Longest boundary, in bytes. RFC 2046 allows 70; some write longer ones.
const BOUNDARY_MAX_BYTES: usize = 256;

/// A message taken apart.
#[derive(Default)]
pub(super) struct Parts<'m> {
    /// What is to be shown as its words, in order.
    pub(super) words: Vec<Part<'m>>,
    /// What is to be offered as files, in order.
    pub(super) files: Vec<Part<'m>>,
    /// Whether the words are encrypted.
    pub(super) encrypted: bool,
    /// Whether there are more parts than are looked at.
    pub(super) cut: bool,
    seen: usize,
}

/// A part that is no multipart.
pub(super) struct Part<'m> {
    /// In lower case, as `text/plain`.
    pub(super) media_type: String,
    pub(super) charset: Option<String>,
    pub(super) encoding: Encoding,
    /// The name of the file, where there is one.
    pub(super) name: Option<String>,
    /// Its size as the header claims.
    pub(super) size: Option<u64>,
    pub(super) body: &'m [u8],
    attached: bool,
}

impl Part<'_> {
    pub(super) fn is_html(&self) -> bool {
        self.media_type == "text/html"
    }

    fn is_words(&self) -> bool {
        matches!(self.media_type.as_str(), "text/plain" | "text/html") && !self.attached
    }
}

/// Takes `message` apart: its header and its body.
pub(super) fn parts(message: &[u8]) -> Parts<'_> {
    let mut parts = Parts::default();
    parts.entity(message, 0, false);
    parts
}

/// Whether a message of this `Content-Type` is encrypted, or signed so that its words are inside
/// the signature.
pub(super) fn is_encrypted(content: &[u8]) -> bool {
    let content = content.trim_ascii_start();
    [
        "multipart/encrypted",
        "application/pkcs7-mime",
        "application/x-pkcs7-mime",
    ]
    .iter()
    .any(|kind| {
        content
            .get(..kind.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(kind.as_bytes()))
    })
}

impl<'m> Parts<'m> {
    /// Reads one entity, at `depth` multiparts. In a digest an entity is a message where it does
    /// not say otherwise.
    fn entity(&mut self, bytes: &'m [u8], depth: usize, in_digest: bool) {
        if self.seen == PARTS_MAX {
            self.cut = true;
            return;
        }
        self.seen += 1;
        let head = Head::read(bytes, in_digest);
        self.encrypted |= head.encrypted;
        let split = match &head.boundary {
            Some(boundary) if head.is("multipart/") && depth < PART_DEPTH_MAX => {
                split(head.part.body, boundary)
            }
            _ => Vec::new(),
        };
        if split.is_empty() {
            let unsplit = head.is("multipart/");
            self.leaf(head.part, unsplit, depth);
        } else if head.is("multipart/alternative") {
            self.alternative(&split, depth + 1);
        } else {
            let in_digest = head.is("multipart/digest");
            for entity in split {
                self.entity(entity, depth + 1, in_digest);
            }
        }
    }

    fn leaf(&mut self, mut part: Part<'m>, unsplit: bool, depth: usize) {
        if unsplit && depth < PART_DEPTH_MAX {
            // A multipart in which no part begins: what is there is shown as it stands.
            part.media_type = "text/plain".to_owned();
            part.encoding = Encoding::None;
        }
        // A text with a name, behind other words, is a file that was put into the mail.
        let first = self.words.is_empty() && self.files.is_empty();
        if part.is_words() && (part.name.is_none() || first) {
            self.words.push(part);
        } else {
            self.files.push(part);
        }
    }

    /// Takes the words of one of several wordings: plain ones, unless there are none.
    fn alternative(&mut self, entities: &[&'m [u8]], depth: usize) {
        let mut best: Option<(u8, Vec<Part<'m>>)> = None;
        for entity in entities {
            let mut one = Parts {
                seen: self.seen,
                ..Parts::default()
            };
            one.entity(entity, depth, false);
            self.seen = one.seen;
            self.cut |= one.cut;
            self.encrypted |= one.encrypted;
            self.files.append(&mut one.files);
            let rank = match one.words.as_slice() {
                [] => continue,
                words if words.iter().all(|part| decode::is_blank(part)) => 0,
                words if words.iter().any(Part::is_html) => 1,
                _ => 2,
            };
            if best.as_ref().is_none_or(|(before, _)| *before < rank) {
                best = Some((rank, one.words));
            }
        }
        if let Some((_, mut words)) = best {
            self.words.append(&mut words);
        }
    }
}

/// The header of a part, and the part.
struct Head<'m> {
    part: Part<'m>,
    boundary: Option<Vec<u8>>,
    encrypted: bool,
}

impl<'m> Head<'m> {
    fn read(bytes: &'m [u8], in_digest: bool) -> Self {
        let mut fields = Fields::new(bytes);
        let (mut content, mut disposition, mut encoding) = (None, None, None);
        for field in fields.by_ref() {
            if field.is("Content-Type") {
                content = content.or(Some(field.value));
            } else if field.is("Content-Disposition") {
                disposition = disposition.or(Some(field.value));
            } else if field.is("Content-Transfer-Encoding") {
                encoding = encoding.or(Some(field.value));
            }
        }
        let body = bytes.get(fields.body_at()..).unwrap_or_default();
        let encrypted = content.is_some_and(is_encrypted);
        // A header that cannot be read leaves bytes of which nothing is known.
        let unread = content.is_some_and(|value| value.len() > MIME_FIELD_MAX_BYTES);
        let content = content.and_then(parameters);
        let disposition = disposition.and_then(parameters);
        let attribute = |of: &Option<ContentType<'static>>, name: &str| {
            let value = of.as_ref()?.attribute(name)?;
            Some(value.to_owned()).filter(|value| !value.trim().is_empty())
        };
        let media_type = match &content {
            Some(found) => match found.subtype() {
                Some(subtype) => format!("{}/{subtype}", found.ctype()),
                None => "application/octet-stream".to_owned(),
            },
            None if unread => "application/octet-stream".to_owned(),
            None if in_digest => "message/rfc822".to_owned(),
            None => "text/plain".to_owned(),
        };
        let boundary = attribute(&content, "boundary")
            .map(|boundary| boundary.trim_end().as_bytes().to_vec())
            .filter(|boundary| boundary.len() <= BOUNDARY_MAX_BYTES);
        Self {
            part: Part {
                charset: attribute(&content, "charset"),
                encoding: Encoding::of(encoding.unwrap_or_default()),
                name: attribute(&disposition, "filename").or_else(|| attribute(&content, "name")),
                size: attribute(&disposition, "size").and_then(|size| size.parse().ok()),
                attached: disposition
                    .as_ref()
                    .is_some_and(|found| found.ctype().eq_ignore_ascii_case("attachment")),
                media_type: media_type.to_ascii_lowercase(),
                body,
            },
            boundary,
            encrypted,
        }
    }

    fn is(&self, kind: &str) -> bool {
        self.part.media_type.starts_with(kind)
    }
}

/// A value with parameters, RFC 2231's and encoded words among them.
fn parameters(value: &[u8]) -> Option<ContentType<'static>> {
    let value = value
        .get(..value.len())
        .filter(|v| v.len() <= MIME_FIELD_MAX_BYTES)?;
    match MessageStream::new(&ended(value))
        .parse_content_type()
        .into_owned()
    {
        HeaderValue::ContentType(found) => Some(found),
        _ => None,
    }
}

/// `value` with the line ending without which `mail-parser` takes a field for cut off.
pub(super) fn ended(value: &[u8]) -> Vec<u8> {
    [value, b"\n"].concat()
}

/// The entities between the lines of `boundary`; none where none begins. One that does not end
/// goes to the end.
fn split<'m>(body: &'m [u8], boundary: &[u8]) -> Vec<&'m [u8]> {
    let mut found: Vec<&[u8]> = Vec::new();
    if boundary.is_empty() {
        return found;
    }
    let dashed = [b"--", boundary].concat();
    let mut begun = None;
    for at in memmem::find_iter(body, &dashed) {
        if at != 0 && body.get(at - 1) != Some(&b'\n') {
            continue;
        }
        let rest = body.get(at + dashed.len()..).unwrap_or_default();
        // Padding is a few blanks; a line that goes on is no boundary.
        let near = rest.get(..BOUNDARY_MAX_BYTES).unwrap_or(rest);
        let length = memchr(b'\n', near).map_or(near.len(), |end| end + 1);
        let line = near.get(..length).unwrap_or_default();
        let (last, padding) = match line.strip_prefix(b"--") {
            Some(padding) => (true, padding),
            None => (false, line),
        };
        if !padding.trim_ascii().is_empty() {
            continue;
        }
        if let Some(start) = begun {
            found.push(without_line_ending(body.get(start..at).unwrap_or_default()));
        }
        begun = (!last).then_some(at + dashed.len() + length);
        // One more than is looked at, to be able to say so.
        if last || found.len() > PARTS_MAX {
            return found;
        }
    }
    if let Some(start) = begun {
        found.push(body.get(start..).unwrap_or_default());
    }
    found
}

/// The line ending before a boundary belongs to the boundary.
fn without_line_ending(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// What a file without a name is called.
pub(super) fn stand_in_name(media_type: &str) -> Cow<'static, str> {
    Cow::Borrowed(match media_type {
        "message/rfc822" | "message/global" => "attached message.eml",
        "text/calendar" => "invitation.ics",
        "text/html" => "unnamed.html",
        "text/plain" => "unnamed.txt",
        "image/jpeg" => "unnamed.jpg",
        "image/png" => "unnamed.png",
        "image/gif" => "unnamed.gif",
        "application/pdf" => "unnamed.pdf",
        "application/pgp-signature" => "signature.asc",
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => "smime.p7m",
        _ => "unnamed file",
    })
}
