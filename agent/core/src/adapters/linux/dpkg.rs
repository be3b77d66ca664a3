//! dpkg's database.
//!
//! dpkg keeps a file `info/<package>.list` for each package that is installed or whose
//! configuration is left. It is asked for first, by name. Where no package of the catalogue has
//! one, nothing more is read. Where one has, its state stands in `status`, one file for all
//! packages; that file is streamed, and of each stanza that is not about such a package nothing
//! is kept.
//!
//! The form of the status file is that of deb-control(5): stanzas separated by empty lines,
//! `Field: value`, further lines of a value begin with a blank.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use super::{Answer, place};

/// Longest part of a line that is looked at, in bytes: a package's name and its state are much
/// shorter, and the rest of any longer line is skipped.
const LINE_MAX_BYTES: usize = 512;

/// Longest status file that is read, in bytes: a machine with all of Debian installed has about
/// 80 MB.
const STATUS_MAX_BYTES: u64 = 256 << 20;

/// Whether each of the packages is installed.
pub(super) fn ask<'a>(admin_dir: &Path, packages: &BTreeSet<&'a str>) -> BTreeMap<&'a str, Answer> {
    // A machine without dpkg has another package system of its own, which is not asked.
    let info_dir = admin_dir.join("info");
    let has_dpkg = info_dir.is_dir();
    let mut answers: BTreeMap<_, _> = packages
        .iter()
        .map(|package| {
            let readable = has_dpkg && place::is_plain(package);
            let trace = if readable {
                place::look(&info_dir, format!("{package}.list"))
            } else {
                Answer::CannotTell
            };
            (*package, trace)
        })
        .collect();

    let traced: BTreeSet<&str> = answers
        .iter()
        .filter(|(_, trace)| **trace == Answer::Found)
        .map(|(package, _)| *package)
        .collect();
    if !traced.is_empty() {
        let states =
            open_status(&admin_dir.join("status")).and_then(|status| read_states(status, &traced));
        let states = states.unwrap_or_default();
        for package in traced {
            // A trace without a state: dpkg is at work, or its database is damaged.
            let state = states.get(package).copied().unwrap_or(Answer::CannotTell);
            answers.insert(package, state);
        }
    }
    answers
}

fn open_status(path: &Path) -> io::Result<impl BufRead> {
    let metadata = path.metadata()?;
    if !metadata.is_file() || metadata.len() > STATUS_MAX_BYTES {
        return Err(io::Error::other("no file, or too long"));
    }
    Ok(BufReader::new(File::open(path)?.take(STATUS_MAX_BYTES)))
}

/// The states of the wanted packages; one that stands in several stanzas (of several
/// architectures) is there when any of them is.
fn read_states<'a>(
    mut status: impl BufRead,
    wanted: &BTreeSet<&'a str>,
) -> io::Result<BTreeMap<&'a str, Answer>> {
    let mut states = BTreeMap::<&str, Answer>::new();
    let mut package = None;
    let mut state = None;
    let mut line = Vec::with_capacity(LINE_MAX_BYTES);
    loop {
        let more = read_line(&mut status, &mut line)?;
        if line.is_empty() {
            if let Some(package) = package.take() {
                let here = state.take().unwrap_or(Answer::CannotTell);
                states
                    .entry(package)
                    .and_modify(|other| *other = here.max(*other))
                    .or_insert(here);
            }
            state = None;
            if !more {
                return Ok(states);
            }
        } else if let Some(name) = field(&line, b"Package:") {
            package = wanted.get(name).copied();
        } else if let Some(value) = field(&line, b"Status:") {
            state = Some(state_of(value));
        }
    }
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let (head, value) = line.split_at_checked(name.len())?;
    if !head.eq_ignore_ascii_case(name) {
        return None;
    }
    std::str::from_utf8(value).ok().map(str::trim)
}

/// The value of a `Status` field has three words: what is wanted, whether there is an error, and
/// the state (dpkg(1), "Information about packages"). Only the state counts: a package that is
/// held or is to be removed is still there.
fn state_of(status: &str) -> Answer {
    match status.split_ascii_whitespace().nth(2) {
        // From unpacking on, the program is on the disk.
        Some(
            "installed" | "unpacked" | "half-configured" | "triggers-awaited" | "triggers-pending",
        ) => Answer::Found,
        Some("not-installed" | "config-files") => Answer::NotFound,
        _ => Answer::CannotTell,
    }
}

/// Reads up to the next line feed or the end, keeping at most [`LINE_MAX_BYTES`] and not the line
/// feed. Returns false at the end of the file; what is in `line` then is its last line.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    loop {
        let buffer = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = buffer
            .get(..end.unwrap_or(buffer.len()))
            .unwrap_or_default();
        let room = LINE_MAX_BYTES.saturating_sub(line.len());
        line.extend(part.iter().take(room));
        let at_end = buffer.is_empty();
        let used = part.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() || at_end {
            return Ok(!at_end);
        }
    }
}

#[cfg(test)]
mod tests;
