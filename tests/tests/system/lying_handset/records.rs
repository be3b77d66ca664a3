//! Records that are forged, ambiguous, or say too much.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use candour_tests::RawHandset;
use candour_tests::raw::refusal;
use candour_wire::Digest;
use candour_wire::posture::{Heartbeat, Presence};
use candour_wire::record::{Body, Stream};
use serde_json::{Value, json};

use super::{PRIVATE, Scene};

/// HMAC-SHA256 with a hashed key, as somebody would who takes the public key for a secret.
fn hs256(key: &[u8], message: &[u8]) -> Digest {
    let key = Digest::of(key).0;
    let pad = |with: u8| -> Vec<u8> {
        let mut block = [with; 64];
        block
            .iter_mut()
            .zip(key)
            .for_each(|(byte, key)| *byte ^= key);
        block.to_vec()
    };
    let inner = Digest::of(&[&pad(0x36), message].concat());
    Digest::of(&[&pad(0x5c), inner.0.as_slice()].concat())
}

/// What is added to a record, and how.
type Addition = (&'static str, fn(&mut Value));

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_counts_only_as_the_one_kind_that_there_is() {
    let mut scene = Scene::set_up().await;
    let other = RawHandset::enrol(&scene.department).await;
    let good = scene.declaration();
    let payload = serde_json::to_vec(&good.record).unwrap();
    let (kid, others_kid) = (good.jws.split('.').next().unwrap(), other.header());
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(kid).unwrap()).unwrap();
    let kid = header["kid"].as_str().unwrap().to_owned();
    let typ = "candour-record+jws";
    let headers = [
        (
            "no algorithm",
            format!(r#"{{"alg":"none","kid":"{kid}","typ":"{typ}"}}"#),
        ),
        (
            "HS256",
            format!(r#"{{"alg":"HS256","kid":"{kid}","typ":"{typ}"}}"#),
        ),
        (
            "ES384",
            format!(r#"{{"alg":"ES384","kid":"{kid}","typ":"{typ}"}}"#),
        ),
        (
            "lower case",
            format!(r#"{{"alg":"es256","kid":"{kid}","typ":"{typ}"}}"#),
        ),
        (
            "as a policy",
            format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"candour-policy+jws"}}"#),
        ),
        (
            "without a type",
            format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#),
        ),
        (
            "algorithm twice",
            format!(r#"{{"alg":"none","alg":"ES256","kid":"{kid}","typ":"{typ}"}}"#),
        ),
        (
            "kid twice",
            format!(r#"{{"alg":"ES256","kid":"x","kid":"{kid}","typ":"{typ}"}}"#),
        ),
        (
            "its own key",
            format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"{typ}","jwk":{{"kty":"EC"}}}}"#),
        ),
        (
            "a key from elsewhere",
            format!(
                r#"{{"alg":"ES256","kid":"{kid}","typ":"{typ}","jku":"https://192.0.2.1/keys"}}"#
            ),
        ),
        (
            "critical",
            format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"{typ}","crit":["b64"],"b64":false}}"#),
        ),
        (
            "compressed",
            format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"{typ}","zip":"DEF"}}"#),
        ),
        ("no object", r#"["ES256"]"#.to_owned()),
        ("nothing", String::new()),
    ];
    for (what, header) in headers {
        let jws = scene.handset.sign_under(&header, &payload);
        scene
            .refuses(what, Stream::Records, jws, "record_malformed")
            .await;
    }

    let signed = good.jws.rsplit_once('.').unwrap().0;
    let mac = hs256(
        rcgen::PublicKeyData::der_bytes(&scene.handset.key),
        signed.as_bytes(),
    );
    let parts: Vec<&str> = good.jws.split('.').collect();
    let shapes = [
        ("a MAC for a signature", format!("{signed}.{mac}")),
        (
            "a DER signature",
            format!(
                "{signed}.{}",
                URL_SAFE_NO_PAD.encode(
                    rcgen::SigningKey::sign(&scene.handset.key, signed.as_bytes()).unwrap()
                )
            ),
        ),
        ("padded", format!("{}=", good.jws)),
        (
            "five parts",
            format!("{}.{}.{}", good.jws, parts[0], parts[1]),
        ),
        ("a line break", format!("{}\n", good.jws)),
        (
            "JSON serialisation",
            json!({ "payload": parts[1], "protected": parts[0], "signature": parts[2] })
                .to_string(),
        ),
    ];
    for (what, jws) in shapes {
        scene
            .refuses(what, Stream::Records, jws, "record_malformed")
            .await;
    }

    let another = scene.handset.sign_under(&others_kid, &payload);
    scene
        .refuses(
            "another's kid",
            Stream::Records,
            another,
            "signature_invalid",
        )
        .await;
    let theirs = other
        .declaration(&other.genesis(Stream::Records), &scene.key, "theirs")
        .jws;
    scene
        .refuses(
            "another's record",
            Stream::Records,
            theirs,
            "signature_invalid",
        )
        .await;
    let named = other.sign_under(&scene.handset.header(), &payload);
    scene
        .refuses(
            "another's signature",
            Stream::Records,
            named,
            "signature_invalid",
        )
        .await;
    let mut wrong = good.record.clone();
    wrong.handset = other.id.clone();
    let wrong = scene.handset.sign(wrong).jws;
    scene
        .refuses("another's name", Stream::Records, wrong, "wrong_handset")
        .await;

    // The control: the same helper signs what is taken.
    let jws = scene.handset.sign_under(&scene.handset.header(), &payload);
    scene.takes(Stream::Records, jws).await;
    scene.was_shown_and_not_kept(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_says_two_things_or_too_much_is_no_record() {
    let mut scene = Scene::set_up().await;
    let text = serde_json::to_string(&scene.inventory()).unwrap();
    let once = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} is not in {text}");
        text.replacen(from, to, 1)
    };
    let seq = |number: &str| once("\"seq\":1,", &format!("\"seq\":{number},"));
    let cases = [
        ("v twice", once("\"v\":1,", "\"v\":1,\"v\":1,")),
        ("seq twice", seq("1,\"seq\":1")),
        (
            "kind twice",
            once(
                "\"kind\":\"inventory\"",
                "\"kind\":\"heartbeat\",\"kind\":\"inventory\"",
            ),
        ),
        ("body twice", once("\"body\":{", "\"body\":{},\"body\":{")),
        (
            "catalogue twice",
            once("\"catalogue\":", "\"catalogue\":0,\"catalogue\":"),
        ),
        (
            "app twice",
            once(
                "\"app\":\"signal\"",
                "\"app\":\"signal\",\"app\":\"threema\"",
            ),
        ),
        ("no number", seq("\"1\"")),
        ("a fraction", seq("1.5")),
        ("an exponent", seq("1e0")),
        ("below nought", seq("-1")),
        ("nought", seq("0")),
        ("beyond 2^53", seq("9007199254740993")),
        ("beyond 2^64", seq("18446744073709551616")),
        ("a hundred digits", seq(&"9".repeat(100))),
        ("v is a word", once("\"v\":1,", "\"v\":\"one\",")),
        ("no time", once("\"created\":\"", "\"created\":\"x")),
        (
            "a year that is none",
            once("\"created\":\"", "\"created\":\"+999"),
        ),
        (
            "nested",
            format!("{}{}", "[".repeat(200_000), "]".repeat(200_000)),
        ),
        (
            "nested in a member",
            once(
                "\"body\":{",
                &format!(
                    "\"deep\":{}1{},\"body\":{{",
                    "[".repeat(200),
                    "]".repeat(200)
                ),
            ),
        ),
        ("a control character", once("linux", "\u{1}")),
        ("two documents", format!("{text}{text}")),
        ("a comment", format!("{text}//")),
        ("another state", once("\"installed\"", "\"used daily\"")),
        (
            "evidence of its own",
            once(
                "\"state\":\"installed\"",
                "\"state\":\"installed\",\"evidence\":[\"screen_time\"]",
            ),
        ),
        ("apps out of order", once("signal", "zangi")),
        ("no apps", "{\"v\":1}".to_owned()),
        (
            "another kind",
            once("\"kind\":\"inventory\"", "\"kind\":\"contacts\""),
        ),
    ];
    for (what, text) in cases {
        let jws = scene.handset.sign_payload(text.as_bytes());
        scene
            .refuses(what, Stream::Posture, jws, "record_malformed")
            .await;
    }
    let (before, after) = text.split_once("linux").unwrap();
    let not_utf_8 = [before.as_bytes(), b"\xff", after.as_bytes()].concat();
    let jws = scene.handset.sign_payload(&not_utf_8);
    scene
        .refuses("not UTF-8", Stream::Posture, jws, "record_malformed")
        .await;
    let jws = scene.handset.sign_payload(text.as_bytes());
    scene.takes(Stream::Posture, jws).await;
    scene.was_shown_and_not_kept(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_beyond_what_a_record_may_say_is_refused_and_kept_nowhere() {
    let mut scene = Scene::set_up().await;
    let inventory = serde_json::to_value(scene.inventory()).unwrap();
    let more: [Addition; 9] = [
        ("a contact", |record| record["contact"] = json!(PRIVATE)),
        ("a contact in the body", |record| {
            record["body"]["contacts"] = json!([PRIVATE])
        }),
        ("a phone number", |record| {
            record["body"]["handset"]["number"] = json!("07700 900123")
        }),
        ("when it was used", |record| {
            record["body"]["apps"][0]["last_used"] = json!("today")
        }),
        ("with whom", |record| {
            record["body"]["apps"][1]["groups"] = json!({ "with": PRIVATE })
        }),
        ("a place", |record| {
            record["body"]["location"] = json!([51.5, -0.12])
        }),
        ("in a name", |record| record[PRIVATE] = Value::Null),
        ("an empty list by that name", |record| {
            record["body"][PRIVATE] = json!([])
        }),
        ("beside the evidence", |record| {
            record["body"]["handset"]["imei"] = json!("")
        }),
    ];
    for (what, change) in more {
        let mut record = inventory.clone();
        change(&mut record);
        let jws = scene.handset.sign_payload(record.to_string().as_bytes());
        scene
            .refuses(what, Stream::Posture, jws, "member_unknown")
            .await;
    }
    let heartbeat = scene.handset.record(
        &scene.handset.genesis(Stream::Posture),
        scene.inventory().id,
        Body::Heartbeat(Heartbeat {
            inventory: Digest::of(b"x"),
        }),
    );
    let mut heartbeat = serde_json::to_value(heartbeat).unwrap();
    heartbeat["body"]["nearby"] = json!([PRIVATE]);
    let jws = scene.handset.sign_payload(heartbeat.to_string().as_bytes());
    scene
        .refuses(
            "a heartbeat that looks around",
            Stream::Posture,
            jws,
            "member_unknown",
        )
        .await;

    // What is declared travels in the sealed box, and nowhere else.
    let declaration = serde_json::to_value(scene.declaration().record).unwrap();
    let more: [Addition; 3] = [
        ("text beside the box", |record| {
            record["body"]["text"] = json!(PRIVATE)
        }),
        ("text in the box's frame", |record| {
            record["body"]["sealed"]["subject"] = json!(PRIVATE)
        }),
        ("the name of a file", |record| {
            record["body"]["attachments"] =
                json!([{ "sha256": Digest::of(b"x"), "size": 1, "name": PRIVATE }]);
        }),
    ];
    for (what, change) in more {
        let mut record = declaration.clone();
        change(&mut record);
        let jws = scene.handset.sign_payload(record.to_string().as_bytes());
        scene
            .refuses(what, Stream::Records, jws, "member_unknown")
            .await;
    }

    let head = scene.handset.genesis(Stream::Posture);
    for private in ["grindr", "tinder-of-alice", "com.example.bank"] {
        let mut record = serde_json::to_value(scene.inventory()).unwrap();
        record["body"]["apps"] = json!([{ "app": private, "state": "installed" }]);
        let jws = scene.handset.sign_payload(record.to_string().as_bytes());
        let reply = scene.say(Stream::Posture, jws).await;
        let code = &refusal(&reply).code;
        assert!(
            ["app_not_in_catalogue", "record_malformed"].contains(&code.as_str()),
            "{private}: {reply:?}"
        );
        assert!(!format!("{reply:?}").contains(private));
        let code = code.clone();
        scene.refused.push(code);
    }
    let apps = [("whatsapp", Presence::Installed)];
    let unknown = scene
        .handset
        .inventory(&head, scene.catalogue + 1, &apps)
        .jws;
    scene
        .refuses(
            "a catalogue that never was",
            Stream::Posture,
            unknown,
            "app_not_in_catalogue",
        )
        .await;

    let jws = scene.handset.sign_payload(inventory.to_string().as_bytes());
    scene.takes(Stream::Posture, jws).await;
    scene.was_shown_and_not_kept(1).await;
}
