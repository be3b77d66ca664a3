//! The records role's reads, each audited first, and the numbers for the metrics.

use candour_wire::RecordId;
use candour_wire::record::Kind;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::enrolment::stream_named;
use super::values::{id, record_id, salt, time, uint, word};
use crate::store::{Audit, AuditAction, Figures, Reason, StoredRecord};

/// Keeps the audit row and reads the record, in the writer's transaction: the caller gets the
/// record after the commit, so never without the row.
pub(super) fn open(
    db: &Connection,
    record: &RecordId,
    audit: &Audit,
) -> rusqlite::Result<Option<StoredRecord>> {
    db.prepare_cached(
        "INSERT INTO audit (at, who, action, record, reason) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        audit.at.as_millisecond(),
        audit.who,
        audit.action.as_str(),
        record.as_bytes(),
        audit.reason.as_str(),
    ])?;
    db.prepare_cached(
        "SELECT r.id, h.id, h.spki, h.department, r.stream, r.kind, r.seq, r.received, r.leaf,
           b.salt, b.jws
         FROM record r JOIN handset h ON h.handset = r.handset JOIN body b ON b.leaf = r.leaf
         WHERE r.id = ?1 AND r.stream = 'records'",
    )?
    .query_row([record.as_bytes()], stored)
    .optional()
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredRecord> {
    Ok(StoredRecord {
        id: record_id(row, 0)?,
        handset: id(row, 1)?,
        spki: row.get(2)?,
        department: id(row, 3)?,
        stream: word(row, 4, stream_named)?,
        kind: word(row, 5, Kind::parse)?,
        seq: uint(row, 6)?,
        received: time(row, 7)?,
        index: uint(row, 8)?,
        salt: salt(row, 9)?,
        jws: row.get(10)?,
    })
}

pub(super) fn audit_trail(db: &Connection, limit: u32) -> rusqlite::Result<Vec<Audit>> {
    db.prepare_cached(
        "SELECT at, who, action, record, reason FROM audit ORDER BY audit DESC LIMIT ?1",
    )?
    .query_map([limit], |row| {
        Ok(Audit {
            at: time(row, 0)?,
            who: row.get(1)?,
            action: word(row, 2, AuditAction::parse)?,
            record: record_id(row, 3)?,
            reason: word(row, 4, |text| Reason::new(text).ok())?,
        })
    })?
    .collect()
}

/// The numbers that the database has; how much waits is the caller's to say.
pub(super) fn figures(db: &Connection, queued: u64) -> rusqlite::Result<Figures> {
    db.prepare_cached(
        "SELECT (SELECT coalesce(sum(count), 0) FROM anomaly), (SELECT size FROM log)",
    )?
    .query_row((), |row| {
        Ok(Figures {
            anomalies: uint(row, 0)?,
            log_size: uint(row, 1)?,
            queued,
        })
    })
}
