//! Enrolment with good and bad tokens and requests, and renewal.

use candour_core::sync::RenewalOutcome;
use candour_tests::raw::{certificate_request, certificates, simple_enrol};
use candour_tests::{Handset, RawHandset};
use candour_wire::{Code, Digest, HandsetId, Sensitive};
use http::Request;
use jiff::SignedDuration;
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PublicKeyData as _};

use crate::department;

#[tokio::test(flavor = "multi_thread")]
async fn a_used_wrong_or_missing_token_enrols_nobody() {
    let department = department();
    let token = department.token();
    let (first, second) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());

    let enrolled = simple_enrol(&department, &token, certificate_request(&first)).await;
    assert_eq!(enrolled.status, 200, "{}", enrolled.text());

    let used = simple_enrol(&department, &token, certificate_request(&second)).await;
    assert_eq!(
        (used.status.as_u16(), used.problem().as_str()),
        (401, "token_used")
    );
    assert!(
        used.header("www-authenticate")
            .is_some_and(|value| value.starts_with("Basic"))
    );

    let wrong = simple_enrol(&department, "not-a-token", certificate_request(&second)).await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.problem().as_str()),
        (401, "token_unknown")
    );

    let post =
        Request::post("/.well-known/est/simpleenroll").header("content-type", "application/pkcs10");
    let missing = department
        .connect_public()
        .await
        .send(post, certificate_request(&second))
        .await
        .unwrap();
    assert_eq!(
        (missing.status.as_u16(), missing.problem().as_str()),
        (401, "token_missing")
    );

    let listed = department
        .command(&["handset", "list", "--json"])
        .succeeded()
        .stdout;
    let id = |key: &KeyPair| HandsetId::derive(&key.subject_public_key_info()).to_string();
    assert!(listed.contains(&id(&first)), "{listed}");
    assert!(!listed.contains(&id(&second)), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_expired_enrols_nobody() {
    let department = department();
    let token = department.token_valid_for("0s");
    let key = KeyPair::generate().unwrap();
    let reply = simple_enrol(&department, &token, certificate_request(&key)).await;
    assert_eq!(
        (reply.status.as_u16(), reply.problem().as_str()),
        (401, "token_expired")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_whose_reply_was_lost_is_repeated_with_the_same_token_and_key() {
    let department = department();
    let (token, key) = (department.token(), KeyPair::generate().unwrap());
    let mut seen = Vec::new();
    for _ in 0..2 {
        let reply = simple_enrol(&department, &token, certificate_request(&key)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        seen.push(certificates(&reply));
    }
    assert_ne!(seen[0], seen[1], "each has a serial number of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_handset_cannot_come_back_by_its_old_token() {
    let department = department();
    let (token, key) = (department.token(), KeyPair::generate().unwrap());
    let reply = simple_enrol(&department, &token, certificate_request(&key)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    department.revoke(&HandsetId::derive(&key.subject_public_key_info()));
    let again = simple_enrol(&department, &token, certificate_request(&key)).await;
    assert!(again.status.is_client_error(), "{}", again.status);
    assert!(
        ["token_used", "handset_revoked"].contains(&again.problem().as_str()),
        "{}",
        again.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_proves_nothing_or_brings_another_curve_is_refused_and_the_token_stays() {
    let department = department();
    let token = department.token();
    let key = KeyPair::generate().unwrap();

    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let reply = simple_enrol(&department, &token, certificate_request(&p384)).await;
    assert_eq!(reply.problem(), "csr_key_refused");

    // The last bytes are the signature's.
    let good = certificate_request(&key);
    let mut der =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &good).unwrap();
    *der.last_mut().unwrap() ^= 1;
    let forged = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &der);
    let reply = simple_enrol(&department, &token, forged).await;
    assert_eq!(reply.problem(), "csr_invalid");

    let post = Request::post("/.well-known/est/simpleenroll").header("content-type", "text/plain");
    let reply = department
        .connect_public()
        .await
        .send(post, good.clone())
        .await
        .unwrap();
    assert!(["unsupported_media_type", "token_missing"].contains(&reply.problem().as_str()));

    let reply = simple_enrol(&department, &token, good).await;
    assert_eq!(
        reply.status,
        200,
        "the token was not used up: {}",
        reply.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_renews_its_certificate_but_never_changes() {
    let department = department();
    let handset = RawHandset::enrol(&department).await;
    let mut connection = handset.connect(&department).await;
    let post = || {
        Request::post("/.well-known/est/simplereenroll")
            .header("content-type", "application/pkcs10")
    };

    let renewed = connection
        .send(post(), certificate_request(&handset.key))
        .await
        .unwrap();
    assert_eq!(renewed.status, 200, "{}", renewed.text());
    assert!(!certificates(&renewed).contains(&handset.chain[0]));

    let other = KeyPair::generate().unwrap();
    let refused = connection
        .send(post(), certificate_request(&other))
        .await
        .unwrap();
    assert_eq!(refused.problem(), "csr_key_changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_enrols_once_and_brings_its_policy_home() {
    let department = department();
    let handset = Handset::new();
    let agent = handset.open(department.config());

    let wrong = agent
        .enrol(Sensitive::from("not-a-token"))
        .await
        .unwrap_err();
    assert_eq!(wrong.code(), Code::TokenUnknown);
    let enrolment = agent
        .enrol(Sensitive::new(department.token()))
        .await
        .unwrap();
    assert_eq!(enrolment.policy, Some(1));
    assert_eq!(enrolment.department.as_str(), "hm-treasury");
    let again = agent
        .enrol(Sensitive::new(department.token()))
        .await
        .unwrap_err();
    assert_eq!(again.code(), Code::AlreadyEnrolled);
    assert_eq!(agent.status().unwrap().problems, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_gives_its_token_to_nobody_but_the_pinned_authority() {
    let department = department();
    let handset = Handset::new();
    let mut settings = department.settings();
    settings.insert(
        "ca_pins".into(),
        Digest::of(b"another authority").to_string().into(),
    );
    let agent = handset.open(candour_core::Config::from_object(&settings).unwrap());
    let token = department.token();

    let refused = agent
        .enrol(Sensitive::new(token.clone()))
        .await
        .unwrap_err();
    assert!(
        [Code::ServerNotTrusted, Code::PinMismatch].contains(&refused.code()),
        "{}",
        refused.code()
    );
    let key = KeyPair::generate().unwrap();
    let reply = simple_enrol(&department, &token, certificate_request(&key)).await;
    assert_eq!(
        reply.status,
        200,
        "the token was not spent: {}",
        reply.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_renews_its_certificate_when_two_thirds_of_its_life_are_over() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    let before = handset.identity();
    {
        let agent = handset.open(department.config());
        let report = agent.sync().await.unwrap();
        assert!(
            matches!(report.renewal, RenewalOutcome::NotDue),
            "{:?}",
            report.renewal
        );
    }
    handset.set_clock_wrong_by(SignedDuration::from_hours(24 * 27));
    let agent = handset.open(department.config());
    let report = agent.sync().await.unwrap();
    assert!(
        matches!(report.renewal, RenewalOutcome::Renewed(_)),
        "{:?}",
        report.renewal
    );
    let after = handset.identity();
    assert_eq!(after.handset, before.handset);
    assert_ne!(after.chain, before.chain);
    assert!(
        agent.sync().await.unwrap().failure.is_none(),
        "the new certificate is accepted"
    );
}
