//! What messages say.

use std::borrow::Cow;

use super::markup::plain;
use crate::dialect::{Dialect, RowView};
use crate::json::Value;
use crate::row::RowKind;
use crate::xml::{Broken, Cursor, Markup, decode};
use crate::{Attachment, Place};

/// Shows the rows of one chat. What they say stands in their objects.
pub(super) struct Teams;

impl Dialect for Teams {
    fn text<'s>(&'s self, row: &RowView<'s>) -> Cow<'s, str> {
        let message = Value(row.source);
        let content = message.get("content").and_then(Value::text);
        let content = content.unwrap_or_default();
        let kind = message.get("messagetype").and_then(Value::text);
        if kind.as_deref() == Some("Text") {
            content
        } else {
            Cow::Owned(plain(&content))
        }
    }

    /// The export keeps files in a folder by names that do not stand in the messages.
    fn attachments<'s>(&'s self, row: &RowView<'s>) -> Vec<Attachment<'s>> {
        if row.kind != RowKind::Media {
            return Vec::new();
        }
        let content = Value(row.source).get("content").and_then(Value::text);
        let content = content.unwrap_or_default();
        let mut files: Vec<Attachment<'s>> = Vec::new();
        let mut cursor = Cursor::new(content.as_bytes(), 0);
        loop {
            cursor.text();
            let tag = match cursor.markup() {
                Ok(Some(Markup::Open(tag))) => tag,
                Ok(Some(_)) | Err(Broken::Bad) => continue,
                Ok(None) | Err(Broken::End) => return files,
            };
            let Some(value) = tag.get(b"v") else {
                continue;
            };
            if tag.name.eq_ignore_ascii_case(b"originalname") {
                files.push(Attachment {
                    name: Cow::Owned(decode(value).into_owned()),
                    media_type: None,
                    bytes: None,
                    sha256: None,
                    place: Place::LeftOut,
                });
            } else if tag.name.eq_ignore_ascii_case(b"filesize")
                && let Some(file) = files.last_mut()
            {
                file.bytes = decode(value).parse().ok();
            }
        }
    }
}
