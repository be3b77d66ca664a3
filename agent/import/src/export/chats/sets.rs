//! Chats that apps write as several files in one folder.

use std::collections::HashMap;

use crate::Format;
use crate::bundle::Entry;

/// The lists at the root of a Slack export: of people, and of channels with their members.
const LISTS: [&str; 6] = [
    "users.json",
    "org_users.json",
    "channels.json",
    "groups.json",
    "dms.json",
    "mpims.json",
];

/// An empty list, `[]`, with a line ending. It says nothing, not even what it is a list of.
const EMPTY_BYTES: u64 = 4;

/// Files that are one chat together, by the form of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Set {
    /// Meta's `message_1.json`, `message_2.json` …
    Parts,
    /// Slack's `2024-06-01.json`, `2024-06-02.json` … of a channel.
    Days,
    /// E-mails, `.eml` each.
    Letters,
}

impl Set {
    /// The set that a file of this name belongs to.
    pub(super) fn of(base: &str) -> Option<Self> {
        if number(base).is_some() {
            Some(Self::Parts)
        } else if is_day(base) {
            Some(Self::Days)
        } else if base.to_ascii_lowercase().ends_with(".eml") {
            Some(Self::Letters)
        } else {
            None
        }
    }

    /// Whether files of this format come in such sets.
    pub(super) const fn is_of(self, format: Format) -> bool {
        match self {
            Self::Parts => matches!(format, Format::Meta),
            Self::Days => matches!(format, Format::Slack),
            Self::Letters => matches!(format, Format::Eml),
        }
    }

    /// Where a file of this name stands in its set.
    pub(super) fn place(self, base: &str) -> (u32, String) {
        let number = match self {
            Self::Parts => number(base).unwrap_or_default(),
            Self::Days | Self::Letters => 0,
        };
        (number, base.to_owned())
    }

    /// Whether a file of the set has anything in it.
    pub(super) const fn is_full(self, entry: &Entry) -> bool {
        !matches!(self, Self::Days) || entry.bytes > EMPTY_BYTES
    }

    /// The files elsewhere that belong to a set in `folder`.
    pub(super) fn lists<'l>(self, lists: &'l Lists<'_>, folder: &str) -> &'l [usize] {
        let inside = folder.strip_suffix('/').unwrap_or(folder);
        let root = inside.rfind('/').map_or(0, |slash| slash + 1);
        let found = inside.get(..root).and_then(|root| lists.get(root));
        found
            .filter(|_| self == Self::Days)
            .map_or(&[], Vec::as_slice)
    }

    /// The folder that the paths of attachments are counted from, of a chat in `folder`.
    pub(super) fn base(self, folder: &str) -> &str {
        match self {
            Self::Parts => meta_root(folder),
            Self::Days | Self::Letters => folder,
        }
    }
}

/// Slack's lists, by the folder that they lie in.
pub(super) type Lists<'e> = HashMap<&'e str, Vec<usize>>;

/// Finds Slack's lists.
pub(super) fn lists(entries: &[Entry]) -> Lists<'_> {
    let mut lists = Lists::new();
    for (place, entry) in entries.iter().enumerate() {
        if is_list(entry.base()) && Set::Days.is_full(entry) {
            lists.entry(entry.folder()).or_default().push(place);
        }
    }
    lists
}

/// Whether a file is one of Slack's lists, by its name.
pub(super) fn is_list(base: &str) -> bool {
    LISTS.contains(&base)
}

/// Whether a file is one of e-mails, by its name.
pub(super) fn is_mail(base: &str) -> bool {
    let base = base.to_ascii_lowercase();
    base == "mbox"
        || [".eml", ".mbox", ".mbx"]
            .iter()
            .any(|end| base.ends_with(end))
}

/// Whether a name is that of a day: `2024-06-01.json`.
fn is_day(base: &str) -> bool {
    let day = base.strip_suffix(".json").unwrap_or_default();
    day.len() == 10
        && day.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// The number of a `message_N.json`; 0 of `message.json`, as it was called at first.
fn number(base: &str) -> Option<u32> {
    let rest = base.strip_prefix("message")?.strip_suffix(".json")?;
    if rest.is_empty() {
        return Some(0);
    }
    let digits = rest.strip_prefix('_')?;
    digits
        .bytes()
        .all(|digit| digit.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

/// The root of the download that a conversation's folder lies in, since the messages give paths
/// from there: `facebook-alice/` of `facebook-alice/your_facebook_activity/messages/inbox/bob_1/`.
/// The folder itself where it was taken out of the download.
fn meta_root(folder: &str) -> &str {
    let mut root = None;
    let mut at = 0;
    let mut before: &str = "";
    for part in folder.split_inclusive('/') {
        if part == "messages/" {
            let activity = if before.starts_with("your_") {
                before.len()
            } else {
                0
            };
            root = Some(at - activity);
        }
        at += part.len();
        before = part;
    }
    root.and_then(|end| folder.get(..end)).unwrap_or(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_numbered() {
        assert_eq!(number("message_12.json"), Some(12));
        assert_eq!(number("message.json"), Some(0));
        for other in [
            "message_.json",
            "message_a.json",
            "message_1.html",
            "xmessage_1.json",
        ] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn days_and_mails_are_told_by_their_names() {
        assert!(is_day("2024-06-01.json"));
        for other in [
            "2024-06-01.txt",
            "2024-6-1.json",
            "2024-06-0a.json",
            ".json",
        ] {
            assert!(!is_day(other), "{other}");
        }
        assert!(is_mail("a.EML") && is_mail("All mail.mbox") && is_mail("mbox"));
        assert!(!is_mail("a.txt"));
    }

    #[test]
    fn the_root_of_a_download_is_found_from_a_folder_in_it() {
        for (folder, root) in [
            ("messages/inbox/a_1/", ""),
            ("your_facebook_activity/messages/inbox/a_1/", ""),
            ("fb/your_instagram_activity/messages/inbox/a_1/", "fb/"),
            ("fb/messages/archived_threads/a_1/", "fb/"),
            ("a_1/", "a_1/"),
            ("", ""),
        ] {
            assert_eq!(meta_root(folder), root, "{folder}");
        }
    }
}
