//! An exported chat on disk: reading it, listing it, and turning picked messages into a draft.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use candour_core::declaration::Draft;
use candour_import::{
    Conversation, DateOrder, Export, Format, ImportError, Message, Options, Place, RowKind,
    Summary, conversations, import, limits, sniff, title_from_name,
};
use candour_wire::content::{self, Direction, Extent, Participant};
use candour_wire::{ChannelId, limits as wire_limits};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::args::Reading;
use crate::failure::Failure;
use crate::text;

/// Stands for the order of day and month where the format leaves nothing to decide.
const NO_DATE_ORDER: &str = "fixed";

/// What an archive is read from.
pub(crate) trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

/// A chat, read whole, and the archive that it came in.
pub(crate) struct Chat {
    text: Vec<u8>,
    title: Option<String>,
    archive: Option<Export<Box<dyn Source>>>,
}

impl Chat {
    /// Opens an export by path. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is not a chat that Candour knows.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |source| Failure::File {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(std::io::ErrorKind::IsADirectory.into()));
        }
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        Self::read(&name, Box::new(file))
    }

    /// Reads an export from anywhere; `name` is the file's, for the chat's title.
    ///
    /// # Errors
    ///
    /// As [`Chat::open`].
    pub(crate) fn read(name: &str, mut source: Box<dyn Source>) -> Result<Self, Failure> {
        let damaged = |error| Failure::Import(ImportError::Damaged(error));
        let mut start = Vec::new();
        source
            .by_ref()
            .take(limits::PREAMBLE_MAX_BYTES as u64)
            .read_to_end(&mut start)
            .map_err(damaged)?;
        source.rewind().map_err(damaged)?;
        if sniff(&start) == Some(Format::Zip) {
            let mut archive = Export::open(source)?;
            let text = archive.read_chat()?;
            let title = title_from_name(archive.chat_name())
                .or_else(|| title_from_name(name))
                .map(str::to_owned);
            return Ok(Self {
                text,
                title,
                archive: Some(archive),
            });
        }
        let max = limits::TEXT_MAX_BYTES as u64;
        let mut text = Vec::new();
        source
            .take(max + 1)
            .read_to_end(&mut text)
            .map_err(damaged)?;
        if text.len() as u64 > max {
            return Err(ImportError::TooLarge {
                bytes: text.len() as u64,
                max,
            }
            .into());
        }
        Ok(Self {
            text,
            title: title_from_name(name).map(str::to_owned),
            archive: None,
        })
    }

    /// Indexes the chat.
    ///
    /// # Errors
    ///
    /// When it is none, or the order of its dates must be asked for.
    pub(crate) fn index(&self, reading: &Reading) -> Result<Conversation<'_>, Failure> {
        let options = self.options(reading);
        Ok(match &self.archive {
            Some(archive) => archive.import(&self.text, &options)?,
            None => import(&self.text, &options)?,
        })
    }

    /// Lists the conversations of an export that holds several.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub(crate) fn conversations(&self, reading: &Reading) -> Result<Vec<Summary>, Failure> {
        Ok(conversations(&[&self.text], &self.options(reading))?)
    }

    fn options<'o>(&'o self, reading: &'o Reading) -> Options<'o> {
        Options {
            date_order: reading.date_order,
            title: self.title.as_deref(),
            conversation: reading.conversation.as_deref(),
            ..Options::default()
        }
    }

    /// Lends the file at a path in the export to `take`; `None` where the export left it out.
    ///
    /// # Errors
    ///
    /// When the file is too large or damaged, or `take` fails.
    pub(crate) fn with_file<T>(
        &mut self,
        name: &str,
        take: impl FnOnce(&mut dyn Read) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        let Some(archive) = &mut self.archive else {
            return Ok(None);
        };
        match archive.attachment(name, wire_limits::ATTACHMENT_MAX_BYTES) {
            Ok(mut reader) => take(&mut reader).map(Some),
            Err(ImportError::NoSuchFile) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Which messages of a chat are listed.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// Earliest wall time.
    pub(crate) from: Option<DateTime>,
    /// Latest wall time.
    pub(crate) to: Option<DateTime>,
    /// Part of the author's name, in any case.
    pub(crate) author: Option<String>,
    /// Part of the text, in any case.
    pub(crate) text: Option<String>,
}

impl Filter {
    /// Whether a message is listed.
    pub(crate) fn passes(&self, message: &Message<'_>, zone: &TimeZone) -> bool {
        let wall = message.stamp().wall_in(zone);
        let within = self
            .from
            .is_none_or(|from| wall.is_some_and(|wall| wall >= from))
            && self.to.is_none_or(|to| wall.is_some_and(|wall| wall <= to));
        let holds = |hay: &str, needle: &Option<String>| {
            needle
                .as_ref()
                .is_none_or(|needle| hay.to_lowercase().contains(&needle.to_lowercase()))
        };
        within
            && holds(
                message.author().as_deref().unwrap_or_default(),
                &self.author,
            )
            && (self.text.is_none() || holds(&message.text(), &self.text))
    }
}

/// What the holder picked.
pub(crate) struct Picked {
    /// The draft so far.
    pub(crate) draft: Draft,
    /// The files that belong to the messages.
    pub(crate) files: Vec<PickedFile>,
}

/// A file that belongs to a message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PickedFile {
    /// Its name, for people.
    pub(crate) name: String,
    /// Where it is in the export; its name where the export left it out.
    pub(crate) path: String,
}

/// Makes a draft of the messages at `places`; `me` is the author who is the holder.
///
/// # Errors
///
/// When the zone is unknown or nothing is picked.
pub(crate) fn pick(
    chat: &Conversation<'_>,
    places: &[usize],
    zone: &str,
    me: Option<&str>,
    channels: &[ChannelId],
) -> Result<Picked, Failure> {
    let picked: Vec<Message<'_>> = places
        .iter()
        .filter_map(|place| chat.message(*place))
        .collect();
    let mut messages = Vec::with_capacity(picked.len());
    for message in &picked {
        messages.push(content::Message {
            at: message
                .time_in(zone)
                .map_err(|unknown| Failure::Usage(format!("--zone {zone}: {unknown}")))?,
            author: message.author().map(|author| author.into_owned().into()),
            text: message.text().into_owned().into(),
            source_sha256: Some(message.digest()),
            flags: flags(message),
        });
    }
    let me = me.map(bare);
    let authors: Vec<String> = distinct(
        picked
            .iter()
            .filter_map(|message| message.author())
            .map(|name| bare(&name)),
    );
    let others: Vec<&String> = authors
        .iter()
        .filter(|author| Some(*author) != me.as_ref())
        .collect();
    let mine = me.as_ref().is_some_and(|me| authors.contains(me));
    // Without knowing who the holder is, sent and received cannot be told apart: it is asked.
    let direction = match (me.is_some(), mine, others.is_empty()) {
        (true, true, true) => Some(Direction::Sent),
        (true, true, false) => Some(Direction::Both),
        (true, false, false) => Some(Direction::Received),
        _ => None,
    };
    let written = chat
        .messages()
        .filter(|message| message.kind() != RowKind::System)
        .count();
    let picked_written = picked
        .iter()
        .filter(|message| message.kind() != RowKind::System)
        .count();
    let channel = chat.format().channel();
    let channel: Option<ChannelId> = channel.and_then(|channel| channel.parse().ok());
    let draft = Draft {
        channel: channel.filter(|channel| channels.contains(channel)),
        direction,
        participants: others
            .into_iter()
            .map(|name| Participant {
                name: name.clone().into(),
                role: None,
            })
            .collect(),
        extent: Some(if picked_written == written {
            Extent::Complete
        } else {
            Extent::Extract
        }),
        messages,
        source: Some(content::Source {
            format: chat.format_name().to_owned(),
            sha256: chat.digest(),
            messages: chat.len() as u64,
            date_order: chat
                .date_order()
                .map_or(NO_DATE_ORDER, DateOrder::as_str)
                .to_owned(),
        }),
        ..Draft::default()
    };
    let files = distinct(
        picked
            .iter()
            .flat_map(|message| message.attachments())
            .map(|file| PickedFile {
                path: match &file.place {
                    Place::Beside(path) => path.to_string(),
                    _ => file.name.to_string(),
                },
                name: file.name.into_owned(),
            }),
    );
    Ok(Picked { draft, files })
}

/// Checks that `me` has written something in the chat: otherwise every message would count as
/// received by somebody who is not there.
///
/// # Errors
///
/// When nobody of that name has, with the names of those who have.
pub(crate) fn require_author(chat: &Conversation<'_>, me: &str) -> Result<(), Failure> {
    if writes(chat, me) {
        return Ok(());
    }
    let authors = distinct(
        chat.messages()
            .filter_map(|message| message.author())
            .map(|name| bare(&name)),
    );
    let named: Vec<String> = authors
        .iter()
        .take(NAMED_AUTHORS_MAX)
        .map(|name| format!("“{}”", text::name(name)))
        .collect();
    let more = match authors.len().saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(Failure::Usage(format!(
        "--me {}: nobody of that name has written in this chat, but {}{more}",
        text::name(me),
        named.join(", ")
    )))
}

/// Whether somebody of that name has written in the chat.
pub(crate) fn writes(chat: &Conversation<'_>, name: &str) -> bool {
    let name = bare(name);
    chat.messages()
        .filter_map(|message| message.author())
        .any(|author| bare(&author) == name)
}

/// Most authors that an error names: what fits on a screen.
const NAMED_AUTHORS_MAX: usize = 20;

/// What the import found about a message, as words for the record.
pub(crate) fn flags(message: &Message<'_>) -> Vec<String> {
    let mut flags: Vec<String> = message
        .doubts()
        .map(|doubt| doubt.as_str().to_owned())
        .collect();
    if message.is_edited() {
        flags.push("edited".to_owned());
    }
    if message.kind() != RowKind::Text {
        flags.push(message.kind().as_str().to_owned());
    }
    flags
}

/// A name without direction marks and without the `~` that WhatsApp puts before names that the
/// sender chose, so that the same person is one person.
pub(crate) fn bare(name: &str) -> String {
    let marks = [
        '\u{200e}', '\u{200f}', '\u{202a}', '\u{202c}', '\u{2068}', '\u{2069}',
    ];
    let name: String = name.chars().filter(|c| !marks.contains(c)).collect();
    name.trim_start_matches('~').trim().to_owned()
}

fn distinct<T: Ord + Clone>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = BTreeSet::new();
    items.filter(|item| seen.insert(item.clone())).collect()
}

#[cfg(test)]
mod tests;
