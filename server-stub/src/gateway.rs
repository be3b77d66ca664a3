//! The gateway: what faces the phones.
//!
//! Three listeners, each with its own door:
//!
//! - **public** (TLS, no client certificate): enrolment by EST, the log;
//! - **handset** (TLS, client certificate required): records, posture, attachments, policy,
//!   renewal by EST, the log;
//! - **operations** (plain HTTP on loopback): health and metrics.
//!
//! A request's way: the acceptor shakes hands and, on the handset listener, hands on the verified
//! [`HandsetIdentity`](crate::identity::HandsetIdentity); the [`layers`] bound it in time, size
//! and number and turn whatever goes wrong into a problem document; a handler checks what it
//! says and asks the [`Store`]. The gateway holds no key that opens a declaration
//! (invariant I5), and no debug endpoint exists.

pub(crate) mod attachments;
mod budget;
mod certs_only;
pub(crate) mod est;
mod follow;
pub(crate) mod ingest;
mod layers;
mod limits;
mod listener;
pub(crate) mod log;
mod metrics;
mod observed;
mod ops;
mod places;
pub(crate) mod policy;
mod serve;
mod stall;
mod tls;

use std::sync::Arc;

use crate::clock::SharedClock;
use crate::identity::ca::Authority;
use crate::identity::enrolled::EnrolledKeys;
use crate::policy::Policies;
use crate::store::Store;

pub use est::token_digest;
pub use limits::Limits;
pub use metrics::Metrics;
pub use serve::{Bound, ServeError, serve};
pub use tls::ServerCertificate;

/// What the handlers share.
#[derive(Clone)]
pub struct Gateway(Arc<Parts>);

/// The parts of a [`Gateway`].
pub struct Parts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: SharedClock,
    /// Signs handsets' certificates.
    pub authority: Authority,
    /// Which keys may connect.
    pub enrolled: Arc<EnrolledKeys>,
    /// What the departments decided.
    pub policies: Arc<Policies>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How much is done at a time.
    pub limits: Limits,
}

impl Gateway {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// What the public listener answers.
    pub fn public_routes(&self) -> axum::Router {
        let routes = est::public_routes().merge(log::routes());
        layers::around(routes, self)
    }

    /// What the handset listener answers. Handlers expect a
    /// [`HandsetIdentity`](crate::identity::HandsetIdentity) among the request's extensions.
    pub fn handset_routes(&self) -> axum::Router {
        let written = layers::for_writing(ingest::routes().merge(attachments::routes()), self);
        let v1 = written.merge(policy::routes()).merge(est::handset_routes());
        let v1 = layers::for_enrolled(v1, self);
        layers::around(v1.merge(log::routes()), self)
    }

    /// What the operations listener answers.
    pub fn ops_routes(&self) -> axum::Router {
        layers::around(ops::routes(), self)
    }
}

impl std::ops::Deref for Gateway {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
