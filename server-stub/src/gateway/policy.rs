//! `GET /v1/policy`: the signed policy of the handset's department.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use candour_wire::Code;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::Gateway;
use super::limits::Group;
use crate::identity::HandsetIdentity;
use crate::problem::{Failure, Outcome};

pub(super) fn routes() -> Router<Gateway> {
    Router::new().route("/v1/policy", get(get_policy))
}

/// The policy in force, as a JWS in compact form.
#[utoipa::path(
    get, path = "/v1/policy", tag = "policy",
    params(("If-None-Match" = Option<String>, Header, description = "Entity tag of the policy that the handset has")),
    responses(
        (status = 200, description = "The signed policy", content_type = "application/jose", body = String, headers(("ETag" = String))),
        (status = 304, description = "The handset has it already"),
        (status = "4XX", response = crate::openapi::ProblemResponse),
        (status = "5XX", response = crate::openapi::ProblemResponse),
    ),
    security(("handset" = [])),
)]
pub(crate) async fn get_policy(
    State(gateway): State<Gateway>,
    Extension(identity): Extension<HandsetIdentity>,
    headers: HeaderMap,
) -> Outcome {
    let _turn = gateway.limits.turn(Group::Read).await?;
    let policies = gateway
        .policies
        .of(&identity.department)
        .ok_or(Code::PolicyMissing)?;
    let issued = &policies.current;
    let etag = HeaderValue::from_str(&issued.etag)
        .map_err(|error| Failure::caused(Code::Internal, error))?;
    let mut response: Response = if is_held(&headers, &issued.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = issued.bundle.clone().into_response();
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/jose"));
        response
    };
    response.headers_mut().insert(ETAG, etag);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

/// Weak comparison of entity tags (RFC 9110, section 13.1.2).
fn is_held(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
