//! Files that belong to messages, and earlier wordings.

use std::borrow::Cow;
use std::fmt;

use candour_wire::Digest;

use crate::Stamp;
use crate::bundle::is_safe_path;

/// A file that belongs to a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment<'c> {
    /// Its name for people, as the app wrote it. It may be a path or anything else: never use it
    /// to write a file.
    pub name: Cow<'c, str>,
    /// The media type that the export claims.
    pub media_type: Option<Cow<'c, str>>,
    /// How many bytes it has, as the export claims.
    pub bytes: Option<u64>,
    /// SHA-256 of its bytes, as the export claims.
    pub sha256: Option<Digest>,
    /// Where its bytes are.
    pub place: Place<'c>,
}

/// Where an attachment's bytes are.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place<'c> {
    /// In a file beside the chat's text, at this path in the export: relative, without `..`.
    Beside(Cow<'c, str>),
    /// In the message itself, where its format finds it again; see
    /// [`Message::embedded`](crate::Message::embedded).
    Embedded(usize),
    /// Nowhere: the export left it out.
    LeftOut,
}

impl<'c> Attachment<'c> {
    /// A file beside the chat's text whose name is its path.
    pub(crate) fn named(name: Cow<'c, str>) -> Self {
        Self {
            place: Place::beside(name.clone()),
            name,
            media_type: None,
            bytes: None,
            sha256: None,
        }
    }
}

impl<'c> Place<'c> {
    /// A file at `path`, or none where that leads out of the export.
    pub(crate) fn beside(path: Cow<'c, str>) -> Self {
        if is_safe_path(&path) {
            Self::Beside(path)
        } else {
            Self::LeftOut
        }
    }
}

impl fmt::Debug for Attachment<'_> {
    /// Without the name, which is content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("bytes", &self.bytes)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Place<'_> {
    /// Without the path, which is content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beside(_) => f.write_str("Beside"),
            Self::Embedded(place) => f.debug_tuple("Embedded").field(place).finish(),
            Self::LeftOut => f.write_str("LeftOut"),
        }
    }
}

/// An earlier wording of an edited message.
#[derive(Clone, PartialEq, Eq)]
pub struct Revision {
    /// When it was written.
    pub at: Stamp,
    /// What it said.
    pub text: String,
}

impl fmt::Debug for Revision {
    /// Without the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revision")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
