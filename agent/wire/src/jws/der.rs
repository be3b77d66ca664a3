//! From the DER form of an ECDSA signature to the fixed form of JWS.

/// Turns `SEQUENCE { INTEGER r, INTEGER s }` (RFC 3279, section 2.2.3) into `r || s`, 32 bytes
/// each (RFC 7518, section 3.4); `None` unless it is the one DER encoding of two positive numbers.
pub(super) fn signature_to_fixed(der: &[u8]) -> Option<[u8; 64]> {
    let (body, rest) = element(0x30, der)?;
    let (r, body) = element(0x02, body)?;
    let (s, body) = element(0x02, body)?;
    if !rest.is_empty() || !body.is_empty() {
        return None;
    }
    let mut fixed = [0; 64];
    let (left, right) = fixed.split_at_mut(32);
    write_positive(r, left)?;
    write_positive(s, right)?;
    Some(fixed)
}

/// Splits off the content of an element with this tag and a length below 128, which every P-256
/// signature has; a longer form would not be DER.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, der) = der.split_first()?;
    let (&length, der) = der.split_first()?;
    if found != tag || length >= 0x80 {
        return None;
    }
    der.split_at_checked(length.into())
}

/// Writes a positive, minimally encoded integer right-aligned into 32 zero bytes.
fn write_positive(integer: &[u8], out: &mut [u8]) -> Option<()> {
    let magnitude = match integer {
        // A leading zero is there only to keep the number from looking negative.
        [0, rest @ ..] if rest.first().is_some_and(|high| *high >= 0x80) => rest,
        [1..0x80, ..] => integer,
        _ => return None,
    };
    let start = out.len().checked_sub(magnitude.len())?;
    out.get_mut(start..)?.copy_from_slice(magnitude);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::signature_to_fixed;

    fn integer(magnitude: &[u8]) -> Vec<u8> {
        let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
        let mut content = magnitude[zeros..].to_vec();
        if content.first().is_none_or(|high| *high >= 0x80) {
            content.insert(0, 0);
        }
        [
            &[2, u8::try_from(content.len()).unwrap()],
            content.as_slice(),
        ]
        .concat()
    }

    fn encode(fixed: &[u8; 64]) -> Vec<u8> {
        let body = [integer(&fixed[..32]), integer(&fixed[32..])].concat();
        [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
    }

    #[test]
    fn every_second_encoding_of_a_signature_is_refused() {
        let good = [0x30, 6, 2, 1, 1, 2, 1, 0x7f];
        let mut fixed = [0; 64];
        (fixed[31], fixed[63]) = (1, 0x7f);
        assert_eq!(signature_to_fixed(&good), Some(fixed));
        let bad: [&[u8]; 10] = [
            &[],
            &[0x31, 6, 2, 1, 1, 2, 1, 1],          // not a SEQUENCE
            &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 1],    // long form of a short length
            &[0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0], // indefinite length
            &[0x30, 6, 2, 1, 1, 2, 1, 1, 0],       // a byte after the sequence
            &[0x30, 7, 2, 1, 1, 2, 1, 1, 0],       // a byte inside it, after s
            &[0x30, 7, 2, 2, 0, 1, 2, 1, 1],       // r with a needless zero
            &[0x30, 6, 2, 1, 0x80, 2, 1, 1],       // r negative
            &[0x30, 6, 2, 1, 0, 2, 1, 1],          // r zero
            &[0x30, 5, 2, 0, 2, 1, 1],             // r empty
        ];
        for der in bad {
            assert_eq!(signature_to_fixed(der), None, "{der:02x?}");
        }
        let mut long = vec![0x30, 38, 2, 33, 1];
        long.extend([0; 32]);
        long.extend([2, 1, 1]);
        assert_eq!(signature_to_fixed(&long), None, "r of 257 bits");
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(fixed in prop::array::uniform32(any::<u8>()), pad in 0..32_usize) {
            let mut both = [0; 64];
            both[..32].copy_from_slice(&fixed);
            both[32..].copy_from_slice(&fixed);
            both[32..32 + pad].fill(0);
            prop_assume!(both[..32] != [0; 32] && both[32..] != [0; 32]);
            prop_assert_eq!(signature_to_fixed(&encode(&both)), Some(both));
        }

        #[test]
        fn no_two_encodings_give_the_same_signature(der in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(fixed) = signature_to_fixed(&der) {
                prop_assert_eq!(encode(&fixed), der);
            }
        }
    }
}
