//! What a format knows about its own rows once they are indexed.

use std::borrow::Cow;

use crate::row::RowKind;
use crate::{Attachment, ImportError, Revision};

/// Shows the rows of one format. Called for the rows that are looked at, so it decodes then and
/// keeps nothing. Never panics, whatever the row's bytes are.
pub(crate) trait Dialect: Send + Sync {
    /// What the row says, for people.
    fn text<'s>(&'s self, row: &RowView<'s>) -> Cow<'s, str>;

    /// The id of the channel, in the policy's catalogue, where the format can come from several and
    /// the export says from which it does.
    fn channel(&self) -> Option<&'static str> {
        None
    }

    /// The files that belong to the row.
    fn attachments<'s>(&'s self, _row: &RowView<'s>) -> Vec<Attachment<'s>> {
        Vec::new()
    }

    /// Its earlier wordings, oldest first, where the export has them.
    fn revisions(&self, _row: &RowView<'_>) -> Vec<Revision> {
        Vec::new()
    }

    /// The bytes of a file that stands in the row itself, of at most `max` bytes.
    ///
    /// # Errors
    ///
    /// [`ImportError::NoSuchFile`] when the row holds none at `place`,
    /// [`ImportError::TooLarge`] over `max`, [`ImportError::Damaged`] when it cannot be decoded.
    fn embedded(
        &self,
        _row: &RowView<'_>,
        _place: usize,
        _max: u64,
    ) -> Result<Vec<u8>, ImportError> {
        Err(ImportError::NoSuchFile)
    }
}

/// A row and its bytes.
pub(crate) struct RowView<'s> {
    /// Its bytes in the source.
    pub(crate) source: &'s [u8],
    /// Its body, where the body is a part of the source as it stands.
    pub(crate) raw_body: &'s [u8],
    pub(crate) kind: RowKind,
}

impl<'s> RowView<'s> {
    /// Its body without the last line ending.
    pub(crate) fn body(&self) -> &'s [u8] {
        let body = self.raw_body;
        let body = body.strip_suffix(b"\n").unwrap_or(body);
        body.strip_suffix(b"\r").unwrap_or(body)
    }
}
