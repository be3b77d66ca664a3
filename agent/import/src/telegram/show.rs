//! What the messages of a Telegram export say.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::dialect::{Dialect, RowView};
use crate::json::Value;
use crate::words::{details, titled, words};
use crate::{Attachment, Place};

/// Shows the rows of one chat.
pub(super) struct Telegram {
    /// The paths of the files that came with the export, when known.
    paths: Option<BTreeSet<String>>,
}

impl Telegram {
    pub(super) fn new(paths: Option<&BTreeSet<String>>) -> Self {
        Self {
            paths: paths.cloned(),
        }
    }

    fn place<'s>(&self, path: Cow<'s, str>) -> Place<'s> {
        if path.starts_with('(')
            || self
                .paths
                .as_ref()
                .is_some_and(|paths| !paths.contains(&*path))
        {
            Place::LeftOut
        } else {
            Place::beside(path)
        }
    }
}

impl Dialect for Telegram {
    fn text<'s>(&'s self, row: &RowView<'s>) -> Cow<'s, str> {
        let message = Value(row.source);
        if message
            .get("type")
            .is_some_and(|kind| kind.0 == b"\"service\"")
        {
            return Cow::Owned(service(message));
        }
        let text = message.get("text").map(text).unwrap_or_default();
        let more = more(message);
        if more.is_empty() {
            text
        } else if text.is_empty() {
            Cow::Owned(more.join("\n"))
        } else {
            Cow::Owned(format!("{text}\n{}", more.join("\n")))
        }
    }

    fn attachments<'s>(&'s self, row: &RowView<'s>) -> Vec<Attachment<'s>> {
        let message = Value(row.source);
        let number = |key: &str| u64::try_from(message.get(key)?.integer()?).ok();
        let string = |key: &str| message.get(key).and_then(Value::full);
        ["photo", "file", "contact_vcard"]
            .into_iter()
            .filter_map(|key| {
                let path = string(key)?;
                let left_out = path.starts_with('(');
                let base = || path.rsplit('/').next().unwrap_or_default().to_owned();
                let name = match string("file_name") {
                    Some(name) if key == "file" => name,
                    _ if left_out => string("media_type").unwrap_or(Cow::Borrowed(key)),
                    _ => Cow::Owned(base()),
                };
                Some(Attachment {
                    name,
                    media_type: string("mime_type").filter(|_| key == "file"),
                    bytes: match key {
                        "photo" => number("photo_file_size"),
                        "file" => number("file_size"),
                        _ => None,
                    },
                    sha256: None,
                    place: self.place(path),
                })
            })
            .collect()
    }
}

/// A string, or pieces that are strings or objects with a string. A link under other words is
/// shown after them, because what it leads to is a part of what was said.
fn text(text: Value<'_>) -> Cow<'_, str> {
    if let Some(text) = text.text() {
        return text;
    }
    let mut said = String::new();
    for piece in text.items() {
        if let Some(plain) = piece.text() {
            said.push_str(&plain);
            continue;
        }
        let words = piece.get("text").and_then(Value::text).unwrap_or_default();
        said.push_str(&words);
        if let Some(href) = piece.get("href").and_then(Value::full)
            && href != words
        {
            said.push_str(&format!(" <{href}>"));
        }
    }
    Cow::Owned(said)
}

/// What a message carries besides its text and its file.
fn more(message: Value<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let string = |key: &str| message.get(key).and_then(Value::full).map(Cow::into_owned);
    if let Some(poll) = message.get("poll") {
        lines.extend(poll.get("question").map(text).map(Cow::into_owned));
        for answer in poll.get("answers").into_iter().flat_map(Value::items) {
            let words = answer.get("text").map(text).unwrap_or_default();
            let voters = answer.get("voters").and_then(Value::integer).unwrap_or(0);
            lines.push(format!("- {words} ({voters})"));
        }
    }
    if let Some(contact) = message.get("contact_information") {
        let part = |key: &str| contact.get(key).and_then(Value::full);
        let name: Vec<_> = ["first_name", "last_name"]
            .into_iter()
            .filter_map(part)
            .collect();
        lines.extend((!name.is_empty()).then(|| name.join(" ")));
        lines.extend(part("phone_number").map(Cow::into_owned));
    }
    lines.extend(string("place_name"));
    lines.extend(string("address"));
    if let Some(place) = message.get("location_information") {
        let number = |key: &str| {
            place
                .get(key)
                .map(|number| String::from_utf8_lossy(number.0))
        };
        if let (Some(latitude), Some(longitude)) = (number("latitude"), number("longitude")) {
            lines.push(format!("{latitude}, {longitude}"));
        }
    }
    lines.extend(string("sticker_emoji"));
    for game in ["game_title", "game_description", "game_link"] {
        lines.extend(string(game));
    }
    if let Some(invoice) = message.get("invoice_information") {
        lines.push(titled("invoice", &details(invoice, |_| false)));
    }
    lines
}

/// What happened to the chat.
fn service(message: Value<'_>) -> String {
    let action = message.get("action").and_then(Value::text);
    let skip = |key: &str| {
        matches!(
            key,
            "id" | "type"
                | "action"
                | "actor"
                | "actor_id"
                | "from_id"
                | "to_id"
                | "text"
                | "text_entities"
                | "photo"
                | "width"
                | "height"
                | "information_text"
        ) || key.starts_with("date")
            || key.starts_with("edited")
    };
    let information = message.get("information_text").and_then(Value::full);
    match (action, information) {
        (None, Some(information)) => information.into_owned(),
        (action, _) => {
            let action =
                action.map_or_else(|| "service message".to_owned(), |action| words(&action));
            let said = titled(&action, &details(message, skip));
            let written = message.get("text").map(text).unwrap_or_default();
            if written.is_empty() {
                said
            } else {
                format!("{said}\n{written}")
            }
        }
    }
}
