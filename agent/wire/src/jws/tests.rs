use std::convert::Infallible;

use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

use super::*;

const TYP: &str = "candour-record+jws";

struct TestKey {
    pair: EcdsaKeyPair,
    public: VerifyingKey,
}

impl TestKey {
    fn generate() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random)
                .unwrap();
        let public = VerifyingKey::from_point(pair.public_key().as_ref()).unwrap();
        Self { pair, public }
    }

    fn sign_der(&self, message: &[u8]) -> Result<Vec<u8>, Infallible> {
        Ok(self
            .pair
            .sign(&SystemRandom::new(), message)
            .unwrap()
            .as_ref()
            .to_vec())
    }

    fn sign(&self, payload: &[u8]) -> String {
        sign(TYP, payload, &self.public, |message| self.sign_der(message)).unwrap()
    }

    /// Signs whatever header, as an attacker with an enrolled key could.
    fn sign_with_header(&self, header: &str, payload: &[u8]) -> String {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let der = self.sign_der(signed.as_bytes()).unwrap();
        let signature = der::signature_to_fixed(&der).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn header(&self) -> String {
        format!(
            r#"{{"alg":"ES256","kid":"{}","typ":"{TYP}"}}"#,
            self.public.key_id()
        )
    }

    fn verify(&self, jws: &str) -> Result<Vec<u8>, JwsError> {
        verify(TYP, jws, &self.public)
    }
}

#[test]
fn the_es256_example_of_rfc_7515_verifies() {
    // Appendix A.3. Its header has neither kid nor typ, so only the signature can be checked.
    let jws = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9l\
               eGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCg\
               fTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let x = URL_SAFE_NO_PAD
        .decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")
        .unwrap();
    let y = URL_SAFE_NO_PAD
        .decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
        .unwrap();
    let key = VerifyingKey::from_point(&[vec![4], x, y].concat()).unwrap();
    let (signed, signature) = jws.rsplit_once('.').unwrap();
    let mut signature: [u8; 64] = URL_SAFE_NO_PAD
        .decode(signature)
        .unwrap()
        .try_into()
        .unwrap();
    assert!(key.verifies(signed.as_bytes(), &signature));
    signature[63] ^= 1;
    assert!(!key.verifies(signed.as_bytes(), &signature));
    assert_eq!(verify(TYP, jws, &key), Err(JwsError::Header));
}

#[test]
fn what_is_signed_verifies_and_has_exactly_the_three_header_members() {
    let key = TestKey::generate();
    let jws = key.sign(b"payload");
    assert_eq!(key.verify(&jws).unwrap(), b"payload");
    let header = URL_SAFE_NO_PAD
        .decode(jws.split('.').next().unwrap())
        .unwrap();
    assert_eq!(String::from_utf8(header).unwrap(), key.header());
    assert_eq!(key.verify(&key.sign(b"")).unwrap(), b"");
    let unchecked = sign_unchecked(TYP, b"payload", &key.public, |message| {
        key.sign_der(message)
    });
    assert_eq!(key.verify(&unchecked.unwrap()).unwrap(), b"payload");
}

#[test]
fn a_change_in_any_part_is_noticed() {
    let key = TestKey::generate();
    let jws = key.sign(b"payload");
    for position in 0..jws.len() {
        let mut altered = jws.clone().into_bytes();
        altered[position] = if altered[position] == b'A' {
            b'B'
        } else {
            b'A'
        };
        assert!(
            key.verify(&String::from_utf8(altered).unwrap()).is_err(),
            "at {position}"
        );
        assert!(key.verify(&jws[..position]).is_err(), "cut at {position}");
    }
    for longer in [
        format!("{jws}A"),
        format!("{jws}."),
        format!("{jws}="),
        format!(" {jws}"),
    ] {
        assert!(key.verify(&longer).is_err(), "{longer}");
    }
}

#[test]
fn a_header_with_any_other_member_or_value_is_refused() {
    let key = TestKey::generate();
    let good = key.header();
    assert!(key.verify(&key.sign_with_header(&good, b"x")).is_ok());
    let with =
        |from: &str, to: &str| key.verify(&key.sign_with_header(&good.replace(from, to), b"x"));
    for alg in ["none", "HS256", "ES384", "es256", "ES256K"] {
        assert_eq!(with("ES256", alg), Err(JwsError::Algorithm), "{alg}");
    }
    assert_eq!(with(TYP, "candour-policy+jws"), Err(JwsError::Type));
    assert_eq!(with(TYP, "JWT"), Err(JwsError::Type));
    let other = TestKey::generate().public.key_id().to_string();
    assert_eq!(
        with(&key.public.key_id().to_string(), &other),
        Err(JwsError::Key)
    );
    for extra in [
        r#"{"crit":["exp"],"#,
        r#"{"b64":false,"#,
        r#"{"jwk":{},"#,
        r#"{"x5u":"https://evil.example/","#,
        r#"{"alg":"ES256","#,
    ] {
        assert_eq!(with("{", extra), Err(JwsError::Header), "{extra}");
    }
    assert_eq!(with(&good, "{}"), Err(JwsError::Header));
    assert_eq!(with(&good, "[]"), Err(JwsError::Header));
    assert_eq!(with(&good, ""), Err(JwsError::Header));
}

#[test]
fn another_keys_signature_is_refused_even_under_this_keys_name() {
    let (key, other) = (TestKey::generate(), TestKey::generate());
    assert_eq!(key.verify(&other.sign(b"x")), Err(JwsError::Key));
    assert_eq!(
        key.verify(&other.sign_with_header(&key.header(), b"x")),
        Err(JwsError::Signature)
    );
}

#[test]
fn a_key_store_that_fails_or_signs_with_the_wrong_key_signs_nothing() {
    let (key, other) = (TestKey::generate(), TestKey::generate());
    let signed = |answer: Result<Vec<u8>, &'static str>| sign(TYP, b"x", &key.public, |_| answer);
    assert_eq!(signed(Err("locked")), Err(SignError::KeyStore("locked")));
    assert_eq!(signed(Ok(vec![0; 64])), Err(SignError::NotDer));
    assert_eq!(
        signed(Ok(other.sign_der(b"another message").unwrap())),
        Err(SignError::OtherKey)
    );
    let refused = sign(TYP, b"x", &key.public, |message| other.sign_der(message));
    assert_eq!(refused, Err(SignError::OtherKey));
}

#[test]
fn what_is_too_long_is_neither_signed_nor_read() {
    let key = TestKey::generate();
    let refused = sign(
        TYP,
        &vec![0; MAX_BYTES],
        &key.public,
        |_| -> Result<_, ()> { panic!("the key store is not bothered with it") },
    );
    assert_eq!(refused, Err(SignError::TooLong));
    assert_eq!(
        key.verify(&"A".repeat(MAX_BYTES + 1)),
        Err(JwsError::TooLong)
    );
}

#[test]
fn the_longest_jws_is_signed_and_read_and_one_byte_more_is_not() {
    let key = TestKey::generate();
    let encoded = |bytes: usize| (4 * bytes).div_ceil(3);
    let header = |typ: &str| key.header().replace(TYP, typ);
    let whole = |typ: &str, payload| {
        encoded(header(typ).len()) + 1 + encoded(payload) + 1 + SIGNATURE_CHARS
    };
    for length in [MAX_BYTES, MAX_BYTES + 1] {
        // Base64 skips some lengths; types of different lengths make up for that.
        let near = MAX_BYTES / 4 * 3 - 400..MAX_BYTES / 4 * 3;
        let (typ, payload) = ["t", "ty", "typ"]
            .into_iter()
            .flat_map(|typ| near.clone().map(move |payload| (typ, payload)))
            .find(|(typ, payload)| whole(typ, *payload) == length)
            .unwrap();
        let payload = vec![0; payload];
        let signed = sign(typ, &payload, &key.public, |message| key.sign_der(message));
        let jws = key.sign_with_header(&header(typ), &payload);
        assert_eq!(jws.len(), length);
        let read = verify(typ, &jws, &key.public);
        if length == MAX_BYTES {
            assert_eq!(signed.unwrap().len(), length);
            assert_eq!(read, Ok(payload));
        } else {
            assert_eq!(signed, Err(SignError::TooLong));
            assert_eq!(read, Err(JwsError::TooLong));
        }
    }
}

#[test]
fn only_a_p256_key_with_an_uncompressed_point_is_a_key() {
    let key = TestKey::generate().public;
    assert_eq!(VerifyingKey::from_spki_der(key.spki_der()), Ok(key.clone()));
    assert_eq!(key.key_id(), Digest::of(key.spki_der()));
    for position in 0..=SPKI_PREFIX.len() {
        let mut other = *key.spki_der().first_chunk::<SPKI_BYTES>().unwrap();
        other[position] ^= 1;
        assert_eq!(
            VerifyingKey::from_spki_der(&other),
            Err(InvalidKey),
            "at {position}"
        );
    }
    assert_eq!(
        VerifyingKey::from_spki_der(&key.spki_der()[..90]),
        Err(InvalidKey)
    );
    assert_eq!(
        VerifyingKey::from_spki_der(&[key.spki_der(), &[0]].concat()),
        Err(InvalidKey)
    );
    assert_eq!(VerifyingKey::from_point(&[2; 33]), Err(InvalidKey));
}

#[test]
fn a_point_off_the_curve_verifies_nothing() {
    let off = VerifyingKey::from_point(&[[4].as_slice(), &[1; 64]].concat()).unwrap();
    assert!(!off.verifies(b"x", &[1; 64]));
}

#[test]
fn both_signatures_of_a_message_verify() {
    // n, the order of P-256 (FIPS 186-5, D.1.2.3), to turn s into n - s.
    const ORDER: [u8; 32] = *b"\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\
        \xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";
    let key = TestKey::generate();
    let jws = key.sign(b"x");
    let (signed, signature) = jws.rsplit_once('.').unwrap();
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER).rev() {
        let difference = i16::from(order) - i16::from(*byte) - borrow;
        borrow = i16::from(difference < 0);
        *byte = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let twin = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&signature));
    assert_ne!(twin, jws);
    assert_eq!(key.verify(&twin).unwrap(), b"x");
}

proptest! {
    #[test]
    fn verifying_never_panics(text in "[A-Za-z0-9_.=-]{0,200}|\\PC{0,50}") {
        let key = VerifyingKey::from_point(&[[4].as_slice(), &[1; 64]].concat()).unwrap();
        prop_assert!(verify(TYP, &text, &key).is_err());
    }

    #[test]
    fn any_payload_comes_back(payload in prop::collection::vec(any::<u8>(), 0..300)) {
        // Each run signs afresh, so this also walks through short and long DER integers.
        let key = TestKey::generate();
        prop_assert_eq!(key.verify(&key.sign(&payload)).unwrap(), payload);
    }
}
