//! Where files can be damaged: every field of SQLite's headers, every page of every kind, every frame
//! of the write-ahead log, and the files beside the store.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use fastrand::Rng;
use rusqlite::Connection;

/// One way to damage one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, below the home or the data directory.
    pub file: String,
    /// What is damaged, for the table.
    pub kind: String,
    /// How.
    pub harm: Harm,
}

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// One bit of the byte there is turned.
    Flip(u64, u8),
    /// It ends there.
    Cut(u64),
    /// It is gone.
    Gone,
}

/// Length of the header of SQLite's database, in bytes.
const HEADER_BYTES: u64 = 100;

/// Length of the header of SQLite's write-ahead log, in bytes.
const LOG_HEADER_BYTES: u64 = 32;

/// Length of the header of a frame in it, in bytes.
const FRAME_HEADER_BYTES: u64 = 24;

/// Bytes of a page's content that are damaged, each by itself.
const IN_PAGE: u64 = 12;

impl Place {
    fn new(file: &str, kind: &str, harm: Harm) -> Self {
        Self {
            file: file.to_owned(),
            kind: format!("{}: {kind}", file.split('/').next().unwrap_or(file)),
            harm,
        }
    }

    /// Whether it cannot be told from a crash, by anybody.
    #[must_use]
    pub fn is_like_a_crash(&self) -> bool {
        self.kind.ends_with(LIKE_A_CRASH)
    }

    /// Does it to a copy.
    pub(super) fn harm(&self, root: &Path) -> io::Result<()> {
        let path = root.join(&self.file);
        if self.harm == Harm::Gone {
            return fs::remove_file(path);
        }
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        match self.harm {
            Harm::Flip(at, bit) => {
                let mut byte = [0];
                file.read_exact_at(&mut byte, at)?;
                byte[0] ^= 1 << (bit % 8);
                file.write_all_at(&byte, at)
            }
            Harm::Cut(length) => file.set_len(length),
            Harm::Gone => Ok(()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?}, {})", self.file, self.harm, self.kind)
    }
}

/// Every place of a home's files; bits are chosen at random.
pub(super) fn of_phone(home: &Path, rng: &mut Rng) -> Result<Vec<Place>, String> {
    let mut places = Vec::new();
    of_store(home, "agent.db", rng, &mut places)?;
    let mut others = vec!["identity.json".to_owned(), "policy.jws".to_owned()];
    others.extend(files_of(home, "keys")?);
    others.extend(files_of(home, "attachments")?);
    of_files(home, &others, rng, &mut places)?;
    Ok(places)
}

/// Every place of the files that a server reads; bits are chosen at random. The records key is not
/// the server's, and the phones' settings are only printed by it.
pub(super) fn of_server(data: &Path, rng: &mut Rng) -> Result<Vec<Place>, String> {
    let mut places = Vec::new();
    of_store(data, "server.db", rng, &mut places)?;
    let mut others: Vec<String> = [
        "config.toml",
        "ca.pem",
        "ca.key",
        "server.pem",
        "policy.key",
        "log.key",
    ]
    .map(str::to_owned)
    .into();
    for dir in ["policy", "attachments"] {
        for below in files_of(data, dir)? {
            others.extend(files_of(data, &below)?);
        }
    }
    of_files(data, &others, rng, &mut places)?;
    Ok(places)
}

/// What each page of a database belongs to, by its number from 1. A log beside it does not count.
fn names_of_pages(path: &Path) -> Result<BTreeMap<u64, String>, Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let alone = dir.path().join("alone.db");
    fs::copy(path, &alone)?;
    let db = Connection::open(alone)?;
    let mut statement = db.prepare(
        "SELECT pageno, pagetype, CASE WHEN type = 'index' THEN 'an index' ELSE dbstat.name END
         FROM dbstat LEFT JOIN sqlite_schema USING (name)",
    )?;
    let named = statement.query_map((), |row| {
        let (number, kind, name): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok((number.unsigned_abs(), format!("{kind} page of {name}")))
    })?;
    Ok(named.collect::<Result<_, _>>()?)
}

/// What is in a directory, with its name before.
fn files_of(root: &Path, dir: &str) -> Result<Vec<String>, String> {
    let failed = |error: io::Error| format!("{dir}: {error}");
    let entries = fs::read_dir(root.join(dir)).map_err(failed)?;
    let names = entries.map(|entry| {
        let name = entry.map_err(failed)?.file_name();
        Ok(format!("{dir}/{}", name.to_string_lossy()))
    });
    names.collect()
}

fn of_files(
    root: &Path,
    names: &[String],
    rng: &mut Rng,
    places: &mut Vec<Place>,
) -> Result<(), String> {
    for name in names {
        let length = fs::metadata(root.join(name)).map_err(|error| format!("{name}: {error}"))?;
        let length = length.len();
        for number in 0..length.min(150) {
            let at = number * length / length.min(150);
            places.push(Place::new(name, "a bit", Harm::Flip(at, rng.u8(..8))));
        }
        for cut in [0, 1, length / 2, length.saturating_sub(1)] {
            places.push(Place::new(name, "cut", Harm::Cut(cut)));
        }
        places.push(Place::new(name, "gone", Harm::Gone));
    }
    Ok(())
}

/// A database and its log.
fn of_store(root: &Path, name: &str, rng: &mut Rng, places: &mut Vec<Place>) -> Result<(), String> {
    let read = |name: &str| fs::read(root.join(name)).map_err(|error| format!("{name}: {error}"));
    let database = read(name)?;
    let page = database
        .get(16..18)
        .map_or(0, |size| u64::from(u16::from_be_bytes([size[0], size[1]])));
    let page = if page < 512 { 4096 } else { page };
    let names = names_of_pages(&root.join(name)).map_err(|error| error.to_string())?;
    of_database(name, &database, page, &names, rng, places);
    let log = format!("{name}-wal");
    if root.join(&log).exists() {
        of_log(&log, &read(&log)?, page, rng, places);
    }
    Ok(())
}

fn of_database(
    file: &str,
    bytes: &[u8],
    page: u64,
    names: &BTreeMap<u64, String>,
    rng: &mut Rng,
    places: &mut Vec<Place>,
) {
    for at in 0..HEADER_BYTES {
        places.push(Place::new(file, "header", Harm::Flip(at, rng.u8(..8))));
    }
    let length = bytes.len() as u64;
    for start in (0..length).step_by(usize::try_from(page).unwrap_or(4096)) {
        let first = if start == 0 { HEADER_BYTES } else { start };
        let name = names.get(&(start / page + 1));
        let kind = name.map_or("free page", String::as_str);
        let head = (first..first + 16).filter(|at| *at < length);
        let within = (0..IN_PAGE).map(|_| rng.u64(first..(start + page).min(length)));
        for at in head.chain(within.collect::<Vec<_>>()) {
            places.push(Place::new(file, kind, Harm::Flip(at, rng.u8(..8))));
        }
        places.push(Place::new(file, "cut at a page", Harm::Cut(start)));
        places.push(Place::new(
            file,
            "cut in a page",
            Harm::Cut((start + page / 3).min(length)),
        ));
    }
    places.push(Place::new(file, "gone", Harm::Gone));
}

/// What damage to the log's last transaction is called. It looks exactly like a crash before that
/// transaction was synced, and so does a log that was cut off.
pub(super) const LIKE_A_CRASH: &str = "like a crash in the last commit";

fn of_log(file: &str, bytes: &[u8], page: u64, rng: &mut Rng, places: &mut Vec<Place>) {
    let length = bytes.len() as u64;
    let frame = FRAME_HEADER_BYTES + page;
    let commits = |start: u64| {
        let at = usize::try_from(start + 4).unwrap_or(usize::MAX);
        bytes
            .get(at..at.saturating_add(4))
            .is_some_and(|size| size != [0; 4])
    };
    let salts = |start: u64| {
        let at = usize::try_from(start + 8).unwrap_or(usize::MAX);
        bytes.get(at..at.saturating_add(8)) == bytes.get(16..24)
    };
    let starts: Vec<u64> = (0..)
        .map(|number| LOG_HEADER_BYTES + number * frame)
        .take_while(|start| start + frame <= length && salts(*start))
        .collect();
    let ends: Vec<u64> = starts
        .iter()
        .copied()
        .filter(|start| commits(*start))
        .collect();
    // After the commit before the last one.
    let last = ends
        .iter()
        .rev()
        .nth(1)
        .map_or(LOG_HEADER_BYTES, |start| start + frame);
    for start in &starts {
        places.push(Place::new(file, LIKE_A_CRASH, Harm::Cut(*start)));
        places.push(Place::new(file, LIKE_A_CRASH, Harm::Cut(start + frame / 2)));
    }
    for at in 0..LOG_HEADER_BYTES.min(length) {
        places.push(Place::new(
            file,
            "header of the log",
            Harm::Flip(at, rng.u8(..8)),
        ));
    }
    for start in starts {
        let kind = |kind| if start < last { kind } else { LIKE_A_CRASH };
        for at in start..start + FRAME_HEADER_BYTES {
            let flip = Harm::Flip(at, rng.u8(..8));
            // By these the commit before the last one says that it commits.
            let kind = if start + frame == last && at < start + 8 {
                LIKE_A_CRASH
            } else {
                kind("header of a frame")
            };
            places.push(Place::new(file, kind, flip));
        }
        for _ in 0..IN_PAGE {
            let at = rng.u64(start + FRAME_HEADER_BYTES..start + frame);
            let flip = Harm::Flip(at, rng.u8(..8));
            places.push(Place::new(file, kind("page of a frame"), flip));
        }
    }
}
