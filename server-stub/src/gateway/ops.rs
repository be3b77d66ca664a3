//! `/livez`, `/readyz` and `/metrics`, for those who run the server. Loopback only, in clear.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use candour_wire::Code;
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::Gateway;
use crate::problem::{Failure, Outcome};

pub(super) fn routes() -> Router<Gateway> {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

/// Whether records can be taken now.
async fn ready(State(gateway): State<Gateway>) -> Outcome {
    if !gateway.store.healthy() {
        return Err(
            Failure::new(Code::Unavailable).with_detail("the store has failed; restart the server")
        );
    }
    gateway.limits.require_room()?;
    // The cheapest read there is: this is asked every few seconds.
    gateway.store.checkpoint().await?;
    Ok("ok\n".into_response())
}

async fn metrics(State(gateway): State<Gateway>) -> Outcome {
    let figures = gateway.store.figures().await?;
    let text = gateway
        .metrics
        .render(&figures, gateway.enrolled.count())
        .map_err(|error| Failure::caused(Code::Internal, error))?;
    let mut response: Response = text.into_response();
    let media_type =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    Ok(response)
}
