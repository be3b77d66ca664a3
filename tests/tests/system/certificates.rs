//! Certificates that change while everything runs.

use std::sync::Arc;

use candour_tests::client::connect_tls;
use candour_tests::handset::declare;
use candour_tests::program::run;
use candour_tests::{Department, Handset, RawHandset, wait};
use rustls::pki_types::CertificateDer;

use crate::department;

async fn shown(department: &Department) -> CertificateDer<'static> {
    let tls = department.anonymous_tls();
    let stream = connect_tls(department.public_address(), Arc::clone(&tls))
        .await
        .unwrap();
    let (_, session) = stream.get_ref();
    session.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_server_certificate_is_taken_over_without_a_restart() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    let raw = RawHandset::enrol(&department).await;
    let mut kept = raw.connect(&department).await;
    assert_eq!(kept.get("/v1/policy").await.unwrap().status, 200);
    let before = shown(&department).await;
    let _ = department.command(&["certificate", "renew"]).succeeded();
    wait::until("the new certificate is shown", || async {
        (shown(&department).await != before).then_some(())
    })
    .await;
    assert_eq!(
        kept.get("/v1/policy").await.unwrap().status,
        200,
        "open connections go on"
    );
    let agent = handset.open(department.config());
    declare(&agent, "under a new certificate");
    assert_eq!(
        agent.sync().await.unwrap().received,
        1,
        "handsets pin the authority, not the server"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_certificate_file_leaves_the_one_in_use() {
    let department = department();
    let path = department.data().join("server.pem");
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, "no certificate").unwrap();
    wait::until("the server notices", || async {
        department
            .process()
            .log()
            .contains("server.pem")
            .then_some(())
    })
    .await;
    let _ = shown(&department).await;
    std::fs::write(&path, good).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_than_http_1_1_is_refused_in_the_handshake() {
    let department = department();
    for address in [department.public_address(), department.handset_address()] {
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(["s_client", "-connect", &address.to_string(), "-alpn", "h2"]);
        let outcome = run(&mut openssl, b"");
        let told = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(told.contains("no application protocol"), "{told}");
    }
}
