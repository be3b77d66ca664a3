use super::*;
use crate::adapters::memory::{MemoryKeys, MemoryStore};

impl EpochKey {
    /// A key that a frozen test knows.
    pub(in crate::outbox) fn fixed(number: u32, key: [u8; KEY_BYTES]) -> Self {
        Self {
            number,
            created: Timestamp::UNIX_EPOCH,
            key: Sensitive::new(key),
        }
    }
}

fn keys() -> MemoryKeys {
    let keys = MemoryKeys::new();
    keys.create().unwrap();
    keys
}

#[test]
fn an_epoch_survives_a_restart_with_its_time() {
    let (mut store, keys) = (MemoryStore::new(), keys());
    let now = "2026-11-22T10:00:00Z".parse().unwrap();
    let (made, begun) = Epochs::load(&store)
        .unwrap()
        .current(&mut store, &keys, now)
        .unwrap();
    assert!(begun);
    let (read, begun) = Epochs::load(&store)
        .unwrap()
        .current(&mut store, &keys, now)
        .unwrap();
    assert!(!begun);
    assert_eq!((read.number, read.created), (1, now));
    assert_eq!(read.key, made.key);
}

#[test]
fn a_wrapped_key_under_another_number_is_not_taken() {
    let (mut store, keys) = (MemoryStore::new(), keys());
    let now = Timestamp::UNIX_EPOCH;
    Epochs::load(&store)
        .unwrap()
        .current(&mut store, &keys, now)
        .unwrap();
    let (_, wrapped) = store.scan(Table::Epoch, &[], None, 1).unwrap().remove(0);
    store
        .apply(&[Change::Put(
            Table::Epoch,
            9_u32.to_be_bytes().to_vec(),
            wrapped,
        )])
        .unwrap();
    let mut epochs = Epochs::load(&store).unwrap();
    assert!(epochs.key(&keys, 9).unwrap().is_none());
    assert!(epochs.key(&keys, 1).unwrap().is_some());
    let (next, _) = epochs.current(&mut store, &keys, now).unwrap();
    assert_eq!(next.number, 10, "a number is given once");
}

#[test]
fn a_forged_last_number_is_damage_and_no_overflow() {
    let (mut store, keys) = (MemoryStore::new(), keys());
    store
        .apply(&[Change::Put(Table::Epoch, vec![0xff; 4], vec![1, 2, 3])])
        .unwrap();
    let outcome = Epochs::load(&store)
        .unwrap()
        .current(&mut store, &keys, Timestamp::UNIX_EPOCH);
    assert!(matches!(
        outcome,
        Err(OutboxError::Store(StoreError::Damaged))
    ));
}
