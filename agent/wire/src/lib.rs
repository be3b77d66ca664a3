//! The contract between a handset and its department.
//!
//! Everything that crosses the wire is defined here, once, and used by both sides: record types,
//! ids, limits, error codes, signing, sealing and the checking of receipts. The crate does no
//! I/O, reads no clock and holds no state.
//!
//! A record's way through this crate:
//!
//! 1. a [`record::Body`] is wrapped in a [`record::Record`] with its place in the handset's
//!    [`chain`];
//! 2. [`jws`] signs it with the handset's key (ES256);
//! 3. declared content never travels in clear: [`seal`] encrypts it to the department's records
//!    key before step 1;
//! 4. the department answers with an [`api::Receipt`], which [`log`] checks against the pinned
//!    log key.
//!
//! Readers ignore unknown JSON fields, so that version 1 can grow; what version 1 says is frozen
//! in `tests/fixtures/v1`.

pub mod api;
pub mod attachment;
pub mod chain;
pub mod code;
pub mod content;
pub mod digest;
pub mod id;
pub mod jws;
pub mod limits;
pub mod log;
pub mod policy;
pub mod posture;
pub mod record;
pub mod seal;
pub mod sensitive;
pub mod time;
#[cfg(test)]
mod wycheproof;

pub use code::{Code, Problem, Retry};
pub use digest::Digest;
pub use id::{AppId, ChannelId, DepartmentId, HandsetId, RecordId};
pub use sensitive::Sensitive;
