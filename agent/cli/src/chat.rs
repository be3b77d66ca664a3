//! An exported chat on disk: reading it, listing it, and turning picked messages into a draft.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use candour_core::declaration::Draft;
use candour_import::{
    Conversation, DateOrder, Export, Format, ImportError, Message, Options, RowKind, import,
    limits, sniff, title_from_name,
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
    pub(crate) fn index(&self, reading: Reading) -> Result<Conversation<'_>, Failure> {
        let options = Options {
            date_order: reading.date_order,
            title: self.title.as_deref(),
            ..Options::default()
        };
        Ok(match &self.archive {
            Some(archive) => archive.import(&self.text, &options)?,
            None => import(&self.text, &options)?,
        })
    }

    /// Lends the file that a message names to `take`; `None` where the export left it out.
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
    /// Names of the files that belong to the messages.
    pub(crate) files: Vec<String>,
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
            .map(|file| file.name.into_owned()),
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

fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.filter(|name| seen.insert(name.clone())).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use super::*;

    const TEXT: &str = "13/02/2024, 09:05 - Messages and calls are end-to-end encrypted.\n\
        13/02/2024, 09:06 - Alice Example: The annex is late.\n\
        13/02/2024, 09:07 - Bob Example: Then it goes without it.\n\
        14/02/2024, 10:00 - Alice Example: IMG-1.jpg (file attached)\n";

    fn archive() -> Chat {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let stored = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        zip.start_file("WhatsApp Chat with Annex team.txt", stored)
            .unwrap();
        zip.write_all(TEXT.as_bytes()).unwrap();
        zip.start_file("IMG-1.jpg", stored).unwrap();
        zip.write_all(b"a picture").unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        Chat::read("export.zip", Box::new(Cursor::new(bytes))).unwrap()
    }

    fn whatsapp() -> Vec<ChannelId> {
        vec!["whatsapp".parse().unwrap()]
    }

    #[test]
    fn picked_messages_become_a_draft_with_their_times_authors_and_files() {
        let mut chat = archive();
        let index = chat.index(Reading::default()).unwrap();
        assert_eq!(index.title(), Some("Annex team"));
        let picked = pick(
            &index,
            &[1, 2, 3],
            "Europe/London",
            Some("Bob Example"),
            &whatsapp(),
        )
        .unwrap();
        let draft = &picked.draft;
        assert_eq!(draft.messages.len(), 3);
        // EXPOSE: the test's own words.
        assert_eq!(draft.messages[0].text.expose(), "The annex is late.");
        assert_eq!(
            draft.messages[0].at.as_ref().unwrap().wall.to_string(),
            "2024-02-13T09:06:00"
        );
        assert_eq!(draft.direction, Some(Direction::Both));
        assert_eq!(draft.participants.len(), 1);
        assert_eq!(
            draft.extent,
            Some(Extent::Complete),
            "only the app's own row is left out"
        );
        assert_eq!(draft.channel, Some("whatsapp".parse().unwrap()));
        assert_eq!(draft.source.as_ref().unwrap().messages, 4);
        assert_eq!(picked.files, ["IMG-1.jpg"]);
        drop(index);
        let read = chat
            .with_file("IMG-1.jpg", |reader| {
                let mut bytes = Vec::new();
                reader.read_to_end(&mut bytes)?;
                Ok(bytes)
            })
            .unwrap();
        assert_eq!(read.as_deref(), Some(b"a picture".as_slice()));
        assert_eq!(chat.with_file("IMG-2.jpg", |_| Ok(())).unwrap(), None);
    }

    #[test]
    fn without_knowing_the_holder_the_direction_is_left_open() {
        let chat = archive();
        let index = chat.index(Reading::default()).unwrap();
        let open = pick(&index, &[1], "Europe/London", None, &whatsapp())
            .unwrap()
            .draft;
        assert_eq!((open.direction, open.extent), (None, Some(Extent::Extract)));
        let sent = pick(
            &index,
            &[1],
            "Europe/London",
            Some("~ Alice Example"),
            &whatsapp(),
        )
        .unwrap()
        .draft;
        assert_eq!(sent.direction, Some(Direction::Sent));
        assert!(sent.participants.is_empty());
        assert!(pick(&index, &[1], "Europe/Atlantis", None, &whatsapp()).is_err());
    }

    #[test]
    fn a_holder_who_has_not_written_is_refused_with_the_names_of_those_who_have() {
        let chat = archive();
        let index = chat.index(Reading::default()).unwrap();
        let refused = require_author(&index, "Nobody Here").unwrap_err();
        assert_eq!(refused.code(), candour_wire::Code::UsageInvalid);
        assert_eq!(
            refused.to_string(),
            "--me Nobody Here: nobody of that name has written in this chat, but “Alice Example”, “Bob Example”"
        );
        for me in ["Alice Example", "~ Bob Example"] {
            require_author(&index, me).unwrap();
        }
    }

    #[test]
    fn filters_narrow_the_list_by_time_author_and_words() {
        let chat = archive();
        let index = chat.index(Reading::default()).unwrap();
        let listed = |filter: &Filter| {
            index
                .messages()
                .filter(|m| filter.passes(m, &TimeZone::UTC))
                .map(|m| m.index())
                .collect::<Vec<_>>()
        };
        assert_eq!(listed(&Filter::default()), [0, 1, 2, 3]);
        assert_eq!(
            listed(&Filter {
                author: Some("alice".into()),
                ..Filter::default()
            }),
            [1, 3]
        );
        assert_eq!(
            listed(&Filter {
                text: Some("ANNEX".into()),
                ..Filter::default()
            }),
            [1]
        );
        let from = Some("2024-02-13T09:07:00".parse().unwrap());
        let to = Some("2024-02-13T23:59:59".parse().unwrap());
        assert_eq!(
            listed(&Filter {
                from,
                to,
                ..Filter::default()
            }),
            [2]
        );
    }

    #[test]
    fn a_file_that_is_no_chat_is_refused_with_its_code() {
        let refused =
            Chat::read("notes.txt", Box::new(Cursor::new(b"Dear diary".to_vec()))).unwrap();
        let error = refused
            .index(Reading::default())
            .expect_err("it is no chat");
        assert_eq!(error.code(), candour_wire::Code::ImportUnknownFormat);
    }
}
