//! Checkpoints (C2SP tlog-checkpoint): what the log commits to, signed.
//!
//! ```text
//! candour.hm-treasury.example/log
//! 20852163
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//! time 2026-11-22T10:00:00Z
//!
//! — candour.hm-treasury.example/log Az3grlgtzPICa5OS8npVmf1Myq/…
//! ```
//!
//! The fourth line is an extension: the time of signing by the department's clock, which a
//! handset with a wrong clock can go by.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::merkle::MAX_SIZE;
use super::note::{NoteError, NoteSigner, NoteVerifier};
use crate::digest::Digest;

/// Signs a log's checkpoints; its name is the log's origin.
pub type LogSigner = NoteSigner;

/// Checks a log's checkpoints; its name is the log's origin.
pub type LogVerifier = NoteVerifier;

/// The state of the log at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Number of leaves, at most [`MAX_SIZE`].
    pub size: u64,
    /// Root hash of the tree.
    pub root: Digest,
    /// When the department signed it, to the second.
    pub time: Timestamp,
}

/// Why a checkpoint is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a note that the log's key has signed.
    #[error("the checkpoint is not signed by the pinned log key")]
    Note(#[from] NoteError),
    /// Signed, but not in the form of a checkpoint.
    #[error("the signed note is not a checkpoint with a size, a root hash and a time")]
    Malformed,
    /// Signed for another log.
    #[error("the checkpoint is another log's")]
    Origin,
}

impl Checkpoint {
    /// Signs the checkpoint.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Origin`] when the signer's name is not the origin, and
    /// [`CheckpointError::Malformed`] when the size or the year is out of range: nothing is
    /// signed that [`Checkpoint::open`] would not read back.
    pub fn sign(&self, signer: &LogSigner) -> Result<String, CheckpointError> {
        let text = self.to_text();
        Self::of_log(&text, signer.verifier())?;
        Ok(signer.sign(&text)?)
    }

    /// Reads a checkpoint that the log's key has signed.
    ///
    /// Extension lines other than the time are ignored, as are signatures by others.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`].
    pub fn open(note: &str, verifier: &LogVerifier) -> Result<Self, CheckpointError> {
        Self::of_log(verifier.open(note)?, verifier)
    }

    fn of_log(text: &str, verifier: &LogVerifier) -> Result<Self, CheckpointError> {
        let checkpoint = Self::from_text(text).ok_or(CheckpointError::Malformed)?;
        if checkpoint.origin != verifier.name() {
            return Err(CheckpointError::Origin);
        }
        Ok(checkpoint)
    }

    fn to_text(&self) -> String {
        let time = self.time.strftime(TIME_FORMAT);
        let root = STANDARD.encode(self.root.0);
        format!(
            "{}\n{}\n{root}\n{TIME_PREFIX}{time}\n",
            self.origin, self.size
        )
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let root = STANDARD.decode(root).ok()?.try_into().ok()?;
        let mut time = None;
        for line in lines {
            if let Some(value) = line.strip_prefix(TIME_PREFIX) {
                if time.is_some() {
                    return None;
                }
                time = Some(parse_time(value)?);
            } else if line.is_empty() {
                return None;
            }
        }
        let size = parse_decimal(size).filter(|size| *size <= MAX_SIZE)?;
        Some(Self {
            origin: origin.to_owned(),
            size,
            root: Digest(root),
            time: time?,
        })
    }
}

/// Reads a decimal number in its only form: digits, no sign, no leading zero.
pub(super) fn parse_decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn parse_time(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    (time.strftime(TIME_FORMAT).to_string() == text).then_some(time)
}

const TIME_PREFIX: &str = "time ";
const TIME_FORMAT: &str = "%Y-%m-%dT%H:%M:%SZ";

#[cfg(test)]
mod tests;
