//! Who gets through the door (invariant I10).

use std::sync::Arc;

use candour_tests::client::{alert_at_the_door, connect_tls};
use candour_tests::department::{id, now};
use candour_tests::pki::{Authority, ClientCertificate, Leaf, client_config};
use candour_tests::program::run;
use candour_tests::raw::{batch, certificate_request, refusal};
use candour_tests::{Connection, Department, Failure, RawHandset, wait};
use candour_wire::Digest;
use candour_wire::record::Stream;
use http::Request;
use rcgen::ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
use rcgen::{ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P384_SHA384, SanType};
use rustls::client::Resumption;
use rustls::{AlertDescription, ClientConfig, HandshakeKind};
use tokio::sync::Mutex;

use crate::department;

/// Asks for the policy with that certificate.
async fn knock(
    department: &Department,
    client: Option<&ClientCertificate>,
) -> Result<u16, Failure> {
    let config = client_config(&department.authority_certificate(), client);
    let mut connection = Connection::open(department.handset_address(), config).await?;
    connection
        .get("/v1/policy")
        .await
        .map(|reply| reply.status.as_u16())
}

async fn alert(
    department: &Department,
    client: Option<&ClientCertificate>,
) -> Option<AlertDescription> {
    let config = client_config(&department.authority_certificate(), client);
    alert_at_the_door(department.handset_address(), config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_without_a_certificate_or_with_a_foreign_one() {
    let department = department();
    let handset = RawHandset::enrol(&department).await;
    assert_eq!(
        alert(&department, None).await,
        Some(AlertDescription::CertificateRequired)
    );

    let foreign =
        Authority::foreign("Elsewhere", now()).issue(&handset.key, &id(), Leaf::default(), now());
    assert_eq!(
        alert(&department, Some(&foreign)).await,
        Some(AlertDescription::UnknownCA)
    );
    // Same name, same key, same everything but the authority's signature.
    let forged = Authority::foreign("HM Treasury Candour CA", now());
    let forged = forged.issue(&handset.key, &id(), Leaf::default(), now());
    assert_eq!(
        alert(&department, Some(&forged)).await,
        Some(AlertDescription::DecryptError)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolled_key_comes_in_only_with_a_certificate_of_the_profile() {
    let department = department();
    let handset = RawHandset::enrol(&department).await;
    let authority = department.authority();
    let issue = |leaf| authority.issue(&handset.key, &id(), leaf, now());

    // The control: what the test makes is good where nothing is changed.
    assert_eq!(
        knock(&department, Some(&issue(Leaf::default())))
            .await
            .unwrap(),
        200
    );

    let expired = issue(Leaf {
        hours: (-100, -1),
        ..Leaf::default()
    });
    assert_eq!(
        alert(&department, Some(&expired)).await,
        Some(AlertDescription::CertificateExpired)
    );
    let not_yet = issue(Leaf {
        hours: (1, 100),
        ..Leaf::default()
    });
    assert!(alert(&department, Some(&not_yet)).await.is_some());

    let other_purposes: [Vec<ExtendedKeyUsagePurpose>; 4] = [
        vec![],
        vec![ServerAuth],
        vec![ClientAuth, ServerAuth],
        vec![ClientAuth, Any],
    ];
    for purposes in other_purposes {
        let leaf = issue(Leaf {
            purposes: purposes.clone(),
            ..Leaf::default()
        });
        assert!(
            alert(&department, Some(&leaf)).await.is_some(),
            "{purposes:?}"
        );
    }

    let authority_leaf = issue(Leaf {
        authority: true,
        ..Leaf::default()
    });
    assert!(alert(&department, Some(&authority_leaf)).await.is_some());
    let for_ever = issue(Leaf {
        hours: (-48, 24 * 365),
        ..Leaf::default()
    });
    assert!(alert(&department, Some(&for_ever)).await.is_some());

    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let own = format!("urn:candour:handset:hm-treasury:{}", handset.id);
    let other_names = [
        vec![],
        vec![SanType::DnsName("candour.example".try_into().unwrap())],
        vec![uri(
            "urn:candour:handset:hm-treasury:h00000000000000000000000000000000",
        )],
        vec![
            uri(&own),
            uri("urn:candour:handset:cabinet-office:h00000000000000000000000000000000"),
        ],
    ];
    for names in other_names {
        let leaf = issue(Leaf {
            names: Some(names.clone()),
            ..Leaf::default()
        });
        assert!(alert(&department, Some(&leaf)).await.is_some(), "{names:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_enrolled_or_is_p384_does_not_come_in_with_the_departments_signature() {
    let department = department();
    let authority = department.authority();
    let unknown = KeyPair::generate().unwrap();
    let unknown = authority.issue(&unknown, &id(), Leaf::default(), now());
    assert!(alert(&department, Some(&unknown)).await.is_some());
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let p384 = authority.issue(&p384, &id(), Leaf::default(), now());
    assert!(alert(&department, Some(&p384)).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_handset_is_refused_on_a_fresh_connection_and_on_one_that_was_kept_alive() {
    let department = department();
    let handset = RawHandset::enrol(&department).await;
    let mut kept = handset.connect(&department).await;
    let key = kept.policy(&department).await.records_key;
    let first = handset.declaration(&handset.genesis(Stream::Records), &key, "before");
    assert_eq!(
        kept.deliver(std::slice::from_ref(&first))
            .await
            .results
            .len(),
        1
    );
    let size = department.checkpoint().await.size;

    department.revoke(&handset.id);

    // The certificate was good when this connection began; the record is refused all the same.
    let next = handset.declaration(
        &handset.genesis(Stream::Records).extended(&first.jws),
        &key,
        "after",
    );
    match kept.post(Stream::Records, batch(&[next])).await {
        Ok(reply) => assert_eq!(
            (reply.status.as_u16(), reply.problem().as_str()),
            (403, "handset_revoked")
        ),
        // Or the server has ended the connection already, which is as good.
        Err(failure) => assert!(failure.alert.is_none(), "{failure:?}"),
    }
    assert_eq!(
        department.checkpoint().await.size,
        size,
        "nothing was taken"
    );

    wait::until("the door is shut", || async {
        knock(&department, Some(&handset.certificate())).await.err()
    })
    .await;
    let refused = alert(&department, Some(&handset.certificate())).await;
    assert_eq!(refused, Some(AlertDescription::CertificateRevoked));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_alive_connection_of_a_revoked_handset_is_of_no_use_for_anything() {
    let department = department();
    let handset = RawHandset::enrol(&department).await;
    let mut kept = handset.connect(&department).await;
    assert_eq!(kept.get("/v1/policy").await.unwrap().status, 200);
    department.revoke(&handset.id);

    // What writes asks the store, which knows at once.
    let file = b"a sealed file";
    let put = Request::put(format!("/v1/attachments/{}", Digest::of(file)))
        .header("content-type", "application/octet-stream")
        .header("upload-offset", "0")
        .header("upload-length", file.len().to_string());
    let renew = Request::post("/.well-known/est/simplereenroll")
        .header("content-type", "application/pkcs10");
    for (request, body) in [
        (put, file.to_vec()),
        (renew, certificate_request(&handset.key).into_bytes()),
    ] {
        let reply = kept.send(request, body).await.unwrap();
        assert_eq!(
            (reply.status.as_u16(), reply.problem().as_str()),
            (403, "handset_revoked")
        );
    }
    // What reads asks the set in memory, which follows within a second or so.
    let kept = Mutex::new(kept);
    wait::until("reading is refused as well", || async {
        let reply = kept.lock().await.get("/v1/policy").await.unwrap();
        (reply.status == 403 && reply.problem() == "handset_revoked").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_2_and_other_ciphers_are_refused_on_both_listeners() {
    let department = department();
    for address in [department.public_address(), department.handset_address()] {
        let ask = |args: &[&str]| {
            let mut openssl = std::process::Command::new("openssl");
            openssl
                .args(["s_client", "-connect", &address.to_string()])
                .args(args);
            let outcome = run(&mut openssl, b"");
            format!("{}{}", outcome.stdout, outcome.stderr)
        };
        let good = ask(&["-tls1_3"]);
        assert!(good.contains("New, TLSv1.3"), "the control: {good}");
        for version in ["-tls1_2", "-tls1_1"] {
            let refused = ask(&[version, "-cipher", "ALL:@SECLEVEL=0"]);
            assert!(refused.contains("Cipher is (NONE)"), "{version}: {refused}");
        }
        let refused = ask(&["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"]);
        assert!(refused.contains("Cipher is (NONE)"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_can_be_resumed() {
    let department = department();
    let handset = RawHandset::enrol(&department).await;
    let listeners = [
        (department.public_address(), department.anonymous_tls()),
        (department.handset_address(), handset.tls(&department)),
    ];
    for (address, tls) in listeners {
        let mut tls = ClientConfig::clone(&tls);
        tls.resumption = Resumption::in_memory_sessions(8);
        tls.enable_early_data = true;
        let tls = Arc::new(tls);
        for _ in 0..3 {
            let mut stream = connect_tls(address, Arc::clone(&tls)).await.unwrap();
            // A ticket comes after the handshake, so something has to be read before it is missed.
            let request = format!(
                "GET /log/checkpoint HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
            );
            tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
                .await
                .unwrap();
            let mut reply = Vec::new();
            wait::within(
                "a reply",
                tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut reply),
            )
            .await
            .unwrap();
            assert!(
                reply.starts_with(b"HTTP/1.1 "),
                "{}",
                String::from_utf8_lossy(&reply)
            );
            let (_, session) = stream.get_ref();
            assert_eq!(session.tls13_tickets_received(), 0);
            assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handset_that_enrols_on_the_wrong_listener_or_delivers_on_it_is_turned_away() {
    let department = department();
    let handset = RawHandset::enrol(&department).await;
    // The public listener knows nothing of records, even with a certificate.
    let tls = handset.tls(&department);
    let mut public = Connection::open(department.public_address(), tls)
        .await
        .unwrap();
    let reply = public.post(Stream::Records, b"{}".to_vec()).await.unwrap();
    assert_eq!(
        (reply.status.as_u16(), reply.problem().as_str()),
        (404, "not_found")
    );
    let reply = public.get("/metrics").await.unwrap();
    assert_eq!(reply.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_handset_cannot_speak_for_another() {
    let department = department();
    let (one, other) = (
        RawHandset::enrol(&department).await,
        RawHandset::enrol(&department).await,
    );
    let mut connection = one.connect(&department).await;
    let key = connection.policy(&department).await.records_key;
    let anothers = other.declaration(&other.genesis(Stream::Records), &key, "not mine");
    let reply = connection.deliver(&[anothers]).await;
    assert!(
        ["signature_invalid", "wrong_handset"].contains(&refusal(&reply).code.as_str()),
        "{reply:?}"
    );
    assert_eq!(department.checkpoint().await.size, 0);
    // Nor with its own signature under the other's name.
    let mut record = one
        .declaration(&one.genesis(Stream::Records), &key, "mine")
        .record;
    record.handset = other.id.clone();
    let reply = connection.deliver(&[one.sign(record)]).await;
    assert_eq!(refusal(&reply).code, "wrong_handset");
}
