//! One chat, taken out of an export that is too large to be held.

use candour_wire::Digest;
use ring::digest::{Context, SHA256};

/// One chat of an export that was read in parts.
pub struct SelectedChat {
    /// A smaller export of this chat alone, for [`import`](crate::import()). Holds its messages as
    /// they are, and of everything else what names and titles need: no keys.
    pub text: Vec<u8>,
    /// SHA-256 of the file that it was taken from.
    pub sha256: Digest,
    /// How many bytes that file has.
    pub bytes: u64,
}

impl std::fmt::Debug for SelectedChat {
    /// Without the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SelectedChat")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// Knows a file by what has been read of it so far.
pub(crate) struct Meter {
    sha256: Context,
    bytes: u64,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            sha256: Context::new(&SHA256),
            bytes: 0,
        }
    }

    /// Adds what was read next.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// The chat that was taken out of the file, which has been read to its end.
    pub(crate) fn chat(self, text: Vec<u8>) -> SelectedChat {
        let mut sha256 = Digest([0; 32]);
        sha256.0.copy_from_slice(self.sha256.finish().as_ref());
        SelectedChat {
            text,
            sha256,
            bytes: self.bytes,
        }
    }
}
