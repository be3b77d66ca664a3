//! The Merkle tree of RFC 9162, section 2.1: hashing, proofs and their verification.
//!
//! Proofs are built over a [`NodeReader`] that knows the complete subtrees; each takes O(log n)
//! reads. Verification takes nothing but the proof, so a handset needs no copy of the log.
//!
//! Invariant of every function here: numbers from outside are at most [`MAX_SIZE`] or refused,
//! and a proof has at most [`MAX_PATH_LEN`] hashes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The largest tree: both databases hold sizes as signed 64-bit integers.
pub const MAX_SIZE: u64 = i64::MAX as u64;

/// The longest proof: an audit path has one hash per level (63), a consistency proof one more.
pub const MAX_PATH_LEN: usize = 64;

/// The hashes of an audit path or of a consistency proof, in the order of RFC 9162.
///
/// In JSON: one base64url string of the concatenated hashes, empty for a proof without hashes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
pub struct HashPath(Vec<Digest>);

/// The hashes are not a proof's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a proof is base64url of at most {MAX_PATH_LEN} hashes of 32 bytes")]
pub struct InvalidHashPath;

impl HashPath {
    /// The hashes in proof order.
    #[must_use]
    pub fn hashes(&self) -> &[Digest] {
        &self.0
    }
}

impl TryFrom<Vec<Digest>> for HashPath {
    type Error = InvalidHashPath;

    fn try_from(hashes: Vec<Digest>) -> Result<Self, InvalidHashPath> {
        if hashes.len() <= MAX_PATH_LEN {
            Ok(Self(hashes))
        } else {
            Err(InvalidHashPath)
        }
    }
}

impl TryFrom<String> for HashPath {
    type Error = InvalidHashPath;

    fn try_from(text: String) -> Result<Self, InvalidHashPath> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidHashPath)?;
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(InvalidHashPath);
        }
        hashes
            .iter()
            .copied()
            .map(Digest)
            .collect::<Vec<_>>()
            .try_into()
    }
}

impl From<HashPath> for String {
    fn from(path: HashPath) -> Self {
        let bytes: Vec<u8> = path.0.iter().flat_map(|hash| hash.0).collect();
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The numbers make no sense: a leaf outside the tree, or a tree that shrank.
    #[error("the proof's leaf number and tree sizes do not fit together")]
    OutOfRange,
    /// Too few or too many hashes for these numbers.
    #[error("the proof has the wrong number of hashes")]
    WrongLength,
    /// The hashes lead to another root.
    #[error("the proof leads to another root hash than the log signed")]
    WrongRoot,
}

/// The hash of a leaf with this 32-byte entry (RFC 9162, section 2.1.1: prefix 0x00).
#[must_use]
pub fn leaf_hash(entry: &Digest) -> Digest {
    Digest::of_parts(&[&[0], &entry.0])
}

/// The hash of an inner node (RFC 9162, section 2.1.1: prefix 0x01).
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], &left.0, &right.0])
}

/// The root of a tree without leaves: the hash of nothing (RFC 9162, section 2.1.1).
#[must_use]
pub fn empty_root() -> Digest {
    Digest::of(&[])
}

/// Checks an audit path (RFC 9162, section 2.1.3.2): `leaf` is leaf number `index` (from 0) of
/// the tree with `size` leaves and this root.
///
/// # Errors
///
/// [`ProofError`] says how the proof fails.
pub fn verify_inclusion(
    leaf: &Digest,
    index: u64,
    size: u64,
    path: &HashPath,
    root: &Digest,
) -> Result<(), ProofError> {
    if index >= size || size > MAX_SIZE {
        return Err(ProofError::OutOfRange);
    }
    // `node` is the position of `hash` on its level, `last` that of the level's last node.
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path.hashes() {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            skip_levels_without_sibling(&mut node, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    finish(last, &[(&hash, root)])
}

/// Checks a consistency proof (RFC 9162, section 2.1.4.2): the first `old_size` leaves of the
/// new tree are the leaves of the old one.
///
/// Every tree is consistent with the empty one and with itself, without any hash.
///
/// # Errors
///
/// [`ProofError`] says how the proof fails.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Digest,
    new_size: u64,
    new_root: &Digest,
    path: &HashPath,
) -> Result<(), ProofError> {
    if old_size > new_size || new_size > MAX_SIZE {
        return Err(ProofError::OutOfRange);
    }
    if old_size == 0 || old_size == new_size {
        let known = if old_size == 0 {
            &empty_root()
        } else {
            new_root
        };
        if !path.hashes().is_empty() {
            return Err(ProofError::WrongLength);
        }
        return finish(0, &[(old_root, known)]);
    }
    // An old tree that is complete is a node of the new one, and left out of the proof.
    let complete = old_size.is_power_of_two().then_some(old_root);
    let mut hashes = complete.into_iter().chain(path.hashes());
    let first = hashes.next().ok_or(ProofError::WrongLength)?;
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    let full_levels = node.trailing_ones();
    node >>= full_levels;
    last >>= full_levels;
    let (mut old, mut new) = (*first, *first);
    for sibling in hashes {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            skip_levels_without_sibling(&mut node, &mut last);
        } else {
            new = node_hash(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    finish(last, &[(&old, old_root), (&new, new_root)])
}

/// Goes up while the node is its level's last one and has no sibling to be hashed with.
fn skip_levels_without_sibling(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        *node >>= 1;
        *last >>= 1;
    }
}

fn finish(last: u64, roots: &[(&Digest, &Digest)]) -> Result<(), ProofError> {
    if last != 0 {
        return Err(ProofError::WrongLength);
    }
    if roots.iter().any(|(computed, signed)| computed != signed) {
        return Err(ProofError::WrongRoot);
    }
    Ok(())
}

/// Reads the hashes of complete subtrees from wherever they are kept.
pub trait NodeReader {
    /// How reading fails.
    type Error;

    /// The hash of the complete subtree over leaves `index * 2^level .. (index + 1) * 2^level`;
    /// level 0 is the leaf hashes. Only asked for subtrees that lie within the tree.
    ///
    /// # Errors
    ///
    /// When the node cannot be read.
    fn node(&self, level: u8, index: u64) -> Result<Digest, Self::Error>;
}

/// The root of the tree over the first `size` leaves.
///
/// # Errors
///
/// Whatever the reader fails with.
pub fn root<R: NodeReader>(reader: &R, size: u64) -> Result<Digest, R::Error> {
    if size == 0 {
        Ok(empty_root())
    } else {
        range_hash(reader, 0, size)
    }
}

/// The audit path for leaf `index` in the tree over the first `size` leaves (RFC 9162, section
/// 2.1.3.1); `None` when the tree has no such leaf or is larger than [`MAX_SIZE`].
///
/// # Errors
///
/// Whatever the reader fails with.
pub fn inclusion_path<R: NodeReader>(
    reader: &R,
    index: u64,
    size: u64,
) -> Result<Option<HashPath>, R::Error> {
    if index >= size || size > MAX_SIZE {
        return Ok(None);
    }
    let mut hashes = Vec::new();
    let (mut low, mut high) = (0, size);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            hashes.push(range_hash(reader, middle, high)?);
            high = middle;
        } else {
            hashes.push(range_hash(reader, low, middle)?);
            low = middle;
        }
    }
    // Found from the root down; a proof goes from the leaf up.
    hashes.reverse();
    Ok(Some(HashPath(hashes)))
}

/// The proof that the tree of `new_size` leaves extends the one of `old_size` (RFC 9162, section
/// 2.1.4.1); `None` when the sizes are the wrong way round or beyond [`MAX_SIZE`].
///
/// # Errors
///
/// Whatever the reader fails with.
pub fn consistency_path<R: NodeReader>(
    reader: &R,
    old_size: u64,
    new_size: u64,
) -> Result<Option<HashPath>, R::Error> {
    if old_size > new_size || new_size > MAX_SIZE {
        return Ok(None);
    }
    if old_size == 0 || old_size == new_size {
        return Ok(Some(HashPath::default()));
    }
    let mut hashes = Vec::new();
    let (mut low, mut high) = (0, new_size);
    while high != old_size {
        let middle = low + split(high - low);
        if old_size <= middle {
            hashes.push(range_hash(reader, middle, high)?);
            high = middle;
        } else {
            hashes.push(range_hash(reader, low, middle)?);
            low = middle;
        }
    }
    if low != 0 {
        // The old tree is not this subtree alone, so the verifier cannot know its hash.
        hashes.push(range_hash(reader, low, high)?);
    }
    hashes.reverse();
    Ok(Some(HashPath(hashes)))
}

/// A complete subtree and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Height: the subtree has `2^level` leaves.
    pub level: u8,
    /// Position among the subtrees of this height, from 0.
    pub index: u64,
    /// Root of the subtree.
    pub hash: Digest,
}

/// The subtrees that leaf number `index` completes, the leaf itself first.
///
/// A log that stores exactly these as it appends each leaf can answer every [`NodeReader`]
/// question about the tree. It stores fewer than two nodes a leaf.
///
/// # Errors
///
/// Whatever the reader fails with; it is only asked for nodes that earlier leaves completed.
pub fn completed_nodes<R: NodeReader>(
    reader: &R,
    index: u64,
    leaf: Digest,
) -> Result<Vec<Node>, R::Error> {
    let mut node = Node {
        level: 0,
        index,
        hash: leaf,
    };
    let mut completed = vec![node];
    while node.index & 1 == 1 {
        let left = reader.node(node.level, node.index - 1)?;
        node = Node {
            level: node.level + 1,
            index: node.index >> 1,
            hash: node_hash(&left, &node.hash),
        };
        completed.push(node);
    }
    Ok(completed)
}

/// The hash over leaves `low..high`, where `low` is a multiple of a power of two that is not
/// smaller than the length, as it is for every subtree of RFC 9162.
fn range_hash<R: NodeReader>(reader: &R, mut low: u64, high: u64) -> Result<Digest, R::Error> {
    let mut complete = Vec::new();
    while low < high {
        let level = (high - low).ilog2();
        let narrow = u8::try_from(level).expect("a logarithm of a u64 is below 64");
        complete.push(reader.node(narrow, low >> level)?);
        low += 1 << level;
    }
    let hash = complete
        .into_iter()
        .rev()
        .reduce(|right, left| node_hash(&left, &right));
    Ok(hash.unwrap_or_else(empty_root))
}

/// The largest power of two below `length`, which is at least 2.
fn split(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}

#[cfg(test)]
mod tests;
