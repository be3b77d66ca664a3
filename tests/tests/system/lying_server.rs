//! A server that lies, or that is not the department's at all: the phone loses nothing, believes
//! nothing, and says by a stable code what happened.
//!
//! What a lying *log* is found out by stands in `log.rs`, lying policies in `policy.rs`.

mod made_up;

use candour_core::agent::{Finding, RecordState, SentItem};
use candour_core::sync::SyncReport;
use candour_core::{Agent, Config};
use candour_tests::department::now;
use candour_tests::handset::declare;
use candour_tests::liar::End;
use candour_tests::pki::Authority;
use candour_tests::{Department, Handset, Liar};
use candour_wire::Code;
use candour_wire::limits::{POLICY_MAX_BYTES, REPLY_MAX_BYTES};
use jiff::SignedDuration;

use crate::department;

/// A phone to which one lie after another is told.
struct Scene {
    department: Department,
    handset: Handset,
    declared: u64,
    received: u64,
}

impl Scene {
    async fn set_up() -> Self {
        let department = department();
        let handset = Handset::enrolled(&department).await;
        Self {
            department,
            handset,
            declared: 0,
            received: 0,
        }
    }

    fn config_at(&self, liar: &Liar) -> Config {
        let mut settings = self.department.settings();
        let url = format!("https://{}", liar.address());
        settings.insert("server_url".into(), url.into());
        Config::from_object(&settings).unwrap()
    }

    /// Declares one record more and syncs. Nothing is received, nothing lost, nothing set aside.
    async fn sync_in_vain(&mut self, config: Config, lie: &str) -> SyncReport {
        let agent = self.handset.open(config);
        declare(&agent, lie);
        self.declared += 1;
        let report = agent.sync().await.unwrap();
        assert_eq!(report.received, 0, "{lie}: {report:?}");
        assert!(report.quarantined.is_empty(), "{lie}: {report:?}");
        let sent = agent.sent().unwrap();
        assert_eq!(sent.len() as u64, self.declared, "{lie}");
        let queued = |item: &&SentItem| item.state == RecordState::Queued;
        let queued = sent.iter().filter(queued).count() as u64;
        assert_eq!(queued, self.declared - self.received, "{lie}: {sent:?}");
        self.must_say_so(&agent, &report, lie);
        report
    }

    /// The holder is told the same that the report says, and the next attempt comes within
    /// a day and what spreads phones over time.
    fn must_say_so(&self, agent: &Agent, report: &SyncReport, lie: &str) {
        let code = report.failure.as_ref().map(|failure| failure.code);
        let last = agent.status().unwrap().last_failure;
        assert_eq!(
            last.map(|failure| failure.code),
            code.map(|c| c.to_string()),
            "{lie}"
        );
        let wait = report.next_attempt.duration_since(now());
        assert!(wait <= SignedDuration::from_hours(30), "{lie}: {wait:?}");
    }

    /// An honest server receives everything, once.
    async fn tell_the_truth(&mut self) {
        let agent = self.handset.open(self.department.config());
        let report = agent.sync().await.unwrap();
        assert!(report.failure.is_none(), "{report:?}");
        assert_eq!(report.received, self.declared - self.received);
        self.received = self.declared;
        assert_eq!(self.department.checkpoint().await.size, self.declared);
        let checked = agent.verify(None).unwrap();
        assert_eq!(checked.len() as u64, self.declared);
        assert!(
            checked
                .iter()
                .all(|record| record.finding == Finding::Verified)
        );
    }
}

fn reply(head: &str, body: &[u8]) -> Vec<u8> {
    [
        format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(),
        body,
    ]
    .concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_answer_are_told_apart_and_nothing_is_lost() {
    use End::{Close, Repeat, Truncate};
    let json = "200 OK\r\ncontent-type: application/json";
    let portal = b"<!doctype html><title>Welcome to Hotel WiFi</title><p>Please log in.";
    let swelling = vec![b' '; 64 << 20];
    let bomb = zstd::bulk::compress(&swelling, 3).unwrap();
    let nested = vec![b'['; POLICY_MAX_BYTES.min(REPLY_MAX_BYTES) - 1];
    let endless = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let endless = [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".as_slice(),
        &endless.repeat(64),
    ]
    .concat();
    let many_headers = format!("200 OK{}", "\r\nx-filler: 0123456789abcdef".repeat(5_000));
    let lies: Vec<(&str, Vec<u8>, End, &[Code])> = vec![
        (
            "captive portal",
            reply("200 OK\r\ncontent-type: text/html", portal),
            Close,
            &[Code::BadReply],
        ),
        (
            "portal by redirect",
            reply("302 Found\r\nlocation: https://192.0.2.1/login", b""),
            Close,
            &[Code::BadReply],
        ),
        (
            "moved for good",
            reply(
                "308 Permanent Redirect\r\nlocation: http://127.0.0.1:9/v1/policy",
                b"",
            ),
            Close,
            &[Code::BadReply],
        ),
        (
            "login page",
            reply(
                "511 Network Authentication Required\r\ncontent-type: text/html",
                portal,
            ),
            Close,
            &[Code::Internal, Code::BadReply],
        ),
        (
            "error page",
            reply("502 Bad Gateway\r\ncontent-type: text/html", portal),
            Close,
            &[Code::Unavailable],
        ),
        ("empty 200", reply(json, b""), Close, &[Code::BadReply]),
        (
            "deeply nested JSON",
            reply(json, &nested),
            Close,
            &[Code::BadReply],
        ),
        (
            "JSON of another kind",
            reply(json, br#"{"results":{"receipt":true},"checkpoint":7}"#),
            Close,
            &[Code::BadReply],
        ),
        (
            "zstd bomb",
            reply(
                "200 OK\r\ncontent-encoding: zstd\r\ncontent-type: application/json",
                &bomb,
            ),
            Close,
            &[Code::BadReply],
        ),
        (
            "gzip in name",
            reply(
                "200 OK\r\ncontent-encoding: gzip\r\ncontent-type: application/json",
                b"\x1f\x8b\x08\0\0\0\0\0",
            ),
            Close,
            &[Code::BadReply],
        ),
        (
            "longer than any reply",
            reply(json, &swelling[..POLICY_MAX_BYTES + 1]),
            Close,
            &[Code::BadReply],
        ),
        ("endless chunks", endless, Repeat, &[Code::BadReply]),
        (
            "many headers",
            reply(&many_headers, b"{}"),
            Close,
            &[Code::BadReply, Code::Unreachable],
        ),
        (
            "cut off by TCP",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{".to_vec(),
            Truncate,
            &[Code::Unreachable],
        ),
        (
            "cut off by TLS",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{".to_vec(),
            Close,
            &[Code::Unreachable],
        ),
        (
            "cut off without a length",
            b"HTTP/1.1 200 OK\r\n\r\n{\"results\":[".to_vec(),
            Truncate,
            &[Code::Unreachable],
        ),
        (
            "a chunk that lies",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n".to_vec(),
            Close,
            &[Code::BadReply, Code::Unreachable],
        ),
        (
            "two lengths",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}".to_vec(),
            Close,
            &[Code::BadReply],
        ),
        (
            "a shorter length",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{}".to_vec(),
            Close,
            &[Code::BadReply],
        ),
        (
            "HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
            Close,
            &[Code::BadReply],
        ),
        (
            "another protocol",
            b"220 mail.example ESMTP\r\n".to_vec(),
            Close,
            &[Code::BadReply],
        ),
        ("zeros", vec![0; 1 << 20], Close, &[Code::BadReply]),
        ("silence and goodbye", vec![], Close, &[Code::Unreachable]),
        ("silence", vec![], Truncate, &[Code::Unreachable]),
    ];
    let mut scene = Scene::set_up().await;
    for (lie, answer, end, codes) in lies {
        let liar = Liar::start(&scene.department, answer, end).await;
        let config = scene.config_at(&liar);
        let report = scene.sync_in_vain(config, lie).await;
        let code = report.failure.as_ref().map(|failure| failure.code);
        assert!(
            code.is_some_and(|code| codes.contains(&code)),
            "{lie}: {codes:?} {report:?}"
        );
        let detail = report.failure.and_then(|failure| failure.detail);
        assert!(
            detail.is_none_or(|detail| detail.chars().count() <= 200 && !detail.contains("Hotel")),
            "{lie}: no words of a stranger's page"
        );
        assert!(liar.requests() > 0, "{lie}: the control, it was asked");
    }
    scene.tell_the_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_the_departments_is_asked_nothing() {
    let mut scene = Scene::set_up().await;
    {
        // A phone that has heard the signed time once does not take an old certificate for a
        // wrong clock of its own.
        let agent = scene.handset.open(scene.department.config());
        declare(&agent, "what time is it");
    }
    scene.declared += 1;
    scene.tell_the_truth().await;
    let foreign =
        Authority::foreign("HM Treasury Candour CA", now()).issue_server((-48, 24), now());
    let mut expired = scene
        .department
        .authority()
        .issue_server((-100, -50), now());
    let own = scene.department.server_certificate();
    // The department's own certificate with a key that is not its.
    let without_key = candour_tests::pki::ClientCertificate {
        chain: foreign.chain.clone(),
        key: foreign.key.clone(),
    };
    expired.chain.truncate(2);
    let shown = [
        ("another authority", foreign, Code::ServerNotTrusted),
        (
            "another authority's copy",
            without_key,
            Code::ServerNotTrusted,
        ),
        ("expired", expired, Code::ServerCertificateExpired),
    ];
    for (lie, shown, expected) in shown {
        let liar = Liar::start_as(&shown, reply("200 OK", b"{}"), End::Close).await;
        let config = scene.config_at(&liar);
        let report = scene.sync_in_vain(config, lie).await;
        let code = report.failure.as_ref().map(|failure| failure.code);
        assert!(
            code == Some(expected)
                || (code == Some(Code::PinMismatch) && expected == Code::ServerNotTrusted),
            "{lie}: {report:?}"
        );
        assert_eq!(liar.requests(), 0, "{lie}");
    }
    // The control: the same liar with the right certificate is asked.
    let liar = Liar::start_as(&own, reply("200 OK", b"{}"), End::Close).await;
    let config = scene.config_at(&liar);
    let _ = scene.sync_in_vain(config, "the right certificate").await;
    assert!(liar.requests() > 0);
    scene.tell_the_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_server_asks_for_no_phone_is_silenced_for_much_longer_than_a_day() {
    let mut scene = Scene::set_up().await;
    let far = "Fri, 31 Dec 2099 23:59:59 GMT";
    for (retry_after, status) in [
        ("315360000", 503),
        ("18446744073709551616", 503),
        ("-5", 503),
        ("1e9", 429),
        ("", 429),
        ("soon", 429),
        (far, 503),
        ("86401", 507),
    ] {
        let head = format!(
            "{status} X\r\nretry-after: {retry_after}\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-type: text/plain"
        );
        let liar = Liar::start(&scene.department, reply(&head, b""), End::Close).await;
        let config = scene.config_at(&liar);
        let report = scene
            .sync_in_vain(config, &format!("{status} {retry_after:?}"))
            .await;
        assert!(report.failure.is_some(), "{report:?}");
    }
    scene.tell_the_truth().await;
}
