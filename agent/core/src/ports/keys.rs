//! The port to the handset's keys.

use candour_wire::{Code, Sensitive};

/// A key operation failed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no key yet, or it has been destroyed.
    #[error("there is no key")]
    Missing,
    /// The platform refuses for now: locked, busy, or the user has not agreed.
    #[error("the key cannot be used now: {reason}")]
    Unavailable {
        /// The platform's own words; never key material.
        reason: String,
    },
    /// What was to be unwrapped was not wrapped by this key.
    #[error("the wrapped key is damaged or of another phone")]
    Unwrap,
}

impl KeyError {
    /// The stable code; the only place that decides it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Missing => Code::NotEnrolled,
            Self::Unavailable { .. } | Self::Unwrap => Code::KeyUnavailable,
        }
    }
}

/// The handset's keys. The private keys never leave the implementation.
///
/// Each call may block on hardware for hundreds of milliseconds, and none may be made on an
/// async runtime that has only one thread.
pub trait KeyStore: Send + Sync {
    /// The DER `SubjectPublicKeyInfo` of the P-256 signing key; `None` where there is none yet.
    ///
    /// # Errors
    ///
    /// When the platform does not give access.
    fn public_key(&self) -> Result<Option<Vec<u8>>, KeyError>;

    /// Makes the signing key and the wrapping key, unless they are there already, and returns
    /// the DER `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    ///
    /// When the platform cannot make or keep them.
    fn create(&self) -> Result<Vec<u8>, KeyError>;

    /// Signs `message` (not a digest of it) with ECDSA P-256 and SHA-256; returns ASN.1 DER.
    ///
    /// # Errors
    ///
    /// When there is no key, or the platform does not let it be used.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;

    /// Encrypts a short secret under a key that this port holds.
    ///
    /// # Errors
    ///
    /// When there is no key, or the platform does not let it be used.
    fn wrap(&self, secret: &Sensitive<Vec<u8>>) -> Result<Vec<u8>, KeyError>;

    /// Decrypts what [`KeyStore::wrap`] made.
    ///
    /// # Errors
    ///
    /// When there is no key, it may not be used, or the bytes are not its own.
    fn unwrap(&self, wrapped: &[u8]) -> Result<Sensitive<Vec<u8>>, KeyError>;

    /// Destroys all keys. What they wrapped cannot be read again. Does nothing where there are
    /// none.
    ///
    /// # Errors
    ///
    /// When the platform cannot remove them.
    fn destroy(&self) -> Result<(), KeyError>;
}
