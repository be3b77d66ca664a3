//! Files that are not what they are said to be, and requests for certificates that want too much.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candour_tests::raw::{certificate_request, certificates, refusal, simple_enrol};
use candour_wire::Digest;
use candour_wire::api::UploadStatus;
use candour_wire::record::{AttachmentRef, Stream};
use http::Request;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_ED25519,
    SanType,
};

use super::Scene;
use crate::department;

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_not_what_they_are_said_to_be_do_not_stay() {
    let mut scene = Scene::set_up().await;
    let name = Digest::of(b"a file");
    let put = |offset: &str, length: &str| {
        Request::put(format!("/v1/attachments/{name}"))
            .header("content-type", "application/octet-stream")
            .header("upload-offset", offset)
            .header("upload-length", length)
    };
    let cases = [
        ("an offset below nought", put("-1", "6"), 400, "bad_request"),
        ("no number", put("1e0", "6"), 400, "bad_request"),
        (
            "beyond 2^64",
            put("0", "18446744073709551616"),
            400,
            "bad_request",
        ),
        (
            "as large as can be",
            put("0", "18446744073709551615"),
            413,
            "attachment_too_large",
        ),
        (
            "an offset that runs over",
            put("18446744073709551615", "6"),
            409,
            "attachment_offset",
        ),
        (
            "more than was said",
            put("0", "1"),
            409,
            "attachment_offset",
        ),
        ("a gap", put("3", "6"), 409, "attachment_offset"),
    ];
    for (what, request, status, code) in cases {
        let reply = scene.connection.send(request, "a file").await.unwrap();
        assert_eq!(
            (reply.status.as_u16(), reply.problem().as_str()),
            (status, code),
            "{what}"
        );
    }
    let first = scene.connection.send(put("0", "6"), "a fi").await.unwrap();
    assert_eq!(first.json::<UploadStatus>().offset, 4);
    for (what, offset) in [("what is there already", "0"), ("over what is there", "2")] {
        let reply = scene
            .connection
            .send(put(offset, "6"), "file")
            .await
            .unwrap();
        assert_eq!(reply.problem(), "attachment_offset", "{what}");
    }
    let last = scene.connection.send(put("4", "6"), "le").await.unwrap();
    assert!(last.json::<UploadStatus>().complete, "the control");

    // A record that names it with another length, or another's file, is not taken.
    let head = scene.handset.genesis(Stream::Records);
    for (sha256, size) in [(name, 5), (name, 7), (Digest::of(b"elsewhere"), 6)] {
        let files = vec![AttachmentRef { sha256, size }];
        let jws = scene
            .handset
            .declaration_with(&head, &scene.key, "x", files)
            .jws;
        let reply = scene.say(Stream::Records, jws).await;
        assert_eq!(refusal(&reply).code, "attachment_missing");
    }
    // Nobody can begin files without end: those of two declarations at most wait for theirs.
    let mut refused = None;
    for number in 0..200_u32 {
        let name = Digest::of(&number.to_be_bytes());
        let request = Request::put(format!("/v1/attachments/{name}"))
            .header("content-type", "application/octet-stream")
            .header("upload-offset", "0")
            .header("upload-length", "1000");
        let reply = scene.connection.send(request, "begun").await.unwrap();
        if reply.status != 200 {
            refused = Some((number, reply.status.as_u16(), reply.problem()));
            assert!(reply.header("retry-after").is_some());
            break;
        }
    }
    assert_eq!(refused, Some((127, 507, "attachment_quota".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_a_certificate_gets_a_handsets_or_none() {
    let department = department();
    let key = KeyPair::generate().unwrap();
    let mut greedy = CertificateParams::new(vec!["candour.example".to_owned()]).unwrap();
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    greedy.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let urn = "urn:candour:handset:cabinet-office:h00000000000000000000000000000000";
    greedy
        .subject_alt_names
        .push(SanType::URI(urn.try_into().unwrap()));
    let greedy = greedy.serialize_request(&key);
    // rcgen does not write every one of these into a request.
    let greedy = greedy.unwrap_or_else(|_| {
        let mut names = CertificateParams::new(vec!["candour.example".to_owned()]).unwrap();
        names
            .subject_alt_names
            .push(SanType::URI(urn.try_into().unwrap()));
        names.serialize_request(&key).unwrap()
    });
    let reply = simple_enrol(
        &department,
        &department.token(),
        STANDARD.encode(greedy.der()),
    )
    .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    for certificate in certificates(&reply) {
        if certificate == department.authority_certificate() {
            continue;
        }
        let text = String::from_utf8_lossy(&certificate);
        assert!(!text.contains("candour.example") && !text.contains("cabinet-office"));
        assert!(
            text.contains("urn:candour:handset:hm-treasury:h"),
            "its own name"
        );
        // id-kp-serverAuth, 1.3.6.1.5.5.7.3.1, in DER.
        let server_auth = [6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
        assert!(!certificate.windows(10).any(|window| window == server_auth));
    }

    let token = department.token();
    let fresh = KeyPair::generate().unwrap();
    let good = STANDARD.decode(certificate_request(&fresh)).unwrap();
    let ed25519 = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let ed25519 = STANDARD.decode(certificate_request(&ed25519)).unwrap();
    let requests = [
        (
            "bytes after it",
            [good.as_slice(), b"\0"].concat(),
            "csr_invalid",
        ),
        ("cut off", good[..good.len() - 1].to_vec(), "csr_invalid"),
        ("nothing", vec![], "csr_invalid"),
        (
            "a certificate",
            department.authority_certificate().to_vec(),
            "csr_invalid",
        ),
        ("Ed25519", ed25519, "csr_key_refused"),
        ("RSA", rsa_request(), "csr_key_refused"),
        (
            "a length that lies",
            [&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff], &good[4..]].concat(),
            "csr_invalid",
        ),
    ];
    for (what, der, code) in requests {
        let reply = simple_enrol(&department, &token, STANDARD.encode(der)).await;
        assert_eq!(
            (reply.status.as_u16(), reply.problem().as_str()),
            (400, code),
            "{what}"
        );
    }
    let reply = simple_enrol(&department, &token, "A".repeat(9_000)).await;
    assert_eq!(reply.problem(), "body_too_large");
    // The control: none of this has used the token up.
    let reply = simple_enrol(&department, &token, STANDARD.encode(good)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// A request for a weak key of another kind, by openssl.
fn rsa_request() -> Vec<u8> {
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-new",
            "-newkey",
            "rsa:1024",
            "-nodes",
            "-keyout",
            "/dev/null",
        ])
        .args(["-subj", "/CN=x", "-outform", "DER"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    made.stdout
}
