//! What the department keeps, behind one trait.
//!
//! The gateway, the records role and the command line all speak to a [`Store`]; SQLite is one
//! ([`sqlite::SqliteStore`]), and a server that outgrows one machine brings another. Every store
//! passes the same conformance suite.
//!
//! What every store promises:
//!
//! - **Kept means kept.** A call that returned `Ok` survives a crash and a power cut.
//! - **Once.** A record is known by handset, stream and sequence number. The same one again gets
//!   the same receipt; another one in its place is refused and noted as an anomaly.
//! - **Standing first.** Whether a handset is enrolled and not revoked is decided in the same
//!   transaction as the write (invariant I10).
//! - **One commit.** A record, its place in the chain, its leaf in the log and the signed
//!   checkpoint become visible together or not at all.
//! - **Audit first.** [`Store::open_record`] returns content only after its audit row is kept
//!   (invariant I9).
//!
//! A store has no clock: each time comes from the caller, and is kept to the millisecond. It
//! holds no secret: tokens come as digests, content comes sealed.

mod attachments;
#[cfg(test)]
mod conformance;
mod error;
pub mod sqlite;
mod types;

use async_trait::async_trait;
use candour_wire::api::{BatchReply, UploadStatus};
use candour_wire::log::tile::TilePath;
use candour_wire::{DepartmentId, Digest, HandsetId, RecordId};
use jiff::Timestamp;

pub use error::{AppendError, EnrolError, StoreError, UploadError};
pub use types::{
    Anomaly, AppPrevalence, Audit, AuditAction, Batch, EmptyReason, EnrolRequest, EnrolledKey,
    EnrolmentChanges, Figures, Handset, HandsetFilter, HandsetRow, IssuedCertificate, NewToken,
    Piece, Reason, ReinstateOutcome, Reinstatement, ReportedStatus, Revocation, RevokeOutcome,
    StoredRecord, Verified,
};

/// Everything the server keeps. See the [module](self) for what holds of every call.
///
/// All calls may be made at once from any task of a Tokio runtime with timers; none blocks the
/// calling thread. A call whose future is dropped may still take effect, as when a reply is lost.
#[async_trait]
pub trait Store: Send + Sync {
    // Enrolment.

    /// Keeps a one-time token, by its digest. A token that is already known stays as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn put_token(&self, token: NewToken) -> Result<(), StoreError>;

    /// Redeems a token for a key, atomically, and returns the enrolled handset.
    ///
    /// The token that this key has used already gives the same handset again until the token
    /// expires, because the first reply may have been lost. A key that is already enrolled may
    /// use a fresh token of its own department; it stays the same handset.
    ///
    /// # Errors
    ///
    /// [`EnrolError`]. Of a token that is wrong in several ways the first in this order is
    /// named: unknown, used, expired; then what is wrong with the key.
    async fn enrol(&self, request: EnrolRequest) -> Result<Handset, EnrolError>;

    /// Notes the certificate that a handset was given, for lists and for expiry alarms. A handset
    /// that is not known is ignored.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn certificate_issued(&self, certificate: IssuedCertificate) -> Result<(), StoreError>;

    /// Withdraws a handset's enrolment. From then on every batch and upload of its is refused.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn revoke(
        &self,
        handset: &HandsetId,
        reason: Reason,
        now: Timestamp,
    ) -> Result<RevokeOutcome, StoreError>;

    /// Takes back a revocation that was a mistake: the same key may connect again, so that what
    /// waits on the handset is not lost (invariant I4). Both reasons are kept.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn reinstate(
        &self,
        handset: &HandsetId,
        reason: Reason,
        now: Timestamp,
    ) -> Result<ReinstateOutcome, StoreError>;

    /// The revocations of a handset that were taken back, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn reinstatements(&self, handset: &HandsetId) -> Result<Vec<Reinstatement>, StoreError>;

    /// The keys that were enrolled, revoked or reinstated since `version`, 0 for all, so that the gateway's
    /// set of enrolled keys follows changes by any process. Cheap when nothing has changed.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn enrolment_changes(&self, version: u64) -> Result<EnrolmentChanges, StoreError>;

    /// A handset, enrolled or revoked.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn handset(&self, id: &HandsetId) -> Result<Option<HandsetRow>, StoreError>;

    /// A page of handsets in the order of their ids.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn handsets(&self, filter: HandsetFilter) -> Result<Vec<HandsetRow>, StoreError>;

    /// What was out of order with a handset's batches, by kind.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn anomalies(&self, handset: &HandsetId) -> Result<Vec<Anomaly>, StoreError>;

    // Ingest.

    /// Takes a batch and answers each record with a receipt or a refusal, in order.
    ///
    /// Entries that the caller refused keep their refusal. For the others, in this order: a
    /// record that is known gets its receipt again; a record that is not the next of its chain,
    /// or whose id is taken, is refused with the chain's head; then come the rules of its kind
    /// (a difference or heartbeat that starts from a list that is not the current one, a file
    /// that has not arrived, a reference to what is not this handset's declaration).
    ///
    /// The receipts' paths, the consistency proof and the checkpoint are of one tree, which has
    /// all records of the batch. A `log_size` beyond the log's is noted as an anomaly and gets an
    /// empty proof: the handset sees from the checkpoint that the log is shorter.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; nothing of the batch is kept then.
    async fn append(&self, batch: Batch) -> Result<BatchReply, AppendError>;

    // Attachments.

    /// Where an upload stands; `None` when nothing of it has arrived.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn upload_status(
        &self,
        handset: &HandsetId,
        sha256: &Digest,
    ) -> Result<Option<UploadStatus>, StoreError>;

    /// Takes a piece of a sealed file and says where the next one starts. The file is complete
    /// when its last byte has arrived and the whole has the digest that names it. A piece of a
    /// complete file changes nothing.
    ///
    /// # Errors
    ///
    /// [`UploadError`]. After [`UploadError::Digest`] the upload starts from 0.
    async fn upload_piece(&self, piece: Piece) -> Result<UploadStatus, UploadError>;

    /// Bytes of a complete file from `offset`, at most `max_bytes`; empty at its end, `None` when
    /// the handset has no such complete file. They are ciphertext; the audit row for reading
    /// what is in it is [`Store::open_record`]'s.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn read_attachment(
        &self,
        handset: &HandsetId,
        sha256: &Digest,
        offset: u64,
        max_bytes: usize,
    ) -> Result<Option<Vec<u8>>, StoreError>;

    /// Discards uploads that no record refers to and that have not moved since `before`, and
    /// returns how many. To be called about once a day.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn discard_stale_uploads(&self, before: Timestamp) -> Result<u64, StoreError>;

    // The log.

    /// The newest signed checkpoint; `None` before the log's key was first used here.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn checkpoint(&self) -> Result<Option<String>, StoreError>;

    /// The content of a tile or entry bundle (C2SP tlog-tiles); `None` when the log does not
    /// reach that far.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn tile(&self, path: TilePath) -> Result<Option<Vec<u8>>, StoreError>;

    // The records role.

    /// Keeps `audit` and then returns the record with its sealed content; `None` when there is
    /// no such record, which is audited all the same. A posture record is none: this role does
    /// not look at handsets (invariant I9).
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing is returned that is not audited.
    async fn open_record(
        &self,
        id: RecordId,
        audit: Audit,
    ) -> Result<Option<StoredRecord>, StoreError>;

    /// The newest entries of the audit trail, newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn audit_trail(&self, limit: u32) -> Result<Vec<Audit>, StoreError>;

    // Posture.

    /// How many handsets have each app, by department, from the current lists of handsets that
    /// are not revoked and whose list was sent or confirmed at `reporting_since` or later.
    /// Sorted by department and app.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn prevalence(
        &self,
        department: Option<&DepartmentId>,
        reporting_since: Timestamp,
    ) -> Result<Vec<AppPrevalence>, StoreError>;

    // The store itself.

    /// Numbers for the metrics.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn figures(&self) -> Result<Figures, StoreError>;

    /// Whether the store takes writes. Once false it stays false until the process is restarted:
    /// after a failed sync to disk nobody knows what is there.
    fn healthy(&self) -> bool;

    /// Finishes what was taken and closes. Later calls fail with [`StoreError::Closed`].
    async fn close(&self);
}
