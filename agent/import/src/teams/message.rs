//! What the index keeps of a message.

use std::ops::Range;

use jiff::Timestamp;
use memchr::memmem;

use super::Author;
use crate::json::{Broken, Cursor, Value};
use crate::row::{Doubt, EDITED, Row, RowKind};

/// A message as it was read.
pub(super) struct Read<'a> {
    /// Where its object stands in the file.
    pub(super) span: Range<usize>,
    pub(super) author: Author<'a>,
    /// Its row, but for its place and its author.
    pub(super) row: Row,
}

#[derive(Default)]
struct Fields<'a> {
    kind: Option<Value<'a>>,
    time: Option<Value<'a>>,
    name: Option<Value<'a>>,
    from: Option<Value<'a>>,
    content: Option<Value<'a>>,
    properties: Option<Value<'a>>,
}

impl<'a> Read<'a> {
    /// Reads the message that `cursor` stands before.
    pub(super) fn next(cursor: &mut Cursor<'a>) -> Result<Self, Broken> {
        cursor.expect(b'{')?;
        let start = cursor.at() - 1;
        let mut row = Row::at(0, 0);
        let mut fields = Fields::default();
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            let value = cursor.value()?;
            let field = match key {
                b"messagetype" => &mut fields.kind,
                b"originalarrivaltime" => &mut fields.time,
                b"displayName" => &mut fields.name,
                b"from" => &mut fields.from,
                b"content" => &mut fields.content,
                b"properties" => &mut fields.properties,
                _ => continue,
            };
            row.keep_first(field, value);
        }
        fields.time(&mut row);
        fields.classify(&mut row);
        let full = |value: Option<Value<'a>>| value.filter(|value| value.full().is_some());
        Ok(Self {
            span: start..cursor.at(),
            author: (full(fields.name), full(fields.from)),
            row,
        })
    }
}

impl Fields<'_> {
    fn time(&self, row: &mut Row) {
        let at = self.time.and_then(Value::text);
        let at = at.and_then(|text| text.parse::<Timestamp>().ok());
        if at.is_none() && self.time.is_some() {
            row.doubt(Doubt::Malformed);
        }
        row.set_instant(at.map(Timestamp::as_millisecond));
    }

    fn classify(&self, row: &mut Row) {
        let kind = self.kind.and_then(Value::text).unwrap_or_default();
        let has = |property: &str| {
            let value = self.properties.and_then(|value| value.get(property));
            value.is_some_and(|value| !value.is_null())
        };
        let says = self.content.is_some_and(|content| content.full().is_some());
        row.kind = match &*kind {
            _ if has("deletetime") => RowKind::Deleted,
            "Text" | "RichText" | "RichText/Html" if says => RowKind::Text,
            "Text" | "RichText" | "RichText/Html" => RowKind::Blank,
            "RichText/Location" => RowKind::Location,
            "RichText/Contacts" => RowKind::Contact,
            "RichText/UriObject" => RowKind::Media,
            "RichText/Media_Card" => RowKind::Notice,
            "Poll" => RowKind::Poll,
            "Event/Call" => RowKind::Notice,
            _ if kind.starts_with("RichText/Media_") => RowKind::Media,
            _ if kind.starts_with("ThreadActivity/") => RowKind::System,
            "Notice" | "PopCard" => RowKind::System,
            _ => RowKind::Notice,
        };
        let known = ["Event/Call", "RichText/Media_Card"].contains(&&*kind);
        if row.kind == RowKind::Blank || (row.kind == RowKind::Notice && !known) {
            row.doubt(Doubt::NotShown);
        }
        if has("edittime") || self.holds("e_m") {
            row.flags |= EDITED;
        }
        // Somebody else's words stand in this one's.
        if kind.starts_with("RichText") && self.holds("quote") {
            row.doubt(Doubt::Forwarded);
        }
    }

    /// Whether the content has an element of this name.
    fn holds(&self, element: &str) -> bool {
        let Some(raw) = self.content.and_then(Value::raw) else {
            return false;
        };
        // Marks may be escaped, names are not.
        memmem::find(raw, element.as_bytes()).is_some()
            && self.content.and_then(Value::text).is_some_and(|text| {
                let tag = |end| text.contains(&format!("<{element}{end}"));
                tag(" ") || tag(">") || tag("/")
            })
    }
}
