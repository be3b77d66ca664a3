//! Growing the Merkle log and proving what is in it, over tiles that a store keeps.
//!
//! The tree is kept as C2SP tiles of height 8: for each level of tiles, 256 hashes to a tile, and
//! beside them the entries, 256 to a bundle. Only the right-most tile of a level ever changes, so
//! the [`Edge`] holds those in memory and everything left of it is immutable. The last hash tile
//! of level 0 is not kept before it is full: it says the same as the last bundle of entries.
//!
//! Appending: [`Edge::append`] each entry, keep what [`Edge::take_changed`] returns, then prove
//! with [`Nodes`]. A store does all of it in the transaction that keeps the records. If that
//! fails it goes back to the edge from before and calls [`TileCache::clear`].

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use candour_wire::Digest;
use candour_wire::log::merkle::{self, HashPath, NodeReader};
use candour_wire::log::tile::{FULL_WIDTH, TileKind};
use candour_wire::log::{leaf_hash, node_hash};

/// Reads tiles from where a store keeps them.
pub trait TileSource {
    /// How reading fails.
    type Error;

    /// The hashes or entries of tile number `index`, as many as it has; `None` when there is no
    /// such tile.
    ///
    /// # Errors
    ///
    /// When the tile cannot be read.
    fn tile(&self, kind: TileKind, index: u64) -> Result<Option<Vec<Digest>>, Self::Error>;
}

/// The log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError<E> {
    /// The store failed.
    #[error("a tile of the log cannot be read")]
    Source(#[source] E),
    /// A tile that the log's size implies is missing or too short.
    #[error("a tile of the log is missing")]
    Missing,
}

/// A tile that has changed and is to be kept in place of what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Hashes of which level, or entries.
    pub kind: TileKind,
    /// Number of the tile on its level.
    pub index: u64,
    /// All its hashes or entries so far, 1 to 256.
    pub hashes: Vec<Digest>,
}

/// The right edge of the tree: its size and the tiles that are not full.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    size: u64,
    /// Entries of the last bundle.
    entries: Vec<Digest>,
    /// For each level of tiles the last one, less than full.
    tiles: Vec<Subtrees>,
    /// Tiles that filled up since they were last taken.
    filled: Vec<Tile>,
    /// Levels of tiles that changed since they were last taken: always the lowest ones.
    changed_levels: usize,
}

impl Edge {
    /// Reads the edge of the tree with `size` leaves.
    ///
    /// # Errors
    ///
    /// [`LogError`].
    pub fn load<S: TileSource>(source: &S, size: u64) -> Result<Self, LogError<S::Error>> {
        let mut edge = Self {
            size,
            ..Self::default()
        };
        edge.entries = last_tile(source, TileKind::Entries, size)?;
        let mut hashes = leaf_hashes(&edge.entries);
        let (mut level, mut on_level) = (0, size);
        while on_level > 0 {
            let mut tile = Subtrees::default();
            for hash in hashes {
                tile.push(hash);
            }
            edge.tiles.push(tile);
            on_level /= WIDTH;
            level += 1;
            hashes = last_tile(source, TileKind::Hashes(level), on_level)?;
        }
        Ok(edge)
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf with this entry.
    pub fn append(&mut self, entry: Digest) {
        let index = self.size / WIDTH;
        self.entries.push(entry);
        if self.entries.len() == FULL {
            let hashes = std::mem::take(&mut self.entries);
            self.filled.push(Tile {
                kind: TileKind::Entries,
                index,
                hashes,
            });
        }
        let mut hash = leaf_hash(&entry);
        let mut position = self.size;
        for level in 0..=MAX_LEVEL {
            let slot = usize::from(level);
            if self.tiles.len() == slot {
                self.tiles.push(Subtrees::default());
            }
            self.changed_levels = self.changed_levels.max(slot + 1);
            let tile = self
                .tiles
                .get_mut(slot)
                .expect("the level was added when it was missing");
            let Some(root) = tile.push(hash) else { break };
            let hashes = std::mem::take(tile).into_hashes();
            self.filled.push(Tile {
                kind: TileKind::Hashes(level),
                index: position / WIDTH,
                hashes,
            });
            hash = root;
            position /= WIDTH;
        }
        self.size += 1;
    }

    /// The tiles that changed since this was last called, each once and in its newest form.
    pub fn take_changed(&mut self) -> Vec<Tile> {
        let mut changed = std::mem::take(&mut self.filled);
        if self.changed_levels > 0 && !self.entries.is_empty() {
            changed.push(Tile {
                kind: TileKind::Entries,
                index: self.size / WIDTH,
                hashes: self.entries.clone(),
            });
        }
        let mut on_level = self.size;
        for (level, tile) in (0..).zip(self.tiles.iter().take(self.changed_levels)) {
            if level > 0 && !tile.hashes().is_empty() {
                changed.push(Tile {
                    kind: TileKind::Hashes(level),
                    index: on_level / WIDTH,
                    hashes: tile.hashes().to_vec(),
                });
            }
            on_level /= WIDTH;
        }
        self.changed_levels = 0;
        changed
    }
}

/// The hash tile of level 0 over these entries.
#[must_use]
pub fn leaf_hashes(entries: &[Digest]) -> Vec<Digest> {
    entries.iter().map(leaf_hash).collect()
}

/// The hashes of the last tile of a level with `on_level` hashes; none when that tile is full.
fn last_tile<S: TileSource>(
    source: &S,
    kind: TileKind,
    on_level: u64,
) -> Result<Vec<Digest>, LogError<S::Error>> {
    let width = usize::try_from(on_level % WIDTH).expect("less than 256");
    if width == 0 {
        return Ok(Vec::new());
    }
    let tile = source
        .tile(kind, on_level / WIDTH)
        .map_err(LogError::Source)?;
    let mut hashes = tile.ok_or(LogError::Missing)?;
    if hashes.len() < width {
        return Err(LogError::Missing);
    }
    hashes.truncate(width);
    Ok(hashes)
}

/// The hashes of one tile and of the complete subtrees above them, up to its root.
#[derive(Debug, Clone, Default)]
struct Subtrees {
    /// `rows[h]` has the complete subtrees of height `h` within the tile.
    rows: [Vec<Digest>; HEIGHT as usize],
}

impl Subtrees {
    /// Adds a hash; returns the tile's root when that fills it.
    fn push(&mut self, hash: Digest) -> Option<Digest> {
        let mut node = hash;
        for row in &mut self.rows {
            row.push(node);
            let ([.., left, right], true) = (row.as_slice(), row.len().is_multiple_of(2)) else {
                return None;
            };
            node = node_hash(left, right);
        }
        Some(node)
    }

    fn hashes(&self) -> &[Digest] {
        let [hashes, ..] = &self.rows;
        hashes
    }

    fn into_hashes(self) -> Vec<Digest> {
        let [hashes, ..] = self.rows;
        hashes
    }

    fn node(&self, height: u8, position: u64) -> Option<Digest> {
        let row = self.rows.get(usize::from(height))?;
        row.get(usize::try_from(position).ok()?).copied()
    }
}

/// Full tiles that were read lately. They never change, unless the transaction that filled them
/// is undone.
#[derive(Debug, Default)]
pub struct TileCache(RefCell<HashMap<(u8, u64), Arc<Subtrees>>>);

impl TileCache {
    /// Forgets everything.
    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

/// The nodes of the tree, for proofs.
pub struct Nodes<'a, S> {
    edge: &'a Edge,
    source: &'a S,
    cache: &'a TileCache,
}

impl<'a, S: TileSource> Nodes<'a, S> {
    /// The tree that ends at `edge`, whose full tiles `source` has.
    #[must_use]
    pub const fn new(edge: &'a Edge, source: &'a S, cache: &'a TileCache) -> Self {
        Self {
            edge,
            source,
            cache,
        }
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.edge.size
    }

    /// The tree's root hash.
    ///
    /// # Errors
    ///
    /// [`LogError`].
    pub fn root(&self) -> Result<Digest, LogError<S::Error>> {
        merkle::root(self, self.edge.size)
    }

    /// The audit path of leaf number `index`.
    ///
    /// # Errors
    ///
    /// [`LogError`], [`LogError::Missing`] when the tree has no such leaf.
    pub fn inclusion(&self, index: u64) -> Result<HashPath, LogError<S::Error>> {
        merkle::inclusion_path(self, index, self.edge.size)?.ok_or(LogError::Missing)
    }

    /// The proof that this tree extends the one of `old_size`; `None` when that is larger.
    ///
    /// # Errors
    ///
    /// [`LogError`].
    pub fn consistency(&self, old_size: u64) -> Result<Option<HashPath>, LogError<S::Error>> {
        merkle::consistency_path(self, old_size, self.edge.size)
    }

    fn full_tile(&self, level: u8, index: u64) -> Result<Arc<Subtrees>, LogError<S::Error>> {
        if let Some(tile) = self.cache.0.borrow().get(&(level, index)) {
            return Ok(Arc::clone(tile));
        }
        let hashes = self
            .source
            .tile(TileKind::Hashes(level), index)
            .map_err(LogError::Source)?;
        let hashes = hashes
            .filter(|hashes| hashes.len() == FULL)
            .ok_or(LogError::Missing)?;
        let mut tile = Subtrees::default();
        for hash in hashes {
            tile.push(hash);
        }
        let tile = Arc::new(tile);
        let mut cache = self.cache.0.borrow_mut();
        if cache.len() >= CACHE_MAX_TILES {
            cache.clear();
        }
        cache.insert((level, index), Arc::clone(&tile));
        Ok(tile)
    }
}

impl<S: TileSource> NodeReader for Nodes<'_, S> {
    type Error = LogError<S::Error>;

    fn node(&self, level: u8, index: u64) -> Result<Digest, Self::Error> {
        let (tile_level, height) = (level / HEIGHT, level % HEIGHT);
        // Subtrees of this height in a full tile.
        let per_tile = WIDTH >> height;
        let (tile_index, position) = (index / per_tile, index % per_tile);
        let slot = usize::from(tile_level);
        let on_level = self
            .edge
            .size
            .checked_shr(u32::from(tile_level * HEIGHT))
            .unwrap_or(0);
        let node = if tile_index < on_level / WIDTH {
            self.full_tile(tile_level, tile_index)?
                .node(height, position)
        } else if tile_index == on_level / WIDTH {
            self.edge
                .tiles
                .get(slot)
                .and_then(|tile| tile.node(height, position))
        } else {
            None
        };
        node.ok_or(LogError::Missing)
    }
}

/// Levels of the tree in one tile.
const HEIGHT: u8 = 8;

const WIDTH: u64 = FULL_WIDTH as u64;
const FULL: usize = FULL_WIDTH as usize;

/// The highest level of tiles of the largest tree.
const MAX_LEVEL: u8 = 7;

/// Each tile with its inner nodes is 16 KiB, so the cache stays under 16 MiB, and covers the last
/// 256,000 leaves.
const CACHE_MAX_TILES: usize = 1_000;

#[cfg(test)]
mod tests;
