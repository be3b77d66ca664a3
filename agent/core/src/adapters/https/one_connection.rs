//! One connection at a time.
//!
//! A connection goes back to the client's pool a moment after its reply has been read, in a task
//! of its own. A request that follows at once finds none there, and hyper-util then does two
//! things: it waits for the one that comes back, and it begins another connection in case that is
//! faster. Where the old one wins, the new one is completed all the same, in a task of its own: a
//! handshake and a signature by the handset's key for nothing.
//!
//! So a connection after the first begins with a pause, and is given up when it finds itself in
//! another task than the one that asked for it: its request has been sent on the old one. Only
//! where the old connection is really gone does the request wait out the pause.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tower::{BoxError, Layer, Service};

/// Long enough for a busy phone to bring a connection back to the pool, too short to be noticed
/// beside a handshake.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes connections after the first reluctantly.
#[derive(Debug, Clone, Default)]
pub(super) struct OneConnection {
    /// There has been a connection.
    begun: Arc<AtomicBool>,
}

/// What [`OneConnection`] makes of a connector.
#[derive(Debug, Clone)]
pub(super) struct Reluctant<S> {
    connector: S,
    begun: Arc<AtomicBool>,
}

/// The request that the connection was for has gone out on another.
#[derive(Debug, thiserror::Error)]
#[error("the connection is not needed any more")]
struct NotNeeded;

impl<S> Layer<S> for OneConnection {
    type Service = Reluctant<S>;

    fn layer(&self, connector: S) -> Reluctant<S> {
        Reluctant {
            connector,
            begun: Arc::clone(&self.begun),
        }
    }
}

impl<S, T> Service<T> for Reluctant<S>
where
    S: Service<T, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, to: T) -> Self::Future {
        let first = !self.begun.swap(true, Ordering::Relaxed);
        // Futures do nothing before they are polled.
        let connecting = self.connector.call(to);
        Box::pin(async move {
            if !first {
                let asked_by = tokio::task::try_id();
                tokio::time::sleep(PAUSE).await;
                if tokio::task::try_id() != asked_by {
                    return Err(NotNeeded.into());
                }
            }
            connecting.await
        })
    }
}
