//! Which export is it? Decided by content, never by a file's name.

use crate::whatsapp;
use crate::{Conversation, ImportError, Options};

/// A kind of export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A WhatsApp chat text, as `_chat.txt` (iOS) or `WhatsApp Chat with ….txt` (Android).
    WhatsAppText,
    /// A zip archive; see [`Export`](crate::Export).
    Zip,
}

impl Format {
    /// The name used in records and on screen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WhatsAppText => "whatsapp_text",
            Self::Zip => "zip",
        }
    }
}

/// Recognises an export by its first bytes; 64 KiB of them are enough.
#[must_use]
pub fn sniff(start: &[u8]) -> Option<Format> {
    // APPNOTE 4.3.7 and 4.3.16: a local file header, or the end record of an empty archive.
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        return Some(Format::Zip);
    }
    whatsapp::looks_like(start).then_some(Format::WhatsAppText)
}

/// Indexes a chat text. Linear in the length of `source`; copies none of it.
///
/// # Errors
///
/// [`ImportError::UnknownFormat`] when no header is found (an archive is opened with
/// [`Export`](crate::Export) first), [`ImportError::NeedsDateOrder`] when day and month cannot be
/// told apart and `options` does not say, and those about limits.
pub fn import<'a>(
    source: &'a [u8],
    options: &Options<'_>,
) -> Result<Conversation<'a>, ImportError> {
    whatsapp::import(source, options)
}
