//! Chats that apps write as several files in one folder.

use crate::Format;

/// Files that are one chat together, by the form of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Set {
    /// Meta's `message_1.json`, `message_2.json` …
    Parts,
}

impl Set {
    /// The set that a file of this name belongs to.
    pub(super) fn of(base: &str) -> Option<Self> {
        number(base).map(|_| Self::Parts)
    }

    /// Whether files of this format come in such sets.
    pub(super) const fn is_of(self, format: Format) -> bool {
        match self {
            Self::Parts => matches!(format, Format::Meta),
        }
    }

    /// Where a file of this name stands in its set.
    pub(super) fn place(self, base: &str) -> (u32, String) {
        match self {
            Self::Parts => (number(base).unwrap_or_default(), base.to_owned()),
        }
    }

    /// The folder that the paths of attachments are counted from, of a chat in `folder`.
    pub(super) fn base(self, folder: &str) -> &str {
        match self {
            Self::Parts => meta_root(folder),
        }
    }
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
