//! What a scanner finds at both doors, and that it would find a door that stands open.

use std::net::SocketAddr;
use std::sync::Arc;

use candour_tests::pki::ClientCertificate;
use candour_tests::scan::{Target, Verdict, judge, write_client};
use candour_tests::{Department, RawHandset};
use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::department;

async fn judged(target: Target) -> Vec<Verdict> {
    tokio::task::spawn_blocking(move || judge(&target))
        .await
        .unwrap()
}

fn bad(verdicts: &[Verdict]) -> Vec<&'static str> {
    let wrong = verdicts.iter().filter(|verdict| !verdict.right);
    wrong.map(|verdict| verdict.what).collect()
}

async fn targets(department: &Department) -> [Target; 2] {
    let handset = RawHandset::enrol(department).await;
    let client = write_client(department.scratch(), &handset.certificate());
    let target = |address, identified, client| Target {
        address,
        identified,
        client,
        scratch: department.scratch().to_owned(),
    };
    [
        target(department.public_address(), false, None),
        target(department.handset_address(), true, Some(client)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_finds_nothing_open_that_should_be_shut() {
    let department = department();
    for target in targets(&department).await {
        let address = target.address;
        let verdicts = judged(target).await;
        let table: Vec<String> = verdicts.iter().map(ToString::to_string).collect();
        assert!(bad(&verdicts).is_empty(), "{address}\n{}", table.join("\n"));
        assert!(verdicts.len() > 18, "{}", table.join("\n"));
    }
}

/// What a gateway must not be: as `rustls` comes, with early data, or with a ticketer that servers
/// may share, under which it has none; and nobody asked who they are.
async fn open_door(shown: &ClientCertificate, ticketer: bool) -> SocketAddr {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(shown.chain.clone(), shown.private_key())
        .unwrap();
    if ticketer {
        config.ticketer = ring::Ticketer::new().unwrap();
    }
    config.max_early_data_size = 1_024;
    config.send_half_rtt_data = true;
    let tls = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = tls.accept(stream).await else {
                    return;
                };
                let mut request = [0; 4];
                if stream.read_exact(&mut request).await.is_ok() {
                    let reply =
                        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                    // A scanner that has seen enough goes away.
                    let _ = stream.write_all(reply).await;
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn the_judge_objects_to_tickets_old_versions_and_a_door_without_a_lock() {
    let department = department();
    let [_, target] = targets(&department).await;
    let judge = async |ticketer| {
        let shown = department.server_certificate();
        // Sessions are written there.
        let scratch = department.scratch().join(format!("ticketer-{ticketer}"));
        std::fs::create_dir(&scratch).unwrap();
        judged(Target {
            address: open_door(&shown, ticketer).await,
            scratch,
            ..target.clone()
        })
        .await
    };
    let (verdicts, early) = tokio::join!(judge(true), judge(false));
    assert!(bad(&early).contains(&"no early data"), "{early:#?}");
    let found = bad(&verdicts);
    for expected in [
        "TLS 1.2 is refused",
        "ALPN is HTTP/1.1",
        "HTTP/2 is refused",
        "other groups are refused",
        "no ticket to resume with",
        "no session is resumed",
        "no certificate, no answer",
    ] {
        assert!(found.contains(&expected), "{expected}: {verdicts:#?}");
    }
}
