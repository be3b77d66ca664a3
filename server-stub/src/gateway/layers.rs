//! What surrounds every handler: bounds in time, size and number, and problem documents for
//! whatever goes wrong.

use std::panic::AssertUnwindSafe;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use bytes::{Bytes, BytesMut};
use candour_wire::Code;
use futures_util::FutureExt as _;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use ring::rand::{SecureRandom, SystemRandom};
use tracing::Instrument as _;

use super::Gateway;
use super::limits::{Limits, Room};
use super::observed::{Observed, Seen};
use crate::identity::HandsetIdentity;
use crate::identity::enrolled::Standing;
use crate::problem::{Failure, FailureCode, Outcome};

/// Puts the layers that every listener has around its routes.
pub(super) fn around(routes: Router<Gateway>, gateway: &Gateway) -> Router {
    routes
        .fallback(|| async { Failure::new(Code::NotFound) })
        .method_not_allowed_fallback(|| async { Failure::new(Code::MethodNotAllowed) })
        .layer(middleware::from_fn_with_state(gateway.clone(), bound))
        .with_state(gateway.clone())
}

/// Bounds a request in time, catches a panic in its handler, counts it, and names it in the log.
async fn bound(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let id = make_request_id();
    let span = tracing::info_span!("request", id, method = %request.method());
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    let outcome = tokio::time::timeout(gateway.limits.request_timeout, work)
        .instrument(span)
        .await;
    let mut response = match outcome {
        Ok(Ok(response)) => response,
        // The panic hook has logged where it was; what it said may be content.
        Ok(Err(_panic)) => Failure::new(Code::Internal).into_response(),
        Err(_elapsed) => Failure::new(Code::TimedOut).into_response(),
    };
    if let Some(FailureCode(code)) = response.extensions().get() {
        gateway.metrics.failed(*code);
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

fn make_request_id() -> String {
    let mut random = [0; 8];
    // It only tells log lines apart; without randomness they all have the same name.
    let _ = SystemRandom::new().fill(&mut random);
    format!("{:016x}", u64::from_be_bytes(random))
}

/// Lets only handsets through whose key is enrolled and whose certificate is in force now: a
/// connection that is kept alive was verified when it began, perhaps before either ended.
pub(super) fn for_enrolled(routes: Router<Gateway>, gateway: &Gateway) -> Router<Gateway> {
    routes.route_layer(middleware::from_fn_with_state(
        gateway.clone(),
        require_enrolled,
    ))
}

async fn require_enrolled(
    State(gateway): State<Gateway>,
    identity: Option<Extension<HandsetIdentity>>,
    request: Request,
    next: Next,
) -> Outcome {
    let Some(Extension(identity)) = identity else {
        return Err(Code::CertificateRefused.into());
    };
    let key = identity.key.key_id();
    match gateway.enrolled.standing(&key) {
        Standing::Enrolled => {}
        Standing::Revoked => return Err(Code::HandsetRevoked.into()),
        Standing::Unknown => return Err(Code::CertificateRefused.into()),
    }
    let now = gateway.clock.now();
    if now > identity.not_after {
        return Err(Code::CertificateExpired.into());
    }
    gateway.limits.count(key, now)?;
    Ok(next.run(request).await)
}

/// Lets only those write who have not spent their day's budget, and only while the disk has room;
/// counts what they send.
pub(super) fn for_writing(routes: Router<Gateway>, gateway: &Gateway) -> Router<Gateway> {
    routes.route_layer(middleware::from_fn_with_state(
        gateway.clone(),
        require_budget,
    ))
}

async fn require_budget(
    State(gateway): State<Gateway>,
    Extension(identity): Extension<HandsetIdentity>,
    request: Request,
    next: Next,
) -> Outcome {
    if request.method().is_safe() {
        return Ok(next.run(request).await);
    }
    gateway.limits.require_room()?;
    let key = identity.key.key_id();
    if let Some(seconds) = gateway.limits.budget.closed_for_s(key, gateway.clock.now()) {
        return Err(Failure::new(Code::BudgetSpent).with_retry_after_s(seconds));
    }
    let counted = request.map(|body| {
        Body::new(Observed::new(body, move |seen| {
            if let Seen::Bytes(bytes) = seen {
                let now = gateway.clock.now();
                gateway.limits.budget.spend(key, bytes, now);
            }
        }))
    });
    Ok(next.run(counted).await)
}

/// Checks the media type of a request; parameters such as `charset` are ignored.
pub(super) fn require_media_type(headers: &HeaderMap, expected: &str) -> Outcome<()> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) {
        Ok(())
    } else {
        Err(Failure::new(Code::UnsupportedMediaType).with_detail(format!("send it as {expected}")))
    }
}

/// A request's body, and the room that it takes for as long as it is held.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    pub(super) room: Room,
}

/// Reads a body of at most `max` bytes. To be done before anything else is held: the sender
/// decides how long it takes.
pub(super) async fn read_body(
    limits: &Limits,
    headers: &HeaderMap,
    body: Body,
    max: usize,
) -> Outcome<Received> {
    let too_large = || Failure::new(Code::BodyTooLarge).with_detail(format!("at most {max} bytes"));
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > max as u64) {
        return Err(too_large());
    }
    let mut body = Limited::new(body, max);
    let mut room = Room::default();
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                too_large()
            } else {
                Failure::new(Code::BadRequest).with_detail("the request's body was cut off")
            }
        })?;
        // Trailers say nothing that is looked at.
        if let Ok(data) = frame.into_data() {
            limits.grow(&mut room, data.len()).await?;
            bytes.extend_from_slice(&data);
        }
    }
    Ok(Received {
        bytes: bytes.freeze(),
        room,
    })
}
