//! Desktop entries (Desktop Entry Specification 1.5), by file name.
//!
//! An entry counts when it is an application's, has not been deleted by its holder (`Hidden`),
//! and the program that it makes its condition (`TryExec`) is there. `NoDisplay` only keeps an
//! app out of menus. An entry in the holder's directory does not hide one of the same name in the
//! system's: there the app still is.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use freedesktop_entry_parser::low_level::{SectionBytes, parse_entry};

use super::{Answer, Roots, place};

/// Longest entry that is read, in bytes. Entries with a hundred translations have 30 KiB.
const ENTRY_MAX_BYTES: u64 = 128 << 10;

/// Whether there is a desktop entry of that id (its file's name without `.desktop`) that counts.
pub(super) fn ask(roots: &Roots, id: &str) -> Answer {
    if !place::is_plain(id) {
        return Answer::CannotTell;
    }
    let in_data_dir = |dir: &PathBuf| in_directory(roots, &dir.join("applications"), id);
    let own = roots
        .user_data
        .as_ref()
        .map_or(Answer::CannotTell, in_data_dir);
    Answer::over(roots.data.iter().map(in_data_dir).chain([own]))
}

fn in_directory(roots: &Roots, directory: &Path, id: &str) -> Answer {
    let file_name = format!("{id}.desktop");
    match place::look(directory, &file_name) {
        Answer::Found => judge(roots, &directory.join(file_name)).unwrap_or(Answer::CannotTell),
        answer => answer,
    }
}

/// `None` where the entry is broken.
fn judge(roots: &Roots, path: &Path) -> Option<Answer> {
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        // A link to an app that has gone leads nowhere, and so the app is not here.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Answer::NotFound),
        Err(_) => return None,
    };
    // A pipe of that name would never end.
    if !metadata.is_file() || metadata.len() > ENTRY_MAX_BYTES {
        return None;
    }
    let mut text = Vec::new();
    File::open(path)
        .ok()?
        .take(ENTRY_MAX_BYTES)
        .read_to_end(&mut text)
        .ok()?;

    // The specification wants this group to be the first.
    let group = parse_entry(&text)
        .next()?
        .ok()
        .filter(|group| group.title == b"Desktop Entry")?;
    if value(&group, b"Type")? != b"Application" || value(&group, b"Hidden") == Some(b"true") {
        return Some(Answer::NotFound);
    }
    match value(&group, b"TryExec") {
        Some(program) if !is_program(roots, Path::new(OsStr::from_bytes(program))) => {
            Some(Answer::NotFound)
        }
        _ => Some(Answer::Found),
    }
}

fn value<'a>(group: &'a SectionBytes<'_>, key: &[u8]) -> Option<&'a [u8]> {
    let attribute = group.attrs.iter().find(|attribute| attribute.name == key)?;
    Some(attribute.value.trim_ascii())
}

/// Whether an absolute path, or a name in `PATH`, is an executable file.
fn is_program(roots: &Roots, program: &Path) -> bool {
    let executable = |path: &Path| {
        path.metadata()
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if program.is_absolute() {
        return executable(program);
    }
    roots
        .programs
        .iter()
        .any(|directory| executable(&directory.join(program)))
}

#[cfg(test)]
mod tests;
