//! Handsets that deliver as fast as they are answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use candour_wire::api::{BatchReply, RecordResult};
use candour_wire::record::{Body, Declaration, Kind, Stream};
use candour_wire::seal::{self, RecordsPublicKey, SealContext};
use candour_wire::{RecordId, limits};
use jiff::SignedDuration;
use rustls::ClientConfig;

use crate::client::Connection;
use crate::department::{self, Department};
use crate::raw::{RawHandset, batch_of};

/// How many handsets deliver at once.
pub(super) const HANDSETS: usize = 64;

/// One handset and the bodies that it will send, made beforehand: signing is not measured.
pub(super) struct Deliverer {
    pub(super) tls: Arc<ClientConfig>,
    pub(super) bodies: Vec<Bytes>,
    /// Records in each body.
    batch: usize,
}

/// What the deliverers met.
#[derive(Default)]
pub(crate) struct Met {
    pub(crate) records: usize,
    /// How long each request took.
    pub(crate) latencies: Vec<Duration>,
}

impl Met {
    /// The latency that this share of the requests did not exceed, in milliseconds.
    pub(crate) fn quantile_ms(&mut self, share: f64) -> f64 {
        self.latencies.sort_unstable();
        let last = self.latencies.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list"
        )]
        let place = (last as f64 * share).round() as usize;
        self.latencies
            .get(place)
            .map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }
}

/// Enrols `handsets` and signs `bodies` batches of `batch` records for each.
///
/// The sealed content is one text for all: the gateway cannot open it, and sealing is the
/// handset's cost.
pub(super) async fn prepare(
    department: &Department,
    handsets: usize,
    bodies: usize,
    batch: usize,
) -> Vec<Deliverer> {
    let tokens: Vec<String> = (0..handsets).map(|_| department.token()).collect();
    let mut deliverers = Vec::new();
    let mut key = None;
    for token in tokens {
        let mut public = department.connect_public().await;
        let handset = RawHandset::enrol_on(&mut public, department, &token).await;
        if key.is_none() {
            let mut connection = handset.connect(department).await;
            let policy = connection.policy(department).await;
            key = Some(policy.records_key);
        }
        let key = key.as_ref().expect("the first one read it");
        deliverers.push(sign(&handset, key, bodies, batch, &handset.tls(department)));
    }
    deliverers
}

fn sign(
    handset: &RawHandset,
    key: &RecordsPublicKey,
    bodies: usize,
    batch: usize,
    tls: &Arc<ClientConfig>,
) -> Deliverer {
    let context = SealContext {
        id: RecordId::make(department::now()),
        handset: &handset.id,
        kind: Kind::Declaration,
    };
    let sealed = seal::seal(key, &context, b"The annex is agreed.").expect("short content");
    let mut head = handset.genesis(Stream::Records);
    let mut made = Vec::with_capacity(bodies);
    // Ids begin with their time, and arrive about in the order in which they were made.
    let mut made_at = department::now();
    for _ in 0..bodies {
        made_at += SignedDuration::from_millis(1);
        let mut records = Vec::with_capacity(batch);
        for _ in 0..batch {
            let declaration = Declaration {
                sealed: sealed.clone(),
                attachments: Vec::new(),
            };
            let id = RecordId::make(made_at);
            let signed = handset.sign(handset.record(&head, id, Body::Declaration(declaration)));
            head = head.extended(&signed.jws);
            records.push(signed.jws);
        }
        made.push(Bytes::from(batch_of(records, 0)));
    }
    Deliverer {
        tls: Arc::clone(tls),
        bodies: made,
        batch,
    }
}

/// Everybody delivers everything, each over one connection that stays.
///
/// # Panics
///
/// When a record is refused.
pub(super) async fn deliver_kept_alive(
    address: SocketAddr,
    path: &'static str,
    deliverers: Vec<Deliverer>,
) -> Met {
    let tasks: Vec<_> = deliverers
        .into_iter()
        .map(|deliverer| {
            tokio::spawn(async move {
                let mut met = Met::default();
                let mut connection = Connection::open(address, Arc::clone(&deliverer.tls))
                    .await
                    .expect("a connection");
                for body in &deliverer.bodies {
                    met.latencies
                        .push(post(&mut connection, path, body, deliverer.batch).await);
                    met.records += deliverer.batch;
                }
                met
            })
        })
        .collect();
    gather(tasks).await
}

/// Everybody delivers everything, each body over a connection of its own.
///
/// # Panics
///
/// When a record is refused.
pub(super) async fn deliver_one_by_one(
    address: SocketAddr,
    path: &'static str,
    deliverers: Vec<Deliverer>,
) -> Met {
    let tasks: Vec<_> = deliverers
        .into_iter()
        .map(|deliverer| {
            tokio::spawn(async move {
                let mut met = Met::default();
                for body in &deliverer.bodies {
                    let begun = now();
                    let mut connection = Connection::open(address, Arc::clone(&deliverer.tls))
                        .await
                        .expect("a connection");
                    post(&mut connection, path, body, deliverer.batch).await;
                    met.latencies.push(begun.elapsed());
                    met.records += deliverer.batch;
                }
                met
            })
        })
        .collect();
    gather(tasks).await
}

async fn gather(tasks: Vec<tokio::task::JoinHandle<Met>>) -> Met {
    let mut all = Met::default();
    for task in tasks {
        let met = task.await.expect("a handset's deliveries");
        all.records += met.records;
        all.latencies.extend(met.latencies);
    }
    all
}

async fn post(
    connection: &mut Connection,
    path: &'static str,
    body: &Bytes,
    records: usize,
) -> Duration {
    let begun = now();
    let request = http::Request::post(path).header("content-type", "application/json");
    let reply = connection
        .send(request, body.clone())
        .await
        .expect("a reply");
    let took = begun.elapsed();
    assert_eq!(reply.status, 200, "{}", reply.text());
    // The reference answers nothing.
    if !reply.body.is_empty() {
        let reply: BatchReply = reply.json();
        let taken = |result: &RecordResult| matches!(result, RecordResult::Receipt(_));
        assert_eq!(reply.results.len(), records);
        assert!(
            reply.results.iter().all(taken),
            "{:?}",
            reply.results.first()
        );
    }
    took
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a request takes is measured here"
)]
fn now() -> Instant {
    Instant::now()
}

/// The largest batch that is posted here, which the wire allows.
pub(super) const BATCH: usize = 32;
const _: () = assert!(BATCH <= limits::BATCH_MAX_RECORDS);
