//! A conversation: an index over the source's bytes, and views of its messages.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use candour_wire::Digest;
use candour_wire::time::{MessageTime, TimeConfidence, UnknownZone};
use jiff::SignedDuration;
use jiff::civil::{DateTime, date};

use crate::Layout;
use crate::options::{DateOrder, OrderBasis};
use crate::row::{Doubt, EDITED, Row, RowKind};
use crate::whatsapp::{self, chars};

/// An indexed chat. Borrows the source; holds no text of its own.
pub struct Conversation<'a> {
    pub(crate) source: &'a [u8],
    pub(crate) rows: Vec<Row>,
    /// Where each author's name first stands in the source.
    pub(crate) authors: Vec<Range<u32>>,
    pub(crate) title: Option<String>,
    pub(crate) layout: Layout,
    pub(crate) order: DateOrder,
    pub(crate) basis: OrderBasis,
}

impl<'a> Conversation<'a> {
    /// The source, byte for byte: the preamble, then every message in order.
    #[must_use]
    pub const fn source(&self) -> &'a [u8] {
        self.source
    }

    /// SHA-256 of the source.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.source)
    }

    /// The bytes before the first message: usually none, or a byte-order mark.
    #[must_use]
    pub fn preamble(&self) -> &'a [u8] {
        let end = self
            .rows
            .first()
            .map_or(self.source.len(), |row| row.start as usize);
        self.source.get(..end).unwrap_or_default()
    }

    /// The chat's title: as given, or the group's name where the text shows it.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Which phone wrote the headers.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The order in which the numbers of dates were read.
    #[must_use]
    pub const fn date_order(&self) -> DateOrder {
        self.order
    }

    /// Why they were read in that order.
    #[must_use]
    pub const fn order_basis(&self) -> OrderBasis {
        self.basis
    }

    /// How many rows there are, the app's own among them.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none. An imported conversation has at least one.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row at `index`, from 0 in the order of the file.
    #[must_use]
    pub fn message(&self, index: usize) -> Option<Message<'_>> {
        (index < self.rows.len()).then_some(Message { chat: self, index })
    }

    /// Every row, in the order of the file.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = Message<'_>> + ExactSizeIterator {
        (0..self.rows.len()).map(|index| Message { chat: self, index })
    }

    /// How many rows carry a doubt.
    #[must_use]
    pub fn doubtful(&self) -> usize {
        self.rows
            .iter()
            .filter(|row| row.flags & !EDITED != 0)
            .count()
    }

    fn slice(&self, range: Range<u32>) -> &'a [u8] {
        self.source
            .get(range.start as usize..range.end as usize)
            .unwrap_or_default()
    }

    pub(crate) fn end(&self, index: usize) -> u32 {
        // Imports refuse sources over TEXT_MAX_BYTES, which is under 4 GiB.
        let len = u32::try_from(self.source.len()).unwrap_or(u32::MAX);
        self.rows
            .get(index.saturating_add(1))
            .map_or(len, |row| row.start)
    }
}

impl fmt::Debug for Conversation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation")
            .field("bytes", &self.source.len())
            .field("rows", &self.rows.len())
            .field("authors", &self.authors.len())
            .field("layout", &self.layout)
            .field("order", &self.order)
            .finish_non_exhaustive()
    }
}

/// One row of a [`Conversation`], decoded on demand.
#[derive(Clone, Copy)]
pub struct Message<'c> {
    chat: &'c Conversation<'c>,
    index: usize,
}

impl<'c> Message<'c> {
    /// Its place in the conversation, from 0.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Where it stands in the source, in bytes, its header and last line ending included.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.row().start as usize..self.chat.end(self.index) as usize
    }

    /// Its original bytes, header and last line ending included.
    #[must_use]
    pub fn source(&self) -> &'c [u8] {
        self.chat.slice(self.row().start..self.chat.end(self.index))
    }

    /// SHA-256 of its original bytes. The same message of the same chat, exported again in the
    /// same way, has the same digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.source())
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

    /// The name before the colon, whoever it stands for: on iOS the group's name stands before
    /// the app's own rows.
    #[must_use]
    pub fn label(&self) -> Option<Cow<'c, str>> {
        let range = self.chat.authors.get(self.row().author as usize)?;
        Some(String::from_utf8_lossy(self.chat.slice(range.clone())))
    }

    /// The time on the wall, to the precision of the source.
    #[must_use]
    pub fn wall(&self) -> DateTime {
        let seconds = i64::try_from(self.row().wall).unwrap_or(0);
        let epoch = date(1970, 1, 1).at(0, 0, 0, 0);
        // Years are 1970 to 2099, so the sum is a date.
        epoch
            .checked_add(SignedDuration::from_secs(seconds))
            .unwrap_or(epoch)
    }

    /// The time in `zone`, an IANA name, and how sure it is.
    ///
    /// An order of day and month that was inferred makes a time `Inferred`, unless the clocks
    /// already make it ambiguous or nonexistent, which says more.
    ///
    /// # Errors
    ///
    /// When the tz database does not know `zone`.
    pub fn time_in(&self, zone: &str) -> Result<MessageTime, UnknownZone> {
        let mut time = MessageTime::at(self.wall(), zone)?;
        if time.confidence == TimeConfidence::Exact && self.chat.basis.is_inferred() {
            time.confidence = TimeConfidence::Inferred;
        }
        Ok(time)
    }

    /// Its body as it stands in the source, without the last line ending.
    #[must_use]
    pub fn body(&self) -> &'c [u8] {
        let row = self.row();
        let body = self.chat.slice(row.body..self.chat.end(self.index));
        let body = body.strip_suffix(b"\n").unwrap_or(body);
        body.strip_suffix(b"\r").unwrap_or(body)
    }

    /// Its body for people: CRLF as LF, without the U+200E marks that the app puts before its own
    /// words, damaged bytes as U+FFFD. Everything else stands as it was written.
    #[must_use]
    pub fn text(&self) -> Cow<'c, str> {
        chars::for_display(self.body())
    }

    /// The name of the file that it carries, as the app wrote it.
    #[must_use]
    pub fn attachment_name(&self) -> Option<Cow<'c, str>> {
        if !matches!(self.kind(), RowKind::Media | RowKind::Contact) {
            return None;
        }
        whatsapp::attachment_name(self.body()).map(String::from_utf8_lossy)
    }

    /// Whether the app says that it was edited. The earlier wording is not in the export.
    #[must_use]
    pub fn is_edited(&self) -> bool {
        self.row().flags & EDITED != 0
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
