//! Carrying records to the department and receipts home.
//!
//! [`machine`] decides, without I/O: one action after another, each outcome fed back. [`run`]
//! carries the actions out. A sync goes like this:
//!
//! 1. renew the certificate, if it is due;
//! 2. fetch the policy, if there is a newer one: where one is in force and a batch can be sent, that
//!    batch's reply says whether there is;
//! 3. for each stream, posture first: take the next waiting records, upload the files they need,
//!    send them as a batch, check the receipts' proofs, store them; again until none waits.
//!
//! Invariant I4 hangs on the order in step 3: a record leaves the outbox in the same commit that
//! stores its verified receipt. Whatever is cut off is repeated; the server knows records by
//! their place in the chain and their digest, and answers a repetition with the same receipt.
//!
//! What a failure does:
//!
//! | failure | records | the sync |
//! |---|---|---|
//! | no connection, TLS, 401, 429, 5xx | wait | ends; tried again after [`backoff`] |
//! | enrolment withdrawn or run out | wait | ends; tried again when the next one would be due anyway |
//! | one record is refused for what it says | that one is set aside and shown | goes on with the rest |
//! | one record does not fit the server's chain | chained anew onto the server's head | goes on |
//! | a receipt or the log does not prove what it should | wait | ends; [`SyncState::alarm`] stays until a person clears it |
//! | the policy is refused | wait for nothing | goes on; the policy in force stays |

pub mod backoff;
mod driver;
pub mod machine;
mod proof;
mod state;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use candour_wire::{Code, Digest};
use jiff::Timestamp;

pub use self::driver::run;
pub use self::state::{Alarm, LastFailure, SyncState};
use crate::config::Config;
use crate::identity::Identity;
use crate::outbox::{Outbox, Refused};
use crate::policy::SignedPolicy;
use crate::ports::{Clock, EventSink, Home, KeyStore, Transport};
use backoff::Jitter;

/// What a sync needs.
pub struct Session<O> {
    /// Pins and keys.
    pub config: Config,
    /// Where a new policy, a new certificate and the waiting files are.
    pub home: Arc<dyn Home>,
    /// The handset's key, for renewals.
    pub keys: Arc<dyn KeyStore>,
    /// The clock on the wall.
    pub clock: Arc<dyn Clock>,
    /// Hears of progress.
    pub events: Arc<dyn EventSink>,
    /// Leads to the department's address for enrolled handsets, as this handset.
    pub transport: Arc<dyn Transport>,
    /// Lends the outbox.
    pub outbox: Arc<O>,
    /// Who this handset is.
    pub identity: Identity,
    /// The policy in force.
    pub policy: Option<SignedPolicy>,
    /// Spreads handsets over time.
    pub jitter: Jitter,
    /// No new step is begun after this time: a phone's system gives background work only
    /// seconds.
    pub deadline: Option<Timestamp>,
}

/// Lends the outbox for one operation at a time, so that the holder can declare while a sync is
/// under way. Called on threads that may block.
pub trait LendOutbox: Send + Sync + 'static {
    /// Runs `work` with the outbox to itself.
    fn lend<R>(&self, work: impl FnOnce(&mut Outbox) -> R) -> R;
}

impl LendOutbox for Mutex<Outbox> {
    /// A panic elsewhere does not matter here: the outbox changes by whole commits.
    fn lend<R>(&self, work: impl FnOnce(&mut Outbox) -> R) -> R {
        work(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a sync did.
#[derive(Debug, Clone)]
pub struct SyncReport {
    /// Records whose receipts were verified and stored.
    pub received: u64,
    /// Records that were set aside, and why. [`Code::BaseUnknown`] among them asks for the whole
    /// app list.
    pub quarantined: Vec<Refused>,
    /// Files whose records have been received; the spool need not keep them.
    pub delivered_files: Vec<Digest>,
    /// What became of the policy. A new one is on disk already.
    pub policy: PolicyOutcome,
    /// What became of a renewal. A new identity is on disk already.
    pub renewal: RenewalOutcome,
    /// Why the sync ended before all was done; `None` where all was done.
    pub failure: Option<Failure>,
    /// The handset's clock is more than ten minutes away from the department's signed time, or
    /// had to be set aside to accept the server's certificate.
    pub clock_wrong: bool,
    /// When the next sync is due by itself.
    pub next_attempt: Timestamp,
}

/// What became of the policy.
#[derive(Debug, Clone)]
pub enum PolicyOutcome {
    /// This one is in force from now on.
    Updated(Box<SignedPolicy>),
    /// The one in force is the newest.
    Unchanged,
    /// The one in force stays, because of this.
    Kept(Failure),
    /// The sync ended before it was asked for.
    NotAsked,
}

/// What became of the certificate's renewal.
#[derive(Debug, Clone)]
pub enum RenewalOutcome {
    /// It was not due.
    NotDue,
    /// This is the identity from now on.
    Renewed(Box<Identity>),
    /// The certificate in force stays, because of this.
    Failed(Failure),
}

/// Something did not work, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stable code.
    pub code: Code,
    /// What it was in this case; never content, never a secret.
    pub detail: Option<String>,
    /// How long the server asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// Whether only people of the department can mend it, so that to try again soon is of no use.
    /// An untrusted server is not among these: it may be a hotel's network, left in a minute.
    const fn waits_for_the_department(&self) -> bool {
        matches!(
            self.code,
            Code::HandsetRevoked
                | Code::CertificateExpired
                | Code::CertificateRefused
                | Code::LogForked
                | Code::ReceiptInvalid
                | Code::CheckpointInvalid
        )
    }

    /// A failure without more to say.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self {
            code,
            detail: None,
            retry_after: None,
        }
    }

    /// Adds what it was in this case.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}
