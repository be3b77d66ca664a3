//! Who is who: the department's certificate authority, what a handset's certificate must be, and
//! which keys are enrolled.

pub mod ca;
pub mod enrolled;
pub mod profile;

use candour_wire::jws::VerifyingKey;
use candour_wire::{DepartmentId, HandsetId};
use jiff::Timestamp;

/// The handset at the other end of a verified connection. Handlers get it from the acceptor, never
/// from anything that the request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandsetIdentity {
    /// Derived from the key.
    pub handset: HandsetId,
    /// From the certificate, and from the enrolment: both agree.
    pub department: DepartmentId,
    /// The enrolled key; what it signs is the handset's.
    pub key: VerifyingKey,
    /// When the certificate begins.
    pub not_before: Timestamp,
    /// When the certificate ends. The connection may outlive it.
    pub not_after: Timestamp,
}
