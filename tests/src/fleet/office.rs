//! The department's gateway in this process, over the same data directory that its server serves:
//! the product's routes, layers, policies, authority and SQLite store, without sockets and TLS.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use candour_core::adapters::memory::MemoryKeys;
use candour_core::identity::{Certificate, Identity};
use candour_core::ports::{KeyStore as _, Request, Response, Transport, TransportError};
use candour_server::files::{self, DataDir};
use candour_server::gateway::{Gateway, Limits, Metrics, Parts};
use candour_server::identity::ca::Authority;
use candour_server::identity::enrolled::EnrolledKeys;
use candour_server::identity::{HandsetIdentity, profile};
use candour_server::keys::{LogKey, PolicyKey};
use candour_server::policy::Policies;
use candour_server::store::sqlite::{Settings, SqliteStore};
use candour_server::store::{EnrolRequest, IssuedCertificate, NewToken, Store as _};
use candour_wire::jws::VerifyingKey;
use candour_wire::{DepartmentId, Digest, HandsetId};
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
use tower::ServiceExt as _;

use super::clock::FleetClock;
use crate::simulate::bridge::{core_response, http_request};

/// The gateway, while no server has the data.
pub(super) struct Office {
    gateway: Gateway,
    routes: Router,
    store: Arc<SqliteStore>,
}

/// What went wrong, in words.
type Problem = Box<dyn std::error::Error + Send + Sync>;

impl Office {
    /// Opens it. Blocks.
    pub(super) fn open(data: &Path, clock: &Arc<FleetClock>) -> Result<Self, Problem> {
        let data = DataDir::new(data);
        let policy_key = PolicyKey::from_text(&files::read_secret(&data.policy_key_path())?)?;
        let log_key = LogKey::from_text(&files::read_secret(&data.log_key_path())?)?;
        let settings = Settings {
            attachments: data.attachments_dir(),
            signer: Some(log_key.into_signer()),
            now: clock.now(),
        };
        let store = SqliteStore::open(&data.store_path(), settings)?;
        let gateway = Gateway::new(Parts {
            store: Arc::clone(&store) as _,
            clock: Arc::clone(clock) as _,
            authority: Authority::open(
                &files::read(&data.ca_path())?,
                &files::read_secret(&data.ca_key_path())?,
            )?,
            enrolled: Arc::new(EnrolledKeys::default()),
            policies: Arc::new(Policies::open(
                data.policy_dir(),
                policy_key.verifying_key().clone(),
            )?),
            metrics: Arc::new(Metrics::default()),
            limits: Limits::default(),
        });
        Ok(Self {
            routes: gateway.handset_routes(),
            gateway,
            store,
        })
    }

    /// Enrols a phone as EST does, but for the request: the store redeems a token for its key, and
    /// the authority signs a certificate.
    pub(super) async fn enrol(
        &self,
        keys: &MemoryKeys,
        department: &DepartmentId,
        token: Digest,
        now: Timestamp,
    ) -> Result<Identity, Problem> {
        let spki = keys.create()?;
        let new = NewToken {
            hash: token,
            department: department.clone(),
            label: None,
            created: now,
            expires: now.checked_add(SignedDuration::from_hours(1))?,
        };
        self.store.put_token(new).await?;
        let request = EnrolRequest {
            token,
            spki: spki.clone(),
            now,
        };
        self.store.enrol(request).await?;
        let authority = &self.gateway.authority;
        let issued =
            authority.issue_handset(&VerifyingKey::from_spki_der(&spki)?, department, now)?;
        let handset = HandsetId::derive(&spki);
        let noted = IssuedCertificate {
            handset: handset.clone(),
            serial: issued.serial,
            not_after: issued.not_after,
        };
        self.store.certificate_issued(noted).await?;
        Ok(Identity {
            handset,
            department: department.clone(),
            chain: vec![Certificate(issued.der)],
            authorities: vec![Certificate(authority.certificate().to_vec())],
            not_before: now.checked_sub(SignedDuration::from_hours(profile::BACKDATED_HOURS))?,
            not_after: issued.not_after,
            obtained: now,
        })
    }

    /// Lets those in who were enrolled since.
    pub(super) async fn follow_enrolment(&self) -> Result<(), Problem> {
        let enrolled = &self.gateway.enrolled;
        Ok(enrolled.refresh(self.gateway.store.as_ref()).await?)
    }

    /// A connection as the phone with this certificate.
    pub(super) fn connect(self: &Arc<Self>, leaf: &[u8]) -> Result<Corridor, TransportError> {
        let identity =
            profile::check(leaf).map_err(|_| TransportError::ClientCertificateRefused)?;
        Ok(Corridor {
            office: Arc::clone(self),
            identity,
        })
    }

    /// Ends it, everything on disk.
    pub(super) async fn close(&self) {
        self.store.close().await;
    }
}

/// A connection to the office.
pub(super) struct Corridor {
    office: Arc<Office>,
    identity: HandsetIdentity,
}

#[async_trait]
impl Transport for Corridor {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let mut request = http_request(&request, None);
        request.extensions_mut().insert(self.identity.clone());
        let reply = self.office.routes.clone().oneshot(request).await;
        let (head, body) = reply.unwrap_or_else(|never| match never {}).into_parts();
        let body = body.collect().await;
        let body = body.map_err(|error| TransportError::Unreachable(error.to_string()))?;
        Ok(core_response(&head, &body.to_bytes()))
    }
}
