//! Who this handset is: its key, its certificate, and how it gets them.
//!
//! The key is made behind the [`KeyStore`] port and never leaves it. The certificate comes from
//! the department over EST (RFC 7030): with a one-time token the first time ([`enrol`]), and with
//! the certificate in force from two thirds of its life on ([`renew`]). The key never changes; a
//! new key is a new handset and needs a new token.
//!
//! An enrolment that was cut off is repeated: the server gives the same key another certificate
//! for the same token, so a crash between its answer and our disk costs nothing.
//!
//! [`trust`] decides which server is the department's.

mod certificate;
mod csr;
mod est;
pub mod trust;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candour_wire::{Code, DepartmentId, Digest, HandsetId, Sensitive};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ports::{ClientIdentity, KeyError, KeyStore, Transport, TransportError};

/// Whom a handset must be shown to be: what configuration and time say about its department.
#[derive(Debug, Clone)]
pub struct Department {
    /// Whose phone this is.
    pub id: DepartmentId,
    /// SHA-256 of the public keys of its certificate authority and of the backup.
    pub ca_pins: Vec<Digest>,
    /// A time that is known to have passed; see [`trust`].
    pub not_before: Timestamp,
}

/// An enrolled handset: its id and its certificate. Holds nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The handset, derived from its public key.
    pub handset: HandsetId,
    /// Whose it is.
    pub department: DepartmentId,
    /// The certificate and, where there are any, those between it and the authority.
    pub chain: Vec<Certificate>,
    /// The authority's certificates, as they came with enrolment; renewals are checked by them.
    pub authorities: Vec<Certificate>,
    /// Start of the certificate's life. The department sets it back by two days.
    pub not_before: Timestamp,
    /// End of the certificate's life.
    pub not_after: Timestamp,
    /// When it was obtained, by the handset's clock.
    pub obtained: Timestamp,
}

/// A certificate: DER, in JSON as base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Certificate(pub Vec<u8>);

/// Makes the handset's key, unless there is one, and gets a certificate for it with the one-time
/// `token`.
///
/// `transport` leads to the department's enrolment address. Signing blocks a thread of the
/// runtime's blocking pool. The caller writes the identity to disk; until then nothing is lost by
/// enrolling again with the same token.
///
/// # Errors
///
/// [`IdentityError`]; the handset is not enrolled then.
pub async fn enrol(
    transport: &dyn Transport,
    keys: Arc<dyn KeyStore>,
    department: &Department,
    token: &Sensitive<String>,
    now: Timestamp,
) -> Result<Identity, IdentityError> {
    let authorities = est::ca_certificates(transport).await?;
    certificate::require_pinned(&authorities, &department.ca_pins)?;
    let request = csr::make(Arc::clone(&keys)).await?;
    let issued = est::simple_enrol(transport, request.base64, token).await?;
    certificate::accept(issued, authorities, &request.spki, department, now)
}

/// Gets another certificate for the same key, and never makes one. `transport` leads to the handsets' address and uses
/// the certificate in force, which stays valid until it expires.
///
/// # Errors
///
/// [`IdentityError`]; the certificate in force stays.
pub async fn renew(
    transport: &dyn Transport,
    keys: Arc<dyn KeyStore>,
    department: &Department,
    current: &Identity,
    now: Timestamp,
) -> Result<Identity, IdentityError> {
    let request = csr::make_for_enrolled(keys).await?;
    if HandsetId::derive(&request.spki) != current.handset {
        return Err(IdentityError::OtherKey);
    }
    let issued = est::simple_reenrol(transport, request.base64).await?;
    let known = current.authorities.clone();
    match certificate::accept(issued.clone(), known, &request.spki, department, now) {
        // The department may have moved to its backup authority since.
        Err(IdentityError::Unpinned) => {
            let authorities = est::ca_certificates(transport).await?;
            certificate::accept(issued, authorities, &request.spki, department, now)
        }
        done => done,
    }
}

impl Identity {
    /// Reads what [`Identity::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// When it is something else.
    pub fn from_json(json: &[u8]) -> Result<Self, IdentityError> {
        serde_json::from_slice(json).map_err(IdentityError::Stored)
    }

    /// The form that is kept in `identity.json`.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("texts and times serialise")
    }

    /// What the transport needs to show who this handset is.
    #[must_use]
    pub fn client(&self, keys: Arc<dyn KeyStore>) -> ClientIdentity {
        ClientIdentity {
            chain: self
                .chain
                .iter()
                .map(|certificate| certificate.0.clone())
                .collect(),
            keys,
        }
    }

    /// Whether it is time for another certificate: from two thirds of this one's life, later by
    /// up to a tenth of it. How much later is fixed for each handset, so that a department that
    /// enrolled its phones on one day does not renew them all in one hour.
    ///
    /// A clock that is years ahead says so at every sync, so that a certificate that was obtained
    /// less than twelve hours ago is never renewed.
    #[must_use]
    pub fn renewal_due(&self, now: Timestamp) -> bool {
        let since_obtained = now.duration_since(self.obtained).abs();
        now >= self.renewal_from() && since_obtained >= SignedDuration::from_hours(12)
    }

    /// When [`Identity::renewal_due`] begins to be true.
    #[must_use]
    pub fn renewal_from(&self) -> Timestamp {
        let life = self.not_after.duration_since(self.not_before);
        let hash = Digest::of_parts(&[b"candour/renewal/v1\n", self.handset.as_str().as_bytes()]);
        let [a, b, ..] = hash.0;
        let share = i32::from(u16::from_be_bytes([a, b]));
        let jitter = life / 10 * share / i32::from(u16::MAX);
        self.not_before
            .saturating_add(life / 3 * 2 + jitter)
            .unwrap_or(self.not_after)
    }
}

/// The URI that a handset's certificate carries as its subject alternative name.
#[must_use]
pub fn handset_uri(department: &DepartmentId, handset: &HandsetId) -> String {
    format!("urn:candour:handset:{department}:{handset}")
}

/// Enrolment or renewal failed.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No usable reply.
    #[error("the enrolment server did not answer")]
    Transport(#[from] TransportError),
    /// The handset's key failed.
    #[error("the phone's key failed")]
    Key(#[from] KeyError),
    /// The request could not be made.
    #[error("the certificate request could not be made")]
    Request(#[source] rcgen::Error),
    /// The server refused.
    #[error("the enrolment server answered {status} ({code})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The server's code, or what its status amounts to.
        code: Code,
        /// The server's words.
        detail: Option<String>,
        /// After which time to ask again, where the server said so.
        retry_after: Option<Duration>,
    },
    /// The server has the request and a person must approve it (RFC 7030, section 4.2.3).
    #[error("the department has to approve this phone first")]
    AwaitsApproval {
        /// After which time to ask again.
        retry_after: Option<Duration>,
    },
    /// The reply is not one that EST allows.
    #[error("the enrolment server's answer cannot be understood: {0}")]
    Reply(&'static str),
    /// No certificate leads to a pinned authority.
    #[error("the department's certificate authority is not one of the pinned ones")]
    Unpinned,
    /// The certificate is not one for this handset.
    #[error("the certificate that was issued is not right: {0}")]
    Certificate(&'static str),
    /// The key store holds another key than the one that was enrolled.
    #[error("the phone's key is not the one that was enrolled")]
    OtherKey,
    /// `identity.json` cannot be read.
    #[error("the stored identity cannot be read")]
    Stored(#[source] serde_json::Error),
}

impl IdentityError {
    /// The stable code; the only place that decides it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Transport(error) => error.code(),
            Self::Key(_) | Self::Request(_) | Self::OtherKey => Code::KeyUnavailable,
            Self::Refused { code, .. } => *code,
            Self::AwaitsApproval { .. } => Code::Unavailable,
            Self::Reply(_) | Self::Certificate(_) => Code::BadReply,
            Self::Unpinned => Code::PinMismatch,
            Self::Stored(_) => Code::StoreDamaged,
        }
    }
}

impl TryFrom<String> for Certificate {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        STANDARD.decode(text).map(Self)
    }
}

impl From<Certificate> for String {
    fn from(certificate: Certificate) -> Self {
        STANDARD.encode(certificate.0)
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
