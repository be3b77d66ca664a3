//! Exit codes: what a script may rely on.

use std::process::ExitCode;

use candour_wire::{Code, Retry};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked.
    Done = 0,
    /// This machine's own store, key or output failed.
    Failed = 1,
    /// The command, the configuration, a file or a declaration is not valid.
    Invalid = 2,
    /// This machine is not enrolled, or its enrolment is not accepted.
    NotEnrolled = 3,
    /// Another process has the store.
    Busy = 4,
    /// The server was not reached or cannot answer now; records wait and will be sent.
    Later = 5,
    /// A rule refuses it: above OFFICIAL-SENSITIVE, not confirmed, or a record set aside.
    Refused = 6,
    /// A proof failed: server, receipt, log or policy key is not what it should be.
    Alarm = 7,
}

impl Exit {
    /// Every exit code, in order.
    pub const ALL: [Self; 8] = [
        Self::Done,
        Self::Failed,
        Self::Invalid,
        Self::NotEnrolled,
        Self::Busy,
        Self::Later,
        Self::Refused,
        Self::Alarm,
    ];

    /// What the code means, for help and documentation.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "this machine's store, key or output failed",
            Self::Invalid => "the command, the configuration, a file or a declaration is not valid",
            Self::NotEnrolled => "this machine is not enrolled, or its enrolment is not accepted",
            Self::Busy => "another Candour process has the store",
            Self::Later => "the server was not reached or cannot answer now; nothing is lost",
            Self::Refused => "a rule refuses it: marking too high, not confirmed, record set aside",
            Self::Alarm => {
                "a proof failed: server, receipt, log or policy is not what it should be"
            }
        }
    }

    /// The exit code that stands for a stable error code.
    #[must_use]
    pub const fn of(code: Code) -> Self {
        match code {
            Code::ServerNotTrusted
            | Code::PinMismatch
            | Code::ReceiptInvalid
            | Code::LogForked
            | Code::CheckpointInvalid
            | Code::PolicyInvalid
            | Code::PolicyRolledBack => Self::Alarm,
            Code::NotEnrolled
            | Code::HandsetRevoked
            | Code::CertificateExpired
            | Code::CertificateRefused
            | Code::TokenMissing
            | Code::TokenUnknown
            | Code::TokenUsed
            | Code::TokenExpired => Self::NotEnrolled,
            Code::StoreBusy => Self::Busy,
            Code::MarkingTooHigh
            | Code::NotConfirmed
            | Code::OutboxFull
            | Code::OutboxStale
            | Code::AlreadyEnrolled => Self::Refused,
            Code::StoreFull
            | Code::StoreFailed
            | Code::StoreDamaged
            | Code::StoreVersion
            | Code::KeyUnavailable
            | Code::PolicyMissing => Self::Failed,
            Code::MarkingUnknown
            | Code::ChannelUnknown
            | Code::ExceptionRequired
            | Code::ReasonRequired
            | Code::ContentRequired
            | Code::ParticipantsRequired
            | Code::FieldMissing
            | Code::FieldTooLong
            | Code::TimeInvalid
            | Code::TimeInFuture
            | Code::DraftUnknown
            | Code::RecordUnknown
            | Code::ImportUnknownFormat
            | Code::ImportNeedsDateOrder
            | Code::ImportNeedsConversation
            | Code::ImportArchiveRefused
            | Code::ImportTooLarge
            | Code::ImportDamaged
            | Code::SelectionInvalid
            | Code::RedactionInvalid
            | Code::AttachmentUnreadable
            | Code::AttachmentTooLarge
            | Code::ConfigInvalid
            | Code::UsageInvalid => Self::Invalid,
            other => match other.retry() {
                Retry::Later | Retry::Rechain => Self::Later,
                Retry::Quarantine => Self::Refused,
                Retry::Stop => Self::Failed,
            },
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_proof_is_never_taken_for_a_network_fault() {
        for code in [
            Code::ServerNotTrusted,
            Code::ReceiptInvalid,
            Code::LogForked,
            Code::CheckpointInvalid,
        ] {
            assert_eq!(Exit::of(code), Exit::Alarm, "{code}");
        }
        assert_eq!(Exit::of(Code::Unreachable), Exit::Later);
        assert_eq!(Exit::of(Code::TooManyRequests), Exit::Later);
    }

    #[test]
    fn no_error_code_exits_as_success() {
        for code in Code::ALL {
            assert_ne!(Exit::of(*code), Exit::Done, "{code}");
        }
    }

    #[test]
    fn exit_codes_are_numbered_in_the_order_of_the_documentation() {
        for (number, exit) in Exit::ALL.into_iter().enumerate() {
            assert_eq!(exit as usize, number);
        }
    }

    #[test]
    fn the_documentation_lists_every_exit_code_with_its_meaning() {
        let docs = include_str!("../../../docs/cli.md");
        for exit in Exit::ALL {
            let row = format!("| {} | {} |", exit as u8, exit.meaning());
            assert!(docs.contains(&row), "docs/cli.md lacks: {row}");
        }
    }
}
