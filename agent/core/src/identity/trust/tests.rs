use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd};
use rustls::crypto::ring::default_provider;

use super::*;
use crate::identity::testing::Authority;

const HOST: &str = "candour.hm-treasury.example";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What a verifier that pins `pins` makes of `leaf` for [`HOST`] and `others`, by a clock that says
/// `clock`, when `passed` is known to have passed; and whether it then suspects the clock.
fn judge(
    pins: &[Digest],
    leaf: &[u8],
    others: &[&[u8]],
    clock: &str,
    passed: &str,
) -> (Result<(), Error>, bool) {
    let suspect = Arc::new(AtomicBool::new(false));
    let verifier = PinnedVerifier::new(
        pins.to_vec(),
        time(passed),
        Arc::new(default_provider()),
        Arc::clone(&suspect),
    );
    let others: Vec<CertificateDer<'_>> = others
        .iter()
        .map(|der| CertificateDer::from(*der))
        .collect();
    let host = ServerName::try_from(HOST).unwrap();
    let verdict =
        verifier.verify_server_cert(&leaf.into(), &others, &host, &[], unix_time(time(clock)));
    (verdict.map(|_| ()), suspect.load(Ordering::Relaxed))
}

/// The same for a department that pins its authority, whose server sends it along.
fn judge_of(
    authority: &Authority,
    leaf: &[u8],
    clock: &str,
    passed: &str,
) -> (Result<(), Error>, bool) {
    judge(&[authority.pin()], leaf, &[&authority.der], clock, passed)
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

const NOW: &str = "2026-11-22T10:00:00Z";
const LAST_SIGNED: &str = "2026-11-20T10:00:00Z";

#[test]
fn the_departments_server_is_trusted_by_its_pin_and_by_the_backup_pin() {
    let (authority, backup) = (Authority::new("CA"), Authority::new("backup CA"));
    let pins = [authority.pin(), backup.pin()];
    for issuer in [&authority, &backup] {
        let leaf = issuer.server(HOST, &key(), |_| {});
        let verdict = judge(&pins, &leaf, &[&issuer.der], NOW, LAST_SIGNED);
        assert_eq!(verdict, (Ok(()), false));
    }
}

#[test]
fn a_foreign_authority_is_not_trusted_even_when_the_pinned_certificate_comes_along() {
    let (authority, foreign) = (Authority::new("CA"), Authority::new("CA"));
    let leaf = foreign.server(HOST, &key(), |_| {});
    for others in [
        vec![foreign.der.as_slice()],
        vec![&foreign.der, &authority.der],
        vec![&authority.der],
        vec![],
    ] {
        let (verdict, _) = judge(&[authority.pin()], &leaf, &others, NOW, LAST_SIGNED);
        assert!(
            matches!(verdict, Err(Error::InvalidCertificate(_))),
            "{verdict:?}"
        );
    }
}

#[test]
fn a_server_that_does_not_send_its_authority_is_not_trusted() {
    let authority = Authority::new("CA");
    let leaf = authority.server(HOST, &key(), |_| {});
    let (verdict, _) = judge(&[authority.pin()], &leaf, &[], NOW, LAST_SIGNED);
    assert_eq!(
        verdict,
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    );
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new("CA");
    let leaf = authority.server("other.example", &key(), |_| {});
    let (verdict, _) = judge_of(&authority, &leaf, NOW, LAST_SIGNED);
    assert_eq!(
        verdict,
        Err(Error::InvalidCertificate(CertificateError::NotValidForName))
    );
}

#[test]
fn a_handsets_certificate_does_not_pass_for_a_servers() {
    let authority = Authority::new("CA");
    for purposes in [vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth], vec![]] {
        let leaf = authority.server(HOST, &key(), |params| params.extended_key_usages = purposes);
        let (verdict, _) = judge_of(&authority, &leaf, NOW, LAST_SIGNED);
        assert_eq!(
            verdict,
            Err(Error::InvalidCertificate(CertificateError::InvalidPurpose))
        );
    }
}

#[test]
fn a_leaf_cannot_issue_another_leaf() {
    let authority = Authority::new("CA");
    let handset = Authority::new("a handset that plays authority");
    let leaf = handset.server(HOST, &key(), |_| {});
    let others = [handset.der.as_slice(), authority.der.as_slice()];
    let (verdict, _) = judge(&[authority.pin()], &leaf, &others, NOW, LAST_SIGNED);
    assert!(verdict.is_err());
}

#[test]
fn a_clock_ten_years_out_either_way_does_not_block_a_sync_and_is_reported() {
    let authority = Authority::new("CA");
    let leaf = authority.server(HOST, &key(), |_| {});
    for passed in [LAST_SIGNED, "2026-11-01T00:00:00Z", "2026-10-01T00:00:00Z"] {
        let verdict = judge_of(&authority, &leaf, "2036-11-22T10:00:00Z", passed);
        assert_eq!(verdict, (Ok(()), true), "ahead, {passed}");
    }
    for clock in [
        "2016-11-22T10:00:00Z",
        "1970-01-01T00:00:00Z",
        "1950-01-01T00:00:00Z",
    ] {
        let verdict = judge_of(&authority, &leaf, clock, LAST_SIGNED);
        assert_eq!(
            verdict,
            (Ok(()), false),
            "behind what the department signed, {clock}"
        );
        let verdict = judge_of(&authority, &leaf, clock, "2026-10-01T00:00:00Z");
        assert_eq!(
            verdict,
            (Ok(()), true),
            "behind the certificate's start, {clock}"
        );
    }
}

#[test]
fn a_certificate_that_expired_before_the_department_last_signed_is_refused_by_every_clock() {
    let authority = Authority::new("CA");
    let leaf = authority.server(HOST, &key(), |params| {
        params.not_after = date_time_ymd(2026, 11, 10)
    });
    for clock in [
        "2016-11-22T10:00:00Z",
        "2026-11-05T00:00:00Z",
        NOW,
        "2036-11-22T10:00:00Z",
    ] {
        let verdict = judge_of(&authority, &leaf, clock, LAST_SIGNED);
        assert_eq!(
            verdict,
            (
                Err(Error::InvalidCertificate(CertificateError::Expired)),
                false
            ),
            "{clock}"
        );
    }
}

#[test]
fn a_wrong_clock_excuses_nothing_but_time() {
    let (authority, foreign) = (Authority::new("CA"), Authority::new("CA"));
    let leaf = foreign.server(HOST, &key(), |_| {});
    let ahead = "2036-11-22T10:00:00Z";
    let (verdict, suspect) = judge(
        &[authority.pin()],
        &leaf,
        &[&foreign.der],
        ahead,
        LAST_SIGNED,
    );
    assert!(verdict.is_err() && !suspect);
    let leaf = authority.server("other.example", &key(), |_| {});
    let (verdict, _) = judge_of(&authority, &leaf, ahead, LAST_SIGNED);
    assert_eq!(
        verdict,
        Err(Error::InvalidCertificate(CertificateError::NotValidForName))
    );
}

#[test]
fn bytes_that_are_no_certificate_are_refused() {
    let authority = Authority::new("CA");
    let leaf = authority.server(HOST, &key(), |_| {});
    for cut in [0, 1, leaf.len() / 2, leaf.len() - 1] {
        let (verdict, _) = judge_of(&authority, &leaf[..cut], NOW, LAST_SIGNED);
        assert!(verdict.is_err(), "{cut}");
    }
    let others = [b"junk".as_slice(), &authority.der];
    assert_eq!(
        judge(&[authority.pin()], &leaf, &others, NOW, LAST_SIGNED),
        (Ok(()), false)
    );
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "it compares a release date with the world outside"
)]
fn the_release_date_has_passed() {
    assert!(RELEASED < Timestamp::now());
    assert_eq!(RELEASED.to_string(), "2026-11-01T00:00:00Z");
    assert_eq!(known_to_have_passed(None), RELEASED);
    assert_eq!(
        known_to_have_passed(Some(time("2016-01-01T00:00:00Z"))),
        RELEASED
    );
    assert_eq!(known_to_have_passed(Some(time(NOW))), time(NOW));
}
