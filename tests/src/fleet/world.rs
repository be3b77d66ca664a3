//! What the phones share: the settings, the clock, the way to the department, and what is counted
//! on it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use candour_core::Config;
use candour_core::adapters::https::HttpsConnector;
use candour_core::ports::{
    Connector as _, Endpoint, Method, Request, Response, Transport, TransportError,
};
use candour_wire::log::LogVerifier;

use super::clock::{FleetClock, after};
use super::office::Office;
use super::phone::Phone;
use super::shelves::Shelves;

/// The world of the phones.
pub(super) struct World {
    pub(super) clock: Arc<FleetClock>,
    pub(super) shelves: Arc<Shelves>,
    pub(super) traffic: Arc<Traffic>,
    config: RwLock<Config>,
    way: RwLock<Way>,
    https: HttpsConnector,
    bundles: Mutex<Vec<Arc<[u8]>>>,
    /// Who fails comes again at once.
    impatient: AtomicBool,
    /// Another key than the department's, which the phones take for the log's.
    other_log: OnceLock<LogVerifier>,
}

/// How a phone gets to the department.
#[derive(Clone)]
pub(super) enum Way {
    /// By the agent's own HTTPS.
    Https,
    /// In this process.
    Office(Arc<Office>),
    /// Not at all.
    Cut,
}

/// What has passed between the phones and the department.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Connections on which something was asked.
    pub(super) connections: AtomicU64,
    pub(super) requests: AtomicU64,
    /// Bytes of requests as HTTP/1.1 has them.
    pub(super) sent: AtomicU64,
    /// The same of replies.
    pub(super) received: AtomicU64,
    /// Requests that a phone made before the time at which it was to come again.
    pub(super) early: AtomicU64,
}

/// [`Traffic`] at a moment.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub(super) struct Counted {
    pub(super) connections: u64,
    pub(super) requests: u64,
    pub(super) http_bytes_sent: u64,
    pub(super) http_bytes_received: u64,
}

impl World {
    pub(super) fn new(config: Config, clock: Arc<FleetClock>, shelves: Arc<Shelves>) -> Arc<Self> {
        Arc::new(Self {
            https: HttpsConnector::new(Arc::clone(&clock) as _),
            clock,
            shelves,
            traffic: Arc::default(),
            config: RwLock::new(config),
            way: RwLock::new(Way::Cut),
            bundles: Mutex::default(),
            impatient: AtomicBool::new(false),
            other_log: OnceLock::new(),
        })
    }

    /// The settings that every phone's device management has pushed.
    pub(super) fn config(&self) -> Config {
        let mut config = self
            .config
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(other) = self.other_log.get() {
            config.log_key = other.clone();
        }
        config
    }

    pub(super) fn set_server_url(&self, url: String) {
        let mut config = self.config.write().unwrap_or_else(PoisonError::into_inner);
        config.server_url = url;
    }

    pub(super) fn set_way(&self, way: Way) {
        *self.way.write().unwrap_or_else(PoisonError::into_inner) = way;
    }

    /// From now on the phones hold the log to another key than its own: to them every receipt is a
    /// forgery.
    pub(super) fn distrust(&self, other: LogVerifier) {
        // Whoever was first has done the same.
        let _ = self.other_log.set(other);
    }

    /// From now on a phone whose sync has failed comes again at once, whatever its agent says.
    pub(super) fn lose_patience(&self) {
        self.impatient.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_impatient(&self) -> bool {
        self.impatient.load(Ordering::Relaxed)
    }

    /// A policy's bundle, kept once however many phones have it.
    pub(super) fn shared(&self, bundle: &[u8]) -> Arc<[u8]> {
        let mut bundles = self.bundles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = bundles.iter().find(|known| ***known == *bundle) {
            return Arc::clone(known);
        }
        let new: Arc<[u8]> = bundle.into();
        bundles.push(Arc::clone(&new));
        new
    }

    pub(super) fn connect(
        &self,
        phone: &Arc<Phone>,
        endpoint: &Endpoint,
    ) -> Result<Arc<dyn Transport>, TransportError> {
        let way = self.way.read().unwrap_or_else(PoisonError::into_inner);
        let inner: Arc<dyn Transport> = match &*way {
            Way::Https => self.https.connect(endpoint)?,
            Way::Office(office) => {
                let leaf = endpoint.client.as_ref().and_then(|c| c.chain.first());
                let leaf = leaf.ok_or(TransportError::ClientCertificateRefused)?;
                Arc::new(office.connect(leaf)?)
            }
            Way::Cut => Arc::new(Nowhere),
        };
        Ok(Arc::new(Line {
            inner,
            phone: Arc::clone(phone),
            clock: Arc::clone(&self.clock),
            traffic: Arc::clone(&self.traffic),
            asked: AtomicU64::new(0),
        }))
    }
}

impl Traffic {
    pub(super) fn counted(&self) -> Counted {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            connections: of(&self.connections),
            requests: of(&self.requests),
            http_bytes_sent: of(&self.sent),
            http_bytes_received: of(&self.received),
        }
    }
}

impl Counted {
    /// What has passed since an earlier moment.
    pub(super) const fn since(self, earlier: Self) -> Self {
        Self {
            connections: self.connections - earlier.connections,
            requests: self.requests - earlier.requests,
            http_bytes_sent: self.http_bytes_sent - earlier.http_bytes_sent,
            http_bytes_received: self.http_bytes_received - earlier.http_bytes_received,
        }
    }

    pub(super) const fn http_bytes(self) -> u64 {
        self.http_bytes_sent + self.http_bytes_received
    }
}

/// A server that does not listen.
struct Nowhere;

#[async_trait]
impl Transport for Nowhere {
    async fn send(&self, _request: Request) -> Result<Response, TransportError> {
        Err(TransportError::Unreachable("nobody listens".to_owned()))
    }
}

/// A phone's connection, on which everything is counted.
struct Line {
    inner: Arc<dyn Transport>,
    phone: Arc<Phone>,
    clock: Arc<FleetClock>,
    traffic: Arc<Traffic>,
    asked: AtomicU64,
}

#[async_trait]
impl Transport for Line {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let count = |counter: &AtomicU64, number: u64| counter.fetch_add(number, Ordering::Relaxed);
        if self.phone.is_early(self.clock.now()) {
            count(&self.traffic.early, 1);
        }
        let sent = request_bytes(&request);
        self.phone.set_asked(None);
        let response = self.inner.send(request).await?;
        let asked = response
            .header("retry-after")
            .and_then(|asked| asked.parse().ok());
        let until = asked.map(|seconds| after(self.clock.now(), Duration::from_secs(seconds)));
        self.phone.set_asked(until);
        if count(&self.asked, 1) == 0 {
            count(&self.traffic.connections, 1);
        }
        count(&self.traffic.requests, 1);
        count(&self.traffic.sent, sent);
        count(&self.traffic.received, response_bytes(&response));
        Ok(response)
    }

    fn clock_suspect(&self) -> bool {
        self.inner.clock_suspect()
    }
}

/// Length of a request as HTTP/1.1 has it, without what every request of the agent's has in common.
fn request_bytes(request: &Request) -> u64 {
    let method = match request.method {
        Method::Get | Method::Put => 3,
        Method::Head | Method::Post => 4,
    };
    let headers = request.headers.iter();
    let headers: usize = headers
        .map(|(name, value)| name.len() + value.len() + ": \r\n".len())
        .sum();
    (method + request.path.len() + "  HTTP/1.1\r\n\r\n".len() + headers + request.body.len()) as u64
}

/// Length of a reply as HTTP/1.1 has it, without what every reply of the gateway's has in common.
fn response_bytes(response: &Response) -> u64 {
    let headers = response.headers.iter();
    let headers: usize = headers
        // Those that hyper adds on the way.
        .filter(|(name, _)| name != "date" && name != "content-length")
        .map(|(name, value)| name.len() + value.len() + ": \r\n".len())
        .sum();
    ("HTTP/1.1 200 OK\r\n\r\n".len() + headers + response.body.len()) as u64
}
