//! Which keys may connect: a set in memory that follows the store.
//!
//! A handshake must not wait for a disk, and a revocation list would double its cost; 550,000
//! keys are 18 MB. The set is refreshed every second, so a revocation by another process shuts
//! the door within that; what the handset sends before is refused by the store all the same,
//! because it checks the handset's standing in the transaction that writes.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use candour_wire::Digest;

use crate::store::{Store, StoreError};

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may connect.
    Enrolled,
    /// Its enrolment was withdrawn.
    Revoked,
    /// It was never enrolled here.
    Unknown,
}

/// The set of keys, by the digest of their `SubjectPublicKeyInfo`. Lookups never block for long.
#[derive(Debug, Default)]
pub struct EnrolledKeys(RwLock<Keys>);

#[derive(Debug, Default)]
struct Keys {
    version: u64,
    /// Whether the key is enrolled; false once it is revoked.
    standing: HashMap<Digest, bool>,
}

impl EnrolledKeys {
    /// Where a key stands.
    #[must_use]
    pub fn standing(&self, spki: &Digest) -> Standing {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match keys.standing.get(spki) {
            Some(true) => Standing::Enrolled,
            Some(false) => Standing::Revoked,
            None => Standing::Unknown,
        }
    }

    /// Takes over what has changed in the store since the last time. Cheap when nothing has.
    ///
    /// # Errors
    ///
    /// When the store cannot be read; the set stays as it was.
    pub async fn refresh(&self, store: &dyn Store) -> Result<(), StoreError> {
        let version = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .version;
        let changes = store.enrolment_changes(version).await?;
        if changes.version == version && changes.enrolled.is_empty() && changes.revoked.is_empty() {
            return Ok(());
        }
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if changes.version < keys.version {
            // Another refresh has overtaken this one, and knew all that this one knows.
            return Ok(());
        }
        for key in changes.enrolled {
            keys.standing.insert(key.spki, true);
        }
        for spki in changes.revoked {
            keys.standing.insert(spki, false);
        }
        keys.version = changes.version;
        Ok(())
    }
}
