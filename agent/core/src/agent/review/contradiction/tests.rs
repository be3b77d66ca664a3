use std::convert::Infallible;

use candour_wire::log::leaf_hash;
use candour_wire::log::merkle::{NodeReader, empty_root, inclusion_path, root};

use super::*;

/// A log whose leaves are known.
struct Log(Vec<Digest>);

impl Log {
    /// Leaves as every log here has them up to `fork`, and its own from there on.
    fn forked(fork: u64, size: u64, own: &[u8]) -> Self {
        let leaf = |number: u64| {
            let owner: &[u8] = if number < fork { b"common" } else { own };
            leaf_hash(&Digest::of_parts(&[owner, &number.to_be_bytes()]))
        };
        Self((0..size).map(leaf).collect())
    }

    fn checkpoint(&self, size: u64, time: &str) -> Checkpoint {
        let Ok(root) = root(self, size);
        Checkpoint {
            origin: "candour.example/log".into(),
            size,
            root,
            time: time.parse().unwrap(),
        }
    }

    fn receipt(&self, index: u64, size: u64, time: &str) -> Receipt {
        let Ok(path) = inclusion_path(self, index, size);
        Receipt {
            leaf: self.0[usize::try_from(index).unwrap()],
            index,
            path: path.unwrap(),
            checkpoint: self.checkpoint(size, time),
        }
    }
}

impl NodeReader for Log {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Digest, Infallible> {
        let begin = usize::try_from(index << level).unwrap();
        Ok(hash(&self.0[begin..begin + (1 << level)]))
    }
}

/// By the book: RFC 9162, section 2.1.1.
fn hash(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&hash(left), &hash(right))
        }
    }
}

struct Receipt {
    leaf: Digest,
    index: u64,
    path: HashPath,
    checkpoint: Checkpoint,
}

/// Which of the receipts are contradicted, by each other or by what else was signed.
fn contradicted(receipts: &[Receipt], given: Option<&Checkpoint>) -> Vec<bool> {
    let mut statements = Statements::default();
    given
        .iter()
        .for_each(|given| statements.add_checkpoint(given));
    for r in receipts {
        statements.add_receipt(r.leaf, r.index, &r.path, &r.checkpoint);
    }
    let contradictions = statements.compare();
    receipts
        .iter()
        .map(|r| contradictions.concern(r.leaf, r.index, &r.path, &r.checkpoint))
        .collect()
}

const TEN: &str = "2026-11-22T10:00:00Z";
const ELEVEN: &str = "2026-11-22T11:00:00Z";

#[test]
fn receipts_of_one_log_that_grows_never_contradict_each_other() {
    let log = Log::forked(40, 40, b"");
    let mut receipts = Vec::new();
    for size in 1..=40 {
        let time = format!("2026-11-22T10:{size:02}:00Z");
        receipts.extend((0..size).map(|index| log.receipt(index, size, &time)));
    }
    assert!(!contradicted(&receipts, None).contains(&true));
    for size in 0..=40 {
        let given = log.checkpoint(size, &format!("2026-11-22T10:{size:02}:00Z"));
        assert!(!contradicted(&receipts, Some(&given)).contains(&true));
    }
}

#[test]
fn two_roots_of_one_size_contradict_each_other() {
    let (old, new) = (Log::forked(5, 7, b"old"), Log::forked(5, 7, b"new"));
    let receipts = [old.receipt(0, 7, TEN), new.receipt(1, 7, TEN)];
    assert_eq!(contradicted(&receipts, None), [true, true]);
}

#[test]
fn two_leaves_at_one_place_contradict_each_other_and_nothing_that_was_before() {
    let (old, new) = (Log::forked(1, 2, b"old"), Log::forked(1, 9, b"new"));
    let receipts = [
        old.receipt(0, 1, TEN),
        old.receipt(1, 2, TEN),
        new.receipt(1, 9, TEN),
    ];
    assert_eq!(contradicted(&receipts, None), [false, true, true]);
}

#[test]
fn a_leaf_that_another_receipts_path_shows_rewritten_is_contradicted() {
    let (old, new) = (Log::forked(6, 7, b"old"), Log::forked(6, 13, b"new"));
    // Other places and other sizes, but both say what leaves 4 to 7 hash to.
    let receipts = [old.receipt(6, 7, TEN), new.receipt(7, 13, ELEVEN)];
    assert_eq!(contradicted(&receipts, None), [true, true]);
}

#[test]
fn a_smaller_log_that_was_signed_later_contradicts_the_larger_one() {
    let (old, new) = (Log::forked(3, 8, b"old"), Log::forked(3, 4, b"old"));
    let receipts = [
        old.receipt(0, 1, "2026-11-22T09:00:00Z"),
        old.receipt(1, 8, TEN),
        new.receipt(3, 4, ELEVEN),
    ];
    assert_eq!(contradicted(&receipts, None), [false, true, true]);
    // Given from elsewhere it counts as much, the larger as well as the smaller.
    let [larger, smaller] = [old.checkpoint(8, TEN), new.checkpoint(4, ELEVEN)];
    assert_eq!(contradicted(&receipts[1..2], Some(&smaller)), [true]);
    assert_eq!(contradicted(&receipts[2..], Some(&larger)), [true]);
}

#[test]
fn requests_that_overtook_each_other_at_the_server_are_no_contradiction() {
    let log = Log::forked(9, 9, b"");
    let receipts = [
        log.receipt(4, 5, "2026-11-22T10:00:30Z"),
        log.receipt(5, 6, TEN),
    ];
    assert_eq!(contradicted(&receipts, None), [false, false]);
}
