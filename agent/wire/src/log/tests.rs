use std::collections::HashMap;
use std::convert::Infallible;

use super::merkle::{NodeReader, completed_nodes, inclusion_path, root};
use super::*;

/// A log in memory, built as the module tells a server to build it.
#[derive(Default)]
pub(super) struct MemoryLog {
    pub(super) size: u64,
    nodes: HashMap<(u8, u64), Digest>,
}

impl MemoryLog {
    pub(super) fn with_leaves(leaves: impl IntoIterator<Item = Digest>) -> Self {
        let mut log = Self::default();
        for leaf in leaves {
            let Ok(nodes) = completed_nodes(&log, log.size, leaf);
            log.nodes.extend(
                nodes
                    .into_iter()
                    .map(|node| ((node.level, node.index), node.hash)),
            );
            log.size += 1;
        }
        log
    }

    /// Leaves that differ from each other and from those of another seed.
    pub(super) fn numbered(size: u64, seed: u8) -> Self {
        Self::with_leaves(
            (0..size).map(|n| leaf_hash(&Digest::of(&[&[seed], &n.to_be_bytes()[..]].concat()))),
        )
    }

    pub(super) fn stored(&self) -> usize {
        self.nodes.len()
    }
}

impl NodeReader for MemoryLog {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Digest, Infallible> {
        Ok(*self
            .nodes
            .get(&(level, index))
            .expect("asked only for subtrees within the tree"))
    }
}

fn receipt(log: &MemoryLog, index: u64) -> (Checkpoint, HashPath) {
    let Ok(root) = root(log, log.size);
    let Ok(path) = inclusion_path(log, index, log.size);
    let time = "2026-11-22T10:00:00Z".parse().unwrap();
    (
        Checkpoint {
            origin: "example.com/log".into(),
            size: log.size,
            root,
            time,
        },
        path.unwrap(),
    )
}

#[test]
fn a_receipt_verifies_for_its_own_record_and_for_no_other() {
    let salts: Vec<LeafSalt> = (0..21).map(|_| LeafSalt::make()).collect();
    let records: Vec<Digest> = (0..21_u8).map(|n| Digest::of(&[n])).collect();
    let log = MemoryLog::with_leaves(
        salts
            .iter()
            .zip(&records)
            .map(|(salt, record)| leaf_hash(&entry(salt, record))),
    );
    let (checkpoint, path) = receipt(&log, 13);
    let proof = ReceiptProof {
        index: 13,
        salt: salts[13],
        path: &path,
    };
    assert_eq!(verify_receipt(&proof, &records[13], &checkpoint), Ok(()));

    let refused = |proof: &ReceiptProof<'_>, record: &Digest, checkpoint: &Checkpoint| {
        verify_receipt(proof, record, checkpoint).is_err()
    };
    assert!(refused(&proof, &records[12], &checkpoint), "another record");
    assert!(refused(
        &ReceiptProof {
            salt: salts[12],
            ..proof
        },
        &records[13],
        &checkpoint
    ));
    assert!(refused(
        &ReceiptProof { index: 12, ..proof },
        &records[13],
        &checkpoint
    ));
    assert!(refused(
        &ReceiptProof { index: 21, ..proof },
        &records[13],
        &checkpoint
    ));
    let larger = Checkpoint {
        size: 33,
        ..checkpoint.clone()
    };
    assert!(refused(&proof, &records[13], &larger), "another tree");
    let other = Checkpoint {
        root: Digest::of(b"x"),
        ..checkpoint
    };
    assert!(refused(&proof, &records[13], &other), "another root");
}

#[test]
fn an_entry_is_what_the_module_says() {
    // Frozen: every receipt ever given depends on it.
    let record = Digest::of(b"jws");
    let spelt_out = [b"candour/leaf/v1\n".as_slice(), &[9; 16], &record.0].concat();
    assert_eq!(entry(&LeafSalt([9; 16]), &record), Digest::of(&spelt_out));
}

#[test]
fn a_leaf_salt_round_trips_in_json_and_refuses_other_lengths() {
    let salt = LeafSalt::make();
    let json = serde_json::to_string(&salt).unwrap();
    assert_eq!(json.len(), 24);
    assert_eq!(serde_json::from_str::<LeafSalt>(&json).unwrap(), salt);
    assert_ne!(salt, LeafSalt::make());
    for bad in [[0; 15].as_slice(), &[0; 17], &[]] {
        assert_eq!(
            LeafSalt::try_from(URL_SAFE_NO_PAD.encode(bad)),
            Err(InvalidLeafSalt)
        );
    }
    assert_eq!(LeafSalt::try_from("=".repeat(22)), Err(InvalidLeafSalt));
}
