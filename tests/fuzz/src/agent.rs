//! What the agent reads: replies of a server that may be anybody's, certificates, and what a
//! device management pushes.
//!
//! Replies are written in an input as text: a line with the status, how the body is meant (`json`,
//! `problem`, `der` for what goes into base64 as PKCS#7, `text`) and headers as `name=value`; then
//! the body, and `\n--\n` before the next reply.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use candour_core::Config;
use candour_core::adapters::memory::MemoryStore;
use candour_core::adapters::memory_home::MemoryHome;
use candour_core::identity::trust::{PinnedVerifier, RELEASED};
use candour_core::identity::{self, Department, Identity};
use candour_core::outbox::{Limits, NewRecord, Outbox, Summary};
use candour_core::ports::{Clock, Event, EventSink, Request, Response, Transport, TransportError};
use candour_core::sync::backoff::Jitter;
use candour_core::sync::{self, Session};
use candour_server::identity::profile;
use candour_wire::api::BatchRequest;
use candour_wire::log::{Checkpoint, LeafSalt, entry, leaf_hash, node_hash};
use candour_wire::posture::{Heartbeat, Status};
use candour_wire::record::Body;
use candour_wire::{DepartmentId, Digest, limits};
use jiff::Timestamp;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::{Map, Value};
use tokio::runtime::Runtime;

use super::keys::{self, Keys};

/// The configuration, as JSON and as TOML.
pub fn agent_config(bytes: &[u8]) {
    let json = serde_json::from_slice::<Map<String, Value>>(bytes).ok();
    let toml = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| toml::from_str::<Map<String, Value>>(text).ok());
    for object in json.into_iter().chain(toml) {
        match Config::from_object(&object) {
            Ok(config) => {
                assert!(config.server_url.starts_with("https://"));
                assert!((1..=2).contains(&config.ca_pins.len()));
                assert!((100..=100_000).contains(&config.outbox.records));
            }
            Err(error) => {
                assert!(!error.0.is_empty());
                for problem in error.0 {
                    assert!(problem.problem.chars().count() <= 1000);
                    assert!(problem.key.chars().count() <= limits::SHORT_TEXT_MAX_CHARS);
                }
            }
        }
    }
}

/// Enrolment with whatever replies.
pub fn agent_enrol(bytes: &[u8]) {
    let transport = Script::new(bytes);
    let department = Department {
        id: department(),
        ca_pins: vec![PIN.parse().unwrap()],
        not_before: RELEASED,
    };
    let enrolled = runtime().block_on(identity::enrol(
        &transport,
        Keys::new(),
        &department,
        &"token".into(),
        now(),
    ));
    if let Ok(identity) = enrolled {
        assert_eq!(identity.handset, keys::handset());
        assert!(!identity.chain.is_empty() && !identity.authorities.is_empty());
        let kept = Identity::from_json(&identity.to_json()).unwrap();
        assert_eq!(kept, identity);
        let shown = profile::check(&identity.chain[0].0).unwrap();
        assert_eq!(shown.handset, identity.handset);
    }
}

/// A sync of two waiting records with whatever replies. Nothing that waits is lost, and nothing
/// counts as received unless the log's key has signed for it: `@note` in a reply is such a note
/// over the two records, `@path0` and `@path1` their paths with a salt of zeros, `@root` the
/// note's root. `@sign` before a reply signs its whole body as a note, and puts that into an empty
/// reply without results.
pub fn agent_sync(bytes: &[u8]) {
    let transport = Arc::new(Script::new(bytes));
    let outbox = Arc::new(Mutex::new(outbox()));
    let session = Session {
        config: CONFIG.clone(),
        home: Arc::new(MemoryHome::new()),
        keys: Keys::new(),
        clock: Arc::new(Stopped),
        events: Arc::new(Silent),
        transport: transport.clone(),
        outbox: Arc::clone(&outbox),
        identity: Identity {
            handset: keys::handset(),
            department: department(),
            chain: Vec::new(),
            authorities: Vec::new(),
            not_before: now(),
            not_after: "2026-12-22T10:00:00Z".parse().unwrap(),
            obtained: now(),
        },
        policy: None,
        jitter: Jitter::seeded(1),
        deadline: None,
    };
    let report = runtime().block_on(sync::run(session)).unwrap();
    let mut outbox = outbox.lock().unwrap();
    let counts = outbox.counts().unwrap();
    assert_eq!(
        report.received + counts.posture + counts.quarantined,
        2,
        "records do not vanish: {counts:?}, {report:?}"
    );
    let kept = outbox.receipts(None, None, 10).unwrap();
    assert_eq!(kept.receipts.len() as u64, report.received);
    if !transport.signed.lock().unwrap().contains(&true) {
        assert_eq!(report.received, 0, "nothing was proved");
        // One that is too large for the server is set aside on its word, and kept.
        assert!(counts.quarantined == 0 || transport.too_large, "{report:?}");
    }
}

/// Certificates: the server's and its issuers, each with two bytes of length before it, as the
/// agent judges them; and the first as the server judges a phone's.
pub fn certificate(bytes: &[u8]) {
    let _ = profile::check(bytes);
    let mut chain = Vec::new();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (one, after) = after.split_at(length);
        let _ = profile::check(one);
        chain.push(CertificateDer::from(one));
        rest = after;
    }
    let Some((leaf, others)) = chain.split_first() else {
        return;
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = PinnedVerifier::new(
        vec![PIN.parse().unwrap()],
        RELEASED,
        provider,
        Arc::default(),
    );
    let name = ServerName::try_from("localhost").unwrap();
    for seconds in [0, 1_795_341_600, 4_000_000_000] {
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let _ = verifier.verify_server_cert(leaf, others, &name, &[], at);
    }
}

/// Pin of the authority whose certificates the seeds hold. Its key was not kept.
const PIN: &str = "vFaDC8ukCRFO2Ad5_ZWanoYHvZvLC5_xwV2jhUHzIXQ";

static CONFIG: LazyLock<Config> = LazyLock::new(|| Config {
    server_url: "https://gateway.example:8443".to_owned(),
    enrol_url: "https://gateway.example:8444".to_owned(),
    department: department(),
    ca_pins: vec![PIN.parse().unwrap()],
    policy_key: keys::public().clone(),
    log_key: keys::log().verifier().clone(),
    proxy: None,
    holder_name: None,
    holder_role: None,
    time_zone: "Europe/London".to_owned(),
    outbox: Limits::default(),
});

fn department() -> DepartmentId {
    "hm-treasury".parse().unwrap()
}

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap()
    });
    &RUNTIME
}

/// An outbox in which two records wait.
fn outbox() -> Outbox {
    let store = Box::new(MemoryStore::new());
    let mut outbox =
        Outbox::open(store, Keys::new(), Arc::new(Stopped), Limits::default()).unwrap();
    let heartbeat = Body::Heartbeat(Heartbeat {
        inventory: Digest::of(b"list"),
    });
    let status = Body::Status(Status {
        pending: 2,
        quarantined: 0,
        oldest_pending: None,
        last_success: None,
        problems: vec!["clock_wrong".to_owned()],
    });
    for (number, body) in [heartbeat, status].into_iter().enumerate() {
        let id = format!("01999999-9999-7999-8999-00000000000{number}");
        let record = NewRecord {
            id: id.parse().unwrap(),
            created: now(),
            policy: 0,
            body,
            summary: Summary::new("something", "a day has passed"),
            origins: Vec::new(),
        };
        outbox.append(&record, &[]).unwrap();
    }
    assert_eq!(outbox.counts().unwrap().posture, 2);
    outbox
}

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        now()
    }
}

struct Silent;

impl EventSink for Silent {
    fn emit(&self, _event: Event) {}
}

/// Replies with what an input says, then with silence.
struct Script {
    replies: Mutex<VecDeque<Vec<u8>>>,
    /// One entry for each reply with a note that the log's key signed.
    signed: Mutex<Vec<bool>>,
    /// One of the replies says that what was sent is too large.
    too_large: bool,
}

impl Script {
    fn new(bytes: &[u8]) -> Self {
        let mut replies = VecDeque::new();
        let mut rest = bytes;
        while let Some(at) = rest.windows(4).position(|window| window == b"\n--\n") {
            replies.push_back(rest[..at].to_vec());
            rest = &rest[at + 4..];
        }
        replies.push_back(rest.to_vec());
        let too_large = replies.iter().any(|reply| reply.starts_with(b"413"));
        Self {
            too_large,
            replies: Mutex::new(replies),
            signed: Mutex::default(),
        }
    }

    /// Puts what an honest server would say in the places that ask for it.
    fn fill(&self, body: Vec<u8>, request: &Request) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(&body) else {
            return body;
        };
        if let Some(note) = text.strip_prefix("@sign") {
            let note = keys::log().sign(note).unwrap_or_default();
            self.signed.lock().unwrap().push(true);
            let reply = serde_json::json!({ "results": [], "checkpoint": note });
            return serde_json::to_vec(&reply).unwrap();
        }
        if !text.contains('@') {
            return body;
        }
        let Ok(batch) = serde_json::from_slice::<BatchRequest>(&request.body) else {
            return body;
        };
        let salt = LeafSalt([0; 16]);
        let leaves: Vec<Digest> = batch
            .records
            .iter()
            .map(|jws| leaf_hash(&entry(&salt, &Digest::of(jws.as_bytes()))))
            .collect();
        let [first, second] = leaves[..] else {
            return body;
        };
        let checkpoint = Checkpoint {
            origin: "candour.example/log".to_owned(),
            size: 2,
            root: node_hash(&first, &second),
            time: now(),
        };
        let note = checkpoint.sign(&keys::log()).unwrap();
        if text.contains("@note") {
            self.signed.lock().unwrap().push(true);
        }
        let note = serde_json::to_string(&note).unwrap();
        let path = |hash: Digest| URL_SAFE_NO_PAD.encode(hash.0);
        text.replace("@note", note.trim_matches('"'))
            .replace("@path0", &path(second))
            .replace("@path1", &path(first))
            .replace("@root", &checkpoint.root.to_string())
            .into_bytes()
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let reply = self.replies.lock().unwrap().pop_front();
        let Some(reply) = reply else {
            return Err(TransportError::Unreachable("no more replies".to_owned()));
        };
        let end = reply.iter().position(|byte| *byte == b'\n');
        let (line, body) = reply.split_at(end.unwrap_or(reply.len()));
        let body = body.get(1..).unwrap_or_default().to_vec();
        let line = String::from_utf8_lossy(line);
        let mut words = line.split(' ');
        let status = words.next().and_then(|word| word.parse().ok());
        let form = words.next().unwrap_or("text");
        let media_type = match form {
            "json" => "application/json",
            "problem" => "application/problem+json",
            "der" => "application/pkcs7-mime; smime-type=certs-only",
            _ => "text/plain",
        };
        let mut headers = vec![("content-type".to_owned(), media_type.to_owned())];
        headers.extend(words.filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_lowercase(), value.replace('+', " ")))
        }));
        let body = if form == "der" {
            STANDARD.encode(body).into_bytes()
        } else {
            self.fill(body, &request)
        };
        if body.len() > request.reply_max_bytes {
            return Err(TransportError::TooLarge(request.reply_max_bytes));
        }
        Ok(Response {
            status: status.unwrap_or(200),
            headers,
            body,
        })
    }
}
