use hpke::aead::AesGcm128;
use hpke::kem::X25519HkdfSha256;
use serde_json::Value;

use super::*;
use crate::digest::Digest;

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

fn vectors(json: &str) -> Vec<Value> {
    serde_json::from_str(json).unwrap()
}

/// Gives the bytes of a test vector in place of randomness.
struct Fixed(Vec<u8>);

impl TryRng for Fixed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0.drain(..bytes.len()).collect::<Vec<_>>());
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

fn check_vector<K: Kem, A: Aead>(vector: &Value) {
    let field = |name: &str| hex(vector[name].as_str().unwrap());
    let (info, aad, plaintext) = (field("info"), field("aad"), field("pt"));
    let mut rng = Fixed(field("ikmE"));
    let sealed = Zeroizing::new(plaintext.clone());
    let sealed = hpke_seal::<K, A, _>(&field("pkRm"), &info, &aad, sealed, &mut rng).unwrap();
    assert_eq!(sealed, (field("enc"), field("ct")), "{}", vector["source"]);
    let (enc, ct) = sealed;
    let opened = hpke_open::<K, A>(&field("skRm"), &info, &aad, &enc, &ct).unwrap();
    assert_eq!(*opened, plaintext, "{}", vector["source"]);
}

#[test]
fn published_hpke_vectors_seal_and_open_through_this_code() {
    let vectors = vectors(include_str!("../../tests/vectors/hpke-base.json"));
    for vector in &vectors {
        match (
            vector["kem"].as_str().unwrap(),
            vector["aead"].as_str().unwrap(),
        ) {
            ("X-Wing", "ChaCha20Poly1305") => check_vector::<XWing, ChaCha20Poly1305>(vector),
            ("DHKEM(X25519, HKDF-SHA256)", "AES-128-GCM") => {
                check_vector::<X25519HkdfSha256, AesGcm128>(vector);
            }
            ("DHKEM(X25519, HKDF-SHA256)", "ChaCha20Poly1305") => {
                check_vector::<X25519HkdfSha256, ChaCha20Poly1305>(vector);
            }
            other => panic!("no code path for {other:?}"),
        }
    }
    assert_eq!(vectors.len(), 3);
}

#[test]
fn published_x_wing_vectors_encapsulate_and_decapsulate() {
    let vectors = vectors(include_str!("../../tests/vectors/x-wing.json"));
    for vector in &vectors {
        let field = |name: &str| hex(vector[name].as_str().unwrap());
        let seed: [u8; 32] = field("sk").try_into().unwrap();
        let private = RecordsPrivateKey::from_seed(&seed);
        let public = private.public_key(Suite::XWingAes256Gcm);
        assert_eq!(public.public(), field("pk"));
        let public = <XWing as Kem>::PublicKey::from_bytes(public.public()).unwrap();
        let (secret, enc) =
            XWing::encap_with_rng(&public, None, &mut Fixed(field("eseed"))).unwrap();
        assert_eq!(
            (secret.0.to_vec(), enc.to_bytes().to_vec()),
            (field("ss"), field("ct"))
        );
        let private = <XWing as Kem>::PrivateKey::from_bytes(&seed).unwrap();
        assert_eq!(
            XWing::decap(&private, None, &enc).unwrap().0.to_vec(),
            field("ss")
        );
    }
    assert_eq!(vectors.len(), 3);
}

const SUITES: [Suite; 2] = [Suite::XWingAes256Gcm, Suite::XWingChaCha20Poly1305];

fn record(millis: i64) -> RecordId {
    RecordId::make(jiff::Timestamp::from_millisecond(millis).unwrap())
}

/// A context of a handset's.
fn first_declaration(handset: &HandsetId) -> SealContext<'_> {
    SealContext {
        id: record(1),
        handset,
        kind: Kind::Declaration,
    }
}

#[test]
fn sealed_content_opens_in_its_own_context_and_in_no_other() {
    let private = RecordsPrivateKey::generate();
    let handset = HandsetId::derive(b"key");
    let context = first_declaration(&handset);
    for suite in SUITES {
        let sealed = seal(&private.public_key(suite), &context, b"yes, minister").unwrap();
        let opened = open(&private, &context, &sealed).unwrap();
        // EXPOSE: a test's own text.
        assert_eq!(opened.expose(), b"yes, minister");
        let other_handset = HandsetId::derive(b"other");
        for wrong in [
            SealContext {
                id: record(2),
                ..context
            },
            SealContext {
                handset: &other_handset,
                ..context
            },
            SealContext {
                kind: Kind::Amendment,
                ..context
            },
        ] {
            assert_eq!(open(&private, &wrong, &sealed), Err(OpenError::Altered));
        }
    }
}

#[test]
fn another_key_or_suite_or_any_change_does_not_open() {
    let private = RecordsPrivateKey::generate();
    let handset = HandsetId::derive(b"key");
    let context = first_declaration(&handset);
    let good = seal(&private.public_key(SUITES[0]), &context, b"yes").unwrap();

    let stranger = RecordsPrivateKey::generate();
    assert_eq!(open(&stranger, &context, &good), Err(OpenError::OtherKey));
    let renamed = Sealed {
        key: stranger.id().clone(),
        ..good.clone()
    };
    assert_eq!(open(&stranger, &context, &renamed), Err(OpenError::Altered));

    let other_suite = Sealed {
        suite: SUITES[1],
        ..good.clone()
    };
    assert_eq!(
        open(&private, &context, &other_suite),
        Err(OpenError::Altered)
    );

    // ML-KEM's part of enc, X25519's part, the ciphertext and the tag.
    for position in [0, 500, ENC_BYTES - 1] {
        let mut altered = good.clone();
        altered.enc[position] ^= 1;
        assert_eq!(
            open(&private, &context, &altered),
            Err(OpenError::Altered),
            "enc {position}"
        );
    }
    for position in [0, good.ct.len() - TAG_BYTES, good.ct.len() - 1] {
        let mut altered = good.clone();
        altered.ct[position] ^= 1;
        assert_eq!(
            open(&private, &context, &altered),
            Err(OpenError::Altered),
            "ct {position}"
        );
    }
    let cut = Sealed {
        ct: good.ct[..TAG_BYTES - 1].to_vec(),
        ..good.clone()
    };
    assert_eq!(open(&private, &context, &cut), Err(OpenError::Altered));
}

#[test]
fn each_seal_draws_its_own_randomness() {
    let key = RecordsPrivateKey::generate();
    let handset = HandsetId::derive(b"key");
    let context = first_declaration(&handset);
    for suite in SUITES {
        let public = key.public_key(suite);
        let [one, other] = [(); 2].map(|()| seal(&public, &context, b"the same").unwrap());
        assert_ne!(one.enc, other.enc);
        assert_ne!(one.ct, other.ct);
    }
    let mut longs: Vec<u64> = (0..8).map(|_| SystemRng.try_next_u64().unwrap()).collect();
    let mut shorts: Vec<u32> = (0..8).map(|_| SystemRng.try_next_u32().unwrap()).collect();
    longs.sort_unstable();
    longs.dedup();
    shorts.sort_unstable();
    shorts.dedup();
    // That two of eight are the same happens once in 150 million runs.
    assert_eq!((longs.len(), shorts.len()), (8, 8));
}

#[test]
fn what_the_key_schedule_is_bound_to_is_spelled_out() {
    let key = RecordsPrivateKey::generate();
    let handset = HandsetId::derive(b"key");
    let context = first_declaration(&handset);
    let sealed = seal(
        &key.public_key(Suite::XWingAes256Gcm),
        &context,
        b"what was said",
    )
    .unwrap();
    let opens = |info: &str| {
        // EXPOSE: the key is the test's own.
        let seed = key.seed().expose();
        let (enc, ct) = (&sealed.enc, &sealed.ct);
        hpke_open::<XWing, AesGcm256>(seed, info.as_bytes(), &context.aad(), enc, ct).is_ok()
    };
    assert!(opens(&format!("candour/seal/v1\n{}", key.id())));
    assert!(!opens(&format!("candour/seal/v2\n{}", key.id())));
    assert!(!opens(""));
}

#[test]
fn short_messages_cannot_be_told_apart_by_their_length() {
    let key = RecordsPrivateKey::generate().public_key(SUITES[0]);
    let handset = HandsetId::derive(b"key");
    let context = first_declaration(&handset);
    let length = |text: &str| seal(&key, &context, text.as_bytes()).unwrap().ct.len();
    assert_eq!(
        length("yes"),
        length("no, because the Treasury would not have it")
    );
}

#[test]
fn the_json_of_a_sealed_box_round_trips_and_refuses_other_shapes() {
    let private = RecordsPrivateKey::generate();
    let handset = HandsetId::derive(b"key");
    let context = first_declaration(&handset);
    let longest = vec![b'x'; CONTENT_MAX_BYTES];
    assert_eq!(
        seal(
            &private.public_key(SUITES[0]),
            &context,
            &[longest.as_slice(), b"x"].concat()
        ),
        Err(SealError::TooLong)
    );
    let sealed = seal(&private.public_key(SUITES[0]), &context, &longest).unwrap();
    let json = serde_json::to_value(&sealed).unwrap();
    assert_eq!(json["suite"], "x-wing.hkdf-sha256.aes-256-gcm");
    assert_eq!(json["key"], private.id().as_str());
    assert_eq!(
        serde_json::from_value::<Sealed>(json.clone()).unwrap(),
        sealed
    );

    let with = |member: &str, value: String| {
        let mut json = json.clone();
        json[member] = value.into();
        serde_json::from_value::<Sealed>(json)
    };
    assert!(with("suite", "rot13".into()).is_err());
    assert!(with("key", "0123456789ABCDEF".into()).is_err());
    assert!(with("enc", URL_SAFE_NO_PAD.encode([0; ENC_BYTES - 1])).is_err());
    assert!(with("ct", URL_SAFE_NO_PAD.encode([0; TAG_BYTES])).is_err());
    assert!(with("ct", URL_SAFE_NO_PAD.encode(vec![0; CT_MAX_BYTES + 1])).is_err());
    assert!(with("ct", "not base64url!".into()).is_err());
}

#[test]
fn the_longest_content_still_fits_into_a_record() {
    // Base64url in the payload and again in the JWS, with a generous allowance for the rest.
    let in_payload = (CT_MAX_BYTES + ENC_BYTES).div_ceil(3) * 4 + 8_192;
    assert!(in_payload.div_ceil(3) * 4 <= crate::limits::RECORD_MAX_BYTES);
}

#[test]
fn a_private_key_round_trips_as_text_and_never_shows_itself() {
    let key = RecordsPrivateKey::generate();
    let text = key.to_text();
    // EXPOSE: a test's own key.
    let text = text.expose();
    let back = RecordsPrivateKey::from_text(&format!("{text}\n")).unwrap();
    assert_eq!(back.seed(), key.seed());
    assert_eq!(back.public_key(SUITES[0]), key.public_key(SUITES[0]));
    assert!(!format!("{key:?}").contains(text.rsplit(':').next().unwrap()));

    let id = key.id().as_str();
    let mut other_id = text.clone();
    other_id.replace_range(23..24, if &id[..1] == "0" { "1" } else { "0" });
    assert_eq!(
        RecordsPrivateKey::from_text(&other_id).unwrap_err(),
        InvalidRecordsKey::Mismatch
    );
    for bad in [
        "",
        text.trim_end_matches(|_| true),
        &text[..text.len() - 1],
        &text[1..],
    ] {
        assert_eq!(
            RecordsPrivateKey::from_text(bad).unwrap_err(),
            InvalidRecordsKey::Private
        );
    }
    let longer = format!("{text}:x");
    assert_eq!(
        RecordsPrivateKey::from_text(&longer).unwrap_err(),
        InvalidRecordsKey::Private
    );
}

#[test]
fn a_public_key_that_is_not_what_its_id_says_is_refused() {
    let key = RecordsPrivateKey::generate().public_key(SUITES[1]);
    let json = serde_json::to_value(&key).unwrap();
    assert_eq!(json["suite"], "x-wing.hkdf-sha256.chacha20-poly1305");
    assert_eq!(key.id().as_str(), &Digest::of(key.public()).to_hex()[..16]);
    assert_eq!(
        serde_json::from_value::<RecordsPublicKey>(json.clone()).unwrap(),
        key
    );

    let refusal = |member: &str, value: String| {
        let mut json = json.clone();
        json[member] = value.into();
        serde_json::from_value::<RecordsPublicKey>(json)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal("id", "0123456789abcdef".into()),
        InvalidRecordsKey::Mismatch.to_string()
    );
    let mut swapped = key.public().to_vec();
    swapped[1_215] ^= 1;
    assert_eq!(
        refusal("public", URL_SAFE_NO_PAD.encode(swapped)),
        InvalidRecordsKey::Mismatch.to_string()
    );
    // FIPS 203, section 7.2: coefficients are below 3,329.
    assert_eq!(
        refusal("public", URL_SAFE_NO_PAD.encode([0xff; 1_216])),
        InvalidRecordsKey::Public.to_string()
    );
    assert_eq!(
        refusal("public", String::new()),
        InvalidRecordsKey::Public.to_string()
    );
}
