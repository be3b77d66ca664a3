//! The keys that the server holds in files: the policy key and the log key.
//!
//! Both are made on the spot by `init`; none is ever in the program or in a default.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candour_wire::Sensitive;
use candour_wire::jws::{self, SignError, VerifyingKey};
use candour_wire::log::note::InvalidNoteKey;
use candour_wire::log::{LogSigner, LogVerifier};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _, SigningKey as _};
use ring::rand::{SecureRandom, SystemRandom};

/// A key cannot be made or read. It never repeats the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a P-256 private key in PKCS#8 PEM.
    #[error("the file does not hold a P-256 private key in PEM (PKCS#8)")]
    Signing(#[source] rcgen::Error),
    /// The key is of another kind.
    #[error("the key is not a P-256 key")]
    Curve,
    /// Not a signed-note private key.
    #[error("the file does not hold a log key, PRIVATE+KEY+<name>+<id>+<base64>")]
    Log,
    /// The log's name cannot be one.
    #[error("the log's name cannot be used")]
    LogName(#[source] InvalidNoteKey),
    /// The operating system gave no randomness.
    #[error("the operating system gives no randomness")]
    Random,
}

/// A P-256 key that signs policies (ES256).
pub struct PolicyKey {
    pair: KeyPair,
    verifying: VerifyingKey,
}

impl std::fmt::Debug for PolicyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PolicyKey")
            .field(&self.verifying.key_id())
            .finish()
    }
}

impl PolicyKey {
    /// Makes a fresh key.
    ///
    /// # Errors
    ///
    /// When the operating system gives no randomness.
    pub fn make() -> Result<Self, KeyError> {
        Self::new(make_p256()?)
    }

    /// Reads the text form of [`PolicyKey::to_text`].
    ///
    /// # Errors
    ///
    /// When it is anything else.
    pub fn from_text(text: &Sensitive<String>) -> Result<Self, KeyError> {
        Self::new(p256_from_pem(text)?)
    }

    /// The key in PEM (PKCS#8), for its file.
    #[must_use]
    pub fn to_text(&self) -> Sensitive<String> {
        Sensitive::new(self.pair.serialize_pem())
    }

    /// What checks the signatures; handsets pin it.
    #[must_use]
    pub const fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// Signs a policy's JSON as a bundle.
    ///
    /// # Errors
    ///
    /// When it is too long.
    pub fn sign(&self, payload: &[u8]) -> Result<String, SignError<rcgen::Error>> {
        jws::sign(
            candour_wire::policy::TYP,
            payload,
            &self.verifying,
            |message| self.pair.sign(message),
        )
    }

    fn new(pair: KeyPair) -> Result<Self, KeyError> {
        let verifying = VerifyingKey::from_spki_der(&pair.subject_public_key_info())
            .map_err(|_| KeyError::Curve)?;
        Ok(Self { pair, verifying })
    }
}

/// Makes a P-256 key pair.
///
/// # Errors
///
/// When the operating system gives no randomness.
pub fn make_p256() -> Result<KeyPair, KeyError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| KeyError::Random)
}

/// Reads a P-256 key pair in PEM (PKCS#8).
///
/// # Errors
///
/// When it is anything else.
pub fn p256_from_pem(text: &Sensitive<String>) -> Result<KeyPair, KeyError> {
    // EXPOSE: the key pair is parsed from it.
    let pair = KeyPair::from_pem(text.expose()).map_err(KeyError::Signing)?;
    if pair.is_compatible(&PKCS_ECDSA_P256_SHA256) {
        Ok(pair)
    } else {
        Err(KeyError::Curve)
    }
}

/// The log's Ed25519 key, in the form that other signed-note tools write and read
/// (golang.org/x/mod/sumdb/note).
pub struct LogKey {
    text: Sensitive<String>,
    signer: LogSigner,
}

impl std::fmt::Debug for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LogKey").field(&self.signer).finish()
    }
}

impl LogKey {
    /// Makes a fresh key for the log of that name.
    ///
    /// # Errors
    ///
    /// When the name cannot be a log's, or the operating system gives no randomness.
    pub fn make(origin: &str) -> Result<Self, KeyError> {
        let mut seed = [0; SEED_BYTES];
        SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| KeyError::Random)?;
        Self::new(origin, &Sensitive::new(seed))
    }

    /// Reads the text form of [`LogKey::to_text`].
    ///
    /// # Errors
    ///
    /// When it is anything else, or the id is another key's.
    pub fn from_text(text: &Sensitive<String>) -> Result<Self, KeyError> {
        // EXPOSE: the seed is parsed from it.
        let rest = text
            .expose()
            .trim()
            .strip_prefix(PREFIX)
            .ok_or(KeyError::Log)?;
        let mut parts = rest.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Log);
        };
        let key = Sensitive::new(STANDARD.decode(key).map_err(|_| KeyError::Log)?);
        // EXPOSE: the seed is taken out of the encoding.
        let Some((&ED25519, seed)) = key.expose().split_first() else {
            return Err(KeyError::Log);
        };
        let seed: [u8; SEED_BYTES] = seed.try_into().map_err(|_| KeyError::Log)?;
        let key = Self::new(name, &Sensitive::new(seed))?;
        if key_id(key.verifier()) == id {
            Ok(key)
        } else {
            Err(KeyError::Log)
        }
    }

    /// The key in text form, one line, for its file.
    #[must_use]
    pub const fn to_text(&self) -> &Sensitive<String> {
        &self.text
    }

    /// What checks the checkpoints; handsets pin it.
    #[must_use]
    pub const fn verifier(&self) -> &LogVerifier {
        self.signer.verifier()
    }

    /// What signs the checkpoints.
    #[must_use]
    pub fn into_signer(self) -> LogSigner {
        self.signer
    }

    fn new(name: &str, seed: &Sensitive<[u8; SEED_BYTES]>) -> Result<Self, KeyError> {
        let signer = LogSigner::new(name, seed).map_err(KeyError::LogName)?;
        // EXPOSE: the seed goes into the text form, still in custody.
        let encoded = Sensitive::new([&[ED25519], seed.expose().as_slice()].concat());
        let id = key_id(signer.verifier());
        // EXPOSE: as above.
        let text = Sensitive::new(format!(
            "{PREFIX}{name}+{id}+{}\n",
            STANDARD.encode(encoded.expose())
        ));
        Ok(Self { text, signer })
    }
}

fn key_id(verifier: &LogVerifier) -> String {
    format!("{:08x}", u32::from_be_bytes(verifier.id()))
}

const PREFIX: &str = "PRIVATE+KEY+";
const ED25519: u8 = 1;
const SEED_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_key_comes_back_from_its_text_and_a_foreign_id_is_refused() {
        let key = LogKey::make("candour.hm-treasury.example/log").unwrap();
        let again = LogKey::from_text(key.to_text()).unwrap();
        assert_eq!(again.verifier(), key.verifier());
        let altered = key.to_text().expose().replace("hm-treasury", "hm-treasurx");
        assert!(matches!(
            LogKey::from_text(&altered.into()),
            Err(KeyError::Log)
        ));
        assert!(matches!(
            LogKey::make("two words"),
            Err(KeyError::LogName(_))
        ));
    }

    #[test]
    fn the_published_private_key_of_another_implementation_is_read() {
        // golang.org/x/mod/sumdb/note, the example of the package's documentation.
        let text = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
        let key = LogKey::from_text(&text.into()).unwrap();
        assert_eq!(
            key.verifier().to_string(),
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
        );
    }

    #[test]
    fn a_policy_key_comes_back_from_its_text_and_another_curve_is_refused() {
        let key = PolicyKey::make().unwrap();
        let again = PolicyKey::from_text(&key.to_text()).unwrap();
        assert_eq!(again.verifying_key(), key.verifying_key());
        let other = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        assert!(matches!(
            PolicyKey::from_text(&other.serialize_pem().into()),
            Err(KeyError::Curve)
        ));
    }
}
