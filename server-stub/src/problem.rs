//! How a request fails: one type, one place that turns it into a problem document (RFC 9457).

use std::error::Error;

use axum::response::{IntoResponse, Response};
use candour_wire::{Code, Problem};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use ring::rand::{SecureRandom, SystemRandom};

use crate::store::{AppendError, EnrolError, StoreError, UploadError};

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A request that is answered with a problem document.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    detail: Option<String>,
    /// What went wrong on this side; logged once, never sent.
    source: Option<Box<dyn Error + Send + Sync>>,
    /// When to come back, where that is known.
    retry_after_s: Option<u32>,
}

/// What a handler returns.
pub type Outcome<T = Response> = Result<T, Failure>;

impl Failure {
    /// A failure without more to say.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self {
            code,
            detail: None,
            source: None,
            retry_after_s: None,
        }
    }

    /// Adds what was wrong in this case; never content, never a secret.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says when to come back; a minute is added at random, so that not all come at once.
    #[must_use]
    pub const fn with_retry_after_s(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// A fault on this side, whose cause is logged and not sent.
    #[must_use]
    pub fn caused(code: Code, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            code,
            detail: None,
            source: Some(source.into()),
            retry_after_s: None,
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

macro_rules! from_store {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::caused(error.code(), error)
            }
        }
    )*};
}

from_store!(StoreError, AppendError, EnrolError);

impl From<UploadError> for Failure {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Offset { expected } => Self::new(Code::AttachmentOffset)
                .with_detail(format!("it goes on at byte {expected}")),
            error => Self::caused(error.code(), error),
        }
    }
}

/// The code of a failed request, left on its response for the metrics.
#[derive(Debug, Clone, Copy)]
pub struct FailureCode(pub Code);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // A code that never travels would be a mistake of this server's.
        let status = StatusCode::from_u16(self.code.http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(source) = &self.source {
            let error = chain(source.as_ref());
            if status.is_server_error() {
                tracing::error!(code = %self.code, error, "request failed");
            } else {
                tracing::debug!(code = %self.code, error, "request refused");
            }
        }
        let mut problem = Problem::new(self.code);
        problem.status = status.as_u16();
        problem.detail = self.detail;
        let body = serde_json::to_vec(&problem).expect("a problem document is plain data");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(
                    WWW_AUTHENTICATE,
                    HeaderValue::from_static("Basic realm=\"candour\""),
                );
            }
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::INSUFFICIENT_STORAGE => {
                headers.insert(
                    RETRY_AFTER,
                    HeaderValue::from(self.retry_after_s.unwrap_or_default() + spread_s()),
                );
            }
            _ => {}
        }
        response.extensions_mut().insert(FailureCode(self.code));
        response
    }
}

/// An error and its sources in one line. Messages of this server's errors carry no content.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line.push_str(": ");
        line.push_str(&error.to_string());
        source = error.source();
    }
    line
}

/// 15 to 78 seconds at random, so that handsets which were turned away together do not come back
/// together.
fn spread_s() -> u32 {
    let mut random = [0];
    // Without randomness they come back together, which is no reason to fail.
    let _ = SystemRandom::new().fill(&mut random);
    15 + u32::from(random[0] & 0x3f)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_failure_is_a_problem_document_that_does_not_tell_its_cause() {
        let failure = Failure::caused(Code::Internal, std::io::Error::other("/secret/path"));
        let response = failure.into_response();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[CONTENT_TYPE], MEDIA_TYPE);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains("\"internal\""), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn who_is_turned_away_is_told_when_to_come_back() {
        for code in [Code::Unavailable, Code::TooManyRequests, Code::StorageFull] {
            let response = Failure::new(code).into_response();
            let seconds: u16 = response.headers()[RETRY_AFTER]
                .to_str()
                .unwrap()
                .parse()
                .unwrap();
            assert!((15..=78).contains(&seconds));
        }
        assert!(
            Failure::new(Code::TokenUsed)
                .into_response()
                .headers()
                .contains_key(WWW_AUTHENTICATE)
        );
    }
}
