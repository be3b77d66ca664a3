//! What the messages of Meta's downloads say.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::message::{files, is_files, is_held, uri};
use super::text::string;
use crate::dialect::{Dialect, RowView};
use crate::json::Value;
use crate::words::{details, titled};
use crate::{Attachment, Format, Place};

/// What Instagram's paths begin with.
const INSTAGRAM: &str = "your_instagram_activity";

/// What Facebook's paths begin with, in the order of years.
const FACEBOOK: [&str; 2] = ["your_activity_across_facebook", "your_facebook_activity"];

/// Shows the rows of one conversation.
pub(super) struct Meta {
    format: Format,
    /// The folder of the conversation.
    folder: String,
    /// The paths of the files that came with the download, when known.
    paths: Option<BTreeSet<String>>,
    channel: Option<&'static str>,
}

impl Meta {
    pub(super) fn new(
        format: Format,
        folder: &str,
        paths: Option<&BTreeSet<String>>,
        source: &[u8],
    ) -> Self {
        Self {
            format,
            folder: format!("/{folder}/"),
            paths: paths.cloned(),
            channel: format.channel().or_else(|| channel(paths, source)),
        }
    }

    fn string<'s>(&self, value: Option<Value<'s>>) -> Option<Cow<'s, str>> {
        string(value?, self.format).filter(|text| !text.is_empty())
    }

    fn place(&self, path: &str) -> Place<'static> {
        let path = path.strip_prefix("./").unwrap_or(path);
        let here = path.split_once(&self.folder).map_or(path, |(_, here)| here);
        let known = match &self.paths {
            None => Some(path),
            // From the download's root, or from the conversation's folder alone.
            Some(paths) => [path, here].into_iter().find(|path| paths.contains(*path)),
        };
        known.map_or(Place::LeftOut, |path| {
            Place::beside(Cow::Owned(path.to_owned()))
        })
    }
}

/// Which of the two apps, by the paths of the files beside.
fn channel(paths: Option<&BTreeSet<String>>, source: &[u8]) -> Option<&'static str> {
    let named = |start: &str| {
        // As a path stands in a message; a quotation mark inside a text is escaped.
        let path = format!("\"{start}");
        let beside = paths
            .and_then(|paths| paths.range(start.to_owned()..).next())
            .is_some_and(|path| path.starts_with(start));
        beside
            || memchr::memmem::find_iter(source, path.as_bytes())
                .any(|at| at > 0 && source.get(at - 1) != Some(&b'\\'))
    };
    match (named(INSTAGRAM), FACEBOOK.into_iter().any(named)) {
        (true, false) => Some("instagram"),
        (false, true) => Some("messenger"),
        _ => None,
    }
}

impl Dialect for Meta {
    fn channel(&self) -> Option<&'static str> {
        self.channel
    }

    fn text<'s>(&'s self, row: &RowView<'s>) -> Cow<'s, str> {
        let message = Value(row.source);
        let key = if self.format == Format::Meta {
            "content"
        } else {
            "text"
        };
        let said = self.string(message.get(key));
        if self.format == Format::MessengerEncrypted {
            return said.unwrap_or_default();
        }
        let mut more = Vec::new();
        if let Some(share) = message.get("share") {
            for key in ["share_text", "link"] {
                let part = self.string(share.get(key));
                // A link that was sent as a text stands in both.
                more.extend(
                    part.filter(|part| !said.as_ref().is_some_and(|said| said.contains(&**part))),
                );
            }
        }
        let bumped = message.get("bumped_message_metadata");
        more.extend(self.string(bumped.and_then(|bumped| bumped.get("bumped_message"))));
        let users: Vec<_> = message
            .get("users")
            .into_iter()
            .flat_map(Value::items)
            .filter_map(|user| self.string(user.get("name")))
            .collect();
        more.extend((!users.is_empty() && said.is_none()).then(|| Cow::Owned(users.join(", "))));
        let call = call(message);
        more.extend((!call.is_empty()).then(|| Cow::Owned(titled("call", &call))));
        match (said, more.is_empty()) {
            (Some(said), true) => said,
            (said, _) => Cow::Owned(said.into_iter().chain(more).collect::<Vec<_>>().join("\n")),
        }
    }

    fn attachments<'s>(&'s self, row: &RowView<'s>) -> Vec<Attachment<'s>> {
        Value(row.source)
            .entries()
            .filter(|(key, _)| is_files(key))
            .flat_map(|(_, value)| files(value))
            .filter_map(|file| {
                let path = self.string(file.get("uri"))?;
                let base = path.split('?').next().unwrap_or_default();
                let name = base.rsplit('/').next().unwrap_or_default().to_owned();
                let held = uri(file).is_some_and(is_held);
                Some(Attachment {
                    name: Cow::Owned(name),
                    media_type: None,
                    bytes: None,
                    sha256: None,
                    place: if held {
                        self.place(&path)
                    } else {
                        Place::LeftOut
                    },
                })
            })
            .collect()
    }
}

/// How long a call took, or that nobody took it.
fn call(message: Value<'_>) -> String {
    details(message, |key| !matches!(key, "call_duration" | "missed"))
}
