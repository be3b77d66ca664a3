mod server;

use std::sync::Mutex;

use jiff::Timestamp;
use rustls::CertificateError;

use self::server::{Proxy as TestProxy, Server, page};
use super::*;
use crate::adapters::memory::MemoryKeys;
use crate::identity::testing::Authority;
use crate::identity::trust::RELEASED;
use crate::ports::{ClientIdentity, KeyError, KeyStore};
use candour_wire::Sensitive;

struct FixedClock(Mutex<Timestamp>);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

fn connector_at(time: &str) -> HttpsConnector {
    HttpsConnector::new(Arc::new(FixedClock(Mutex::new(time.parse().unwrap()))))
}

fn connector() -> HttpsConnector {
    connector_at("2026-11-22T10:00:00Z")
}

fn get(path: &str) -> Request {
    Request {
        method: Method::Get,
        path: path.to_owned(),
        headers: vec![("accept", "application/json".to_owned())],
        basic: None,
        body: Vec::new(),
        reply_max_bytes: 1000,
    }
}

fn endpoint(server: &Server, authority: &Authority, client: Option<ClientIdentity>) -> Endpoint {
    Endpoint {
        url: server.url(),
        ca_pins: vec![authority.pin()],
        client,
        proxy: None,
        not_before: RELEASED,
    }
}

/// A handset's certificate for a fresh key.
fn client(authority: &Authority) -> ClientIdentity {
    let keys = MemoryKeys::new();
    let key = rcgen::SubjectPublicKeyInfo::from_der(&keys.create().unwrap()).unwrap();
    let leaf = authority.handset(&"hm-treasury".parse().unwrap(), &key, |_| {});
    ClientIdentity {
        chain: vec![leaf],
        keys: Arc::new(keys),
    }
}

#[tokio::test]
async fn a_request_and_its_reply_pass_between_two_verified_sides_over_full_handshakes_only() {
    let authority = Authority::new("CA");
    let server = Server::start(&authority, |setup| setup.ask_for_client = Some(Ok(()))).await;
    let client = client(&authority);
    let endpoint = endpoint(&server, &authority, Some(client.clone()));
    for _ in 0..2 {
        let transport = connector().connect(&endpoint).unwrap();
        let mut request = get("/v1/policy");
        request.basic = Some(("candour".into(), Sensitive::from("token")));
        let response = transport.send(request).await.unwrap();
        assert_eq!(
            (response.status, response.body.as_slice()),
            (200, b"hello".as_slice())
        );
        assert_eq!(response.header("x-reply"), Some("yes"));
        assert!(!transport.clock_suspect());
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    for connection in &seen {
        assert_eq!(connection.client, client.chain);
        assert!(!connection.resumed);
        assert_eq!(connection.version, Some(rustls::ProtocolVersion::TLSv1_3));
        let head = &connection.requests[0];
        assert!(head.starts_with("GET /v1/policy HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("user-agent: candour/"), "{head}");
        assert!(
            head.contains("authorization: Basic Y2FuZG91cjp0b2tlbg=="),
            "{head}"
        );
        assert!(
            !head.contains("cookie") && !head.contains("accept-encoding"),
            "{head}"
        );
    }
}

/// Sends requests that follow each other at once, and says how many connections they took.
async fn connections_for(requests: usize, reply: &str) -> usize {
    let authority = Authority::new("CA");
    let server = Server::start(&authority, |setup| {
        setup.reply = reply.into();
        setup.stays = !reply.contains("connection: close");
    })
    .await;
    let transport = connector()
        .connect(&endpoint(&server, &authority, None))
        .unwrap();
    for _ in 0..requests {
        assert_eq!(transport.send(get("/")).await.unwrap().status, 200);
    }
    server.accepted()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_follow_each_other_at_once_share_one_connection() {
    assert_eq!(connections_for(300, &page(200, "hello")).await, 1);
}

#[tokio::test]
async fn so_they_do_on_one_thread() {
    assert_eq!(connections_for(300, &page(200, "hello")).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_the_server_ends_is_replaced() {
    let ended = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(connections_for(3, ended).await, 3);
}

#[tokio::test]
async fn what_the_server_says_of_the_handsets_certificate_is_told_apart() {
    let authority = Authority::new("CA");
    for (verdict, expected) in [
        (
            CertificateError::Expired,
            TransportError::ClientCertificateExpired,
        ),
        (
            CertificateError::Revoked,
            TransportError::ClientCertificateRevoked,
        ),
        (
            CertificateError::UnknownIssuer,
            TransportError::ClientCertificateRefused,
        ),
        (
            CertificateError::BadEncoding,
            TransportError::ClientCertificateRefused,
        ),
        (
            CertificateError::ApplicationVerificationFailure,
            TransportError::ClientCertificateRefused,
        ),
    ] {
        let server = Server::start(&authority, |setup| {
            setup.ask_for_client = Some(Err(verdict))
        })
        .await;
        let endpoint = endpoint(&server, &authority, Some(client(&authority)));
        let mut upload = get("/");
        (upload.method, upload.body) = (Method::Put, vec![0; 1 << 20]);
        for request in [get("/"), upload] {
            let transport = connector().connect(&endpoint).unwrap();
            assert_eq!(transport.send(request).await.unwrap_err(), expected);
        }
    }
}

#[tokio::test]
async fn a_handset_without_a_certificate_is_told_that_one_is_needed() {
    let authority = Authority::new("CA");
    let server = Server::start(&authority, |setup| setup.ask_for_client = Some(Ok(()))).await;
    let refused = connector()
        .connect(&endpoint(&server, &authority, None))
        .unwrap()
        .send(get("/"))
        .await;
    assert_eq!(
        refused.unwrap_err(),
        TransportError::ClientCertificateRefused
    );
}

#[tokio::test]
async fn a_server_that_is_not_the_departments_gets_no_request() {
    let (authority, foreign) = (Authority::new("CA"), Authority::new("CA"));
    let server = Server::start(&foreign, |_| {}).await;
    let refused = connector()
        .connect(&endpoint(&server, &authority, None))
        .unwrap()
        .send(get("/"))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, TransportError::ServerNotTrusted(_)),
        "{refused:?}"
    );

    let server = Server::start(&authority, |setup| setup.host = "other.example".into()).await;
    let refused = connector()
        .connect(&endpoint(&server, &authority, None))
        .unwrap()
        .send(get("/"))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, TransportError::ServerNotTrusted(_)),
        "{refused:?}"
    );

    let server = Server::start(&authority, |setup| setup.only_tls12 = true).await;
    let refused = connector()
        .connect(&endpoint(&server, &authority, None))
        .unwrap()
        .send(get("/"))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, TransportError::ServerNotTrusted(_)),
        "{refused:?}"
    );
    assert!(
        server
            .seen()
            .iter()
            .all(|connection| connection.requests.is_empty())
    );
}

#[tokio::test]
async fn an_expired_server_is_told_from_a_wrong_clock() {
    let authority = Authority::new("CA");
    let server = Server::start(&authority, |setup| setup.not_after = (2026, 11, 21)).await;
    let mut endpoint = endpoint(&server, &authority, None);
    endpoint.not_before = "2026-11-22T00:00:00Z".parse().unwrap();
    let refused = connector().connect(&endpoint).unwrap().send(get("/")).await;
    assert_eq!(
        refused.unwrap_err(),
        TransportError::ServerCertificateExpired
    );

    let server = Server::start(&authority, |_| {}).await;
    let endpoint = self::endpoint(&server, &authority, None);
    for time in ["2036-11-22T10:00:00Z", "2016-11-22T10:00:00Z"] {
        let transport = connector_at(time).connect(&endpoint).unwrap();
        assert_eq!(transport.send(get("/")).await.unwrap().status, 200);
        assert_eq!(transport.clock_suspect(), time.starts_with("2036"));
    }
}

#[tokio::test]
async fn a_reply_is_read_up_to_the_limit_whether_or_not_it_says_how_long_it_is() {
    let authority = Authority::new("CA");
    let long = "x".repeat(1001);
    let chunked =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n{long}\r\n0\r\n\r\n");
    for reply in [page(200, &long), chunked] {
        let server = Server::start(&authority, |setup| setup.reply = reply.into_bytes()).await;
        let transport = connector()
            .connect(&endpoint(&server, &authority, None))
            .unwrap();
        assert_eq!(
            transport.send(get("/")).await.unwrap_err(),
            TransportError::TooLarge(1000)
        );
    }
    let server = Server::start(&authority, |setup| {
        setup.reply = page(200, &long[..1000]).into_bytes()
    })
    .await;
    let transport = connector()
        .connect(&endpoint(&server, &authority, None))
        .unwrap();
    assert_eq!(transport.send(get("/")).await.unwrap().body.len(), 1000);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let authority = Authority::new("CA");
    let reply = "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start(&authority, |setup| setup.reply = reply.into()).await;
    let transport = connector()
        .connect(&endpoint(&server, &authority, None))
        .unwrap();
    assert_eq!(transport.send(get("/")).await.unwrap().status, 302);
    assert_eq!(
        server
            .seen()
            .iter()
            .map(|connection| connection.requests.len())
            .sum::<usize>(),
        1
    );
}

#[tokio::test]
async fn broken_connections_and_broken_replies_are_told_apart() {
    let authority = Authority::new("CA");
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
    for (reply, malformed) in [("", false), (cut, false), ("ICY 200 OK\r\n\r\n", true)] {
        let server = Server::start(&authority, |setup| setup.reply = reply.into()).await;
        let transport = connector()
            .connect(&endpoint(&server, &authority, None))
            .unwrap();
        let failed = transport.send(get("/")).await.unwrap_err();
        let (is_cut, is_malformed) = (
            matches!(failed, TransportError::Unreachable(_)),
            matches!(failed, TransportError::Malformed(_)),
        );
        assert_eq!(
            (is_cut, is_malformed),
            (!malformed, malformed),
            "{reply:?}: {failed:?}"
        );
    }
    let server = Server::start(&authority, |_| {}).await;
    let endpoint = endpoint(&server, &authority, None);
    drop(server);
    let failed = connector()
        .connect(&endpoint)
        .unwrap()
        .send(get("/"))
        .await
        .unwrap_err();
    assert!(
        matches!(failed, TransportError::Unreachable(_)),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_proxy_tunnels_what_only_the_department_can_read_and_its_refusal_is_named() {
    let authority = Authority::new("CA");
    let server = Server::start(&authority, |_| {}).await;
    let mut endpoint = endpoint(&server, &authority, None);
    let proxy = TestProxy::start(true).await;
    endpoint.proxy = Some(proxy.url());
    let response = connector()
        .connect(&endpoint)
        .unwrap()
        .send(get("/"))
        .await
        .unwrap();
    assert_eq!(response.status, 200);
    let asked = proxy.asked();
    assert!(
        asked.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", server.authority())),
        "{asked}"
    );

    let proxy = TestProxy::start(false).await;
    endpoint.proxy = Some(proxy.url());
    let refused = connector()
        .connect(&endpoint)
        .unwrap()
        .send(get("/"))
        .await
        .unwrap_err();
    assert!(matches!(refused, TransportError::Proxy(_)), "{refused:?}");
}

/// Has a key and does not sign with it, as a locked phone.
struct Locked(Arc<dyn KeyStore>);

impl KeyStore for Locked {
    fn public_key(&self) -> Result<Option<Vec<u8>>, KeyError> {
        self.0.public_key()
    }
    fn create(&self) -> Result<Vec<u8>, KeyError> {
        self.0.create()
    }
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, KeyError> {
        Err(KeyError::Unavailable {
            reason: "the phone is locked".into(),
        })
    }
    fn wrap(&self, secret: &Sensitive<Vec<u8>>) -> Result<Vec<u8>, KeyError> {
        self.0.wrap(secret)
    }
    fn unwrap(&self, wrapped: &[u8]) -> Result<Sensitive<Vec<u8>>, KeyError> {
        self.0.unwrap(wrapped)
    }
    fn destroy(&self) -> Result<(), KeyError> {
        self.0.destroy()
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_not_mistaken_for_a_server_that_refuses() {
    let authority = Authority::new("CA");
    let server = Server::start(&authority, |setup| setup.ask_for_client = Some(Ok(()))).await;
    let ClientIdentity { chain, keys } = client(&authority);
    let locked = ClientIdentity {
        chain: chain.clone(),
        keys: Arc::new(Locked(keys)),
    };
    let transport = connector()
        .connect(&endpoint(&server, &authority, Some(locked)))
        .unwrap();
    let failed = transport.send(get("/")).await.unwrap_err();
    assert!(
        matches!(&failed, TransportError::Key(reason) if reason.contains("locked")),
        "{failed:?}"
    );

    let other = MemoryKeys::new();
    let none = ClientIdentity {
        chain: chain.clone(),
        keys: Arc::new(MemoryKeys::new()),
    };
    other.create().unwrap();
    let other = ClientIdentity {
        chain,
        keys: Arc::new(other),
    };
    for wrong in [none, other] {
        let refused = connector()
            .connect(&endpoint(&server, &authority, Some(wrong)))
            .err()
            .unwrap();
        assert!(matches!(refused, TransportError::Key(_)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_long_body_has_longer_in_either_direction_and_a_silent_server_does_not() {
    let minute = Duration::from_secs(60);
    let carried = minute + Duration::from_secs(256);
    assert_eq!(times_for(0, 0), (minute, minute));
    assert_eq!(times_for(1 << 20, 0), (carried, carried));
    let policy = candour_wire::limits::POLICY_MAX_BYTES;
    assert_eq!(times_for(0, policy), (minute, carried));
    assert!(times_for(usize::MAX, usize::MAX).0 > minute);

    let silence = std::future::pending::<()>();
    assert_eq!(
        within(Duration::ZERO, silence).await,
        Err(TransportError::TimedOut(Duration::ZERO))
    );
}
