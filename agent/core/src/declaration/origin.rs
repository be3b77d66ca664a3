//! What tells an imported message from every other, whichever export it stands in.

use std::collections::HashMap;

use candour_wire::Digest;
use serde::{Deserialize, Serialize};

/// What an imported message is, whichever export of its chat it stands in: by it the agent knows
/// what was declared before.
///
/// Short messages can be guessed from it, so it is only ever stored sealed and never leaves the
/// handset. It is a type of its own so that it cannot be taken for the digest of a message's
/// bytes, which does travel, and which another export need not have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origin(Digest);

impl std::fmt::Debug for Origin {
    /// Without the digest, which says too much of a short message.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Origin")
    }
}

/// Gives the messages of one conversation their origins, in its order and from its beginning.
///
/// Two messages of one person that say the same within one unit of the source's time have one
/// fingerprint (`Message::fingerprint` of the import). They are told apart by their order, so that
/// declaring the first does not hide the second.
#[derive(Default)]
pub struct Origins {
    /// How often each fingerprint came, by its first half: a chat may have millions of messages,
    /// and 128 bits tell them apart.
    seen: HashMap<[u8; 16], u32>,
}

/// Begins what is hashed for the second and every further message of one fingerprint.
const REPEATED: &[u8] = b"candour/origin/v1\n";

impl Origins {
    /// The origin of the next message, which has this fingerprint.
    pub fn next(&mut self, fingerprint: Digest) -> Origin {
        let mut half = [0; 16];
        half.copy_from_slice(fingerprint.0.split_at(16).0);
        let earlier = self.seen.entry(half).or_default();
        let origin = match *earlier {
            0 => fingerprint,
            nth => Digest::of_parts(&[REPEATED, &fingerprint.0, &nth.to_be_bytes()]),
        };
        *earlier = earlier.saturating_add(1);
        Origin(origin)
    }
}

impl Origin {
    /// Origins one after the other, for a sealed row.
    pub(crate) fn to_bytes(origins: &[Self]) -> Vec<u8> {
        origins.iter().flat_map(|origin| origin.0.0).collect()
    }

    /// Reads what [`Origin::to_bytes`] wrote; `None` where the bytes are not such.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Vec<Self>> {
        let (origins, rest) = bytes.as_chunks::<32>();
        rest.is_empty()
            .then(|| origins.iter().map(|bytes| Self(Digest(*bytes))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_are_alike_are_told_apart_by_their_order_in_any_export() {
        let [ok, no] = [Digest::of(b"ok"), Digest::of(b"no")];
        let origins_of = |fingerprints: &[Digest]| {
            let mut origins = Origins::default();
            fingerprints
                .iter()
                .map(|fingerprint| origins.next(*fingerprint))
                .collect::<Vec<_>>()
        };
        let first = origins_of(&[ok, no, ok, ok]);
        let distinct: std::collections::HashSet<_> = first.iter().collect();
        assert_eq!(distinct.len(), 4);
        let longer = origins_of(&[ok, no, ok, ok, no]);
        assert_eq!(longer[..4], first, "what came before stays what it was");
    }

    /// Phones have them stored: were they made otherwise, everything would be offered again.
    #[test]
    fn origins_are_made_as_they_were() {
        let mut origins = Origins::default();
        let ok = Digest::of(b"ok");
        assert_eq!(origins.next(ok), Origin(ok));
        let second = "vjMtvnQW6cDvIuE_ntZVMJTOdjzrOKZABVPuP-NLELg";
        assert_eq!(origins.next(ok), Origin(second.parse().unwrap()));
    }

    #[test]
    fn origins_are_read_from_the_bytes_that_they_were_written_as() {
        let mut origins = Origins::default();
        let some: Vec<_> = [b"a", b"b", b"a"]
            .map(|text| origins.next(Digest::of(text)))
            .into();
        let bytes = Origin::to_bytes(&some);
        assert_eq!(Origin::from_bytes(&bytes), Some(some));
        assert_eq!(Origin::from_bytes(&bytes[1..]), None);
        assert_eq!(Origin::from_bytes(&[]), Some(Vec::new()));
    }
}
