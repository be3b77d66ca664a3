//! The requests of a sync, and what their replies mean.

use candour_wire::api::{BatchReply, BatchRequest, UploadStatus};
use candour_wire::record::{AttachmentRef, Stream};
use candour_wire::{Code, limits};

use crate::identity::IdentityError;
use crate::outbox::OutboxError;
use crate::ports::{Method, Request, Response, StoreError, Transport, TransportError};
use crate::reply::Refusal;
use crate::sync::Failure;

/// What came of asking for the policy.
pub(super) enum PolicyAnswer {
    /// A bundle, not verified yet.
    Bundle(String),
    /// The one in force is the newest.
    Unchanged,
    /// There is none to be had; everything else may work all the same.
    Refused(Failure),
}

/// What came of sending a batch.
pub(super) enum BatchAnswer {
    /// A reply, not verified yet.
    Reply(BatchReply),
    /// Fewer bytes at a time.
    TooLarge,
}

/// `GET /v1/policy`.
pub(super) async fn fetch_policy(
    transport: &dyn Transport,
    etag: Option<String>,
) -> Result<PolicyAnswer, Failure> {
    let mut request = request(
        Method::Get,
        "/v1/policy".to_owned(),
        limits::POLICY_MAX_BYTES,
    );
    request
        .headers
        .extend(etag.map(|etag| ("if-none-match", etag)));
    let response = match transport.send(request).await {
        Ok(response) => response,
        Err(error) if super::concerns_one_reply(&error) => {
            return Ok(PolicyAnswer::Refused(error.into()));
        }
        Err(error) => return Err(error.into()),
    };
    match response.status {
        200 => Ok(String::from_utf8(response.body).map_or_else(
            |_| {
                PolicyAnswer::Refused(
                    Failure::new(Code::PolicyInvalid).with_detail("it is not text"),
                )
            },
            PolicyAnswer::Bundle,
        )),
        304 => Ok(PolicyAnswer::Unchanged),
        status => {
            let mut failure = refused(&response);
            // Whatever else these say, they say it of the whole server or of this handset.
            if matches!(status, 401 | 403 | 407 | 408 | 429 | 500..=599) {
                return Err(failure);
            }
            if failure.code == Code::NotFound {
                failure.code = Code::PolicyMissing;
            }
            Ok(PolicyAnswer::Refused(failure))
        }
    }
}

/// `POST /v1/posture` or `/v1/records`, compressed where it pays.
pub(super) async fn send_batch(
    transport: &dyn Transport,
    stream: Stream,
    batch: &BatchRequest,
) -> Result<BatchAnswer, Failure> {
    let mut request = request(
        Method::Post,
        format!("/v1/{}", stream.as_str()),
        limits::REPLY_MAX_BYTES,
    );
    request
        .headers
        .push(("content-type", "application/json".to_owned()));
    let json = serde_json::to_vec(batch).expect("texts and numbers serialise");
    request.body = if json.len() < COMPRESS_FROM_BYTES {
        json
    } else {
        request
            .headers
            .push(("content-encoding", "zstd".to_owned()));
        zstd::bulk::compress(&json, COMPRESSION_LEVEL)
            .map_err(|error| Failure::new(Code::Internal).with_detail(error.to_string()))?
    };
    let response = transport.send(request).await?;
    match response.status {
        200 => read_json(&response).map(BatchAnswer::Reply),
        413 => Ok(BatchAnswer::TooLarge),
        _ => Err(refused(&response)),
    }
}

/// `HEAD /v1/attachments/{sha256}`: how much of a file has arrived.
pub(super) async fn ask_upload(
    transport: &dyn Transport,
    file: AttachmentRef,
) -> Result<UploadStatus, Failure> {
    let response = transport.send(request(Method::Head, path(file), 0)).await?;
    match response.status {
        200 | 204 => upload_headers(&response).ok_or_else(|| {
            Failure::new(Code::BadReply).with_detail("an upload's state is missing")
        }),
        404 => Ok(UploadStatus {
            offset: 0,
            complete: false,
        }),
        _ => Err(refused(&response)),
    }
}

/// `PUT /v1/attachments/{sha256}`: a piece of a file.
pub(super) async fn upload_piece(
    transport: &dyn Transport,
    file: AttachmentRef,
    offset: u64,
    piece: Vec<u8>,
) -> Result<UploadStatus, Failure> {
    let mut request = request(Method::Put, path(file), limits::REPLY_MAX_BYTES);
    request
        .headers
        .push(("content-type", "application/octet-stream".to_owned()));
    request.headers.push(("upload-offset", offset.to_string()));
    request
        .headers
        .push(("upload-length", file.size.to_string()));
    request.body = piece;
    let response = transport.send(request).await?;
    match response.status {
        200 | 201 => read_json(&response),
        _ => Err(refused(&response)),
    }
}

/// Below this a batch fits into one packet or two, compressed or not.
const COMPRESS_FROM_BYTES: usize = 1024;

/// What zstd itself takes for the balance of time and size.
const COMPRESSION_LEVEL: i32 = 3;

fn request(method: Method, path: String, reply_max_bytes: usize) -> Request {
    Request {
        method,
        path,
        headers: Vec::new(),
        basic: None,
        body: Vec::new(),
        reply_max_bytes,
    }
}

fn path(file: AttachmentRef) -> String {
    format!("/v1/attachments/{}", file.sha256)
}

fn upload_headers(response: &Response) -> Option<UploadStatus> {
    Some(UploadStatus {
        offset: response.header("upload-offset")?.parse().ok()?,
        // Structured Fields write truth as ?1 (RFC 9651, section 3.3.6).
        complete: matches!(response.header("upload-complete")?, "?1" | "true"),
    })
}

fn read_json<T: serde::de::DeserializeOwned>(response: &Response) -> Result<T, Failure> {
    serde_json::from_slice(&response.body).map_err(|error| {
        // The message of serde_json may repeat a value, so only the place is kept.
        let place = format!("line {}, column {}", error.line(), error.column());
        Failure::new(Code::BadReply).with_detail(place)
    })
}

fn refused(response: &Response) -> Failure {
    let Refusal {
        code,
        detail,
        retry_after,
    } = Refusal::read(response);
    Failure {
        code,
        detail,
        retry_after,
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Self::new(error.code()).with_detail(crate::reply::legible(&error.to_string()))
    }
}

impl From<OutboxError> for Failure {
    fn from(error: OutboxError) -> Self {
        Self::new(error.code()).with_detail(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        OutboxError::from(error).into()
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        let detail = match &error {
            IdentityError::Refused { detail, .. } => detail.clone(),
            other => Some(other.to_string()),
        };
        let retry_after = match &error {
            IdentityError::Refused { retry_after, .. }
            | IdentityError::AwaitsApproval { retry_after } => *retry_after,
            _ => None,
        };
        Self {
            code: error.code(),
            detail,
            retry_after,
        }
    }
}
