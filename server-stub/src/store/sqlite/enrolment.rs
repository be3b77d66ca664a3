//! Tokens, handsets and their standing.

use candour_wire::chain::Head;
use candour_wire::record::Stream;
use candour_wire::{DepartmentId, Digest, HandsetId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::tasks::Fault;
use super::values::{digest, id, json, record_id, time, time_or_null, uint, whole_ms, word};
use crate::store::{
    Anomaly, EnrolError, EnrolRequest, EnrolledKey, EnrolmentChanges, Handset, HandsetFilter,
    HandsetRow, IssuedCertificate, NewToken, Reason, ReinstateOutcome, Reinstatement,
    ReportedStatus, Revocation, RevokeOutcome,
};

pub(super) fn put_token(db: &Connection, token: &NewToken) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO token (hash, department, label, created, expires) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (hash) DO NOTHING",
    )?
    .execute(params![
        token.hash.0,
        token.department.as_str(),
        token.label,
        token.created.as_millisecond(),
        token.expires.as_millisecond(),
    ])?;
    Ok(())
}

struct Token {
    department: DepartmentId,
    label: Option<String>,
    expires: Timestamp,
    used_by: Option<i64>,
}

/// A handset's row number, and whether it is revoked.
struct Known {
    handset: i64,
    department: DepartmentId,
    label: Option<String>,
    enrolled: Timestamp,
    revoked: bool,
}

pub(super) fn enrol(db: &Connection, request: &EnrolRequest) -> Result<Handset, Fault<EnrolError>> {
    let refuse = |refusal| Err(Fault::Refused(refusal));
    let Some(token) = token(db, &request.token)? else {
        return refuse(EnrolError::TokenUnknown);
    };
    let key = Digest::of(&request.spki);
    let known = known(db, &key)?;
    if token.used_by.is_some() && token.used_by != known.as_ref().map(|known| known.handset) {
        return refuse(EnrolError::TokenUsed);
    }
    if request.now >= token.expires {
        return refuse(EnrolError::TokenExpired);
    }
    let id = HandsetId::derive(&request.spki);
    let (row, handset) = match known {
        Some(known) if known.revoked => return refuse(EnrolError::Revoked),
        Some(known) if known.department != token.department => {
            return refuse(EnrolError::OtherDepartment);
        }
        Some(Known {
            handset,
            department,
            label,
            enrolled,
            ..
        }) => (
            handset,
            Handset {
                id,
                department,
                label,
                enrolled,
            },
        ),
        None => {
            let Token {
                department, label, ..
            } = token;
            let enrolled = whole_ms(request.now);
            let handset = Handset {
                id,
                department,
                label,
                enrolled,
            };
            (insert(db, &handset, &request.spki, &key)?, handset)
        }
    };
    if token.used_by.is_none() {
        db.prepare_cached("UPDATE token SET used = ?2, used_by = ?3 WHERE hash = ?1")?
            .execute(params![request.token.0, request.now.as_millisecond(), row])?;
    }
    Ok(handset)
}

fn token(db: &Connection, hash: &Digest) -> rusqlite::Result<Option<Token>> {
    db.prepare_cached("SELECT department, label, expires, used_by FROM token WHERE hash = ?1")?
        .query_row([hash.0], |row| {
            Ok(Token {
                department: id(row, 0)?,
                label: row.get(1)?,
                expires: time(row, 2)?,
                used_by: row.get(3)?,
            })
        })
        .optional()
}

fn known(db: &Connection, key: &Digest) -> rusqlite::Result<Option<Known>> {
    db.prepare_cached(
        "SELECT handset, department, label, enrolled, revoked IS NOT NULL FROM handset
         WHERE spki_sha256 = ?1",
    )?
    .query_row([key.0], |row| {
        Ok(Known {
            handset: row.get(0)?,
            department: id(row, 1)?,
            label: row.get(2)?,
            enrolled: time(row, 3)?,
            revoked: row.get(4)?,
        })
    })
    .optional()
}

fn insert(db: &Connection, handset: &Handset, spki: &[u8], key: &Digest) -> rusqlite::Result<i64> {
    let changed = next_version(db)?;
    db.prepare_cached(
        "INSERT INTO handset (id, department, label, spki, spki_sha256, enrolled, changed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .insert(params![
        handset.id.as_str(),
        handset.department.as_str(),
        handset.label,
        spki,
        key.0,
        handset.enrolled.as_millisecond(),
        changed,
    ])
}

fn next_version(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("UPDATE enrolment SET version = version + 1 RETURNING version")?
        .query_row((), |row| row.get(0))
}

pub(super) fn certificate_issued(
    db: &Connection,
    certificate: &IssuedCertificate,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE handset SET certificate_serial = ?2, certificate_not_after = ?3 WHERE id = ?1",
    )?
    .execute(params![
        certificate.handset.as_str(),
        certificate.serial,
        certificate.not_after.as_millisecond(),
    ])?;
    Ok(())
}

pub(super) fn revoke(
    db: &Connection,
    handset: &HandsetId,
    reason: &Reason,
    now: Timestamp,
) -> rusqlite::Result<RevokeOutcome> {
    match standing(db, handset)? {
        Standing::Unknown => Ok(RevokeOutcome::Unknown),
        Standing::Revoked => Ok(RevokeOutcome::AlreadyRevoked),
        Standing::Enrolled(row) => {
            let changed = next_version(db)?;
            db.prepare_cached(
                "UPDATE handset SET revoked = ?2, revoked_reason = ?3, changed = ?4
                 WHERE handset = ?1",
            )?
            .execute(params![row, now.as_millisecond(), reason.as_str(), changed])?;
            Ok(RevokeOutcome::Revoked)
        }
    }
}

pub(super) fn reinstate(
    db: &Connection,
    handset: &HandsetId,
    reason: &Reason,
    now: Timestamp,
) -> rusqlite::Result<ReinstateOutcome> {
    match standing(db, handset)? {
        Standing::Unknown => return Ok(ReinstateOutcome::Unknown),
        Standing::Enrolled(_) => return Ok(ReinstateOutcome::NotRevoked),
        Standing::Revoked => {}
    }
    db.prepare_cached(
        "INSERT INTO reinstatement (handset, revoked, revoked_reason, reinstated, reason)
         SELECT handset, revoked, revoked_reason, ?2, ?3 FROM handset WHERE id = ?1",
    )?
    .execute(params![
        handset.as_str(),
        now.as_millisecond(),
        reason.as_str()
    ])?;
    let changed = next_version(db)?;
    db.prepare_cached(
        "UPDATE handset SET revoked = NULL, revoked_reason = NULL, changed = ?2 WHERE id = ?1",
    )?
    .execute(params![handset.as_str(), changed])?;
    Ok(ReinstateOutcome::Reinstated)
}

pub(super) fn reinstatements(
    db: &Connection,
    handset: &HandsetId,
) -> rusqlite::Result<Vec<Reinstatement>> {
    db.prepare_cached(
        "SELECT r.revoked, r.revoked_reason, r.reinstated, r.reason
         FROM reinstatement r JOIN handset h ON h.handset = r.handset
         WHERE h.id = ?1 ORDER BY r.reinstatement",
    )?
    .query_map([handset.as_str()], |row| {
        Ok(Reinstatement {
            revocation: Revocation {
                at: time(row, 0)?,
                reason: row.get(1)?,
            },
            at: time(row, 2)?,
            reason: row.get(3)?,
        })
    })?
    .collect()
}

/// Whether a handset may write, as of this transaction.
pub(super) enum Standing {
    Unknown,
    Revoked,
    /// It may; its row number.
    Enrolled(i64),
}

pub(super) fn standing(db: &Connection, handset: &HandsetId) -> rusqlite::Result<Standing> {
    let row = db
        .prepare_cached("SELECT handset, revoked IS NOT NULL FROM handset WHERE id = ?1")?
        .query_row([handset.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match row {
        None => Standing::Unknown,
        Some((_, true)) => Standing::Revoked,
        Some((handset, false)) => Standing::Enrolled(handset),
    })
}

pub(super) fn changes(db: &Connection, since: u64) -> rusqlite::Result<EnrolmentChanges> {
    let version = db
        .prepare_cached("SELECT version FROM enrolment")?
        .query_row((), |row| uint(row, 0))?;
    let mut changes = EnrolmentChanges {
        version,
        enrolled: Vec::new(),
        revoked: Vec::new(),
    };
    if version <= since {
        return Ok(changes);
    }
    let mut statement = db.prepare_cached(
        "SELECT spki_sha256, id, department, revoked IS NOT NULL FROM handset WHERE changed > ?1",
    )?;
    let mut rows = statement.query([i64::try_from(since).unwrap_or(i64::MAX)])?;
    while let Some(row) = rows.next()? {
        let spki = digest(row, 0)?;
        if row.get(3)? {
            changes.revoked.push(spki);
        } else {
            changes.enrolled.push(EnrolledKey {
                spki,
                handset: id(row, 1)?,
                department: id(row, 2)?,
            });
        }
    }
    Ok(changes)
}

/// Everything of a [`HandsetRow`], in the order in which [`handset_row`] reads it.
const HANDSET: &str = "SELECT h.id, h.department, h.label, h.enrolled, h.spki, h.revoked,
  h.revoked_reason, h.certificate_not_after,
  coalesce(max(p.last_seen, r.last_seen), p.last_seen, r.last_seen), i.confirmed,
  p.seq, p.digest, r.seq, r.digest, (SELECT coalesce(sum(count), 0) FROM anomaly a WHERE a.handset = h.handset),
  s.received, s.status
FROM handset h
LEFT JOIN inventory i ON i.handset = h.handset
LEFT JOIN chain p ON p.handset = h.handset AND p.stream = 'posture'
LEFT JOIN chain r ON r.handset = h.handset AND r.stream = 'records'
LEFT JOIN status s ON s.handset = h.handset ";

fn handset_row(row: &Row<'_>) -> rusqlite::Result<HandsetRow> {
    let handset = Handset {
        id: id(row, 0)?,
        department: id(row, 1)?,
        label: row.get(2)?,
        enrolled: time(row, 3)?,
    };
    let revoked = match time_or_null(row, 5)? {
        Some(at) => Some(Revocation {
            at,
            reason: row.get(6)?,
        }),
        None => None,
    };
    let status = match time_or_null(row, 15)? {
        Some(received) => Some(ReportedStatus {
            received,
            status: json(row, 16)?,
        }),
        None => None,
    };
    let head = |stream, column| -> rusqlite::Result<Head> {
        match row.get::<_, Option<i64>>(column)? {
            Some(_) => Ok(Head {
                seq: uint(row, column)?,
                digest: digest(row, column + 1)?,
            }),
            None => Ok(Head::genesis(&handset.id, stream)),
        }
    };
    Ok(HandsetRow {
        spki: row.get(4)?,
        revoked,
        certificate_not_after: time_or_null(row, 7)?,
        last_seen: time_or_null(row, 8)?,
        posture_confirmed: time_or_null(row, 9)?,
        posture_head: head(Stream::Posture, 10)?,
        records_head: head(Stream::Records, 12)?,
        anomalies: uint(row, 14)?,
        status,
        handset,
    })
}

pub(super) fn handset(db: &Connection, id: &HandsetId) -> rusqlite::Result<Option<HandsetRow>> {
    db.prepare_cached(&format!("{HANDSET} WHERE h.id = ?1"))?
        .query_row([id.as_str()], handset_row)
        .optional()
}

pub(super) fn handsets(
    db: &Connection,
    filter: &HandsetFilter,
) -> rusqlite::Result<Vec<HandsetRow>> {
    let sql = format!(
        "{HANDSET} WHERE h.id > ?1 AND (?2 IS NULL OR h.department = ?2) ORDER BY h.id LIMIT ?3"
    );
    let after = filter.after.as_ref().map_or("", HandsetId::as_str);
    let department = filter.department.as_ref().map(DepartmentId::as_str);
    db.prepare_cached(&sql)?
        .query_map(params![after, department, filter.limit], handset_row)?
        .collect()
}

pub(super) fn anomalies(db: &Connection, handset: &HandsetId) -> rusqlite::Result<Vec<Anomaly>> {
    let optional = |row: &Row<'_>, column| row.get::<_, Option<rusqlite::types::Value>>(column);
    db.prepare_cached(
        "SELECT a.stream, a.code, a.count, a.first, a.last, a.last_seq, a.last_id
         FROM anomaly a JOIN handset h ON h.handset = a.handset
         WHERE h.id = ?1 ORDER BY a.stream, a.code",
    )?
    .query_map([handset.as_str()], |row| {
        Ok(Anomaly {
            stream: word(row, 0, stream_named)?,
            code: row.get(1)?,
            count: uint(row, 2)?,
            first: time(row, 3)?,
            last: time(row, 4)?,
            last_seq: optional(row, 5)?.map(|_| uint(row, 5)).transpose()?,
            last_record: optional(row, 6)?.map(|_| record_id(row, 6)).transpose()?,
        })
    })?
    .collect()
}

/// The stream of that name.
pub(super) fn stream_named(name: &str) -> Option<Stream> {
    Stream::ALL
        .into_iter()
        .find(|stream| stream.as_str() == name)
}
