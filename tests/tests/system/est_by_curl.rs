//! Enrolment by plain `curl` and `openssl`, as any EST client would (RFC 7030).

use std::path::Path;
use std::process::Command;

use candour_tests::program::run;
use candour_tests::raw::RawHandset;

use crate::department;

/// Runs a shell script in `dir` and returns what it printed.
fn shell(dir: &Path, script: &str, variables: &[(&str, &str)]) -> String {
    let mut sh = Command::new("sh");
    sh.current_dir(dir)
        .args(["-eu", "-c", script])
        .envs(variables.iter().copied());
    run(&mut sh, b"").succeeded().stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_and_openssl_alone_enrol_renew_and_fetch_the_policy() {
    let department = department();
    let dir = department.scratch().join("curl");
    std::fs::create_dir(&dir).unwrap();
    std::fs::copy(department.data().join("ca.pem"), dir.join("pinned.pem")).unwrap();
    let public = format!("https://{}/.well-known/est", department.public_address());
    let handset = format!("https://{}", department.handset_address());
    let token = department.token();
    let variables = [
        ("PUBLIC", public.as_str()),
        ("HANDSET", handset.as_str()),
        ("TOKEN", token.as_str()),
    ];

    let same = shell(
        &dir,
        "curl -sS --fail --cacert pinned.pem -D cacerts.head -o cacerts.b64 $PUBLIC/cacerts
         openssl base64 -d -in cacerts.b64 | openssl pkcs7 -inform DER -print_certs -out cacerts.pem
         openssl x509 -in cacerts.pem -noout -fingerprint -sha256
         openssl x509 -in pinned.pem -noout -fingerprint -sha256",
        &variables,
    );
    let lines: Vec<&str> = same.lines().collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], lines[1], "cacerts is the pinned authority");
    let head = std::fs::read_to_string(dir.join("cacerts.head"))
        .unwrap()
        .to_lowercase();
    assert!(
        head.contains("content-type: application/pkcs7-mime"),
        "{head}"
    );
    assert!(head.contains("content-transfer-encoding: base64"), "{head}");

    let subject = shell(
        &dir,
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem 2>/dev/null
         openssl req -new -key key.pem -subj /CN=phone -outform DER | openssl base64 > csr.b64
         curl -sS --fail --cacert pinned.pem -u candour:$TOKEN -H 'Content-Type: application/pkcs10' \
             -H 'Content-Transfer-Encoding: base64' --data-binary @csr.b64 -o cert.b64 $PUBLIC/simpleenroll
         openssl base64 -d -in cert.b64 | openssl pkcs7 -inform DER -print_certs -out cert.pem
         openssl verify -CAfile pinned.pem -purpose sslclient cert.pem
         openssl x509 -in cert.pem -noout -ext subjectAltName,extendedKeyUsage,keyUsage",
        &variables,
    );
    assert!(subject.contains("cert.pem: OK"), "{subject}");
    assert!(
        subject.contains("URI:urn:candour:handset:hm-treasury:h"),
        "{subject}"
    );
    assert!(
        subject.contains("TLS Web Client Authentication"),
        "{subject}"
    );

    let policy = shell(
        &dir,
        "curl -sS --fail --cacert pinned.pem --cert cert.pem --key key.pem $HANDSET/v1/policy",
        &variables,
    );
    assert_eq!(policy.trim().split('.').count(), 3, "a JWS: {policy}");

    let renewed = shell(
        &dir,
        "curl -sS --fail --cacert pinned.pem --cert cert.pem --key key.pem \
             -H 'Content-Type: application/pkcs10' --data-binary @csr.b64 -o new.b64 \
             $HANDSET/.well-known/est/simplereenroll
         openssl base64 -d -in new.b64 | openssl pkcs7 -inform DER -print_certs -out new.pem
         openssl x509 -in cert.pem -noout -serial
         openssl x509 -in new.pem -noout -serial
         openssl x509 -in cert.pem -noout -pubkey > old.pub
         openssl x509 -in new.pem -noout -pubkey > new.pub
         cmp old.pub new.pub
         curl -sS --fail --cacert pinned.pem --cert new.pem --key key.pem -o /dev/null $HANDSET/v1/policy",
        &variables,
    );
    let serials: Vec<&str> = renewed.lines().collect();
    assert_ne!(serials[0], serials[1], "a new certificate for the same key");

    // And what curl is told when it does it wrong.
    let refused = shell(
        &dir,
        "curl -sS --cacert pinned.pem -u candour:wrong -H 'Content-Type: application/pkcs10' \
             --data-binary @csr.b64 -w '\\n%{http_code}' $PUBLIC/simpleenroll
         echo
         curl -sS --cacert pinned.pem -o /dev/null $HANDSET/v1/policy 2>/dev/null && echo let in || echo kept out",
        &variables,
    );
    assert!(
        refused.contains("token_unknown") && refused.contains("\n401"),
        "{refused}"
    );
    assert!(refused.contains("kept out"), "{refused}");

    // curl's handset and this one are two.
    let other = RawHandset::enrol(&department).await;
    let listed = department
        .command(&["handset", "list", "--json"])
        .succeeded()
        .json();
    assert_eq!(listed.as_array().unwrap().len(), 2, "{} {listed}", other.id);
}
