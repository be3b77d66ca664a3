//! Whether checkpoints and receipts, each of which holds for itself, can be of one log.
//!
//! A log only grows. So the leaves of a range hash to the same in whatever tree they are seen
//! (RFC 9162, section 2.1.1: every node is the hash of a range of leaves), and a later checkpoint
//! is of no smaller tree. Statements that break one of these rules prove, under the log's own
//! signature, that a leaf was rewritten or that leaves were cut off. Which of two statements is of
//! the true log cannot be told, so both count as contradicted.

use std::collections::{BTreeMap, HashMap, HashSet};

use candour_wire::Digest;
use candour_wire::log::{Checkpoint, HashPath, node_hash};
use jiff::{SignedDuration, Timestamp};

/// How much later a smaller checkpoint must be signed to count as a contradiction. A checkpoint
/// may carry the time at which one of its requests began, and a request has 60 seconds.
const SIGNING_TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

/// Leaves `.0..` up to `..1`, counted from 0.
type Range = (u64, u64);

/// What has been stated about the log.
#[derive(Default)]
pub(super) struct Statements {
    hashes: HashMap<Range, Digest>,
    parted: HashSet<Range>,
    /// The earliest and the latest signature on a tree of each size.
    signed: BTreeMap<u64, (Timestamp, Timestamp)>,
}

impl Statements {
    /// Takes a checkpoint that the log's key has signed.
    pub(super) fn add_checkpoint(&mut self, checkpoint: &Checkpoint) {
        self.add_hash((0, checkpoint.size), checkpoint.root);
        let time = checkpoint.time;
        let (first, last) = self.signed.entry(checkpoint.size).or_insert((time, time));
        (*first, *last) = ((*first).min(time), (*last).max(time));
    }

    /// Takes a receipt that has been verified: its leaf, and the audit path to its checkpoint.
    pub(super) fn add_receipt(
        &mut self,
        leaf: Digest,
        index: u64,
        path: &HashPath,
        checkpoint: &Checkpoint,
    ) {
        self.add_checkpoint(checkpoint);
        for (range, hash) in ranges(leaf, index, path, checkpoint.size) {
            self.add_hash(range, hash);
        }
    }

    /// Everything has been stated that there is.
    pub(super) fn compare(self) -> Contradictions {
        let mut others = BTreeMap::new();
        let mut latest_of_smaller = Timestamp::MIN;
        for (size, (_, last)) in &self.signed {
            others.insert(*size, (latest_of_smaller, Timestamp::MAX));
            latest_of_smaller = latest_of_smaller.max(*last);
        }
        let mut earliest_of_larger = Timestamp::MAX;
        for (size, (first, _)) in self.signed.iter().rev() {
            others
                .entry(*size)
                .and_modify(|(_, earliest)| *earliest = earliest_of_larger);
            earliest_of_larger = earliest_of_larger.min(*first);
        }
        Contradictions {
            parted: self.parted,
            others,
        }
    }

    fn add_hash(&mut self, range: Range, hash: Digest) {
        if *self.hashes.entry(range).or_insert(hash) != hash {
            self.parted.insert(range);
        }
    }
}

/// Where the statements about the log part.
pub(super) struct Contradictions {
    /// Ranges that were stated with different hashes.
    parted: HashSet<Range>,
    /// For each size: when the latest smaller and the earliest larger tree were signed.
    others: BTreeMap<u64, (Timestamp, Timestamp)>,
}

impl Contradictions {
    /// Whether something else was stated than this receipt states.
    pub(super) fn concern(
        &self,
        leaf: Digest,
        index: u64,
        path: &HashPath,
        checkpoint: &Checkpoint,
    ) -> bool {
        let differs = !self.parted.is_empty()
            && ranges(leaf, index, path, checkpoint.size)
                .iter()
                .any(|(range, _)| self.parted.contains(range));
        differs || self.shrank(checkpoint)
    }

    /// Whether a smaller tree was signed after this one, or a larger one before it.
    fn shrank(&self, checkpoint: &Checkpoint) -> bool {
        let after = |later: Timestamp, earlier: Timestamp| {
            later.duration_since(earlier) > SIGNING_TOLERANCE
        };
        let time = checkpoint.time;
        self.others
            .get(&checkpoint.size)
            .is_some_and(|(smaller, larger)| after(*smaller, time) || after(time, *larger))
    }
}

/// The ranges whose hashes an audit path states: the leaf, each sibling, and each node that they
/// make together.
fn ranges(leaf: Digest, index: u64, path: &HashPath, size: u64) -> Vec<(Range, Digest)> {
    // From the root down, where the tree is split; the path is from the leaf up.
    let mut splits = Vec::new();
    let (mut begin, mut end) = (0, size);
    while end.saturating_sub(begin) > 1 {
        // The largest power of two below the number of leaves.
        let middle = begin + (1 << (end - begin - 1).ilog2());
        splits.push((begin, middle, end));
        if index < middle {
            end = middle;
        } else {
            begin = middle;
        }
    }
    let mut found = vec![((begin, end), leaf)];
    let mut hash = leaf;
    for ((begin, middle, end), sibling) in splits.into_iter().rev().zip(path.hashes()) {
        if index < middle {
            found.push(((middle, end), *sibling));
            hash = node_hash(&hash, sibling);
        } else {
            found.push(((begin, middle), *sibling));
            hash = node_hash(sibling, &hash);
        }
        found.push(((begin, end), hash));
    }
    found
}

#[cfg(test)]
mod tests;
