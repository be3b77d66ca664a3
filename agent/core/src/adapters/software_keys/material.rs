//! The keys themselves, wherever they are kept.

use candour_wire::Sensitive;
use candour_wire::jws::VerifyingKey;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use zeroize::Zeroizing;

use crate::ports::KeyError;

/// A signing key and a wrapping key. ring does not wipe the signing key when it is dropped.
pub(crate) struct KeyMaterial {
    signing: EcdsaKeyPair,
    public: VerifyingKey,
    wrapping: WrappingKey,
}

impl KeyMaterial {
    /// Takes the PKCS#8 document of a P-256 key.
    pub(crate) fn new(signing: &[u8], wrapping: WrappingKey) -> Result<Self, KeyError> {
        let damaged = || unavailable("the signing key is not a P-256 key");
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let signing = EcdsaKeyPair::from_pkcs8(algorithm, signing, &SystemRandom::new())
            .map_err(|_| damaged())?;
        let public =
            VerifyingKey::from_point(signing.public_key().as_ref()).map_err(|_| damaged())?;
        Ok(Self {
            signing,
            public,
            wrapping,
        })
    }

    /// DER of the `SubjectPublicKeyInfo`.
    pub(crate) fn public_key(&self) -> Vec<u8> {
        self.public.spki_der().to_vec()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self.signing.sign(&SystemRandom::new(), message);
        signature
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| unavailable("signing failed"))
    }

    pub(crate) const fn wrapping(&self) -> &WrappingKey {
        &self.wrapping
    }
}

/// Makes a P-256 key; returns its PKCS#8 document.
///
/// ring's own copy of the document lies on the stack and is not wiped: ring gives no way to, and
/// only lends it to be read. It is overwritten by what uses the stack next. A key is made
/// once in a phone's life, and hardware stores make theirs elsewhere.
pub(crate) fn make_signing_key() -> Result<Sensitive<Vec<u8>>, KeyError> {
    let document =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
            .map_err(|_| unavailable("no randomness"))?;
    Ok(Sensitive::new(document.as_ref().to_vec()))
}

/// Encrypts short secrets: `version (1) ‖ nonce (12) ‖ AES-256-GCM`.
///
/// The nonce is random. That is sound for up to 2³² secrets under one key (NIST SP 800-38D,
/// section 8.3); an epoch key a month will not get there.
pub(crate) struct WrappingKey(Sensitive<[u8; WRAPPING_BYTES]>);

const WRAPPING_BYTES: usize = 32;
const VERSION: u8 = 1;
const LABEL: &[u8] = b"candour/wrap/v1";

impl WrappingKey {
    pub(crate) fn make() -> Result<Self, KeyError> {
        let mut key = Zeroizing::new([0; WRAPPING_BYTES]);
        SystemRandom::new()
            .fill(key.as_mut())
            .map_err(|_| unavailable("no randomness"))?;
        Ok(Self(Sensitive::new(*key)))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let key = bytes
            .try_into()
            .map_err(|_| unavailable("the wrapping key is not 32 bytes"))?;
        Ok(Self(Sensitive::new(key)))
    }

    pub(crate) const fn bytes(&self) -> &Sensitive<[u8; WRAPPING_BYTES]> {
        &self.0
    }

    pub(crate) fn wrap(&self, secret: &Sensitive<Vec<u8>>) -> Result<Vec<u8>, KeyError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| unavailable("no randomness"))?;
        // EXPOSE: it is encrypted, in a copy that is wiped if that fails.
        let mut body = Zeroizing::new(secret.expose().clone());
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .cipher()
            .seal_in_place_separate_tag(nonce_used, Aad::from(LABEL), &mut body)
            .map_err(|_| unavailable("the secret is too long"))?;
        Ok([&[VERSION], nonce.as_slice(), &body, tag.as_ref()].concat())
    }

    pub(crate) fn unwrap(&self, wrapped: &[u8]) -> Result<Sensitive<Vec<u8>>, KeyError> {
        let (version, rest) = wrapped.split_first().ok_or(KeyError::Unwrap)?;
        let (nonce, body) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(KeyError::Unwrap)?;
        if *version != VERSION {
            return Err(KeyError::Unwrap);
        }
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self
            .cipher()
            .open_in_place(nonce, Aad::from(LABEL), &mut body);
        plain
            .map(|plain| Sensitive::new(plain.to_vec()))
            .map_err(|_| KeyError::Unwrap)
    }

    fn cipher(&self) -> LessSafeKey {
        // EXPOSE: the cipher takes the key.
        let key = UnboundKey::new(&AES_256_GCM, self.0.expose()).expect("a key is 32 bytes");
        LessSafeKey::new(key)
    }
}

fn unavailable(reason: &str) -> KeyError {
    KeyError::Unavailable {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod wycheproof;
