//! Accepting connections, shaking hands, and serving HTTP/1.1 on them.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use http::header::CONNECTION;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::metrics::Metrics;
use super::stall::Impatient;
use super::tls;
use crate::identity::{HandsetIdentity, profile};

/// How long a handshake may take: a slow network, not a client that never speaks.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a client may take over its request's head, and how long a kept-alive connection may
/// be silent.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// After this a connection is closed once its request is answered, so that certificates are
/// looked at again; a fresh handshake costs a millisecond.
const CONNECTION_AGE: Duration = Duration::from_secs(600);

/// How long after [`CONNECTION_AGE`] the last request may go on; longer than any request may.
const CONNECTION_GRACE: Duration = Duration::from_secs(90);

/// Requests on one connection: a file of 100 MiB in pieces, and a long backlog.
const REQUESTS_PER_CONNECTION: u32 = 1_000;

/// Headers of one request; browsers send 20.
const HEADERS_MAX: usize = 64;

/// Bytes of a request's head.
const HEAD_MAX_BYTES: usize = 32 << 10;

/// What is served on a port, and how.
pub(super) struct Listener {
    /// In metrics and logs.
    pub(super) name: &'static str,
    /// How to shake hands; `None` for plain HTTP.
    pub(super) tls: Option<TlsAcceptor>,
    /// Whether a client certificate says who it is.
    pub(super) identified: bool,
    /// What is served.
    pub(super) routes: Router,
    /// Most connections at a time.
    pub(super) connections_max: u32,
    /// Where handshakes and connections are counted.
    pub(super) metrics: Arc<Metrics>,
}

impl Listener {
    /// Serves what `tcp` accepts until `stop` turns true; then closes the port, and waits for the
    /// requests that were taken, for as long as the caller lets it. Dropping the future cuts them
    /// off.
    pub(super) async fn run(self, tcp: TcpListener, mut stop: watch::Receiver<bool>) {
        let permits = Arc::new(Semaphore::new(
            usize::try_from(self.connections_max).unwrap_or(usize::MAX),
        ));
        let this = Arc::new(self);
        let mut connections = JoinSet::new();
        while !*stop.borrow_and_update() {
            let accepted = tokio::select! {
                // Connections beyond the limit wait in the kernel's queue.
                accepted = accept(&tcp, &permits) => accepted,
                _ = stop.changed() => continue,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, peer, permit)) => {
                    let (this, stop) = (Arc::clone(&this), stop.clone());
                    connections.spawn(async move {
                        this.metrics.connections().inc();
                        this.connection(stream, peer, stop).await;
                        this.metrics.connections().dec();
                        drop(permit);
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

    async fn connection(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        mut stop: watch::Receiver<bool>,
    ) {
        // Replies are written whole, so there is nothing to wait for.
        let _ = stream.set_nodelay(true);
        let stream = Impatient::new(stream);
        let Some(tls) = &self.tls else {
            return self.serve(stream, None, stop).await;
        };
        let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream));
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let outcome = match &shaken {
            Ok(Ok(_)) => "ok",
            Ok(Err(error)) => tls::outcome(error),
            Err(_elapsed) => "timed_out",
        };
        self.metrics.handshake(self.name, outcome);
        let Ok(Ok(stream)) = shaken else {
            tracing::debug!(listener = self.name, %peer, outcome, "a handshake failed");
            return;
        };
        let identity = if self.identified {
            let leaf = stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(<[_]>::first);
            // The verifier has checked the same bytes a moment ago.
            let Some(identity) = leaf.and_then(|leaf| profile::check(leaf).ok()) else {
                return;
            };
            Some(identity)
        } else {
            None
        };
        self.serve(stream, identity, stop).await;
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
        let service = service_fn(|mut request: Request<Incoming>| {
            if let Some(identity) = &identity {
                request.extensions_mut().insert(identity.clone());
            }
            let last = served.fetch_add(1, Ordering::Relaxed) + 1 >= REQUESTS_PER_CONNECTION;
            let reply = self.routes.clone().oneshot(request);
            async move {
                let mut reply = reply.await;
                if last && let Ok(reply) = &mut reply {
                    reply
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                }
                reply
            }
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT);
        builder
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_MAX_BYTES);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let wind_up = async {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                () = tokio::time::sleep(CONNECTION_AGE) => {}
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = wind_up => {
                connection.as_mut().graceful_shutdown();
                match tokio::time::timeout(CONNECTION_GRACE, connection).await {
                    Ok(ended) => ended,
                    Err(_elapsed) => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(listener = self.name, %error, "a connection broke off");
        }
    }
}

async fn accept(
    tcp: &TcpListener,
    permits: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, peer) = tcp.accept().await?;
    Ok((stream, peer, permit))
}
