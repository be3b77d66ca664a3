//! What can go wrong in the demo beyond what can go wrong in the agent.

use std::path::PathBuf;

use candour_wire::Code;

/// Why the demo ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error("candour-server was not found beside {} or on the PATH", .0.display())]
    ServerMissing(PathBuf),
    #[error("{command} cannot be started: {source}")]
    ServerStart {
        command: String,
        source: std::io::Error,
    },
    #[error("candour-server {command} ended with {status}: {told}")]
    ServerFailed {
        command: String,
        status: String,
        told: String,
    },
    #[error("the server did not get ready: {0}")]
    NotReady(String),
    #[error("what candour-server {command} printed cannot be read")]
    Reply { command: &'static str },
    #[error("{} holds files that the demo did not make", .0.display())]
    NotOurFolder(PathBuf),
    #[error("declared text was found in {}", .0.display())]
    Leak(PathBuf),
    #[error("the search of the gateway's files finds nothing at all, so it proves nothing")]
    BlindSearch,
    #[error("what the records key opened is not what was declared")]
    OpenedOther,
    #[error("{failed} of {handsets} simulated handsets failed, the first with [{first}]")]
    Fleet {
        failed: usize,
        handsets: usize,
        first: Code,
    },
}

impl DemoError {
    /// The stable code.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::ServerMissing(_) | Self::ServerStart { .. } | Self::NotOurFolder(_) => {
                Code::UsageInvalid
            }
            Self::NotReady(_) => Code::Unavailable,
            Self::Fleet { first, .. } => *first,
            Self::ServerFailed { .. }
            | Self::Reply { .. }
            | Self::Leak(_)
            | Self::BlindSearch
            | Self::OpenedOther => Code::Internal,
        }
    }

    /// What to do next.
    pub(crate) const fn advice(&self) -> &'static str {
        match self {
            Self::ServerMissing(_) | Self::ServerStart { .. } => {
                "Build it with `cargo build --package candour-server`, or name it with --server-command."
            }
            Self::NotOurFolder(_) => "Name another folder with --keep; this one is left as it is.",
            Self::ServerFailed { .. }
            | Self::NotReady(_)
            | Self::Reply { .. }
            | Self::Fleet { .. } => "Look into server.log in the demo's folder.",
            Self::Leak(_) | Self::BlindSearch | Self::OpenedOther => {
                "This must never happen: keep the demo's folder and report it as a fault of Candour."
            }
        }
    }
}
