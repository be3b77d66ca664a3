//! Enrolment, sync and the agent's own rhythm.

use std::sync::Arc;

use candour_wire::posture::Status;
use candour_wire::record::Body;
use candour_wire::{Code, RecordId, Sensitive};
use jiff::{SignedDuration, Timestamp};

use super::report::{Enrolment, Failure, Scan};
use super::{Agent, State, lock, summarise, value};
use crate::declaration::Present;
use crate::error::AgentError;
use crate::identity::{self, Department, Identity, trust};
use crate::outbox::{Also, Outbox, OutboxError};
use crate::ports::{Document, Endpoint, Request, Response, Transport, TransportError};
use crate::sync::{
    self, LendOutbox, PolicyOutcome, RenewalOutcome, Session, SyncReport, SyncState,
};

/// Scans are at least this far apart where no policy says how far, in seconds: a day.
const SCAN_INTERVAL_S: u32 = 86_400;

/// Hours within which the same problems are not reported again.
const SAME_STATUS_HOURS: i64 = 24;

/// Rows that are sealed anew after a sync, once a new epoch has begun: some hundred commits.
const SEALED_ANEW: usize = 1_024;

/// What the agent did by itself, and when it wants to be woken next.
#[derive(Debug)]
pub struct Tick {
    /// The scan, where one was due.
    pub scan: Option<Scan>,
    /// The sync, where one was due.
    pub sync: Option<SyncReport>,
    /// When to call again at the latest.
    pub next: Timestamp,
}

impl LendOutbox for std::sync::Mutex<State> {
    fn lend<R>(&self, work: impl FnOnce(&mut Outbox) -> R) -> R {
        work(&mut lock(self).outbox)
    }
}

impl Agent {
    /// Enrols this handset with the one-time token and fetches the policy.
    ///
    /// An enrolment that was cut off is repeated with the same token. A handset whose certificate
    /// is of no more use enrols again with a new token: its key stays, and so does all that waits.
    /// Must run on a runtime with more than one thread: the handset's key may block.
    ///
    /// # Errors
    ///
    /// When the handset has a certificate that works, or the department refuses. Once the
    /// certificate is on disk the phone is enrolled, and whatever fails after that is left to the
    /// next sync.
    pub async fn enrol(&self, token: Sensitive<String>) -> Result<Enrolment, AgentError> {
        let _alone = self.syncing.try_lock().map_err(|_| AgentError::Busy)?;
        if self.certificate_works()? {
            return Err(AgentError::AlreadyEnrolled);
        }
        let not_before = trust::known_to_have_passed(None);
        let endpoint = Endpoint {
            url: self.config.enrol_url.clone(),
            ca_pins: self.config.ca_pins.clone(),
            client: None,
            proxy: self.config.proxy.clone(),
            not_before,
        };
        let transport = self
            .platform
            .connector
            .connect(&endpoint)
            .map_err(identity::IdentityError::from)?;
        let department = Department {
            id: self.config.department.clone(),
            ca_pins: self.config.ca_pins.clone(),
            not_before,
        };
        let keys = Arc::clone(&self.platform.keys);
        let identity = identity::enrol(&*transport, keys, &department, &token, self.now()).await?;
        self.platform
            .home
            .write(Document::Identity, &identity.to_json())?;
        let (handset, expires) = (identity.handset.clone(), identity.not_after);
        self.take_identity(identity);
        // The policy comes with the first sync; that it cannot come yet does not undo enrolment.
        let problem = match self.sync_alone(None).await {
            Ok(report) => match report.policy {
                PolicyOutcome::Kept(failure) => Some(failure.code),
                _ => report.failure.map(|failure| failure.code),
            },
            Err(error) => Some(error.code()),
        };
        if let Some(code) = problem {
            tracing::warn!(code = code.as_str(), "enrolled, but the first sync failed");
        }
        Ok(Enrolment {
            handset,
            department: self.config.department.clone(),
            certificate_expires: expires,
            policy: self.policy().map(|policy| policy.version),
        })
    }

    /// Sends what waits, and takes home receipts and the policy. Renews the certificate when it is
    /// due. What could not be done is in the report: a failed sync loses nothing and is tried
    /// again by itself.
    ///
    /// Must run on a runtime with more than one thread: the handset's key may block.
    ///
    /// # Errors
    ///
    /// When the handset is not enrolled, another sync is under way, or the handset's own store or
    /// key fails.
    pub async fn sync(&self) -> Result<SyncReport, AgentError> {
        let _alone = self.syncing.try_lock().map_err(|_| AgentError::Busy)?;
        self.sync_alone(None).await
    }

    /// Does what is due now: a scan, a status record where something wants doing, a sync. The
    /// platform's scheduler calls it, or `candour run`.
    ///
    /// A phone's system gives background work only seconds: after `limit` the sync begins no new
    /// step, and what is left comes soon after.
    ///
    /// # Errors
    ///
    /// When the handset is not enrolled, or its own store or key fails. A failed sync is in the
    /// report.
    pub async fn tick(&self, limit: Option<SignedDuration>) -> Result<Tick, AgentError> {
        let _alone = self.syncing.try_lock().map_err(|_| AgentError::Busy)?;
        if lock(&self.state).identity.is_none() {
            return Err(AgentError::NotEnrolled);
        }
        let now = self.now();
        let scan_due = self.next_scan()? <= now;
        let scan = if scan_due {
            unless_full(self.scan())?
        } else {
            None
        };
        if scan.is_some() {
            unless_full(self.report_status())?;
        }
        let due = {
            let mut state = lock(&self.state);
            let schedule = state
                .policy
                .as_ref()
                .map(|signed| signed.policy().schedule.clone());
            SyncState::load(&mut state.outbox)?.due(now, schedule.as_ref())
        };
        let sync = if due {
            let deadline = limit.and_then(|limit| now.saturating_add(limit).ok());
            Some(self.sync_alone(deadline).await?)
        } else {
            None
        };
        let next_sync = match &sync {
            Some(report) => report.next_attempt,
            None => SyncState::load(&mut lock(&self.state).outbox)?
                .next_attempt
                .unwrap_or(now),
        };
        // A scan that found no room waits until a sync has made some.
        let made_room = sync.as_ref().is_some_and(|report| report.received > 0);
        let no_room = scan_due && scan.is_none() && !made_room;
        let next = if no_room {
            next_sync
        } else {
            next_sync.min(self.next_scan()?)
        };
        Ok(Tick { scan, sync, next })
    }

    /// A person has looked into an alarm: syncs go on, from the log as it is now.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn clear_alarm(&self) -> Result<(), AgentError> {
        let mut state = lock(&self.state);
        let mut sync = SyncState::load(&mut state.outbox)?;
        sync.clear_alarm();
        sync.save(&mut state.outbox)?;
        Ok(())
    }

    async fn sync_alone(&self, deadline: Option<Timestamp>) -> Result<SyncReport, AgentError> {
        let (identity, policy, signed_time) = {
            let mut state = lock(&self.state);
            let identity = state.identity.clone().ok_or(AgentError::NotEnrolled)?;
            self.settle_policy(&mut state);
            let signed_time = SyncState::load(&mut state.outbox)?.signed_time;
            (identity, state.policy.clone(), signed_time)
        };
        let transport = self.handset_transport(&identity, signed_time);
        let session = Session {
            config: self.config.clone(),
            home: Arc::clone(&self.platform.home),
            keys: Arc::clone(&self.platform.keys),
            clock: Arc::clone(&self.platform.clock),
            events: Arc::clone(&self.platform.events),
            transport,
            outbox: Arc::clone(&self.state),
            identity,
            policy,
            jitter: self.jitter(),
            deadline,
        };
        let report = sync::run(session).await?;
        self.take_home(&report)?;
        Ok(report)
    }

    fn handset_transport(
        &self,
        identity: &Identity,
        signed_time: Option<Timestamp>,
    ) -> Arc<dyn Transport> {
        let endpoint = Endpoint {
            url: self.config.server_url.clone(),
            ca_pins: self.config.ca_pins.clone(),
            client: Some(identity.client(Arc::clone(&self.platform.keys))),
            proxy: self.config.proxy.clone(),
            not_before: trust::known_to_have_passed(signed_time),
        };
        self.platform
            .connector
            .connect(&endpoint)
            .unwrap_or_else(|error| Arc::new(Unconnected(error)))
    }

    /// What a sync brought becomes what the agent goes by.
    fn take_home(&self, report: &SyncReport) -> Result<(), AgentError> {
        let mut state = lock(&self.state);
        if let PolicyOutcome::Updated(policy) = &report.policy {
            state.policy = Some((**policy).clone());
            self.settle_policy(&mut state);
        }
        if let RenewalOutcome::Renewed(identity) = &report.renewal {
            state.identity = Some((**identity).clone());
        }
        // A difference that starts from a list that the server does not hold is of no use to
        // anybody: the whole list takes its place. Those that an earlier sync set aside count too:
        // it may have been cut off before it got here.
        let of_no_use: Vec<RecordId> = state
            .outbox
            .quarantined()?
            .iter()
            .filter(|refused| refused.code == Code::BaseUnknown.as_str())
            .map(|refused| refused.id)
            .collect();
        if !of_no_use.is_empty() {
            state
                .outbox
                .value_put(value::FULL_LIST_WANTED, Sensitive::new(vec![1]))?;
        }
        for id in of_no_use {
            state.outbox.discard(id)?;
        }
        if let Some(days) = state
            .policy
            .as_ref()
            .map(|signed| signed.policy().retention.handset_receipt_days)
        {
            let sync = SyncState::load(&mut state.outbox)?;
            let kept = receipts_kept_from(&sync, days);
            state.outbox.prune_receipts(kept)?;
        }
        self.remove_unneeded(&mut state, &report.delivered_files)?;
        // Whatever happens to it, the rest stands.
        if let Err(error) = state.outbox.maintain(SEALED_ANEW) {
            tracing::warn!(
                code = error.code().as_str(),
                "old rows could not be sealed anew"
            );
        }
        Ok(())
    }

    /// Whether there is a certificate that has neither expired nor been refused by the server.
    fn certificate_works(&self) -> Result<bool, AgentError> {
        let mut state = lock(&self.state);
        let Some(expires) = state.identity.as_ref().map(|identity| identity.not_after) else {
            return Ok(false);
        };
        let sync = SyncState::load(&mut state.outbox)?;
        let refused = sync.last_failure.as_ref().is_some_and(|failure| {
            matches!(
                failure.code,
                Code::CertificateExpired | Code::CertificateRefused | Code::HandsetRevoked
            )
        });
        Ok(!refused && self.present(&sync).likely < expires)
    }

    fn take_identity(&self, identity: Identity) {
        lock(&self.state).identity = Some(identity);
    }

    /// Queues a status record where something wants doing, so that the department sees a phone
    /// that cannot deliver; at most one a day while nothing else changes.
    fn report_status(&self) -> Result<(), AgentError> {
        let report = self.status()?;
        let problems: Vec<String> = report
            .problems
            .iter()
            .map(|problem| problem.code.clone())
            .collect();
        if problems.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let mut state = lock(&self.state);
        let last: Option<(Timestamp, Vec<String>)> =
            super::read_json(&mut state.outbox, value::LAST_STATUS)?;
        if last.is_some_and(|(at, told)| {
            told == problems
                && now.duration_since(at).abs() < SignedDuration::from_hours(SAME_STATUS_HOURS)
        }) {
            return Ok(());
        }
        let told = serde_json::to_vec(&(now, &problems)).expect("texts and times serialise");
        let body = Body::Status(Status {
            pending: report.pending_posture + report.pending_records,
            quarantined: report.quarantined,
            oldest_pending: report.oldest_pending,
            last_success: report.last_success,
            problems,
        });
        let summary = summarise(&body);
        let also = [Also::PutValue(value::LAST_STATUS, Sensitive::new(told))];
        self.append(&mut state, RecordId::make(now), body, summary, &also)?;
        Ok(())
    }

    fn next_scan(&self) -> Result<Timestamp, AgentError> {
        let now = self.now();
        let mut state = lock(&self.state);
        let wanted = state.outbox.value(value::FULL_LIST_WANTED)?.is_some();
        let last = state
            .outbox
            .value(value::LAST_SCAN)?
            // EXPOSE: a time that the agent wrote.
            .and_then(|text| {
                std::str::from_utf8(text.expose())
                    .ok()?
                    .parse::<Timestamp>()
                    .ok()
            })
            // A time in the future was written by a clock that was wrong.
            .filter(|last| *last <= now && !wanted);
        let interval_s = state.policy.as_ref().map_or(SCAN_INTERVAL_S, |signed| {
            signed.policy().schedule.scan_interval_s
        });
        Ok(last.map_or(now, |last| {
            last.saturating_add(SignedDuration::from_secs(i64::from(interval_s)))
                .unwrap_or(Timestamp::MAX)
        }))
    }

    /// What is known of the present: by the handset's clock, and by what the department signed.
    pub(super) fn present(&self, sync: &SyncState) -> Present {
        let passed = trust::known_to_have_passed(sync.signed_time);
        let latest = passed.max(self.now());
        let likely = if sync.clock_wrong { passed } else { latest };
        Present { likely, latest }
    }
}

/// From when on receipts are kept. By the department's time: a clock that is years ahead would
/// otherwise throw away receipts as they come, and with them what the holder can see, prove and
/// correct.
pub(super) fn receipts_kept_from(sync: &SyncState, days: u32) -> Timestamp {
    let days = SignedDuration::from_hours(24 * i64::from(days));
    trust::known_to_have_passed(sync.signed_time)
        .saturating_sub(days)
        .unwrap_or(Timestamp::MIN)
}

/// A connection that could not even be prepared. As a transport it makes the sync fail as one that
/// was refused on the way does, so that it is remembered, shown and tried again after a pause.
struct Unconnected(TransportError);

#[async_trait::async_trait]
impl Transport for Unconnected {
    async fn send(&self, _request: Request) -> Result<Response, TransportError> {
        Err(self.0.clone())
    }
}

/// Passes over that the outbox is full. Only a sync empties it, so that what comes before a sync
/// must not keep it from happening; the scan finds the same change again.
fn unless_full<T>(done: Result<T, AgentError>) -> Result<Option<T>, AgentError> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(AgentError::Outbox(OutboxError::Full { .. })) => {
            tracing::warn!("the outbox is full, so nothing about this phone is queued");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl From<sync::LastFailure> for Failure {
    fn from(failure: sync::LastFailure) -> Self {
        Self {
            at: failure.at,
            code: failure.code.as_str().to_owned(),
            detail: failure.detail,
        }
    }
}
