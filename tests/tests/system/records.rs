//! What a handset without scruples sends, and what the server makes of it.

use candour_tests::client::{connect_tls, status_of_head};
use candour_tests::raw::{Signed, batch, batch_of, receipts, refusal};
use candour_tests::{Connection, Department, RawHandset};
use candour_wire::Digest;
use candour_wire::api::{BatchReply, RecordResult};
use candour_wire::limits::{BATCH_MAX_RECORDS, BATCH_MAX_WIRE_BYTES};
use candour_wire::log::{Checkpoint, ReceiptProof, verify_receipt};
use candour_wire::posture::Presence;
use candour_wire::record::{Body, Stream};
use candour_wire::seal::{RecordsPrivateKey, RecordsPublicKey, Suite};
use http::Request;
use tokio::io::AsyncWriteExt as _;

use crate::department;

struct Scene {
    department: Department,
    handset: RawHandset,
    connection: Connection,
    key: RecordsPublicKey,
}

async fn scene() -> Scene {
    let department = department();
    let handset = RawHandset::enrol(&department).await;
    let mut connection = handset.connect(&department).await;
    let key = connection.policy(&department).await.records_key;
    Scene {
        department,
        handset,
        connection,
        key,
    }
}

impl Scene {
    /// Each receipt proves its record, and the log has `size` leaves.
    async fn prove(&self, reply: &BatchReply, records: &[Signed], size: u64) {
        let checkpoint =
            Checkpoint::open(&reply.checkpoint, &self.department.config().log_key).unwrap();
        for (receipt, signed) in receipts(reply).into_iter().zip(records) {
            assert_eq!(receipt.id, signed.record.id);
            let proof = ReceiptProof {
                index: receipt.index,
                salt: receipt.salt,
                path: &receipt.path,
            };
            verify_receipt(&proof, &Digest::of(signed.jws.as_bytes()), &checkpoint).unwrap();
        }
        assert_eq!(self.department.checkpoint().await.size, size);
    }

    fn declarations(&self, count: usize) -> Vec<Signed> {
        self.handset
            .declarations(self.handset.genesis(Stream::Records), &self.key, count)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_comes_again_gets_the_same_receipts_and_is_kept_once() {
    let mut scene = scene().await;
    let records = scene.declarations(5);
    let first = scene.connection.deliver(&records).await;
    scene.prove(&first, &records, 5).await;

    // In part, as a whole, and on another connection.
    let part = scene.connection.deliver(&records[2..4]).await;
    scene.prove(&part, &records[2..4], 5).await;
    let mut fresh = scene.handset.connect(&scene.department).await;
    let whole = fresh.deliver(&records).await;
    scene.prove(&whole, &records, 5).await;
    for (before, after) in receipts(&first).into_iter().zip(receipts(&whole)) {
        assert!(!before.duplicate);
        assert!(after.duplicate);
        assert_eq!(
            (before.index, before.salt, before.received),
            (after.index, after.salt, after.received)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_record_twice_in_one_batch_is_kept_once() {
    let mut scene = scene().await;
    let one = scene.declarations(1).remove(0);
    let reply = scene.connection.deliver(&[one.clone(), one.clone()]).await;
    scene.prove(&reply, &[one.clone(), one], 1).await;
    assert_eq!(
        receipts(&reply)
            .iter()
            .map(|receipt| receipt.duplicate)
            .collect::<Vec<_>>(),
        [false, true]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_cut_off_half_way_leaves_nothing_and_is_taken_when_it_comes_again() {
    let mut scene = scene().await;
    let records = scene.declarations(8);
    let body = batch(&records);
    let address = scene.department.handset_address();
    for part in [0, body.len() / 2, body.len() - 1] {
        let mut stream = connect_tls(address, scene.handset.tls(&scene.department))
            .await
            .unwrap();
        let head = format!(
            "POST /v1/records HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body[..part]).await.unwrap();
        stream.flush().await.unwrap();
        // The socket is closed without a word, as a phone in a tunnel does.
        drop(stream);
    }
    assert_eq!(scene.department.checkpoint().await.size, 0);
    let reply = scene.connection.deliver(&records).await;
    scene.prove(&reply, &records, 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_record_in_a_taken_place_is_refused_and_noted() {
    let mut scene = scene().await;
    let records = scene.declarations(2);
    let _ = scene.connection.deliver(&records).await;
    let head = scene.handset.genesis(Stream::Records);

    let other = scene
        .handset
        .declaration(&head, &scene.key, "another story");
    let reply = scene.connection.deliver(std::slice::from_ref(&other)).await;
    assert_eq!(refusal(&reply).code, "sequence_conflict");
    let named = refusal(&reply).head.unwrap();
    assert_eq!(
        named,
        head.extended(&records[0].jws).extended(&records[1].jws)
    );

    // The id is known already, the place and the body are others.
    let mut stolen = scene
        .handset
        .declaration(&named, &scene.key, "another story")
        .record;
    stolen.id = records[0].record.id;
    let reply = scene
        .connection
        .deliver(&[scene.handset.sign(stolen)])
        .await;
    assert_eq!(refusal(&reply).code, "id_conflict");

    // The same id in the same place with another body.
    let mut changed = other.record;
    changed.id = records[0].record.id;
    let reply = scene
        .connection
        .deliver(&[scene.handset.sign(changed)])
        .await;
    assert!(
        ["sequence_conflict", "id_conflict"].contains(&refusal(&reply).code.as_str()),
        "{reply:?}"
    );

    assert_eq!(scene.department.checkpoint().await.size, 2);
    let listed = scene
        .department
        .command(&["handset", "list", "--json"])
        .succeeded()
        .json();
    assert!(
        listed[0]["anomalies"]
            .as_u64()
            .is_some_and(|count| count >= 3),
        "{listed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_or_a_broken_link_in_the_chain_is_refused_with_the_head_and_the_rest_goes_on() {
    let mut scene = scene().await;
    let records = scene.declarations(4);
    let reply = scene
        .connection
        .deliver(&[records[0].clone(), records[2].clone(), records[3].clone()])
        .await;
    let [
        RecordResult::Receipt(_),
        RecordResult::Refusal(gap),
        RecordResult::Refusal(_),
    ] = reply.results.as_slice()
    else {
        panic!("{reply:?}")
    };
    assert_eq!(gap.code, "sequence_gap");
    let head = scene
        .handset
        .genesis(Stream::Records)
        .extended(&records[0].jws);
    assert_eq!(gap.head, Some(head));

    let mut broken = scene
        .handset
        .declaration(&head, &scene.key, "second")
        .record;
    broken.prev = Digest::of(b"something else");
    let reply = scene
        .connection
        .deliver(&[scene.handset.sign(broken)])
        .await;
    assert_eq!(
        (refusal(&reply).code.as_str(), refusal(&reply).head),
        ("chain_broken", Some(head))
    );

    let reply = scene.connection.deliver(&records[1..]).await;
    scene.prove(&reply, &records[1..], 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_signature_is_refused_whatever_was_altered() {
    let mut scene = scene().await;
    let good = scene.declarations(1).remove(0);
    let [header, payload, signature] =
        <[&str; 3]>::try_from(good.jws.split('.').collect::<Vec<_>>()).unwrap();
    let other =
        scene
            .handset
            .declaration(&scene.handset.genesis(Stream::Records), &scene.key, "other");
    let others_payload = other.jws.split('.').nth(1).unwrap();
    let zeros = "A".repeat(86);
    let none = base64::Engine::encode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        r#"{"alg":"none"}"#,
    );
    let forged = [
        format!("{header}.{others_payload}.{signature}"),
        format!("{header}.{payload}.{zeros}"),
        format!("{header}.{payload}."),
        format!("{none}.{payload}."),
        format!("{none}.{payload}.{signature}"),
        "no.jws.at all".to_owned(),
        String::new(),
    ];
    let count = forged.len();
    let reply = scene
        .connection
        .post(Stream::Records, batch_of(forged.to_vec(), 0))
        .await
        .unwrap();
    let reply: BatchReply = reply.json();
    assert_eq!(reply.results.len(), count);
    for result in &reply.results {
        let RecordResult::Refusal(refusal) = result else {
            panic!("{result:?}")
        };
        assert!(
            ["signature_invalid", "record_malformed"].contains(&refusal.code.as_str()),
            "{refusal:?}"
        );
    }
    assert!(
        matches!(&reply.results[0], RecordResult::Refusal(refusal) if refusal.code == "signature_invalid")
    );
    // None of it stands in the way of the real one.
    let reply = scene.connection.deliver(std::slice::from_ref(&good)).await;
    scene.prove(&reply, &[good], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_outside_the_catalogue_is_refused_and_its_name_is_kept_nowhere() {
    let mut scene = scene().await;
    let catalogue = scene
        .connection
        .policy(&scene.department)
        .await
        .catalogue
        .unwrap()
        .version;
    let head = scene.handset.genesis(Stream::Posture);
    let private = "grindr-of-my-own";
    let apps = [
        ("whatsapp", Presence::Installed),
        (private, Presence::Installed),
    ];
    let reply = scene
        .connection
        .deliver(&[scene.handset.inventory(&head, catalogue, &apps)])
        .await;
    assert_eq!(refusal(&reply).code, "app_not_in_catalogue");
    assert!(!format!("{reply:?}").contains(private));

    let good = scene.handset.inventory(&head, catalogue, &apps[..1]);
    let reply = scene.connection.deliver(std::slice::from_ref(&good)).await;
    scene.prove(&reply, &[good], 1).await;

    assert_eq!(scene.department.stop().code(), Some(0));
    assert!(!crate::privacy::contains(&scene.department.data(), private));
    assert!(!scene.department.process().log().contains(private));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_planes_are_kept_apart() {
    let mut scene = scene().await;
    let declaration = scene.declarations(1);
    let reply = scene
        .connection
        .post(Stream::Posture, batch(&declaration))
        .await
        .unwrap();
    assert_eq!(refusal(&reply.json()).code, "wrong_stream");
    let apps = [("whatsapp", Presence::Absent)];
    let inventory = scene
        .handset
        .inventory(&scene.handset.genesis(Stream::Posture), 1, &apps);
    let reply = scene
        .connection
        .post(Stream::Records, batch(&[inventory]))
        .await
        .unwrap();
    assert_eq!(refusal(&reply.json()).code, "wrong_stream");
    assert_eq!(scene.department.checkpoint().await.size, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_sealed_to_another_key_is_refused() {
    let mut scene = scene().await;
    let other = RecordsPrivateKey::generate().public_key(Suite::XWingAes256Gcm);
    let sealed = scene.handset.declaration(
        &scene.handset.genesis(Stream::Records),
        &other,
        "unreadable",
    );
    let reply = scene.connection.deliver(&[sealed]).await;
    assert_eq!(refusal(&reply).code, "seal_refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_another_version_or_shape_is_refused_by_itself() {
    let mut scene = scene().await;
    let head = scene.handset.genesis(Stream::Records);
    let good = scene.declarations(1).remove(0);
    let mut newer = scene.handset.declaration(&head, &scene.key, "newer").record;
    newer.v = 2;
    let missing = scene.handset.record(
        &head,
        candour_wire::RecordId::make(candour_tests::department::now()),
        Body::Withdrawal(candour_wire::record::Withdrawal {
            withdraws: good.record.id,
            sealed: good.record.body.sealed().unwrap().0.clone(),
        }),
    );
    let reply = scene.connection.deliver(&[scene.handset.sign(newer)]).await;
    assert_eq!(refusal(&reply).code, "record_version");
    let reply = scene
        .connection
        .deliver(&[scene.handset.sign(missing)])
        .await;
    assert_eq!(
        refusal(&reply).code,
        "plane_refused",
        "it withdraws what was never declared"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_get_a_problem_document_each_and_the_connection_lives_on() {
    let mut scene = scene().await;
    let json = "application/json";
    let too_many = batch_of(vec!["a.b.c".into(); BATCH_MAX_RECORDS + 1], 0);
    let cases: [(http::request::Builder, Vec<u8>, u16, &str); 10] = [
        (
            Request::post("/v1/records").header("content-type", json),
            b"{".to_vec(),
            400,
            "bad_request",
        ),
        (
            Request::post("/v1/records").header("content-type", json),
            b"{\"records\":[]}".to_vec(),
            400,
            "bad_request",
        ),
        (
            Request::post("/v1/records").header("content-type", json),
            too_many,
            413,
            "body_too_large",
        ),
        (
            Request::post("/v1/records").header("content-type", "text/xml"),
            b"{}".to_vec(),
            415,
            "unsupported_media_type",
        ),
        (
            Request::post("/v1/records")
                .header("content-type", json)
                .header("content-encoding", "gzip"),
            b"{}".to_vec(),
            415,
            "unsupported_media_type",
        ),
        (
            Request::post("/v1/records")
                .header("content-type", json)
                .header("content-encoding", "zstd"),
            b"no zstd".to_vec(),
            400,
            "bad_request",
        ),
        (
            Request::get("/v1/records"),
            vec![],
            405,
            "method_not_allowed",
        ),
        (Request::get("/v1/nothing"), vec![], 404, "not_found"),
        (Request::get("/../../etc/passwd"), vec![], 404, "not_found"),
        (
            Request::get("/v1/attachments/short"),
            vec![],
            404,
            "not_found",
        ),
    ];
    for (request, body, status, code) in cases {
        let shown = format!("{request:?}");
        let reply = scene.connection.send(request, body).await.unwrap();
        assert_eq!(
            (reply.status.as_u16(), reply.problem().as_str()),
            (status, code),
            "{shown}"
        );
    }
    let records = scene.declarations(1);
    let reply = scene.connection.deliver(&records).await;
    scene.prove(&reply, &records, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_long_is_refused_before_it_is_read() {
    let scene = scene().await;
    let address = scene.department.handset_address();
    let head = format!(
        "POST /v1/records HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {}",
        BATCH_MAX_WIRE_BYTES + 1
    );
    assert_eq!(
        status_of_head(address, scene.handset.tls(&scene.department), &head).await,
        413
    );
}
