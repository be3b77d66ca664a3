//! The file, or the several files, that a conversation was read from.

use std::ops::Range;

use candour_wire::Digest;

use crate::ImportError;
use crate::limits::{FILES_MAX, TEXT_MAX_BYTES};

/// Files in their order, addressed as if they stood behind one another in one.
pub(crate) struct Files<'a> {
    first: &'a [u8],
    /// The others, each with the address of its first byte.
    others: Vec<(u32, &'a [u8])>,
}

impl<'a> Files<'a> {
    /// One file, which the caller has checked to be under 4 GiB.
    pub(crate) const fn one(file: &'a [u8]) -> Self {
        Self {
            first: file,
            others: Vec::new(),
        }
    }

    /// Several files.
    ///
    /// # Errors
    ///
    /// [`ImportError::UnknownFormat`] without any, [`ImportError::TooManyFiles`] over
    /// [`FILES_MAX`], [`ImportError::TooLarge`] over [`TEXT_MAX_BYTES`] together.
    pub(crate) fn several(files: &[&'a [u8]]) -> Result<Self, ImportError> {
        let (first, rest) = files.split_first().ok_or(ImportError::UnknownFormat)?;
        if files.len() > FILES_MAX {
            return Err(ImportError::TooManyFiles);
        }
        let mut others = Vec::with_capacity(rest.len());
        let mut at = first.len() as u64;
        for file in rest {
            others.push((address(at)?, *file));
            at = at.saturating_add(file.len() as u64);
        }
        if at > TEXT_MAX_BYTES as u64 {
            return Err(ImportError::TooLarge {
                bytes: at,
                max: TEXT_MAX_BYTES as u64,
            });
        }
        Ok(Self { first, others })
    }

    pub(crate) const fn first(&self) -> &'a [u8] {
        self.first
    }

    /// Every file with the address of its first byte.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &'a [u8])> {
        std::iter::once((0, self.first)).chain(self.others.iter().copied())
    }

    /// All bytes together.
    pub(crate) fn len(&self) -> usize {
        self.iter().map(|(_, file)| file.len()).sum()
    }

    /// The bytes of `range`; nothing where it leaves the file that it begins in.
    pub(crate) fn slice(&self, range: Range<u32>) -> &'a [u8] {
        let (base, file) = if (range.start as usize) < self.first.len() || self.others.is_empty() {
            (0, self.first)
        } else {
            let at = self
                .others
                .partition_point(|(base, _)| *base <= range.start);
            match at.checked_sub(1).and_then(|at| self.others.get(at)) {
                Some(found) => *found,
                None => (0, self.first),
            }
        };
        let start = range.start.saturating_sub(base) as usize;
        let end = range.end.saturating_sub(base) as usize;
        file.get(start..end).unwrap_or_default()
    }

    /// SHA-256 of the file; of several, of their digests one after another.
    pub(crate) fn digest(&self) -> Digest {
        if self.others.is_empty() {
            return Digest::of(self.first);
        }
        let digests: Vec<u8> = self
            .iter()
            .flat_map(|(_, file)| Digest::of(file).0)
            .collect();
        Digest::of(&digests)
    }
}

/// Where a text starts: a byte-order mark belongs to its file and to nothing in it.
pub(crate) fn bom(source: &[u8]) -> usize {
    if source.starts_with("\u{feff}".as_bytes()) {
        3
    } else {
        0
    }
}

/// `at` as an address.
pub(crate) fn address(at: u64) -> Result<u32, ImportError> {
    u32::try_from(at).map_err(|_| ImportError::TooLarge {
        bytes: at,
        max: TEXT_MAX_BYTES as u64,
    })
}
