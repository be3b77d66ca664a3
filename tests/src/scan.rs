//! What a stranger with `openssl s_client` finds at a listener, beside what is expected there.
//!
//! The judge knows nothing of the server but its address, so that it can be shown a broken one.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::run;

/// A listener that is to be judged.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it is.
    pub address: SocketAddr,
    /// Whether it is to ask for a certificate.
    pub identified: bool,
    /// A certificate and key, in one PEM file, that is to be let in.
    pub client: Option<PathBuf>,
    /// Where sessions may be written.
    pub scratch: PathBuf,
}

/// One thing that was looked at.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// What was tried.
    pub what: &'static str,
    /// Whether it was as it should be.
    pub right: bool,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.right { "ok " } else { "BAD" };
        write!(f, "{word} {:<44} {}", self.what, self.found)
    }
}

/// Tries everything that is to be refused, and what is not. Blocks for some seconds.
///
/// # Panics
///
/// When there is no openssl.
#[must_use]
pub fn judge(target: &Target) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut note = |what, right, found: &Session| {
        verdicts.push(Verdict {
            what,
            right,
            found: found.summary(),
        });
    };
    let good = target.ask(&["-tls1_3"], REQUEST);
    note("TLS 1.3, and a request is answered", good.answered(), &good);
    note("no compression", good.says("Compression: NONE"), &good);
    note(
        "ALPN is HTTP/1.1",
        good.says("ALPN protocol: http/1.1"),
        &good,
    );
    let group = good.says("X25519, 253 bits");
    note("X25519 where the client has no other wish", group, &good);

    for (what, args) in REFUSED {
        let refused = target.ask(args, REQUEST);
        note(what, refused.refused() && !refused.answered(), &refused);
    }
    let suites = [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ];
    for suite in suites {
        let taken = target.ask(&["-tls1_3", "-ciphersuites", suite], REQUEST);
        note(suite, taken.answered() && taken.says(suite), &taken);
    }

    let session = target.scratch.join("session.pem");
    let path = session.to_string_lossy().into_owned();
    let _ = std::fs::remove_file(&session);
    let first = target.ask(&["-tls1_3", "-sess_out", &path], REQUEST);
    let ticket = first.says("New Session Ticket") || session.exists();
    note(
        "no ticket to resume with",
        first.answered() && !ticket,
        &first,
    );
    if session.exists() {
        let again = target.ask(&["-tls1_3", "-sess_in", &path], REQUEST);
        note("no session is resumed", !again.says("Reused, "), &again);
        // A session may be good for once only.
        let _ = target.ask(&["-tls1_3", "-sess_out", &path], REQUEST);
        let early = target.scratch.join("early.txt");
        let _ = std::fs::write(&early, REQUEST);
        let early = early.to_string_lossy().into_owned();
        let early = target.ask(&["-tls1_3", "-sess_in", &path, "-early_data", &early], "");
        note(
            "no early data",
            !early.says("Early data was accepted"),
            &early,
        );
    }
    let psk = ["-tls1_3", "-psk", "00112233445566778899aabbccddeeff"];
    let psk = target.ask(&psk, REQUEST);
    note(
        "a shared key is passed over",
        psk.says("New, TLSv1.3"),
        &psk,
    );

    let name = target.ask(&["-tls1_3", "-servername", "elsewhere.example"], REQUEST);
    note("another name changes nothing", name.answered(), &name);

    if target.identified {
        let nobody = Target {
            client: None,
            ..target.clone()
        };
        let refused = nobody.ask(&["-tls1_3"], REQUEST);
        note("no certificate, no answer", !refused.answered(), &refused);
        let alert = refused.says("certificate required");
        note("and an alert that says so", alert, &refused);
    }
    verdicts
}

const REQUEST: &str = "GET /log/checkpoint HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

const REFUSED: &[(&str, &[&str])] = &[
    (
        "TLS 1.2 is refused",
        &["-tls1_2", "-cipher", "ALL:@SECLEVEL=0"],
    ),
    (
        "TLS 1.1 is refused",
        &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
    ),
    (
        "TLS 1.0 is refused",
        &["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
    ),
    (
        "CCM suites are refused",
        &[
            "-tls1_3",
            "-ciphersuites",
            "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256",
        ],
    ),
    (
        "other groups are refused",
        &["-tls1_3", "-groups", "P-521:X448:P-384"],
    ),
    (
        "RSA signatures are refused",
        &["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"],
    ),
    (
        "other signatures are refused",
        &["-tls1_3", "-sigalgs", "ecdsa_secp384r1_sha384:ed25519"],
    ),
    ("HTTP/2 is refused", &["-tls1_3", "-alpn", "h2"]),
    ("another protocol is refused", &["-tls1_3", "-alpn", "smtp"]),
    ("DTLS is refused", &["-dtls1_2", "-timeout"]),
];

/// What openssl said.
struct Session(String);

impl Target {
    fn ask(&self, args: &[&str], input: &str) -> Session {
        let mut openssl = Command::new("timeout");
        openssl
            .args(["20", "openssl", "s_client", "-ign_eof", "-connect"])
            .arg(self.address.to_string());
        if !args.contains(&"-alpn") {
            openssl.args(["-alpn", "http/1.1"]);
        }
        if let Some(client) = &self.client {
            openssl.arg("-cert").arg(client).arg("-key").arg(client);
        }
        let outcome = run(openssl.args(args), input.as_bytes());
        Session(format!("{}\n{}", outcome.stdout, outcome.stderr))
    }
}

impl Session {
    fn says(&self, text: &str) -> bool {
        self.0.contains(text)
    }

    /// Whether the server ended the handshake, or there was none.
    fn refused(&self) -> bool {
        self.says("SSL alert number") || self.says("Cipher is (NONE)")
    }

    fn answered(&self) -> bool {
        self.says("HTTP/1.1 200")
    }

    fn summary(&self) -> String {
        let wanted = ["New, ", "Reused, ", "HTTP/1.", "Early data"];
        let line = |line: &&str| {
            wanted.iter().any(|start| line.starts_with(start)) || line.contains("alert")
        };
        let lines: Vec<&str> = self.0.lines().filter(line).map(str::trim).collect();
        lines.join("; ")
    }
}

/// Writes a certificate chain and its key where openssl finds them.
///
/// # Panics
///
/// When they cannot be written.
#[must_use]
pub fn write_client(directory: &Path, client: &crate::pki::ClientCertificate) -> PathBuf {
    use base64::Engine as _;
    let pem = |kind: &str, der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")
    };
    let mut text = pem("PRIVATE KEY", &client.key);
    for certificate in &client.chain {
        text.push_str(&pem("CERTIFICATE", certificate));
    }
    let path = directory.join("client.pem");
    std::fs::write(&path, text).expect("a file");
    path
}
