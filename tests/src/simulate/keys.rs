//! A phone's keys: real signatures by keys that are made once for the whole run, and a key store
//! that is slow or locked when the simulation says so.
//!
//! When a certificate is renewed depends on the handset's id, and so on its key. The keys are
//! chosen so that all of them renew within the same two minutes of a certificate's life: with
//! other keys a seed would take another course.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

use candour_core::adapters::memory::MemoryKeys;
use candour_core::identity::Identity;
use candour_core::ports::{KeyError, KeyStore};
use candour_wire::jws::VerifyingKey;
use candour_wire::{HandsetId, Sensitive};
use jiff::{SignedDuration, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::clock::Time;

/// Most phones in one seed.
pub(super) const PHONES_MAX: usize = 4;

struct SigningKey {
    pair: EcdsaKeyPair,
    spki: Vec<u8>,
}

static POOL: LazyLock<Vec<SigningKey>> = LazyLock::new(|| {
    std::iter::repeat_with(SigningKey::make)
        .filter(SigningKey::renews_early)
        .take(PHONES_MAX)
        .collect()
});

impl SigningKey {
    fn make() -> Self {
        let (algorithm, rng) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &rng).expect("there is randomness");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &rng)
            .expect("it was made a moment ago");
        let spki = VerifyingKey::from_point(pair.public_key().as_ref())
            .expect("a P-256 point")
            .spki_der()
            .to_vec();
        Self { pair, spki }
    }

    /// Whether a certificate of 32 days is renewed within two minutes of the earliest time.
    fn renews_early(&self) -> bool {
        let day = SignedDuration::from_hours(24);
        let begin = Timestamp::UNIX_EPOCH;
        let identity = Identity {
            handset: HandsetId::derive(&self.spki),
            department: super::server::department(0),
            chain: Vec::new(),
            authorities: Vec::new(),
            not_before: begin,
            not_after: begin + day * 30,
            obtained: begin,
        };
        identity.renewal_from() < begin + day * 20 + SignedDuration::from_mins(2)
    }
}

/// The keys of one phone.
pub(super) struct SimKeys {
    slot: usize,
    /// Wraps and unwraps; its own signing key is not used.
    wrapping: MemoryKeys,
    made: AtomicBool,
    locked: AtomicBool,
    slow_ms: AtomicI64,
    signatures: AtomicI64,
    time: Time,
}

impl SimKeys {
    pub(super) fn new(slot: usize, time: &Time) -> Arc<Self> {
        Arc::new(Self {
            slot,
            wrapping: MemoryKeys::new(),
            made: AtomicBool::new(false),
            locked: AtomicBool::new(false),
            slow_ms: AtomicI64::new(0),
            signatures: AtomicI64::new(0),
            time: time.clone(),
        })
    }

    pub(super) fn handset(&self) -> HandsetId {
        HandsetId::derive(&self.key().spki)
    }

    pub(super) fn is_locked(&self) -> bool {
        self.locked.load(Ordering::SeqCst)
    }

    pub(super) fn set_locked(&self, locked: bool) {
        self.locked.store(locked, Ordering::SeqCst);
    }

    /// From now on each signature takes this long.
    pub(super) fn set_slow_ms(&self, ms: i64) {
        self.slow_ms.store(ms, Ordering::SeqCst);
    }

    /// How many signatures took their time.
    pub(super) fn take_slow_signatures(&self) -> u64 {
        u64::try_from(self.signatures.swap(0, Ordering::SeqCst)).unwrap_or(0)
    }

    fn key(&self) -> &'static SigningKey {
        POOL.get(self.slot).expect("a slot is below PHONES_MAX")
    }

    fn usable(&self) -> Result<(), KeyError> {
        if self.is_locked() {
            let reason = "locked".to_owned();
            return Err(KeyError::Unavailable { reason });
        }
        if self.made.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err(KeyError::Missing)
        }
    }
}

impl KeyStore for SimKeys {
    fn public_key(&self) -> Result<Option<Vec<u8>>, KeyError> {
        let made = self.made.load(Ordering::SeqCst);
        Ok(made.then(|| self.key().spki.clone()))
    }

    fn create(&self) -> Result<Vec<u8>, KeyError> {
        self.wrapping.create()?;
        self.made.store(true, Ordering::SeqCst);
        Ok(self.key().spki.clone())
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.usable()?;
        let slow = self.slow_ms.load(Ordering::SeqCst);
        if slow > 0 {
            self.time.advance(slow);
            self.signatures.fetch_add(1, Ordering::SeqCst);
        }
        let signature = self.key().pair.sign(&SystemRandom::new(), message);
        signature
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| KeyError::Unavailable {
                reason: "signing failed".to_owned(),
            })
    }

    fn wrap(&self, secret: &Sensitive<Vec<u8>>) -> Result<Vec<u8>, KeyError> {
        self.usable()?;
        self.wrapping.wrap(secret)
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Sensitive<Vec<u8>>, KeyError> {
        self.usable()?;
        self.wrapping.unwrap(wrapped)
    }

    fn destroy(&self) -> Result<(), KeyError> {
        self.made.store(false, Ordering::SeqCst);
        self.wrapping.destroy()
    }
}
