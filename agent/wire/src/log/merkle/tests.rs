use proptest::prelude::*;
use tlog_tiles::tlog::{self, Hash, HashReader, split_stored_hash_index};

use super::*;
use crate::log::tests::MemoryLog;

/// The other implementation numbers the same nodes in its own way.
impl HashReader for MemoryLog {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
        let read = |index: &u64| {
            let (level, index) = split_stored_hash_index(*index);
            let Ok(node) = self.node(level, index);
            Hash(node.0)
        };
        Ok(indexes.iter().map(read).collect())
    }
}

fn root_of(log: &MemoryLog, size: u64) -> Digest {
    let Ok(root) = root(log, size);
    root
}

fn inclusion(log: &MemoryLog, index: u64, size: u64) -> HashPath {
    let Ok(path) = inclusion_path(log, index, size);
    path.unwrap()
}

fn consistency(log: &MemoryLog, old: u64, new: u64) -> HashPath {
    let Ok(path) = consistency_path(log, old, new);
    path.unwrap()
}

fn leaf(log: &MemoryLog, index: u64) -> Digest {
    let Ok(leaf) = log.node(0, index);
    leaf
}

/// The definition of RFC 9162, section 2.1.1, word for word.
fn definition(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let k = leaves.len().next_power_of_two() / 2;
            node_hash(&definition(&leaves[..k]), &definition(&leaves[k..]))
        }
    }
}

#[test]
fn roots_are_those_of_the_certificate_transparency_test_vectors() {
    // github.com/google/certificate-transparency, merkletree/merkle_tree_test.cc.
    let inputs: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let log = MemoryLog::with_leaves(inputs.map(|input| Digest::of_parts(&[&[0], input])));
    for (size, root) in (0..).zip(roots) {
        assert_eq!(root_of(&log, size).to_hex(), root, "{size} leaves");
    }
}

#[test]
fn every_proof_of_small_trees_verifies_and_equals_the_other_implementations() {
    let log = MemoryLog::numbered(40, 0);
    let leaves: Vec<Digest> = (0..40).map(|index| leaf(&log, index)).collect();
    for size in 0..=40 {
        let root = root_of(&log, size);
        assert_eq!(root, definition(&leaves[..usize::try_from(size).unwrap()]));
        assert_eq!(tlog::tree_hash(size, &log).unwrap().0, root.0);
        for index in 0..size {
            let path = inclusion(&log, index, size);
            let theirs = tlog::prove_record(size, index, &log).unwrap();
            assert_eq!(path, ours(&theirs), "leaf {index} of {size}");
            assert_eq!(
                verify_inclusion(&leaf(&log, index), index, size, &path, &root),
                Ok(())
            );
        }
        for old in 0..=size {
            let (path, old_root) = (consistency(&log, old, size), root_of(&log, old));
            if old > 0 {
                let theirs = tlog::prove_tree(size, old, &log).unwrap();
                assert_eq!(path, ours(&theirs), "{old} in {size}");
            }
            assert_eq!(
                verify_consistency(old, &old_root, size, &root, &path),
                Ok(())
            );
        }
    }
}

fn ours(hashes: &[Hash]) -> HashPath {
    hashes
        .iter()
        .map(|hash| Digest(hash.0))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

#[test]
fn a_log_that_rewrote_a_leaf_cannot_prove_that_it_did_not() {
    let (honest, rewritten) = (MemoryLog::numbered(40, 0), MemoryLog::numbered(40, 1));
    for old in 1..40 {
        let path = consistency(&rewritten, old, 40);
        let (old_root, new_root) = (root_of(&honest, old), root_of(&rewritten, 40));
        assert_eq!(
            verify_consistency(old, &old_root, 40, &new_root, &path),
            Err(ProofError::WrongRoot)
        );
    }
    let (one, other) = (root_of(&honest, 40), root_of(&rewritten, 40));
    let nothing = HashPath::default();
    assert_eq!(
        verify_consistency(40, &one, 40, &other, &nothing),
        Err(ProofError::WrongRoot)
    );
    assert_eq!(
        verify_consistency(0, &one, 40, &other, &nothing),
        Err(ProofError::WrongRoot)
    );
}

#[test]
fn numbers_that_do_not_fit_are_refused_and_not_computed_with() {
    let (any, nothing) = (Digest::of(b"x"), HashPath::default());
    for (index, size) in [
        (0, 0),
        (5, 5),
        (u64::MAX, u64::MAX),
        (0, MAX_SIZE + 1),
        (u64::MAX, 1),
    ] {
        let refused = verify_inclusion(&any, index, size, &nothing, &any);
        assert_eq!(refused, Err(ProofError::OutOfRange), "{index} of {size}");
    }
    for (old, new) in [(2, 1), (1, MAX_SIZE + 1), (u64::MAX, u64::MAX)] {
        let refused = verify_consistency(old, &any, new, &any, &nothing);
        assert_eq!(refused, Err(ProofError::OutOfRange), "{old} in {new}");
    }
    let log = MemoryLog::numbered(3, 0);
    assert_eq!(inclusion_path(&log, 3, 3), Ok(None));
    assert_eq!(inclusion_path(&log, 0, MAX_SIZE + 1), Ok(None));
    assert_eq!(consistency_path(&log, 3, 2), Ok(None));
    assert_eq!(consistency_path(&log, 3, MAX_SIZE + 1), Ok(None));
}

#[test]
fn the_largest_trees_have_proofs_within_the_longest_path() {
    /// Every subtree of a height has the same hash, as if all leaves were equal.
    struct Uniform;
    impl NodeReader for Uniform {
        type Error = std::convert::Infallible;
        fn node(&self, level: u8, _: u64) -> Result<Digest, Self::Error> {
            let Ok(below) = level
                .checked_sub(1)
                .map_or(Ok(Digest::of(b"leaf")), |l| self.node(l, 0));
            Ok(if level == 0 {
                below
            } else {
                node_hash(&below, &below)
            })
        }
    }
    let Ok(root_hash) = root(&Uniform, MAX_SIZE);
    let mut longest = 0;
    for index in [0, 1, MAX_SIZE / 2, MAX_SIZE - 1] {
        let Ok(path) = inclusion_path(&Uniform, index, MAX_SIZE);
        let path = path.unwrap();
        longest = longest.max(path.hashes().len());
        let leaf = Digest::of(b"leaf");
        assert_eq!(
            verify_inclusion(&leaf, index, MAX_SIZE, &path, &root_hash),
            Ok(())
        );
    }
    assert_eq!(longest, 63);
    for old in [1, 2, (1 << 62) - 1, MAX_SIZE - 2, MAX_SIZE - 1] {
        let (Ok(path), Ok(old_root)) = (
            consistency_path(&Uniform, old, MAX_SIZE),
            root(&Uniform, old),
        );
        let path = path.unwrap();
        longest = longest.max(path.hashes().len());
        assert_eq!(
            verify_consistency(old, &old_root, MAX_SIZE, &root_hash, &path),
            Ok(())
        );
    }
    assert_eq!(longest, MAX_PATH_LEN);
}

#[test]
fn a_log_stores_fewer_than_two_nodes_for_each_leaf() {
    let log = MemoryLog::numbered(1000, 0);
    assert!(log.stored() < 2000);
}

#[test]
fn a_path_is_one_string_in_json_of_at_most_64_hashes() {
    let hashes = |count: usize| vec![Digest::of(b"x"); count];
    let path = HashPath::try_from(hashes(2)).unwrap();
    let json = serde_json::to_string(&path).unwrap();
    assert_eq!(json.len(), 2 + 86);
    assert_eq!(serde_json::from_str::<HashPath>(&json).unwrap(), path);
    assert_eq!(
        serde_json::from_str::<HashPath>("\"\"").unwrap(),
        HashPath::default()
    );
    assert!(HashPath::try_from(hashes(64)).is_ok());
    assert_eq!(HashPath::try_from(hashes(65)), Err(InvalidHashPath));
    for bad in [31, 33, 65 * 32] {
        let text = URL_SAFE_NO_PAD.encode(vec![0; bad]);
        assert_eq!(
            HashPath::try_from(text),
            Err(InvalidHashPath),
            "{bad} bytes"
        );
    }
    assert_eq!(HashPath::try_from("=".to_owned()), Err(InvalidHashPath));
}

fn any_path() -> impl Strategy<Value = HashPath> {
    prop::collection::vec(any::<[u8; 32]>().prop_map(Digest), 0..=MAX_PATH_LEN)
        .prop_map(|hashes| hashes.try_into().unwrap())
}

proptest! {
    #[test]
    fn proofs_of_larger_trees_equal_the_other_implementations(
        size in 1..600_u64, index in any::<prop::sample::Index>(), old in any::<prop::sample::Index>(),
    ) {
        let log = MemoryLog::numbered(size, 0);
        let index = index.index(usize::try_from(size).unwrap()) as u64;
        let old = old.index(usize::try_from(size).unwrap()) as u64 + 1;
        let theirs = tlog::prove_record(size, index, &log).unwrap();
        prop_assert_eq!(inclusion(&log, index, size), ours(&theirs));
        let theirs = tlog::prove_tree(size, old, &log).unwrap();
        prop_assert_eq!(consistency(&log, old, size), ours(&theirs));
    }

    #[test]
    fn verdicts_on_altered_inclusion_proofs_are_the_other_implementations(
        size in 1..70_u64, index in 0..80_u64, claimed in 0..80_u64,
        kept in 0..9_usize, flip in any::<Option<prop::sample::Index>>(),
    ) {
        let log = MemoryLog::numbered(size, 0);
        let leaf = leaf(&log, index % size);
        let mut hashes = inclusion(&log, index % size, size).0;
        hashes.truncate(kept);
        if let (Some(flip), false) = (flip, hashes.is_empty()) {
            let at = flip.index(hashes.len());
            hashes[at].0[0] ^= 1;
        }
        let root = root_of(&log, size);
        let theirs: Vec<Hash> = hashes.iter().map(|hash| Hash(hash.0)).collect();
        let theirs = tlog::check_record(&theirs, size, Hash(root.0), claimed, Hash(leaf.0));
        let ours = verify_inclusion(&leaf, claimed, size, &HashPath(hashes), &root);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok());
    }

    #[test]
    fn verdicts_on_altered_consistency_proofs_are_the_other_implementations(
        size in 1..70_u64, old in 1..80_u64, claimed in 1..80_u64,
        kept in 0..9_usize, flip in any::<Option<prop::sample::Index>>(),
    ) {
        let log = MemoryLog::numbered(size, 0);
        let old = old % size + 1;
        let mut hashes = consistency(&log, old, size).0;
        hashes.truncate(kept);
        if let (Some(flip), false) = (flip, hashes.is_empty()) {
            let at = flip.index(hashes.len());
            hashes[at].0[0] ^= 1;
        }
        let (old_root, root) = (root_of(&log, old), root_of(&log, size));
        let theirs: Vec<Hash> = hashes.iter().map(|hash| Hash(hash.0)).collect();
        let theirs = tlog::check_tree(&theirs, size, Hash(root.0), claimed, Hash(old_root.0));
        let ours = verify_consistency(claimed, &old_root, size, &root, &HashPath(hashes));
        prop_assert_eq!(ours.is_ok(), theirs.is_ok());
    }

    #[test]
    fn made_up_proofs_are_refused_without_panic(
        index in any::<u64>(), old in 1..u64::MAX, size in any::<u64>(), path in any_path(), hash in any::<[u8; 32]>(),
    ) {
        let (hash, root) = (Digest(hash), Digest::of(b"root"));
        prop_assert!(verify_inclusion(&hash, index, size, &path, &root).is_err());
        prop_assert!(verify_consistency(old, &hash, size, &root, &path).is_err());
    }
}
