use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Eku, IsCa, Issuer, KeyPair,
    KeyUsagePurpose as Ku, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData as _,
    SanType, date_time_ymd,
};

use super::*;
use crate::identity::ca::Authority;

struct Leaf {
    key: KeyPair,
    params: CertificateParams,
}

impl Leaf {
    fn good() -> Self {
        Self::with_key(&PKCS_ECDSA_P256_SHA256)
    }

    fn with_key(algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2026, 11, 20);
        params.not_after = date_time_ymd(2026, 12, 22);
        params.key_usages = vec![Ku::DigitalSignature];
        params.extended_key_usages = vec![Eku::ClientAuth];
        let handset = HandsetId::derive(&key.subject_public_key_info());
        params.subject_alt_names = vec![san(&format!("urn:candour:handset:hm-treasury:{handset}"))];
        Self { key, params }
    }

    fn check(&self) -> Result<HandsetIdentity, ProfileError> {
        let issuer_key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(CertificateParams::default(), issuer_key);
        check(self.params.signed_by(&self.key, &issuer).unwrap().der())
    }
}

fn san(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

fn broken(change: impl FnOnce(&mut CertificateParams)) -> ProfileError {
    let mut leaf = Leaf::good();
    change(&mut leaf.params);
    leaf.check().unwrap_err()
}

#[test]
fn a_certificate_that_this_server_makes_fits_the_profile() {
    let authority =
        Authority::make("HM Treasury", "2026-11-22T10:00:00Z".parse().unwrap()).unwrap();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let key = VerifyingKey::from_spki_der(&key.subject_public_key_info()).unwrap();
    let department = "hm-treasury".parse().unwrap();
    let issued = authority
        .issue_handset(&key, &department, "2026-11-22T10:00:00Z".parse().unwrap())
        .unwrap();
    let identity = check(&issued.der).unwrap();
    assert_eq!(identity.handset, HandsetId::derive(key.spki_der()));
    assert_eq!((identity.department, identity.key), (department, key));
    assert_eq!(issued.not_after.to_string(), "2026-12-22T10:00:00Z");
}

#[test]
fn only_exactly_client_authentication_will_do() {
    assert!(Leaf::good().check().is_ok());
    assert_eq!(
        broken(|p| p.extended_key_usages.clear()),
        ProfileError::Purpose
    );
    assert_eq!(
        broken(|p| p.extended_key_usages = vec![Eku::ServerAuth]),
        ProfileError::Purpose
    );
    assert_eq!(
        broken(|p| p.extended_key_usages.push(Eku::ServerAuth)),
        ProfileError::Purpose
    );
    assert_eq!(
        broken(|p| p.extended_key_usages = vec![Eku::Any]),
        ProfileError::Purpose
    );
    assert_eq!(
        broken(|p| p.extended_key_usages.push(Eku::Other(vec![1, 3, 6, 1]))),
        ProfileError::Purpose
    );
    assert_eq!(broken(|p| p.key_usages.clear()), ProfileError::Purpose);
    assert_eq!(
        broken(|p| p.key_usages.push(Ku::KeyAgreement)),
        ProfileError::Purpose
    );
}

#[test]
fn an_authoritys_certificate_is_no_handsets() {
    assert_eq!(
        broken(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        ProfileError::Authority
    );
}

#[test]
fn a_key_of_another_curve_is_refused() {
    assert_eq!(
        Leaf::with_key(&PKCS_ECDSA_P384_SHA384).check(),
        Err(ProfileError::Key)
    );
    assert_eq!(
        Leaf::with_key(&rcgen::PKCS_ED25519).check(),
        Err(ProfileError::Key)
    );
}

#[test]
fn the_name_is_exactly_one_handset_and_the_keys_own() {
    assert_eq!(broken(|p| p.subject_alt_names.clear()), ProfileError::Name);
    assert_eq!(
        broken(|p| p.subject_alt_names.push(san("urn:x:y"))),
        ProfileError::Name
    );
    assert_eq!(
        broken(|p| p.subject_alt_names = vec![san("urn:candour:handset:hm-treasury")]),
        ProfileError::Name
    );
    assert_eq!(
        broken(
            |p| p.subject_alt_names = vec![SanType::DnsName("candour.example".try_into().unwrap())]
        ),
        ProfileError::Name
    );
    let other = format!(
        "urn:candour:handset:hm-treasury:{}",
        HandsetId::derive(b"other")
    );
    assert_eq!(
        broken(|p| p.subject_alt_names = vec![san(&other)]),
        ProfileError::OtherHandset
    );
}

#[test]
fn a_long_lived_certificate_is_refused() {
    assert_eq!(
        broken(|p| p.not_after = date_time_ymd(2027, 1, 20)),
        ProfileError::Lifetime
    );
}

#[test]
fn what_is_not_a_certificate_is_refused() {
    assert_eq!(check(b""), Err(ProfileError::Malformed));
    let leaf = Leaf::good();
    let mut der = leaf.params.self_signed(&leaf.key).unwrap().der().to_vec();
    der.push(0);
    assert_eq!(check(&der), Err(ProfileError::Malformed));
}
