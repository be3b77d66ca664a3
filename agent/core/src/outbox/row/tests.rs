use std::collections::HashSet;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

fn epoch(number: u32) -> EpochKey {
    EpochKey::make(number, Timestamp::UNIX_EPOCH)
}

#[test]
fn a_row_of_version_1_still_opens() {
    // Made by another implementation of the format. Frozen: a change would lose every outbox.
    let row = concat!(
        "0100000007",
        "0101010101010101010101010101010101010101010101010101010101010101",
        "11324d8f29fb975526fe9340964e7c0885d20c08fcb533de18345afe6de5cd68",
        "6e8dcf8e3e97e8fbbf88e281db6b7b4b21283561",
    );
    let row: Vec<u8> = row.as_bytes().chunks(2).map(hex_byte).collect();
    let opened = open(&EpochKey::fixed(7, [0x2a; 32]), Table::Outbox, b"key", &row).unwrap();
    // EXPOSE: the test's own words.
    assert_eq!(opened.expose(), b"text");
}

fn hex_byte(digits: &[u8]) -> u8 {
    u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
}

#[test]
fn a_row_is_as_long_as_the_format_says() {
    let sealed = seal(&epoch(1), Table::Draft, b"key", b"text");
    assert_eq!(sealed.len(), b"text".len() + OVERHEAD_BYTES);
    assert_eq!(epoch_of(&sealed), Some(1));
    assert_eq!(epoch_of(&[1, 0, 0]), None);
}

#[test]
fn no_two_rows_share_a_salt_even_when_a_backup_goes_over_the_same_ground() {
    let key = epoch(1);
    let backup = key.clone();
    let mut seen = HashSet::new();
    for key in [&key, &backup] {
        for _ in 0..500 {
            let sealed = seal(key, Table::Draft, b"the same row", b"the same text");
            assert!(
                seen.insert(sealed[5..5 + SALT_BYTES].to_vec()),
                "a nonce would repeat"
            );
        }
    }
}

proptest! {
    #[test]
    fn what_was_sealed_opens_in_its_place_and_in_no_other(
        text in proptest::collection::vec(any::<u8>(), 0..200),
        key in proptest::collection::vec(any::<u8>(), 0..40),
        other in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let epoch_key = epoch(3);
        let sealed = seal(&epoch_key, Table::Outbox, &key, &text);
        let opened = open(&epoch_key, Table::Outbox, &key, &sealed).unwrap();
        // EXPOSE: the test's own words.
        prop_assert_eq!(opened.expose(), &text);
        for table in Table::ALL.into_iter().filter(|table| *table != Table::Outbox) {
            prop_assert_eq!(open(&epoch_key, table, &key, &sealed), Err(RowDamaged));
        }
        if other != key {
            prop_assert_eq!(open(&epoch_key, Table::Outbox, &other, &sealed), Err(RowDamaged));
        }
        prop_assert_eq!(open(&epoch(3), Table::Outbox, &key, &sealed), Err(RowDamaged));
        prop_assert_ne!(seal(&epoch_key, Table::Outbox, &key, &text), sealed);
    }

    #[test]
    fn a_row_with_any_bit_flipped_or_its_end_cut_off_does_not_open(
        text in proptest::collection::vec(any::<u8>(), 0..60),
        bit in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let epoch_key = epoch(u32::MAX);
        let sealed = seal(&epoch_key, Table::Meta, b"key", &text);
        let bit = bit.index(sealed.len() * 8);
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(open(&epoch_key, Table::Meta, b"key", &flipped), Err(RowDamaged));
        let cut = &sealed[..cut.index(sealed.len())];
        prop_assert_eq!(open(&epoch_key, Table::Meta, b"key", cut), Err(RowDamaged));
    }

    #[test]
    fn bytes_that_are_no_row_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(open(&epoch(1), Table::Meta, b"key", &bytes), Err(RowDamaged));
    }
}
