//! How the store's calls fail, and the one place that turns this into codes.

use candour_wire::Code;

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// More calls wait than the store can hold, or another process holds it: try again soon.
    #[error("the store is busy")]
    Busy,
    /// The disk or the configured size is full. Nothing was kept; the store goes on when there
    /// is room.
    #[error("the store has no room left")]
    Full,
    /// A write or a sync to disk failed earlier, so nothing more is taken.
    #[error("the store has failed and takes nothing until the server is restarted")]
    Failed,
    /// [`super::Store::close`] was called.
    #[error("the store is closed")]
    Closed,
    /// What is on disk contradicts itself.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// What was found; no content.
        what: &'static str,
    },
    /// The store was opened without the log's key, so it cannot take records.
    #[error("the store was opened without the log's key")]
    NoLogKey,
    /// The database or file system failed in another way.
    #[error("the database or the file system failed")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// The stable code for this failure.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Busy | Self::Failed | Self::Closed => Code::Unavailable,
            Self::Full => Code::StorageFull,
            Self::Damaged { .. } | Self::NoLogKey | Self::Backend(_) => Code::Internal,
        }
    }
}

/// A handset could not be enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No such token.
    #[error("the enrolment token is not known")]
    TokenUnknown,
    /// Another key has used the token.
    #[error("the enrolment token has been used by another key")]
    TokenUsed,
    /// The token's time is over.
    #[error("the enrolment token has expired")]
    TokenExpired,
    /// The key was enrolled and then revoked. It comes back by [`super::Store::reinstate`]
    /// only.
    #[error("the key's enrolment has been withdrawn")]
    Revoked,
    /// The key is enrolled with another department than the token's.
    #[error("the key is enrolled with another department")]
    OtherDepartment,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EnrolError {
    /// The stable code for this failure.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TokenUnknown => Code::TokenUnknown,
            Self::TokenUsed => Code::TokenUsed,
            Self::TokenExpired => Code::TokenExpired,
            Self::Revoked => Code::HandsetRevoked,
            Self::OtherDepartment => Code::EnrolledElsewhere,
            Self::Store(error) => error.code(),
        }
    }
}

/// A batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// No such handset.
    #[error("the handset is not enrolled")]
    NotEnrolled,
    /// The handset's enrolment was withdrawn, perhaps since it connected.
    #[error("the handset's enrolment has been withdrawn")]
    Revoked,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AppendError {
    /// The stable code for this failure.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NotEnrolled => Code::CertificateRefused,
            Self::Revoked => Code::HandsetRevoked,
            Self::Store(error) => error.code(),
        }
    }
}

/// A piece of an attachment was not taken.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// No such handset.
    #[error("the handset is not enrolled")]
    NotEnrolled,
    /// The handset's enrolment was withdrawn.
    #[error("the handset's enrolment has been withdrawn")]
    Revoked,
    /// The piece does not start where the upload stands, or goes beyond the announced size.
    #[error("the upload goes on at byte {expected}")]
    Offset {
        /// Where the next piece starts.
        expected: u64,
    },
    /// The whole file has another digest than its name. It was discarded.
    #[error("the file that arrived has another digest")]
    Digest,
    /// The announced size, or the piece, is over the limit.
    #[error("the file or the piece is too large")]
    TooLarge,
    /// The handset has too much on the server that no record refers to.
    #[error("the handset has too many unfinished uploads")]
    Quota,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl UploadError {
    /// The stable code for this failure.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NotEnrolled => Code::CertificateRefused,
            Self::Revoked => Code::HandsetRevoked,
            Self::Offset { .. } => Code::AttachmentOffset,
            Self::Digest => Code::AttachmentDigest,
            Self::TooLarge => Code::AttachmentTooLarge,
            Self::Quota => Code::AttachmentQuota,
            Self::Store(error) => error.code(),
        }
    }
}
