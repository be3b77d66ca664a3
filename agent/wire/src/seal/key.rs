//! The department's records key: the half that every handset has, and the half that opens.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, Serializable};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Suite;
use crate::digest::Digest;
use crate::sensitive::Sensitive;

/// Names a records key: the first 16 hexadecimal digits of the SHA-256 of its public half.
///
/// It only tells a department's few keys apart. That nobody swaps the key itself is what the
/// signature of the policy is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordsKeyId(String);

/// A text is not a records key, or its parts do not belong together.
///
/// It never repeats the text, which may be a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecordsKey {
    /// Not 16 lower-case hexadecimal digits.
    #[error("a records key id is 16 lower-case hexadecimal digits")]
    Id,
    /// Not an X-Wing public key.
    #[error("not an X-Wing public key of {PUBLIC_BYTES} bytes in base64url")]
    Public,
    /// Not the text form of a private key.
    #[error("a records key file holds one line, {TEXT_PREFIX}:<id>:<43 characters of base64url>")]
    Private,
    /// The id is another key's: part of it was mistyped or mixed up.
    #[error("the records key id does not belong to this key")]
    Mismatch,
}

impl RecordsKeyId {
    /// The sixteen digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn derive(public: &[u8]) -> Self {
        let mut hex = Digest::of(public).to_hex();
        hex.truncate(ID_CHARS);
        Self(hex)
    }
}

impl TryFrom<String> for RecordsKeyId {
    type Error = InvalidRecordsKey;

    fn try_from(text: String) -> Result<Self, InvalidRecordsKey> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != ID_CHARS || !text.bytes().all(hex) {
            return Err(InvalidRecordsKey::Id);
        }
        Ok(Self(text))
    }
}

impl FromStr for RecordsKeyId {
    type Err = InvalidRecordsKey;

    fn from_str(text: &str) -> Result<Self, InvalidRecordsKey> {
        text.to_owned().try_into()
    }
}

impl From<RecordsKeyId> for String {
    fn from(id: RecordsKeyId) -> Self {
        id.0
    }
}

impl fmt::Display for RecordsKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What handsets seal to. It travels in the signed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PublicText", into = "PublicText")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordsPublicKey {
    /// Name of the key.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    id: RecordsKeyId,
    /// How the department wants content sealed.
    suite: Suite,
    /// The X-Wing public key, 1,216 bytes; base64url in JSON.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    public: Vec<u8>,
}

impl RecordsPublicKey {
    /// Name of the key.
    #[must_use]
    pub const fn id(&self) -> &RecordsKeyId {
        &self.id
    }

    /// How the department wants content sealed.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    pub(super) fn public(&self) -> &[u8] {
        &self.public
    }
}

/// What opens sealed content. Only the records role holds it, never the gateway (invariant I5).
#[derive(Debug)]
pub struct RecordsPrivateKey {
    id: RecordsKeyId,
    public: Vec<u8>,
    /// X-Wing keeps a private key as the seed that both halves are expanded from.
    seed: Sensitive<[u8; SEED_BYTES]>,
}

impl RecordsPrivateKey {
    /// Generates a fresh key.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness to give; nothing safe can be done then.
    #[must_use]
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        let random = SystemRandom::new();
        random
            .fill(seed.as_mut())
            .expect("the operating system gives randomness");
        Self::from_seed(&seed)
    }

    /// Reads the text form, as [`RecordsPrivateKey::to_text`] writes it; spaces and newlines
    /// around it are ignored.
    ///
    /// # Errors
    ///
    /// When it is anything else, or the id is not this key's.
    pub fn from_text(text: &str) -> Result<Self, InvalidRecordsKey> {
        let mut parts = text.trim().split(':');
        let (Some(TEXT_PREFIX), Some(id), Some(encoded), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidRecordsKey::Private);
        };
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        match URL_SAFE_NO_PAD.decode_slice(encoded, seed.as_mut()) {
            Ok(SEED_BYTES) => {}
            _ => return Err(InvalidRecordsKey::Private),
        }
        let key = Self::from_seed(&seed);
        if key.id.as_str() != id {
            return Err(InvalidRecordsKey::Mismatch);
        }
        Ok(key)
    }

    /// The text form, one line without a newline, for a file that only the records role reads.
    #[must_use]
    pub fn to_text(&self) -> Sensitive<String> {
        // With room for all of it from the start, so that growing leaves no copy behind.
        let mut text = String::with_capacity(128);
        text.push_str(TEXT_PREFIX);
        text.push(':');
        text.push_str(self.id.as_str());
        text.push(':');
        // EXPOSE: this is the one way in which the key leaves for its file, still in custody.
        let seed = self.seed.expose();
        let mut encoded = Zeroizing::new([0; SEED_CHARS]);
        URL_SAFE_NO_PAD
            .encode_slice(seed, encoded.as_mut())
            .expect("the length is exact");
        text.extend(encoded.iter().map(|byte| char::from(*byte)));
        Sensitive::new(text)
    }

    /// Name of the key.
    #[must_use]
    pub const fn id(&self) -> &RecordsKeyId {
        &self.id
    }

    /// The half for the policy, asking handsets to seal with `suite`.
    #[must_use]
    pub fn public_key(&self, suite: Suite) -> RecordsPublicKey {
        RecordsPublicKey {
            id: self.id.clone(),
            suite,
            public: self.public.clone(),
        }
    }

    pub(super) const fn seed(&self) -> &Sensitive<[u8; SEED_BYTES]> {
        &self.seed
    }

    pub(super) fn from_seed(seed: &[u8; SEED_BYTES]) -> Self {
        let private = <XWing as Kem>::PrivateKey::from_bytes(seed).expect("a seed is 32 bytes");
        let public = XWing::sk_to_pk(&private).to_bytes().to_vec();
        Self {
            id: RecordsKeyId::derive(&public),
            public,
            seed: Sensitive::new(*seed),
        }
    }
}

const ID_CHARS: usize = 16;
const PUBLIC_BYTES: usize = 1_216;
const SEED_BYTES: usize = 32;
const SEED_CHARS: usize = 43;
const TEXT_PREFIX: &str = "candour-records-key-v1";

/// The form in JSON.
#[derive(Serialize, Deserialize)]
struct PublicText {
    id: RecordsKeyId,
    suite: Suite,
    public: String,
}

impl TryFrom<PublicText> for RecordsPublicKey {
    type Error = InvalidRecordsKey;

    fn try_from(text: PublicText) -> Result<Self, InvalidRecordsKey> {
        let public = URL_SAFE_NO_PAD
            .decode(text.public)
            .map_err(|_| InvalidRecordsKey::Public)?;
        // Also checks what FIPS 203, section 7.2, asks of an encapsulation key.
        <XWing as Kem>::PublicKey::from_bytes(&public).map_err(|_| InvalidRecordsKey::Public)?;
        if RecordsKeyId::derive(&public) != text.id {
            return Err(InvalidRecordsKey::Mismatch);
        }
        Ok(Self {
            id: text.id,
            suite: text.suite,
            public,
        })
    }
}

impl From<RecordsPublicKey> for PublicText {
    fn from(key: RecordsPublicKey) -> Self {
        Self {
            id: key.id,
            suite: key.suite,
            public: URL_SAFE_NO_PAD.encode(key.public),
        }
    }
}
