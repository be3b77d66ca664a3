//! The Merkle tree of RFC 9162, by its definition, and signed notes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};

use crate::simulate::history::{Hash, sha256};

/// All whole subtrees: `levels[k][i]` is the hash of the 2^k leaves from i * 2^k on.
pub(super) struct Tree {
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    pub(super) fn new(entries: &[Hash]) -> Self {
        let mut levels = vec![entries.iter().map(|entry| sha256(&[&[0], entry])).collect()];
        while let Some(last) = levels.last().filter(|last: &&Vec<Hash>| last.len() > 1) {
            let next = last.chunks_exact(2).map(|pair| node(&pair[0], &pair[1]));
            let next = next.collect();
            levels.push(next);
        }
        Self { levels }
    }

    pub(super) fn size(&self) -> u64 {
        self.levels.first().map_or(0, Vec::len) as u64
    }

    pub(super) fn leaf(&self, index: u64) -> Option<Hash> {
        let index = usize::try_from(index).ok()?;
        self.levels.first()?.get(index).copied()
    }

    /// The root of the first `size` leaves (section 2.1.1): the whole subtrees that it is made
    /// of, joined from the right.
    pub(super) fn root(&self, size: u64) -> Option<Hash> {
        if size == 0 {
            return Some(sha256(&[]));
        }
        let mut begin = 0_u64;
        let mut parts = Vec::new();
        for level in (0..64_u32).rev() {
            if size >> level & 1 == 1 {
                let hashes = self.levels.get(level as usize)?;
                parts.push(*hashes.get(usize::try_from(begin >> level).ok()?)?);
                begin += 1 << level;
            }
        }
        parts
            .into_iter()
            .rev()
            .reduce(|right, left| node(&left, &right))
    }
}

fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The root that an inclusion path leads to (section 2.1.3.2); `None` where its length is wrong.
pub(super) fn root_by_path(leaf: Hash, index: u64, size: u64, path: &[u8]) -> Option<Hash> {
    if index >= size || !path.len().is_multiple_of(32) {
        return None;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path.chunks_exact(32) {
        let sibling: Hash = sibling.try_into().ok()?;
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            hash = node(&sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, &sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// What a signed note says: size and root.
pub(super) struct Note {
    pub(super) size: u64,
    pub(super) root: Hash,
}

impl Note {
    /// Reads a checkpoint that this key (C2SP verifier-key form) has signed.
    pub(super) fn open(note: &str, key: &str) -> Option<Self> {
        let (text, signatures) = note.split_once("\n\n")?;
        let text = format!("{text}\n");
        let (name, key) = key.split_once('+')?;
        let key = STANDARD.decode(key.split_once('+')?.1).ok()?;
        let key = UnparsedPublicKey::new(&ED25519, key.get(1..)?);
        let line = signatures.lines().next()?.strip_prefix("— ")?;
        let signature = STANDARD.decode(line.strip_prefix(name)?.trim()).ok()?;
        key.verify(text.as_bytes(), signature.get(4..)?).ok()?;
        let mut lines = text.lines();
        if lines.next()? != name {
            return None;
        }
        let size = lines.next()?.parse().ok()?;
        let root = STANDARD.decode(lines.next()?).ok()?.try_into().ok()?;
        Some(Self { size, root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section 2.1.1, word for word.
    fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(&[]),
            [one] => sha256(&[&[0], one]),
            many => {
                let k = (many.len() - 1).ilog2();
                let (left, right) = many.split_at(1 << k);
                node(&by_definition(left), &by_definition(right))
            }
        }
    }

    /// Section 2.1.3.1, word for word.
    fn path(index: usize, leaves: &[Hash]) -> Vec<u8> {
        if leaves.len() < 2 {
            return Vec::new();
        }
        let k = 1 << (leaves.len() - 1).ilog2();
        let (left, right) = leaves.split_at(k);
        let (mut below, beside) = if index < k {
            (path(index, left), by_definition(right))
        } else {
            (path(index - k, right), by_definition(left))
        };
        below.extend(beside);
        below
    }

    #[test]
    fn roots_and_paths_are_those_of_the_definition() {
        let leaves: Vec<Hash> = (0..70_u8).map(|i| sha256(&[&[i]])).collect();
        let tree = Tree::new(&leaves);
        for size in 0..=leaves.len() {
            let root = by_definition(&leaves[..size]);
            assert_eq!(tree.root(size as u64), Some(root), "{size}");
            for index in 0..size {
                let path = path(index, &leaves[..size]);
                let leaf = tree.leaf(index as u64).unwrap();
                let by_path = root_by_path(leaf, index as u64, size as u64, &path);
                assert_eq!(by_path, Some(root), "{index} of {size}");
                let other = root_by_path(sha256(&[b"other"]), index as u64, size as u64, &path);
                assert_ne!(other, Some(root));
            }
        }
        assert_eq!(tree.root(71), None);
    }
}
