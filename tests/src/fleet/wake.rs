//! One moment in which a phone is awake: the agent is opened, does what is due, and is closed.

use std::sync::Arc;
use std::time::Instant;

use candour_core::sync::SyncReport;
use candour_core::{Agent, AgentError};
use candour_wire::Code;
use jiff::Timestamp;

use super::phone::Phone;
use super::tally::{Sums, Tally};
use super::world::World;
use crate::handset::draft;

/// Who wants a phone to sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// The agent itself, when its time has come.
    Due,
    /// The holder, now.
    Holder,
}

/// What became of a phone that was awake.
pub(super) struct Woken {
    /// When it is to be woken next.
    pub(super) next: Timestamp,
    /// Whether there was a sync.
    synced: bool,
    /// Whether a sync went through and nothing waits any more.
    pub(super) delivered: bool,
    /// Whether a sync failed.
    failed: bool,
}

impl Phone {
    /// Wakes the phone. What is wrong is in the tally.
    pub(super) async fn wake(
        self: &Arc<Self>,
        world: &Arc<World>,
        call: Call,
        tally: &Tally,
    ) -> Woken {
        let again = self.has_failed();
        let hurries = again && world.is_impatient();
        let call = if hurries { Call::Holder } else { call };
        match self.try_wake(world, call, tally).await {
            Ok(woken) => {
                let mut sums = tally.sums();
                sums.retries += u64::from(again && woken.synced);
                if woken.failed && world.is_impatient() {
                    let next = world.clock.now();
                    return Woken { next, ..woken };
                }
                woken
            }
            Err(error) => {
                let detail = format!("phone {}: {}: {error}", self.number, error.code());
                tally.broken("an agent failed", detail);
                Woken {
                    next: Timestamp::MAX,
                    synced: false,
                    delivered: false,
                    failed: true,
                }
            }
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "how long a sync takes is measured here"
    )]
    async fn try_wake(
        self: &Arc<Self>,
        world: &Arc<World>,
        call: Call,
        tally: &Tally,
    ) -> Result<Woken, AgentError> {
        let agent = self.open(world)?;
        let begun = Instant::now();
        let (report, next) = match call {
            Call::Due => {
                let tick = Box::pin(agent.tick(None)).await?;
                (tick.sync, tick.next)
            }
            Call::Holder => {
                let report = Box::pin(agent.sync()).await?;
                let next = report.next_attempt;
                (Some(report), next)
            }
        };
        let Some(report) = report else {
            return Ok(Woken {
                next,
                synced: false,
                delivered: false,
                failed: false,
            });
        };
        let took = begun.elapsed();
        let failed = report.failure.is_some();
        let empty = !failed && {
            let status = agent.status()?;
            status.pending_posture + status.pending_records == 0
        };
        {
            let mut sums = tally.sums();
            sums.syncs += 1;
            sums.received += report.received;
            if !failed {
                Sums::note(&mut sums.took, took);
            }
        }
        self.judge(&report, tally);
        Ok(Woken {
            next,
            synced: true,
            delivered: empty,
            failed,
        })
    }

    /// Whether a sync kept to the rules, and when the next one may come.
    fn judge(&self, report: &SyncReport, tally: &Tally) {
        if let Some(refused) = report.quarantined.first() {
            let detail = format!("phone {}: {}", self.number, refused.code);
            tally.broken("a record was set aside", detail);
        }
        let Some(failure) = &report.failure else {
            self.set_not_before(None);
            return;
        };
        {
            let mut sums = tally.sums();
            *sums.failures.entry(failure.code.as_str()).or_default() += 1;
            sums.told_when += u64::from(failure.retry_after.is_some());
        }
        let said = || format!("phone {}: {failure:?}", self.number);
        match failure.code {
            Code::ReceiptInvalid | Code::CheckpointInvalid | Code::LogForked | Code::BadReply => {
                tally.broken("a receipt does not hold", said());
            }
            Code::HandsetRevoked
            | Code::CertificateExpired
            | Code::CertificateRefused
            | Code::ServerNotTrusted => {
                tally.broken("an enrolled phone was shut out", said());
            }
            _ => {}
        }
        if self
            .asked()
            .is_some_and(|until| report.next_attempt < until)
        {
            tally.broken("Retry-After is not kept to", said());
        }
        self.set_not_before(Some(report.next_attempt));
    }

    /// Looks at the apps, so that a change is queued.
    pub(super) fn notice(agent: &Agent) -> Result<u64, AgentError> {
        Ok(u64::from(agent.scan()?.queued.is_some()))
    }

    /// Declares a message, as its holder does.
    pub(super) fn declare(&self, agent: &Agent) -> Result<(), AgentError> {
        let text = format!("Message of phone {}: the annex is agreed.", self.number);
        let preview = agent.preview(&draft(&text))?;
        agent.declare(preview, None)?;
        Ok(())
    }
}
