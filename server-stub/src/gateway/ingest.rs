//! `POST /v1/posture` and `POST /v1/records`: batches of signed records.
//!
//! Here each record is checked by itself: size, signature, version, handset, stream, catalogue,
//! seal. What depends on what is kept already (its place in the chain, duplicates, standing) is
//! the store's to judge, in the transaction that writes. A record that is refused does not stop
//! the others.

mod check;
mod decode;

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::State;
use axum::routing::post;
use axum::{Extension, Json, Router};
use bytes::Bytes;
use candour_wire::api::{BatchReply, RecordResult};
use candour_wire::code::Refusal;
use candour_wire::record::Stream;
use candour_wire::{Code, limits};
use http::HeaderMap;
use tokio::task::JoinHandle;

use super::layers::Received;
use super::limits::Group;
use super::{Gateway, layers};
use crate::identity::HandsetIdentity;
use crate::problem::{Failure, Outcome};
use crate::store::{Batch, Verified};

pub(super) fn routes() -> Router<Gateway> {
    Router::new()
        .route("/v1/posture", post(post_posture))
        .route("/v1/records", post(post_records))
}

/// Takes a batch of the posture stream: which catalogue apps are installed, and how the agent
/// fares. The body may be compressed with zstd.
#[utoipa::path(
    post, path = "/v1/posture", tag = "records",
    request_body = candour_wire::api::BatchRequest,
    responses(
        (status = 200, description = "A receipt or a refusal for each record, in order", body = BatchReply),
        (status = "4XX", response = crate::openapi::ProblemResponse),
        (status = "5XX", response = crate::openapi::ProblemResponse),
    ),
    security(("handset" = [])),
)]
pub(crate) async fn post_posture(
    State(gateway): State<Gateway>,
    Extension(identity): Extension<HandsetIdentity>,
    headers: HeaderMap,
    body: Body,
) -> Outcome<Json<BatchReply>> {
    take(&gateway, identity, Stream::Posture, &headers, body).await
}

/// Takes a batch of the records stream: declarations, amendments and withdrawals, sealed. The
/// body may be compressed with zstd.
#[utoipa::path(
    post, path = "/v1/records", tag = "records",
    request_body = candour_wire::api::BatchRequest,
    responses(
        (status = 200, description = "A receipt or a refusal for each record, in order", body = BatchReply),
        (status = "4XX", response = crate::openapi::ProblemResponse),
        (status = "5XX", response = crate::openapi::ProblemResponse),
    ),
    security(("handset" = [])),
)]
pub(crate) async fn post_records(
    State(gateway): State<Gateway>,
    Extension(identity): Extension<HandsetIdentity>,
    headers: HeaderMap,
    body: Body,
) -> Outcome<Json<BatchReply>> {
    take(&gateway, identity, Stream::Records, &headers, body).await
}

async fn take(
    gateway: &Gateway,
    identity: HandsetIdentity,
    stream: Stream,
    headers: &HeaderMap,
    body: Body,
) -> Outcome<Json<BatchReply>> {
    layers::require_media_type(headers, "application/json")?;
    let encoding = decode::Encoding::of(headers)?;
    let most = limits::BATCH_MAX_WIRE_BYTES;
    let Received { bytes, room } = layers::read_body(&gateway.limits, headers, body, most).await?;
    let turn = gateway.limits.turn(Group::Batch).await?;
    let handset = identity.handset.clone();
    let policies = gateway.policies.of(&identity.department);
    let policy = policies.as_ref().map(|policies| policies.current.digest);
    let checker = check::Checker {
        identity,
        stream,
        policies,
    };
    // The caller may go away meanwhile; the work goes on, so turn and room go with it.
    let held = Arc::new((turn, room));
    let (entries, log_size) = check_batch(checker, encoding, bytes, &held).await?;
    let kinds: Vec<_> = entries
        .iter()
        .map(|entry| entry.as_ref().ok().map(|v| v.record.body.kind()))
        .collect();
    let batch = Batch {
        handset,
        stream,
        entries,
        log_size,
        received: gateway.clock.now(),
    };
    let begun = tokio::time::Instant::now();
    let reply = BatchReply {
        policy,
        ..gateway.store.append(batch).await?
    };
    gateway.metrics.appended(begun.elapsed());
    for (kind, result) in kinds.into_iter().zip(&reply.results) {
        match result {
            RecordResult::Receipt(receipt) => gateway.metrics.receipt(kind, receipt.duplicate),
            RecordResult::Refusal(refusal) => gateway.metrics.refusal(kind, refusal.known_code()),
        }
    }
    Ok(Json(reply))
}

type Entries = Vec<Result<Verified, Refusal>>;

/// Fewest records worth a thread of their own: handing them over costs a tenth of checking one.
const PART_MIN: usize = 4;

/// Most bytes of JSON that are read and checked where they arrived: to read them takes about as long
/// as handing them to another thread and back.
const AT_ONCE_MAX_BYTES: usize = 16 << 10;

/// Most records that are checked where they arrived: a tenth of a millisecond. Most batches have
/// one.
const AT_ONCE_MAX: usize = 2;

/// Unpacks a batch and checks its records, on as many threads as the machine has cores.
///
/// Much decompression and many signatures would hold up every other request of the worker that
/// called.
async fn check_batch<T: Send + Sync + 'static>(
    checker: check::Checker,
    encoding: decode::Encoding,
    body: Bytes,
    held: &Arc<T>,
) -> Outcome<(Entries, u64)> {
    let at_once = decode::is_at_most(encoding, &body, AT_ONCE_MAX_BYTES);
    let request = if at_once {
        decode::batch(encoding, body)?
    } else {
        let held = Arc::clone(held);
        let unpack = move || {
            let _held = held;
            decode::batch(encoding, body)
        };
        joined(tokio::task::spawn_blocking(unpack)).await??
    };
    let (records, log_size) = (request.records, request.log_size);
    if at_once && records.len() <= AT_ONCE_MAX {
        return Ok((check_all(&checker, records), log_size));
    }
    let part = records.len().div_ceil(*CORES).max(PART_MIN);
    let checker = Arc::new(checker);
    let parts = in_parts(records, part).map(|records| {
        let (checker, held) = (Arc::clone(&checker), Arc::clone(held));
        tokio::task::spawn_blocking(move || {
            let _held = held;
            check_all(&checker, records)
        })
    });
    // All begin before the first is waited for.
    let parts: Vec<_> = parts.collect();
    let mut entries = Vec::new();
    for part in parts {
        entries.extend(joined(part).await?);
    }
    Ok((entries, log_size))
}

/// To ask costs as much as to check half a record: Linux reads its control groups' files.
static CORES: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));

fn in_parts(records: Vec<String>, part: usize) -> impl Iterator<Item = Vec<String>> {
    let mut records = records.into_iter();
    std::iter::from_fn(move || {
        let next: Vec<String> = records.by_ref().take(part).collect();
        (!next.is_empty()).then_some(next)
    })
}

fn check_all(checker: &check::Checker, records: Vec<String>) -> Entries {
    records.into_iter().map(|jws| checker.check(jws)).collect()
}

async fn joined<T>(task: JoinHandle<T>) -> Outcome<T> {
    task.await
        .map_err(|error| Failure::caused(Code::Internal, error))
}
