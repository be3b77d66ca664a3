use proptest::prelude::*;
use tlog_tiles::Tile;

use super::*;
use crate::log::tests::MemoryLog;
use crate::log::{leaf_hash, node_hash};

fn path(kind: TileKind, index: u64, width: u16) -> TilePath {
    TilePath::new(kind, index, width).unwrap()
}

#[test]
fn paths_are_those_of_the_specification() {
    let text = path(TileKind::Hashes(0), 1_234_067, 256).to_string();
    assert_eq!(text, "tile/0/x001/x234/067");
    assert_eq!(
        path(TileKind::Entries, 0, 256).to_string(),
        "tile/entries/000"
    );
    assert_eq!(
        path(TileKind::Hashes(1), 1_000, 17).to_string(),
        "tile/1/x001/000.p/17"
    );
}

#[test]
fn the_specifications_tree_of_70_000_leaves_has_exactly_its_tiles() {
    let within = |kind, index, width| path(kind, index, width).is_within(70_000);
    assert!(within(TileKind::Hashes(0), 272, 256) && within(TileKind::Entries, 272, 256));
    assert!(within(TileKind::Hashes(0), 273, 112) && !within(TileKind::Hashes(0), 273, 113));
    assert!(within(TileKind::Hashes(1), 0, 256));
    assert!(within(TileKind::Hashes(1), 1, 17) && !within(TileKind::Hashes(1), 1, 18));
    assert!(within(TileKind::Hashes(2), 0, 1) && !within(TileKind::Hashes(2), 0, 2));
    assert!(!within(TileKind::Hashes(3), 0, 1));
}

#[test]
fn a_second_spelling_of_a_path_is_refused() {
    for bad in [
        "",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/x001000",
        "tile/0/000/",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/-1",
        "tile/0/000.p/1.p/1",
        "tile/00/000",
        "tile/+0/000",
        "tile/8/000",
        "tile/63/000",
        "tile/-1/000",
        "tile/data/000",
        "/tile/0/000",
        "tile/0/../000",
        "tile/0/\u{661}00",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/7/128",
        "tile/7/000.p/128",
        "tile/0/x036/x028/x797/x018/x963/968",
    ] {
        assert_eq!(bad.parse::<TilePath>(), Err(InvalidTilePath), "{bad:?}");
    }
    assert!(
        "tile/7/000.p/127".parse::<TilePath>().is_ok(),
        "the root's half of the largest tree"
    );
    let last = "tile/0/x036/x028/x797/x018/x963/967.p/255";
    assert!(last.parse::<TilePath>().unwrap().is_within(MAX_SIZE));
}

#[test]
fn tiles_hold_the_hashes_that_make_the_tree() {
    let log = MemoryLog::numbered(600, 0);
    let Ok(full) = path(TileKind::Hashes(0), 1, 256).hashes(&log);
    assert_eq!(full.len(), 8_192);
    let mut level: Vec<Digest> = full
        .chunks(32)
        .map(|hash| Digest(hash.try_into().unwrap()))
        .collect();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| node_hash(&pair[0], &pair[1]))
            .collect();
    }
    let Ok(above) = path(TileKind::Hashes(1), 0, 2).hashes(&log);
    assert_eq!(
        above[32..],
        level[0].0,
        "a full tile is one hash of the tile above"
    );
    let Ok(partial) = path(TileKind::Hashes(0), 2, 88).hashes(&log);
    assert_eq!(partial.len(), 88 * 32);
}

#[test]
fn an_entry_bundle_holds_length_and_entry_by_turns() {
    let entries: Vec<Digest> = (0..3_u8).map(|n| Digest::of(&[n])).collect();
    let bundle = encode_entries(&entries);
    assert_eq!(bundle.len(), 3 * 34);
    assert_eq!(bundle[34..36], [0, 32]);
    assert_eq!(decode_entries(&bundle), Some(entries.clone()));
    // RFC 6962 hashing of an entry, without its length, gives the leaf.
    assert_eq!(
        leaf_hash(&entries[1]),
        Digest::of(&[&[0], &bundle[36..68]].concat())
    );

    assert_eq!(decode_entries(&[]), None);
    assert_eq!(decode_entries(&bundle[..101]), None);
    assert_eq!(decode_entries(&[bundle.as_slice(), &[0]].concat()), None);
    let mut other_length = bundle;
    other_length[35] = 31;
    assert_eq!(decode_entries(&other_length), None);
    assert_eq!(decode_entries(&encode_entries(&[entries[0]; 257])), None);
    assert!(decode_entries(&encode_entries(&[entries[0]; 256])).is_some());
}

proptest! {
    #[test]
    fn paths_round_trip_and_equal_the_other_implementations(
        level in 0..=7_u8, index in any::<u64>(), width in 1..=256_u16, entries in any::<bool>(),
    ) {
        let kind = if entries { TileKind::Entries } else { TileKind::Hashes(level) };
        let levels = if entries { 0 } else { level };
        // Any tile that the largest tree has.
        let path = path(kind, index % ((MAX_SIZE >> (8 * levels)) / 256).max(1), width.min(127));
        let text = path.to_string();
        prop_assert_eq!(text.parse(), Ok(path));
        prop_assert!(text.len() <= MAX_PATH_BYTES);
        // The other one writes the height after the word, as Go's checksum database does.
        let theirs = Tile::new(8, levels, path.index(), path.width().into(), entries).path();
        let theirs = theirs.replacen("tile/8/", "tile/", 1).replacen("/data/", "/entries/", 1);
        prop_assert_eq!(text, theirs);
    }

    #[test]
    fn reading_never_panics_and_accepts_only_what_it_would_write(text in "tile/([0-9]{1,2}|entries)/(x[0-9]{3}/){0,3}[0-9]{3}(.p/[0-9]{1,3})?|\\PC{0,30}") {
        if let Ok(path) = text.parse::<TilePath>() {
            prop_assert_eq!(path.to_string(), text);
            prop_assert!(path.is_within(MAX_SIZE));
        }
    }

    #[test]
    fn decoding_a_bundle_never_panics(bundle in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(entries) = decode_entries(&bundle) {
            prop_assert_eq!(encode_entries(&entries), bundle);
        }
    }
}
