//! Running the gateway until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::listener::{Door, Handsets, Listener, Patience};
use super::places::{Lag, Places};
use super::tls::{self, ServerCertificate, TlsError};
use super::{Gateway, follow};
use crate::config::Config;
use crate::store::{Store, StoreError};

/// The gateway cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A port cannot be had.
    #[error("{0} cannot be listened on")]
    Bind(SocketAddr, #[source] io::Error),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the gateway listens; the ports are the real ones where 0 was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// Enrolment and the log.
    pub public: SocketAddr,
    /// Enrolled phones.
    pub handset: SocketAddr,
    /// Health and metrics, in clear.
    pub ops: SocketAddr,
}

/// How often the store is asked whether it still works.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// Connections that the kernel keeps until they are accepted, as far as `net.core.somaxconn` lets
/// it. Who finds this queue full comes again after a second; accepting or turning away is quick,
/// so what waits in a long one waits for less.
const BACKLOG: u32 = 4096;

/// Serves until `stop` completes or the store fails; then accepts nothing more, finishes what was
/// taken for at most the configured time, and closes the store.
///
/// `ready` is called once, when all three ports accept connections.
///
/// # Errors
///
/// When it cannot begin, and [`StoreError::Failed`] when the store failed while it served: nobody
/// can say what is on the disk then, so whoever supervises the process starts it anew.
pub async fn serve(
    gateway: Gateway,
    config: &Config,
    certificate: Arc<ServerCertificate>,
    ready: impl FnOnce(&Bound),
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    gateway.enrolled.refresh(gateway.store.as_ref()).await?;
    renew(&gateway, &certificate, &config.hosts).await;
    let (tell, told) = watch::channel(false);
    let (public_tcp, public_bound) = bind(config.public_listen)?;
    let (handset_tcp, handset_bound) = bind(config.handset_listen)?;
    let (ops_tcp, ops_bound) = bind(config.ops_listen)?;
    let bound = Bound {
        public: public_bound,
        handset: handset_bound,
        ops: ops_bound,
    };
    let public_tls = tls::public_config(Arc::clone(&certificate))?;
    let handset_tls = tls::handset_config(
        Arc::clone(&certificate),
        &gateway.authority,
        Arc::clone(&gateway.enrolled),
    )?;
    let lag = Arc::new(Lag::default());
    let public = Listener {
        door: Door::Open(TlsAcceptor::from(Arc::new(public_tls))),
        ..listener(&gateway, config, &lag, "public", gateway.public_routes())
    };
    let handset_tls = TlsAcceptor::from(Arc::new(handset_tls));
    let handset = Listener {
        door: Door::Enrolled(handset_tls, Handsets::new(config)),
        ..listener(&gateway, config, &lag, "handset", gateway.handset_routes())
    };
    let ops = listener(&gateway, config, &lag, "ops", gateway.ops_routes());
    let mut tasks = JoinSet::new();
    for (tcp, listener) in [(public_tcp, public), (handset_tcp, handset), (ops_tcp, ops)] {
        tasks.spawn(listener.run(tcp, told.clone()));
    }
    // It waits for its turn like the handshakes and requests whose lateness it measures.
    let mut over = told.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = lag.measure() => {}
            _ = over.wait_for(|stop| *stop) => {}
        }
    });
    tasks.spawn(follow::follow(
        gateway.clone(),
        certificate,
        config.hosts.clone(),
        told,
    ));
    ready(&bound);
    let ended = tokio::select! {
        () = stop => Ok(()),
        () = failure(gateway.store.as_ref()) => Err(StoreError::Failed.into()),
    };
    match &ended {
        Ok(()) => tracing::info!("stopping: requests that were taken are finished first"),
        Err(_) => tracing::error!("stopping: the store has failed and must be opened anew"),
    }
    // Nobody listening any more is no fault.
    let _ = tell.send(true);
    let grace = Duration::from_secs(config.shutdown_grace_s.into());
    let finished =
        tokio::time::timeout(grace, async { while tasks.join_next().await.is_some() {} }).await;
    if finished.is_err() {
        tracing::warn!("some requests were cut off; the phones will repeat them");
        tasks.shutdown().await;
    }
    gateway.store.close().await;
    ended
}

/// Sees to it that the first phone is not shown a certificate that was made while the clock was
/// wrong, or has run out. What fails here is tried and told again while the gateway serves.
async fn renew(gateway: &Gateway, certificate: &Arc<ServerCertificate>, hosts: &[String]) {
    let (gateway, certificate) = (gateway.clone(), Arc::clone(certificate));
    let hosts = hosts.to_vec();
    let renewed = tokio::task::spawn_blocking(move || {
        certificate.renew_if_due(&gateway.authority, &hosts, gateway.clock.now())
    });
    if let Ok(Ok(true)) = renewed.await {
        tracing::info!("the server's certificate was renewed");
    }
}

/// Completes when the store has failed.
async fn failure(store: &dyn Store) {
    let mut ticks = tokio::time::interval(HEALTH_INTERVAL);
    while store.healthy() {
        ticks.tick().await;
    }
}

/// Takes a port, and says which.
fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let fail = |error| ServeError::Bind(address, error);
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // A restart does not wait for the connections of before to be forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    let tcp = listen().map_err(fail)?;
    let bound = tcp.local_addr().map_err(fail)?;
    Ok((tcp, bound))
}

/// What is served in clear to whoever comes.
fn listener(
    gateway: &Gateway,
    config: &Config,
    lag: &Arc<Lag>,
    name: &'static str,
    routes: axum::Router,
) -> Listener {
    Listener {
        name,
        door: Door::Clear,
        routes,
        strangers: Arc::new(Places::new(
            config.strangers_max,
            config.strangers_per_address,
        )),
        lag: Arc::clone(lag),
        patience: Patience::new(config),
        metrics: Arc::clone(&gateway.metrics),
    }
}

#[cfg(test)]
mod tests;
