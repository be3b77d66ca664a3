//! The network, as ports: a request waits here until the simulation decides what becomes of it.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use candour_core::ports::{Connector, Endpoint, Request, Response, Transport, TransportError};
use tokio::sync::oneshot;

use super::keys::SimKeys;

/// Which listener a request is for.
#[derive(Debug, Clone)]
pub(super) enum Door {
    /// Anybody's.
    Public,
    /// The enrolled handsets', with the certificate that is shown there, DER.
    Handset(Vec<u8>),
}

/// A request on its way.
pub(super) struct Outgoing {
    pub(super) door: Door,
    pub(super) request: Request,
    /// The life of the gateway that this connection was made to; 0 before the handshake.
    pub(super) connection: Arc<AtomicU64>,
    pub(super) answer: oneshot::Sender<Result<Response, TransportError>>,
}

/// Where a phone leaves its request. It has one under way at a time.
#[derive(Clone, Default)]
pub(super) struct Mailbox(Arc<Mutex<Option<Outgoing>>>);

impl Mailbox {
    pub(super) fn take(&self) -> Option<Outgoing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, outgoing: Outgoing) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outgoing);
    }
}

/// Connects a phone to its mailbox.
pub(super) struct SimConnector {
    pub(super) mailbox: Mailbox,
    pub(super) keys: Arc<SimKeys>,
}

impl Connector for SimConnector {
    fn connect(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
        let door = match &endpoint.client {
            None => Door::Public,
            Some(client) => Door::Handset(client.chain.first().cloned().unwrap_or_default()),
        };
        Ok(Arc::new(SimTransport {
            door,
            mailbox: self.mailbox.clone(),
            keys: Arc::clone(&self.keys),
            connection: Arc::default(),
        }))
    }
}

struct SimTransport {
    door: Door,
    mailbox: Mailbox,
    keys: Arc<SimKeys>,
    connection: Arc<AtomicU64>,
}

#[async_trait]
impl Transport for SimTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        if matches!(self.door, Door::Handset(_)) && self.keys.is_locked() {
            // The handshake needs a signature.
            return Err(TransportError::Key("locked".to_owned()));
        }
        let (answer, answered) = oneshot::channel();
        self.mailbox.put(Outgoing {
            door: self.door.clone(),
            request,
            connection: Arc::clone(&self.connection),
            answer,
        });
        answered
            .await
            .unwrap_or_else(|_| Err(TransportError::Unreachable("cut off".to_owned())))
    }
}
