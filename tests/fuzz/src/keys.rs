//! Keys that everybody knows, so that an input means the same in every run.

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use candour_core::adapters::memory::MemoryKeys;
use candour_core::ports::{KeyError, KeyStore};
use candour_wire::jws::{self, VerifyingKey};
use candour_wire::log::LogSigner;
use candour_wire::{HandsetId, Sensitive};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

/// The key of RFC 7515, appendix A.3: d, x and y.
const D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

struct Pair {
    pair: EcdsaKeyPair,
    public: VerifyingKey,
}

static PAIR: LazyLock<Pair> = LazyLock::new(|| {
    let [d, x, y] = [D, X, Y].map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let point = [&[4], x.as_slice(), &y].concat();
    let (algorithm, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &d, &point, &random);
    Pair {
        pair: pair.unwrap(),
        public: VerifyingKey::from_point(&point).unwrap(),
    }
});

/// The public half; the handset's and the policy's alike.
pub(crate) fn public() -> &'static VerifyingKey {
    &PAIR.public
}

/// The handset that has this key.
pub(crate) fn handset() -> HandsetId {
    HandsetId::derive(public().spki_der())
}

/// An ASN.1 signature by it.
pub(crate) fn sign(message: &[u8]) -> Vec<u8> {
    let signature = PAIR.pair.sign(&SystemRandom::new(), message);
    signature.unwrap().as_ref().to_vec()
}

/// `payload` as a JWS, unless it is too long for one.
pub(crate) fn jws(typ: &str, payload: &[u8]) -> Option<String> {
    jws::sign(typ, payload, public(), |message| Ok::<_, ()>(sign(message))).ok()
}

/// The log's key.
pub(crate) fn log() -> LogSigner {
    LogSigner::new("candour.example/log", &Sensitive::new([7; 32])).unwrap()
}

/// The handset's key store.
pub(crate) struct Keys(MemoryKeys);

impl Keys {
    pub(crate) fn new() -> Arc<Self> {
        let wrapping = MemoryKeys::new();
        wrapping.create().unwrap();
        Arc::new(Self(wrapping))
    }
}

impl KeyStore for Keys {
    fn public_key(&self) -> Result<Option<Vec<u8>>, KeyError> {
        Ok(Some(public().spki_der().to_vec()))
    }

    fn create(&self) -> Result<Vec<u8>, KeyError> {
        Ok(public().spki_der().to_vec())
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(sign(message))
    }

    fn wrap(&self, secret: &Sensitive<Vec<u8>>) -> Result<Vec<u8>, KeyError> {
        self.0.wrap(secret)
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Sensitive<Vec<u8>>, KeyError> {
        self.0.unwrap(wrapped)
    }

    fn destroy(&self) -> Result<(), KeyError> {
        Ok(())
    }
}
