//! Who is the holder in a chat, and so which way its messages went.

use std::collections::BTreeSet;

use candour_import::{Conversation, Message};
use candour_wire::content::Direction;

use super::Known;

/// What picked messages say about the two sides.
pub(super) struct Sides {
    /// `None` where it must be asked.
    pub(super) direction: Option<Direction>,
    /// Who wrote them, besides the holder, in the order in which they appear.
    pub(super) others: Vec<String>,
}

pub(super) fn of(chat: &Conversation<'_>, picked: &[Message<'_>], known: &Known<'_>) -> Sides {
    let me = known.me.map(bare);
    let knows = picked.iter().any(|message| message.is_outgoing().is_some());
    let holder = known
        .holder
        .filter(|holder| me.is_none() && !knows && writes(chat, holder))
        .map(bare);
    let named = me.as_deref().or(holder.as_deref());
    let (mut mine, mut theirs, mut unknown) = (false, false, false);
    let mut others = Vec::new();
    let mut seen = BTreeSet::new();
    for message in picked {
        let Some(author) = message.author().map(|author| bare(&author)) else {
            continue;
        };
        let sent = match named {
            Some(named) => Some(author == named),
            None => message.is_outgoing(),
        };
        match sent {
            Some(true) => mine = true,
            Some(false) => theirs = true,
            None => unknown = true,
        }
        if sent != Some(true) && seen.insert(author.clone()) {
            others.push(author);
        }
    }
    // Without knowing who the holder is, sent and received cannot be told apart: it is asked.
    let direction = match (unknown, mine, theirs) {
        (false, true, false) => Some(Direction::Sent),
        (false, true, true) => Some(Direction::Both),
        (false, false, true) => Some(Direction::Received),
        _ => None,
    };
    Sides { direction, others }
}

/// Everybody who has written in the chat, as [`bare`] names, in the order in which they appear.
#[must_use]
pub fn authors(chat: &Conversation<'_>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    chat.messages()
        .filter_map(|message| message.author())
        .map(|name| bare(&name))
        .filter(|name| seen.insert(name.clone()))
        .collect()
}

/// Whether somebody of that name has written in the chat.
#[must_use]
pub fn writes(chat: &Conversation<'_>, name: &str) -> bool {
    let name = bare(name);
    chat.messages()
        .filter_map(|message| message.author())
        .any(|author| bare(&author) == name)
}

/// A name without direction marks and without the `~` that WhatsApp puts before names that the
/// sender chose, so that the same person is one person.
#[must_use]
pub fn bare(name: &str) -> String {
    let marks = [
        '\u{200e}', '\u{200f}', '\u{202a}', '\u{202c}', '\u{2068}', '\u{2069}',
    ];
    let name: String = name.chars().filter(|c| !marks.contains(c)).collect();
    name.trim_start_matches('~').trim().to_owned()
}
