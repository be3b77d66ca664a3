//! A zip archive as a bundle.
//!
//! Archives come from other people. Opening one reads its directory and refuses the whole archive
//! for anything that no export contains; nothing is inflated until it is asked for, and then never
//! more than was announced. An archive inside an archive is a file like any other and is not
//! opened.

mod check;

use std::fmt;
use std::io::{self, Read, Seek};

use zip::ZipArchive;
use zip::result::ZipError;

use self::check::Metered;
use crate::ImportError;
use crate::bundle::{Bundle, Entry};

/// An opened zip archive.
pub struct Archive<R> {
    zip: ZipArchive<Metered<R>>,
    entries: Vec<Entry>,
    /// Where each of `entries` stands in the archive's directory.
    positions: Vec<usize>,
}

impl<R: Read + Seek> Archive<R> {
    /// Opens an archive and checks all of its directory.
    ///
    /// Blocks on `reader`; holds at most the directory, some hundred bytes an entry.
    ///
    /// # Errors
    ///
    /// [`ImportError::Refused`] with the reason when it is not safe to open,
    /// [`ImportError::Damaged`] when it cannot be read.
    pub fn open(reader: R) -> Result<Self, ImportError> {
        let (zip, found) = check::open(reader)?;
        let (positions, entries) = found.into_iter().unzip();
        Ok(Self {
            zip,
            entries,
            positions,
        })
    }
}

impl<R: Read + Seek> Bundle for Archive<R> {
    fn entries(&mut self) -> Result<Vec<Entry>, ImportError> {
        Ok(self.entries.clone())
    }

    fn open(&mut self, place: usize) -> Result<Box<dyn Read + '_>, ImportError> {
        let position = self.positions.get(place).ok_or(ImportError::NoSuchFile)?;
        let file = self.zip.by_index(*position).map_err(damaged)?;
        Ok(Box::new(file))
    }
}

impl<R> fmt::Debug for Archive<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

/// Errors of the archive reader say nothing that a holder can use beyond their kind.
fn damaged(error: ZipError) -> ImportError {
    match error {
        ZipError::Io(error) => ImportError::Damaged(error),
        other => ImportError::Damaged(io::Error::new(io::ErrorKind::InvalidData, other)),
    }
}
