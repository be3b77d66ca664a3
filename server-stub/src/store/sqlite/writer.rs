//! The one thread that writes, and group commit.
//!
//! A sync to disk costs milliseconds whether it keeps one batch or five hundred. So the thread
//! takes what waits, up to a limit, and does it in one transaction: each piece of work; then the
//! log's new tiles, one signed checkpoint and the receipts' paths; one commit; and only then the
//! answers. Where a piece of work fails, all are done again, each in a savepoint of its own, so
//! that the one that fails is undone alone: savepoints copy every page that is changed, and hardly
//! anything fails.
//!
//! A full disk undoes the group and is answered as such; the next group may succeed. Any other
//! failure to write, sync or commit is final: the thread answers everything with
//! [`Failure::Failed`] until the process is restarted, because the kernel may have dropped the
//! pages that it could not write. A panic ends the thread with the same effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candour_wire::Digest;
use candour_wire::log::{Checkpoint, LogSigner};
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::error;

use super::tiles::Tiles;
use crate::log::{Edge, LogError, Nodes, TileCache};
use crate::store::StoreError;

/// Most work in one transaction: beyond this the sync is a small part of the cost.
const GROUP_MAX: usize = 512;

/// Most bytes in one transaction, so that the first in it does not wait for long.
const GROUP_MAX_BYTES: usize = 16 << 20;

/// Frames of the write-ahead log after which they are moved into the database: 16 MiB. A page that
/// changes often is moved once for all of them, so four times SQLite's own default saves a third
/// of the moving.
const CHECKPOINT_FRAMES: i64 = 4_000;

/// Something to be done in a transaction.
pub(super) trait Work: Send {
    /// Does it. On `Err` what it did is undone. It may be done again after it was undone.
    fn apply(&mut self, group: &mut Group<'_>) -> Result<(), Undo>;

    /// Takes from the log, as it stands after the whole group, what the answer needs.
    fn prove(&mut self, _proofs: &Proofs<'_>) -> Result<(), Undo> {
        Ok(())
    }

    /// Answers, after the commit or once it is known that there is none.
    fn answer(self: Box<Self>, outcome: Result<(), Failure>);
}

/// Why a piece of work is undone.
#[derive(Debug)]
pub(super) enum Undo {
    /// The work itself knows why and will answer so.
    Refused,
    /// SQLite failed.
    Sqlite(rusqlite::Error),
    /// The log's tiles are not all there.
    LogDamaged,
}

impl From<rusqlite::Error> for Undo {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<LogError<rusqlite::Error>> for Undo {
    fn from(error: LogError<rusqlite::Error>) -> Self {
        match error {
            LogError::Source(error) => Self::Sqlite(error),
            LogError::Missing => Self::LogDamaged,
        }
    }
}

/// Why a whole group was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Busy,
    Full,
    Failed,
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Busy => Self::Busy,
            Failure::Full => Self::Full,
            Failure::Failed => Self::Failed,
        }
    }
}

/// What an error of SQLite says about the store as a whole.
///
/// `None` is an error of the one statement; the store goes on.
pub(super) fn failure(error: &rusqlite::Error) -> Option<Failure> {
    match error.sqlite_error_code()? {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some(Failure::Busy),
        ErrorCode::DiskFull => Some(Failure::Full),
        ErrorCode::SystemIoFailure
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::ReadOnly
        | ErrorCode::CannotOpen => Some(Failure::Failed),
        _ => None,
    }
}

/// How a group's work is done.
#[derive(Debug, Clone, Copy)]
enum Apply {
    /// All or none.
    Together,
    /// Each in a savepoint of its own.
    Apart,
}

/// The transaction that work is applied in.
pub(super) struct Group<'a> {
    pub(super) db: &'a Connection,
    /// Whether there is a key to sign checkpoints with.
    pub(super) signs: bool,
    log_size: u64,
    entries: Vec<Digest>,
    checkpoint_time: Option<Timestamp>,
}

impl Group<'_> {
    /// Number of leaves, with those of this group so far.
    pub(super) fn log_size(&self) -> u64 {
        self.log_size + self.entries.len() as u64
    }

    /// Appends a leaf and returns its number.
    pub(super) fn append_leaf(&mut self, entry: Digest) -> u64 {
        let index = self.log_size();
        self.entries.push(entry);
        index
    }

    /// Asks for a checkpoint signed at `now` or later.
    pub(super) fn want_checkpoint(&mut self, now: Timestamp) {
        self.checkpoint_time = self.checkpoint_time.max(Some(now));
    }

    /// Does all work, or says that some of it fails.
    fn apply_all(&mut self, queue: &mut [Queued]) -> Result<bool, Undo> {
        for queued in queue {
            if let Err(undo) = queued.work.apply(self) {
                self.unless_final(undo)?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Does all work that does not fail.
    fn apply_each(&mut self, queue: &mut [Queued]) -> Result<(), Undo> {
        for queued in queue {
            let leaves = self.entries.len();
            self.db.execute_batch("SAVEPOINT work")?;
            if let Err(undo) = queued.work.apply(self) {
                self.unless_final(undo)?;
                self.db.execute_batch("ROLLBACK TO work")?;
                self.entries.truncate(leaves);
            }
            self.db.execute_batch("RELEASE work")?;
        }
        Ok(())
    }

    /// Passes on what ends the whole group: SQLite has undone the transaction, or it had better
    /// be undone.
    fn unless_final(&self, undo: Undo) -> Result<(), Undo> {
        match undo {
            Undo::Sqlite(error)
                if self.db.is_autocommit() || failure(&error) == Some(Failure::Failed) =>
            {
                Err(error.into())
            }
            _ => Ok(()),
        }
    }
}

/// The log as the group leaves it.
pub(super) struct Proofs<'a> {
    pub(super) nodes: Nodes<'a, Tiles<'a>>,
    /// The signed checkpoint of this tree.
    pub(super) checkpoint: &'a str,
}

/// Work with what it weighs in the queue.
pub(super) struct Queued {
    pub(super) work: Box<dyn Work>,
    pub(super) bytes: usize,
    /// The room it takes in the queue, free again once it is answered.
    pub(super) room: OwnedSemaphorePermit,
}

/// Whether the store still works; shared with the callers.
#[derive(Debug, Default)]
pub(super) struct Health(AtomicBool);

impl Health {
    pub(super) fn is_failed(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn fail(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// What the thread owns.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) signer: Option<LogSigner>,
    pub(super) edge: Edge,
    pub(super) cache: TileCache,
    pub(super) health: Arc<Health>,
}

impl Writer {
    /// Works until every sender is gone and the queue is empty.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Queued>) {
        let guard = FailOnPanic(Arc::clone(&self.health));
        while let Some(first) = queue.blocking_recv() {
            let mut bytes = first.bytes;
            let mut group = vec![first];
            while group.len() < GROUP_MAX
                && bytes < GROUP_MAX_BYTES
                && let Ok(next) = queue.try_recv()
            {
                bytes += next.bytes;
                group.push(next);
            }
            let outcome = self.commit(&mut group);
            for queued in group {
                queued.work.answer(outcome);
                drop(queued.room);
            }
            if outcome.is_ok() {
                self.move_into_database();
            }
        }
        if !self.health.is_failed() {
            let emptied = self
                .connection
                .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
            if let Err(error) = emptied {
                // Nothing is lost: the next open reads the write-ahead log.
                tracing::warn!(error = %error, "the write-ahead log could not be emptied");
            }
        }
        drop(guard);
    }

    /// Does the group's work in one transaction.
    fn commit(&mut self, group: &mut [Queued]) -> Result<(), Failure> {
        if self.health.is_failed() {
            return Err(Failure::Failed);
        }
        let outcome = match self.try_commit(group, Apply::Together) {
            Ok(false) => self.try_commit(group, Apply::Apart),
            outcome => outcome,
        };
        outcome.map(|_| ()).map_err(|undo| {
            // Tiles that only this transaction had filled may have been read.
            self.cache.clear();
            let failure = match &undo {
                Undo::Sqlite(error) => failure(error).unwrap_or(Failure::Failed),
                Undo::Refused | Undo::LogDamaged => Failure::Failed,
            };
            if failure == Failure::Failed {
                match undo {
                    Undo::Sqlite(error) => {
                        error!(
                            error = &error as &dyn std::error::Error,
                            "the store has failed"
                        );
                    }
                    Undo::Refused | Undo::LogDamaged => {
                        error!("the log cannot be continued; the store has failed");
                    }
                }
                self.health.fail();
            }
            failure
        })
    }

    /// Says whether it was done; if not, nothing has changed.
    fn try_commit(&mut self, queue: &mut [Queued], apply: Apply) -> Result<bool, Undo> {
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (log_size, _) = Tiles(&tx).newest()?;
        if log_size != self.edge.size() {
            // Another process has appended.
            self.cache.clear();
            self.edge = Edge::load(&Tiles(&tx), log_size)?;
        }
        let mut group = Group {
            db: &tx,
            signs: self.signer.is_some(),
            log_size,
            entries: Vec::new(),
            checkpoint_time: None,
        };
        match apply {
            Apply::Together => {
                if !group.apply_all(queue)? {
                    return Ok(false);
                }
            }
            Apply::Apart => group.apply_each(queue)?,
        }
        let mut edge = self.edge.clone();
        if let (Some(time), Some(signer)) = (group.checkpoint_time, &self.signer) {
            for entry in group.entries {
                edge.append(entry);
            }
            let tiles = Tiles(&tx);
            tiles.keep(&edge.take_changed())?;
            let nodes = Nodes::new(&edge, &tiles, &self.cache);
            let checkpoint = sign(&nodes, signer, time)?;
            tiles.set_newest(edge.size(), &checkpoint)?;
            let proofs = Proofs {
                nodes,
                checkpoint: &checkpoint,
            };
            for queued in queue.iter_mut() {
                queued.work.prove(&proofs)?;
            }
        }
        tx.commit()?;
        self.edge = edge;
        Ok(true)
    }

    /// Moves the write-ahead log into the database once it is long. SQLite would do so by itself
    /// at a commit, but would keep a failed sync to itself.
    fn move_into_database(&self) {
        let moved = self.waiting_frames().and_then(|frames| {
            if frames < CHECKPOINT_FRAMES {
                return Ok(());
            }
            self.connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()))
        });
        if let Err(error) = moved
            && failure(&error) == Some(Failure::Failed)
        {
            error!(
                error = &error as &dyn std::error::Error,
                "the store has failed"
            );
            self.health.fail();
        }
    }

    fn waiting_frames(&self) -> rusqlite::Result<i64> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(NOOP)", (), |row| {
                Ok(row.get::<_, i64>(1)?.saturating_sub(row.get(2)?))
            })
    }
}

/// Signs the tree's checkpoint.
pub(super) fn sign(
    nodes: &Nodes<'_, Tiles<'_>>,
    signer: &LogSigner,
    time: Timestamp,
) -> Result<String, Undo> {
    let checkpoint = Checkpoint {
        origin: signer.verifier().name().to_owned(),
        size: nodes.size(),
        root: nodes.root()?,
        time,
    };
    // The origin is the signer's own and the size is a leaf count; what could be out of range is
    // the caller's clock.
    checkpoint
        .sign(signer)
        .map_err(|error| Undo::Sqlite(rusqlite::Error::ToSqlConversionFailure(Box::new(error))))
}

struct FailOnPanic(Arc<Health>);

impl Drop for FailOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail();
        }
    }
}
