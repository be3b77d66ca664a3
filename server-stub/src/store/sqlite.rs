//! A store in one SQLite file, for a department whose handsets one machine can serve.
//!
//! One thread writes ([`writer`]): what waits together is committed together. A few connections
//! read ([`readers`]). The write-ahead log is synced at each commit, so what was answered
//! survives a power cut.
//!
//! Beside the file there is a directory for attachments. Another process, such as the command
//! line, may have the same file open: SQLite's locks keep the two apart, and the gateway sees a
//! revocation by [`Store::enrolment_changes`] and, in any case, at the next write.
//!
//! After a crash there is nothing to do: opening reads the write-ahead log. Opening also checks
//! that the newest checkpoint is this log's and that the tiles lead to its root, so that a
//! damaged log is noticed before it is continued.

mod append;
mod check;
mod enrolment;
mod open;
mod posture;
mod readers;
mod records;
mod schema;
mod tasks;
mod tiles;
mod upload;
mod uploads;
mod values;
mod writer;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use candour_wire::api::{BatchReply, UploadStatus};
use candour_wire::log::LogSigner;
use candour_wire::log::tile::TilePath;
use candour_wire::{DepartmentId, Digest, HandsetId, RecordId};
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{Semaphore, mpsc, oneshot};

use self::append::Append;
use self::readers::Readers;
use self::tasks::{Fault, Task};
use self::tiles::Tiles;
use self::writer::{Health, Queued, Work};
use super::attachments::AttachmentDir;
use super::{
    Anomaly, AppPrevalence, AppendError, Audit, Batch, EnrolError, EnrolRequest, EnrolmentChanges,
    Figures, Handset, HandsetFilter, HandsetRow, IssuedCertificate, NewToken, Piece, Reason,
    ReinstateOutcome, Reinstatement, RevokeOutcome, Store, StoreError, StoredRecord, UploadError,
};

pub use check::Report;
pub use open::OpenError;

/// Writes that may wait. At 500 to a group this is four groups, well under a second.
const QUEUE_MAX: usize = 2_048;

/// Bytes of records that may wait: sixteen times the largest batch.
const QUEUE_MAX_KIB: usize = 64 << 10;

/// How a [`SqliteStore`] is opened.
#[derive(Debug)]
pub struct Settings {
    /// Directory for attachments; made when it is missing.
    pub attachments: PathBuf,
    /// Signs the log's checkpoints. Without it the store takes no records; everything else
    /// works, which is enough for the command line.
    pub signer: Option<LogSigner>,
    /// The present time, for the checkpoint of an empty log.
    pub now: Timestamp,
}

/// A store in an SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    writes: Mutex<Option<mpsc::Sender<Queued>>>,
    /// Room for records in the queue, in KiB.
    room: Arc<Semaphore>,
    health: Arc<Health>,
    readers: Arc<Readers>,
    attachments: AttachmentDir,
    /// Files that are being written, so that no two pieces of one are at once.
    uploading: Arc<Mutex<HashSet<(HandsetId, Digest)>>>,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl SqliteStore {
    /// Makes a new store at `path`. Blocks.
    ///
    /// # Errors
    ///
    /// [`OpenError`], [`OpenError::Exists`] when there is a file already.
    pub fn create(path: &Path, settings: Settings) -> Result<Arc<Self>, OpenError> {
        open::create(path)?;
        Self::open(path, settings)
    }

    /// Opens the store at `path`. Blocks.
    ///
    /// # Errors
    ///
    /// [`OpenError`], [`OpenError::Missing`] when there is no file.
    pub fn open(path: &Path, settings: Settings) -> Result<Arc<Self>, OpenError> {
        let (writer, attachments) = open::prepare(path, settings)?;
        let health = Arc::clone(&writer.health);
        let (writes, queue) = mpsc::channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("candour-store".into())
            .spawn(move || writer.run(queue))
            .map_err(|source| OpenError::Io {
                path: path.to_owned(),
                source,
            })?;
        Ok(Arc::new(Self {
            writes: Mutex::new(Some(writes)),
            room: Arc::new(Semaphore::new(QUEUE_MAX_KIB)),
            health,
            readers: Readers::new(path.to_owned()),
            attachments,
            uploading: Arc::default(),
            writer: Mutex::new(Some(thread)),
        }))
    }

    /// Puts work in the queue; refuses rather than waits when there is too much.
    fn enqueue(&self, work: impl Work + 'static, bytes: usize) -> Result<(), StoreError> {
        if self.health.is_failed() {
            return Err(StoreError::Failed);
        }
        let kib = u32::try_from(bytes / 1024 + 1).map_err(|_| StoreError::Busy)?;
        let room = Arc::clone(&self.room)
            .try_acquire_many_owned(kib)
            .map_err(|_| StoreError::Busy)?;
        let queued = Queued {
            work: Box::new(work),
            bytes,
            room,
        };
        let writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        let writes = writes.as_ref().ok_or(StoreError::Closed)?;
        writes.try_send(queued).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Failed,
        })
    }

    /// Does `function` in a write transaction.
    async fn write<T, E, F>(&self, function: F) -> Result<T, E>
    where
        F: Fn(&Connection) -> Result<T, Fault<E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (task, answer) = Task::new(function);
        self.enqueue(task, 0)?;
        answered(answer).await
    }

    fn queued(&self) -> u64 {
        let writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = writes
            .as_ref()
            .map_or(0, |writes| writes.max_capacity() - writes.capacity());
        waiting as u64
    }
}

/// Waits for the writer's answer. It goes away without one only when it has panicked.
async fn answered<T, E: From<StoreError>>(answer: oneshot::Receiver<Result<T, E>>) -> Result<T, E> {
    answer
        .await
        .unwrap_or_else(|_| Err(StoreError::Failed.into()))
}

#[async_trait]
impl Store for SqliteStore {
    async fn put_token(&self, token: NewToken) -> Result<(), StoreError> {
        self.write(move |db| Ok(enrolment::put_token(db, &token)?))
            .await
    }

    async fn enrol(&self, request: EnrolRequest) -> Result<Handset, EnrolError> {
        self.write(move |db| enrolment::enrol(db, &request)).await
    }

    async fn certificate_issued(&self, certificate: IssuedCertificate) -> Result<(), StoreError> {
        self.write(move |db| Ok(enrolment::certificate_issued(db, &certificate)?))
            .await
    }

    async fn revoke(
        &self,
        handset: &HandsetId,
        reason: Reason,
        now: Timestamp,
    ) -> Result<RevokeOutcome, StoreError> {
        let handset = handset.clone();
        self.write(move |db| Ok(enrolment::revoke(db, &handset, &reason, now)?))
            .await
    }

    async fn reinstate(
        &self,
        handset: &HandsetId,
        reason: Reason,
        now: Timestamp,
    ) -> Result<ReinstateOutcome, StoreError> {
        let handset = handset.clone();
        self.write(move |db| Ok(enrolment::reinstate(db, &handset, &reason, now)?))
            .await
    }

    async fn reinstatements(&self, handset: &HandsetId) -> Result<Vec<Reinstatement>, StoreError> {
        let handset = handset.clone();
        self.readers
            .read(move |db| enrolment::reinstatements(db, &handset))
            .await
    }

    async fn enrolment_changes(&self, version: u64) -> Result<EnrolmentChanges, StoreError> {
        self.readers
            .read(move |db| enrolment::changes(db, version))
            .await
    }

    async fn handset(&self, id: &HandsetId) -> Result<Option<HandsetRow>, StoreError> {
        let id = id.clone();
        self.readers
            .read(move |db| enrolment::handset(db, &id))
            .await
    }

    async fn handsets(&self, filter: HandsetFilter) -> Result<Vec<HandsetRow>, StoreError> {
        self.readers
            .read(move |db| enrolment::handsets(db, &filter))
            .await
    }

    async fn anomalies(&self, handset: &HandsetId) -> Result<Vec<Anomaly>, StoreError> {
        let handset = handset.clone();
        self.readers
            .read(move |db| enrolment::anomalies(db, &handset))
            .await
    }

    async fn append(&self, batch: Batch) -> Result<BatchReply, AppendError> {
        let bytes = batch
            .entries
            .iter()
            .flatten()
            .map(|verified| verified.jws.len())
            .sum();
        let (append, answer) = Append::new(batch);
        self.enqueue(append, bytes)?;
        answered(answer).await
    }

    async fn upload_status(
        &self,
        handset: &HandsetId,
        sha256: &Digest,
    ) -> Result<Option<UploadStatus>, StoreError> {
        let (handset, sha256) = (handset.clone(), *sha256);
        let upload = self
            .readers
            .read(move |db| uploads::find(db, &handset, &sha256))
            .await?;
        Ok(upload.map(|upload| UploadStatus {
            offset: upload.arrived,
            complete: upload.complete,
        }))
    }

    async fn upload_piece(&self, piece: Piece) -> Result<UploadStatus, UploadError> {
        self.take_piece(piece).await
    }

    async fn read_attachment(
        &self,
        handset: &HandsetId,
        sha256: &Digest,
        offset: u64,
        max_bytes: usize,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_file(handset.clone(), *sha256, offset, max_bytes)
            .await
    }

    async fn discard_stale_uploads(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.discard_uploads(before).await
    }

    async fn checkpoint(&self) -> Result<Option<String>, StoreError> {
        self.readers.read(|db| Ok(Tiles(db).newest()?.1)).await
    }

    async fn tile(&self, path: TilePath) -> Result<Option<Vec<u8>>, StoreError> {
        self.readers.read(move |db| Tiles(db).published(path)).await
    }

    async fn open_record(
        &self,
        id: RecordId,
        audit: Audit,
    ) -> Result<Option<StoredRecord>, StoreError> {
        self.write(move |db| Ok(records::open(db, &id, &audit)?))
            .await
    }

    async fn audit_trail(&self, limit: u32) -> Result<Vec<Audit>, StoreError> {
        self.readers
            .read(move |db| records::audit_trail(db, limit))
            .await
    }

    async fn prevalence(
        &self,
        department: Option<&DepartmentId>,
        reporting_since: Timestamp,
    ) -> Result<Vec<AppPrevalence>, StoreError> {
        let department = department.cloned();
        self.readers
            .read(move |db| posture::prevalence(db, department.as_ref(), reporting_since))
            .await
    }

    async fn figures(&self) -> Result<Figures, StoreError> {
        let queued = self.queued();
        self.readers
            .read(move |db| records::figures(db, queued))
            .await
    }

    fn healthy(&self) -> bool {
        !self.health.is_failed()
            && self
                .writes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_some()
    }

    async fn close(&self) {
        self.readers.close();
        // The writer ends once the queue is empty and no sender is left.
        drop(
            self.writes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer {
            // A panic in it has been noted in `health`.
            let _ = tokio::task::spawn_blocking(move || writer.join()).await;
        }
    }
}

#[cfg(test)]
mod tests;
