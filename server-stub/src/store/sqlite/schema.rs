//! The file: how a connection is set up, and the tables by version.

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

/// Marks the file as ours (`PRAGMA application_id`): "CAND".
pub(super) const APPLICATION_ID: i32 = 0x4341_4e44;

/// How long a write waits for one by another process, such as the command line. Those take
/// milliseconds; a longer wait is a fault and is answered as busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Compiled statements that a connection keeps: more than there are different ones.
const STATEMENT_CACHE: usize = 64;

/// What brings the file from each version to the next. Never edited once released.
const MIGRATIONS: &[&str] = &[
    include_str!("schema_v1.sql"),
    include_str!("schema_v2.sql"),
    include_str!("schema_v3.sql"),
];

/// The version that this code reads and writes.
pub(super) fn version() -> i32 {
    i32::try_from(MIGRATIONS.len()).expect("there are only a few migrations")
}

/// Opens a connection that may write.
pub(super) fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open(path)?;
    // A commit returns once it is on disk, also after a power cut (measured: NORMAL loses
    // acknowledged records). The next two matter on Apple's systems only. The cache, 16 MiB, holds
    // what the largest group changes; what does not fit is written twice.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA cache_size = -16384;",
    )?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open(path)?;
    connection.execute_batch("PRAGMA query_only = ON;")?;
    Ok(connection)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    connection.execute_batch(
        "PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA temp_store = MEMORY;",
    )?;
    Ok(connection)
}

/// The file's mark and version.
pub(super) fn identify(connection: &Connection) -> rusqlite::Result<(i32, i32)> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get(0));
    Ok((number("application_id")?, number("user_version")?))
}

/// Brings the tables to [`version`]. Another process may be doing the same; each step is done
/// once.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    loop {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (_, from) = identify(&tx)?;
        let step = usize::try_from(from)
            .ok()
            .and_then(|from| MIGRATIONS.get(from));
        let Some(step) = step else { return Ok(()) };
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", from + 1)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.commit()?;
    }
}
