//! Tiles (C2SP tlog-tiles): the paths under which the log is published, and what is in them.
//!
//! A tile holds up to 256 consecutive hashes of one level out of eight, an entry bundle the
//! entries of one tile of leaves. Both are immutable once full; a partial one has its width in
//! its path.

use std::fmt;
use std::str::FromStr;

use super::checkpoint::parse_decimal;
use super::merkle::{MAX_SIZE, NodeReader};
use crate::digest::Digest;

/// Hashes in a full tile.
pub const FULL_WIDTH: u16 = 256;

/// Levels of the tree in one tile.
const HEIGHT: u8 = 8;

/// The highest level of tiles that a tree of [`MAX_SIZE`] leaves has.
const MAX_LEVEL: u8 = 7;

/// What is in a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TileKind {
    /// Hashes of the subtrees over `256^level` leaves each; level 0 is leaf hashes, 7 the highest.
    Hashes(u8),
    /// Log entries.
    Entries,
}

/// The name of a tile.
///
/// It is one that some tree has: level, index and width are in range. Its text form is the path
/// below the log's prefix, such as `tile/1/x001/234.p/17` or `tile/entries/000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TilePath {
    kind: TileKind,
    index: u64,
    width: u16,
}

/// Not the path of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the path of a tile, such as tile/0/x001/234.p/17 or tile/entries/000")]
pub struct InvalidTilePath;

impl TilePath {
    /// Names tile number `index` (from 0) with `width` hashes or entries, 1 to [`FULL_WIDTH`].
    ///
    /// # Errors
    ///
    /// When no tree within [`MAX_SIZE`] has such a tile.
    pub fn new(kind: TileKind, index: u64, width: u16) -> Result<Self, InvalidTilePath> {
        let path = Self { kind, index, width };
        let in_range = path.level() <= MAX_LEVEL && (1..=FULL_WIDTH).contains(&width);
        if !in_range || !path.is_within(MAX_SIZE) {
            return Err(InvalidTilePath);
        }
        Ok(path)
    }

    /// What is in the tile.
    #[must_use]
    pub const fn kind(&self) -> TileKind {
        self.kind
    }

    /// Number of the tile on its level, from 0.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries it has, 1 to [`FULL_WIDTH`].
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether a tree of `size` leaves has everything that is in this tile.
    #[must_use]
    pub fn is_within(&self, size: u64) -> bool {
        self.end()
            .is_some_and(|end| end <= size >> (self.level() * HEIGHT))
    }

    /// Position of the tile's first hash or entry on its level.
    #[must_use]
    pub const fn start(&self) -> u64 {
        // In range: `new` has checked the end.
        self.index.wrapping_mul(FULL_WIDTH as u64)
    }

    fn end(&self) -> Option<u64> {
        self.index
            .checked_mul(FULL_WIDTH.into())?
            .checked_add(self.width.into())
    }

    const fn level(&self) -> u8 {
        match self.kind {
            TileKind::Hashes(level) => level,
            TileKind::Entries => 0,
        }
    }

    /// The content of a tile of hashes; for [`TileKind::Entries`] that of the tile of leaf hashes.
    ///
    /// # Errors
    ///
    /// Whatever the reader fails with. It is asked for nodes that a tree has when
    /// [`TilePath::is_within`] its size.
    pub fn hashes<R: NodeReader>(&self, reader: &R) -> Result<Vec<u8>, R::Error> {
        let mut bytes = Vec::with_capacity(usize::from(self.width) * HASH_BYTES);
        for offset in 0..u64::from(self.width) {
            let hash = reader.node(self.level() * HEIGHT, self.start() + offset)?;
            bytes.extend_from_slice(&hash.0);
        }
        Ok(bytes)
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        write_index(f, self.index / 1000)?;
        write!(f, "{:03}", self.index % 1000)?;
        if self.width == FULL_WIDTH {
            Ok(())
        } else {
            write!(f, ".p/{}", self.width)
        }
    }
}

/// Writes all but the last three digits, each three after an `x`.
fn write_index(f: &mut fmt::Formatter<'_>, thousands: u64) -> fmt::Result {
    if thousands == 0 {
        return Ok(());
    }
    write_index(f, thousands / 1000)?;
    write!(f, "x{:03}/", thousands % 1000)
}

impl FromStr for TilePath {
    type Err = InvalidTilePath;

    fn from_str(text: &str) -> Result<Self, InvalidTilePath> {
        let path = parse(text).ok_or(InvalidTilePath)?;
        // Reading is lenient; that a tile has only one path is decided here.
        if path.to_string() == text {
            Ok(path)
        } else {
            Err(InvalidTilePath)
        }
    }
}

fn parse(text: &str) -> Option<TilePath> {
    if text.len() > MAX_PATH_BYTES {
        return None;
    }
    let (level, rest) = text.strip_prefix("tile/")?.split_once('/')?;
    let kind = match level {
        "entries" => TileKind::Entries,
        level => TileKind::Hashes(level.parse().ok()?),
    };
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => (index, parse_decimal(width)?.try_into().ok()?),
        None => (rest, FULL_WIDTH),
    };
    let index: String = index.chars().filter(char::is_ascii_digit).collect();
    TilePath::new(kind, index.parse().ok()?, width).ok()
}

/// Encodes log entries as an entry bundle: each with its length before it, 2 bytes big-endian.
#[must_use]
pub fn encode_entries(entries: &[Digest]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|entry| [&ENTRY_LENGTH, entry.0.as_slice()].concat())
        .collect()
}

/// Reads an entry bundle; `None` unless it holds 1 to [`FULL_WIDTH`] entries of 32 bytes.
#[must_use]
pub fn decode_entries(bundle: &[u8]) -> Option<Vec<Digest>> {
    let (entries, rest) = bundle.as_chunks::<{ 2 + HASH_BYTES }>();
    if !rest.is_empty() || entries.is_empty() || entries.len() > FULL_WIDTH.into() {
        return None;
    }
    let entry = |bytes: &[u8; 2 + HASH_BYTES]| {
        Some(Digest(bytes.strip_prefix(&ENTRY_LENGTH)?.try_into().ok()?))
    };
    entries.iter().map(entry).collect()
}

const HASH_BYTES: usize = 32;
const ENTRY_LENGTH: [u8; 2] = [0, 32];

/// The longest path has level 0, six path elements and a width, under 50 bytes.
const MAX_PATH_BYTES: usize = 64;

#[cfg(test)]
mod tests;
