//! A gateway over a fresh store, and handsets that sign, for tests.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use candour_wire::chain::{Head, link};
use candour_wire::jws::{self, VerifyingKey};
use candour_wire::log::LogVerifier;
use candour_wire::posture::{AppPresence, HandsetFacts, Inventory, Presence};
use candour_wire::record::{self, Record, Stream};
use candour_wire::seal::{RecordsPrivateKey, Suite};
use candour_wire::{DepartmentId, HandsetId, RecordId};
use http::{Request, header};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::Value;
use tower::ServiceExt as _;

use super::{Gateway, Limits, Metrics, Parts, token_digest};
use crate::clock::Clock;
use crate::identity::HandsetIdentity;
use crate::identity::ca::Authority;
use crate::identity::enrolled::EnrolledKeys;
use crate::keys::{LogKey, PolicyKey};
use crate::policy::{self, BUNDLED_CATALOGUE, Policies};
use crate::store::NewToken;
use crate::store::sqlite::{Settings, SqliteStore};

pub(super) fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

pub(super) fn department() -> DepartmentId {
    "hm-treasury".parse().unwrap()
}

#[derive(Debug)]
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        now()
    }
}

/// A gateway with one department and its first policy.
pub(super) struct World {
    pub(super) gateway: Gateway,
    pub(super) store: Arc<SqliteStore>,
    pub(super) records_key: RecordsPrivateKey,
    pub(super) log: LogVerifier,
    _dir: tempfile::TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log_key = LogKey::make("candour.example/log").unwrap();
        let log = log_key.verifier().clone();
        let settings = Settings {
            attachments: dir.path().join("attachments"),
            signer: Some(log_key.into_signer()),
            now: now(),
        };
        let store = SqliteStore::create(&dir.path().join("server.db"), settings).unwrap();
        let policy_key = PolicyKey::make().unwrap();
        let records_key = RecordsPrivateKey::generate();
        let public = records_key.public_key(Suite::XWingAes256Gcm);
        let first = policy::standard(&department(), "HM Treasury", public, now());
        policy::issue(&dir.path().join("policy"), &policy_key, &first).unwrap();
        let policies = Policies::open(
            dir.path().join("policy"),
            policy_key.verifying_key().clone(),
        )
        .unwrap();
        let gateway = Gateway::new(Parts {
            store: store.clone(),
            clock: Arc::new(StoppedClock),
            authority: Authority::make("HM Treasury", now()).unwrap(),
            enrolled: Arc::new(EnrolledKeys::default()),
            policies: Arc::new(policies),
            metrics: Arc::new(Metrics::default()),
            limits: Limits::default(),
        });
        Self {
            gateway,
            store,
            records_key,
            log,
            _dir: dir,
        }
    }

    /// Keeps a token that is valid for an hour.
    pub(super) async fn token(&self, token: &str) {
        let token = NewToken {
            hash: token_digest(&token.into()),
            department: department(),
            label: None,
            created: now(),
            expires: "2026-11-22T11:00:00Z".parse().unwrap(),
        };
        self.gateway.store.put_token(token).await.unwrap();
    }

    /// A handset that has enrolled.
    pub(super) async fn handset(&self) -> Phone {
        let phone = Phone::new();
        let token = phone.id().to_string();
        self.token(&token).await;
        let reply = send(&self.gateway.public_routes(), phone.enrolment(&token)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        phone
    }

    /// What the handset listener answers to a phone that has proved who it is.
    pub(super) async fn ask(&self, phone: &Phone, mut request: Request<Body>) -> Reply {
        request.extensions_mut().insert(phone.identity());
        send(&self.gateway.handset_routes(), request).await
    }
}

/// A reply that has been read.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of a problem document, after a look at its form.
    pub(super) fn code(&self) -> String {
        assert_eq!(
            self.headers[header::CONTENT_TYPE],
            crate::problem::MEDIA_TYPE
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        problem["code"].as_str().unwrap().to_owned()
    }
}

pub(super) async fn send(routes: &Router, request: Request<Body>) -> Reply {
    let response: Response = routes.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Reply {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
    }
}

/// A handset: its key, and where its chains stand.
pub(super) struct Phone {
    pub(super) key: KeyPair,
    heads: [Head; 2],
}

impl Phone {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let id = HandsetId::derive(&key.subject_public_key_info());
        let heads = Stream::ALL.map(|stream| Head::genesis(&id, stream));
        Self { key, heads }
    }

    pub(super) fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::from_spki_der(&self.key.subject_public_key_info()).unwrap()
    }

    pub(super) fn id(&self) -> HandsetId {
        HandsetId::derive(&self.key.subject_public_key_info())
    }

    pub(super) fn identity(&self) -> HandsetIdentity {
        HandsetIdentity {
            handset: self.id(),
            department: department(),
            key: self.verifying_key(),
            not_before: "2026-11-20T10:00:00Z".parse().unwrap(),
            not_after: "2026-12-22T10:00:00Z".parse().unwrap(),
        }
    }

    pub(super) fn csr(&self) -> String {
        use base64::Engine as _;
        let request = CertificateParams::default()
            .serialize_request(&self.key)
            .unwrap();
        base64::engine::general_purpose::STANDARD.encode(request.der())
    }

    pub(super) fn enrolment(&self, token: &str) -> Request<Body> {
        use base64::Engine as _;
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("candour:{token}"));
        Request::post("/.well-known/est/simpleenroll")
            .header(header::AUTHORIZATION, format!("Basic {basic}"))
            .header(header::CONTENT_TYPE, "application/pkcs10")
            .body(self.csr().into())
            .unwrap()
    }

    /// The next record of the body's chain.
    pub(super) fn record(&self, body: record::Body) -> Record {
        let head = self.heads[body.kind().stream() as usize];
        Record {
            v: record::VERSION,
            id: RecordId::make(now()),
            handset: self.id(),
            seq: head.seq + 1,
            prev: head.digest,
            created: now(),
            policy: 1,
            body,
        }
    }

    pub(super) fn sign(&self, payload: &impl serde::Serialize) -> String {
        let payload = serde_json::to_vec(payload).unwrap();
        jws::sign(record::TYP, &payload, &self.verifying_key(), |message| {
            self.key.sign(message)
        })
        .unwrap()
    }

    /// Signs the next record and moves the chain on.
    pub(super) fn next(&mut self, body: record::Body) -> String {
        let stream = body.kind().stream();
        let jws = self.sign(&self.record(body));
        let head = &mut self.heads[stream as usize];
        *head = Head {
            seq: head.seq + 1,
            digest: link(&jws),
        };
        jws
    }
}

pub(super) fn inventory(apps: &[(&str, Presence)]) -> Inventory {
    let apps = apps.iter().map(|(app, state)| AppPresence {
        app: app.parse().unwrap(),
        state: *state,
        evidence: vec![],
    });
    Inventory {
        catalogue: BUNDLED_CATALOGUE.version,
        handset: HandsetFacts {
            platform: "linux".into(),
            os_version: None,
            model: None,
            agent_version: "0.1.0".into(),
        },
        apps: apps.collect(),
    }
}

pub(super) fn batch(stream: Stream, records: &[&str]) -> Request<Body> {
    let body = serde_json::json!({ "records": records, "log_size": 0 }).to_string();
    Request::post(format!("/v1/{}", stream.as_str()))
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .body(body.into())
        .unwrap()
}
