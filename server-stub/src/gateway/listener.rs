//! Accepting connections, shaking hands, and serving HTTP/1.1 on them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use candour_wire::Digest;
use http::header::CONNECTION;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt as _;

use super::metrics::Metrics;
use super::observed::{Observed, Seen};
use super::places::{Crowd, Lag, Place, Places, one_address};
use super::stall::Impatient;
use super::tls;
use crate::config::Config;
use crate::identity::{HandsetIdentity, profile};

/// After this a connection is closed once its request is answered, so that certificates are
/// looked at again; a fresh handshake costs a millisecond.
const CONNECTION_AGE: Duration = Duration::from_secs(600);

/// How much longer than a request may take the last one of a connection may go on.
const CONNECTION_GRACE: Duration = Duration::from_secs(30);

/// Requests on one connection: a file of 100 MiB in pieces, and a long backlog.
const REQUESTS_PER_CONNECTION: u32 = 1_000;

/// Headers of one request; browsers send 20.
const HEADERS_MAX: usize = 64;

/// Bytes of a request's head.
const HEAD_MAX_BYTES: usize = 32 << 10;

/// What is still taken in, and thrown away, of a body that was refused before its end: closing
/// with unread bytes resets the connection, and the reply may be lost with it. Four times the
/// longest body that is ever right.
const LINGER_MAX_BYTES: usize = 16 << 20;

/// For how long it is taken in.
const LINGER: Duration = Duration::from_secs(5);

/// What is served on a port, and how.
pub(super) struct Listener {
    /// In metrics and logs.
    pub(super) name: &'static str,
    /// How to shake hands, and with whom.
    pub(super) door: Door,
    /// What is served.
    pub(super) routes: Router,
    /// Places for those who have not shown a certificate.
    pub(super) strangers: Arc<Places<IpAddr>>,
    /// How late the server is with its work.
    pub(super) lag: Arc<Lag>,
    /// How long things may take.
    pub(super) patience: Patience,
    /// Where handshakes and connections are counted.
    pub(super) metrics: Arc<Metrics>,
}

/// How to shake hands, and with whom.
pub(super) enum Door {
    /// Plain HTTP.
    Clear,
    /// TLS, with whoever comes.
    Open(TlsAcceptor),
    /// TLS, with enrolled phones.
    Enrolled(TlsAcceptor, Handsets),
}

/// Places for enrolled phones.
pub(super) struct Handsets {
    /// In all. A handshake that is done waits for one.
    pub(super) permits: Arc<Semaphore>,
    /// For each.
    pub(super) places: Arc<Places<Digest>>,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// A handshake: a slow network, not a client that never speaks.
    pub(super) handshake: Duration,
    /// The head of a request, and the silence before it.
    pub(super) head: Duration,
    /// A whole request.
    pub(super) request: Duration,
}

impl Handsets {
    pub(super) fn new(config: &Config) -> Self {
        let most = usize::try_from(config.connections_max).unwrap_or(usize::MAX);
        Self {
            permits: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            places: Arc::new(Places::new(u32::MAX, config.connections_per_handset)),
        }
    }
}

impl Patience {
    pub(super) fn new(config: &Config) -> Self {
        let seconds = |number: u32| Duration::from_secs(number.into());
        Self {
            handshake: seconds(config.handshake_timeout_s),
            head: seconds(config.idle_timeout_s),
            request: seconds(config.request_timeout_s),
        }
    }
}

impl Listener {
    /// Serves what `tcp` accepts until `stop` turns true; then closes the port, and waits for the
    /// requests that were taken, for as long as the caller lets it. Dropping the future cuts them
    /// off.
    pub(super) async fn run(self, tcp: TcpListener, mut stop: watch::Receiver<bool>) {
        let this = Arc::new(self);
        let mut connections = JoinSet::new();
        while !*stop.borrow_and_update() {
            let accepted = tokio::select! {
                accepted = tcp.accept() => accepted,
                _ = stop.changed() => continue,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let from = one_address(peer.ip());
                    let (place, crowd) = this.strangers.take(from, this.lag.patience());
                    this.note_crowd(crowd, "address");
                    let Some(place) = place else {
                        continue;
                    };
                    let (this, stop) = (Arc::clone(&this), stop.clone());
                    connections.spawn(async move {
                        this.metrics.connections().inc();
                        this.connection(stream, peer, place, stop).await;
                        this.metrics.connections().dec();
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely; trying at once would only spin.
                    tracing::warn!(listener = this.name, %error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        // The kernel would go on taking connections that nobody will serve; refused, a phone
        // knows at once, and a load balancer goes elsewhere.
        drop(tcp);
        while connections.join_next().await.is_some() {}
    }

    fn note_crowd(&self, crowd: Option<Crowd>, one: &'static str) {
        match crowd {
            None => {}
            Some(Crowd::All) => self.metrics.crowded_out(self.name, "all"),
            Some(Crowd::One) => self.metrics.crowded_out(self.name, one),
        }
    }

    async fn connection(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        mut place: Place<IpAddr>,
        stop: watch::Receiver<bool>,
    ) {
        // Replies are written whole, so there is nothing to wait for.
        let _ = stream.set_nodelay(true);
        let stream = Impatient::new(stream);
        match &self.door {
            Door::Clear => tokio::select! {
                () = self.serve(stream, None, stop) => {}
                () = place.wanted() => {}
            },
            Door::Open(tls) => tokio::select! {
                () = async {
                    if let Some(stream) = self.shake(tls, stream, peer, stop.clone()).await {
                        self.serve(stream, None, stop).await;
                    }
                } => {}
                () = place.wanted() => {}
            },
            Door::Enrolled(tls, handsets) => {
                let shaken = tokio::select! {
                    biased;
                    shaken = self.shake(tls, stream, peer, stop.clone()) => shaken,
                    () = place.wanted() => return,
                };
                let Some(stream) = shaken else {
                    return;
                };
                // Whoever has shown a certificate is no stranger, and gives way to none; those who
                // come while nobody leaves are turned away before they shake hands for nothing.
                place.stay();
                let Some((identity, _permit)) = self.admit(handsets, &stream, stop.clone()).await
                else {
                    return;
                };
                let (own, crowd) = handsets.places.take(identity.key.key_id(), Duration::ZERO);
                self.note_crowd(crowd, "handset");
                let Some(mut own) = own else {
                    return;
                };
                // No stranger any more.
                drop(place);
                tokio::select! {
                    () = self.serve(stream, Some(identity), stop) => {}
                    () = own.wanted() => {}
                }
            }
        }
    }

    /// Finds an enrolled phone, whose handshake is done, a place.
    async fn admit<S>(
        &self,
        handsets: &Handsets,
        stream: &TlsStream<S>,
        mut stop: watch::Receiver<bool>,
    ) -> Option<(HandsetIdentity, OwnedSemaphorePermit)> {
        let chain = stream.get_ref().1.peer_certificates();
        // The verifier has checked the same bytes a moment ago.
        let identity = profile::check(chain.and_then(<[_]>::first)?).ok()?;
        let permit = Arc::clone(&handsets.permits).acquire_owned();
        let permit = tokio::select! {
            permit = timeout(self.patience.handshake, permit) => permit,
            _ = stop.wait_for(|stop| *stop) => return None,
        };
        match permit {
            Ok(Ok(permit)) => Some((identity, permit)),
            _ => {
                self.metrics.crowded_out(self.name, "connections_max");
                None
            }
        }
    }

    async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        tls: &TlsAcceptor,
        stream: S,
        peer: SocketAddr,
        mut stop: watch::Receiver<bool>,
    ) -> Option<TlsStream<S>> {
        let handshake = timeout(self.patience.handshake, tls.accept(stream));
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            _ = stop.wait_for(|stop| *stop) => return None,
        };
        let outcome = match &shaken {
            Ok(Ok(_)) => "ok",
            Ok(Err(error)) => tls::outcome(error),
            Err(_elapsed) => "timed_out",
        };
        self.metrics.handshake(self.name, outcome);
        if let Ok(Ok(stream)) = shaken {
            return Some(stream);
        }
        tracing::debug!(listener = self.name, %peer, outcome, "a handshake failed");
        None
    }

    async fn serve<S>(
        &self,
        stream: S,
        identity: Option<HandsetIdentity>,
        mut stop: watch::Receiver<bool>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let served = AtomicU32::new(0);
        let unread = Arc::new(AtomicBool::new(false));
        let service = service_fn(|request: Request<Incoming>| {
            let unread = Arc::clone(&unread);
            let mut request = request.map(|body| {
                Body::new(Observed::new(body, move |seen| {
                    if seen == Seen::Left {
                        unread.store(true, Ordering::Relaxed);
                    }
                }))
            });
            if let Some(identity) = &identity {
                request.extensions_mut().insert(identity.clone());
            }
            let last = served.fetch_add(1, Ordering::Relaxed) + 1 >= REQUESTS_PER_CONNECTION;
            let reply = self.routes.clone().oneshot(request);
            Box::pin(async move {
                let mut reply = reply.await;
                if last && let Ok(reply) = &mut reply {
                    reply
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                }
                reply
            })
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.patience.head);
        builder
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_MAX_BYTES);
        let mut connection = builder.serve_connection(TokioIo::new(stream), service);
        let wind_up = async {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                () = tokio::time::sleep(CONNECTION_AGE) => {}
            }
        };
        let ended = tokio::select! {
            ended = std::future::poll_fn(|context| connection.poll_without_shutdown(context)) => ended,
            () = wind_up => {
                Pin::new(&mut connection).graceful_shutdown();
                let ending =
                    std::future::poll_fn(|context| connection.poll_without_shutdown(context));
                match timeout(self.patience.request + CONNECTION_GRACE, ending).await {
                    Ok(ended) => ended,
                    Err(_elapsed) => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(listener = self.name, %error, "a connection broke off");
        }
        let stream = connection.into_parts().io.into_inner();
        part(stream, unread.load(Ordering::Relaxed)).await;
    }
}

/// Closes a connection so that the peer can read the last reply: where it is still sending, what
/// it sends is thrown away, up to a bound.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, unread: bool) {
    if stream.shutdown().await.is_err() || !unread {
        return;
    }
    let mut rest = stream.take(LINGER_MAX_BYTES as u64);
    let mut thrown_away = tokio::io::sink();
    let linger = tokio::io::copy(&mut rest, &mut thrown_away);
    // Whatever becomes of it, the reply has had its time to arrive.
    let _ = timeout(LINGER, linger).await;
}
