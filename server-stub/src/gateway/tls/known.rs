//! Certificates whose chain was verified before.
//!
//! A handset shows the same certificate at every handshake for twenty days. That its authority
//! signed exactly these bytes does not change, and to verify it again would be a sixth of the
//! handshake. What can change is asked each time all the same: the dates, whether the key is
//! enrolled, and whether the peer has the key.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use candour_wire::Digest;
use jiff::Timestamp;
use rustls::pki_types::UnixTime;

/// Most certificates that are remembered, each in about 100 bytes: what 550,000 handsets have
/// while a third of them are about to renew theirs.
const MOST: usize = 900_000;

/// Certificates whose chain was verified, by the digest of their DER.
#[derive(Debug, Default)]
pub(super) struct KnownCertificates(RwLock<HashMap<Digest, Known>>);

/// What a certificate says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// Digest of the DER of its key's `SubjectPublicKeyInfo`.
    pub(super) key: Digest,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

impl KnownCertificates {
    /// The certificate with this digest, if it was verified before and is in force.
    pub(super) fn find(&self, certificate: &Digest, now: UnixTime) -> Option<Known> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(certificate)?;
        known.is_in_force(now).then_some(*known)
    }

    /// Remembers a certificate whose chain was verified now.
    pub(super) fn remember(&self, certificate: Digest, what: Known, now: UnixTime) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, known| known.is_in_force(now));
        }
        if known.len() >= MOST {
            // Whoever is forgotten is verified once more.
            known.clear();
        }
        known.insert(certificate, what);
    }
}

impl Known {
    /// As webpki judges it: both ends belong to it (RFC 5280, section 4.1.2.5).
    fn is_in_force(&self, now: UnixTime) -> bool {
        let Ok(now) = i64::try_from(now.as_secs()) else {
            return false;
        };
        (self.not_before.as_second()..=self.not_after.as_second()).contains(&now)
    }
}
