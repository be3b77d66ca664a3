//! Making and opening the file, and checking that it is ours and whole.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candour_sqlite_log::Verdict;
use candour_wire::log::{Checkpoint, LogSigner};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::Settings;
use super::schema;
use super::tiles::Tiles;
use super::writer::{Health, Undo, Writer, sign};
use crate::log::{Edge, Nodes, TileCache};
use crate::store::attachments::AttachmentDir;

/// A store could not be made or opened. Each names the file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such file.
    #[error("there is no store at {}; if there was one, restore a backup", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is one already.
    #[error("there is a store at {} already", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a Candour store", path.display())]
    NotOurs {
        /// Which file.
        path: PathBuf,
    },
    /// A newer version has written it.
    #[error("{} was written by a newer version (format {version}); update the server", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        version: i32,
    },
    /// The file contradicts itself.
    #[error("{} is damaged: {what}; keep what is left of it and restore a backup", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was found.
        what: &'static str,
    },
    /// The log in the file was signed with another key than the one given.
    #[error("the log in {} was signed with another key or under another name", path.display())]
    OtherLog {
        /// Which file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{} cannot be opened", path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite failed.
    #[error("{} cannot be opened as a database", path.display())]
    Sqlite {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// Makes an empty store that only this account may read.
pub(super) fn create(path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(OpenError::Exists {
                path: path.to_owned(),
            });
        }
        Err(source) => {
            return Err(OpenError::Io {
                path: path.to_owned(),
                source,
            });
        }
    }
    let made = schema::open_writer(path).and_then(|mut db| schema::migrate(&mut db));
    made.map_err(|error| sqlite(path, error))
}

/// Opens the file for the writer and the directory for attachments.
pub(super) fn prepare(
    path: &Path,
    settings: Settings,
) -> Result<(Writer, AttachmentDir), OpenError> {
    let Settings {
        attachments,
        signer,
        now,
    } = settings;
    let log = log_of(path);
    // SQLite would delete the log beside an empty file, and with it what can still be saved.
    let log_is_left = || fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() == 0 => {
            let what = if log_is_left() {
                "it is empty, and its write-ahead log (-wal) is not"
            } else {
                "it is empty"
            };
            return Err(OpenError::Damaged {
                path: path.to_owned(),
                what,
            });
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && log_is_left() => {
            return Err(OpenError::Damaged {
                path: path.to_owned(),
                what: "it is gone, and its write-ahead log (-wal) is not",
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::Missing {
                path: path.to_owned(),
            });
        }
        Err(source) => {
            return Err(OpenError::Io {
                path: path.to_owned(),
                source,
            });
        }
    }
    let verdict = judge_log(path, log)?;
    let mut connection = open_ours(path)?;
    if verdict == Verdict::Tail {
        // What a crash has left must not be taken for damage after the next one. Where somebody
        // else has the store open the log is in use, and stays.
        let emptied = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        emptied.map_err(|error| sqlite(path, error))?;
    }
    let cache = TileCache::default();
    let edge = {
        let tx = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| sqlite(path, error))?;
        let edge = check_log(path, &tx, signer.as_ref(), &cache, now)?;
        tx.commit().map_err(|error| sqlite(path, error))?;
        edge
    };
    let dir = AttachmentDir::open(&attachments).map_err(|source| OpenError::Io {
        path: attachments,
        source,
    })?;
    let health = Arc::new(Health::default());
    Ok((
        Writer {
            connection,
            signer,
            edge,
            cache,
            health,
        },
        dir,
    ))
}

/// Where a store's write-ahead log is.
fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Looks through the write-ahead log before SQLite does, which would take damage in the midst of it
/// for its end: receipts would have been given for records that are gone, and the log would fork.
fn judge_log(path: &Path, log: PathBuf) -> Result<Verdict, OpenError> {
    let read = || -> io::Result<Verdict> {
        let mut before = None;
        loop {
            let mut file = match fs::File::open(&log) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Verdict::Whole),
                Err(error) => return Err(error),
            };
            let mut header = [0; 32];
            let read = file.read(&mut header)?;
            file.rewind()?;
            let verdict = candour_sqlite_log::judge(&mut io::BufReader::new(file))?;
            // Another process may have begun the log anew meanwhile.
            if verdict != Verdict::Lost || before == Some((read, header)) {
                return Ok(verdict);
            }
            before = Some((read, header));
        }
    };
    match read() {
        Ok(Verdict::Lost) => Err(OpenError::Damaged {
            path: path.to_owned(),
            what: "commits in its write-ahead log cannot be read any more",
        }),
        Ok(verdict) => Ok(verdict),
        Err(source) => Err(OpenError::Io { path: log, source }),
    }
}

fn open_ours(path: &Path) -> Result<Connection, OpenError> {
    let failed = |error| sqlite(path, error);
    // Looked at before anything is set, so that another program's file stays as it is.
    let (mark, version) = {
        let reader = schema::open_reader(path).map_err(failed)?;
        schema::identify(&reader).map_err(failed)?
    };
    if mark != schema::APPLICATION_ID {
        return Err(OpenError::NotOurs {
            path: path.to_owned(),
        });
    }
    if version > schema::version() {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            version,
        });
    }
    let mut connection = schema::open_writer(path).map_err(failed)?;
    schema::migrate(&mut connection).map_err(failed)?;
    Ok(connection)
}

/// Reads the log's edge and checks it against the newest checkpoint, or signs the first one.
fn check_log(
    path: &Path,
    db: &Connection,
    signer: Option<&LogSigner>,
    cache: &TileCache,
    now: jiff::Timestamp,
) -> Result<Edge, OpenError> {
    let damaged = |what| OpenError::Damaged {
        path: path.to_owned(),
        what,
    };
    let log_failed = |undo| match undo {
        Undo::Sqlite(error) => sqlite(path, error),
        Undo::Refused | Undo::LogDamaged => damaged("a tile of the log is missing"),
    };
    let tiles = Tiles(db);
    let (size, checkpoint) = tiles.newest().map_err(|error| sqlite(path, error))?;
    let edge = Edge::load(&tiles, size)
        .map_err(Undo::from)
        .map_err(log_failed)?;
    let Some(signer) = signer else {
        return Ok(edge);
    };
    let nodes = Nodes::new(&edge, &tiles, cache);
    match checkpoint {
        None if size == 0 => {
            let first = sign(&nodes, signer, now).map_err(log_failed)?;
            tiles
                .set_newest(0, &first)
                .map_err(|error| sqlite(path, error))?;
        }
        None => return Err(damaged("the log has leaves but no checkpoint")),
        Some(note) => {
            let signed =
                Checkpoint::open(&note, signer.verifier()).map_err(|_| OpenError::OtherLog {
                    path: path.to_owned(),
                })?;
            let root = nodes.root().map_err(Undo::from).map_err(log_failed)?;
            if signed.size != size || signed.root != root {
                return Err(damaged(
                    "the log does not lead to the checkpoint that was signed",
                ));
            }
        }
    }
    Ok(edge)
}

fn sqlite(path: &Path, source: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged {
            path,
            what: "SQLite cannot read it",
        },
        Some(ErrorCode::NotADatabase) => OpenError::NotOurs { path },
        _ => OpenError::Sqlite { path, source },
    }
}
