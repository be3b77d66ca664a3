//! The gateway's store between the gateway and SQLite: it fails when it is told to, and it can
//! take the whole gateway with it before or after any write.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use candour_server::store::sqlite::SqliteStore;
use candour_server::store::{
    Anomaly, AppPrevalence, AppendError, Audit, Batch, EnrolError, EnrolRequest, EnrolmentChanges,
    Figures, Handset, HandsetFilter, HandsetRow, IssuedCertificate, NewToken, Piece, Reason,
    ReinstateOutcome, Reinstatement, RevokeOutcome, Store, StoreError, StoredRecord, UploadError,
};
use candour_wire::api::{BatchReply, UploadStatus};
use candour_wire::log::tile::TilePath;
use candour_wire::{DepartmentId, Digest, HandsetId, RecordId};
use jiff::Timestamp;
use tokio::sync::Notify;

use super::control::Control;
use super::coverage::Coverage;

/// What happens at a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerFault {
    /// The gateway dies before it.
    CrashBefore,
    /// The gateway dies once it is committed, before anybody is answered.
    CrashAfter,
    /// It is committed, and the store fails for good.
    FailAfter,
    /// The store is busy, once.
    Busy,
    /// There is no room, once.
    Full,
}

/// What the simulation holds over a store.
#[derive(Default)]
pub(super) struct Hooks {
    state: Mutex<State>,
    /// Wakes whoever waits for a reply of a gateway that has died.
    pub(super) death: Notify,
}

#[derive(Default)]
struct State {
    fault: Option<(u64, ServerFault)>,
    full: bool,
    dead: bool,
    failed: bool,
    met: Coverage,
}

impl Hooks {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault at the write after the next `after`.
    pub(super) fn arm(&self, after: u64, fault: ServerFault) {
        self.state().fault = Some((after, fault));
    }

    pub(super) fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    /// No more faults.
    pub(super) fn calm(&self) {
        let mut state = self.state();
        state.fault = None;
        state.full = false;
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state().dead
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state().failed
    }

    /// Another gateway starts on what is there.
    pub(super) fn begin_life(&self) {
        let mut state = self.state();
        (state.dead, state.failed) = (false, false);
    }

    pub(super) fn take_met(&self) -> Coverage {
        std::mem::take(&mut self.state().met)
    }

    /// The fault of this write, if it is this one's turn.
    fn fault(&self) -> Option<ServerFault> {
        let mut state = self.state();
        match state.fault.take() {
            Some((0, fault)) => Some(fault),
            later => {
                state.fault = later.map(|(after, fault)| (after - 1, fault));
                None
            }
        }
    }

    /// Ends the gateway's life: nothing that it does now is seen by anybody.
    async fn die<T>(&self, what: &'static str) -> T {
        {
            let mut state = self.state();
            state.met.hit(what);
            state.dead = true;
        }
        self.death.notify_one();
        std::future::pending().await
    }

    /// Does a write, or what was asked for instead.
    async fn write<T, E: From<StoreError>>(
        &self,
        [before, after]: [&'static str; 2],
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        {
            let mut state = self.state();
            if state.failed {
                return Err(StoreError::Failed.into());
            }
            if state.full {
                state.met.hit("server: disk full");
                return Err(StoreError::Full.into());
            }
        }
        match self.fault() {
            None => work.await,
            Some(ServerFault::CrashBefore) => self.die(before).await,
            Some(ServerFault::CrashAfter) => {
                let _ = work.await;
                self.die(after).await
            }
            Some(ServerFault::FailAfter) => {
                let _ = work.await;
                let mut state = self.state();
                state.met.hit("server: store failed after the write");
                state.failed = true;
                Err(StoreError::Failed.into())
            }
            Some(ServerFault::Busy) => {
                self.state().met.hit("server: busy");
                Err(StoreError::Busy.into())
            }
            Some(ServerFault::Full) => {
                self.state().met.hit("server: disk full");
                Err(StoreError::Full.into())
            }
        }
    }
}

/// A store that fails when it is told to.
pub(super) struct FaultyStore {
    pub(super) inner: Arc<SqliteStore>,
    pub(super) hooks: Arc<Hooks>,
    pub(super) control: Option<Control>,
    /// Where records go that this store only pretends to keep.
    pub(super) pretended: Option<Arc<SqliteStore>>,
}

impl FaultyStore {
    /// Takes a batch of a handset whatever its standing is, which no store may do.
    async fn append_though_revoked(&self, batch: Batch) -> Result<BatchReply, AppendError> {
        let reason = || Reason::new("a store that forgets to look").expect("a reason");
        let (handset, now) = (batch.handset.clone(), batch.received);
        let let_in = self.inner.reinstate(&handset, reason(), now).await?;
        let reply = self.inner.append(batch).await;
        if let_in == ReinstateOutcome::Reinstated {
            self.inner.revoke(&handset, reason(), now).await?;
        }
        reply
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn put_token(&self, token: NewToken) -> Result<(), StoreError> {
        self.inner.put_token(token).await
    }

    async fn enrol(&self, request: EnrolRequest) -> Result<Handset, EnrolError> {
        let names = ["server: crash before enrol", "server: crash after enrol"];
        self.hooks.write(names, self.inner.enrol(request)).await
    }

    async fn certificate_issued(&self, certificate: IssuedCertificate) -> Result<(), StoreError> {
        let names = [
            "server: crash before certificate_issued",
            "server: crash after certificate_issued",
        ];
        let work = self.inner.certificate_issued(certificate);
        self.hooks.write(names, work).await
    }

    async fn revoke(
        &self,
        handset: &HandsetId,
        reason: Reason,
        now: Timestamp,
    ) -> Result<RevokeOutcome, StoreError> {
        self.inner.revoke(handset, reason, now).await
    }

    async fn reinstate(
        &self,
        handset: &HandsetId,
        reason: Reason,
        now: Timestamp,
    ) -> Result<ReinstateOutcome, StoreError> {
        self.inner.reinstate(handset, reason, now).await
    }

    async fn reinstatements(&self, handset: &HandsetId) -> Result<Vec<Reinstatement>, StoreError> {
        self.inner.reinstatements(handset).await
    }

    async fn enrolment_changes(&self, version: u64) -> Result<EnrolmentChanges, StoreError> {
        self.inner.enrolment_changes(version).await
    }

    async fn handset(&self, id: &HandsetId) -> Result<Option<HandsetRow>, StoreError> {
        self.inner.handset(id).await
    }

    async fn handsets(&self, filter: HandsetFilter) -> Result<Vec<HandsetRow>, StoreError> {
        self.inner.handsets(filter).await
    }

    async fn anomalies(&self, handset: &HandsetId) -> Result<Vec<Anomaly>, StoreError> {
        self.inner.anomalies(handset).await
    }

    async fn append(&self, batch: Batch) -> Result<BatchReply, AppendError> {
        let names = ["server: crash before append", "server: crash after append"];
        match (&self.pretended, self.control) {
            (Some(pretended), _) => pretended.append(batch).await,
            (None, Some(Control::RevocationIgnored)) => self.append_though_revoked(batch).await,
            (None, _) => self.hooks.write(names, self.inner.append(batch)).await,
        }
    }

    async fn upload_status(
        &self,
        handset: &HandsetId,
        sha256: &Digest,
    ) -> Result<Option<UploadStatus>, StoreError> {
        self.inner.upload_status(handset, sha256).await
    }

    async fn upload_piece(&self, piece: Piece) -> Result<UploadStatus, UploadError> {
        let names = [
            "server: crash before upload_piece",
            "server: crash after upload_piece",
        ];
        let work = self.inner.upload_piece(piece);
        self.hooks.write(names, work).await
    }

    async fn read_attachment(
        &self,
        handset: &HandsetId,
        sha256: &Digest,
        offset: u64,
        max_bytes: usize,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let inner = &self.inner;
        inner
            .read_attachment(handset, sha256, offset, max_bytes)
            .await
    }

    async fn discard_stale_uploads(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.inner.discard_stale_uploads(before).await
    }

    async fn checkpoint(&self) -> Result<Option<String>, StoreError> {
        self.inner.checkpoint().await
    }

    async fn tile(&self, path: TilePath) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.tile(path).await
    }

    async fn open_record(
        &self,
        id: RecordId,
        audit: Audit,
    ) -> Result<Option<StoredRecord>, StoreError> {
        self.inner.open_record(id, audit).await
    }

    async fn audit_trail(&self, limit: u32) -> Result<Vec<Audit>, StoreError> {
        self.inner.audit_trail(limit).await
    }

    async fn prevalence(
        &self,
        department: Option<&DepartmentId>,
        reporting_since: Timestamp,
    ) -> Result<Vec<AppPrevalence>, StoreError> {
        self.inner.prevalence(department, reporting_since).await
    }

    async fn figures(&self) -> Result<Figures, StoreError> {
        self.inner.figures().await
    }

    fn healthy(&self) -> bool {
        !self.hooks.has_failed() && self.inner.healthy()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
