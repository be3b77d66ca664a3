//! Which policy is in force.
//!
//! The department signs the policy; this module decides whether a bundle that arrived replaces
//! the one in force. The one in force stays until a better one comes, even past its expiry:
//! without a policy nothing can be declared, and a declaration sealed to yesterday's records key
//! is worth more than one that was never made.

use candour_wire::jws::VerifyingKey;
use candour_wire::policy::{Policy, PolicyError};
use candour_wire::{Code, DepartmentId, Digest};
use jiff::Timestamp;

/// A policy together with the signed bundle it was read from.
#[derive(Debug, Clone)]
pub struct SignedPolicy {
    bundle: String,
    policy: Policy,
}

/// A bundle does not replace the policy in force.
#[derive(Debug, thiserror::Error)]
pub enum PolicyRefusal {
    /// The signature does not stand, or the content cannot be read.
    #[error(transparent)]
    Invalid(#[from] PolicyError),
    /// It is another department's.
    #[error("the policy is for {found}, this phone belongs to {expected}")]
    OtherDepartment {
        /// In the bundle.
        found: DepartmentId,
        /// In the configuration.
        expected: DepartmentId,
    },
    /// It expired before now.
    #[error("the policy expired at {0}")]
    Expired(Timestamp),
    /// It is older than the one in force, or of the same version with other content.
    #[error("version {found} does not follow version {in_force}, which is in force")]
    RolledBack {
        /// In the bundle.
        found: u64,
        /// In force.
        in_force: u64,
    },
}

impl PolicyRefusal {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Invalid(_) | Self::OtherDepartment { .. } => Code::PolicyInvalid,
            Self::Expired(_) => Code::PolicyExpired,
            Self::RolledBack { .. } => Code::PolicyRolledBack,
        }
    }
}

impl SignedPolicy {
    /// Reads a bundle that was accepted before, from the handset's own disk. Its signature is
    /// checked again; its age is not.
    ///
    /// # Errors
    ///
    /// When the signature does not stand or the department is another.
    pub fn restore(
        bundle: String,
        key: &VerifyingKey,
        department: &DepartmentId,
    ) -> Result<Self, PolicyRefusal> {
        let policy = Policy::open(&bundle, key)?;
        if policy.department != *department {
            return Err(PolicyRefusal::OtherDepartment {
                found: policy.department,
                expected: department.clone(),
            });
        }
        Ok(Self { bundle, policy })
    }

    /// Judges a bundle that has just arrived. `now` is the latest time that is known to have
    /// passed (the signed server time where the handset's clock is behind it).
    ///
    /// Returns `None` where it is the bundle already in force.
    ///
    /// # Errors
    ///
    /// Says why the policy in force stays.
    pub fn accept(
        bundle: String,
        key: &VerifyingKey,
        department: &DepartmentId,
        in_force: Option<&Self>,
        now: Timestamp,
    ) -> Result<Option<Self>, PolicyRefusal> {
        let arrived = Self::restore(bundle, key, department)?;
        if let Some(current) = in_force {
            let (found, version) = (arrived.policy.version, current.policy.version);
            // An ES256 signature differs each time, so the same policy may come in another bundle.
            if found < version || (found == version && arrived.policy != current.policy) {
                return Err(PolicyRefusal::RolledBack {
                    found,
                    in_force: version,
                });
            }
            if found == version {
                return Ok(None);
            }
        }
        if arrived.policy.expires <= now {
            return Err(PolicyRefusal::Expired(arrived.policy.expires));
        }
        Ok(Some(arrived))
    }

    /// What the department decided.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The signed bundle, as it is kept on disk.
    #[must_use]
    pub fn bundle(&self) -> &str {
        &self.bundle
    }

    /// The bundle's digest, by which replies name it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.bundle.as_bytes())
    }

    /// The entity tag that the server gives this bundle: its digest in quotes (RFC 9110,
    /// section 8.8.3).
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.digest())
    }
}

#[cfg(test)]
mod tests;
