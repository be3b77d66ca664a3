//! One message of a conversation, decoded when it is looked at.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use candour_wire::Digest;
use candour_wire::time::{MessageTime, TimeConfidence, UnknownZone};
use jiff::civil::DateTime;

use crate::conversation::{Authors, Person};
use crate::row::{Doubt, EDITED, INCOMING, OUTGOING, Row, RowKind};
use crate::{Attachment, Conversation, ImportError, Place, Revision, Stamp};

/// Begins what [`Message::fingerprint`] hashes, so that no other digest can equal one.
const FINGERPRINT: &str = "candour/message/v1\n";

/// One row of a [`Conversation`], decoded on demand.
#[derive(Clone, Copy)]
pub struct Message<'c> {
    pub(crate) chat: &'c Conversation<'c>,
    pub(crate) index: usize,
}

impl<'c> Message<'c> {
    /// Its place in the conversation, from 0.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Where it stands in the source, in bytes. Of several files, as if they stood behind one
    /// another.
    ///
    /// In a chat text with its header and last line ending; in other formats exactly the object,
    /// element or part that is the message, without what stands between it and the next.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.row().start as usize..self.chat.end(self.index) as usize
    }

    /// Its original bytes: those of [`span`](Self::span).
    #[must_use]
    pub fn source(&self) -> &'c [u8] {
        self.chat.view(self.index, self.row()).source
    }

    /// SHA-256 of its original bytes.
    ///
    /// In another export of the same chat it may differ, where the app writes more into a message
    /// than was sent (who has read it, the numbers of its own tables);
    /// [`fingerprint`](Self::fingerprint) does not.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.source())
    }

    /// What the message is, whichever export it stands in: SHA-256 of its format, its time, its
    /// author, its words and the names of its files.
    ///
    /// Two messages with the same words of one person within one unit of the source's time have
    /// one fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        let mut bytes = FINGERPRINT.as_bytes().to_vec();
        let mut part = |part: &[u8]| {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part);
        };
        part(self.chat.format().as_str().as_bytes());
        match self.stamp() {
            Stamp::Wall(wall) => part(wall.to_string().as_bytes()),
            Stamp::Instant(instant) => part(instant.to_string().as_bytes()),
            Stamp::None => part(b""),
        }
        let author = self.author_id().map(Cow::Borrowed);
        part(
            author
                .or_else(|| self.author())
                .unwrap_or_default()
                .as_bytes(),
        );
        part(self.kind().as_str().as_bytes());
        part(self.text().as_bytes());
        for file in self.attachments() {
            part(file.name.as_bytes());
        }
        Digest::of(&bytes)
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> RowKind {
        self.row().kind
    }

    /// Who wrote it; `None` for the app's own rows. As it stands in the source, direction marks
    /// included, but for bytes that are not UTF-8.
    #[must_use]
    pub fn author(&self) -> Option<Cow<'c, str>> {
        if self.kind() == RowKind::System {
            None
        } else {
            self.label()
        }
    }

    /// What tells the author from others of the same name: a telephone number, an address, the
    /// service's own id. `None` where the export gives none, and for the app's own rows.
    #[must_use]
    pub fn author_id(&self) -> Option<&'c str> {
        let person = self.person()?;
        person
            .id
            .as_deref()
            .filter(|_| self.kind() != RowKind::System)
    }

    /// The name of whom the row speaks of, whoever it stands for: on iOS the group's name stands
    /// before the app's own rows.
    #[must_use]
    pub fn label(&self) -> Option<Cow<'c, str>> {
        match &self.chat.authors {
            Authors::Spans(spans) => {
                let range = spans.get(self.row().author as usize)?;
                Some(String::from_utf8_lossy(
                    self.chat.files.slice(range.clone()),
                ))
            }
            Authors::People(_) => {
                let person = self.person()?;
                let name = person.name.as_deref().or(person.id.as_deref());
                name.map(Cow::Borrowed)
            }
        }
    }

    fn person(&self) -> Option<&'c Person> {
        match &self.chat.authors {
            Authors::Spans(_) => None,
            Authors::People(people) => people.get(self.row().author as usize),
        }
    }

    /// When it was sent, as far as the source says.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp::of(self.row())
    }

    /// The time on the wall, to the precision of the source; `None` where the source gives an
    /// instant or no time.
    #[must_use]
    pub fn wall(&self) -> Option<DateTime> {
        match self.stamp() {
            Stamp::Wall(wall) => Some(wall),
            Stamp::Instant(_) | Stamp::None => None,
        }
    }

    /// The time in `zone`, an IANA name, and how sure it is; `None` where the source gives none.
    ///
    /// An order of day and month that was inferred makes a time `Inferred`, unless the clocks
    /// already make it ambiguous or nonexistent, which says more. See [`Stamp::time_in`] for
    /// instants.
    ///
    /// # Errors
    ///
    /// When the tz database does not know `zone`.
    pub fn time_in(&self, zone: &str) -> Result<Option<MessageTime>, UnknownZone> {
        let mut time = self.stamp().time_in(zone)?;
        if let Some(time) = &mut time
            && time.confidence == TimeConfidence::Exact
            && self
                .chat
                .order_basis()
                .is_some_and(|basis| basis.is_inferred())
        {
            time.confidence = TimeConfidence::Inferred;
        }
        Ok(time)
    }

    /// Its body as it stands in the source, without the last line ending; in formats other than
    /// chat texts, where the body is not one piece of the source, the same as
    /// [`source`](Self::source).
    #[must_use]
    pub fn body(&self) -> &'c [u8] {
        self.chat.view(self.index, self.row()).body()
    }

    /// What it says, for people: without what the format adds for itself (escapes, marks before
    /// the app's own words, CRLF), damaged bytes as U+FFFD. Everything else stands as it was
    /// written.
    #[must_use]
    pub fn text(&self) -> Cow<'c, str> {
        self.chat
            .dialect
            .text(&self.chat.view(self.index, self.row()))
    }

    /// The files that belong to it.
    #[must_use]
    pub fn attachments(&self) -> Vec<Attachment<'c>> {
        self.chat
            .dialect
            .attachments(&self.chat.view(self.index, self.row()))
    }

    /// The name of the first file that it carries, as the app wrote it.
    #[must_use]
    pub fn attachment_name(&self) -> Option<Cow<'c, str>> {
        self.attachments().into_iter().next().map(|file| file.name)
    }

    /// The bytes of an attachment whose place is [`Place::Embedded`], of at most `max_bytes` bytes.
    ///
    /// # Errors
    ///
    /// [`ImportError::NoSuchFile`] when it is not embedded in this message,
    /// [`ImportError::TooLarge`] over `max_bytes`, [`ImportError::Damaged`] when it cannot be
    /// decoded.
    pub fn embedded(&self, place: &Place<'_>, max_bytes: u64) -> Result<Vec<u8>, ImportError> {
        let Place::Embedded(place) = place else {
            return Err(ImportError::NoSuchFile);
        };
        let view = self.chat.view(self.index, self.row());
        self.chat.dialect.embedded(&view, *place, max_bytes)
    }

    /// Whether the app says that it was edited.
    #[must_use]
    pub fn is_edited(&self) -> bool {
        self.row().flags & EDITED != 0
    }

    /// Whether the owner of the export sent it (`true`) or received it (`false`); `None` where the
    /// export does not say.
    #[must_use]
    pub fn is_outgoing(&self) -> Option<bool> {
        match self.row().flags & (OUTGOING | INCOMING) {
            OUTGOING => Some(true),
            INCOMING => Some(false),
            _ => None,
        }
    }

    /// Its earlier wordings, oldest first; empty where the export does not hold them.
    #[must_use]
    pub fn revisions(&self) -> Vec<Revision> {
        self.chat
            .dialect
            .revisions(&self.chat.view(self.index, self.row()))
    }

    /// Why it may not be what it seems; empty when nothing speaks against it.
    pub fn doubts(&self) -> impl Iterator<Item = Doubt> + use<> {
        let row = *self.row();
        Doubt::ALL.into_iter().filter(move |doubt| row.has(*doubt))
    }

    /// Whether anything speaks against it.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.doubts().next().is_some()
    }

    fn row(&self) -> &'c Row {
        // A Message is only made for an index below rows.len(), and rows never change.
        &self.chat.rows[self.index]
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("index", &self.index)
            .field("span", &self.span())
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}
