//! The store on disk: one SQLite file, one table of keys and values per [`Table`].
//!
//! # Durability
//!
//! Write-ahead log with `synchronous=FULL`: a commit syncs the log before it returns, and on
//! Apple's systems with `F_FULLFSYNC`. With `NORMAL` a power cut loses the last commits, which
//! killing the process does not show. A commit that fails for any reason but a full disk ends the
//! use of the handle: after a failed sync the kernel may have dropped the pages and report the
//! next sync as good, so nothing more is tried until the file is opened again.
//!
//! # Damage
//!
//! Opening checks the whole file (`integrity_check`), and damage that is met later is reported as
//! such. SQLite takes a damaged frame of the log for the log's end, so the log is looked through
//! beforehand. An index that does not agree with its table is built anew, since the table has all that
//! was in it. [`open_or_set_aside`] renames files that are damaged otherwise, so that they can be
//! examined, and begins a new store.
//!
//! # One process
//!
//! The file is locked for as long as it is open; a second one gets [`StoreError::Busy`].
//!
//! # Format
//!
//! `user_version` counts the migrations. `secure_delete` is on, so that deleted rows do not
//! stay in free pages; deleting an epoch's key empties the log as well.

mod migrations;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use candour_sqlite_log::Verdict;
use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior, params,
};

use super::files;
use crate::ports::{Change, Row, Store, StoreError, Table, Usage};

/// Longest value that is read or written, in bytes. The longest row, a damaged record of 1 MiB in
/// the quarantine, is about 3 MiB; a forged file cannot make the agent take more memory.
const VALUE_MAX_BYTES: i32 = 16 << 20;

/// Page cache, in KiB. The rows are read once each, so more would serve nothing.
const CACHE_KIB: i32 = 1024;

/// A store in a SQLite file. See the [module](self).
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    /// A commit has failed: nothing more is tried.
    failed: bool,
}

impl SqliteStore {
    /// Opens the file, or makes it, readable by its owner only. Reads all of it once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Version`], [`StoreError::Busy`],
    /// [`StoreError::Full`] or [`StoreError::Io`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // SQLite gives the log and its index the permissions of the file.
        create(path).and_then(|()| files::sync_parent(path))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(store_error)?;
        prepare(&connection).map_err(store_error)?;
        migrations::run(&mut connection)?;
        check(&connection)?;
        Ok(Self {
            connection,
            failed: false,
        })
    }

    fn reading(&self) -> Result<&Connection, StoreError> {
        if self.failed {
            Err(StoreError::Io(Box::new(FailedEarlier)))
        } else {
            Ok(&self.connection)
        }
    }

    /// Runs `SELECT key, <what>` over a range of keys.
    fn range<T: rusqlite::types::FromSql>(
        &self,
        what: &str,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
        let connection = self.reading()?;
        let (first, operator) = match after {
            Some(after) if after >= prefix => (after, ">"),
            _ => (prefix, ">="),
        };
        let end = end_of_prefix(prefix);
        let below = if end.is_some() {
            "AND key < ?3"
        } else {
            "AND ?3 IS NULL"
        };
        let table = table.as_str();
        let sql = format!(
            "SELECT key, {what} FROM {table} WHERE key {operator} ?1 {below} ORDER BY key LIMIT ?2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = connection.prepare_cached(&sql).map_err(store_error)?;
        let rows = statement.query_map(params![first, limit, end], |row| {
            Ok((row.get(0)?, row.get(1)?))
        });
        rows.and_then(Iterator::collect).map_err(store_error)
    }

    fn write(&mut self, changes: &[Change]) -> Result<(), rusqlite::Error> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for change in changes {
            match change {
                Change::Put(table, key, value) => transaction
                    .prepare_cached(&format!(
                        "INSERT INTO {} (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
                        table.as_str()
                    ))?
                    .execute(params![key, value])?,
                Change::Delete(table, key) => transaction
                    .prepare_cached(&format!("DELETE FROM {} WHERE key = ?1", table.as_str()))?
                    .execute(params![key])?,
            };
        }
        transaction.commit()
    }

    /// Writes the log back and cuts it off, so that what was deleted is not in it any more. The
    /// commit before it stands whatever happens.
    fn empty_log(&mut self) {
        let emptied = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = emptied.map_err(store_error) {
            tracing::warn!(%error, "the store's log could not be emptied");
            self.failed = !matches!(error, StoreError::Full);
        }
    }
}

impl Store for SqliteStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.reading()?
            .prepare_cached(&format!(
                "SELECT value FROM {} WHERE key = ?1",
                table.as_str()
            ))
            .and_then(|mut statement| {
                statement
                    .query_row(params![key], |row| row.get(0))
                    .optional()
            })
            .map_err(store_error)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.range("value", table, prefix, after, limit)
    }

    fn scan_lengths(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, u64)>, StoreError> {
        let rows = self.range::<i64>("length(value)", table, prefix, after, limit)?;
        Ok(rows
            .into_iter()
            .map(|(key, bytes)| (key, bytes.cast_unsigned()))
            .collect())
    }

    fn usage(&self, table: Table) -> Result<Usage, StoreError> {
        let sql = format!(
            "SELECT count(*), coalesce(sum(length(value)), 0) FROM {}",
            table.as_str()
        );
        self.reading()?
            .prepare_cached(&sql)
            .and_then(|mut statement| {
                statement.query_row([], |row| {
                    let (rows, bytes): (i64, i64) = (row.get(0)?, row.get(1)?);
                    Ok(Usage {
                        rows: rows.cast_unsigned(),
                        bytes: bytes.cast_unsigned(),
                    })
                })
            })
            .map_err(store_error)
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.reading()?;
        if let Err(error) = self.write(changes) {
            let error = store_error(error);
            // Out of room: SQLite has rolled back, and what the log holds of it does not count.
            self.failed = !matches!(error, StoreError::Full) || !self.connection.is_autocommit();
            return Err(error);
        }
        if changes
            .iter()
            .any(|change| matches!(change, Change::Delete(Table::Epoch, _)))
        {
            self.empty_log();
        }
        Ok(())
    }
}

/// Opens the store; a damaged one is set aside first and a new one begun.
///
/// The damaged file keeps its content and its directory under the name that is returned, such as
/// `agent.db.damaged-20261122T100000Z`; its log goes with it. Nothing is deleted. Where it is only
/// the log that is damaged, a copy is set aside, and the store goes on with what comes before the
/// damage.
///
/// SQLite makes a new store where the file is empty or not there, and deletes the log beside it.
/// That is right for a home that has never been used. With `used`, or with a log, the file has lost
/// what was in it: what is left is set aside, or an empty file where nothing is, by which it is told.
///
/// # Errors
///
/// As [`SqliteStore::open`], but for damage; or when a file cannot be renamed.
pub fn open_or_set_aside(
    path: &Path,
    used: bool,
    now: Timestamp,
) -> Result<(SqliteStore, Option<String>), StoreError> {
    let log = with_suffix(path, LOG);
    // A log without its file is also what a crash leaves between the renames below.
    let emptied = length(path)? == 0 && (used || length(&log)? > 0);
    if !emptied {
        let verdict = match File::open(&log) {
            Ok(log) => candour_sqlite_log::judge(&mut BufReader::new(log))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Verdict::Whole,
            Err(error) => return Err(error.into()),
        };
        let copied = match verdict {
            Verdict::Lost => Some(copy_aside(path, now)?),
            Verdict::Whole | Verdict::Tail => None,
        };
        match SqliteStore::open(path) {
            Err(StoreError::Damaged) => {}
            Err(error) => return Err(error),
            Ok(mut store) => {
                if verdict != Verdict::Whole {
                    // What is behind the last good commit must not be taken for damage later.
                    store.empty_log();
                }
                return Ok((store, copied));
            }
        }
    }
    let aside = free_name(path, now)?;
    for suffix in std::iter::once("").chain(SIDE_FILES) {
        match fs::rename(with_suffix(path, suffix), with_suffix(&aside, suffix)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    let log = with_suffix(&aside, LOG);
    if !aside.exists() && !log.exists() {
        // What was not there has a name all the same, by which it is told.
        create(&aside)?;
    }
    files::sync_parent(path)?;
    match SqliteStore::open(path) {
        Ok(store) => Ok((store, Some(file_name(&aside)))),
        Err(error) => {
            if !log.exists() && length(&aside)? == 0 {
                // It will be told when a store can be begun, and not once more at each attempt.
                fs::remove_file(&aside)?;
            }
            Err(error)
        }
    }
}

/// Bytes of a file; none where there is no such file.
fn length(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// Makes a file that its owner alone may read; one that is there stays as it is.
fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.mode(0o600).open(path).map(drop)
}

/// Copies a store with its log to a name that it returns.
fn copy_aside(path: &Path, now: Timestamp) -> Result<String, StoreError> {
    let aside = free_name(path, now)?;
    // The log first: alone it is set aside as well, and a copy without it would look whole.
    for suffix in [LOG, ""] {
        let to = with_suffix(&aside, suffix);
        let copied =
            fs::copy(with_suffix(path, suffix), &to).and_then(|_| File::open(&to)?.sync_all());
        if let Err(error) = copied {
            // Half a copy is of no use, and the next attempt has another name.
            let _ = fs::remove_file(&to);
            return Err(error.into());
        }
    }
    files::sync_parent(path)?;
    Ok(file_name(&aside))
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The names under which stores at `path` were set aside, in order. A crash may have left a
/// store's log alone; it counts too.
///
/// # Errors
///
/// When the directory cannot be read.
pub fn set_aside(path: &Path) -> Result<Vec<String>, StoreError> {
    let (Some(dir), Some(file)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let prefix = format!("{}{DAMAGED}", file.to_string_lossy());
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?.file_name();
        let name = entry.to_string_lossy();
        if name.starts_with(&prefix) {
            let store = SIDE_FILES
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix));
            names.insert(store.unwrap_or(&name).to_owned());
        }
    }
    Ok(names.into_iter().collect())
}

/// What comes after the store's name in that of one that was set aside.
const DAMAGED: &str = ".damaged-";

/// How the name of the store's log ends.
const LOG: &str = "-wal";

/// How the names of the files end that SQLite keeps beside the store.
const SIDE_FILES: [&str; 2] = [LOG, "-shm"];

/// A name beside `path` that says when, and that no file has.
fn free_name(path: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    let stamp = now.strftime("%Y%m%dT%H%M%SZ");
    (1..100)
        .map(|n| {
            if n == 1 {
                format!("{DAMAGED}{stamp}")
            } else {
                format!("{DAMAGED}{stamp}-{n}")
            }
        })
        .map(|suffix| with_suffix(path, &suffix))
        .find(|path| !path.exists())
        .ok_or_else(|| StoreError::Io("there are a hundred damaged stores".into()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    // Without it a range is planned anew each time that its ends are bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_MAX_BYTES)?;
    // Before the log is opened, so that no shared-memory file is made.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    // Without effect elsewhere than on Apple's systems.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")
}

/// `quick_check` alone would not do: it does not look into indexes, and a row that its index has
/// lost is listed and then not found.
fn check(connection: &Connection) -> Result<(), StoreError> {
    let sound = |pragma: &str| {
        let found = connection.query_row(pragma, [], |row| row.get::<_, String>(0));
        found.map(|found| found == "ok").map_err(store_error)
    };
    if sound("PRAGMA integrity_check(1)")? {
        return Ok(());
    }
    if sound("PRAGMA quick_check(1)")? {
        tracing::warn!("an index of the store is damaged and is built anew");
        connection.execute_batch("REINDEX").map_err(store_error)?;
        if sound("PRAGMA integrity_check(1)")? {
            return Ok(());
        }
    }
    Err(StoreError::Damaged)
}

/// The first key after all keys with this prefix; `None` where there is no such key.
fn end_of_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}

/// A commit has failed on this handle.
#[derive(Debug, thiserror::Error)]
#[error("a write failed earlier, so the store has to be opened again")]
struct FailedEarlier;

fn store_error(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Busy { holder: None }
        }
        Some(_) => StoreError::Io(Box::new(error)),
        // A value of another type than the schema has.
        None if matches!(error, rusqlite::Error::InvalidColumnType(..)) => StoreError::Damaged,
        None => StoreError::Io(Box::new(error)),
    }
}

#[cfg(test)]
mod tests;
