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
    revoked: usize,
}

/// How many keys there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Keys that may connect.
    pub enrolled: u64,
    /// Keys whose enrolment was withdrawn.
    pub revoked: u64,
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

    /// How many keys there are, without a look at each.
    #[must_use]
    pub fn count(&self) -> Count {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let enrolled = keys.standing.len().saturating_sub(keys.revoked);
        Count {
            enrolled: enrolled as u64,
            revoked: keys.revoked as u64,
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
            keys.set(key.spki, true);
        }
        for spki in changes.revoked {
            keys.set(spki, false);
        }
        keys.version = changes.version;
        Ok(())
    }
}

impl Keys {
    fn set(&mut self, spki: Digest, enrolled: bool) {
        let before = self.standing.insert(spki, enrolled);
        self.revoked -= usize::from(before == Some(false));
        self.revoked += usize::from(!enrolled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_counted_as_they_come_go_and_come_back() {
        let keys = EnrolledKeys::default();
        let set = |name: &[u8], enrolled| keys.0.write().unwrap().set(Digest::of(name), enrolled);
        for (name, enrolled, count) in [
            (b"a", true, (1, 0)),
            (b"a", true, (1, 0)),
            (b"b", false, (1, 1)),
            (b"a", false, (0, 2)),
            (b"a", false, (0, 2)),
            (b"a", true, (1, 1)),
        ] {
            set(name, enrolled);
            let Count { enrolled, revoked } = keys.count();
            assert_eq!((enrolled, revoked), count);
        }
    }
}
