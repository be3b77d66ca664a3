//! An exported chat on disk: which chats there are, and the one that is read.

use std::io::{BufReader, Read};
use std::path::PathBuf;

use candour_core::chat::{FilePlace, PickedFile, authors, embedded, writes};
use candour_import::{
    Bundle, Conversation, Export, Format, ImportError, Options, Stamp, Summary, conversations,
    list_signal, list_sms, select_signal, select_sms, title_from_name,
};
use candour_wire::{Digest, limits};
use indicatif::ProgressBar;

use crate::args::Reading;
use crate::bundles::{self, Watched};
use crate::failure::Failure;
use crate::{progress, text};

/// Most authors that an error names: what fits on a screen.
const NAMED_AUTHORS_MAX: usize = 20;

/// An export, of which nothing is read but what says which chats it holds.
pub(crate) struct Chat {
    export: Export<Watched>,
    /// The title by the name of the folder or file, where no name inside says one.
    title: Option<String>,
    /// Counts what is read; shown where it takes long and a person looks on.
    bar: ProgressBar,
    is_watched: bool,
}

/// What reading an export gives.
pub(crate) enum Loading {
    /// The one chat.
    One(Loaded),
    /// Several, and none was chosen.
    Several(Vec<Offer>),
}

/// A chat, read.
pub(crate) struct Loaded {
    /// Its place in the export.
    chat: usize,
    files: Vec<Vec<u8>>,
    /// Its id among the conversations of its files.
    conversation: Option<String>,
    /// SHA-256 of the file that it was taken out of, where that was not held whole.
    taken_from: Option<Digest>,
}

/// A conversation that can be chosen.
pub(crate) struct Offer {
    /// For `--conversation`.
    pub(crate) id: String,
    /// Its title, or the other person.
    pub(crate) title: Option<String>,
    /// How many messages it has, where that is known before it is read.
    pub(crate) messages: Option<usize>,
    /// Its earliest time.
    pub(crate) first: Stamp,
    /// Its latest time.
    pub(crate) last: Stamp,
}

impl From<Summary> for Offer {
    fn from(summary: Summary) -> Self {
        Self {
            id: summary.id,
            title: summary.title,
            messages: Some(summary.messages),
            first: summary.first,
            last: summary.last,
        }
    }
}

impl Chat {
    /// Opens an export by its paths. Blocks on the disk. Where it `is_watched`, reading a large
    /// one shows a bar.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or they are no export that Candour knows.
    pub(crate) fn open(paths: &[PathBuf], is_watched: bool) -> Result<Self, Failure> {
        let name = match paths {
            [path] => bundles::name_of(path),
            _ => String::new(),
        };
        let mut this = Self::of(&name, bundles::open(paths)?)?;
        this.is_watched = is_watched;
        Ok(this)
    }

    /// Opens an export from anywhere; `name` is its own, for the chat's title.
    ///
    /// # Errors
    ///
    /// As [`Chat::open`].
    pub(crate) fn of(name: &str, bundle: Box<dyn Bundle>) -> Result<Self, Failure> {
        let bar = ProgressBar::hidden();
        Ok(Self {
            export: Export::open(Watched::new(bundle, bar.clone()))?,
            title: title_from_name(name).map(str::to_owned),
            bar,
            is_watched: false,
        })
    }

    /// Reads the chat that is asked for, or lists what there is to choose from.
    ///
    /// # Errors
    ///
    /// When there is no such chat, or it is damaged or too large.
    pub(crate) fn load(&mut self, reading: &Reading) -> Result<Loading, Failure> {
        let asked = reading.conversation.as_deref();
        let place = match self.export.find(asked) {
            Err(ImportError::NeedsConversation(_)) => return Ok(Loading::Several(self.files())),
            place => place?,
        };
        let Some(chat) = self.export.chats().get(place) else {
            return Err(ImportError::NoSuchConversation.into());
        };
        // The id of a chat's file says nothing about the conversations in it.
        let asked = asked.filter(|id| *id != chat.id).map(str::to_owned);
        let (format, bytes) = (chat.format, chat.bytes);
        let title = chat.title().map(str::to_owned);
        let shown = self.is_watched.then(|| progress::reading(&self.bar, bytes));
        let loading = match format {
            Format::Signal | Format::Sms => self.taken(place, asked, format == Format::Sms),
            _ => self.whole(place, asked, reading, title.as_deref()),
        };
        drop(shown);
        loading
    }

    /// One chat out of a file of any size, of which nothing else is held.
    fn taken(
        &mut self,
        place: usize,
        asked: Option<String>,
        is_sms: bool,
    ) -> Result<Loading, Failure> {
        let id = match asked {
            Some(id) => id,
            None => {
                let reader = self.export.chat_reader(place)?;
                let found = if is_sms {
                    list_sms(reader)?
                } else {
                    list_signal(BufReader::new(reader))?
                };
                match <[Summary; 1]>::try_from(found) {
                    Ok([only]) => only.id,
                    Err(found) if found.is_empty() => return Err(ImportError::NoChat.into()),
                    Err(found) => {
                        return Ok(Loading::Several(
                            found.into_iter().map(Offer::from).collect(),
                        ));
                    }
                }
            }
        };
        self.bar.set_position(0);
        let reader = self.export.chat_reader(place)?;
        let taken = if is_sms {
            select_sms(reader, &id)?
        } else {
            select_signal(BufReader::new(reader), &id)?
        };
        Ok(Loading::One(Loaded {
            chat: place,
            files: vec![taken.text],
            conversation: Some(id),
            taken_from: Some(taken.sha256),
        }))
    }

    fn whole(
        &mut self,
        place: usize,
        asked: Option<String>,
        reading: &Reading,
        title: Option<&str>,
    ) -> Result<Loading, Failure> {
        let loaded = Loaded {
            chat: place,
            files: self.export.read(place)?,
            conversation: asked,
            taken_from: None,
        };
        let format = self.export.chats().get(place).map(|chat| chat.format);
        let is_one = format == Some(Format::WhatsAppText);
        if is_one && loaded.conversation.is_some() {
            return Err(ImportError::NoSuchConversation.into());
        }
        if loaded.conversation.is_none() && !is_one {
            let files: Vec<&[u8]> = loaded.files.iter().map(Vec::as_slice).collect();
            let options = Options {
                date_order: reading.date_order,
                title,
                ..Options::default()
            };
            let found = conversations(&files, &options)?;
            if found.len() > 1 {
                return Ok(Loading::Several(
                    found.into_iter().map(Offer::from).collect(),
                ));
            }
        }
        Ok(Loading::One(loaded))
    }

    /// The chats by their files, of an export that holds several.
    fn files(&self) -> Vec<Offer> {
        let chats = self.export.chats().iter().map(|chat| Offer {
            id: chat.id.clone(),
            title: chat.title().map(str::to_owned),
            messages: None,
            first: Stamp::None,
            last: Stamp::None,
        });
        chats.collect()
    }

    /// Indexes a chat.
    ///
    /// # Errors
    ///
    /// When it is none, or the order of its dates must be asked for.
    pub(crate) fn index<'l>(
        &self,
        loaded: &'l Loaded,
        reading: &Reading,
    ) -> Result<Conversation<'l>, Failure> {
        let chat = self.export.chats().get(loaded.chat);
        let bytes: u64 = loaded.files.iter().map(|file| file.len() as u64).sum();
        let shown = self.is_watched.then(|| progress::indexing(bytes));
        let options = Options {
            date_order: reading.date_order,
            title: chat.and_then(|chat| chat.title()).or(self.title.as_deref()),
            conversation: loaded.conversation.as_deref(),
            ..Options::default()
        };
        let index = self.export.import(loaded.chat, &loaded.files, &options);
        drop(shown);
        Ok(index?)
    }

    /// Lends a picked file to `take`; `None` where the export left it out.
    ///
    /// # Errors
    ///
    /// When the file is too large or damaged, or `take` fails.
    pub(crate) fn with_file<T>(
        &mut self,
        loaded: &Loaded,
        conversation: &Conversation<'_>,
        file: &PickedFile,
        take: impl FnOnce(&mut dyn Read) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        let max = limits::ATTACHMENT_MAX_BYTES;
        match &file.place {
            FilePlace::LeftOut => Ok(None),
            FilePlace::Embedded(..) => {
                let bytes = embedded(conversation, file, max)?;
                take(&mut bytes.as_slice()).map(Some)
            }
            FilePlace::Beside(path) => match self.export.attachment(loaded.chat, path, max) {
                Ok(mut reader) => take(&mut reader).map(Some),
                Err(ImportError::NoSuchFile) => Ok(None),
                Err(error) => Err(error.into()),
            },
        }
    }
}

impl Loaded {
    /// SHA-256 of the file, or the files, that the chat came in.
    pub(crate) fn digest(&self, conversation: &Conversation<'_>) -> Digest {
        self.taken_from.unwrap_or_else(|| conversation.digest())
    }
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
    let authors = authors(chat);
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

#[cfg(test)]
mod tests;
