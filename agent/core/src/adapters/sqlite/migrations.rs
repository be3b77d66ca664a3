//! The steps from one format of the store to the next. A step that has been released never
//! changes, and none imports a type of the core, so that each does tomorrow what it did then.

use rusqlite::{Connection, TransactionBehavior};

use super::store_error;
use crate::ports::StoreError;

/// Step *n* makes format *n* + 1 of format *n*.
const STEPS: [&str; 2] = [
    // 1: the six tables of the first release.
    "CREATE TABLE meta (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT;
     CREATE TABLE epoch (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT;
     CREATE TABLE draft (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT;
     CREATE TABLE outbox (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT;
     CREATE TABLE quarantine (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT;
     CREATE TABLE receipt (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT;",
    // 2: which imported messages were declared.
    "CREATE TABLE declared (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT;",
];

/// The newest format, which this version writes.
#[expect(
    clippy::cast_possible_truncation,
    reason = "there are a handful of steps"
)]
pub(super) const VERSION: u32 = STEPS.len() as u32;

/// Brings the store to the newest format, each step in a commit of its own.
pub(super) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    let found = version(connection)?;
    // Nobody but this code sets the number, and it is never negative.
    let found = u32::try_from(found).map_err(|_| StoreError::Damaged)?;
    if found > VERSION {
        return Err(StoreError::Version {
            found,
            known: VERSION,
        });
    }
    for (step, to) in STEPS.iter().zip(1_u32..).filter(|(_, to)| *to > found) {
        take(connection, step, to).map_err(store_error)?;
    }
    Ok(())
}

fn version(connection: &Connection) -> Result<i64, StoreError> {
    connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(store_error)
}

fn take(connection: &mut Connection, step: &str, to: u32) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(step)?;
    transaction.pragma_update(None, "user_version", to)?;
    transaction.commit()
}
