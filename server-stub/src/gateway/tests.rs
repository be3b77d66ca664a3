use axum::body::Body;
use axum::routing::get;
use candour_wire::Digest;
use candour_wire::api::{BatchReply, RecordResult};
use candour_wire::log::{Checkpoint, ReceiptProof, verify_receipt};
use candour_wire::posture::Presence;
use candour_wire::record::{self, Stream};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use http::{Request, header};
use jiff::SignedDuration;

use super::layers;
use super::testing::{Phone, World, batch, department, inventory, now, send};
use crate::identity::profile;
use crate::store::Reason;

fn get_request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn installed(app: &str) -> record::Body {
    record::Body::Inventory(inventory(&[(app, Presence::Installed)]))
}

#[tokio::test]
async fn a_token_enrols_one_key_and_gives_it_another_certificate_after_a_lost_reply() {
    let world = World::new();
    let routes = world.gateway.public_routes();
    world.token("token").await;
    let (phone, other) = (Phone::new(), Phone::new());
    for _ in 0..2 {
        let reply = send(&routes, phone.enrolment("token")).await;
        assert_eq!(reply.status, 200);
        assert_eq!(
            reply.headers[header::CONTENT_TYPE],
            "application/pkcs7-mime; smime-type=certs-only"
        );
    }
    let reply = send(&routes, other.enrolment("token")).await;
    assert_eq!((reply.status, reply.code().as_str()), (401, "token_used"));
    let reply = send(&routes, other.enrolment("unknown")).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (401, "token_unknown")
    );
    let mut request = other.enrolment("token");
    request.headers_mut().remove(header::AUTHORIZATION);
    let reply = send(&routes, request).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (401, "token_missing")
    );
    assert_eq!(
        reply.headers[header::WWW_AUTHENTICATE],
        "Basic realm=\"candour\""
    );
}

#[tokio::test]
async fn a_request_that_is_wrong_does_not_use_up_the_token() {
    let world = World::new();
    let routes = world.gateway.public_routes();
    world.token("token").await;
    let phone = Phone::new();
    let mut request = phone.enrolment("token");
    *request.body_mut() = "bm90IGEgcmVxdWVzdA==".into();
    assert_eq!(send(&routes, request).await.code(), "csr_invalid");
    let mut request = phone.enrolment("token");
    *request.body_mut() = vec![b'A'; 9 << 10].into();
    assert_eq!(send(&routes, request).await.code(), "body_too_large");
    assert_eq!(
        send(&routes, Phone::new().enrolment("token")).await.status,
        200
    );
}

#[tokio::test]
async fn a_certificate_is_renewed_for_the_same_key_only() {
    let world = World::new();
    let phone = world.handset().await;
    let renewal = |csr: String| {
        Request::post("/.well-known/est/simplereenroll")
            .header(header::CONTENT_TYPE, "application/pkcs10")
            .body(csr.into())
            .unwrap()
    };
    assert_eq!(world.ask(&phone, renewal(phone.csr())).await.status, 200);
    assert_eq!(
        world.ask(&phone, renewal(Phone::new().csr())).await.code(),
        "csr_key_changed"
    );
}

/// A request whose body never comes.
fn stalled(request: Request<Body>) -> Request<Body> {
    let nothing = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    request.map(|_| Body::from_stream(nothing))
}

#[tokio::test]
async fn who_sends_slowly_holds_up_nobody() {
    let world = World::new();
    let routes = world.gateway.public_routes();
    let mut phone = world.handset().await;
    let (other, slow) = (Phone::new(), world.handset().await);
    world.token("token").await;
    let renewal = || {
        Request::post("/.well-known/est/simplereenroll")
            .header(header::CONTENT_TYPE, "application/pkcs10")
            .body(phone.csr().into())
            .unwrap()
    };
    let piece = |body: &'static str| {
        Request::put(format!("/v1/attachments/{}", Digest::of(b"file")))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header("upload-offset", 0)
            .header("upload-length", 4)
            .body(body.into())
            .unwrap()
    };
    let mut waiting = FuturesUnordered::new();
    for _ in 0..100 {
        waiting.push(send(&routes, stalled(other.enrolment("token"))).boxed());
        for request in [renewal(), piece(""), batch(Stream::Posture, &[])] {
            waiting.push(world.ask(&slow, stalled(request)).boxed());
        }
    }
    assert!(waiting.next().now_or_never().is_none(), "none is answered");

    assert_eq!(send(&routes, other.enrolment("token")).await.status, 200);
    assert_eq!(world.ask(&phone, renewal()).await.status, 200);
    assert_eq!(world.ask(&phone, piece("file")).await.status, 200);
    let record = phone.next(installed("whatsapp"));
    let reply = world.ask(&phone, batch(Stream::Posture, &[&record])).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_record_gets_a_receipt_that_proves_it_and_the_same_again_for_the_same_record() {
    let world = World::new();
    let mut phone = world.handset().await;
    let jws = phone.next(installed("whatsapp"));
    for duplicate in [false, true] {
        let reply = world.ask(&phone, batch(Stream::Posture, &[&jws])).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let reply: BatchReply = serde_json::from_slice(&reply.body).unwrap();
        let [RecordResult::Receipt(receipt)] = reply.results.as_slice() else {
            panic!("{:?}", reply.results)
        };
        assert_eq!(receipt.duplicate, duplicate);
        let checkpoint = Checkpoint::open(&reply.checkpoint, &world.log).unwrap();
        let proof = ReceiptProof {
            index: receipt.index,
            salt: receipt.salt,
            path: &receipt.path,
        };
        verify_receipt(&proof, &Digest::of(jws.as_bytes()), &checkpoint).unwrap();
    }
    let routes = world.gateway.public_routes();
    let note = send(&routes, get_request("/log/checkpoint")).await;
    assert_eq!(
        Checkpoint::open(std::str::from_utf8(&note.body).unwrap(), &world.log)
            .unwrap()
            .size,
        1
    );
    let tile = send(&routes, get_request("/log/tile/0/000.p/1")).await;
    assert_eq!((tile.status, tile.body.len()), (200, 32));
    assert!(
        tile.headers[header::CACHE_CONTROL]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    for absent in [
        "/log/tile/0/000",
        "/log/tile/0/000.p/2",
        "/log/tile/9/000",
        "/log/tile/0/..%2f000",
    ] {
        assert_eq!(
            send(&routes, get_request(absent)).await.code(),
            "not_found",
            "{absent}"
        );
    }
}

#[tokio::test]
async fn one_refused_record_does_not_stop_the_batch() {
    let world = World::new();
    let mut phone = world.handset().await;
    let forged = Phone::new().next(installed("whatsapp"));
    let good = phone.next(installed("whatsapp"));
    let reply = world
        .ask(&phone, batch(Stream::Posture, &[&forged, &good]))
        .await;
    let results = reply.json()["results"].clone();
    assert_eq!(results[0]["refusal"]["code"], "signature_invalid");
    assert!(results[1]["receipt"].is_object(), "{results}");
}

#[tokio::test]
async fn a_revoked_handset_is_refused_at_once_by_the_store_and_soon_at_the_door() {
    let world = World::new();
    let mut phone = world.handset().await;
    let reason = Reason::new("lost on a train").unwrap();
    world
        .gateway
        .store
        .revoke(&phone.id(), reason, now())
        .await
        .unwrap();
    // The set in memory does not know yet, as on a connection that is kept alive.
    let jws = phone.next(installed("whatsapp"));
    let reply = world.ask(&phone, batch(Stream::Posture, &[&jws])).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (403, "handset_revoked")
    );
    assert_eq!(
        world.ask(&phone, get_request("/v1/policy")).await.status,
        200
    );
    world
        .gateway
        .enrolled
        .refresh(world.gateway.store.as_ref())
        .await
        .unwrap();
    assert_eq!(
        world.ask(&phone, get_request("/v1/policy")).await.code(),
        "handset_revoked"
    );
}

#[tokio::test]
async fn a_certificate_that_expires_while_its_connection_lives_opens_nothing_more() {
    let world = World::new();
    let phone = world.handset().await;
    for (seconds_ago, status) in [(0, 200), (1, 401)] {
        let mut identity = phone.identity();
        identity.not_after = now() - SignedDuration::from_secs(seconds_ago);
        let mut request = get_request("/v1/policy");
        request.extensions_mut().insert(identity);
        let reply = send(&world.gateway.handset_routes(), request).await;
        assert_eq!(reply.status, status);
        if status != 200 {
            assert_eq!(reply.code(), "certificate_expired");
        }
    }
}

#[tokio::test]
async fn without_a_verified_identity_nothing_under_v1_answers() {
    let world = World::new();
    let routes = world.gateway.handset_routes();
    for path in [
        "/v1/policy",
        "/v1/attachments/x",
        "/.well-known/est/cacerts",
    ] {
        assert_eq!(
            send(&routes, get_request(path)).await.code(),
            "certificate_refused",
            "{path}"
        );
    }
    let stranger = Phone::new();
    assert_eq!(
        world.ask(&stranger, get_request("/v1/policy")).await.code(),
        "certificate_refused"
    );
}

#[tokio::test]
async fn the_policy_is_not_sent_again_to_who_has_it() {
    let world = World::new();
    let phone = world.handset().await;
    let reply = world.ask(&phone, get_request("/v1/policy")).await;
    assert_eq!(reply.headers[header::CONTENT_TYPE], "application/jose");
    let etag = reply.headers[header::ETAG].to_str().unwrap();
    for (tags, status) in [
        (etag.to_owned(), 304),
        (format!("\"x\", W/{etag}"), 304),
        ("\"x\"".to_owned(), 200),
    ] {
        let mut request = get_request("/v1/policy");
        request
            .headers_mut()
            .insert(header::IF_NONE_MATCH, tags.parse().unwrap());
        assert_eq!(world.ask(&phone, request).await.status, status, "{tags}");
    }
}

#[tokio::test]
async fn a_file_comes_in_pieces_and_goes_on_where_it_stopped() {
    let world = World::new();
    let phone = world.handset().await;
    let file = vec![7; 3_000];
    let path = format!("/v1/attachments/{}", Digest::of(&file));
    let piece = |offset: usize, bytes: &[u8]| {
        Request::put(&path)
            .header("upload-offset", offset)
            .header("upload-length", 3_000)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(bytes.to_vec().into())
            .unwrap()
    };
    let head = || Request::head(&path).body(Body::empty()).unwrap();
    let reply = world.ask(&phone, head()).await;
    assert_eq!(
        (
            reply.status,
            &reply.headers["upload-offset"],
            &reply.headers["upload-complete"]
        ),
        (200, &"0".parse().unwrap(), &"?0".parse().unwrap())
    );
    assert_eq!(
        world.ask(&phone, piece(0, &file[..1_000])).await.json()["offset"],
        1_000
    );
    assert_eq!(
        world.ask(&phone, piece(0, &file)).await.code(),
        "attachment_offset"
    );
    assert_eq!(
        world.ask(&phone, head()).await.headers["upload-offset"],
        "1000"
    );
    assert_eq!(
        world.ask(&phone, piece(1_000, &file[1_000..])).await.json()["complete"],
        true
    );
    assert_eq!(
        world.ask(&phone, head()).await.headers["upload-complete"],
        "?1"
    );
    let mut endless = piece(0, b"x");
    endless
        .headers_mut()
        .insert("upload-length", "999999999999".parse().unwrap());
    assert_eq!(
        world.ask(&phone, endless).await.code(),
        "attachment_too_large"
    );
}

#[tokio::test]
async fn every_refusal_is_a_problem_document() {
    let world = World::new();
    let phone = world.handset().await;
    let mut other_type = batch(Stream::Records, &["a"]);
    other_type
        .headers_mut()
        .insert(header::CONTENT_TYPE, "text/plain".parse().unwrap());
    let mut other_encoding = batch(Stream::Records, &["a"]);
    other_encoding
        .headers_mut()
        .insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
    let mut large = batch(Stream::Records, &["a"]);
    large
        .headers_mut()
        .insert(header::CONTENT_LENGTH, "99999999".parse().unwrap());
    let cases = [
        (get_request("/v2/policy"), "not_found"),
        (get_request("/v1/records"), "method_not_allowed"),
        (other_type, "unsupported_media_type"),
        (other_encoding, "unsupported_media_type"),
        (large, "body_too_large"),
        (batch(Stream::Records, &[]), "bad_request"),
        (batch(Stream::Records, &["a"; 65]), "body_too_large"),
    ];
    for (request, code) in cases {
        let what = format!("{} {}", request.method(), request.uri());
        assert_eq!(world.ask(&phone, request).await.code(), code, "{what}");
    }
}

#[tokio::test]
async fn a_panic_in_a_handler_is_a_problem_document_that_tells_nothing() {
    async fn broken() {
        panic!("the Chancellor said yes");
    }
    let world = World::new();
    let routes = layers::around(
        axum::Router::new().route("/broken", get(broken)),
        &world.gateway,
    );
    let reply = send(&routes, get_request("/broken")).await;
    assert_eq!((reply.status, reply.code().as_str()), (500, "internal"));
    assert!(
        !String::from_utf8(reply.body)
            .unwrap()
            .contains("Chancellor")
    );
}

#[tokio::test]
async fn the_metrics_count_and_name_no_handset() {
    let world = World::new();
    let mut phone = world.handset().await;
    let jws = phone.next(installed("whatsapp"));
    world.ask(&phone, batch(Stream::Posture, &[&jws])).await;
    let routes = world.gateway.ops_routes();
    assert_eq!(send(&routes, get_request("/livez")).await.status, 200);
    assert_eq!(send(&routes, get_request("/readyz")).await.status, 200);
    let text = String::from_utf8(send(&routes, get_request("/metrics")).await.body).unwrap();
    assert!(
        text.contains("candour_records_total{kind=\"inventory\",outcome=\"taken\"} 1"),
        "{text}"
    );
    assert!(!text.contains(phone.id().as_str()) && !text.contains(department().as_str()));
    world.gateway.store.close().await;
    assert_eq!(send(&routes, get_request("/readyz")).await.status, 503);
}

#[tokio::test]
async fn an_enrolled_phones_certificate_names_it() {
    let world = World::new();
    let phone = world.handset().await;
    let issued = world
        .gateway
        .authority
        .issue_handset(&phone.verifying_key(), &department(), now())
        .unwrap();
    assert_eq!(profile::check(&issued.der).unwrap(), phone.identity());
}
