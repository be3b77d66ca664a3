//! Taking a batch: standing, chain, the rules of each kind, the log.

use candour_wire::api::{BatchReply, Receipt, RecordResult};
use candour_wire::chain::{ChainError, Head, MAX_SEQ};
use candour_wire::code::Refusal;
use candour_wire::log::{HashPath, LeafSalt, entry};
use candour_wire::record::{Kind, Stream};
use candour_wire::{Code, Digest, HandsetId, RecordId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::oneshot;

use super::enrolment::{Standing, standing};
use super::tasks::{Fault, split};
use super::values::{digest, int, record_id, salt, time, uint, whole_ms};
use super::writer::{Failure, Group, Proofs, Undo, Work};
use super::{posture, uploads};
use crate::store::{AppendError, Batch, StoreError, Verified};

/// Refusals that an honest handset does not meet, each noted as an anomaly.
const ANOMALIES: [Code; 12] = [
    Code::RecordMalformed,
    Code::MemberUnknown,
    Code::SealRefused,
    Code::SignatureInvalid,
    Code::WrongHandset,
    Code::WrongStream,
    Code::AppNotInCatalogue,
    Code::PlaneRefused,
    Code::SequenceGap,
    Code::SequenceConflict,
    Code::ChainBroken,
    Code::IdConflict,
];

/// A batch on its way through the writer.
pub(super) struct Append {
    batch: Batch,
    /// What became of the records, and then of the batch; receipts have no path yet.
    results: Option<Result<Vec<RecordResult>, AppendError>>,
    reply: Option<BatchReply>,
    sender: oneshot::Sender<Result<BatchReply, AppendError>>,
}

impl Append {
    pub(super) fn new(
        mut batch: Batch,
    ) -> (Self, oneshot::Receiver<Result<BatchReply, AppendError>>) {
        batch.received = whole_ms(batch.received);
        let (sender, answer) = oneshot::channel();
        (
            Self {
                batch,
                results: None,
                reply: None,
                sender,
            },
            answer,
        )
    }
}

impl Work for Append {
    fn apply(&mut self, group: &mut Group<'_>) -> Result<(), Undo> {
        let (results, undo) = split(take_batch(group, &self.batch));
        self.results = Some(results);
        undo
    }

    fn prove(&mut self, proofs: &Proofs<'_>) -> Result<(), Undo> {
        let Some(Ok(results)) = &mut self.results else {
            return Ok(());
        };
        let mut results = std::mem::take(results);
        for result in &mut results {
            if let RecordResult::Receipt(receipt) = result {
                receipt.path = proofs.nodes.inclusion(receipt.index)?;
            }
        }
        self.reply = Some(BatchReply {
            results,
            checkpoint: proofs.checkpoint.to_owned(),
            consistency: proofs
                .nodes
                .consistency(self.batch.log_size)?
                .unwrap_or_default(),
            policy: None,
        });
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), Failure>) {
        let answer = match (outcome, self.results, self.reply) {
            (Err(failure), ..) => Err(StoreError::from(failure).into()),
            (Ok(()), Some(Err(error)), _) => Err(error),
            (Ok(()), _, Some(reply)) => Ok(reply),
            (Ok(()), _, None) => Err(StoreError::Failed.into()),
        };
        // The connection may be gone; the handset asks again and gets the same receipts.
        let _ = self.sender.send(answer);
    }
}

fn take_batch(
    group: &mut Group<'_>,
    batch: &Batch,
) -> Result<Vec<RecordResult>, Fault<AppendError>> {
    if !group.signs {
        return Err(Fault::Refused(StoreError::NoLogKey.into()));
    }
    let handset = match standing(group.db, &batch.handset)? {
        Standing::Enrolled(handset) => handset,
        Standing::Revoked => return Err(Fault::Refused(AppendError::Revoked)),
        Standing::Unknown => return Err(Fault::Refused(AppendError::NotEnrolled)),
    };
    let mut chain = Chain::load(group.db, handset, batch)?;
    if batch.log_size > group.log_size() {
        chain.note_anomaly(group.db, Code::LogForked, None)?;
    }
    let mut refused = false;
    let mut results = Vec::with_capacity(batch.entries.len());
    for entry in &batch.entries {
        let (record, outcome) = match entry {
            Err(refusal) => (None, Err(refusal.clone())),
            Ok(verified) => (Some(verified), chain.take(group, verified)?),
        };
        results.push(match outcome {
            Ok(receipt) => RecordResult::Receipt(receipt),
            Err(refusal) => {
                let code = refusal.known_code().filter(|code| ANOMALIES.contains(code));
                // After a refusal the rest of the batch cannot follow; that is no news.
                if let Some(code) = code.filter(|code| !refused || *code != Code::SequenceGap) {
                    chain.note_anomaly(group.db, code, record)?;
                }
                refused = true;
                RecordResult::Refusal(refusal)
            }
        });
    }
    chain.keep_head(group.db)?;
    group.want_checkpoint(batch.received);
    Ok(results)
}

/// One handset's chain of one stream, while a batch is taken.
struct Chain<'a> {
    handset: i64,
    id: &'a HandsetId,
    stream: Stream,
    received: Timestamp,
    head: Head,
}

/// A record that has been taken before.
struct Kept {
    handset: i64,
    id: RecordId,
    sha256: Digest,
    received: Timestamp,
    leaf: u64,
}

impl<'a> Chain<'a> {
    fn load(db: &Connection, handset: i64, batch: &'a Batch) -> rusqlite::Result<Self> {
        let head = db
            .prepare_cached("SELECT seq, digest FROM chain WHERE handset = ?1 AND stream = ?2")?
            .query_row(params![handset, batch.stream.as_str()], |row| {
                Ok(Head {
                    seq: uint(row, 0)?,
                    digest: digest(row, 1)?,
                })
            })
            .optional()?
            .unwrap_or_else(|| Head::genesis(&batch.handset, batch.stream));
        Ok(Self {
            handset,
            id: &batch.handset,
            stream: batch.stream,
            received: batch.received,
            head,
        })
    }

    /// Takes one record, or says why not; then nothing has been changed.
    fn take(
        &mut self,
        group: &mut Group<'_>,
        verified: &Verified,
    ) -> rusqlite::Result<Result<Receipt, Refusal>> {
        let record = &verified.record;
        // The caller has checked both; a slip there must not cross the planes (I9).
        if record.handset != *self.id {
            return Ok(Err(Refusal::new(Code::WrongHandset)));
        }
        if record.body.kind().stream() != self.stream {
            return Ok(Err(Refusal::new(Code::WrongStream)));
        }
        if let Some(kept) = self.kept_at(group.db, record.seq)? {
            if kept.sha256 == verified.digest {
                return again(group.db, &kept).map(Ok);
            }
            return Ok(Err(self.refusal(Code::SequenceConflict)));
        }
        if kept_as(group.db, &record.id)?.is_some() {
            return Ok(Err(self.refusal(Code::IdConflict)));
        }
        if let Err(error) = self.head.check_next(record.seq, &record.prev) {
            return Ok(Err(self.refusal(match error {
                ChainError::Behind => Code::SequenceConflict,
                ChainError::Gap => Code::SequenceGap,
                ChainError::Broken => Code::ChainBroken,
            })));
        }
        if record.seq > MAX_SEQ || record.policy > MAX_SEQ {
            return Ok(Err(posture::malformed(
                "a number is larger than JSON holds exactly",
            )));
        }
        let outcome = match self.stream {
            Stream::Posture => posture::apply(group.db, self.handset, &record.body, self.received),
            Stream::Records => self.check_declared(group.db, verified),
        }?;
        if let Err(refusal) = outcome {
            return Ok(Err(refusal));
        }
        let receipt = self.insert(group, verified)?;
        self.head = self.head.extended_by(verified.digest);
        Ok(Ok(receipt))
    }

    /// The rules of the records stream: what a record refers to is there and is this handset's.
    fn check_declared(
        &self,
        db: &Connection,
        verified: &Verified,
    ) -> rusqlite::Result<Result<(), Refusal>> {
        let body = &verified.record.body;
        if let Some(id) = body.refers_to() {
            let declared = kept_as(db, &id)?.is_some_and(|(kept, kind)| {
                kept.handset == self.handset && kind == Kind::Declaration.as_str()
            });
            if !declared {
                return Ok(Err(Refusal::new(Code::PlaneRefused)));
            }
        }
        let attachments = body
            .sealed()
            .map_or(&[][..], |(_, attachments)| attachments);
        uploads::refer(db, self.handset, attachments)
    }

    fn insert(&self, group: &mut Group<'_>, verified: &Verified) -> rusqlite::Result<Receipt> {
        let record = &verified.record;
        let salt = LeafSalt::make();
        let index = group.append_leaf(entry(&salt, &verified.digest));
        group
            .db
            .prepare_cached(
                "INSERT INTO record (handset, stream, seq, id, kind, sha256, created, received,
                   policy, refers_to, leaf)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                self.handset,
                self.stream.as_str(),
                int(record.seq)?,
                record.id.as_bytes(),
                record.body.kind().as_str(),
                verified.digest.0,
                record.created.as_millisecond(),
                self.received.as_millisecond(),
                int(record.policy)?,
                record.body.refers_to().map(|id| *id.as_bytes()),
                int(index)?,
            ])?;
        group
            .db
            .prepare_cached("INSERT INTO body (leaf, salt, jws) VALUES (?1, ?2, ?3)")?
            .execute(params![int(index)?, salt.0, verified.jws])?;
        Ok(Receipt {
            id: record.id,
            received: self.received,
            index,
            salt,
            path: HashPath::default(),
            duplicate: false,
        })
    }

    fn refusal(&self, code: Code) -> Refusal {
        Refusal {
            head: Some(self.head),
            ..Refusal::new(code)
        }
    }

    fn kept_at(&self, db: &Connection, seq: u64) -> rusqlite::Result<Option<Kept>> {
        if seq > self.head.seq {
            return Ok(None);
        }
        db.prepare_cached(
            "SELECT handset, id, sha256, received, leaf FROM record
             WHERE handset = ?1 AND stream = ?2 AND seq = ?3",
        )?
        .query_row(params![self.handset, self.stream.as_str(), int(seq)?], kept)
        .optional()
    }

    /// Keeps the head, and when the handset was seen.
    fn keep_head(&self, db: &Connection) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT INTO chain (handset, stream, seq, digest, last_seen) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (handset, stream) DO UPDATE
             SET seq = excluded.seq, digest = excluded.digest, last_seen = excluded.last_seen",
        )?
        .execute(params![
            self.handset,
            self.stream.as_str(),
            int(self.head.seq)?,
            self.head.digest.0,
            self.received.as_millisecond(),
        ])?;
        Ok(())
    }

    fn note_anomaly(
        &self,
        db: &Connection,
        code: Code,
        record: Option<&Verified>,
    ) -> rusqlite::Result<()> {
        // A number that does not fit is one more oddity of what is noted here.
        let seq = record.and_then(|verified| i64::try_from(verified.record.seq).ok());
        let id = record.map(|verified| *verified.record.id.as_bytes());
        db.prepare_cached(
            "INSERT INTO anomaly (handset, stream, code, count, first, last, last_seq, last_id)
             VALUES (?1, ?2, ?3, 1, ?4, ?4, ?5, ?6)
             ON CONFLICT (handset, stream, code) DO UPDATE
             SET count = count + 1, last = excluded.last, last_seq = excluded.last_seq,
               last_id = excluded.last_id",
        )?
        .execute(params![
            self.handset,
            self.stream.as_str(),
            code.as_str(),
            self.received.as_millisecond(),
            seq,
            id,
        ])?;
        Ok(())
    }
}

/// The receipt of a record that was taken before; its path is of the tree as it is now.
fn again(db: &Connection, kept: &Kept) -> rusqlite::Result<Receipt> {
    let salt = db
        .prepare_cached("SELECT salt FROM body WHERE leaf = ?1")?
        .query_row([int(kept.leaf)?], |row| salt(row, 0))?;
    Ok(Receipt {
        id: kept.id,
        received: kept.received,
        index: kept.leaf,
        salt,
        path: HashPath::default(),
        duplicate: true,
    })
}

/// The record of that id, of any handset, and its kind.
fn kept_as(db: &Connection, id: &RecordId) -> rusqlite::Result<Option<(Kept, String)>> {
    db.prepare_cached("SELECT handset, id, sha256, received, leaf, kind FROM record WHERE id = ?1")?
        .query_row([id.as_bytes()], |row| Ok((kept(row)?, row.get(5)?)))
        .optional()
}

fn kept(row: &rusqlite::Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        handset: row.get(0)?,
        id: record_id(row, 1)?,
        sha256: digest(row, 2)?,
        received: time(row, 3)?,
        leaf: uint(row, 4)?,
    })
}
