//! The rows of uploads: how far each has come, and which record needs it.

use candour_wire::attachment::ciphertext_len;
use candour_wire::code::Refusal;
use candour_wire::limits::{ATTACHMENT_MAX_BYTES, ATTACHMENTS_MAX};
use candour_wire::record::AttachmentRef;
use candour_wire::{Code, Digest, HandsetId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::enrolment::{Standing, standing};
use super::posture::malformed;
use super::tasks::Fault;
use super::values::{digest, id, int, uint};
use crate::store::{Piece, UploadError};

/// Longest sealed file, in bytes.
pub(super) const SIZE_MAX: u64 = ciphertext_len(ATTACHMENT_MAX_BYTES);

/// Most bytes that a handset may have on the server without a record that refers to them: the
/// files of one declaration at its largest, which all arrive before it.
const UNREFERENCED_MAX_BYTES: u64 = SIZE_MAX * ATTACHMENTS_MAX as u64;

/// Most such files: those of two declarations, so that one can be begun anew.
const UNREFERENCED_MAX_FILES: u64 = 2 * ATTACHMENTS_MAX as u64;

/// How far an upload has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Upload {
    pub(super) size: u64,
    pub(super) arrived: u64,
    pub(super) complete: bool,
}

pub(super) fn find(
    db: &Connection,
    handset: &HandsetId,
    sha256: &Digest,
) -> rusqlite::Result<Option<Upload>> {
    db.prepare_cached(
        "SELECT a.size, a.arrived, a.complete FROM attachment a JOIN handset h USING (handset)
         WHERE h.id = ?1 AND a.sha256 = ?2",
    )?
    .query_row(params![handset.as_str(), sha256.0], |row| {
        Ok(Upload {
            size: uint(row, 0)?,
            arrived: uint(row, 1)?,
            complete: row.get(2)?,
        })
    })
    .optional()
}

/// Finds or begins the upload that a piece belongs to.
pub(super) fn begin(db: &Connection, piece: &Piece) -> Result<Upload, Fault<UploadError>> {
    let handset = may_upload(db, &piece.handset)?;
    let known = find(db, &piece.handset, &piece.sha256)?;
    if let Some(upload) = known.filter(|upload| upload.complete || upload.size == piece.total) {
        return Ok(upload);
    }
    // New, or announced with another size before. Only one of the sizes can be right, and what
    // came under the other cannot be told from damage, so it starts again.
    let (files, bytes) = db
        .prepare_cached(
            "SELECT count(*), coalesce(sum(size), 0) FROM attachment
             WHERE handset = ?1 AND referenced = 0 AND sha256 <> ?2",
        )?
        .query_row(params![handset, piece.sha256.0], |row| {
            Ok((uint(row, 0)?, uint(row, 1)?))
        })?;
    if files >= UNREFERENCED_MAX_FILES || bytes.saturating_add(piece.total) > UNREFERENCED_MAX_BYTES
    {
        return Err(Fault::Refused(UploadError::Quota));
    }
    db.prepare_cached(
        "INSERT INTO attachment (handset, sha256, size, arrived, complete, referenced, updated)
         VALUES (?1, ?2, ?3, 0, 0, 0, ?4)
         ON CONFLICT (handset, sha256) DO UPDATE
         SET size = excluded.size, arrived = 0, updated = excluded.updated",
    )?
    .execute(params![
        handset,
        piece.sha256.0,
        int(piece.total)?,
        piece.now.as_millisecond()
    ])?;
    Ok(Upload {
        size: piece.total,
        arrived: 0,
        complete: false,
    })
}

/// Notes how far an upload has come; its bytes are on disk. Standing is checked again, because
/// writing them took a while.
pub(super) fn advance(
    db: &Connection,
    piece: &Piece,
    arrived: u64,
    complete: bool,
) -> Result<(), Fault<UploadError>> {
    let handset = may_upload(db, &piece.handset)?;
    let changed = db
        .prepare_cached(
            "UPDATE attachment SET arrived = ?3, complete = ?4, updated = ?5
             WHERE handset = ?1 AND sha256 = ?2",
        )?
        .execute(params![
            handset,
            piece.sha256.0,
            int(arrived)?,
            complete,
            piece.now.as_millisecond(),
        ])?;
    if changed == 0 {
        return Err(Fault::Refused(UploadError::Offset { expected: 0 }));
    }
    Ok(())
}

/// Forgets an upload whose bytes were not those announced.
pub(super) fn forget(
    db: &Connection,
    handset: &HandsetId,
    sha256: &Digest,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM attachment WHERE sha256 = ?2 AND referenced = 0
         AND handset = (SELECT handset FROM handset WHERE id = ?1)",
    )?
    .execute(params![handset.as_str(), sha256.0])?;
    Ok(())
}

/// Marks a record's files as referred to, or refuses because one has not arrived.
pub(super) fn refer(
    db: &Connection,
    handset: i64,
    attachments: &[AttachmentRef],
) -> rusqlite::Result<Result<(), Refusal>> {
    if attachments.len() > ATTACHMENTS_MAX {
        return Ok(Err(malformed(
            "the record has more files than a declaration may have",
        )));
    }
    let mut complete = db.prepare_cached(
        "SELECT size FROM attachment WHERE handset = ?1 AND sha256 = ?2 AND complete = 1",
    )?;
    for attachment in attachments {
        let size = complete
            .query_row(params![handset, attachment.sha256.0], |row| uint(row, 0))
            .optional()?;
        if size != Some(attachment.size) {
            let missing = Refusal {
                detail: Some(attachment.sha256.to_string()),
                ..Refusal::new(Code::AttachmentMissing)
            };
            return Ok(Err(missing));
        }
    }
    let mut refer = db.prepare_cached(
        "UPDATE attachment SET referenced = 1 WHERE handset = ?1 AND sha256 = ?2",
    )?;
    for attachment in attachments {
        refer.execute(params![handset, attachment.sha256.0])?;
    }
    Ok(Ok(()))
}

/// Uploads that no record refers to and that have not moved since `before`.
pub(super) fn stale(
    db: &Connection,
    before: Timestamp,
) -> rusqlite::Result<Vec<(HandsetId, Digest)>> {
    db.prepare_cached(
        "SELECT h.id, a.sha256 FROM attachment a JOIN handset h USING (handset)
         WHERE a.referenced = 0 AND a.updated < ?1",
    )?
    .query_map([before.as_millisecond()], |row| {
        Ok((id(row, 0)?, digest(row, 1)?))
    })?
    .collect()
}

/// Forgets an upload if it is still stale; says whether it was.
pub(super) fn forget_stale(
    db: &Connection,
    handset: &HandsetId,
    sha256: &Digest,
    before: Timestamp,
) -> rusqlite::Result<bool> {
    let forgotten = db
        .prepare_cached(
            "DELETE FROM attachment WHERE sha256 = ?2 AND referenced = 0 AND updated < ?3
             AND handset = (SELECT handset FROM handset WHERE id = ?1)",
        )?
        .execute(params![handset.as_str(), sha256.0, before.as_millisecond()])?;
    Ok(forgotten > 0)
}

fn may_upload(db: &Connection, handset: &HandsetId) -> Result<i64, Fault<UploadError>> {
    match standing(db, handset)? {
        Standing::Enrolled(handset) => Ok(handset),
        Standing::Revoked => Err(Fault::Refused(UploadError::Revoked)),
        Standing::Unknown => Err(Fault::Refused(UploadError::NotEnrolled)),
    }
}
