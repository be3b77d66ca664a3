//! Padding, so that the length of a sealed box says little about what is in it.
//!
//! The content, a byte 0x80, then zeros up to the next length of the Padmé scheme (Nikitin et al.,
//! "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019, section
//! 4.3): at most 12% more, and of a length of `L` bytes only about `log log L` bits can be seen.
//! Padmé leaves short lengths nearly as they are, and "yes" is shorter than "no, because…", so
//! everything shorter than [`MIN_BYTES`] is padded to that.

use zeroize::Zeroizing;

use crate::sensitive::Sensitive;

/// Everything up to 1 KiB looks alike: an empty declaration's JSON is some 400 bytes, so short
/// messages with few participants share one length.
const MIN_BYTES: usize = 1 << 10;

const MARK: u8 = 0x80;

/// Copies `content` into a buffer of [`padded_len`] bytes that is wiped when dropped.
pub(super) fn pad(content: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = padded_len(content.len());
    // With room for all of it from the start, so that growing leaves no copy behind.
    let mut padded = Zeroizing::new(Vec::with_capacity(length));
    padded.extend_from_slice(content);
    padded.push(MARK);
    padded.resize(length, 0);
    padded
}

/// Takes the content out of its padding; `None` unless it was padded exactly as [`pad`] does.
pub(super) fn unpad(mut padded: Zeroizing<Vec<u8>>) -> Option<Sensitive<Vec<u8>>> {
    let mark = padded.iter().rposition(|byte| *byte != 0)?;
    if padded.get(mark) != Some(&MARK) || padded_len(mark) != padded.len() {
        return None;
    }
    padded.truncate(mark);
    Some(Sensitive::new(std::mem::take(&mut *padded)))
}

/// Length of a content of `content` bytes once it is padded.
pub(super) const fn padded_len(content: usize) -> usize {
    let length = content + 1;
    if length <= MIN_BYTES {
        return MIN_BYTES;
    }
    let exponent = length.ilog2();
    let low_bits = exponent - (exponent.ilog2() + 1);
    let mask = (1 << low_bits) - 1;
    (length + mask) & !mask
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_those_of_the_padme_paper() {
        assert_eq!(padded_len(0), 1024);
        assert_eq!(padded_len(1023), 1024);
        // For 2^10..2^11: exponent 10, 4 bits kept, so steps of 64.
        assert_eq!(padded_len(1024), 1024 + 64);
        assert_eq!(padded_len(1087), 1024 + 64);
        assert_eq!(padded_len(1088), 1024 + 128);
        // For 2^19..2^20: exponent 19, 5 bits kept, so steps of 16 KiB.
        assert_eq!(padded_len(1 << 19), (1 << 19) + (1 << 14));
    }

    #[test]
    fn other_paddings_are_refused() {
        let unpadded = |bytes: Vec<u8>| unpad(Zeroizing::new(bytes));
        assert!(unpadded(vec![]).is_none());
        assert!(unpadded(vec![0; 1024]).is_none(), "no mark");
        assert!(unpadded(vec![MARK]).is_none(), "too short");
        let mut long = pad(b"yes").to_vec();
        long.resize(1088, 0);
        assert!(unpadded(long).is_none(), "longer than needed");
        let mut marked = pad(b"yes").to_vec();
        marked[1023] = 1;
        assert!(unpadded(marked).is_none(), "does not end in zeros");
    }

    proptest! {
        #[test]
        fn content_comes_back_and_grows_by_at_most_an_eighth(
            content in prop::collection::vec(prop_oneof![Just(0), Just(MARK), any::<u8>()], 0..5000)
        ) {
            let padded = pad(&content);
            prop_assert_eq!(padded.len(), padded_len(content.len()));
            prop_assert!(padded.len() <= MIN_BYTES.max(content.len() + content.len() / 8 + 1));
            let back = unpad(padded).unwrap();
            // EXPOSE: a test's own bytes.
            prop_assert_eq!(back.expose(), &content);
        }
    }
}
