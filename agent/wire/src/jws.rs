//! Signing and checking: JWS in compact form (RFC 7515) with ES256 (RFC 7518, section 3.4).
//!
//! One algorithm, one header. The protected header has exactly `alg`, `kid` and `typ`; anything
//! else is refused, so there is nothing to negotiate and nothing to confuse. The checker always
//! knows beforehand whose key and which `typ` it expects; the header can only agree.
//!
//! ECDSA has two valid signatures for each message, `(r, s)` and `(r, n - s)`. Both are accepted,
//! because key stores give either and RFC 7518 asks for neither. A record is therefore known by
//! the digest of its whole JWS, never by its payload alone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::limits::{POLICY_MAX_BYTES, RECORD_MAX_BYTES};

/// Longest JWS that is signed or looked at, in bytes: the longer of the two things that are
/// signed. Callers apply the limit of their own kind first.
pub const MAX_BYTES: usize = if RECORD_MAX_BYTES > POLICY_MAX_BYTES {
    RECORD_MAX_BYTES
} else {
    POLICY_MAX_BYTES
};

/// Signs `payload` and returns the compact JWS.
///
/// `sign_der` gets the bytes to sign and returns an ECDSA P-256 SHA-256 signature of them in
/// ASN.1 DER, which is what Android Keystore, the Secure Enclave and ring give. It is called once,
/// on the caller's thread, and may block on hardware. Its signature is checked with `key` before
/// it is used: a record that was signed by another key could never be delivered.
///
/// # Errors
///
/// [`SignError`]; a failure of `sign_der` comes back as it is.
pub fn sign<E>(
    typ: &str,
    payload: &[u8],
    key: &VerifyingKey,
    sign_der: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<String, SignError<E>> {
    let (signed, signature) = make(typ, payload, key, sign_der)?;
    if key.verifies(signed.as_bytes(), &signature) {
        Ok(compact(signed, &signature))
    } else {
        Err(SignError::OtherKey)
    }
}

/// As [`sign`], for a key store that has been seen to sign with this key: its signature is not
/// checked, which takes longer than signing.
///
/// # Errors
///
/// As [`sign`], but never [`SignError::OtherKey`].
pub fn sign_unchecked<E>(
    typ: &str,
    payload: &[u8],
    key: &VerifyingKey,
    sign_der: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<String, SignError<E>> {
    let (signed, signature) = make(typ, payload, key, sign_der)?;
    Ok(compact(signed, &signature))
}

/// Header and payload as they are signed, and the signature.
fn make<E>(
    typ: &str,
    payload: &[u8],
    key: &VerifyingKey,
    sign_der: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<(String, [u8; 64]), SignError<E>> {
    let header = Header {
        alg: ALG,
        kid: &key.key_id().to_string(),
        typ,
    };
    let header = serde_json::to_vec(&header).expect("three strings serialise");
    let mut signed = URL_SAFE_NO_PAD.encode(header);
    signed.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut signed);
    if signed.len() + ".".len() + SIGNATURE_CHARS > MAX_BYTES {
        return Err(SignError::TooLong);
    }
    let der = sign_der(signed.as_bytes()).map_err(SignError::KeyStore)?;
    let signature = der::signature_to_fixed(&der).ok_or(SignError::NotDer)?;
    Ok((signed, signature))
}

fn compact(mut signed: String, signature: &[u8; 64]) -> String {
    signed.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut signed);
    signed
}

/// Checks a compact JWS and returns its payload.
///
/// # Errors
///
/// [`JwsError`] names the first check that fails. Nothing of the payload is returned then.
pub fn verify(typ: &str, compact: &str, key: &VerifyingKey) -> Result<Vec<u8>, JwsError> {
    if compact.len() > MAX_BYTES {
        return Err(JwsError::TooLong);
    }
    let (signed, signature) = compact.rsplit_once('.').ok_or(JwsError::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(JwsError::Malformed)?;
    // base64url has no dot, so a fourth part fails here.
    let [header, payload, signature] = [header, payload, signature].map(|part| {
        URL_SAFE_NO_PAD
            .decode(part)
            .map_err(|_| JwsError::Malformed)
    });
    let signature = signature?.try_into().map_err(|_| JwsError::Malformed)?;
    let header = header?;
    let header: OwnedHeader = serde_json::from_slice(&header).map_err(|_| JwsError::Header)?;
    if header.alg != ALG {
        return Err(JwsError::Algorithm);
    }
    if header.typ != typ {
        return Err(JwsError::Type);
    }
    if header.kid.parse() != Ok(key.key_id()) {
        return Err(JwsError::Key);
    }
    let payload = payload?;
    if !key.verifies(signed.as_bytes(), &signature) {
        return Err(JwsError::Signature);
    }
    Ok(payload)
}

/// Why something could not be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError<E> {
    /// The JWS would exceed [`MAX_BYTES`].
    #[error("the signed form would be longer than {MAX_BYTES} bytes")]
    TooLong,
    /// The key store failed or refused.
    #[error("the key store did not sign")]
    KeyStore(#[source] E),
    /// The key store returned something else than a DER signature.
    #[error("the key store returned a signature that is not ASN.1 DER")]
    NotDer,
    /// The signature is not this key's.
    #[error("the key store signed with another key than the enrolled one")]
    OtherKey,
}

/// Why a JWS is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than [`MAX_BYTES`].
    #[error("longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Not three parts of canonical base64url without padding, or not a 64-byte signature.
    #[error("not a compact JWS with a 64-byte signature")]
    Malformed,
    /// The header lacks a member, has another one, or has one twice.
    #[error("the header does not have exactly alg, kid and typ")]
    Header,
    /// Another algorithm than ES256.
    #[error("the algorithm is not ES256")]
    Algorithm,
    /// Signed as something else.
    #[error("signed as another type of document")]
    Type,
    /// The header names another key.
    #[error("signed with another key")]
    Key,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
}

/// A P-256 public key that checks signatures.
///
/// That it exists says that the DER is a P-256 key with an uncompressed point. Whether the point
/// is on the curve shows in [`verify`], which then fails; no signature by such a key verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    spki: [u8; SPKI_BYTES],
    id: Digest,
}

/// The bytes are not the DER of a P-256 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a P-256 public key with an uncompressed point")]
pub struct InvalidKey;

impl VerifyingKey {
    /// Reads the DER of a `SubjectPublicKeyInfo` (RFC 5480, section 2): id-ecPublicKey with the
    /// named curve secp256r1 and an uncompressed point, in the one encoding that DER allows.
    ///
    /// # Errors
    ///
    /// When it is any other key or encoding.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, InvalidKey> {
        let spki: [u8; SPKI_BYTES] = der.try_into().map_err(|_| InvalidKey)?;
        if !spki.starts_with(SPKI_PREFIX) || spki.get(SPKI_PREFIX.len()) != Some(&UNCOMPRESSED) {
            return Err(InvalidKey);
        }
        Ok(Self {
            spki,
            id: Digest::of(&spki),
        })
    }

    /// Takes the 65 bytes of an uncompressed point (SEC 1, section 2.3.3), as ring and the Secure
    /// Enclave give it.
    ///
    /// # Errors
    ///
    /// When it is not an uncompressed point of 65 bytes.
    pub fn from_point(point: &[u8]) -> Result<Self, InvalidKey> {
        Self::from_spki_der(&[SPKI_PREFIX, point].concat())
    }

    /// The DER of the `SubjectPublicKeyInfo`: what a handset id is derived from.
    #[must_use]
    pub const fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Digest of [`VerifyingKey::spki_der`]: the `kid` of what the key signs.
    #[must_use]
    pub const fn key_id(&self) -> Digest {
        self.id
    }

    fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let (_, point) = self.spki.split_at(SPKI_PREFIX.len());
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(message, signature)
            .is_ok()
    }
}

const ALG: &str = "ES256";

/// 64 bytes in base64url.
const SIGNATURE_CHARS: usize = 86;

const UNCOMPRESSED: u8 = 4;

const SPKI_BYTES: usize = 91;

/// SEQUENCE { SEQUENCE { id-ecPublicKey, secp256r1 }, BIT STRING without unused bits } up to the
/// first byte of the point (RFC 5480).
const SPKI_PREFIX: &[u8; 26] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
    \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnedHeader {
    alg: String,
    kid: String,
    typ: String,
}

mod der;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wycheproof;
