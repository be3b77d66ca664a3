//! The certificate request (PKCS#10, RFC 2986), signed behind the key store port.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candour_wire::jws::VerifyingKey;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, PublicKeyData, SignatureAlgorithm, SigningKey,
};

use super::IdentityError;
use crate::ports::{KeyError, KeyStore};

/// A request and the key that it is for.
pub(super) struct Request {
    /// The DER `SubjectPublicKeyInfo`.
    pub(super) spki: Vec<u8>,
    /// The request's DER in base64, as EST sends it.
    pub(super) base64: String,
}

/// Makes the key, unless it is there, and a request for it. Blocks a thread of the blocking pool
/// on the key store.
pub(super) async fn make(keys: Arc<dyn KeyStore>) -> Result<Request, IdentityError> {
    off_the_runtime(keys, |keys| keys.create()).await
}

/// Makes a request for the key that is there. A renewal comes by itself, and a key that it made
/// in place of one that is missing would leave everything that the missing one wrapped unreadable.
pub(super) async fn make_for_enrolled(keys: Arc<dyn KeyStore>) -> Result<Request, IdentityError> {
    off_the_runtime(keys, |keys| keys.public_key()?.ok_or(KeyError::Missing)).await
}

async fn off_the_runtime(
    keys: Arc<dyn KeyStore>,
    spki: impl FnOnce(&dyn KeyStore) -> Result<Vec<u8>, KeyError> + Send + 'static,
) -> Result<Request, IdentityError> {
    tokio::task::spawn_blocking(move || make_blocking(keys.as_ref(), spki(keys.as_ref())?))
        .await
        .map_err(|_| KeyError::Unavailable {
            reason: "the key store stopped while signing".to_owned(),
        })?
}

/// Signs a request for the key store's key, on the caller's thread.
fn make_blocking(keys: &dyn KeyStore, spki: Vec<u8>) -> Result<Request, IdentityError> {
    let key = VerifyingKey::from_spki_der(&spki).map_err(|_| KeyError::Unavailable {
        reason: "the key is not an ECDSA P-256 key".to_owned(),
    })?;
    let point = key
        .spki_der()
        .last_chunk::<POINT_BYTES>()
        .expect("the encoding of a P-256 key ends in its point");
    let signer = Signer {
        keys,
        point: point.to_vec(),
        failure: Mutex::new(None),
    };
    let mut params = CertificateParams::default();
    // The server names the handset from its key; the subject only helps a person who looks.
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(
        DnType::CommonName,
        candour_wire::HandsetId::derive(&spki).to_string(),
    );
    let request = params
        .serialize_request(&signer)
        .map_err(|error| signer.cause(error))?;
    Ok(Request {
        base64: STANDARD.encode(request.der()),
        spki,
    })
}

/// Length of an uncompressed P-256 point (SEC 1, section 2.3.3).
const POINT_BYTES: usize = 65;

/// The key store as rcgen wants it.
struct Signer<'a> {
    keys: &'a dyn KeyStore,
    /// The uncompressed point of the public key.
    point: Vec<u8>,
    /// Why the key store did not sign: rcgen's error has no room for it.
    failure: Mutex<Option<KeyError>>,
}

impl Signer<'_> {
    fn cause(&self, error: rcgen::Error) -> IdentityError {
        let failure = self
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        failure.map_or(IdentityError::Request(error), IdentityError::Key)
    }
}

impl PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.keys.sign(message).map_err(|error| {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            rcgen::Error::RemoteKeyError
        })
    }
}
