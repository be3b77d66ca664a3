//! From an exported chat to a draft: which of its messages are listed, and what picked ones become.
//!
//! What stands here is what every surface needs, so it knows nothing of terminals or of touch
//! screens. The export is indexed by `candour-import`; what the holder does not pick never gets
//! into a draft.

mod redact;
mod sides;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use candour_import::{
    Conversation, DateOrder, Doubt, ImportError, Message, Place, Revision, RowKind,
};
use candour_wire::ChannelId;
use candour_wire::content::flag::{EARLIER_LEFT_OUT, EARLIER_WORDING};
use candour_wire::content::{self, Extent, Participant, Text};
use candour_wire::limits::MESSAGES_MAX;
use candour_wire::time::UnknownZone;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

pub use sides::{authors, bare, writes};

use crate::declaration::{Draft, Origin, Origins};

/// Stands for the order of day and month where the format leaves nothing to decide.
const NO_DATE_ORDER: &str = "fixed";

/// The remark on a message that was edited.
const EDITED: &str = "edited";

/// Which messages of a chat are listed: those that pass every part that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Earliest wall time. A message without a time does not pass.
    pub from: Option<DateTime>,
    /// Latest wall time, likewise.
    pub to: Option<DateTime>,
    /// Part of the author's name, in any case.
    pub author: Option<String>,
    /// Part of the text, in any case.
    pub text: Option<String>,
}

impl Filter {
    /// Whether a message is listed; `zone` is that of `from` and `to`.
    #[must_use]
    pub fn passes(&self, message: &Message<'_>, zone: &TimeZone) -> bool {
        let wall = message.stamp().wall_in(zone);
        let within = self
            .from
            .is_none_or(|from| wall.is_some_and(|wall| wall >= from))
            && self.to.is_none_or(|to| wall.is_some_and(|wall| wall <= to));
        let holds = |hay: &str, needle: &str| hay.to_lowercase().contains(&needle.to_lowercase());
        within
            && self
                .author
                .as_ref()
                .is_none_or(|needle| holds(message.author().as_deref().unwrap_or_default(), needle))
            && self
                .text
                .as_ref()
                .is_none_or(|needle| holds(&message.text(), needle))
    }
}

/// What is known besides the export itself.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// IANA name of the zone of times that name none.
    pub zone: &'a str,
    /// Which author is the holder, where the holder has said so. It goes before what the export
    /// says, which may be another person's.
    pub me: Option<&'a str>,
    /// The holder's name by the configuration: taken where the export does not say who sent what
    /// and somebody of that name has written in it.
    pub holder: Option<&'a str>,
    /// The channels of the department's policy.
    pub channels: &'a [ChannelId],
}

/// What the holder picked.
#[derive(Debug)]
pub struct Picked {
    /// The draft so far.
    pub draft: Draft,
    /// The files that belong to the messages, each once.
    pub files: Vec<PickedFile>,
    /// Where each message of the draft stands in the chat; earlier wordings where theirs does.
    places: Vec<usize>,
}

/// A file that belongs to a picked message.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PickedFile {
    /// Its name, for people.
    pub name: String,
    /// Where its bytes are.
    pub place: FilePlace,
}

/// Where the bytes of a picked file are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilePlace {
    /// At this path in the export, which may not hold it all the same: old media are left out.
    Beside(String),
    /// In the message at this place of the chat, at this place in it; see [`embedded`].
    Embedded(usize, usize),
    /// The export says that it left the file out.
    LeftOut,
}

impl std::fmt::Debug for PickedFile {
    /// Without name and path, which are content.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PickedFile").finish_non_exhaustive()
    }
}

/// Why picked messages do not become a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PickError {
    /// The tz database does not know the zone.
    #[error(transparent)]
    Zone(#[from] UnknownZone),
    /// More than [`MESSAGES_MAX`] messages. Refused before any is decoded.
    #[error("{0} messages are picked, and one declaration holds at most {MESSAGES_MAX}")]
    TooMany(usize),
}

/// Makes a draft of the messages at `places`. An earlier wording of a picked message goes before
/// it, as a message of its own that says so.
///
/// # Errors
///
/// When the zone is unknown, or one declaration cannot hold so many messages.
pub fn pick(
    chat: &Conversation<'_>,
    places: &[usize],
    known: &Known<'_>,
) -> Result<Picked, PickError> {
    if places.len() > MESSAGES_MAX {
        return Err(PickError::TooMany(places.len()));
    }
    let picked: Vec<Message<'_>> = places
        .iter()
        .filter_map(|place| chat.message(*place))
        .collect();
    let within = places.iter().max().map_or(0, |last| last.saturating_add(1));
    let all_origins: Vec<Origin> = origins(chat).take(within).collect();
    let mut messages = Vec::with_capacity(picked.len());
    let mut origins = Vec::with_capacity(picked.len());
    let mut at = Vec::with_capacity(picked.len());
    for message in &picked {
        for revision in message.revisions() {
            messages.push(earlier(message, revision, known.zone)?);
            origins.push(None);
            at.push(message.index());
        }
        at.push(message.index());
        origins.push(all_origins.get(message.index()).copied());
        messages.push(content::Message {
            at: message.time_in(known.zone)?,
            author: author(message),
            text: message.text().into_owned().into(),
            source_sha256: Some(message.digest()),
            flags: flags(message),
            redactions: Vec::new(),
        });
    }
    let sides = sides::of(chat, &picked, known);
    let written = |messages: &mut dyn Iterator<Item = Message<'_>>| {
        messages
            .filter(|message| message.kind() != RowKind::System)
            .count()
    };
    let whole = written(&mut picked.iter().copied()) == written(&mut chat.messages());
    let channel: Option<ChannelId> = chat.channel().and_then(|channel| channel.parse().ok());
    let draft = Draft {
        channel: channel.filter(|channel| known.channels.contains(channel)),
        direction: sides.direction,
        participants: sides
            .others
            .into_iter()
            .map(|name| Participant {
                name: name.into(),
                role: None,
            })
            .collect(),
        extent: Some(if whole {
            Extent::Complete
        } else {
            Extent::Extract
        }),
        messages,
        origins,
        source: Some(content::Source {
            format: chat.format_name().to_owned(),
            sha256: Some(chat.digest()),
            messages: chat.len() as u64,
            date_order: chat
                .date_order()
                .map_or(NO_DATE_ORDER, DateOrder::as_str)
                .to_owned(),
            date_order_basis: chat.order_basis().map(|basis| basis.as_str().to_owned()),
        }),
        ..Draft::default()
    };
    Ok(Picked {
        draft,
        files: files(&picked),
        places: at,
    })
}

/// What tells each message of a chat from every other in any export of it, in the order of the
/// chat: for [`Agent::already_declared`](crate::Agent::already_declared). Decodes every message
/// that it comes to.
pub fn origins<'c>(chat: &'c Conversation<'_>) -> impl Iterator<Item = Origin> + 'c {
    let mut origins = Origins::default();
    chat.messages()
        .map(move |message| origins.next(message.fingerprint()))
}

/// The bytes of a picked file that stands in its message.
///
/// # Errors
///
/// [`ImportError::NoSuchFile`] when it does not, [`ImportError::TooLarge`] over `max_bytes`,
/// [`ImportError::Damaged`] when it cannot be decoded.
pub fn embedded(
    chat: &Conversation<'_>,
    file: &PickedFile,
    max_bytes: u64,
) -> Result<Vec<u8>, ImportError> {
    let FilePlace::Embedded(message, place) = file.place else {
        return Err(ImportError::NoSuchFile);
    };
    let message = chat.message(message).ok_or(ImportError::NoSuchFile)?;
    message.embedded(&Place::Embedded(place), max_bytes)
}

/// What the import found about a message, as words for the record.
#[must_use]
pub fn flags(message: &Message<'_>) -> Vec<String> {
    let mut flags: Vec<String> = message
        .doubts()
        .map(|doubt| doubt.as_str().to_owned())
        .collect();
    if message.is_edited() {
        flags.push(EDITED.to_owned());
    }
    if message.kind() != RowKind::Text {
        flags.push(message.kind().as_str().to_owned());
    }
    flags
}

/// What one of the words of [`flags`] means, as a sentence for the holder; `None` for a word that
/// says it by itself.
#[must_use]
pub fn meaning(flag: &str) -> Option<&'static str> {
    let doubt = Doubt::ALL.into_iter().find(|doubt| doubt.as_str() == flag);
    if let Some(doubt) = doubt {
        return Some(doubt.reason());
    }
    Some(match flag {
        EARLIER_WORDING => "What the next message said before it was edited.",
        EARLIER_LEFT_OUT => "What it said before it was edited is left out.",
        "omitted" => "The export left the file out.",
        "blank" => "There is nothing in it; view-once messages show so.",
        "notice" => "Words of the app under this person's name.",
        _ => return None,
    })
}

fn earlier(
    message: &Message<'_>,
    revision: Revision,
    zone: &str,
) -> Result<content::Message, UnknownZone> {
    Ok(content::Message {
        at: revision.at.time_in(zone)?,
        author: author(message),
        text: revision.text.into(),
        source_sha256: Some(message.digest()),
        flags: vec![EARLIER_WORDING.to_owned()],
        redactions: Vec::new(),
    })
}

fn author(message: &Message<'_>) -> Option<Text> {
    message.author().map(|author| author.into_owned().into())
}

fn files(picked: &[Message<'_>]) -> Vec<PickedFile> {
    let mut seen = BTreeSet::new();
    let mut files = Vec::new();
    for message in picked {
        for file in message.attachments() {
            let file = PickedFile {
                place: match file.place {
                    Place::Beside(path) => FilePlace::Beside(path.into_owned()),
                    Place::Embedded(place) => FilePlace::Embedded(message.index(), place),
                    _ => FilePlace::LeftOut,
                },
                name: file.name.into_owned(),
            };
            if seen.insert(file.clone()) {
                files.push(file);
            }
        }
    }
    files
}
