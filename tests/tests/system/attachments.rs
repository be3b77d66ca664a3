//! Files that go with declarations, in pieces, over networks that break.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use candour_tests::client::status_of_head;
use candour_tests::handset::{config_through, draft};
use candour_tests::interceptor::{Asked, Fate};
use candour_tests::raw::refusal;
use candour_tests::{Connection, Handset, Interceptor, RawHandset, Reply};
use candour_wire::api::UploadStatus;
use candour_wire::limits::ATTACHMENT_PIECE_MAX_BYTES;
use candour_wire::record::{AttachmentRef, Stream};
use candour_wire::{Code, Digest};
use http::{Method, Request};

use crate::department;

/// Bytes without a pattern that would hide a piece in the wrong place.
fn photograph(length: usize) -> Vec<u8> {
    (0..length as u64)
        .flat_map(|n| {
            Digest::of(&(n / 32).to_be_bytes())
                .0
                .into_iter()
                .skip((n % 32) as usize)
                .take(1)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_goes_on_where_it_stopped_and_opens_to_the_same_bytes() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    let file = photograph(5 * ATTACHMENT_PIECE_MAX_BYTES / 2);
    let uploaded = Arc::new(AtomicU64::new(0));
    let id = {
        let counter = Arc::clone(&uploaded);
        let rule = move |asked: &Asked| {
            if asked.method != Method::PUT {
                return Fate::Pass;
            }
            match counter.fetch_add(1, Ordering::SeqCst) {
                0 => Fate::Pass,
                // The second arrives, but nobody hears of it.
                1 => Fate::Swallow(Box::new(|_| {})),
                _ => Fate::Cut,
            }
        };
        let interceptor = Interceptor::start(&department, handset.tls(&department), rule).await;
        let agent = handset.open(config_through(&department, &interceptor));
        let attachment = agent.attach("photo.jpg", &mut file.as_slice()).unwrap();
        let mut with_file = draft("see the photograph");
        with_file.attachments.push(attachment);
        let id = agent
            .declare(agent.preview(&with_file).unwrap(), None)
            .unwrap();
        let report = agent.sync().await.unwrap();
        assert_eq!(
            report.failure.map(|failure| failure.code),
            Some(Code::Unreachable)
        );
        assert_eq!(report.received, 0, "no record before its files");
        id
    };
    let pieces = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&pieces);
    let rule = move |asked: &Asked| {
        if asked.method == Method::PUT {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        Fate::Pass
    };
    let interceptor = Interceptor::start(&department, handset.tls(&department), rule).await;
    let agent = handset.open(config_through(&department, &interceptor));
    let report = agent.sync().await.unwrap();
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(report.received, 1);
    assert_eq!(
        pieces.load(Ordering::SeqCst),
        1,
        "only the last piece was missing"
    );
    let spooled = std::fs::read_dir(handset.home().join("attachments"))
        .unwrap()
        .count();
    assert_eq!(spooled, 0, "the phone keeps no copy of what was received");

    let (key, out) = (
        department.data().join("records-role/records.key"),
        department.scratch().join("out"),
    );
    let id = id.to_string();
    let open = [
        "open",
        &id,
        "--key",
        key.to_str().unwrap(),
        "--reason",
        "FOI",
        "--who",
        "Rita",
        "--attachments",
    ];
    let opened = department.command(&[&open[..], &[out.to_str().unwrap()]].concat());
    let _ = opened.succeeded();
    let files: Vec<_> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(
        files[0].to_string_lossy().ends_with("photo.jpg"),
        "{files:?}"
    );
    assert!(
        std::fs::read(&files[0]).unwrap() == file,
        "another file came out"
    );
    assert!(!crate::privacy::contains(
        &department.data().join("attachments"),
        &String::from_utf8_lossy(&file[..0x10])
    ));
}

async fn put(
    connection: &mut Connection,
    name: &Digest,
    offset: u64,
    total: u64,
    bytes: &[u8],
) -> Reply {
    let request = Request::put(format!("/v1/attachments/{name}"))
        .header("content-type", "application/octet-stream")
        .header("upload-offset", offset.to_string())
        .header("upload-length", total.to_string());
    connection.send(request, bytes.to_vec()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_in_the_wrong_place_of_the_wrong_file_or_too_long_are_refused() {
    let department = department();
    let handset = RawHandset::enrol(&department).await;
    let mut connection = handset.connect(&department).await;
    let file = photograph(100_000);
    let (name, total) = (Digest::of(&file), file.len() as u64);

    let begun = put(&mut connection, &name, 0, total, &file[..50_000]).await;
    assert_eq!(
        begun.json::<UploadStatus>(),
        UploadStatus {
            offset: 50_000,
            complete: false
        }
    );
    let ahead = put(&mut connection, &name, 60_000, total, &file[60_000..]).await;
    assert_eq!(
        (ahead.status.as_u16(), ahead.problem().as_str()),
        (409, "attachment_offset")
    );
    let head = connection
        .send(Request::head(format!("/v1/attachments/{name}")), "")
        .await
        .unwrap();
    assert_eq!(
        (head.header("upload-offset"), head.header("upload-complete")),
        (Some("50000"), Some("?0"))
    );

    // The last piece is not what the name says: nothing of the file is kept.
    let mut wrong = file[50_000..].to_vec();
    wrong[0] ^= 1;
    let refused = put(&mut connection, &name, 50_000, total, &wrong).await;
    assert_eq!(refused.problem(), "attachment_digest");
    let whole = put(&mut connection, &name, 0, total, &file).await;
    assert_eq!(
        whole.json::<UploadStatus>(),
        UploadStatus {
            offset: total,
            complete: true
        }
    );
    let again = put(&mut connection, &name, 0, total, &file).await;
    assert!(
        again.json::<UploadStatus>().complete,
        "a piece of a complete file changes nothing"
    );

    let huge = put(&mut connection, &name, 0, 200 << 20, b"x").await;
    assert_eq!(
        (huge.status.as_u16(), huge.problem().as_str()),
        (413, "attachment_too_large")
    );
    let long = ATTACHMENT_PIECE_MAX_BYTES + 1;
    let head = format!(
        "PUT /v1/attachments/{} HTTP/1.1\r\ncontent-type: application/octet-stream\r\nupload-offset: 0\r\n\
         upload-length: {long}\r\ncontent-length: {long}",
        Digest::of(b"long")
    );
    let (address, tls) = (department.handset_address(), handset.tls(&department));
    assert_eq!(status_of_head(address, tls, &head).await, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_waits_for_its_files_and_a_handset_sees_only_its_own() {
    let department = department();
    let handset = RawHandset::enrol(&department).await;
    let other = RawHandset::enrol(&department).await;
    let mut connection = handset.connect(&department).await;
    let mut others = other.connect(&department).await;
    let key = connection.policy(&department).await.records_key;
    let file = photograph(10_000);
    let (name, total) = (Digest::of(&file), file.len() as u64);
    // The other has a file of this name; that is none of this handset's business.
    assert!(
        put(&mut others, &name, 0, total, &file)
            .await
            .json::<UploadStatus>()
            .complete
    );
    let status = connection
        .get(&format!("/v1/attachments/{name}"))
        .await
        .unwrap();
    assert_eq!(
        status.json::<UploadStatus>(),
        UploadStatus {
            offset: 0,
            complete: false
        }
    );

    let head = handset.genesis(Stream::Records);
    let attachments = vec![AttachmentRef {
        sha256: name,
        size: total,
    }];
    let record = handset.declaration_with(&head, &key, "see the file", attachments);
    let reply = connection.deliver(std::slice::from_ref(&record)).await;
    assert_eq!(refusal(&reply).code, "attachment_missing");
    assert!(
        put(&mut connection, &name, 0, total, &file)
            .await
            .json::<UploadStatus>()
            .complete
    );
    let reply = connection.deliver(&[record]).await;
    assert_eq!(candour_tests::raw::receipts(&reply).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_that_were_acknowledged_are_there_after_the_server_was_killed() {
    let mut department = department();
    let handset = RawHandset::enrol(&department).await;
    let file = photograph(90_000);
    let (name, total) = (Digest::of(&file), file.len() as u64);
    let mut sent = 0;
    for end in [30_000, 60_000, 90_000] {
        let mut connection = handset.connect(&department).await;
        let piece = &file[sent..end];
        let put = put(&mut connection, &name, sent as u64, total, piece).await;
        assert_eq!(put.json::<UploadStatus>().offset, end as u64);
        sent = end;
        department.kill();
        department.restart();
        let mut connection = handset.connect(&department).await;
        let status = connection.get(&format!("/v1/attachments/{name}")).await;
        let status: UploadStatus = status.unwrap().json();
        assert_eq!(status.offset, end as u64);
        assert_eq!(status.complete, end as u64 == total);
    }
}
