//! What posture records change: the current list of each handset, and its status.

use candour_wire::code::Refusal;
use candour_wire::limits::{CATALOGUE_MAX_APPS, SHORT_TEXT_MAX_CHARS};
use candour_wire::posture::{HandsetFacts, Inventory, Status};
use candour_wire::record::Body;
use candour_wire::{Code, DepartmentId, Digest};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::values::{digest, id, json, to_json, uint};
use crate::store::AppPrevalence;

/// Most codes in a status. There are fewer codes than that.
const PROBLEMS_MAX: usize = 100;

/// Applies a posture record, or says why not; then nothing has been changed.
pub(super) fn apply(
    db: &Connection,
    handset: i64,
    body: &Body,
    received: Timestamp,
) -> rusqlite::Result<Result<(), Refusal>> {
    let base_unknown = || Ok(Err(Refusal::new(Code::BaseUnknown)));
    match body {
        Body::Inventory(list) => replace(db, handset, list, received),
        Body::InventoryChange(change) => {
            let current: Option<Inventory> = db
                .prepare_cached("SELECT list FROM inventory WHERE handset = ?1")?
                .query_row([handset], |row| json(row, 0))
                .optional()?;
            match current.and_then(|current| current.apply(change)) {
                Some(list) => replace(db, handset, &list, received),
                None => base_unknown(),
            }
        }
        Body::Heartbeat(heartbeat) => {
            let current: Option<Digest> = db
                .prepare_cached("SELECT hash FROM inventory WHERE handset = ?1")?
                .query_row([handset], |row| digest(row, 0))
                .optional()?;
            if current != Some(heartbeat.inventory) {
                return base_unknown();
            }
            db.prepare_cached("UPDATE inventory SET confirmed = ?2 WHERE handset = ?1")?
                .execute(params![handset, received.as_millisecond()])?;
            Ok(Ok(()))
        }
        Body::Status(status) => note_status(db, handset, status, received),
        Body::Declaration(_) | Body::Amendment(_) | Body::Withdrawal(_) => Ok(Ok(())),
    }
}

fn replace(
    db: &Connection,
    handset: i64,
    list: &Inventory,
    received: Timestamp,
) -> rusqlite::Result<Result<(), Refusal>> {
    if let Err(detail) = check(list) {
        return Ok(Err(malformed(detail)));
    }
    db.prepare_cached(
        "INSERT INTO inventory (handset, hash, list, confirmed) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (handset) DO UPDATE
         SET hash = excluded.hash, list = excluded.list, confirmed = excluded.confirmed",
    )?
    .execute(params![
        handset,
        list.hash().0,
        to_json(list)?,
        received.as_millisecond()
    ])?;
    db.prepare_cached("DELETE FROM presence WHERE handset = ?1")?
        .execute([handset])?;
    let mut insert =
        db.prepare_cached("INSERT INTO presence (handset, app, state) VALUES (?1, ?2, ?3)")?;
    for app in &list.apps {
        insert.execute(params![handset, app.app.as_str(), app.state.as_str()])?;
    }
    Ok(Ok(()))
}

/// Checks what the types do not: a list is short, names each app once, and says little.
fn check(list: &Inventory) -> Result<(), &'static str> {
    if list.apps.len() > CATALOGUE_MAX_APPS {
        return Err("the list has more apps than a catalogue may have");
    }
    let mut apps: Vec<_> = list.apps.iter().map(|app| &app.app).collect();
    apps.sort();
    if apps.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
        return Err("the list names an app twice");
    }
    let HandsetFacts {
        platform,
        os_version,
        model,
        agent_version,
    } = &list.handset;
    let facts = [
        Some(platform),
        os_version.as_ref(),
        model.as_ref(),
        Some(agent_version),
    ];
    if facts
        .into_iter()
        .flatten()
        .any(|fact| fact.chars().count() > SHORT_TEXT_MAX_CHARS)
    {
        return Err("a fact about the handset is too long");
    }
    Ok(())
}

fn note_status(
    db: &Connection,
    handset: i64,
    status: &Status,
    received: Timestamp,
) -> rusqlite::Result<Result<(), Refusal>> {
    let too_long = |code: &String| code.len() > SHORT_TEXT_MAX_CHARS;
    if status.problems.len() > PROBLEMS_MAX || status.problems.iter().any(too_long) {
        return Ok(Err(malformed("the status lists more than codes")));
    }
    db.prepare_cached(
        "INSERT INTO status (handset, received, status) VALUES (?1, ?2, ?3)
         ON CONFLICT (handset) DO UPDATE
         SET received = excluded.received, status = excluded.status",
    )?
    .execute(params![
        handset,
        received.as_millisecond(),
        to_json(status)?
    ])?;
    Ok(Ok(()))
}

/// A refusal of a record that can be read but breaks a rule of the format.
pub(super) fn malformed(detail: &str) -> Refusal {
    Refusal {
        detail: Some(detail.to_owned()),
        ..Refusal::new(Code::RecordMalformed)
    }
}

pub(super) fn prevalence(
    db: &Connection,
    department: Option<&DepartmentId>,
    reporting_since: Timestamp,
) -> rusqlite::Result<Vec<AppPrevalence>> {
    db.prepare_cached(
        "WITH reporting AS (
           SELECT h.handset, h.department FROM handset h JOIN inventory i USING (handset)
           WHERE h.revoked IS NULL AND i.confirmed >= ?1 AND (?2 IS NULL OR h.department = ?2)
         ), total AS (
           SELECT department, count(*) AS reporting FROM reporting GROUP BY department
         )
         SELECT r.department, p.app, sum(p.state = 'installed'), sum(p.state = 'absent'),
           t.reporting
         FROM reporting r JOIN presence p USING (handset) JOIN total t USING (department)
         GROUP BY r.department, p.app ORDER BY r.department, p.app",
    )?
    .query_map(
        params![
            reporting_since.as_millisecond(),
            department.map(DepartmentId::as_str)
        ],
        |row| {
            let (installed, absent, reporting) = (uint(row, 2)?, uint(row, 3)?, uint(row, 4)?);
            Ok(AppPrevalence {
                department: id(row, 0)?,
                app: id(row, 1)?,
                installed,
                absent,
                // Also the handsets whose list does not have the app.
                unknown: reporting.saturating_sub(installed).saturating_sub(absent),
                reporting,
            })
        },
    )?
    .collect()
}
