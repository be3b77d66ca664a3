//! The log: its tiles are those of its entries, and lead to the checkpoint that was signed.

use candour_wire::Digest;
use candour_wire::log::{Checkpoint, LogVerifier};

use super::Look;
use crate::log::{Edge, Nodes, TileCache, TileSource as _};
use crate::store::sqlite::tiles::Tiles;

impl Look<'_> {
    pub(super) fn log(&mut self, key: &LogVerifier) {
        let tiles = Tiles(self.db);
        let Some((size, note)) = self.report.note("the log", tiles.newest()) else {
            return;
        };
        let bundles = self.rows(
            "SELECT hashes FROM log_tile WHERE level = -1 ORDER BY n",
            [],
            |row| row.get::<_, Vec<u8>>(0),
        );
        let bundles = self.report.note("log_tile", bundles).unwrap_or_default();
        let entries = bundles.iter().flat_map(|bundle| bundle.as_chunks::<32>().0);
        let mut edge = Edge::default();
        for entry in entries.copied().map(Digest) {
            edge.append(entry);
            self.entries.push((entry, false));
        }
        if edge.size() != size {
            let fault = format!("the log has {} entries and says {size}", edge.size());
            self.report.add(fault);
        }
        let grown = edge.take_changed();
        for tile in &grown {
            let kept = self
                .report
                .note("log_tile", tiles.tile(tile.kind, tile.index));
            if kept.is_some_and(|kept| kept.as_ref() != Some(&tile.hashes)) {
                let fault = format!("tile {} of {:?} is not its entries'", tile.index, tile.kind);
                self.report.add(fault);
            }
        }
        let count = self
            .db
            .query_row("SELECT count(*) FROM log_tile", (), |row| row.get(0));
        let count: Option<i64> = self.report.note("log_tile", count);
        if count.is_some_and(|count| usize::try_from(count) != Ok(grown.len())) {
            self.report
                .add("the log has tiles that belong to no entries");
        }
        let cache = TileCache::default();
        let root = Nodes::new(&edge, &tiles, &cache).root();
        match (note.map(|note| Checkpoint::open(&note, key)), root) {
            (None, _) if size == 0 => {}
            (Some(Ok(signed)), Ok(root)) if (signed.size, signed.root) == (size, root) => {}
            (None | Some(Err(_)), _) => self
                .report
                .add("the log's checkpoint is not one that its key has signed"),
            _ => self
                .report
                .add("the log does not lead to the checkpoint that was signed"),
        }
    }
}
