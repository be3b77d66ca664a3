//! A handset's chain: each record names the one before it, so that a gap or a fork shows.
//!
//! A handset has one chain per [`Stream`]. Records count from 1 without gaps; each carries the
//! [`link`] of the record before it, the first one the [`genesis`] of its chain. Whoever holds
//! the [`Head`] can therefore say of any record whether it is the next one.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::HandsetId;
use crate::record::Stream;

/// The highest sequence number on the wire: the largest integer that every JSON reader holds
/// exactly (RFC 7493, section 2.2).
pub const MAX_SEQ: u64 = (1 << 53) - 1;

/// The last record of a chain: its sequence number and its [`link`].
///
/// Before the first record it is number 0 with the chain's [`genesis`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedHead")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Head {
    /// Sequence number of the last record, 0 before the first; at most [`MAX_SEQ`].
    pub seq: u64,
    /// Link of the last record, or the genesis.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub digest: Digest,
}

/// Why a record is not the next one of its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The number was already given to a record of this chain.
    #[error("the chain already has a record with this sequence number")]
    Behind,
    /// At least one record before this one is missing.
    #[error("the chain has no record with the sequence number before this one")]
    Gap,
    /// The number fits, but the record names another predecessor.
    #[error("the record names another predecessor than the chain's last record")]
    Broken,
}

impl Head {
    /// The head of a chain that has no record yet.
    #[must_use]
    pub fn genesis(handset: &HandsetId, stream: Stream) -> Self {
        Self {
            seq: 0,
            digest: genesis(handset, stream),
        }
    }

    /// Checks that a record with this number and predecessor is the next one.
    ///
    /// # Errors
    ///
    /// [`ChainError`] says which of the three ways it is not.
    pub fn check_next(&self, seq: u64, prev: &Digest) -> Result<(), ChainError> {
        match seq.checked_sub(self.seq) {
            None | Some(0) => Err(ChainError::Behind),
            Some(1) if *prev == self.digest => Ok(()),
            Some(1) => Err(ChainError::Broken),
            Some(_) => Err(ChainError::Gap),
        }
    }

    /// The head once `jws` has become the chain's last record.
    #[must_use]
    pub fn extended(&self, jws: &str) -> Self {
        self.extended_by(link(jws))
    }

    /// The head once the record with this [`link`] has become the chain's last.
    #[must_use]
    pub const fn extended_by(&self, link: Digest) -> Self {
        // Saturation is out of reach: a head that was read is at most MAX_SEQ.
        Self {
            seq: self.seq.saturating_add(1),
            digest: link,
        }
    }
}

/// What the first record of a chain carries in place of a predecessor.
///
/// It differs for every handset and stream, so that a chain cannot be passed off as another.
#[must_use]
pub fn genesis(handset: &HandsetId, stream: Stream) -> Digest {
    // A handset id has a fixed length and no newline, so the parts cannot run into each other.
    let parts = [
        "candour/chain/v1\n",
        handset.as_str(),
        "\n",
        stream.as_str(),
    ];
    Digest::of_parts(&parts.map(str::as_bytes))
}

/// What the next record carries for `jws`, the compact form of the one before it.
#[must_use]
pub fn link(jws: &str) -> Digest {
    Digest::of(jws.as_bytes())
}

#[derive(Deserialize)]
struct UncheckedHead {
    seq: u64,
    digest: Digest,
}

#[derive(Debug, thiserror::Error)]
#[error("a sequence number is at most 2^53 - 1")]
struct SeqTooHigh;

impl TryFrom<UncheckedHead> for Head {
    type Error = SeqTooHigh;

    fn try_from(head: UncheckedHead) -> Result<Self, SeqTooHigh> {
        if head.seq > MAX_SEQ {
            return Err(SeqTooHigh);
        }
        Ok(Self {
            seq: head.seq,
            digest: head.digest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head::genesis(&HandsetId::derive(b"key"), Stream::Records)
    }

    #[test]
    fn only_the_next_number_with_the_right_predecessor_extends_a_chain() {
        let first = head();
        assert_eq!(first.check_next(1, &first.digest), Ok(()));
        let second = first.extended("jws");
        assert_eq!(
            second,
            Head {
                seq: 1,
                digest: link("jws")
            }
        );
        assert_eq!(second.check_next(2, &link("jws")), Ok(()));
        assert_eq!(
            second.check_next(2, &link("other")),
            Err(ChainError::Broken)
        );
        assert_eq!(second.check_next(1, &first.digest), Err(ChainError::Behind));
        assert_eq!(second.check_next(0, &link("jws")), Err(ChainError::Behind));
        assert_eq!(second.check_next(3, &link("jws")), Err(ChainError::Gap));
        assert_eq!(
            second.check_next(u64::MAX, &link("jws")),
            Err(ChainError::Gap)
        );
    }

    #[test]
    fn every_handset_and_stream_starts_a_chain_of_its_own() {
        let handset = HandsetId::derive(b"key");
        let records = genesis(&handset, Stream::Records);
        assert_ne!(records, genesis(&handset, Stream::Posture));
        assert_ne!(
            records,
            genesis(&HandsetId::derive(b"other"), Stream::Records)
        );
        let spelt_out = format!("candour/chain/v1\n{handset}\nrecords");
        assert_eq!(
            records,
            Digest::of(spelt_out.as_bytes()),
            "frozen: old chains depend on it"
        );
    }

    #[test]
    fn a_head_with_a_number_that_json_cannot_hold_is_refused() {
        let json = |seq: u64| format!(r#"{{"seq":{seq},"digest":"{}"}}"#, head().digest);
        assert_eq!(MAX_SEQ, 9_007_199_254_740_991);
        let read = serde_json::from_str::<Head>(&json(MAX_SEQ)).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json(MAX_SEQ));
        assert!(serde_json::from_str::<Head>(&json(MAX_SEQ + 1)).is_err());
        assert!(serde_json::from_str::<Head>(&json(u64::MAX)).is_err());
    }
}
