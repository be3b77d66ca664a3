//! Files that were exported together, wherever they are.
//!
//! A zip ([`Archive`](crate::Archive)), a folder, or a set that another app handed over one by one
//! (Android's `ACTION_SEND_MULTIPLE`): a [`Bundle`] lists them and opens one at a time. What lists
//! a folder or a set belongs to the caller, because nothing here opens a file; what makes a listing
//! safe is checked here, for every kind of bundle alike.

use std::collections::HashSet;
use std::fmt;
use std::io::Read;

use crate::ImportError;
use crate::limits::{
    ENTRIES_MAX, ENTRY_DEPTH_MAX, ENTRY_MAX_BYTES, ENTRY_NAME_MAX_BYTES, ENTRY_PATH_MAX_BYTES,
    RATIO_MAX,
};

/// Files that were exported together. [`Export`](crate::Export) checks what it lists.
pub trait Bundle {
    /// Lists every file, with the path that it has in the bundle. Called once.
    ///
    /// A link is listed as one and never followed. Listing may stop past
    /// [`ENTRIES_MAX`], since such a bundle is refused.
    ///
    /// # Errors
    ///
    /// [`ImportError::Damaged`] when the files cannot be listed.
    fn entries(&mut self) -> Result<Vec<Entry>, ImportError>;

    /// Opens the file at `place` in that list, to be read from its start.
    ///
    /// # Errors
    ///
    /// [`ImportError::Damaged`] when it cannot be opened, [`ImportError::NoSuchFile`] when there
    /// is none.
    fn open(&mut self, place: usize) -> Result<Box<dyn Read + '_>, ImportError>;
}

impl<B: Bundle + ?Sized> Bundle for Box<B> {
    fn entries(&mut self) -> Result<Vec<Entry>, ImportError> {
        (**self).entries()
    }

    fn open(&mut self, place: usize) -> Result<Box<dyn Read + '_>, ImportError> {
        (**self).open(place)
    }
}

/// One file of a bundle.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the bundle: relative, `/` between parts.
    pub name: String,
    /// How many bytes it has, as announced. Reading it gives these many or an error.
    pub bytes: u64,
    /// Whether it is a symbolic link, for which a bundle is refused.
    pub is_link: bool,
}

impl Entry {
    /// A file that is no link.
    #[must_use]
    pub const fn file(name: String, bytes: u64) -> Self {
        Self {
            name,
            bytes,
            is_link: false,
        }
    }

    /// The last part of its path.
    pub(crate) fn base(&self) -> &str {
        self.name.get(self.folder().len()..).unwrap_or_default()
    }

    /// The folder that it lies in, with its last slash; empty for the outermost.
    pub(crate) fn folder(&self) -> &str {
        self.name
            .rfind('/')
            .and_then(|slash| self.name.get(..=slash))
            .unwrap_or_default()
    }
}

impl fmt::Debug for Entry {
    /// Without the name, which is content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("bytes", &self.bytes)
            .field("is_link", &self.is_link)
            .finish_non_exhaustive()
    }
}

/// Why a bundle is not opened. Numbers are those of [`crate::limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is no zip archive, or its directory cannot be read.
    #[error("it is not a zip archive, or its directory is damaged")]
    Unreadable,
    /// More than [`ENTRIES_MAX`] files.
    #[error("it has more than {ENTRIES_MAX} files")]
    TooManyEntries,
    /// A name has more than [`ENTRY_NAME_MAX_BYTES`] or a path more than [`ENTRY_PATH_MAX_BYTES`],
    /// or one is not in a known encoding.
    #[error("a file's name is too long or unreadable")]
    NameUnreadable,
    /// A path leads out of the bundle (absolute, `..`, a drive, a backslash, a NUL).
    #[error("a file's name leads out of the export")]
    PathTraversal,
    /// A file lies under more than [`ENTRY_DEPTH_MAX`] folders.
    #[error("a file lies under more than {ENTRY_DEPTH_MAX} folders")]
    TooDeep,
    /// Two files have one path, or paths that differ only in case.
    #[error("two files have the same name")]
    DuplicateName,
    /// A file is a symbolic link.
    #[error("a file is a symbolic link")]
    Symlink,
    /// An archive's entry is encrypted.
    #[error("an entry is encrypted")]
    Encrypted,
    /// An archive's entry is compressed in a way that no export uses.
    #[error("an entry is compressed with a method other than deflate")]
    Method,
    /// A file announces more than [`ENTRY_MAX_BYTES`].
    #[error("a file is larger than {ENTRY_MAX_BYTES} bytes")]
    EntryTooLarge,
    /// An archive's entry inflates to more than [`RATIO_MAX`] times its size.
    #[error("an entry inflates to more than {RATIO_MAX} times its size")]
    Ratio,
    /// Two entries of an archive share bytes.
    #[error("two entries overlap")]
    Overlap,
}

impl Refusal {
    /// Every refusal there is.
    pub const ALL: [Self; 12] = [
        Self::Unreadable,
        Self::TooManyEntries,
        Self::NameUnreadable,
        Self::PathTraversal,
        Self::TooDeep,
        Self::DuplicateName,
        Self::Symlink,
        Self::Encrypted,
        Self::Method,
        Self::EntryTooLarge,
        Self::Ratio,
        Self::Overlap,
    ];
}

/// Refuses a list of files that no export has.
pub(crate) fn check(entries: &[Entry]) -> Result<(), Refusal> {
    if entries.len() > ENTRIES_MAX {
        return Err(Refusal::TooManyEntries);
    }
    let mut seen = HashSet::with_capacity(entries.len());
    for entry in entries {
        check_path(&entry.name)?;
        if entry.is_link {
            return Err(Refusal::Symlink);
        }
        if entry.bytes > ENTRY_MAX_BYTES {
            return Err(Refusal::EntryTooLarge);
        }
        // Names that differ only in case are one file on a phone or a Mac.
        if !seen.insert(entry.name.to_lowercase()) {
            return Err(Refusal::DuplicateName);
        }
    }
    Ok(())
}

/// Whether a path stays inside its folder, on any system.
pub(crate) fn is_safe_path(path: &str) -> bool {
    check_path(path).is_ok()
}

/// Checks that a path stays inside the folder it would be unpacked to, on any system.
pub(crate) fn check_path(path: &str) -> Result<(), Refusal> {
    if path.len() > ENTRY_PATH_MAX_BYTES {
        return Err(Refusal::NameUnreadable);
    }
    if path.contains(['\\', '\0']) {
        return Err(Refusal::PathTraversal);
    }
    let mut depth = 0_usize;
    for part in path.split('/') {
        // An empty part is an absolute path or a doubled slash; `C:` is a drive on Windows.
        let drive = part.len() == 2 && part.ends_with(':');
        if part.is_empty() || part == "." || part == ".." || drive {
            return Err(Refusal::PathTraversal);
        }
        if part.len() > ENTRY_NAME_MAX_BYTES {
            return Err(Refusal::NameUnreadable);
        }
        depth += 1;
    }
    if depth > ENTRY_DEPTH_MAX + 1 {
        Err(Refusal::TooDeep)
    } else {
        Ok(())
    }
}
