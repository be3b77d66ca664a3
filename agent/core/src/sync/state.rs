//! What is remembered from one sync to the next.

use candour_wire::policy::Schedule;
use candour_wire::{Code, Sensitive};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::backoff::{self, Jitter};
use crate::outbox::{Also, Outbox, OutboxError};

/// What is remembered from one sync to the next.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SyncState {
    /// Syncs that failed since the last that went through.
    pub failures: u32,
    /// When the first of them failed, by the handset's clock.
    pub failing_since: Option<Timestamp>,
    /// When a sync last went through, by the handset's clock.
    pub last_success: Option<Timestamp>,
    /// When and why the last sync failed; `None` where it went through.
    pub last_failure: Option<LastFailure>,
    /// When the next sync is due by itself.
    pub next_attempt: Option<Timestamp>,
    /// The latest time that the department signed, and that it can have been. It has passed,
    /// whatever the clock says.
    pub signed_time: Option<Timestamp>,
    /// The clock was wrong at the last sync.
    pub clock_wrong: bool,
    /// The last policy that arrived was refused, or none could be fetched, because of this.
    pub policy_problem: Option<Code>,
    /// The last renewal of the certificate failed because of this.
    pub renewal_problem: Option<Code>,
    /// The department's log or a receipt did not prove what it should.
    pub alarm: Option<Alarm>,
    /// The next checkpoint is taken without proof that the log continues the one before: a
    /// person cleared the alarm of a fork.
    pub log_anew: bool,
}

/// When and why a sync failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    /// When, by the handset's clock.
    pub at: Timestamp,
    /// The stable code.
    pub code: Code,
    /// What it was in this case.
    pub detail: Option<String>,
}

/// Proof failed: something for the auditors. It stays until a person clears it.
///
/// With [`Code::LogForked`] nothing more is sent until then. With the others syncs go on being
/// tried; no record is let go without a receipt that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// [`Code::LogForked`], [`Code::ReceiptInvalid`] or [`Code::CheckpointInvalid`].
    pub code: Code,
    /// When it was first seen, by the handset's clock.
    pub at: Timestamp,
    /// What it was.
    pub detail: Option<String>,
    /// The checkpoint that came with it, as evidence.
    pub checkpoint: Option<String>,
}

impl SyncState {
    /// Reads the state. One that cannot be read, because a newer version wrote it, is as good as
    /// none.
    ///
    /// # Errors
    ///
    /// When the store or the key cannot be used.
    pub fn load(outbox: &mut Outbox) -> Result<Self, OutboxError> {
        let stored = outbox.value(NAME)?;
        // EXPOSE: read into the type that it was written from; it holds no content.
        Ok(stored
            .and_then(|json| serde_json::from_slice(json.expose()).ok())
            .unwrap_or_default())
    }

    /// Stores the state.
    ///
    /// # Errors
    ///
    /// When the store or the key cannot be used.
    pub fn save(&self, outbox: &mut Outbox) -> Result<(), OutboxError> {
        outbox.apply(&[self.as_change()])
    }

    /// The state as a change of the outbox, to be made in the same commit as another.
    #[must_use]
    pub fn as_change(&self) -> Also {
        let json = serde_json::to_vec(self).expect("texts, numbers and times serialise");
        Also::PutValue(NAME, Sensitive::new(json))
    }

    /// A record has been made: the next sync comes within the spread, unless syncs are failing,
    /// when a record more is no reason to hurry. Returns whether that changed anything.
    pub fn bring_forward(
        &mut self,
        now: Timestamp,
        schedule: Option<&Schedule>,
        jitter: &mut Jitter,
    ) -> bool {
        let soon = backoff::after_record(now, schedule, jitter);
        let sooner = self.failures == 0 && self.next_attempt.is_some_and(|next| next > soon);
        if sooner {
            self.next_attempt = Some(soon);
        }
        sooner
    }

    /// A person has looked: the alarm is cleared. Where it was a fork, the log is taken as it is
    /// from the next checkpoint on; after any other alarm it must still continue the one that
    /// this handset saw. Receipts that are stored keep the checkpoints that they lead to.
    pub fn clear_alarm(&mut self) {
        if let Some(alarm) = self.alarm.take() {
            self.log_anew |= alarm.code == Code::LogForked;
            // The alarm had put the next sync off.
            self.next_attempt = None;
        }
    }

    /// Whether a sync is due by itself. A time further ahead than any schedule or server asks for
    /// was set by a clock that was wrong.
    #[must_use]
    pub fn due(&self, now: Timestamp, schedule: Option<&Schedule>) -> bool {
        self.next_attempt
            .is_none_or(|next| next <= now || next > backoff::furthest(now, schedule))
    }
}

const NAME: &str = "sync";
