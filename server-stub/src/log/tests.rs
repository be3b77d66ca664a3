use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;

use candour_wire::log::merkle::{empty_root, verify_consistency, verify_inclusion};

use super::*;
use proptest::prelude::*;

/// Tiles in memory, each the last form that was kept.
#[derive(Default)]
struct Memory(RefCell<BTreeMap<TileName, Vec<Digest>>>);

/// Level, which entries have none of, and number.
type TileName = (Option<u8>, u64);

impl Memory {
    fn keep(&self, tiles: Vec<Tile>) {
        for tile in tiles {
            self.0
                .borrow_mut()
                .insert((level(tile.kind), tile.index), tile.hashes);
        }
    }
}

fn level(kind: TileKind) -> Option<u8> {
    match kind {
        TileKind::Hashes(level) => Some(level),
        TileKind::Entries => None,
    }
}

impl TileSource for Memory {
    type Error = Infallible;

    fn tile(&self, kind: TileKind, index: u64) -> Result<Option<Vec<Digest>>, Infallible> {
        Ok(self.0.borrow().get(&(level(kind), index)).cloned())
    }
}

fn entry(number: u64) -> Digest {
    Digest::of(&number.to_be_bytes())
}

/// The root by the recursive definition (RFC 9162, section 2.1.1), as an independent check.
fn plain_root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&plain_root(left), &plain_root(right))
        }
    }
}

fn leaves(size: u64) -> Vec<Digest> {
    (0..size).map(|number| leaf_hash(&entry(number))).collect()
}

/// Sizes around every place where a tile or a level of tiles fills up.
const SIZES: [u64; 12] = [
    1, 2, 3, 255, 256, 257, 511, 512, 1_000, 65_535, 65_536, 65_800,
];

#[test]
fn every_size_has_the_root_of_the_definition_and_proofs_that_verify() {
    let (memory, cache) = (Memory::default(), TileCache::default());
    let mut edge = Edge::default();
    let mut earlier = vec![(0, empty_root())];
    for size in SIZES {
        while edge.size() < size {
            edge.append(entry(edge.size()));
        }
        memory.keep(edge.take_changed());
        let nodes = Nodes::new(&edge, &memory, &cache);
        let root = nodes.root().unwrap();
        assert_eq!(root, plain_root(&leaves(size)), "{size}");
        for index in [0, 1, size / 3, size / 2, size - 1]
            .into_iter()
            .filter(|i| *i < size)
        {
            let path = nodes.inclusion(index).unwrap();
            let leaf = leaf_hash(&entry(index));
            assert_eq!(
                verify_inclusion(&leaf, index, size, &path, &root),
                Ok(()),
                "{index}/{size}"
            );
        }
        for (old_size, old_root) in &earlier {
            let path = nodes.consistency(*old_size).unwrap().unwrap();
            assert_eq!(
                verify_consistency(*old_size, old_root, size, &root, &path),
                Ok(())
            );
        }
        assert!(nodes.inclusion(size).is_err());
        assert_eq!(nodes.consistency(size + 1).unwrap(), None);
        earlier.push((size, root));
    }
}

#[test]
fn an_edge_that_is_read_back_goes_on_like_the_one_that_was_kept() {
    for size in SIZES {
        let memory = Memory::default();
        let mut kept = Edge::default();
        for number in 0..size {
            kept.append(entry(number));
        }
        memory.keep(kept.take_changed());
        let mut loaded = Edge::load(&memory, size).unwrap();
        for number in size..size + 300 {
            kept.append(entry(number));
            loaded.append(entry(number));
        }
        assert_eq!(loaded.take_changed(), kept.take_changed(), "{size}");
    }
}

#[test]
fn bundles_hold_the_entries_in_order_and_full_tiles_of_level_0_their_leaf_hashes() {
    let memory = Memory::default();
    let mut edge = Edge::default();
    for number in 0..300 {
        edge.append(entry(number));
    }
    memory.keep(edge.take_changed());
    let tile = |kind, index| memory.tile(kind, index).unwrap().unwrap();
    assert_eq!(
        tile(TileKind::Entries, 0),
        (0..256).map(entry).collect::<Vec<_>>()
    );
    assert_eq!(
        tile(TileKind::Entries, 1),
        (256..300).map(entry).collect::<Vec<_>>()
    );
    assert_eq!(tile(TileKind::Hashes(0), 0), leaves(256));
    assert_eq!(memory.tile(TileKind::Hashes(0), 1).unwrap(), None);
    assert_eq!(
        leaf_hashes(&tile(TileKind::Entries, 1)),
        leaves(300)[256..],
        "what is not kept can be made"
    );
    assert_eq!(tile(TileKind::Hashes(1), 0), [plain_root(&leaves(256))]);
}

#[test]
fn only_what_changed_is_kept_again() {
    let mut edge = Edge::default();
    for number in 0..300 {
        edge.append(entry(number));
    }
    edge.take_changed();
    assert_eq!(edge.take_changed(), []);
    edge.append(entry(300));
    let changed = edge.take_changed();
    let names: Vec<_> = changed.iter().map(|tile| (tile.kind, tile.index)).collect();
    assert_eq!(names, [(TileKind::Entries, 1)]);
}

#[test]
fn a_missing_or_short_tile_is_reported() {
    let memory = Memory::default();
    let mut edge = Edge::default();
    for number in 0..300 {
        edge.append(entry(number));
    }
    memory.keep(edge.take_changed());
    assert!(matches!(Edge::load(&memory, 301), Err(LogError::Missing)));
    memory.0.borrow_mut().remove(&(Some(0), 0));
    let cache = TileCache::default();
    let nodes = Nodes::new(&edge, &memory, &cache);
    assert!(matches!(nodes.inclusion(3), Err(LogError::Missing)));
}

/// What a store may do between two commits.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A group of this many leaves is committed.
    Commit(u64),
    /// A group is undone after its tiles were read.
    RollBack(u64),
    /// The store is opened anew.
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..400_u64).prop_map(Step::Commit),
        1 => (1..400_u64).prop_map(Step::RollBack),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_committed_undone_or_reopened_the_root_is_that_of_the_leaves(
        steps in prop::collection::vec(step(), 1..12)
    ) {
        let (memory, cache) = (Memory::default(), TileCache::default());
        let mut edge = Edge::default();
        for step in steps {
            match step {
                Step::Commit(count) => {
                    for _ in 0..count {
                        edge.append(entry(edge.size()));
                    }
                    memory.keep(edge.take_changed());
                }
                Step::RollBack(count) => {
                    let undone = Memory(RefCell::new(memory.0.borrow().clone()));
                    let mut grown = edge.clone();
                    for _ in 0..count {
                        grown.append(Digest::of(b"another leaf"));
                    }
                    undone.keep(grown.take_changed());
                    let nodes = Nodes::new(&grown, &undone, &cache);
                    for index in [0, grown.size() / 2, grown.size() - 1] {
                        nodes.inclusion(index).unwrap();
                    }
                    cache.clear();
                }
                Step::Reopen => edge = Edge::load(&memory, edge.size()).unwrap(),
            }
            let nodes = Nodes::new(&edge, &memory, &cache);
            let root = nodes.root().unwrap();
            prop_assert_eq!(root, plain_root(&leaves(edge.size())));
            if let Some(last) = edge.size().checked_sub(1) {
                let path = nodes.inclusion(last).unwrap();
                let leaf = leaf_hash(&entry(last));
                prop_assert_eq!(verify_inclusion(&leaf, last, edge.size(), &path, &root), Ok(()));
            }
        }
    }
}
