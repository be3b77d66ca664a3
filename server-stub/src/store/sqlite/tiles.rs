//! The log's tiles and its newest checkpoint, in tables.

use candour_wire::Digest;
use candour_wire::log::tile::{FULL_WIDTH, TileKind, TilePath, encode_entries};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::values::{int, uint};
use crate::log::{Tile, TileSource, leaf_hashes};

/// The log as of a connection's transaction.
pub(super) struct Tiles<'a>(pub(super) &'a Connection);

impl Tiles<'_> {
    /// Number of leaves, and the signed checkpoint.
    pub(super) fn newest(&self) -> rusqlite::Result<(u64, Option<String>)> {
        self.0
            .prepare_cached("SELECT size, checkpoint FROM log")?
            .query_row((), |row| Ok((uint(row, 0)?, row.get(1)?)))
    }

    pub(super) fn set_newest(&self, size: u64, checkpoint: &str) -> rusqlite::Result<()> {
        self.0
            .prepare_cached("UPDATE log SET size = ?1, checkpoint = ?2")?
            .execute(params![int(size)?, checkpoint])?;
        Ok(())
    }

    pub(super) fn keep(&self, tiles: &[Tile]) -> rusqlite::Result<()> {
        let mut statement = self.0.prepare_cached(
            "INSERT INTO log_tile (level, n, hashes) VALUES (?1, ?2, ?3)
             ON CONFLICT (level, n) DO UPDATE SET hashes = excluded.hashes",
        )?;
        for tile in tiles {
            let hashes: Vec<u8> = tile.hashes.iter().flat_map(|hash| hash.0).collect();
            statement.execute(params![level(tile.kind), int(tile.index)?, hashes])?;
        }
        Ok(())
    }

    /// What is published at `path`; `None` when the log does not reach that far.
    pub(super) fn published(&self, path: TilePath) -> rusqlite::Result<Option<Vec<u8>>> {
        let (size, _) = self.newest()?;
        if !path.is_within(size) {
            return Ok(None);
        }
        // The last tile of leaf hashes is kept as entries only.
        let from_entries = path.kind() == TileKind::Hashes(0) && path.width() < FULL_WIDTH;
        let kept = if from_entries {
            TileKind::Entries
        } else {
            path.kind()
        };
        let Some(mut hashes) = self.tile(kept, path.index())? else {
            return Ok(None);
        };
        if hashes.len() < usize::from(path.width()) {
            return Ok(None);
        }
        hashes.truncate(path.width().into());
        if from_entries {
            hashes = leaf_hashes(&hashes);
        }
        Ok(Some(match path.kind() {
            TileKind::Entries => encode_entries(&hashes),
            TileKind::Hashes(_) => hashes.iter().flat_map(|hash| hash.0).collect(),
        }))
    }
}

impl TileSource for Tiles<'_> {
    type Error = rusqlite::Error;

    fn tile(&self, kind: TileKind, index: u64) -> rusqlite::Result<Option<Vec<Digest>>> {
        let bytes: Option<Vec<u8>> = self
            .0
            .prepare_cached("SELECT hashes FROM log_tile WHERE level = ?1 AND n = ?2")?
            .query_row(params![level(kind), int(index)?], |row| row.get(0))
            .optional()?;
        Ok(bytes.map(|bytes| {
            // A damaged length shows as a tile that is too short.
            let (hashes, _) = bytes.as_chunks::<32>();
            hashes.iter().copied().map(Digest).collect()
        }))
    }
}

fn level(kind: TileKind) -> i64 {
    match kind {
        TileKind::Entries => -1,
        TileKind::Hashes(level) => level.into(),
    }
}
