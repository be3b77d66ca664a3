//! What the messages of a Slack export say.

use std::borrow::Cow;

use memchr::memchr2;

use super::message::is_share;
use super::names::Names;
use crate::dialect::{Dialect, RowView};
use crate::json::Value;
use crate::{Attachment, Place};

/// Shows the rows of one channel.
pub(super) struct Slack {
    names: Names,
}

impl Slack {
    pub(super) const fn new(names: Names) -> Self {
        Self { names }
    }

    fn string(&self, value: Option<Value<'_>>) -> Option<String> {
        Some(self.plain(&value?.full()?))
    }

    /// A text without Slack's marks: people and channels by their names, links as they are.
    fn plain(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        // Where the last mark ends: a `<` behind it is only a `<`.
        let end = text.rfind('>').unwrap_or_default();
        while let Some(at) = memchr2(b'<', b'&', rest.as_bytes()) {
            let (before, mark) = rest.split_at(at);
            out.push_str(before);
            let is_open = text.len() - mark.len() < end;
            let inside = mark.strip_prefix('<').filter(|_| is_open);
            let len = match inside.and_then(|inside| inside.split_once('>')) {
                Some((inside, _)) => {
                    self.mark(&mut out, inside);
                    inside.len() + 2
                }
                None => entity(&mut out, mark),
            };
            rest = mark.get(len..).unwrap_or_default();
        }
        out.push_str(rest);
        out
    }

    /// What stands between `<` and `>`: whom, where or what the words after `|` stand for.
    fn mark(&self, out: &mut String, inside: &str) {
        let (target, label) = match inside.split_once('|') {
            Some((target, label)) => (target, Some(label).filter(|label| !label.is_empty())),
            None => (inside, None),
        };
        let mut say = |sign: &str, word: &str| {
            if !word.starts_with(sign) {
                out.push_str(sign);
            }
            entities(out, word);
        };
        if let Some(id) = target.strip_prefix('@') {
            say("@", self.names.person(id).or(label).unwrap_or(id));
        } else if let Some(id) = target.strip_prefix('#') {
            match label {
                Some(label) => say("#", label),
                None => say("#", &self.names.channel(id)),
            }
        } else if let Some(command) = target.strip_prefix('!') {
            let sign = if command.starts_with("date^") {
                ""
            } else {
                "@"
            };
            say(sign, label.unwrap_or(command));
        } else {
            match label {
                // What a link leads to is a part of what was said.
                Some(label) if target != label && target.strip_prefix("mailto:") != Some(label) => {
                    say("", label);
                    out.push_str(" <");
                    entities(out, target);
                    out.push('>');
                }
                Some(label) => say("", label),
                None => say("", target),
            }
        }
    }
}

/// Writes the sign that the entity at the start of `text` stands for; its length, or that of what
/// is none.
fn entity(out: &mut String, text: &str) -> usize {
    for (entity, char) in [("&lt;", '<'), ("&gt;", '>'), ("&amp;", '&')] {
        if text.starts_with(entity) {
            out.push(char);
            return entity.len();
        }
    }
    out.extend(text.chars().next());
    1
}

fn entities(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, mark) = rest.split_at(at);
        out.push_str(before);
        let len = entity(out, mark);
        rest = mark.get(len..).unwrap_or_default();
    }
    out.push_str(rest);
}

impl Dialect for Slack {
    fn text<'s>(&'s self, row: &RowView<'s>) -> Cow<'s, str> {
        let message = Value(row.source);
        let said = self.string(message.get("text"));
        let mut lines: Vec<String> = said.into_iter().collect();
        let alone = lines.is_empty();
        for attachment in message
            .get("attachments")
            .into_iter()
            .flat_map(Value::items)
        {
            // Of a link's preview nobody wrote a word.
            if alone || is_share(attachment) {
                let part = ["text", "fallback", "title"]
                    .into_iter()
                    .find_map(|key| self.string(attachment.get(key)));
                lines.extend(part);
            }
        }
        Cow::Owned(lines.join("\n"))
    }

    fn attachments<'s>(&'s self, row: &RowView<'s>) -> Vec<Attachment<'s>> {
        let files = Value(row.source).get("files");
        files
            .into_iter()
            .flat_map(Value::items)
            .map(|file| Attachment {
                name: ["name", "title", "id"]
                    .into_iter()
                    .find_map(|key| file.get(key).and_then(Value::full))
                    .unwrap_or_default(),
                media_type: file.get("mimetype").and_then(Value::full),
                bytes: file
                    .get("size")
                    .and_then(Value::integer)
                    .and_then(|size| u64::try_from(size).ok()),
                sha256: None,
                // There is a link to the workspace, which needs an account there.
                place: Place::LeftOut,
            })
            .collect()
    }
}
