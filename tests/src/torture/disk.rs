//! A disk that forgets: what may be on it when the power goes at a step of a recorded run.
//!
//! # What is promised by a disk
//!
//! - What was written to a file before a sync of that file is there, with the file's length.
//! - An entry of a directory is there, or gone, for certain only after a sync of the directory.
//!   Linux' file systems promise more; POSIX does not.
//! - A sector is written whole or not at all; what lies beside a write is not touched by it
//!   (SQLite relies on that too: `SQLITE_POWERSAFE_OVERWRITE`).
//! - A rename happens or does not.
//!
//! Everything else may be lost, half done, or done out of order, as [`Fate`] says.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use fastrand::Rng;

use super::trace::{Change, Entry, Kind, Node, ROOT, Step, Trace};

/// Which syncs the disk heeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heeds {
    /// Every one.
    All,
    /// All but those by which SQLite makes a commit last: the trace that `synchronous=NORMAL`
    /// would have left. In the write-ahead log NORMAL makes only two kinds of syncs, that of the
    /// header when the log begins anew and that before its pages are copied into the database;
    /// FULL makes the same two, and one more after the frames of each commit. So a sync of the
    /// log counts as a commit's exactly where frames were written since the one before.
    AllButCommits,
    /// Those of files only.
    Files,
    /// None: a disk that says yes and does nothing.
    None,
}

/// What became of writes that no sync had covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// All lost.
    Lost,
    /// All kept, as when only the process died.
    Kept,
    /// Each kept or lost by itself: lost in the middle, kept after it.
    Some,
    /// Each sector of each write kept or lost by itself.
    Torn,
    /// Only the last of each file kept: written before those that were asked for earlier.
    Newest,
}

/// What became of directory entries that no sync had covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// None was made.
    Lost,
    /// All were.
    Kept,
    /// All up to some point, as a journal does it.
    Prefix,
    /// Each by itself.
    Some,
}

/// What happens when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// Of data.
    pub data: Data,
    /// Of names.
    pub names: Names,
    /// Bytes that are written at once.
    pub sector: usize,
    /// Whether room that a file has been given and that was never written holds old bytes of
    /// something else, instead of zeros.
    pub garbage: bool,
}

impl Fate {
    /// Chooses a fate. Those that a real disk most likely brings are the most frequent ones.
    pub fn choose(rng: &mut Rng) -> Self {
        let data = match rng.u8(..20) {
            0..4 => Data::Lost,
            4 => Data::Kept,
            5..11 => Data::Some,
            11..17 => Data::Torn,
            _ => Data::Newest,
        };
        let names = match rng.u8(..10) {
            0..3 => Names::Lost,
            3..5 => Names::Kept,
            5..8 => Names::Prefix,
            _ => Names::Some,
        };
        Self {
            data,
            names,
            sector: if rng.bool() { 512 } else { 4096 },
            garbage: rng.u8(..4) == 0,
        }
    }

    /// Nothing is lost: what `kill -9` leaves.
    pub const KEEP: Self = Self {
        data: Data::Kept,
        names: Names::Kept,
        sector: 4096,
        garbage: false,
    };
}

/// A disk at a step of the run.
pub struct Disk<'a> {
    trace: &'a Trace,
    heeds: Heeds,
    files: BTreeMap<Node, File<'a>>,
    /// Entries that are certain.
    names: BTreeMap<Node, Listing>,
    /// Changes of entries that are not.
    loose: Vec<&'a [Entry]>,
}

type Listing = BTreeMap<String, Node>;

#[derive(Default)]
struct File<'a> {
    certain: Vec<u8>,
    loose: Vec<&'a Change>,
    /// Whether frames were written to this write-ahead log since it was last synced.
    frames: bool,
}

/// Length of a write-ahead log's header, in bytes.
const LOG_HEADER_BYTES: usize = 32;

impl<'a> Disk<'a> {
    /// An empty disk before the run.
    #[must_use]
    pub fn new(trace: &'a Trace, heeds: Heeds) -> Self {
        Self {
            trace,
            heeds,
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            loose: Vec::new(),
        }
    }

    /// Takes one step of the run.
    pub fn take(&mut self, step: &'a Step) {
        match step {
            Step::Names(entries) => self.loose.push(entries),
            Step::Data(node, change) => {
                let file = self.files.entry(*node).or_default();
                file.frames |=
                    matches!(change, Change::Write { at, .. } if *at >= LOG_HEADER_BYTES);
                file.loose.push(change);
            }
            Step::Sync(node) => self.sync(*node),
            Step::Began | Step::Said(_) | Step::Accepted(_) | Step::Sent(..) => {}
        }
    }

    fn sync(&mut self, node: Node) {
        let directory = self.trace.nodes.get(node) == Some(&Kind::Directory);
        let frames = self
            .files
            .get_mut(&node)
            .is_some_and(|file| std::mem::take(&mut file.frames));
        let heeded = match self.heeds {
            Heeds::All => true,
            Heeds::AllButCommits => !(frames && self.is_log(node)),
            Heeds::Files => !directory,
            Heeds::None => false,
        };
        if !heeded {
            return;
        }
        if directory {
            let (certain, loose) = std::mem::take(&mut self.loose)
                .into_iter()
                .partition(|entries| entries.iter().any(|entry| entry.dir == node));
            self.loose = loose;
            apply(&mut self.names, certain);
        } else if let Some(file) = self.files.get_mut(&node) {
            for change in std::mem::take(&mut file.loose) {
                write(self.trace, &mut file.certain, change);
            }
        }
    }

    fn is_log(&self, node: Node) -> bool {
        matches!(self.trace.nodes.get(node), Some(Kind::File(name)) if name.ends_with("-wal"))
    }

    /// Writes what is on the disk after this fate below `root`.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn image(&self, fate: Fate, rng: &mut Rng, root: &Path) -> io::Result<()> {
        let mut names = self.names.clone();
        let kept = match fate.names {
            Names::Lost => Vec::new(),
            Names::Kept => self.loose.clone(),
            Names::Prefix => {
                let length = rng.usize(..=self.loose.len());
                self.loose.iter().copied().take(length).collect()
            }
            Names::Some => {
                let mut some = self.loose.clone();
                some.retain(|_| rng.bool());
                some
            }
        };
        apply(&mut names, kept);
        self.directory(ROOT, &names, root, fate, rng)
    }

    fn directory(
        &self,
        node: Node,
        names: &BTreeMap<Node, Listing>,
        path: &Path,
        fate: Fate,
        rng: &mut Rng,
    ) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        for (name, to) in names.get(&node).into_iter().flatten() {
            let path = path.join(name);
            if self.trace.nodes.get(*to) == Some(&Kind::Directory) {
                self.directory(*to, names, &path, fate, rng)?;
                continue;
            }
            let mut file = OpenOptions::new();
            let mut file = file.write(true).create_new(true).mode(0o600).open(&path)?;
            if let Some(of) = self.files.get(to) {
                file.write_all(&self.content(of, fate, rng))?;
            }
        }
        Ok(())
    }

    fn content(&self, file: &File<'_>, fate: Fate, rng: &mut Rng) -> Vec<u8> {
        let mut content = file.certain.clone();
        let last = file.loose.len().saturating_sub(1);
        for (number, change) in file.loose.iter().enumerate() {
            let keeps = match fate.data {
                Data::Lost => false,
                Data::Kept => true,
                Data::Newest => number == last,
                Data::Some | Data::Torn => rng.bool(),
            };
            match (change, keeps) {
                (Change::Write { at, bytes }, _) if fate.data == Data::Torn => {
                    let bytes = self.trace.bytes(bytes);
                    let end = at + bytes.len();
                    let mut from = *at;
                    while from < end {
                        let until = ((from / fate.sector + 1) * fate.sector).min(end);
                        if rng.bool() {
                            grow(&mut content, from, fate.garbage, rng);
                            put(&mut content, from, &bytes[from - at..until - at]);
                        }
                        from = until;
                    }
                }
                (Change::Write { at, .. }, true) => {
                    grow(&mut content, *at, fate.garbage, rng);
                    write(self.trace, &mut content, change);
                }
                // The file may have been given the room, and nothing written there.
                (Change::Write { at, bytes }, false) if rng.u8(..4) == 0 => {
                    grow(&mut content, at + bytes.len(), fate.garbage, rng);
                }
                (Change::SetLength(_), true) => write(self.trace, &mut content, change),
                (_, false) => {}
            }
        }
        content
    }
}

fn apply(names: &mut BTreeMap<Node, Listing>, changes: Vec<&[Entry]>) {
    for entry in changes.into_iter().flatten() {
        let listed = names.entry(entry.dir).or_default();
        match entry.to {
            Some(node) => listed.insert(entry.name.clone(), node),
            None => listed.remove(&entry.name),
        };
    }
}

fn write(trace: &Trace, content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { at, bytes } => put(content, *at, trace.bytes(bytes)),
        Change::SetLength(length) => content.resize(*length, 0),
    }
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

fn grow(content: &mut Vec<u8>, length: usize, garbage: bool, rng: &mut Rng) {
    let before = content.len();
    if before < length {
        content.resize(length, 0);
        if garbage {
            rng.fill(&mut content[before..]);
        }
    }
}

/// Says where the run's own directory and the disk's, nothing lost, differ: what the recorder has
/// missed.
///
/// # Errors
///
/// Names the first difference.
pub fn compare(image: &Path, real: &Path) -> Result<(), String> {
    let list = |dir: &Path| -> Result<BTreeMap<String, bool>, String> {
        let mut names = BTreeMap::new();
        for entry in fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))? {
            let entry = entry.map_err(|error| error.to_string())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.ends_with("-shm") {
                names.insert(name, entry.path().is_dir());
            }
        }
        Ok(names)
    };
    let (ours, theirs) = (list(image)?, list(real)?);
    if ours != theirs {
        return Err(format!("{}: {ours:?}, really {theirs:?}", real.display()));
    }
    for (name, is_dir) in ours {
        let (image, real) = (image.join(&name), real.join(&name));
        if is_dir {
            compare(&image, &real)?;
            continue;
        }
        let read = |path: &Path| fs::read(path).map_err(|error| error.to_string());
        if read(&image)? != read(&real)? {
            return Err(format!("{} is not what was recorded", real.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
