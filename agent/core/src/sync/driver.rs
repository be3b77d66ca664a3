//! Carries out what the [`machine`](super::machine) decides.

mod requests;

use std::collections::VecDeque;
use std::sync::Arc;

use candour_wire::api::BatchRequest;
use candour_wire::log::Checkpoint;
use candour_wire::record::{AttachmentRef, Stream};
use candour_wire::{Code, Digest};
use jiff::{SignedDuration, Timestamp};

use self::requests::{BatchAnswer, PolicyAnswer};
use super::machine::{Action, Answer, Item, Machine, Outcome};
use super::proof::prove;
use super::state::{Alarm, LastFailure, SyncState};
use super::{Failure, LendOutbox, PolicyOutcome, RenewalOutcome, Session, SyncReport, backoff};
use crate::identity::{self, Department, IdentityError, trust};
use crate::outbox::{OutboxError, Pending};
use crate::policy::SignedPolicy;
use crate::ports::{Document, Event, StoreError, TransportError};

/// Makes one sync, from beginning to end.
///
/// It may be dropped at any point: nothing is lost, and the next sync repeats what was under way.
/// The store, the key and the spool are used on the runtime's blocking pool.
///
/// # Errors
///
/// When the state of the sync itself can neither be read nor stored. Every other failure is in the
/// report, and in the stored [`SyncState`].
pub async fn run<O: LendOutbox>(session: Session<O>) -> Result<SyncReport, OutboxError> {
    let (state, previous, total) = lend(&session.outbox, |outbox| {
        let counts = outbox.counts()?;
        Ok::<_, OutboxError>((
            SyncState::load(outbox)?,
            outbox.last_checkpoint()?,
            counts.posture + counts.records,
        ))
    })
    .await?;
    let now = session.clock.now();
    let renew = session
        .identity
        .renewal_due(state.signed_time.map_or(now, |signed| signed.max(now)));
    let halted = state
        .alarm
        .as_ref()
        .filter(|alarm| alarm.code == Code::LogForked)
        .map(|alarm| Failure {
            code: alarm.code,
            detail: alarm.detail.clone(),
            retry_after: None,
        });
    let mut machine = Machine::new(renew, halted, session.deadline);
    if session.policy.is_some() {
        machine = machine.with_policy_after_batch();
    }
    let previous = if state.log_anew { None } else { previous };
    // What does not open was not written by this agent under this log key: a new key, or damage.
    let previous = previous.and_then(|note| Checkpoint::open(&note, &session.config.log_key).ok());
    let mut driver = Driver {
        session,
        began: state.clone(),
        state,
        previous,
        loaded: VecDeque::new(),
        total,
        report: SyncReport::begun(now),
    };
    loop {
        let action = machine.next(driver.session.clock.now());
        if action == Action::Finish {
            break;
        }
        let outcome = driver.carry_out(action).await;
        machine.on_outcome(outcome.unwrap_or_else(Outcome::Failed));
    }
    driver.finish(&machine).await
}

/// Works with the outbox on a thread that may block.
async fn lend<O: LendOutbox, R: Send + 'static>(
    outbox: &Arc<O>,
    work: impl FnOnce(&mut crate::outbox::Outbox) -> R + Send + 'static,
) -> R {
    let outbox = Arc::clone(outbox);
    blocking(move || outbox.lend(work)).await
}

async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(stopped) => match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down and drops this future too.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Whether a request went through and only its reply is of no use, which says nothing of the next
/// request. After any other failure the next one fares no better.
const fn concerns_one_reply(error: &TransportError) -> bool {
    matches!(
        error,
        TransportError::TooLarge(_) | TransportError::Malformed(_)
    )
}

/// How far the clock may be from the department's before it is called wrong: far above what a
/// slow network explains, far below what misleads a person who reads a date.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(10);

struct Driver<O> {
    session: Session<O>,
    /// The state as it was when the sync began, and as it is now.
    began: SyncState,
    state: SyncState,
    /// The last checkpoint that was verified.
    previous: Option<Checkpoint>,
    /// Loaded and not sent.
    loaded: VecDeque<Pending>,
    /// Records that waited when the sync began, or more if more were found.
    total: u64,
    report: SyncReport,
}

impl SyncReport {
    fn begun(now: Timestamp) -> Self {
        Self {
            received: 0,
            quarantined: Vec::new(),
            delivered_files: Vec::new(),
            policy: PolicyOutcome::NotAsked,
            renewal: RenewalOutcome::NotDue,
            failure: None,
            clock_wrong: false,
            next_attempt: now,
        }
    }
}

impl<O: LendOutbox> Driver<O> {
    async fn carry_out(&mut self, action: Action) -> Result<Outcome, Failure> {
        match action {
            Action::Renew => self.renew().await,
            Action::FetchPolicy => self.fetch_policy().await,
            Action::Load {
                stream,
                max_records,
                max_bytes,
            } => {
                let loaded = lend(&self.session.outbox, move |outbox| {
                    outbox.pending(stream, max_records, max_bytes)
                })
                .await?;
                let items = loaded
                    .iter()
                    .map(|p| Item {
                        id: p.id,
                        files: p.attachments.clone(),
                    })
                    .collect();
                self.loaded = loaded.into();
                Ok(Outcome::Loaded(items))
            }
            Action::AskUpload { file } => requests::ask_upload(&*self.session.transport, file)
                .await
                .map(Outcome::Upload),
            Action::UploadPiece {
                file,
                offset,
                max_bytes,
            } => self.upload_piece(file, offset, max_bytes).await,
            Action::Send { stream, count } => self.send(stream, count).await,
            Action::Rearrange {
                stream,
                head,
                refused,
            } => {
                self.report.quarantined.extend(refused.iter().cloned());
                lend(&self.session.outbox, move |outbox| {
                    outbox.after_refusals(stream, head, &refused)
                })
                .await?;
                Ok(Outcome::Done)
            }
            Action::SetAside { stream, refused } => {
                self.report.quarantined.push(refused.clone());
                lend(&self.session.outbox, move |outbox| {
                    outbox.set_aside(stream, &[refused])
                })
                .await?;
                Ok(Outcome::Done)
            }
            Action::Finish => Ok(Outcome::Done),
        }
    }

    /// Renews the certificate. A refusal concerns nothing else; a failed connection does.
    async fn renew(&mut self) -> Result<Outcome, Failure> {
        let department = Department {
            id: self.session.config.department.clone(),
            ca_pins: self.session.config.ca_pins.clone(),
            not_before: trust::known_to_have_passed(self.state.signed_time),
        };
        let keys = Arc::clone(&self.session.keys);
        let now = self.session.clock.now();
        let renewed = identity::renew(
            &*self.session.transport,
            keys,
            &department,
            &self.session.identity,
            now,
        )
        .await;
        match renewed {
            Ok(identity) => {
                self.write(Document::Identity, identity.to_json()).await?;
                self.state.renewal_problem = None;
                self.report.renewal = RenewalOutcome::Renewed(Box::new(identity));
            }
            Err(IdentityError::Transport(error)) if !concerns_one_reply(&error) => {
                return Err(error.into());
            }
            Err(error) => {
                let failure = Failure::from(error);
                self.state.renewal_problem = Some(failure.code);
                self.report.renewal = RenewalOutcome::Failed(failure);
            }
        }
        Ok(Outcome::Done)
    }

    /// Fetches the policy, unless it has been named as the newest. Whatever is wrong with it, the
    /// one in force stays and the sync goes on.
    async fn fetch_policy(&mut self) -> Result<Outcome, Failure> {
        if matches!(self.report.policy, PolicyOutcome::Unchanged) {
            return Ok(Outcome::Done);
        }
        let etag = self.session.policy.as_ref().map(SignedPolicy::etag);
        let outcome = match requests::fetch_policy(&*self.session.transport, etag).await? {
            PolicyAnswer::Unchanged => PolicyOutcome::Unchanged,
            PolicyAnswer::Refused(failure) => PolicyOutcome::Kept(failure),
            PolicyAnswer::Bundle(bundle) => {
                let config = &self.session.config;
                let in_force = self.session.policy.as_ref();
                let now = self.known_time();
                match SignedPolicy::accept(
                    bundle,
                    &config.policy_key,
                    &config.department,
                    in_force,
                    now,
                ) {
                    Ok(None) => PolicyOutcome::Unchanged,
                    Ok(Some(policy)) => {
                        self.write(Document::Policy, policy.bundle().as_bytes().to_vec())
                            .await?;
                        self.session.policy = Some(policy.clone());
                        PolicyOutcome::Updated(Box::new(policy))
                    }
                    Err(refusal) => PolicyOutcome::Kept(
                        Failure::new(refusal.code()).with_detail(refusal.to_string()),
                    ),
                }
            }
        };
        self.state.policy_problem = if let PolicyOutcome::Kept(failure) = &outcome {
            Some(failure.code)
        } else {
            None
        };
        self.report.policy = outcome;
        Ok(Outcome::Done)
    }

    /// Learns from a reply that the policy in force is the newest, unless it has been asked for.
    fn compare_policy(&mut self, named: Option<Digest>) {
        let held = self.session.policy.as_ref().map(SignedPolicy::digest);
        let not_asked = matches!(self.report.policy, PolicyOutcome::NotAsked);
        if not_asked && named.is_some() && named == held {
            self.state.policy_problem = None;
            self.report.policy = PolicyOutcome::Unchanged;
        }
    }

    /// The time by which a policy has or has not expired: the clock, unless it is known to be
    /// wrong; never before what has been signed.
    fn known_time(&self) -> Timestamp {
        let passed = trust::known_to_have_passed(self.state.signed_time);
        if self.state.clock_wrong || self.session.transport.clock_suspect() {
            passed
        } else {
            passed.max(self.session.clock.now())
        }
    }

    async fn upload_piece(
        &mut self,
        file: AttachmentRef,
        offset: u64,
        max_bytes: usize,
    ) -> Result<Outcome, Failure> {
        let home = Arc::clone(&self.session.home);
        let read = blocking(move || {
            home.read_spooled(&file.sha256, offset, max_bytes)
                .map(Some)
                .or_else(|error| {
                    // A file that is gone concerns its record; a disk that fails concerns everything.
                    if home.spooled()?.contains(&file.sha256) {
                        Err(error)
                    } else {
                        Ok(None)
                    }
                })
        });
        let Some(piece) = read.await?.filter(|piece| !piece.is_empty()) else {
            return Ok(Outcome::FileLost);
        };
        let status = requests::upload_piece(&*self.session.transport, file, offset, piece).await?;
        self.session.events.emit(Event::UploadProgress {
            done: status.offset,
            total: file.size,
        });
        Ok(Outcome::Upload(status))
    }

    async fn send(&mut self, stream: Stream, count: usize) -> Result<Outcome, Failure> {
        let sent: Vec<Pending> = self.loaded.drain(..count.min(self.loaded.len())).collect();
        let request = BatchRequest {
            records: sent.iter().map(|record| record.jws.clone()).collect(),
            log_size: self
                .previous
                .as_ref()
                .map_or(0, |checkpoint| checkpoint.size),
        };
        let reply = match requests::send_batch(&*self.session.transport, stream, &request).await? {
            BatchAnswer::TooLarge => return Ok(Outcome::TooLarge),
            BatchAnswer::Reply(reply) => reply,
        };
        self.compare_policy(reply.policy);
        let note = reply.checkpoint.clone();
        let proven = prove(
            reply,
            &sent,
            &self.session.config.log_key,
            self.previous.as_ref(),
        )
        .inspect_err(|failure| self.raise_alarm(failure, note))?;
        let checkpoint = proven.checkpoint.clone();
        self.learn_time(checkpoint.checkpoint().time);

        let mut answers = Vec::with_capacity(proven.results.len());
        let (mut receipts, mut delivered) = (Vec::new(), Vec::new());
        for (result, record) in proven.results.into_iter().zip(&sent) {
            answers.push(match result {
                Ok(receipt) => {
                    receipts.push(receipt);
                    delivered.extend(record.attachments.iter().map(|file| file.sha256));
                    Answer::Received
                }
                Err(refusal) => Answer::Refused(refusal),
            });
        }
        let received = u64::try_from(receipts.len()).unwrap_or(u64::MAX);
        self.previous = Some(checkpoint.checkpoint().clone());
        lend(&self.session.outbox, move |outbox| {
            outbox.settle(&receipts, &checkpoint)
        })
        .await?;
        self.state.log_anew = false;
        self.report.received = self.report.received.saturating_add(received);
        self.report.delivered_files.append(&mut delivered);
        self.total = self.total.max(self.report.received);
        self.session.events.emit(Event::SyncProgress {
            done: self.report.received,
            total: self.total,
        });
        Ok(Outcome::Answered(answers))
    }

    /// Takes a signed time as passed, unless it cannot have: the server has just accepted this
    /// handset's certificate, so that it is not later than the certificate's end. One checkpoint
    /// by a clock that was years ahead would otherwise expire every server certificate for good.
    fn learn_time(&mut self, signed: Timestamp) {
        if signed > self.session.identity.not_after {
            tracing::warn!(%signed, "the log was signed by a clock that is ahead");
            return;
        }
        self.state.signed_time = self.state.signed_time.max(Some(signed));
        let off = self.session.clock.now().duration_since(signed).abs();
        self.state.clock_wrong = off > CLOCK_TOLERANCE;
    }

    /// Keeps the first alarm: later ones follow from it.
    fn raise_alarm(&mut self, failure: &Failure, note: String) {
        if !matches!(
            failure.code,
            Code::LogForked | Code::ReceiptInvalid | Code::CheckpointInvalid
        ) {
            return;
        }
        let fits = note.len() <= candour_wire::limits::CHECKPOINT_MAX_BYTES;
        let alarm = Alarm {
            code: failure.code,
            at: self.session.clock.now(),
            detail: failure.detail.clone(),
            checkpoint: fits.then_some(note),
        };
        // A fork halts the sync; a lesser alarm must not hide it.
        if failure.code == Code::LogForked || self.state.alarm.is_none() {
            self.state.alarm = Some(alarm);
        }
    }

    async fn write(&self, document: Document, bytes: Vec<u8>) -> Result<(), StoreError> {
        let home = Arc::clone(&self.session.home);
        blocking(move || home.write(document, &bytes)).await
    }

    /// Sets the next attempt, and stores what is to be remembered.
    async fn finish(mut self, machine: &Machine) -> Result<SyncReport, OutboxError> {
        let now = self.session.clock.now();
        let schedule = self
            .session
            .policy
            .as_ref()
            .map(|signed| signed.policy().schedule.clone());
        let jitter = &mut self.session.jitter;
        let state = &mut self.state;
        state.clock_wrong |= self.session.transport.clock_suspect();
        let next = match machine.failure() {
            Some(failure) => {
                state.failures = state.failures.saturating_add(1);
                state.last_failure = Some(LastFailure {
                    at: now,
                    code: failure.code,
                    detail: failure.detail.clone(),
                });
                // A clock that was put back must not make every wait a short one.
                let since = state.failing_since.map_or(now, |since| since.min(now));
                state.failing_since = Some(since);
                let failing_for = now.duration_since(since).unsigned_abs();
                let wait = backoff::after_failure(
                    state.failures,
                    failing_for,
                    failure.retry_after,
                    jitter,
                );
                let soon = backoff::plus(now, wait);
                if failure.waits_for_the_department() {
                    soon.max(backoff::after_success(now, schedule.as_ref(), jitter))
                } else {
                    soon
                }
            }
            None if machine.cut_short() => {
                // What there was time for went well.
                (state.failures, state.failing_since) = (0, None);
                backoff::after_record(now, schedule.as_ref(), jitter)
            }
            None => {
                (state.failures, state.failing_since, state.last_failure) = (0, None, None);
                state.last_success = Some(now);
                backoff::after_success(now, schedule.as_ref(), jitter)
            }
        };
        let if_any_wait = if machine.failure().is_none() {
            next.min(backoff::after_record(now, schedule.as_ref(), jitter))
        } else {
            next
        };
        self.report.failure = machine.failure().cloned();
        self.report.clock_wrong = state.clock_wrong;
        let (mut state, began) = (self.state, self.began);
        self.report.next_attempt = lend(&self.session.outbox, move |outbox| {
            let stored = SyncState::load(outbox)?;
            // What was made after its stream had been emptied did not bring this sync forward,
            // and waits no longer than any other record.
            let counts = outbox.counts()?;
            let any_wait = counts.posture + counts.records > 0;
            let next = if any_wait { if_any_wait } else { next };
            state.next_attempt = Some(next);
            // A person may have cleared the alarm while this sync was under way.
            if stored.alarm != began.alarm && state.alarm == began.alarm {
                (state.alarm, state.log_anew) = (stored.alarm, stored.log_anew);
                state.next_attempt = stored.next_attempt;
            }
            state.save(outbox)?;
            Ok::<_, OutboxError>(state.next_attempt.unwrap_or(now))
        })
        .await?;
        Ok(self.report)
    }
}

#[cfg(test)]
mod tests;
