//! The log at a hundred million leaves.
//!
//! All leaves are one entry, so that every complete subtree of a height is one hash and the tiles
//! need no disk: what is left is the work of the log itself.

use std::convert::Infallible;

use candour_server::log::{Edge, Nodes, TileCache, TileSource};
use candour_wire::Digest;
use candour_wire::log::tile::TileKind;
use candour_wire::log::{leaf_hash, node_hash};

use super::Scale;
use super::ingest::to_f64;
use super::report::Report;
use super::usage::{Stretch, Watched};

/// What the largest department would write in five years of 550,000 handsets by 100 records.
const LEAVES: u64 = 100_000_000;

struct Alike;

const ENTRY: Digest = Digest([7; 32]);

impl TileSource for Alike {
    type Error = Infallible;

    fn tile(&self, kind: TileKind, _index: u64) -> Result<Option<Vec<Digest>>, Infallible> {
        let hash = match kind {
            TileKind::Entries => ENTRY,
            TileKind::Hashes(level) => {
                let mut hash = leaf_hash(&ENTRY);
                for _ in 0..u32::from(level) * 8 {
                    hash = node_hash(&hash, &hash);
                }
                hash
            }
        };
        Ok(Some(vec![hash; 256]))
    }
}

pub(super) fn measure(scale: Scale, report: &mut Report) {
    let edge = Edge::load(&Alike, LEAVES).expect("tiles in memory");
    let count = scale.of(200_000);
    let mut growing = edge.clone();
    let stretch = Stretch::begin(Watched::this());
    for _ in 0..count {
        growing.append(ENTRY);
        drop(growing.take_changed());
    }
    report.figure(
        "log of 100 million leaves: append one, tiles included",
        stretch.processor_seconds() / to_f64(count) * 1e6,
        "µs",
        "< 1,000",
    );
    let count = scale.of(10_000);
    let places: Vec<u64> = (0..count as u64)
        .map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % LEAVES)
        .collect();
    let mut proofs = |what, most, prove: &dyn Fn(&Nodes<'_, Alike>, u64) -> usize| {
        let stretch = Stretch::begin(Watched::this());
        let mut longest = 0;
        for place in &places {
            // Nothing is remembered from the proof before.
            let cache = TileCache::default();
            longest = longest.max(prove(&Nodes::new(&edge, &Alike, &cache), *place));
        }
        let each = stretch.processor_seconds() / to_f64(count) * 1e6;
        report.figure(what, each, "µs", "< 1,000");
        report.figure("… hashes in the longest", to_f64(longest), "", most);
    };
    proofs(
        "log of 100 million leaves: inclusion proof, cold",
        "O(log n): 27",
        &|nodes, place| {
            let path = nodes.inclusion(place).expect("a leaf");
            path.hashes().len()
        },
    );
    proofs(
        "log of 100 million leaves: consistency proof, cold",
        "O(log n): 28",
        &|nodes, place| {
            let path = nodes.consistency(place + 1).expect("a proof");
            path.map_or(0, |path| path.hashes().len())
        },
    );
}
