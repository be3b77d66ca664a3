//! What the gateway reads, through its own routes over its own store.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candour_server::clock::Clock;
use candour_server::config::{Config, Sources};
use candour_server::gateway::{Gateway, Limits, Metrics, Parts, token_digest};
use candour_server::identity::HandsetIdentity;
use candour_server::identity::ca::Authority;
use candour_server::identity::enrolled::EnrolledKeys;
use candour_server::keys::{LogKey, PolicyKey};
use candour_server::policy::{self, Policies};
use candour_server::store::sqlite::{Settings, SqliteStore};
use candour_server::store::{EnrolRequest, NewToken, Store as _};
use candour_wire::api::{BatchReply, RecordResult};
use candour_wire::record;
use candour_wire::seal::{RecordsPrivateKey, Suite};
use candour_wire::{Code, DepartmentId};
use http::Request;
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use super::keys;

/// The configuration: a file, and environment variables after a line `[environment]`.
pub fn server_config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (file, environment) = text.split_once("[environment]\n").unwrap_or((text, ""));
    let environment: Vec<(String, String)> = environment
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let sources = Sources {
        file,
        environment: &environment,
        flags: &[],
    };
    match Config::load(&sources) {
        Ok(config) => {
            assert!(config.ops_allow_remote || config.ops_listen.ip().is_loopback());
            assert!(!config.settings().is_empty());
        }
        Err(error) => assert!(!error.0.is_empty()),
    }
}

/// A batch. The first byte says to which stream, whether the rest is compressed already or is
/// compressed here, and whether it is the whole body or the payload of a record that the
/// handset's key then signs.
pub fn server_batch(bytes: &[u8]) {
    let Some((how, rest)) = bytes.split_first() else {
        return;
    };
    let stream = if how & 1 == 0 { "posture" } else { "records" };
    let signed = how & 4 != 0;
    let body = if signed {
        let text = String::from_utf8_lossy(rest).replace("@key", &WORLD.records_key);
        let Some(jws) = keys::jws(record::TYP, text.as_bytes()) else {
            return;
        };
        serde_json::to_vec(&serde_json::json!({ "records": [jws, "a.b.c"] })).unwrap()
    } else {
        rest.to_vec()
    };
    let (body, encoding) = match how & 0x18 {
        0 => (body, "identity"),
        8 => (body, "zstd"),
        _ => (zstd::bulk::compress(&body, 1).unwrap(), "zstd"),
    };
    let request = Request::post(format!("/v1/{stream}"))
        .header("content-type", "application/json")
        .header("content-encoding", encoding)
        .body(body.into())
        .unwrap();
    let (status, reply) = WORLD.ask(Door::Handset, request);
    if status == 200 {
        let reply: BatchReply = serde_json::from_slice(&reply).unwrap();
        if signed {
            assert_eq!(reply.results.len(), 2, "one result for each record");
            assert!(matches!(reply.results[1], RecordResult::Refusal(_)));
        }
    } else {
        assert!(
            !signed || how & 8 != 0,
            "a batch that can be read is answered: {status}"
        );
    }
}

/// Any request to any listener: a line `public`, `handset` or `ops` with method and path, lines of
/// headers, an empty line, and the body.
pub fn server_http(bytes: &[u8]) {
    let end = bytes.windows(2).position(|window| window == b"\n\n");
    let (head, body) = bytes.split_at(end.unwrap_or(bytes.len()));
    let body = body.get(2..).unwrap_or_default().to_vec();
    let Ok(head) = std::str::from_utf8(head) else {
        return;
    };
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().splitn(3, ' ');
    let door = match words.next() {
        Some("public") => Door::Public,
        Some("handset") => Door::Handset,
        _ => Door::Operations,
    };
    let (method, path) = (words.next(), words.next());
    let mut builder = Request::builder()
        .method(method.unwrap_or("GET"))
        .uri(path.unwrap_or("/"));
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        builder = builder.header(name, value);
    }
    // What HTTP does not allow is refused before it comes here.
    if let Ok(request) = builder.body(body.into()) {
        WORLD.ask(door, request);
    }
}

/// A request for a certificate: base64, or where the first byte is 0 what then goes into base64.
pub fn server_enrol(bytes: &[u8]) {
    let body = match bytes.split_first() {
        Some((0, der)) => STANDARD.encode(der).into_bytes(),
        _ => bytes.to_vec(),
    };
    let basic = STANDARD.encode(format!("candour:{TOKEN}"));
    let enrol = |door, operation| {
        let request = Request::post(format!("/.well-known/est/{operation}"))
            .header("content-type", "application/pkcs10")
            .header("authorization", format!("Basic {basic}"))
            .body(body.clone().into())
            .unwrap();
        WORLD.ask(door, request)
    };
    enrol(Door::Public, "simpleenroll");
    enrol(Door::Handset, "simplereenroll");
}

const TOKEN: &str = "a token";

enum Door {
    Public,
    Handset,
    Operations,
}

/// A gateway with one department, its first policy and one handset.
struct World {
    runtime: Runtime,
    public: Router,
    handset: Router,
    operations: Router,
    identity: HandsetIdentity,
    records_key: String,
    _dir: TempDir,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        // Memory, where there is such a file system.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let dir = dir.unwrap();
        let clock = Arc::new(Ticking::default());
        let now = clock.now();
        let department: DepartmentId = "hm-treasury".parse().unwrap();
        let settings = Settings {
            attachments: dir.path().join("attachments"),
            signer: Some(LogKey::make("candour.example/log").unwrap().into_signer()),
            now,
        };
        let policy_key = PolicyKey::make().unwrap();
        let records_key = RecordsPrivateKey::generate().public_key(Suite::XWingAes256Gcm);
        let first = policy::standard(&department, "HM Treasury", records_key.clone(), now);
        policy::issue(&dir.path().join("policy"), &policy_key, &first).unwrap();
        let policies = Policies::open(
            dir.path().join("policy"),
            policy_key.verifying_key().clone(),
        )
        .unwrap();
        let (store, enrolled) = runtime.block_on(async {
            let store = SqliteStore::create(&dir.path().join("server.db"), settings).unwrap();
            let hash = token_digest(&TOKEN.into());
            let token = NewToken {
                hash,
                department: department.clone(),
                label: None,
                created: now,
                expires: now + SignedDuration::from_hours(24),
            };
            store.put_token(token).await.unwrap();
            let request = EnrolRequest {
                token: hash,
                spki: keys::public().spki_der().to_vec(),
                now,
            };
            store.enrol(request).await.unwrap();
            let enrolled = EnrolledKeys::default();
            enrolled.refresh(store.as_ref()).await.unwrap();
            (store, enrolled)
        });
        let gateway = Gateway::new(Parts {
            store,
            clock,
            authority: Authority::make("HM Treasury", now).unwrap(),
            enrolled: Arc::new(enrolled),
            policies: Arc::new(policies),
            metrics: Arc::new(Metrics::default()),
            limits: Limits::default(),
        });
        Self {
            public: gateway.public_routes(),
            handset: gateway.handset_routes(),
            operations: gateway.ops_routes(),
            identity: HandsetIdentity {
                handset: keys::handset(),
                department,
                key: keys::public().clone(),
                not_before: now,
                not_after: now + SignedDuration::from_hours(30 * 24),
            },
            records_key: records_key.id().to_string(),
            runtime,
            _dir: dir,
        }
    }

    /// The status and the body of the reply, which is never the gateway's own failure.
    fn ask(&self, door: Door, mut request: Request<Body>) -> (u16, Vec<u8>) {
        let routes = match door {
            Door::Public => &self.public,
            Door::Handset => {
                request.extensions_mut().insert(self.identity.clone());
                &self.handset
            }
            Door::Operations => &self.operations,
        };
        let reply = async {
            let reply = routes.clone().oneshot(request).await;
            let (head, body) = reply.unwrap_or_else(|never| match never {}).into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            (head.status.as_u16(), body.to_vec())
        };
        let (status, body) = self.runtime.block_on(reply);
        assert!(
            status < 500 || is_full(&body),
            "{status}: {}",
            String::from_utf8_lossy(&body)
        );
        (status, body)
    }
}

/// All inputs share one store, so in the end the phone has begun as many files as it may: the one
/// refusal of these that is a 5xx by its meaning (507), and that no input brings about by itself.
fn is_full(problem: &[u8]) -> bool {
    let problem: serde_json::Value = serde_json::from_slice(problem).unwrap_or_default();
    problem["code"] == Code::AttachmentQuota.as_str()
}

/// A clock that goes on by a second each time, so that no limit by the minute is met.
#[derive(Default)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        let begin: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        // No longer than the token lasts.
        begin + SignedDuration::from_secs(self.0.fetch_add(1, Ordering::Relaxed) % 80_000)
    }
}
