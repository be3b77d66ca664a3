use std::io::Cursor;

use proptest::prelude::*;

use super::*;

const SEALED_CHUNK: usize = CHUNK_BYTES + MAX_TAG_LEN;

fn key() -> AttachmentKey {
    AttachmentKey(Sensitive::new([7; KEY_BYTES]))
}

fn encrypted(plaintext: &[u8]) -> (Vec<u8>, AttachmentSummary) {
    let mut ciphertext = Vec::new();
    let summary = encrypt_with(key(), *b"prefix!", plaintext, &mut ciphertext).unwrap();
    (ciphertext, summary)
}

fn decrypted(ciphertext: &[u8]) -> Result<Vec<u8>, DecryptError> {
    let mut plaintext = Vec::new();
    let result = decrypt(&key(), ciphertext, &mut plaintext)?;
    assert_eq!(result.plaintext, Digest::of(&plaintext));
    assert_eq!(result.plaintext_bytes, plaintext.len() as u64);
    Ok(plaintext)
}

fn altered(ciphertext: &[u8]) -> bool {
    matches!(decrypted(ciphertext), Err(DecryptError::Altered))
}

/// A reader that gives a few bytes at a time and is interrupted in between.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        if self.1.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let room = buffer.len().min(1_000);
        self.0.read(&mut buffer[..room])
    }
}

#[test]
fn the_format_is_what_the_module_says() {
    // Written out with nothing but the cipher, so that the format cannot drift unnoticed.
    let plaintext = vec![b'x'; CHUNK_BYTES + 5];
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; KEY_BYTES]).unwrap());
    let mut expected = b"\x01prefix!".to_vec();
    for (chunk, tail) in [
        (&plaintext[..CHUNK_BYTES], [0, 0, 0, 0, 0]),
        (&[b'x'; 5], [0, 0, 0, 1, 1]),
    ] {
        let nonce: [u8; 12] = [b"prefix!".as_slice(), &tail].concat().try_into().unwrap();
        let mut sealed = chunk.to_vec();
        cipher
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut sealed,
            )
            .unwrap();
        expected.extend(sealed);
    }
    let (ciphertext, summary) = encrypted(&plaintext);
    assert_eq!(ciphertext, expected);
    assert_eq!(summary.ciphertext, Digest::of(&ciphertext));
    assert_eq!(summary.plaintext, Digest::of(&plaintext));
    assert_eq!(summary.plaintext_bytes, plaintext.len() as u64);
}

#[test]
fn lengths_around_a_chunk_round_trip_and_have_the_length_foretold() {
    for length in [
        0,
        1,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        3 * CHUNK_BYTES,
    ] {
        let plaintext = vec![b'x'; length];
        let (ciphertext, summary) = encrypted(&plaintext);
        assert_eq!(summary.ciphertext_bytes, ciphertext.len() as u64);
        assert_eq!(ciphertext_len(length as u64), ciphertext.len() as u64);
        assert_eq!(decrypted(&ciphertext).unwrap(), plaintext);
    }
}

#[test]
fn readers_that_give_little_at_a_time_make_no_difference() {
    let plaintext = vec![b'x'; 2 * CHUNK_BYTES + 9];
    let (expected, _) = encrypted(&plaintext);
    let mut ciphertext = Vec::new();
    encrypt_with(key(), *b"prefix!", Trickle(&plaintext, 0), &mut ciphertext).unwrap();
    assert_eq!(ciphertext, expected);
    let mut back = Vec::new();
    decrypt(&key(), Trickle(&ciphertext, 0), &mut back).unwrap();
    assert_eq!(back, plaintext);
}

#[test]
fn a_missing_moved_repeated_or_added_chunk_is_noticed() {
    let plaintext: Vec<u8> = (0..3).flat_map(|chunk| [chunk; CHUNK_BYTES]).collect();
    let (ciphertext, _) = encrypted(&plaintext);
    let (header, body) = ciphertext.split_at(HEADER_BYTES);
    let chunks: Vec<&[u8]> = body.chunks(SEALED_CHUNK).collect();
    let [a, b, c] = chunks[..] else {
        panic!("three chunks")
    };
    let file = |chunks: &[&[u8]]| [header, &chunks.concat()].concat();
    assert_eq!(decrypted(&file(&[a, b, c])).unwrap(), plaintext);
    for wrong in [
        vec![],
        vec![a],
        vec![a, b],
        vec![b, c],
        vec![c],
        vec![a, c],
        vec![b, a, c],
        vec![a, a, b, c],
        vec![a, b, c, c],
        vec![a, b, c, b"x"],
        vec![a, b, c, &[0; 16]],
        vec![a, b, &c[..SEALED_CHUNK - 1]],
    ] {
        assert!(altered(&file(&wrong)));
    }
}

#[test]
fn a_full_last_chunk_may_not_be_followed_by_an_empty_one() {
    // Authentic in every chunk, but a second encoding of the same plaintext.
    let cipher = key().cipher();
    let mut nonces = Nonces {
        prefix: *b"prefix!",
        next: 0,
    };
    let mut file = b"\x01prefix!".to_vec();
    for (mut chunk, last) in [(vec![b'x'; CHUNK_BYTES], false), (vec![], true)] {
        cipher
            .seal_in_place_append_tag(nonces.make(last).unwrap(), Aad::empty(), &mut chunk)
            .unwrap();
        file.extend(chunk);
    }
    assert!(altered(&file));
}

#[test]
fn another_key_header_or_version_is_refused() {
    let (ciphertext, _) = encrypted(b"file");
    let other = AttachmentKey(Sensitive::new([8; KEY_BYTES]));
    assert!(matches!(
        decrypt(&other, ciphertext.as_slice(), io::sink()),
        Err(DecryptError::Altered)
    ));
    for position in 1..ciphertext.len() {
        let mut changed = ciphertext.clone();
        changed[position] ^= 1;
        assert!(altered(&changed), "at {position}");
    }
    let mut version = ciphertext.clone();
    version[0] = 2;
    assert!(matches!(decrypted(&version), Err(DecryptError::Version)));
    for length in 0..ciphertext.len() {
        assert!(altered(&ciphertext[..length]), "cut at {length}");
    }
}

#[test]
fn two_encryptions_of_one_file_have_nothing_in_common() {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let one = encrypt(b"file".as_slice(), &mut first).unwrap();
    let two = encrypt(b"file".as_slice(), &mut second).unwrap();
    assert_ne!(one.key, two.key);
    assert_ne!(one.ciphertext, two.ciphertext);
    assert_eq!(one.plaintext, two.plaintext);
    let mut back = Vec::new();
    decrypt(&one.key, first.as_slice(), &mut back).unwrap();
    assert_eq!(back, b"file");
}

#[test]
fn a_file_beyond_the_limit_is_not_encrypted() {
    let endless = io::repeat(0).take(ATTACHMENT_MAX_BYTES + 1);
    assert!(matches!(
        encrypt(endless, io::sink()),
        Err(EncryptError::TooLong)
    ));
}

#[test]
fn a_file_as_long_as_the_limit_comes_back() {
    let mut ciphertext = Vec::new();
    let longest = io::repeat(0).take(ATTACHMENT_MAX_BYTES);
    encrypt_with(key(), *b"prefix!", longest, &mut ciphertext).unwrap();
    let opened = decrypt(&key(), &ciphertext[..], io::sink()).unwrap();
    assert_eq!(opened.plaintext_bytes, ATTACHMENT_MAX_BYTES);
}

#[test]
fn failures_of_reader_and_writer_are_told_apart() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    assert!(matches!(
        encrypt(Broken, io::sink()),
        Err(EncryptError::Read(_))
    ));
    assert!(matches!(
        decrypt(&key(), Broken, io::sink()),
        Err(DecryptError::Read(_))
    ));
    let full = || Cursor::new([0_u8; 4]);
    let mut space = full();
    assert!(matches!(
        encrypt(b"file".as_slice(), space.get_mut().as_mut_slice()),
        Err(EncryptError::Write(_))
    ));
    let (ciphertext, _) = encrypted(b"a longer file");
    assert!(matches!(
        decrypt(
            &key(),
            ciphertext.as_slice(),
            full().get_mut().as_mut_slice()
        ),
        Err(DecryptError::Write(_))
    ));
}

#[test]
fn a_key_round_trips_in_json_and_never_shows_itself() {
    let json = serde_json::to_string(&key()).unwrap();
    assert_eq!(
        json,
        format!("\"{}\"", URL_SAFE_NO_PAD.encode([7; KEY_BYTES]))
    );
    assert_eq!(serde_json::from_str::<AttachmentKey>(&json).unwrap(), key());
    assert!(!format!("{:?}", key()).contains('7'));
    for bad in ["\"\"", "\"BwcH\"", "[7]", &json.replace('c', "=")] {
        let refusal = serde_json::from_str::<AttachmentKey>(bad)
            .unwrap_err()
            .to_string();
        assert!(!refusal.contains("BwcH"), "{refusal}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_file_comes_back(
        plaintext in prop::collection::vec(any::<u8>(), 0..3 * CHUNK_BYTES),
        cut in any::<prop::sample::Index>(),
    ) {
        let (ciphertext, _) = encrypted(&plaintext);
        prop_assert_eq!(decrypted(&ciphertext).unwrap(), plaintext);
        prop_assert!(altered(&ciphertext[..cut.index(ciphertext.len())]));
    }

    #[test]
    fn decrypting_never_panics(ciphertext in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decrypted(&ciphertext).is_err());
    }
}
