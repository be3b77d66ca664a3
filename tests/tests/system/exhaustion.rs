//! Too many, too slow, too much: the gateway goes on serving those who are enrolled.
//!
//! The long forms, with thousands of connections and figures, are `candour-tests torture crowd`.

use std::net::SocketAddr;
use std::time::Duration;

use candour_tests::client::connect_tls;
use candour_tests::raw::{batch, certificate_request, receipts, simple_enrol};
use candour_tests::{Department, RawHandset, SmallDisk, wait};
use candour_wire::limits::BATCH_MAX_WIRE_BYTES;
use candour_wire::record::Stream;
use http::{Request, StatusCode};
use rcgen::KeyPair;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::department;

/// A department whose server has these settings.
fn department_with(settings: &[(&str, &str)]) -> Department {
    let mut department = department();
    assert_eq!(department.stop().code(), Some(0));
    let mut serve = department.serve_command();
    for (key, value) in settings {
        serve.env(format!("CANDOUR_SERVER_{}", key.to_uppercase()), value);
    }
    department.restart_with(&mut serve);
    department
}

async fn metric(department: &Department, line: &str) -> u64 {
    let text = ops(department, "/metrics").await;
    let value = text.lines().find_map(|found| found.strip_prefix(line));
    value.map_or(0, |value| value.trim().parse().unwrap())
}

async fn ops(department: &Department, path: &str) -> String {
    let mut stream = TcpStream::connect(department.ops_address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    wait::within("an answer", stream.read_to_string(&mut text))
        .await
        .unwrap();
    text
}

/// Whether the server has ended a connection on which nothing was said.
async fn ended(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(Duration::from_millis(1), stream.read_u8()).await;
    matches!(read, Ok(Err(_)))
}

async fn deliver(department: &Department, handset: &RawHandset, text: &str) {
    let mut connection = handset.connect(department).await;
    let key = connection.policy(department).await.records_key;
    let record = handset.declaration(&handset.genesis(Stream::Records), &key, text);
    assert_eq!(receipts(&connection.deliver(&[record]).await).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_strangers_crowds_out_itself_and_nobody_who_is_enrolled() {
    let department = department_with(&[("strangers_max", "40"), ("strangers_per_address", "20")]);
    let handset = RawHandset::enrol(&department).await;
    let mut kept = handset.connect(&department).await;
    assert_eq!(kept.get("/v1/policy").await.unwrap().status, StatusCode::OK);
    for address in [department.handset_address(), department.public_address()] {
        let mut crowd = Vec::new();
        for _ in 0..60 {
            crowd.push(TcpStream::connect(address).await.unwrap());
        }
        let crowd = tokio::sync::Mutex::new(crowd);
        wait::until("the oldest have given way", || async {
            let mut gone = 0;
            for stream in crowd.lock().await.iter_mut() {
                gone += usize::from(ended(stream).await);
            }
            (gone >= 40).then_some(())
        })
        .await;
        // The crowd is still there, and as large as it may be; by now it has been long enough.
        wait::until("the next one is let in", || async {
            connect_tls(address, department.anonymous_tls()).await.ok()
        })
        .await;
        let fresh = RawHandset::enrol(&department).await;
        deliver(&department, &fresh, "past the crowd").await;
        assert_eq!(kept.get("/v1/policy").await.unwrap().status, StatusCode::OK);
    }
    for listener in ["handset", "public"] {
        let line =
            format!("candour_crowded_out_total{{listener=\"{listener}\",limit=\"address\"}}");
        assert!(metric(&department, &line).await >= 40, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_opens_ever_more_connections_loses_its_own_oldest() {
    let department = department_with(&[("connections_per_handset", "3")]);
    let (greedy, modest) = (
        RawHandset::enrol(&department).await,
        RawHandset::enrol(&department).await,
    );
    let mut other = modest.connect(&department).await;
    assert_eq!(
        other.get("/v1/policy").await.unwrap().status,
        StatusCode::OK
    );
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut connection = greedy.connect(&department).await;
        assert_eq!(
            connection.get("/v1/policy").await.unwrap().status,
            StatusCode::OK
        );
        held.push(connection);
    }
    for (number, connection) in held.into_iter().enumerate() {
        let connection = tokio::sync::Mutex::new(connection);
        let ask = || async { connection.lock().await.get("/v1/policy").await };
        if number < 2 {
            wait::until("it has given way", || async { ask().await.err() }).await;
        } else {
            assert!(ask().await.is_ok(), "connection {number}");
        }
    }
    assert_eq!(
        other.get("/v1/policy").await.unwrap().status,
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_at_anything_is_given_up() {
    let department = department_with(&[
        ("handshake_timeout_s", "1"),
        ("idle_timeout_s", "1"),
        ("request_timeout_s", "2"),
    ]);
    let handset = RawHandset::enrol(&department).await;
    let (address, tls) = (department.handset_address(), handset.tls(&department));

    // A handshake that stops after its first byte.
    let mut silent = TcpStream::connect(address).await.unwrap();
    silent.write_all(&[22]).await.unwrap();
    let end = wait::within("the end of a handshake", silent.read_u8()).await;
    assert!(end.is_err());
    let timed_out = "candour_handshakes_total{listener=\"handset\",outcome=\"timed_out\"}";
    assert_eq!(metric(&department, timed_out).await, 1);

    // A head that comes letter by letter, a connection that is silent after its first request,
    // and a body that never ends.
    let body = "POST /v1/records HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
    for (what, said, answer) in [
        ("a slow head", "GET /v1/policy HTTP/1.1\r\nx: ", ""),
        ("silence", "", ""),
        (
            "a kept connection",
            "GET /log/checkpoint HTTP/1.1\r\nhost: x\r\n\r\n",
            "HTTP/1.1 200",
        ),
        ("a slow body", body, "HTTP/1.1 408"),
    ] {
        let mut stream = connect_tls(address, tls.clone()).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        let (mut read, mut write) = tokio::io::split(&mut stream);
        let drip = async {
            // As slow as it goes: the clock must not begin anew with every letter.
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            while what.starts_with("a slow") && write.write_all(b"x").await.is_ok() {
                ticks.tick().await;
            }
            std::future::pending::<()>().await;
        };
        let listen = wait::within(what, read.read_to_end(&mut heard));
        tokio::select! {
            _ = listen => {}
            () = drip => {}
        }
        let heard = String::from_utf8_lossy(&heard);
        assert!(heard.starts_with(answer), "{what}: {heard}");
    }
    deliver(&department, &handset, "all the same").await;
}

/// Sends all of a request before it reads, as simple clients do.
async fn answer_to(
    address: SocketAddr,
    tls: std::sync::Arc<rustls::ClientConfig>,
    head: &str,
    length: usize,
) -> String {
    let mut stream = connect_tls(address, tls).await.unwrap();
    let head = format!("{head}\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b' '; 64 << 10];
    for _ in 0..length / piece.len() {
        stream.write_all(&piece).await.unwrap();
    }
    let mut answer = String::new();
    let _ = wait::within("an answer", stream.read_to_string(&mut answer)).await;
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_far_too_much_hears_why_before_the_connection_ends() {
    let department = department();
    let handset = RawHandset::enrol(&department).await;
    let (address, tls) = (department.handset_address(), handset.tls(&department));
    let length = 2 * BATCH_MAX_WIRE_BYTES;
    let post = "POST /v1/records HTTP/1.1\r\ncontent-type: ";
    for (head, status) in [
        (format!("{post}application/json"), "413"),
        (format!("{post}text/xml"), "415"),
        ("POST /v1/nowhere HTTP/1.1".to_owned(), "404"),
        ("PUT /v1/policy HTTP/1.1".to_owned(), "405"),
    ] {
        let answer = answer_to(address, tls.clone(), &head, length).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{head}: {answer}"
        );
        assert!(answer.contains("\"advice\""), "{head}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_has_sent_its_share_of_the_day_is_told_when_to_come_back() {
    let department = department_with(&[("handset_daily_mib", "1")]);
    let (loud, quiet) = (
        RawHandset::enrol(&department).await,
        RawHandset::enrol(&department).await,
    );
    let mut connection = loud.connect(&department).await;
    let post = || Request::post("/v1/records").header("content-type", "application/json");
    // Refused for what it says, and counted all the same.
    let filler = vec![b' '; 2 << 20];
    let reply = connection.send(post(), filler).await.unwrap();
    assert_eq!(reply.problem(), "bad_request");
    let mut connection = loud.connect(&department).await;
    let reply = connection.send(post(), batch(&[])).await.unwrap();
    assert_eq!(
        (reply.status.as_u16(), reply.problem().as_str()),
        (429, "budget_spent")
    );
    let wait: u32 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((15..=86_400 + 78).contains(&wait), "{wait}");
    let spent = "candour_failures_total{code=\"budget_spent\"}";
    assert_eq!(metric(&department, spent).await, 1);

    // Reading and renewal stay open to it, and everything to others.
    let mut connection = loud.connect(&department).await;
    assert_eq!(
        connection.get("/v1/policy").await.unwrap().status,
        StatusCode::OK
    );
    let renew = Request::post("/.well-known/est/simplereenroll")
        .header("content-type", "application/pkcs10");
    let renewed = connection.send(renew, certificate_request(&loud.key)).await;
    assert_eq!(renewed.unwrap().status, StatusCode::OK);
    deliver(&department, &quiet, "not its fault").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_files_leave_room_on_the_disk_for_enrolments_and_revocations() {
    let mut department = department();
    let handset = RawHandset::enrol(&department).await;
    assert_eq!(department.stop().code(), Some(0));
    let disk = SmallDisk::mount(&department.data(), 96 << 10);
    disk.take_in(&department.data());
    let mut serve = disk.inside(&department.serve_command());
    serve.env("CANDOUR_SERVER_DISK_RESERVE_MIB", "32");
    department.restart_with(&mut serve);
    let mut connection = handset.connect(&department).await;
    let key = connection.policy(&department).await.records_key;
    let records = handset.declarations(handset.genesis(Stream::Records), &key, 2);
    assert_eq!(receipts(&connection.deliver(&records[..1]).await).len(), 1);

    disk.fill_up_to(16 << 10);
    let department = &department;
    let ready = async |answer: &'static str| {
        wait::until("the disk is looked at", || async {
            let found = ops(department, "/readyz").await;
            found.starts_with(answer).then_some(())
        })
        .await;
    };
    ready("HTTP/1.1 507").await;
    let refused = connection
        .post(Stream::Records, batch(&records[1..]))
        .await
        .unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.problem().as_str()),
        (507, "storage_full")
    );
    assert!(refused.header("retry-after").is_some());
    let file = Request::put(format!(
        "/v1/attachments/{}",
        candour_wire::Digest::of(b"x")
    ))
    .header("content-type", "application/octet-stream")
    .header("upload-offset", "0")
    .header("upload-length", "1");
    let mut connection = handset.connect(department).await;
    let refused = connection.send(file, "x").await.unwrap();
    assert_eq!(refused.problem(), "storage_full");
    assert!(metric(department, "candour_disk_free_bytes").await <= 17 << 20);

    // The commands of this process do not see the small disk, but the server does its part.
    let renew = Request::post("/.well-known/est/simplereenroll")
        .header("content-type", "application/pkcs10");
    let renewed = connection
        .send(renew, certificate_request(&handset.key))
        .await;
    assert_eq!(renewed.unwrap().status, StatusCode::OK);
    let stranger = certificate_request(&KeyPair::generate().unwrap());
    let reply = simple_enrol(department, "no-such-token", stranger).await;
    assert_eq!(
        reply.problem(),
        "token_unknown",
        "enrolment is judged as ever"
    );

    disk.free();
    ready("HTTP/1.1 200").await;
    let mut connection = handset.connect(department).await;
    assert_eq!(receipts(&connection.deliver(&records[1..]).await).len(), 1);
}
