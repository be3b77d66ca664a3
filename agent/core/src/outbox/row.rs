//! Sealed rows: each stored value is encrypted under a key of its own.
//!
//! ```text
//! version (1) ‖ epoch (4, big-endian) ‖ salt (32) ‖ commitment (32) ‖ ciphertext and tag
//! key (32) ‖ nonce (12) ‖ commitment (32) = HKDF-SHA256(ikm: epoch key, salt, info)
//! info = "candour/row/v1" NUL epoch ‖ table NUL row key
//! AES-256-GCM, additional data: table NUL row key
//! ```
//!
//! The salt is random, so there is no counter that a restored backup could set back: two rows
//! share a key and nonce only if 256 random bits repeat. The commitment ties the ciphertext to
//! one key, which GCM alone does not; it is checked before anything is decrypted. Table and row
//! key are part of both, so a row cannot be passed off as another.

use candour_wire::Sensitive;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::epoch::EpochKey;
use crate::ports::Table;

/// The row was altered, moved or sealed under another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the row was altered, moved, or belongs to another key")]
pub(super) struct RowDamaged;

const VERSION: u8 = 1;
const SALT_BYTES: usize = 32;
const COMMITMENT_BYTES: usize = 32;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const HEADER_BYTES: usize = 1 + 4 + SALT_BYTES + COMMITMENT_BYTES;

/// What sealing adds to a value, in bytes.
pub(super) const OVERHEAD_BYTES: usize = HEADER_BYTES + 16;

/// Encrypts `plaintext` as the value of the row `key` of `table`.
///
/// # Panics
///
/// When the operating system has no randomness to give; nothing safe can be done then.
pub(super) fn seal(epoch: &EpochKey, table: Table, key: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new()
        .fill(&mut salt)
        .expect("the operating system gives randomness");
    let place = place(table, key);
    let secrets = RowSecrets::derive(epoch, &salt, &place);
    let mut out = Vec::with_capacity(plaintext.len() + OVERHEAD_BYTES);
    out.push(VERSION);
    out.extend_from_slice(&epoch.number().to_be_bytes());
    out.extend_from_slice(&salt);
    out.extend_from_slice(&secrets.commitment());
    out.extend_from_slice(plaintext);
    let body = out
        .get_mut(HEADER_BYTES..)
        .expect("the header has just been written");
    let tag = secrets
        .cipher()
        .seal_in_place_separate_tag(secrets.nonce(), Aad::from(&place), body)
        .expect("a row is far shorter than what AES-GCM can encrypt");
    out.extend_from_slice(tag.as_ref());
    out
}

/// Decrypts the value of the row `key` of `table`.
pub(super) fn open(
    epoch: &EpochKey,
    table: Table,
    key: &[u8],
    value: &[u8],
) -> Result<Sensitive<Vec<u8>>, RowDamaged> {
    let (header, ciphertext) = value.split_at_checked(HEADER_BYTES).ok_or(RowDamaged)?;
    let (start, rest) = header.split_at_checked(5).ok_or(RowDamaged)?;
    let (salt, commitment) = rest.split_at_checked(SALT_BYTES).ok_or(RowDamaged)?;
    if start.first() != Some(&VERSION) || epoch_of(value) != Some(epoch.number()) {
        return Err(RowDamaged);
    }
    let place = place(table, key);
    let secrets = RowSecrets::derive(epoch, salt, &place);
    if !bool::from(secrets.commitment().ct_eq(commitment)) {
        return Err(RowDamaged);
    }
    let mut body = Zeroizing::new(ciphertext.to_vec());
    let plain = secrets
        .cipher()
        .open_in_place(secrets.nonce(), Aad::from(&place), &mut body)
        .map_err(|_| RowDamaged)?
        .len();
    body.truncate(plain);
    Ok(Sensitive::new(std::mem::take(&mut *body)))
}

/// Number of the epoch under which a row is sealed, as it claims.
pub(super) fn epoch_of(value: &[u8]) -> Option<u32> {
    value.get(1..5)?.try_into().ok().map(u32::from_be_bytes)
}

/// No table's name has a NUL, so this can be read in one way only.
fn place(table: Table, key: &[u8]) -> Vec<u8> {
    [table.as_str().as_bytes(), &[0], key].concat()
}

/// Key, nonce and commitment of one row.
struct RowSecrets(Zeroizing<[u8; KEY_BYTES + NONCE_BYTES + COMMITMENT_BYTES]>);

impl RowSecrets {
    fn derive(epoch: &EpochKey, salt: &[u8], place: &[u8]) -> Self {
        let mut out = Zeroizing::new([0; KEY_BYTES + NONCE_BYTES + COMMITMENT_BYTES]);
        let number = epoch.number().to_be_bytes();
        let info: [&[u8]; 3] = [b"candour/row/v1\0", &number, place];
        // EXPOSE: the key derivation takes the epoch's key.
        hkdf(epoch.secret().expose(), salt, &info, out.as_mut())
            .expect("76 bytes are within what HKDF can give");
        Self(out)
    }

    fn cipher(&self) -> LessSafeKey {
        let (key, _) = self.0.split_at(KEY_BYTES);
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("a key is 32 bytes"))
    }

    fn nonce(&self) -> Nonce {
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(self.0.split_at(KEY_BYTES).1.split_at(NONCE_BYTES).0);
        Nonce::assume_unique_for_key(nonce)
    }

    fn commitment(&self) -> [u8; COMMITMENT_BYTES] {
        let mut commitment = [0; COMMITMENT_BYTES];
        commitment.copy_from_slice(self.0.split_at(KEY_BYTES + NONCE_BYTES).1);
        commitment
    }
}

/// HKDF with SHA-256 (RFC 5869). Fails when more than 8,160 bytes are asked for.
fn hkdf(ikm: &[u8], salt: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), Unspecified> {
    let prk = Salt::new(HKDF_SHA256, salt).extract(ikm);
    prk.expand(info, Length(out.len()))?.fill(out)
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wycheproof;
