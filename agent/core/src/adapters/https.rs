//! HTTPS to the department, by reqwest and rustls.
//!
//! TLS 1.3 only, with a closed list of cipher suites; no session resumption, which would let a
//! revoked handset back in and prove nothing about its key (invariant I10); HTTP/1.1 only. No
//! redirects, no cookies, no proxy but the configured one, no public authorities, nothing from
//! the environment. Replies are read up to the length that the request allows.

mod failure;
mod one_connection;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Proxy, redirect, retry};

use self::failure::classify;
use self::one_connection::OneConnection;
use crate::ports::{
    Clock, Connector, Endpoint, Method, Request, Response, Transport, TransportError,
};

/// Time to reach the server or the proxy.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Time until the reply begins, beside what [`SLOWEST_BYTES_PER_S`] adds for the request; and the
/// longest silence within the reply.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The slowest connection that is waited for: 2G at its worst. A long body, of a
/// request or of a reply, has this much more time, since a fixed limit would mean that it never
/// arrives at a bad place.
const SLOWEST_BYTES_PER_S: u32 = 4 << 10;

/// How long an idle connection is kept. Short of what servers and phone networks usually allow,
/// so that a request rarely meets a connection that has just been closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Most bytes of reply headers' values that are handed on.
const HEADERS_MAX_BYTES: usize = 16 << 10;

/// Makes HTTPS connections.
pub struct HttpsConnector {
    clock: Arc<dyn Clock>,
}

impl HttpsConnector {
    /// Certificates are judged by `clock`, as far as it can be right; see
    /// [`crate::identity::trust`].
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

impl Connector for HttpsConnector {
    fn connect(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
        let clock_suspect = Arc::new(AtomicBool::new(false));
        let tls = tls::config(
            endpoint,
            Arc::clone(&self.clock),
            Arc::clone(&clock_suspect),
        )?;
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .http1_only()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .user_agent(concat!("candour/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .connector_layer(OneConnection::default())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(1);
        if let Some(proxy) = &endpoint.proxy {
            let proxy = Proxy::https(proxy)
                .map_err(|_| TransportError::Proxy("its address cannot be read".to_owned()))?;
            builder = builder.proxy(proxy);
        }
        let client = builder
            .build()
            .map_err(|error| classify(&error, endpoint.proxy.is_some()))?;
        let base = endpoint.url.trim_end_matches('/').to_owned();
        Ok(Arc::new(Https {
            client,
            base,
            by_proxy: endpoint.proxy.is_some(),
            clock_suspect,
        }))
    }
}

struct Https {
    client: Client,
    base: String,
    by_proxy: bool,
    clock_suspect: Arc<AtomicBool>,
}

#[async_trait]
impl Transport for Https {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let limit = request.reply_max_bytes;
        let (until_reply, altogether) = times_for(request.body.len(), limit);
        let failed = |error: reqwest::Error| {
            if error.is_timeout() {
                TransportError::TimedOut(altogether)
            } else {
                classify(&error, self.by_proxy)
            }
        };
        let sent = self.build(request, altogether)?.send();
        let mut reply = within(until_reply, sent).await?.map_err(failed)?;
        if reply
            .content_length()
            .is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > limit))
            && limit > 0
        {
            return Err(TransportError::TooLarge(limit));
        }
        let mut body = Vec::new();
        while let Some(chunk) = within(REQUEST_TIMEOUT, reply.chunk())
            .await?
            .map_err(failed)?
        {
            if chunk.len() > limit.saturating_sub(body.len()) {
                return Err(TransportError::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response {
            status: reply.status().as_u16(),
            headers: headers(reply.headers())?,
            body,
        })
    }

    fn clock_suspect(&self) -> bool {
        self.clock_suspect.load(Ordering::Relaxed)
    }
}

impl Https {
    fn build(
        &self,
        request: Request,
        timeout: Duration,
    ) -> Result<reqwest::RequestBuilder, TransportError> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Head => reqwest::Method::HEAD,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
        };
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers {
            let value = HeaderValue::from_str(&value).map_err(|_| {
                TransportError::Malformed(format!("the value of header {name} cannot be sent"))
            })?;
            headers.append(HeaderName::from_static(name), value);
        }
        let mut builder = self
            .client
            .request(method, format!("{}{}", self.base, request.path))
            .headers(headers)
            .timeout(timeout);
        if let Some((user, password)) = request.basic {
            // EXPOSE: the token goes to the server, whose certificate has been verified by then;
            // reqwest marks the header as sensitive.
            builder = builder.basic_auth(user, Some(password.expose()));
        }
        Ok(if request.body.is_empty() {
            builder
        } else {
            builder.body(request.body)
        })
    }
}

async fn within<T>(limit: Duration, done: impl Future<Output = T>) -> Result<T, TransportError> {
    tokio::time::timeout(limit, done)
        .await
        .map_err(|_| TransportError::TimedOut(limit))
}

/// How long the reply may take to begin, and to end.
fn times_for(request_bytes: usize, reply_max_bytes: usize) -> (Duration, Duration) {
    let until_reply = REQUEST_TIMEOUT.saturating_add(time_to_carry(request_bytes));
    (
        until_reply,
        until_reply.saturating_add(time_to_carry(reply_max_bytes)),
    )
}

/// How long the slowest connection takes for so many bytes.
fn time_to_carry(bytes: usize) -> Duration {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    Duration::from_secs(bytes / u64::from(SLOWEST_BYTES_PER_S))
}

fn headers(map: &HeaderMap) -> Result<Vec<(String, String)>, TransportError> {
    let headers: Vec<(String, String)> = map
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    let length = headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum::<usize>();
    if length > HEADERS_MAX_BYTES {
        return Err(TransportError::Malformed(
            "its headers are too long".to_owned(),
        ));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
