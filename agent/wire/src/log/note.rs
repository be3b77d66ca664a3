//! Signed notes (C2SP signed-note) with Ed25519 (RFC 8032): the form of a checkpoint.
//!
//! ```text
//! text, one or more lines
//!
//! — key name base64(key id || signature)
//! ```
//!
//! A note may carry signatures by others, such as witnesses; they are ignored. The one by the
//! expected key must be there and must verify.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::limits::CHECKPOINT_MAX_BYTES;
use crate::sensitive::Sensitive;

/// Most signature lines of a note. The specification asks for at least 16.
pub const MAX_SIGNATURES: usize = 32;

/// Who signs notes: a name and a public key. Its text form is the `vkey` of the C2SP tools,
/// `name+id+base64(0x01 || public key)`, and is also its form in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NoteVerifier {
    name: String,
    public: [u8; PUBLIC_BYTES],
}

/// A text is not a verifier key, or a name may not name a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNoteKey {
    /// Empty, or with a space, a plus or a control character.
    #[error("a log's name is not empty and has no space, plus or control character")]
    Name,
    /// Not `name+id+key`, or not an Ed25519 key.
    #[error("a verifier key reads name+id+key, with an Ed25519 key in base64")]
    Malformed,
    /// The id is not this key's: part of it was mistyped or mixed up.
    #[error("the verifier key's id does not belong to its name and key")]
    Id,
}

/// Why a note is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than [`CHECKPOINT_MAX_BYTES`] or more than [`MAX_SIGNATURES`] signatures.
    #[error("the note is longer than {CHECKPOINT_MAX_BYTES} bytes or has too many signatures")]
    TooLong,
    /// Not in the form of a signed note.
    #[error("not a signed note")]
    Malformed,
    /// No signature by the expected key.
    #[error("the note is not signed by the expected key")]
    Unsigned,
    /// A signature in the expected key's name that is not its.
    #[error("the signature of the expected key does not verify")]
    Signature,
}

impl NoteVerifier {
    /// Names a public key.
    ///
    /// # Errors
    ///
    /// When the name may not name a key (C2SP signed-note, Format).
    pub fn new(name: &str, public: [u8; PUBLIC_BYTES]) -> Result<Self, InvalidNoteKey> {
        let allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(allowed) {
            return Err(InvalidNoteKey::Name);
        }
        Ok(Self {
            name: name.to_owned(),
            public,
        })
    }

    /// The key's name; for a log, its origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of a hash of name and key (C2SP signed-note, Signatures).
    #[must_use]
    pub fn id(&self) -> [u8; ID_BYTES] {
        let hash = Digest::of_parts(&[self.name.as_bytes(), b"\n", &[ED25519_TYPE], &self.public]);
        let [a, b, c, d, ..] = hash.0;
        [a, b, c, d]
    }

    /// Returns the text of `note`, with its final newline, if this key has signed it.
    ///
    /// # Errors
    ///
    /// [`NoteError`]; nothing of the text may be used then.
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let (text, signatures) = parse(note)?;
        let mut verified = false;
        for line in signatures.split('\n') {
            let (name, id, signature) = parse_signature(line).ok_or(NoteError::Malformed)?;
            if name != self.name || id != self.id() {
                continue;
            }
            if !self.verifies(text.as_bytes(), &signature) {
                return Err(NoteError::Signature);
            }
            verified = true;
        }
        if verified {
            Ok(text)
        } else {
            Err(NoteError::Unsigned)
        }
    }

    fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public)
            .verify(text, signature)
            .is_ok()
    }
}

impl FromStr for NoteVerifier {
    type Err = InvalidNoteKey;

    fn from_str(text: &str) -> Result<Self, InvalidNoteKey> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(InvalidNoteKey::Malformed);
        };
        let key = STANDARD
            .decode(key)
            .map_err(|_| InvalidNoteKey::Malformed)?;
        let [ED25519_TYPE, public @ ..] = key.as_slice() else {
            return Err(InvalidNoteKey::Malformed);
        };
        let public = public.try_into().map_err(|_| InvalidNoteKey::Malformed)?;
        let verifier = Self::new(name, public)?;
        if hex_id(verifier.id()) != id {
            return Err(InvalidNoteKey::Id);
        }
        Ok(verifier)
    }
}

impl TryFrom<String> for NoteVerifier {
    type Error = InvalidNoteKey;

    fn try_from(text: String) -> Result<Self, InvalidNoteKey> {
        text.parse()
    }
}

impl From<NoteVerifier> for String {
    fn from(verifier: NoteVerifier) -> Self {
        verifier.to_string()
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[ED25519_TYPE], self.public.as_slice()].concat());
        write!(f, "{}+{}+{key}", self.name, hex_id(self.id()))
    }
}

/// Signs notes under one name.
pub struct NoteSigner {
    key: Ed25519KeyPair,
    verifier: NoteVerifier,
}

impl NoteSigner {
    /// Takes a name and the 32-byte seed of an Ed25519 key (RFC 8032, section 5.1.5).
    ///
    /// # Errors
    ///
    /// When the name may not name a key.
    pub fn new(name: &str, seed: &Sensitive<[u8; 32]>) -> Result<Self, InvalidNoteKey> {
        // EXPOSE: the key pair is expanded from the seed.
        let key = Ed25519KeyPair::from_seed_unchecked(seed.expose()).expect("a seed is 32 bytes");
        let public = key
            .public_key()
            .as_ref()
            .try_into()
            .expect("a public key is 32 bytes");
        Ok(Self {
            key,
            verifier: NoteVerifier::new(name, public)?,
        })
    }

    /// Who checks what this signs.
    #[must_use]
    pub const fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    /// The note with this text and this key's signature. The signature is not verified again: that
    /// costs more than to make it, and whoever reads the note does.
    ///
    /// # Errors
    ///
    /// When the text does not end in a newline, has another control character, has a line that
    /// a reader could take for a signature, or would make the note too long.
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        let signature = self.key.sign(text.as_bytes());
        let signed = [self.verifier.id().as_slice(), signature.as_ref()].concat();
        let note = format!(
            "{text}\n{MARK}{} {}\n",
            self.verifier.name,
            STANDARD.encode(signed)
        );
        // Whatever is wrong with the text shows when the note is read back.
        match parse(&note)? {
            (read, _) if read == text => Ok(note),
            _ => Err(NoteError::Malformed),
        }
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NoteSigner").field(&self.verifier).finish()
    }
}

const PUBLIC_BYTES: usize = 32;
const ID_BYTES: usize = 4;
const ED25519_TYPE: u8 = 1;
const MARK: &str = "\u{2014} ";

/// As long as a host name may be, which is what a log's name begins with (RFC 1035, section
/// 2.3.4).
const MAX_NAME_BYTES: usize = 255;

/// The text with its newline, and the signature lines.
fn parse(note: &str) -> Result<(&str, &str), NoteError> {
    if note.len() > CHECKPOINT_MAX_BYTES {
        return Err(NoteError::TooLong);
    }
    if note.chars().any(|c| c < ' ' && c != '\n') {
        return Err(NoteError::Malformed);
    }
    let (text, signatures) = split(note).ok_or(NoteError::Malformed)?;
    if signatures.split('\n').count() > MAX_SIGNATURES {
        return Err(NoteError::TooLong);
    }
    Ok((text, signatures))
}

/// Splits at the last empty line: the text with its newline, and the signature lines.
fn split(note: &str) -> Option<(&str, &str)> {
    let body = note.strip_suffix('\n')?;
    let (text, signatures) = body.rsplit_once("\n\n")?;
    // One byte more than the text: its final newline.
    Some((note.get(..=text.len())?, signatures))
}

/// Reads `— name base64(id || signature)`.
fn parse_signature(line: &str) -> Option<(&str, [u8; ID_BYTES], Vec<u8>)> {
    let (name, encoded) = line.strip_prefix(MARK)?.split_once(' ')?;
    let bytes = STANDARD.decode(encoded).ok()?;
    let (id, signature) = bytes.split_first_chunk()?;
    if name.is_empty() || signature.is_empty() {
        return None;
    }
    Some((name, *id, signature.to_vec()))
}

fn hex_id(id: [u8; ID_BYTES]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wycheproof;
