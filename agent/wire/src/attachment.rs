//! Encrypting files, piece by piece, so that a handset never holds a whole one in memory.
//!
//! The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-
//! Encryption and its Nonce-Reuse Misuse-Resistance", 2015, section 7) over AES-256-GCM with a key
//! that is made for one file and used for nothing else:
//!
//! ```text
//! file   = version (1 byte, 0x01) || prefix (7 random bytes) || chunk 0 || chunk 1 || …
//! chunk  = AES-256-GCM(key, nonce, up to 64 KiB of plaintext) with its 16-byte tag
//! nonce  = prefix || chunk number (4 bytes, big-endian) || 1 for the last chunk, else 0
//! ```
//!
//! Each chunk but the last is full. Only an empty file has an empty last chunk. So a plaintext
//! has one length of ciphertext, and a missing, moved, repeated or added chunk does not decrypt.
//!
//! The key travels inside the sealed content, beside the digests; the server stores the file
//! under the digest of its ciphertext and cannot read it.

use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, Nonce, UnboundKey};
use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use crate::digest::Digest;
use crate::limits::ATTACHMENT_MAX_BYTES;
use crate::sensitive::Sensitive;

/// The key of one file. In JSON: base64url without padding, 43 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentKey(Sensitive<[u8; KEY_BYTES]>);

/// What encryption yields, to be sealed with the declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentSummary {
    /// Digest of the ciphertext: the file's name on the wire.
    pub ciphertext: Digest,
    /// Length of the ciphertext in bytes.
    pub ciphertext_bytes: u64,
    /// Digest of the plaintext.
    pub plaintext: Digest,
    /// Length of the plaintext in bytes, at most [`ATTACHMENT_MAX_BYTES`].
    pub plaintext_bytes: u64,
    /// What decrypts the file.
    pub key: AttachmentKey,
}

/// What decryption has read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decrypted {
    /// Digest of the plaintext.
    pub plaintext: Digest,
    /// Length of the plaintext in bytes.
    pub plaintext_bytes: u64,
}

/// Why a file cannot be encrypted.
#[derive(Debug, thiserror::Error)]
pub enum EncryptError {
    /// Reading the plaintext failed.
    #[error("the file cannot be read")]
    Read(#[source] io::Error),
    /// Writing the ciphertext failed.
    #[error("the encrypted file cannot be written")]
    Write(#[source] io::Error),
    /// More than [`ATTACHMENT_MAX_BYTES`].
    #[error("the file is longer than {ATTACHMENT_MAX_BYTES} bytes")]
    TooLong,
}

/// Why a file cannot be decrypted. What was written until then is to be thrown away.
#[derive(Debug, thiserror::Error)]
pub enum DecryptError {
    /// Reading the ciphertext failed.
    #[error("the encrypted file cannot be read")]
    Read(#[source] io::Error),
    /// Writing the plaintext failed.
    #[error("the file cannot be written")]
    Write(#[source] io::Error),
    /// The first byte names a format that this version does not know.
    #[error("the encrypted file has an unknown format")]
    Version,
    /// Longer than any file that this version writes.
    #[error("the file is longer than {ATTACHMENT_MAX_BYTES} bytes")]
    TooLong,
    /// Another key, or a file that was cut, extended, reordered or changed.
    #[error("the encrypted file was altered, is incomplete or has another key")]
    Altered,
}

/// Encrypts what `plaintext` yields with a fresh key and writes it to `ciphertext`.
///
/// Reads to the end, holds two chunks of 64 KiB, and blocks as long as its reader and writer do.
/// It does not flush the writer.
///
/// # Errors
///
/// [`EncryptError`]; what was written until then is of no use.
///
/// # Panics
///
/// When the operating system has no randomness to give; nothing safe can be done then.
pub fn encrypt(
    plaintext: impl Read,
    ciphertext: impl Write,
) -> Result<AttachmentSummary, EncryptError> {
    let random = SystemRandom::new();
    let mut prefix = [0; PREFIX_BYTES];
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    random
        .fill(&mut prefix)
        .expect("the operating system gives randomness");
    random
        .fill(key.as_mut())
        .expect("the operating system gives randomness");
    encrypt_with(
        AttachmentKey(Sensitive::new(*key)),
        prefix,
        plaintext,
        ciphertext,
    )
}

/// Decrypts what `ciphertext` yields and writes it to `plaintext`, chunk by chunk.
///
/// A chunk is written once it is authentic, before the next one is read: the caller keeps the
/// output aside until this returns `Ok`, and then compares the digest with the sealed one.
/// Blocks as long as its reader and writer do; does not flush the writer.
///
/// # Errors
///
/// [`DecryptError`]; the output so far is then incomplete.
pub fn decrypt(
    key: &AttachmentKey,
    mut ciphertext: impl Read,
    mut plaintext: impl Write,
) -> Result<Decrypted, DecryptError> {
    let mut header = [0; HEADER_BYTES];
    if fill(&mut ciphertext, &mut header).map_err(DecryptError::Read)? != HEADER_BYTES {
        return Err(DecryptError::Altered);
    }
    let [VERSION, prefix @ ..] = header else {
        return Err(DecryptError::Version);
    };
    let mut nonces = Nonces { prefix, next: 0 };
    let key = key.cipher();
    let mut chunks = Chunks::new(ciphertext, CHUNK_BYTES + MAX_TAG_LEN);
    let mut hasher = Hasher::new();
    while let Some((chunk, last)) = chunks.read().map_err(DecryptError::Read)? {
        let first = nonces.next == 0;
        let nonce = nonces.make(last).ok_or(DecryptError::TooLong)?;
        let opened = key
            .open_in_place(nonce, Aad::empty(), chunk)
            .map_err(|_| DecryptError::Altered)?;
        if opened.is_empty() && !first {
            return Err(DecryptError::Altered);
        }
        hasher.update(opened);
        if hasher.bytes > ATTACHMENT_MAX_BYTES {
            return Err(DecryptError::TooLong);
        }
        plaintext.write_all(opened).map_err(DecryptError::Write)?;
    }
    let (plaintext, plaintext_bytes) = hasher.finish();
    Ok(Decrypted {
        plaintext,
        plaintext_bytes,
    })
}

/// Length of the ciphertext of a file of `plaintext_bytes`, in bytes.
#[must_use]
pub const fn ciphertext_len(plaintext_bytes: u64) -> u64 {
    let chunks = if plaintext_bytes == 0 {
        1
    } else {
        plaintext_bytes.div_ceil(CHUNK_BYTES as u64)
    };
    HEADER_BYTES as u64 + plaintext_bytes + chunks * MAX_TAG_LEN as u64
}

const VERSION: u8 = 1;
const PREFIX_BYTES: usize = 7;
const HEADER_BYTES: usize = 1 + PREFIX_BYTES;
const KEY_BYTES: usize = 32;
const KEY_CHARS: usize = 43;

/// Plaintext of a full chunk: large enough that the tag is nothing beside it, small enough for a
/// phone's memory.
const CHUNK_BYTES: usize = 64 << 10;

fn encrypt_with(
    key: AttachmentKey,
    prefix: [u8; PREFIX_BYTES],
    plaintext: impl Read,
    mut ciphertext: impl Write,
) -> Result<AttachmentSummary, EncryptError> {
    let cipher = key.cipher();
    let mut nonces = Nonces { prefix, next: 0 };
    let mut chunks = Chunks::new(plaintext, CHUNK_BYTES);
    let (mut clear, mut sealed) = (Hasher::new(), Hasher::new());
    let mut write = |bytes: &[u8]| {
        sealed.update(bytes);
        ciphertext.write_all(bytes).map_err(EncryptError::Write)
    };
    write(&[VERSION])?;
    write(&prefix)?;
    while let Some((chunk, last)) = chunks.read().map_err(EncryptError::Read)? {
        clear.update(chunk);
        if clear.bytes > ATTACHMENT_MAX_BYTES {
            return Err(EncryptError::TooLong);
        }
        let nonce = nonces.make(last).ok_or(EncryptError::TooLong)?;
        let tag = cipher
            .seal_in_place_separate_tag(nonce, Aad::empty(), chunk)
            .expect("a chunk is far shorter than what AES-GCM can encrypt");
        write(chunk)?;
        write(tag.as_ref())?;
    }
    let (plaintext, plaintext_bytes) = clear.finish();
    let (ciphertext, ciphertext_bytes) = sealed.finish();
    Ok(AttachmentSummary {
        ciphertext,
        ciphertext_bytes,
        plaintext,
        plaintext_bytes,
        key,
    })
}

impl AttachmentKey {
    fn cipher(&self) -> LessSafeKey {
        // EXPOSE: the cipher takes the key.
        let key = UnboundKey::new(&AES_256_GCM, self.0.expose()).expect("a key is 32 bytes");
        LessSafeKey::new(key)
    }
}

impl Serialize for AttachmentKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = Zeroizing::new([0; KEY_CHARS]);
        // EXPOSE: the key goes into the content that is about to be sealed.
        URL_SAFE_NO_PAD
            .encode_slice(self.0.expose(), text.as_mut())
            .expect("the length is exact");
        serializer.serialize_str(std::str::from_utf8(text.as_ref()).expect("base64url is ASCII"))
    }
}

impl<'de> Deserialize<'de> for AttachmentKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        match URL_SAFE_NO_PAD.decode_slice(text.as_bytes(), key.as_mut()) {
            Ok(KEY_BYTES) => Ok(Self(Sensitive::new(*key))),
            // The text may be most of a key, so the message does not repeat it.
            _ => Err(de::Error::custom(
                "an attachment key is 43 characters of base64url",
            )),
        }
    }
}

/// The nonces of one file, each once.
struct Nonces {
    prefix: [u8; PREFIX_BYTES],
    next: u32,
}

impl Nonces {
    /// `None` once all chunk numbers are used.
    fn make(&mut self, last: bool) -> Option<Nonce> {
        let [a, b, c, d, e, f, g] = self.prefix;
        let [h, i, j, k] = self.next.to_be_bytes();
        self.next = self.next.checked_add(1)?;
        Some(Nonce::assume_unique_for_key([
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            i,
            j,
            k,
            u8::from(last),
        ]))
    }
}

/// Cuts a stream into chunks and knows which is the last one, by reading one ahead.
///
/// There is always at least one chunk; it is empty when the stream is. Chunks may be plaintext,
/// so both buffers are wiped when dropped.
struct Chunks<R> {
    reader: R,
    current: Zeroizing<Vec<u8>>,
    ahead: Zeroizing<Vec<u8>>,
    /// Bytes in `ahead`; `None` before the first chunk.
    ahead_len: Option<usize>,
    ended: bool,
}

impl<R: Read> Chunks<R> {
    fn new(reader: R, chunk: usize) -> Self {
        let buffer = || Zeroizing::new(vec![0; chunk]);
        Self {
            reader,
            current: buffer(),
            ahead: buffer(),
            ahead_len: None,
            ended: false,
        }
    }

    /// The next chunk, to be worked on in place, and whether it is the last.
    fn read(&mut self) -> io::Result<Option<(&mut [u8], bool)>> {
        if self.ended {
            return Ok(None);
        }
        let length = match self.ahead_len {
            Some(length) => length,
            None => fill(&mut self.reader, &mut self.ahead)?,
        };
        std::mem::swap(&mut self.current, &mut self.ahead);
        let next = if length < self.current.len() {
            0
        } else {
            fill(&mut self.reader, &mut self.ahead)?
        };
        self.ahead_len = Some(next);
        self.ended = next == 0;
        let chunk = self
            .current
            .get_mut(..length)
            .expect("fill returns at most the length");
        Ok(Some((chunk, self.ended)))
    }
}

/// Reads until `buffer` is full or the stream ends; returns how many bytes there are.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            // A reader that claims more than it was given room for is broken, not trusted.
            Ok(count) => filled = (filled + count).min(buffer.len()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Hashes and counts what passes by.
struct Hasher {
    context: Context,
    bytes: u64,
}

impl Hasher {
    fn new() -> Self {
        Self {
            context: Context::new(&SHA256),
            bytes: 0,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn finish(self) -> (Digest, u64) {
        let mut digest = [0; 32];
        digest.copy_from_slice(self.context.finish().as_ref());
        (Digest(digest), self.bytes)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wycheproof;
