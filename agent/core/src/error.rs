//! The one public error of the agent, and the one place that gives failures their codes.

use candour_wire::{Code, RecordId};

use crate::config::ConfigError;
use crate::declaration::{RedactionError, Violations};
use crate::outbox::OutboxError;
use crate::ports::{KeyError, StoreError};

/// Something that was asked of the agent could not be done. Nothing acknowledged is lost by it.
///
/// People read [`AgentError::advice`]; programs match [`AgentError::code`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The configuration is not valid.
    #[error("the configuration is not valid: {0}")]
    Config(#[from] ConfigError),
    /// The handset is not enrolled.
    #[error("this phone is not enrolled")]
    NotEnrolled,
    /// The handset is enrolled already.
    #[error("this phone is enrolled already")]
    AlreadyEnrolled,
    /// Enrolment or renewal failed.
    #[error("enrolment failed")]
    Enrol(#[from] crate::identity::IdentityError),
    /// There is no policy yet.
    #[error("there is no policy yet")]
    PolicyMissing,
    /// The draft may not be declared as it is.
    #[error(transparent)]
    Violations(#[from] Violations),
    /// A passage cannot be redacted as asked.
    #[error(transparent)]
    Redaction(#[from] RedactionError),
    /// The policy changed after the preview was made.
    #[error("the policy changed after the preview was shown")]
    PreviewOutdated,
    /// The content is too long to be sealed in one declaration.
    #[error("the declaration is too long")]
    TooLong,
    /// The policy's records key cannot be used.
    #[error("the department's records key cannot be used")]
    RecordsKey,
    /// There is no such draft.
    #[error("there is no draft {0}")]
    DraftUnknown(RecordId),
    /// There is no such declaration.
    #[error("there is no declaration {0} on this phone")]
    RecordUnknown(RecordId),
    /// A file that was to be attached cannot be read.
    #[error("the file cannot be read")]
    AttachmentUnreadable(#[source] std::io::Error),
    /// A file that was to be attached is too large.
    #[error("the file is larger than {} MiB", candour_wire::limits::ATTACHMENT_MAX_BYTES >> 20)]
    AttachmentTooLarge,
    /// The files that wait take as much room as they may.
    #[error("the sealed files that wait would take more than {} MiB", limit_bytes >> 20)]
    SpoolFull {
        /// How much they may take, in bytes.
        limit_bytes: u64,
    },
    /// The outbox refused or failed.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The agent's own files failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The handset's key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Another sync is under way.
    #[error("another sync is under way")]
    Busy,
    /// What was given to compare with is not a checkpoint that the log's key has signed.
    #[error("the checkpoint is not signed by the pinned key")]
    CheckpointInvalid,
}

impl AgentError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Config(_) => Code::ConfigInvalid,
            Self::NotEnrolled => Code::NotEnrolled,
            Self::AlreadyEnrolled => Code::AlreadyEnrolled,
            Self::Enrol(error) => error.code(),
            Self::PolicyMissing => Code::PolicyMissing,
            Self::Violations(violations) => violations.code(),
            Self::Redaction(error) => error.code(),
            Self::PreviewOutdated => Code::NotConfirmed,
            Self::TooLong => Code::RecordTooLarge,
            Self::RecordsKey => Code::PolicyInvalid,
            Self::DraftUnknown(_) => Code::DraftUnknown,
            Self::RecordUnknown(_) => Code::RecordUnknown,
            Self::AttachmentUnreadable(_) => Code::AttachmentUnreadable,
            Self::AttachmentTooLarge => Code::AttachmentTooLarge,
            Self::SpoolFull { .. } => Code::OutboxFull,
            Self::Outbox(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Busy => Code::StoreBusy,
            Self::CheckpointInvalid => Code::CheckpointInvalid,
        }
    }

    /// What to do next, in a sentence.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        self.code().advice()
    }
}
