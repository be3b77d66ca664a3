use candour_wire::jws::{self, VerifyingKey};

use super::*;
use crate::adapters::memory::MemoryKeys;

fn secret() -> Sensitive<Vec<u8>> {
    Sensitive::new(b"an epoch's key".to_vec())
}

/// What every key store keeps to.
fn conforms(keys: &dyn KeyStore) {
    assert_eq!(keys.public_key().unwrap(), None);
    assert!(matches!(keys.sign(b"m"), Err(KeyError::Missing)));
    assert!(matches!(keys.wrap(&secret()), Err(KeyError::Missing)));
    let spki = keys.create().unwrap();
    assert_eq!(keys.create().unwrap(), spki, "made once");
    assert_eq!(keys.public_key().unwrap(), Some(spki.clone()));
    let key = VerifyingKey::from_spki_der(&spki).unwrap();
    let jws = jws::sign("t", b"payload", &key, |message| keys.sign(message)).unwrap();
    assert_eq!(jws::verify("t", &jws, &key).unwrap(), b"payload");
    let wrapped = keys.wrap(&secret()).unwrap();
    assert_ne!(keys.wrap(&secret()).unwrap(), wrapped);
    assert_eq!(keys.unwrap(&wrapped).unwrap(), secret());
    for bit in 0..wrapped.len() * 8 {
        let mut flipped = wrapped.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(keys.unwrap(&flipped), Err(KeyError::Unwrap)));
    }
    assert!(matches!(keys.unwrap(&[]), Err(KeyError::Unwrap)));
    keys.destroy().unwrap();
    keys.destroy().unwrap();
    assert!(matches!(keys.unwrap(&wrapped), Err(KeyError::Missing)));
    assert_ne!(keys.create().unwrap(), spki);
    assert!(
        matches!(keys.unwrap(&wrapped), Err(KeyError::Unwrap)),
        "another phone's"
    );
}

#[test]
fn both_key_stores_keep_to_the_port() {
    let dir = tempfile::tempdir().unwrap();
    conforms(&SoftwareKeys::open(&dir.path().join("keys")));
    conforms(&MemoryKeys::new());
}

#[test]
fn keys_are_the_same_after_a_restart_and_private_to_their_owner() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("keys");
    let first = SoftwareKeys::open(&dir);
    let spki = first.create().unwrap();
    let wrapped = first.wrap(&secret()).unwrap();
    let second = SoftwareKeys::open(&dir);
    assert_eq!(second.public_key().unwrap(), Some(spki));
    assert_eq!(second.unwrap(&wrapped).unwrap(), secret());
    assert_eq!(
        fs::metadata(&dir).unwrap().permissions().mode() & 0o777,
        0o700
    );
    for path in pair(&dir) {
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[test]
fn a_key_that_others_could_read_is_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let keys = SoftwareKeys::open(dir.path());
    keys.create().unwrap();
    for path in pair(dir.path()) {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = SoftwareKeys::open(dir.path()).sign(b"m").unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
        assert!(
            SoftwareKeys::open(dir.path()).create().is_err(),
            "nor replaced"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    SoftwareKeys::open(dir.path()).sign(b"m").unwrap();
}

#[test]
fn what_a_crash_left_of_making_keys_is_cleared_away() {
    let dir = tempfile::tempdir().unwrap();
    let keys = SoftwareKeys::open(&dir.path().join("keys"));
    let unfinished = keys.unfinished_dir();
    fs::create_dir(&unfinished).unwrap();
    fs::write(unfinished.join("signing.p8"), b"half of a pair").unwrap();
    assert_eq!(keys.public_key().unwrap(), None);
    let spki = keys.create().unwrap();
    assert_eq!(keys.public_key().unwrap(), Some(spki));
    assert!(!unfinished.exists());
    fs::create_dir(&unfinished).unwrap();
    keys.destroy().unwrap();
    assert!(!unfinished.exists());
}

#[test]
fn destroyed_keys_leave_no_directory_but_one_that_holds_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("keys");
    let keys = SoftwareKeys::open(&dir);
    keys.create().unwrap();
    keys.destroy().unwrap();
    assert!(!dir.exists());
    keys.create().unwrap();
    fs::write(dir.join("notes.txt"), b"the holder's").unwrap();
    keys.destroy().unwrap();
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
}

#[test]
fn half_a_pair_is_refused_and_kept() {
    for lost in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        let keys = SoftwareKeys::open(dir.path());
        let spki = keys.create().unwrap();
        let pair = pair(dir.path());
        let saved = fs::read(&pair[lost]).unwrap();
        fs::remove_file(&pair[lost]).unwrap();
        let again = SoftwareKeys::open(dir.path());
        let refused = again.create().unwrap_err();
        assert!(refused.to_string().contains("backup"), "{refused}");
        assert!(!pair[lost].exists() && pair[1 - lost].exists());
        files::write_atomically(&pair[lost], &saved).unwrap();
        assert_eq!(again.create().unwrap(), spki, "back from the backup");
    }
}

#[test]
fn a_damaged_key_file_is_reported_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let keys = SoftwareKeys::open(dir.path());
    keys.create().unwrap();
    let [signing, _] = pair(dir.path());
    fs::write(&signing, b"not a key").unwrap();
    let keys = SoftwareKeys::open(dir.path());
    assert!(matches!(keys.create(), Err(KeyError::Unavailable { .. })));
    assert_eq!(fs::read(&signing).unwrap(), b"not a key");
}
