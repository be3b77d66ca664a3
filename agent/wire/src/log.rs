//! The department's transparency log, as much of it as both sides need.
//!
//! The log is a Merkle tree ([`merkle`], RFC 9162) published as C2SP tlog-tiles ([`tile`]) under
//! signed checkpoints ([`checkpoint`], a signed [`note`]). A leaf's entry is a salted hash of a
//! record, see [`entry`]: the log can be public while short or guessable records stay secret, and
//! erasing the salt cuts the last tie between a leaf and a record.
//!
//! A receipt says: *your record is leaf number `index` of the tree that this checkpoint names*.
//! [`verify_receipt`] checks it. The handset also checks that each new checkpoint extends the
//! one it saw before ([`merkle::verify_consistency`]), so a log that drops or rewrites a leaf is
//! caught by every handset that looked before.

pub mod checkpoint;
pub mod merkle;
pub mod note;
pub mod tile;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
pub use checkpoint::{Checkpoint, LogSigner, LogVerifier};
pub use merkle::{HashPath, ProofError, leaf_hash, node_hash};

/// The random salt of a leaf. In JSON: base64url without padding, 22 characters.
///
/// It stays with the record: whoever has both can find the leaf, nobody else can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
pub struct LeafSalt(pub [u8; 16]);

impl LeafSalt {
    /// Makes a fresh salt.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness to give; nothing safe can be done then.
    #[must_use]
    pub fn make() -> Self {
        use ring::rand::{SecureRandom, SystemRandom};
        let mut salt = [0; 16];
        SystemRandom::new()
            .fill(&mut salt)
            .expect("the operating system gives randomness");
        Self(salt)
    }
}

/// The text is not a base64url leaf salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a leaf salt is 22 characters of base64url")]
pub struct InvalidLeafSalt;

impl TryFrom<String> for LeafSalt {
    type Error = InvalidLeafSalt;

    fn try_from(text: String) -> Result<Self, InvalidLeafSalt> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidLeafSalt)?;
        Ok(Self(bytes.try_into().map_err(|_| InvalidLeafSalt)?))
    }
}

impl From<LeafSalt> for String {
    fn from(salt: LeafSalt) -> Self {
        URL_SAFE_NO_PAD.encode(salt.0)
    }
}

/// The log entry of a record: SHA-256 of a fixed prefix, the salt and the SHA-256 of the record's
/// JWS. These 32 bytes are what the log publishes.
#[must_use]
pub fn entry(salt: &LeafSalt, jws_sha256: &Digest) -> Digest {
    Digest::of_parts(&[b"candour/leaf/v1\n", &salt.0, &jws_sha256.0])
}

/// Where a record stands in the log, and the proof of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptProof<'a> {
    /// Number of the leaf, from 0.
    pub index: u64,
    /// Salt of the leaf.
    pub salt: LeafSalt,
    /// Audit path to the checkpoint's root.
    pub path: &'a HashPath,
}

/// Checks that the record whose JWS hashes to `jws_sha256` is in the tree of `checkpoint`.
///
/// The checkpoint comes from [`Checkpoint::open`], so the log's key has signed it.
///
/// # Errors
///
/// When the proof does not lead from this record to the checkpoint's root.
pub fn verify_receipt(
    proof: &ReceiptProof<'_>,
    jws_sha256: &Digest,
    checkpoint: &Checkpoint,
) -> Result<(), ProofError> {
    let leaf = leaf_hash(&entry(&proof.salt, jws_sha256));
    merkle::verify_inclusion(
        &leaf,
        proof.index,
        checkpoint.size,
        proof.path,
        &checkpoint.root,
    )
}

#[cfg(test)]
mod tests;
