//! Sealing declared content to the department's records key: HPKE base mode (RFC 9180) with
//! X-Wing (X25519 and ML-KEM-768, draft-connolly-cfrg-xwing-kem) as the key encapsulation.
//!
//! Public records outlive today's key exchange, hence the post-quantum half. The suite is named
//! in the envelope, so that it can change.
//!
//! What is bound to a sealed box: the key (through `info`), and the record's id, handset and kind
//! (as associated data), so a gateway cannot move a box from one record into another. What a box
//! tells: nothing but a rough length, because the content is padded first (see `padding`).
//!
//! Anyone may seal to a public key; who wrote the content is what the record's signature says.

mod key;
mod padding;

use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hpke::aead::{Aead, AeadTag, AesGcm256, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::rand_core::{CryptoRng, TryCryptoRng, TryRng, utils};
use hpke::{Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable};
use ring::rand::{SecureRandom, SystemRandom};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::id::{HandsetId, RecordId};
use crate::limits::CONTENT_MAX_BYTES;
use crate::record::Kind;
use crate::sensitive::Sensitive;
pub use key::{InvalidRecordsKey, RecordsKeyId, RecordsPrivateKey, RecordsPublicKey};

/// How content is sealed. All suites share the X-Wing key and HKDF-SHA256, so a key serves each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Suite {
    /// X-Wing (0x647a), HKDF-SHA256 (0x0001), AES-256-GCM (0x0002): for processors with AES
    /// instructions, which is every handset on the market.
    #[serde(rename = "x-wing.hkdf-sha256.aes-256-gcm")]
    XWingAes256Gcm,
    /// X-Wing (0x647a), HKDF-SHA256 (0x0001), ChaCha20-Poly1305 (0x0003).
    #[serde(rename = "x-wing.hkdf-sha256.chacha20-poly1305")]
    XWingChaCha20Poly1305,
}

/// Which record a sealed box belongs to. The box opens in no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealContext<'a> {
    /// The record's id.
    pub id: RecordId,
    /// The handset that declares.
    pub handset: &'a HandsetId,
    /// The record's kind.
    pub kind: Kind,
}

impl SealContext<'_> {
    /// Id and handset have fixed lengths, so the concatenation can be read in one way only.
    fn aad(&self) -> Vec<u8> {
        let parts = [self.id.as_bytes(), self.handset.as_str().as_bytes()];
        [parts[0], parts[1], self.kind.as_str().as_bytes()].concat()
    }
}

/// A sealed box: what the gateway carries and cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "SealedText")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sealed {
    /// How it is sealed.
    pub suite: Suite,
    /// The records key that opens it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub key: RecordsKeyId,
    /// The encapsulated key, 1,120 bytes; base64url in JSON.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    enc: Vec<u8>,
    /// The padded and encrypted content with its tag; base64url in JSON.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    ct: Vec<u8>,
}

/// Why content cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// More than [`CONTENT_MAX_BYTES`].
    #[error("the content is longer than {CONTENT_MAX_BYTES} bytes")]
    TooLong,
    /// The public key does not work.
    #[error("the records key cannot be sealed to")]
    Key,
}

/// Why a box does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It names another key.
    #[error("sealed to another records key")]
    OtherKey,
    /// The box, its suite or the record around it is not what was sealed.
    #[error("the sealed content or the record around it was altered")]
    Altered,
    /// It decrypts, but whoever sealed it padded it in another way than this version does.
    #[error("the sealed content is not padded as version 1 says")]
    Padding,
}

/// Seals `plaintext` so that only the holder of the records key can read it, and only in this
/// context.
///
/// # Errors
///
/// [`SealError`].
///
/// # Panics
///
/// When the operating system has no randomness to give; nothing safe can be done then.
pub fn seal(
    key: &RecordsPublicKey,
    context: &SealContext<'_>,
    plaintext: &[u8],
) -> Result<Sealed, SealError> {
    if plaintext.len() > CONTENT_MAX_BYTES {
        return Err(SealError::TooLong);
    }
    let padded = padding::pad(plaintext);
    let (info, aad) = (info(key.id()), context.aad());
    let seal = match key.suite() {
        Suite::XWingAes256Gcm => hpke_seal::<XWing, AesGcm256, SystemRng>,
        Suite::XWingChaCha20Poly1305 => hpke_seal::<XWing, ChaCha20Poly1305, SystemRng>,
    };
    let (enc, ct) =
        seal(key.public(), &info, &aad, padded, &mut SystemRng).map_err(|_| SealError::Key)?;
    Ok(Sealed {
        suite: key.suite(),
        key: key.id().clone(),
        enc,
        ct,
    })
}

/// Opens a sealed box.
///
/// # Errors
///
/// [`OpenError`]; nothing of the content is returned then.
pub fn open(
    key: &RecordsPrivateKey,
    context: &SealContext<'_>,
    sealed: &Sealed,
) -> Result<Sensitive<Vec<u8>>, OpenError> {
    if sealed.key != *key.id() {
        return Err(OpenError::OtherKey);
    }
    let open = match sealed.suite {
        Suite::XWingAes256Gcm => hpke_open::<XWing, AesGcm256>,
        Suite::XWingChaCha20Poly1305 => hpke_open::<XWing, ChaCha20Poly1305>,
    };
    // EXPOSE: decapsulation needs the private key; it stays on this stack frame.
    let seed = key.seed().expose();
    let padded = open(
        seed,
        &info(key.id()),
        &context.aad(),
        &sealed.enc,
        &sealed.ct,
    )
    .map_err(|_| OpenError::Altered)?;
    padding::unpad(padded).ok_or(OpenError::Padding)
}

/// HPKE base mode, one shot (RFC 9180, section 6.1): returns `enc` and `ct`.
///
/// The plaintext is encrypted where it lies, so no copy of it is left behind.
fn hpke_seal<K: Kem, A: Aead, R: CryptoRng>(
    public: &[u8],
    info: &[u8],
    aad: &[u8],
    mut plaintext: Zeroizing<Vec<u8>>,
    rng: &mut R,
) -> Result<(Vec<u8>, Vec<u8>), HpkeError> {
    let public = K::PublicKey::from_bytes(public)?;
    let buffer = plaintext.as_mut_slice().into();
    let (enc, tag) = hpke::single_shot_seal_inout_detached_with_rng::<A, HkdfSha256, K>(
        &OpModeS::Base,
        &public,
        info,
        buffer,
        aad,
        rng,
    )?;
    let ct = [plaintext.as_slice(), tag.to_bytes().as_slice()].concat();
    Ok((enc.to_bytes().to_vec(), ct))
}

/// HPKE base mode, one shot (RFC 9180, section 6.1): returns the plaintext.
fn hpke_open<K: Kem, A: Aead>(
    private: &[u8],
    info: &[u8],
    aad: &[u8],
    enc: &[u8],
    ct: &[u8],
) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
    let private = K::PrivateKey::from_bytes(private)?;
    let enc = K::EncappedKey::from_bytes(enc)?;
    let length = ct
        .len()
        .checked_sub(AeadTag::<A>::size())
        .ok_or(HpkeError::OpenError)?;
    let (ct, tag) = ct.split_at(length);
    let tag = AeadTag::<A>::from_bytes(tag)?;
    let mut plaintext = Zeroizing::new(ct.to_vec());
    let buffer = plaintext.as_mut_slice().into();
    hpke::single_shot_open_inout_detached::<A, HkdfSha256, K>(
        &OpModeR::Base,
        &private,
        &enc,
        info,
        buffer,
        aad,
        &tag,
    )?;
    Ok(plaintext)
}

fn info(key: &RecordsKeyId) -> Vec<u8> {
    [b"candour/seal/v1\n", key.as_str().as_bytes()].concat()
}

/// The form in JSON.
#[derive(Deserialize)]
struct SealedText {
    suite: Suite,
    key: RecordsKeyId,
    enc: String,
    ct: String,
}

/// A sealed box has the wrong shape.
#[derive(Debug, thiserror::Error)]
#[error("a sealed box has base64url enc of {ENC_BYTES} bytes and ct of at most {CT_MAX_BYTES}")]
struct InvalidSealed;

/// Ciphertext of X-Wing: 1,088 bytes of ML-KEM-768 and 32 of X25519.
const ENC_BYTES: usize = 1_120;

const TAG_BYTES: usize = 16;

/// Longest `ct`: the longest content, padded, and the tag.
const CT_MAX_BYTES: usize = padding::padded_len(CONTENT_MAX_BYTES) + TAG_BYTES;

impl TryFrom<SealedText> for Sealed {
    type Error = InvalidSealed;

    fn try_from(text: SealedText) -> Result<Self, InvalidSealed> {
        let [enc, ct] = [text.enc, text.ct].map(|part| URL_SAFE_NO_PAD.decode(part));
        let (enc, ct) = (
            enc.map_err(|_| InvalidSealed)?,
            ct.map_err(|_| InvalidSealed)?,
        );
        if enc.len() != ENC_BYTES || ct.len() <= TAG_BYTES || ct.len() > CT_MAX_BYTES {
            return Err(InvalidSealed);
        }
        Ok(Self {
            suite: text.suite,
            key: text.key,
            enc,
            ct,
        })
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = serializer.serialize_struct("Sealed", 4)?;
        text.serialize_field("suite", &self.suite)?;
        text.serialize_field("key", &self.key)?;
        text.serialize_field("enc", &URL_SAFE_NO_PAD.encode(&self.enc))?;
        text.serialize_field("ct", &URL_SAFE_NO_PAD.encode(&self.ct))?;
        text.end()
    }
}

/// The operating system's randomness in the form that HPKE asks for.
struct SystemRng;

impl TryRng for SystemRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        SystemRandom::new()
            .fill(bytes)
            .expect("the operating system gives randomness");
        Ok(())
    }
}

impl TryCryptoRng for SystemRng {}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wycheproof;
