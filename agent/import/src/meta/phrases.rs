//! The app's own words, which Meta's downloads write as if somebody had said them.
//!
//! They are in the language of the account, and only English is known here. In other languages most
//! begin with the name of whom they speak of, which is doubted.

/// What only the app says of somebody, after "You" or the name.
const OF_SOMEBODY: [&str; 24] = [
    " changed the chat theme",
    " changed the group photo.",
    " changed the group theme",
    " changed the theme to ",
    " cleared the nickname for ",
    " cleared your nickname.",
    " created the group.",
    " joined the audio call.",
    " joined the call.",
    " joined the video call.",
    " joined the video chat.",
    " left the group.",
    " named the group ",
    " pinned a message.",
    " sent an attachment.",
    " set the emoji to ",
    " set the nickname for ",
    " set the quick reaction to ",
    " set your nickname to ",
    " started a video c",
    " started an audio call",
    " turned off disappearing messages",
    " turned on disappearing messages",
    " unpinned a message.",
];

/// What the app says of somebody, and people say as well: of themselves hardly by their name, of
/// others with "You".
const OF_SOMEBODY_PERHAPS: [&str; 27] = [
    " added ",
    " called ",
    " changed their vote",
    " created a poll",
    " declined the ",
    " ended the ",
    " is waving at you",
    " liked a message",
    " made ",
    " missed a ",
    " missed an audio call",
    " missed your ",
    " reacted ",
    " removed ",
    " sent a gif",
    " sent a link",
    " sent a photo",
    " sent a sticker",
    " sent a video",
    " sent a voice message",
    " set ",
    " shared a ",
    " started ",
    " turned o",
    " unsent a message",
    " voted for ",
    " waved at ",
];

/// What it says of nobody.
const OF_NOBODY: [&str; 9] = [
    "The video call ended.",
    "The audio call ended.",
    "The call ended.",
    "Video chat ended",
    "Audio call ended",
    "Liked a message",
    "This poll is no longer available.",
    "You are now connected on Messenger",
    "Say hi to your new Facebook friend",
];

/// What it says of a place.
const OF_PLACES: [&str; 2] = [" sent a location", " sent a live location"];

/// Whom it speaks of when an account is gone.
const NOBODIES: [&str; 6] = [
    "Facebook user",
    "Facebook User",
    "Instagram user",
    "Instagram User",
    "Messenger user",
    "Messenger User",
];

/// Whose words a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Somebody's.
    ByAuthor,
    /// The app's.
    ByApp,
    /// The app's, about a place that somebody sent.
    OfPlace,
    /// The app's perhaps: it begins with the author's name, or with "You" as the app's words do.
    Perhaps,
}

/// Whose words `text` is, which stands under the name `author`; both as they are written.
pub(super) fn said(author: &[u8], text: &[u8]) -> Said {
    if OF_NOBODY
        .iter()
        .any(|words| text.starts_with(words.as_bytes()))
    {
        return Said::ByApp;
    }
    // `Reacted ❤ to your message ` ends in a blank.
    if text.starts_with(b"Reacted ") && text.ends_with(b" to your message ") {
        return Said::ByApp;
    }
    let named = text.strip_prefix(author).filter(|_| !author.is_empty());
    let rest = match (named, text.strip_prefix(b"You")) {
        (Some(rest), _) | (None, Some(rest)) if rest.starts_with(b" ") => rest,
        _ => return Said::ByAuthor,
    };
    let begins = |words: &str| {
        rest.get(..words.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(words.as_bytes()))
    };
    // The app's words are one line, and short but for the names in them.
    let is_line = memchr::memmem::find(rest, b"\\n").is_none();
    let holds = |list: &[&str]| is_line && list.iter().any(|words| begins(words));
    match named {
        _ if holds(&OF_PLACES) => Said::OfPlace,
        _ if holds(&OF_SOMEBODY) => Said::ByApp,
        Some(_) if holds(&OF_SOMEBODY_PERHAPS) => Said::ByApp,
        None if !holds(&OF_SOMEBODY_PERHAPS) => Said::ByAuthor,
        _ => Said::Perhaps,
    }
}

/// Whether a name stands for people whose accounts are gone.
pub(super) fn is_nobody(name: &str) -> bool {
    NOBODIES.contains(&name)
}

/// The name of a chat without the number that tells it from others of that name: `Alice_12`.
pub(super) fn without_number(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or(name);
    match name.rsplit_once('_') {
        Some((bare, number))
            if !bare.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()) =>
        {
            bare
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_apps_words_are_told_from_peoples() {
        let of = |text: &str| said(b"Alice Example", text.as_bytes());
        for app in [
            "Alice Example named the group Budget Bill.",
            "You named the group Budget Bill.",
            "Alice Example sent an attachment.",
            "Alice Example missed your call.",
            "The video call ended.",
            "Reacted \\u00f0\\u009f\\u0091\\u008d to your message ",
            "Liked a message",
        ] {
            assert_eq!(of(app), Said::ByApp, "{app}");
        }
        assert_eq!(of("You sent a live location."), Said::OfPlace);
        for either in [
            "Alice Example namngav gruppen Budget.",
            "You added the wrong annex",
            "You missed a call from me",
        ] {
            assert_eq!(of(either), Said::Perhaps, "{either}");
        }
        for person in [
            "You should see the annex",
            "Your annex",
            "Alice Example",
            "Alice Examples",
            "Reacted badly to your message",
            "You added two lines:\\nthis one",
            "",
        ] {
            assert_eq!(of(person), Said::ByAuthor, "{person}");
        }
        assert_eq!(said(b"", b" set"), Said::ByAuthor);
    }

    #[test]
    fn a_chat_is_called_by_its_name_without_its_number() {
        assert_eq!(without_number("Alice Example_40"), "Alice Example");
        assert_eq!(without_number("inbox/alice_e10"), "alice_e10");
        assert_eq!(without_number("_40"), "_40");
    }
}
