//! A conversation: an index over the bytes of its source.

use std::fmt;
use std::ops::Range;

use candour_wire::Digest;

use crate::dialect::{Dialect, RowView};
use crate::files::Files;
use crate::options::{DateOrder, OrderBasis};
use crate::row::{Doubt, Row};
use crate::{Format, Layout, Message};

/// An indexed conversation. Borrows its source; of the text it holds at most names.
pub struct Conversation<'a> {
    pub(crate) format: Format,
    pub(crate) files: Files<'a>,
    pub(crate) rows: Vec<Row>,
    pub(crate) authors: Authors,
    pub(crate) title: Option<String>,
    pub(crate) headers: Option<Headers>,
    pub(crate) caveats: Vec<Caveat>,
    pub(crate) dialect: Box<dyn Dialect + 'a>,
}

/// Who wrote the rows.
pub(crate) enum Authors {
    /// Where each name first stands in the source.
    Spans(Vec<Range<u32>>),
    /// Names that are not bytes of the source as they stand.
    People(Vec<Person>),
}

/// Somebody whom an export names.
#[derive(Clone)]
pub(crate) struct Person {
    /// As shown in the app; absent where the export gives none.
    pub(crate) name: Option<String>,
    /// What tells people of one name apart: a number, an address, the service's own id.
    pub(crate) id: Option<String>,
}

/// How the headers of a chat text were read.
#[derive(Clone, Copy)]
pub(crate) struct Headers {
    pub(crate) layout: Layout,
    pub(crate) order: DateOrder,
    pub(crate) basis: OrderBasis,
}

/// What an export leaves out, to be said before its messages are picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Caveat {
    /// The app leaves messages out that were set to disappear.
    DisappearingLeftOut,
    /// The app leaves the content of view-once messages out.
    ViewOnceLeftOut,
    /// The app exports the last wording of an edited message only.
    EarlierWordingsLeftOut,
    /// The app leaves deleted messages out without a trace.
    DeletedLeftOut,
    /// The app keeps what was written after the chat became end-to-end encrypted in another export.
    EncryptedLeftOut,
    /// The export holds links to files, and not the files.
    FilesLeftOut,
    /// The file ends in the middle of a message; what came after it is missing.
    CutOff,
    /// Lines of the export cannot be read; messages may be missing.
    Unreadable,
    /// The export says that it holds another number of messages than it does.
    CountDiffers,
    /// The file begins with words that are no message.
    WordsBefore,
}

impl Caveat {
    /// Every caveat there is.
    pub const ALL: [Self; 10] = [
        Self::DisappearingLeftOut,
        Self::ViewOnceLeftOut,
        Self::EarlierWordingsLeftOut,
        Self::DeletedLeftOut,
        Self::EncryptedLeftOut,
        Self::FilesLeftOut,
        Self::CutOff,
        Self::Unreadable,
        Self::CountDiffers,
        Self::WordsBefore,
    ];

    /// The stable name, for records and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DisappearingLeftOut => "disappearing_left_out",
            Self::ViewOnceLeftOut => "view_once_left_out",
            Self::EarlierWordingsLeftOut => "earlier_wordings_left_out",
            Self::DeletedLeftOut => "deleted_left_out",
            Self::EncryptedLeftOut => "encrypted_left_out",
            Self::FilesLeftOut => "files_left_out",
            Self::CutOff => "cut_off",
            Self::Unreadable => "unreadable",
            Self::CountDiffers => "count_differs",
            Self::WordsBefore => "words_before",
        }
    }

    /// What it means, as a sentence for the holder.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::DisappearingLeftOut => {
                "The export leaves out messages that were set to disappear."
            }
            Self::ViewOnceLeftOut => "The export leaves out what view-once messages showed.",
            Self::EarlierWordingsLeftOut => {
                "Of an edited message the export holds the last wording only."
            }
            Self::DeletedLeftOut => "The export leaves out deleted messages without a trace.",
            Self::EncryptedLeftOut => {
                "The chat became end-to-end encrypted; what was written after that is in a download of its own."
            }
            Self::FilesLeftOut => "The export holds links to files, and not the files.",
            Self::Unreadable => "Parts of the file are damaged, so that messages may be missing.",
            Self::CountDiffers => {
                "The file holds another number of messages than it says: some may have been removed or added."
            }
            Self::WordsBefore => {
                "The file begins with words that stand above the first message and belong to none."
            }
            Self::CutOff => "The file is cut off: what came after its last message is missing.",
        }
    }
}

impl<'a> Conversation<'a> {
    /// Which export it came from.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The id of the channel, in the policy's catalogue, that it comes from; `None` where the export
    /// can come from several and does not say from which.
    #[must_use]
    pub fn channel(&self) -> Option<&'static str> {
        self.format.channel().or_else(|| self.dialect.channel())
    }

    /// The name of the format for records: for a chat text it says which phone wrote it.
    #[must_use]
    pub const fn format_name(&self) -> &'static str {
        match (self.format, self.headers) {
            (Format::WhatsAppText, Some(headers)) => headers.layout.as_str(),
            _ => self.format.as_str(),
        }
    }

    /// The source, byte for byte; of several files, the first.
    #[must_use]
    pub const fn source(&self) -> &'a [u8] {
        self.files.first()
    }

    /// Every file of the source, in the order in which [`Message::span`] counts.
    pub fn sources(&self) -> impl Iterator<Item = &'a [u8]> {
        self.files.iter().map(|(_, file)| file)
    }

    /// SHA-256 of the source; of several files, of their digests one after another.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.files.digest()
    }

    /// The bytes before the first message: in a chat text usually none, or a byte-order mark; in
    /// other formats whatever stands before the messages, other conversations included.
    #[must_use]
    pub fn preamble(&self) -> &'a [u8] {
        let source = self.files.first();
        let end = self
            .rows
            .iter()
            .map(|row| row.start as usize)
            .min()
            .unwrap_or(source.len());
        source.get(..end).unwrap_or(source)
    }

    /// The title: as given, or as the export names it.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Which phone wrote the headers of an exported chat text.
    #[must_use]
    pub fn layout(&self) -> Option<Layout> {
        let headers = self.headers.filter(|_| self.format == Format::WhatsAppText);
        headers.map(|headers| headers.layout)
    }

    /// The order in which the numbers of dates were read, where the format leaves it open.
    #[must_use]
    pub fn date_order(&self) -> Option<DateOrder> {
        self.headers.map(|headers| headers.order)
    }

    /// Why they were read in that order.
    #[must_use]
    pub fn order_basis(&self) -> Option<OrderBasis> {
        self.headers.map(|headers| headers.basis)
    }

    /// What the export leaves out.
    #[must_use]
    pub fn caveats(&self) -> &[Caveat] {
        &self.caveats
    }

    /// How many rows there are, the app's own among them.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row at `index`, from 0 in the order of the conversation.
    #[must_use]
    pub fn message(&self, index: usize) -> Option<Message<'_>> {
        (index < self.rows.len()).then_some(Message { chat: self, index })
    }

    /// Every row, in the order of the conversation.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = Message<'_>> + ExactSizeIterator {
        (0..self.rows.len()).map(|index| Message { chat: self, index })
    }

    /// How many rows carry a doubt.
    #[must_use]
    pub fn doubtful(&self) -> usize {
        self.rows
            .iter()
            .filter(|row| row.flags & Doubt::BITS != 0)
            .count()
    }

    pub(crate) fn view(&self, index: usize, row: &Row) -> RowView<'_> {
        let end = self.end(index);
        RowView {
            source: self.files.slice(row.start..end),
            raw_body: self.files.slice(row.body..end),
            kind: row.kind,
        }
    }

    pub(crate) fn end(&self, index: usize) -> u32 {
        match self.rows.get(index) {
            Some(row) if row.end != 0 => row.end,
            // Imports refuse sources over TEXT_MAX_BYTES, which is under 4 GiB.
            _ => self
                .rows
                .get(index.saturating_add(1))
                .map_or(u32::try_from(self.files.len()).unwrap_or(u32::MAX), |row| {
                    row.start
                }),
        }
    }
}

impl fmt::Debug for Conversation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation")
            .field("format", &self.format)
            .field("bytes", &self.files.len())
            .field("rows", &self.rows.len())
            .finish_non_exhaustive()
    }
}
