//! `/log`: the transparency log as C2SP tlog-tiles, for handsets, auditors and witnesses.
//!
//! It is public on purpose: leaves are salted hashes, so they say nothing of what was declared.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use candour_wire::Code;
use candour_wire::log::tile::TilePath;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::Gateway;
use super::limits::Group;
use crate::problem::{Failure, Outcome};

pub(super) fn routes() -> Router<Gateway> {
    Router::new()
        .route("/log/checkpoint", get(checkpoint))
        .route("/log/tile/{*path}", get(tile))
}

/// The newest signed checkpoint.
#[utoipa::path(
    get, path = "/log/checkpoint", tag = "log",
    responses(
        (status = 200, description = "A signed note (C2SP tlog-checkpoint)", content_type = "text/plain", body = String),
        (status = "4XX", response = crate::openapi::ProblemResponse),
    ),
)]
pub(crate) async fn checkpoint(State(gateway): State<Gateway>) -> Outcome {
    let _turn = gateway.limits.turn(Group::Log).await?;
    let note = gateway.store.checkpoint().await?;
    let note =
        note.ok_or_else(|| Failure::new(Code::NotFound).with_detail("the log has not begun"))?;
    Ok(typed(note, "text/plain; charset=utf-8", "no-cache"))
}

/// A tile of hashes or a bundle of entries, full or partial.
#[utoipa::path(
    get, path = "/log/tile/{path}", tag = "log",
    params(("path" = String, Path, description = "As in C2SP tlog-tiles, such as `0/x001/234.p/17` or `entries/000`")),
    responses(
        (status = 200, description = "32-byte hashes, or entries each after its 16-bit length", content_type = "application/octet-stream", body = String),
        (status = "4XX", response = crate::openapi::ProblemResponse),
    ),
)]
pub(crate) async fn tile(State(gateway): State<Gateway>, Path(path): Path<String>) -> Outcome {
    let path: TilePath = format!("tile/{path}").parse().map_err(|_| Code::NotFound)?;
    let _turn = gateway.limits.turn(Group::Log).await?;
    let bytes = gateway.store.tile(path).await?.ok_or(Code::NotFound)?;
    // Partial ones too: their width is part of their name, so they never change.
    Ok(typed(
        bytes,
        "application/octet-stream",
        "public, max-age=31536000, immutable",
    ))
}

fn typed(body: impl IntoResponse, media_type: &'static str, caching: &'static str) -> Response {
    let mut response = body.into_response();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}
