//! Why a source is not read.

use candour_wire::Code;

use crate::Refusal;
use crate::options::DateOrder;

/// Why a source is not read. Nothing of it has been kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// No header of a known export was found.
    #[error("no message header of a known chat export was found")]
    UnknownFormat,
    /// The years are those of another calendar.
    #[error("the dates are in a calendar other than the Gregorian")]
    UnknownCalendar,
    /// Day and month cannot be told apart; ask the holder.
    #[error("the dates of this chat can be read in more than one order")]
    NeedsDateOrder,
    /// The order that the holder gave makes the first date impossible.
    #[error("the first date of this chat is impossible in the order {}", .0.as_str())]
    DateOrderImpossible(DateOrder),
    /// The text is larger than [`TEXT_MAX_BYTES`](crate::limits::TEXT_MAX_BYTES).
    #[error("the chat text has {bytes} bytes, more than {max}")]
    TooLarge {
        /// What it has, or announces.
        bytes: u64,
        /// What is taken.
        max: u64,
    },
    /// The text has more messages than [`MESSAGES_MAX`](crate::limits::MESSAGES_MAX).
    #[error("the chat has more than {} messages", crate::limits::MESSAGES_MAX)]
    TooManyMessages,
    /// The conversation has more authors than [`PEOPLE_MAX`](crate::limits::PEOPLE_MAX).
    #[error("the conversation has more than {} authors", crate::limits::PEOPLE_MAX)]
    TooManyPeople,
    /// One message alone is larger than
    /// [`STREAM_MESSAGE_MAX_BYTES`](crate::limits::STREAM_MESSAGE_MAX_BYTES).
    #[error(
        "one message of the chat has more than {} bytes",
        crate::limits::STREAM_MESSAGE_MAX_BYTES
    )]
    MessageTooLarge,
    /// A chat that is read in parts has more than
    /// [`STREAM_NAMES_MAX`](crate::limits::STREAM_NAMES_MAX) names, or longer ones.
    #[error("the chat has more than {} names", crate::limits::STREAM_NAMES_MAX)]
    TooManyNames,
    /// The export declares a document type, which could make its text mean anything.
    #[error("the export declares entities of its own, which no app's export does")]
    Doctype,
    /// The file is a tar archive, which is how Skype and Teams give their exports out.
    #[error("this is a tar archive: unpack it, and import the messages.json in it")]
    Tar,
    /// The export is not in UTF-8.
    #[error("the export is written in an encoding other than UTF-8")]
    UnknownEncoding,
    /// The export holds several conversations; ask the holder which one.
    #[error("the export holds {0} conversations, and none was chosen")]
    NeedsConversation(usize),
    /// The export has no conversation of the id that was given.
    #[error("the export has no such conversation")]
    NoSuchConversation,
    /// The files given together are not parts of one export.
    #[error("the files are not parts of one export")]
    FilesDiffer,
    /// More than [`FILES_MAX`](crate::limits::FILES_MAX) files were given together.
    #[error("more than {} files", crate::limits::FILES_MAX)]
    TooManyFiles,
    /// The archive, folder or set of files is not safe to open.
    #[error("the export was refused")]
    Refused(#[from] Refusal),
    /// No file of the export is an exported chat.
    #[error("the export holds no chat")]
    NoChat,
    /// The export has no such file.
    #[error("the export has no file of that name")]
    NoSuchFile,
    /// The bytes end early, fail their checksum or cannot be read.
    #[error("the source cannot be read to its end")]
    Damaged(#[source] std::io::Error),
}

impl ImportError {
    /// The stable code and advice for this error.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::UnknownFormat
            | Self::UnknownCalendar
            | Self::Doctype
            | Self::Tar
            | Self::UnknownEncoding
            | Self::NoChat
            | Self::FilesDiffer => Code::ImportUnknownFormat,
            Self::NeedsConversation(_) | Self::NoSuchConversation => Code::ImportNeedsConversation,
            Self::NeedsDateOrder | Self::DateOrderImpossible(_) => Code::ImportNeedsDateOrder,
            Self::TooLarge { .. }
            | Self::TooManyMessages
            | Self::MessageTooLarge
            | Self::TooManyNames
            | Self::TooManyFiles
            | Self::TooManyPeople => Code::ImportTooLarge,
            Self::Refused(_) => Code::ImportArchiveRefused,
            Self::NoSuchFile | Self::Damaged(_) => Code::ImportDamaged,
        }
    }
}
