//! `/v1/attachments/{sha256}`: sealed files, in pieces that go on where they stopped.
//!
//! A file is named by the digest of its ciphertext. `HEAD` tells where to go on, `PUT` brings the
//! next piece, and the file is complete when its last byte has come and the digest is right.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use candour_wire::api::UploadStatus;
use candour_wire::attachment::ciphertext_len;
use candour_wire::{Code, Digest, limits};
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::limits::Group;
use super::{Gateway, layers};
use crate::identity::HandsetIdentity;
use crate::problem::{Failure, Outcome};
use crate::store::Piece;

pub(super) fn routes() -> Router<Gateway> {
    Router::new().route(
        "/v1/attachments/{sha256}",
        get(upload_status).put(put_piece),
    )
}

const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const COMPLETE: HeaderName = HeaderName::from_static("upload-complete");

/// Where an upload of this handset stands, as JSON and in the headers `Upload-Offset` and
/// `Upload-Complete` (`?1` or `?0`). `HEAD` gives the headers alone. An upload that has not begun
/// stands at 0.
#[utoipa::path(
    get, path = "/v1/attachments/{sha256}", tag = "attachments",
    params(("sha256" = String, Path, description = "SHA-256 of the sealed file, base64url")),
    responses(
        (status = 200, description = "Where the upload stands", body = UploadStatus,
         headers(("Upload-Offset" = u64), ("Upload-Complete" = String))),
        (status = "4XX", response = crate::openapi::ProblemResponse),
        (status = "5XX", response = crate::openapi::ProblemResponse),
    ),
    security(("handset" = [])),
)]
pub(crate) async fn upload_status(
    State(gateway): State<Gateway>,
    Extension(identity): Extension<HandsetIdentity>,
    Path(name): Path<String>,
) -> Outcome {
    let sha256 = digest(&name)?;
    let _turn = gateway.limits.turn(Group::Read).await?;
    let status = gateway
        .store
        .upload_status(&identity.handset, &sha256)
        .await?;
    Ok(reply(status.unwrap_or(UploadStatus {
        offset: 0,
        complete: false,
    })))
}

/// Takes a piece of a sealed file, at most 1 MiB.
#[utoipa::path(
    put, path = "/v1/attachments/{sha256}", tag = "attachments",
    params(
        ("sha256" = String, Path, description = "SHA-256 of the sealed file, base64url"),
        ("Upload-Offset" = u64, Header, description = "Where this piece starts, in bytes"),
        ("Upload-Length" = u64, Header, description = "Length of the whole sealed file in bytes"),
    ),
    request_body(content = String, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "Where the upload stands now", body = UploadStatus,
         headers(("Upload-Offset" = u64), ("Upload-Complete" = String))),
        (status = "4XX", response = crate::openapi::ProblemResponse),
        (status = "5XX", response = crate::openapi::ProblemResponse),
    ),
    security(("handset" = [])),
)]
pub(crate) async fn put_piece(
    State(gateway): State<Gateway>,
    Extension(identity): Extension<HandsetIdentity>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Outcome {
    let sha256 = digest(&name)?;
    let (offset, total) = (number(&headers, &OFFSET)?, number(&headers, &LENGTH)?);
    if total > ciphertext_len(limits::ATTACHMENT_MAX_BYTES) {
        return Err(Code::AttachmentTooLarge.into());
    }
    layers::require_media_type(&headers, "application/octet-stream")?;
    let most = limits::ATTACHMENT_PIECE_MAX_BYTES;
    let body = layers::read_body(&gateway.limits, &headers, body, most).await?;
    let _turn = gateway.limits.turn(Group::Attachment).await?;
    let piece = Piece {
        handset: identity.handset,
        sha256,
        total,
        offset,
        bytes: body.bytes.into(),
        now: gateway.clock.now(),
    };
    Ok(reply(gateway.store.upload_piece(piece).await?))
}

fn reply(status: UploadStatus) -> Response {
    let mut response = Json(status).into_response();
    let headers = response.headers_mut();
    headers.insert(OFFSET, HeaderValue::from(status.offset));
    // Truth in Structured Fields (RFC 9651, section 3.3.6).
    headers.insert(
        COMPLETE,
        HeaderValue::from_static(if status.complete { "?1" } else { "?0" }),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn digest(name: &str) -> Outcome<Digest> {
    name.parse().map_err(|_| {
        Failure::new(Code::NotFound)
            .with_detail("the name of a file is its SHA-256 in base64url, 43 characters")
    })
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Outcome<u64> {
    let value = headers
        .get(name)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    value.ok_or_else(|| {
        Failure::new(Code::BadRequest)
            .with_detail(format!("the header {name} must be a number of bytes"))
    })
}
