//! Requests that mean two things, or something else than they seem to.

use candour_tests::client::connect_tls;
use candour_tests::wait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Scene;

/// Everything that the server says to raw bytes, until it ends the connection.
async fn answers(scene: &Scene, bytes: &[u8]) -> String {
    let address = scene.department.handset_address();
    let tls = scene.handset.tls(&scene.department);
    let mut stream = connect_tls(address, tls).await.unwrap();
    // The server may have said all that it will before everything is written.
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
    let mut answer = Vec::new();
    let _ = wait::within("an answer", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_two_readers_would_read_differently_are_not_read_at_all() {
    let scene = Scene::set_up().await;
    let hidden = "GET /v1/policy HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let post = "POST /v1/records HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let chunked = "transfer-encoding: chunked\r\n";
    let cases = [
        (
            "length and chunks",
            format!("{post}content-length: 4\r\n{chunked}\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "chunks and length",
            format!("{post}{chunked}content-length: 4\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "two lengths",
            format!("{post}content-length: 0\r\ncontent-length: 5\r\n\r\n{hidden}"),
        ),
        (
            "a list of lengths",
            format!("{post}content-length: 0, 5\r\n\r\n{hidden}"),
        ),
        (
            "a signed length",
            format!("{post}content-length: +0\r\n\r\n{hidden}"),
        ),
        (
            "a length below nought",
            format!("{post}content-length: -1\r\n\r\n{hidden}"),
        ),
        (
            "a hexadecimal length",
            format!("{post}content-length: 0x0\r\n\r\n{hidden}"),
        ),
        (
            "chunks of another name",
            format!("{post}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "chunks not last",
            format!("{post}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "a space before the colon",
            format!("{post}transfer-encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "a folded line",
            format!("{post}x: y\r\n transfer-encoding: chunked\r\n\r\n{hidden}"),
        ),
        (
            "a name with a space",
            format!("{post}transfer encoding: chunked\r\n\r\n{hidden}"),
        ),
        (
            "a null in a value",
            format!("{post}x: a\0b\r\n\r\n{hidden}"),
        ),
        (
            "a chunk size too large",
            format!("{post}{chunked}connection: close\r\n\r\nffffffffffffffffff\r\n{hidden}"),
        ),
        (
            "HTTP/2 by preface",
            format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{hidden}"),
        ),
        ("HTTP/0.9", "GET /v1/policy\r\n\r\n".to_owned()),
        (
            "HTTP/9.9",
            "GET /v1/policy HTTP/9.9\r\nhost: x\r\n\r\n".to_owned(),
        ),
        ("no request", "\0\u{1}\u{2}\u{3}\r\n\r\n".to_owned()),
    ];
    for (what, bytes) in cases {
        let answer = answers(&scene, bytes.as_bytes()).await;
        assert!(!answer.contains("HTTP/1.1 200"), "{what}: {answer}");
        assert!(!answer.contains("HTTP/1.1 5"), "{what}: {answer}");
        assert!(answer.matches("HTTP/1.").count() <= 1, "{what}: {answer}");
    }
    let long = |name: &str, length: usize| format!("{name}{}", "x".repeat(length));
    let heads = [
        (
            "a long line",
            format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", long("", 60_000)),
            ["414", "431"],
        ),
        (
            "a long header",
            format!(
                "GET /v1/policy HTTP/1.1\r\nhost: x\r\n{}\r\n\r\n",
                long("x: ", 60_000)
            ),
            ["431", "400"],
        ),
        (
            "many headers",
            format!(
                "GET /v1/policy HTTP/1.1\r\nhost: x\r\n{}\r\n",
                "x: y\r\n".repeat(100)
            ),
            ["431", "400"],
        ),
    ];
    for (what, bytes, statuses) in heads {
        let answer = answers(&scene, bytes.as_bytes()).await;
        let right = statuses
            .iter()
            .any(|status| answer.starts_with(&format!("HTTP/1.1 {status} ")));
        assert!(right, "{what}: {answer}");
    }
    // The control: one after the other in one go is no trick, and both are answered.
    let twice = format!("GET /log/checkpoint HTTP/1.1\r\nhost: x\r\n\r\n{hidden}");
    let answer = answers(&scene, twice.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
    assert_eq!(scene.department.checkpoint().await.size, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_way_round_to_another_address() {
    let scene = Scene::set_up().await;
    let paths = [
        "/metrics",
        "/livez",
        "/debug/pprof",
        "/actuator/heapdump",
        "/heapdump",
        "/.git/config",
        "/../data/ca.key",
        "/v1/../metrics",
        "/v1/%2e%2e/metrics",
        "//v1/policy",
        "/v1//policy",
        "/v1/policy/",
        "/V1/POLICY",
        "/v1/policy%00",
        "/v1/policy;x=1",
        "/v1/attachments/",
        "/v1/attachments/../../server.db",
        "/v1/attachments/..%2f..%2fserver.db",
        "/v1/attachments/%2e%2e",
        "/log/tile/../../server.db",
        "/log/tile/0/..%2f..%2fserver.db",
        "/log/tile/entries/../../../ca.key",
        "/log/tile/0/000/extra",
        "/log/tile/63/000",
        "/log/tile/0/999999999999999999999",
        "/.well-known/est/../est/simpleenroll",
        "/.well-known/est/simpleenroll",
        "/.well-known/est/serverkeygen",
        "/v1/records/1",
        "*",
    ];
    for path in paths {
        for method in ["GET", "POST"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            let answer = answers(&scene, request.as_bytes()).await;
            assert!(
                answer.starts_with("HTTP/1.1 4"),
                "{method} {path}: {answer}"
            );
            assert!(!answer.contains("candour_") && !answer.contains("PRIVATE KEY"));
        }
    }
    for method in [
        "TRACE", "CONNECT", "OPTIONS", "DELETE", "PATCH", "PROPFIND", "M-SEARCH",
    ] {
        let request = format!(
            "{method} /v1/policy HTTP/1.1\r\nhost: x\r\nx-echo: {method}\r\nconnection: close\r\n\r\n"
        );
        let answer = answers(&scene, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{method}: {answer}");
        assert!(!answer.contains("x-echo"), "{method}: {answer}");
    }
    for upgrade in ["websocket", "h2c", "TLS/1.0"] {
        let request = format!(
            "GET /v1/policy HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: {upgrade}\r\nhttp2-settings: AAMAAABk\r\n\r\n"
        );
        let answer = answers(&scene, request.as_bytes()).await;
        // As RFC 9110 (section 7.8) lets a server do that speaks nothing else: it answers what was
        // asked, in the protocol in which it was asked.
        assert!(answer.starts_with("HTTP/1.1 200"), "{upgrade}: {answer}");
        assert_eq!(answer.matches("HTTP/").count(), 1, "{upgrade}: {answer}");
    }
}
