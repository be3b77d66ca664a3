//! What the items of a Signal export say.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::pointer::{Paths, attachment};
use super::recipient::Recipients;
use crate::dialect::{Dialect, RowView};
use crate::json::{Value, decode};
use crate::row::Row;
use crate::words::{details, titled, words};
use crate::{Attachment, Revision, Stamp};

/// Stands in a text where somebody is mentioned.
const MENTION: char = '\u{fffc}';

/// Most mentions in one text: a group has at most 1,000 members.
const MENTIONS_MAX: usize = 1_000;

/// Shows the rows of one chat.
pub(super) struct Signal<'a> {
    recipients: Recipients<'a>,
    paths: Paths,
}

impl<'a> Signal<'a> {
    pub(super) fn new(recipients: Recipients<'a>, names: Option<&BTreeSet<String>>) -> Self {
        Self {
            recipients,
            paths: Paths::of(names),
        }
    }

    /// What an item says.
    fn says<'s>(&self, item: Value<'s>) -> Cow<'s, str> {
        for (key, value) in item.entries() {
            return match key {
                b"standardMessage" => self.body(value.get("text")),
                b"directStoryReplyMessage" => match value.get("emoji").and_then(Value::full) {
                    Some(emoji) => emoji,
                    None => self.body(value.path(&["textReply", "text"])),
                },
                b"stickerMessage" => value
                    .path(&["sticker", "emoji"])
                    .and_then(Value::text)
                    .unwrap_or_default(),
                b"contactMessage" => Cow::Owned(contact(value)),
                b"poll" => Cow::Owned(poll(value)),
                b"updateMessage" => Cow::Owned(update(value)),
                b"paymentNotification" => Cow::Owned(titled("payment", &details(value, |_| false))),
                b"giftBadge" => Cow::Borrowed("gift badge"),
                b"remoteDeletedMessage" | b"adminDeletedMessage" | b"viewOnceMessage" => {
                    Cow::Borrowed("")
                }
                _ => continue,
            };
        }
        Cow::Borrowed("")
    }

    /// A text with the names of those whom it mentions.
    fn body<'s>(&self, text: Option<Value<'s>>) -> Cow<'s, str> {
        let body = text
            .and_then(|text| text.get("body")?.text())
            .unwrap_or_default();
        let mentions: BTreeMap<usize, String> = text
            .and_then(|text| text.get("bodyRanges"))
            .into_iter()
            .flat_map(Value::items)
            .filter_map(|range| {
                let aci = range.get("mentionAci")?.raw()?;
                // Protocol Buffers leave out a number that is 0.
                let start = range.get("start").map_or(Some(0), Value::integer)?;
                Some((
                    usize::try_from(start).ok()?,
                    self.recipients.mentioned(aci)?,
                ))
            })
            .take(MENTIONS_MAX)
            .collect();
        if mentions.is_empty() {
            return body;
        }
        // Places count UTF-16 units.
        let mut said = String::with_capacity(body.len());
        let mut at = 0;
        for char in body.chars() {
            match mentions.get(&at) {
                Some(name) if char == MENTION => {
                    said.push('@');
                    said.push_str(name);
                }
                _ => said.push(char),
            }
            at += char.len_utf16();
        }
        Cow::Owned(said)
    }
}

fn item<'s>(row: &RowView<'s>) -> Option<Value<'s>> {
    Value(row.source).get("chatItem")
}

impl Dialect for Signal<'_> {
    fn text<'s>(&'s self, row: &RowView<'s>) -> Cow<'s, str> {
        item(row).map(|item| self.says(item)).unwrap_or_default()
    }

    fn attachments<'s>(&'s self, row: &RowView<'s>) -> Vec<Attachment<'s>> {
        let Some(item) = item(row) else {
            return Vec::new();
        };
        let standard = item.get("standardMessage");
        let files = standard
            .and_then(|message| message.get("attachments"))
            .into_iter()
            .flat_map(Value::items)
            .filter_map(|file| file.get("pointer"));
        let long = standard
            .and_then(|message| message.get("longText"))
            .or_else(|| item.path(&["directStoryReplyMessage", "textReply", "longText"]));
        let sticker = item.path(&["stickerMessage", "sticker", "data"]);
        files
            .chain(long)
            .chain(sticker)
            .map(|pointer| attachment(pointer, &self.paths))
            .collect()
    }

    fn revisions(&self, row: &RowView<'_>) -> Vec<Revision> {
        let revisions = item(row).and_then(|item| item.get("revisions"));
        revisions
            .into_iter()
            .flat_map(Value::items)
            .map(|revision| {
                let mut at = Row::at(0, 0);
                at.set_instant(revision.get("dateSent").and_then(Value::integer));
                Revision {
                    at: Stamp::of(&at),
                    text: self.says(revision).into_owned(),
                }
            })
            .collect()
    }
}

fn contact(message: Value<'_>) -> String {
    let Some(contact) = message.get("contact") else {
        return String::new();
    };
    let mut lines = Vec::new();
    let part = |key: &str| contact.path(&["name", key]).and_then(Value::full);
    let name: Vec<_> = ["prefix", "givenName", "middleName", "familyName", "suffix"]
        .into_iter()
        .filter_map(part)
        .collect();
    if !name.is_empty() {
        lines.push(name.join(" "));
    }
    lines.extend(
        contact
            .get("organization")
            .and_then(Value::full)
            .map(Cow::into_owned),
    );
    for list in ["number", "email"] {
        let items = contact.get(list).into_iter().flat_map(Value::items);
        lines.extend(
            items
                .filter_map(|item| item.get("value")?.full())
                .map(Cow::into_owned),
        );
    }
    for address in contact.get("address").into_iter().flat_map(Value::items) {
        lines.push(details(address, |key| key == "type"));
    }
    lines.join("\n")
}

fn poll(poll: Value<'_>) -> String {
    let mut text = poll
        .get("question")
        .and_then(Value::text)
        .unwrap_or_default()
        .into_owned();
    for option in poll.get("options").into_iter().flat_map(Value::items) {
        let votes = option
            .get("votes")
            .into_iter()
            .flat_map(Value::items)
            .count();
        let option = option
            .get("option")
            .and_then(Value::text)
            .unwrap_or_default();
        text.push_str(&format!("\n- {option} ({votes})"));
    }
    text
}

/// What happened to a chat.
fn update(update: Value<'_>) -> String {
    // Identifiers and receipts say nothing to people.
    let skip = |key: &str| {
        key == "read" || key.ends_with("Aci") || key.ends_with("Id") || key.ends_with("Timestamp")
    };
    let mut said = Vec::new();
    for (key, value) in update.entries() {
        if key == b"groupChange" {
            for change in value.get("updates").into_iter().flat_map(Value::items) {
                for (key, value) in change.entries() {
                    said.push(titled(&words(&decode(key)), &details(value, skip)));
                }
            }
        } else {
            said.push(titled(&words(&decode(key)), &details(value, skip)));
        }
    }
    said.join("; ")
}
