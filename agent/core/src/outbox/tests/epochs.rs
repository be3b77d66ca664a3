//! Epoch keys come and go.

use candour_wire::record::Stream;
use candour_wire::{RecordId, Sensitive};
use jiff::SignedDuration;

use super::rules::{append, setting};
use super::world::{Handset, Server, declaration, sync};
use crate::adapters::memory::{Fault, MemoryStore};
use crate::outbox::row;
use crate::ports::{Clock as _, KeyStore as _, Store as _, Table};

const MONTH: SignedDuration = SignedDuration::from_hours(30 * 24);

fn epochs(store: &MemoryStore) -> Vec<u32> {
    let rows = store.scan(Table::Epoch, &[], None, 100).unwrap();
    rows.into_iter()
        .map(|(key, _)| u32::from_be_bytes(key.try_into().unwrap()))
        .collect()
}

#[test]
fn after_a_month_rows_are_sealed_anew_and_the_old_key_goes() {
    let (handset, store) = (Handset::new(), MemoryStore::new());
    let mut outbox = handset.open(store.clone());
    let mut server = Server::new(&handset);
    for _ in 0..20 {
        outbox.append(&handset.record(declaration()), &[]).unwrap();
    }
    sync(&mut outbox, &mut server, Stream::Records).unwrap();
    let draft = RecordId::make(handset.clock.now());
    outbox
        .draft_put(draft, &Sensitive::new(b"draft".to_vec()))
        .unwrap();
    assert_eq!(epochs(&store), [1]);
    handset.clock.advance(MONTH);
    outbox.append(&handset.record(declaration()), &[]).unwrap();
    assert_eq!(epochs(&store), [1, 2]);
    // The pass starts over after a restart.
    let mut outbox = handset.open(store.clone());
    assert!(!outbox.maintain(usize::MAX).unwrap());
    assert_eq!(epochs(&store), [2]);
    for table in [Table::Meta, Table::Draft, Table::Outbox, Table::Receipt] {
        for (_, value) in store.scan(table, &[], None, 100).unwrap() {
            assert_eq!(row::epoch_of(&value), Some(2), "{table:?}");
        }
    }
    let mut outbox = handset.open(store);
    assert_eq!(outbox.receipts(None, None, 100).unwrap().receipts.len(), 20);
    assert_eq!(
        outbox.draft(draft).unwrap(),
        Some(Sensitive::new(b"draft".to_vec()))
    );
    assert_eq!(
        outbox
            .pending(Stream::Records, 10, usize::MAX)
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn an_epoch_lasts_a_month() {
    let (handset, store, mut outbox) = setting();
    append(&handset, &mut outbox, declaration());
    let second = SignedDuration::from_secs(1);
    handset.clock.advance(MONTH - second);
    append(&handset, &mut outbox, declaration());
    assert_eq!((epochs(&store), outbox.epochs.len()), (vec![1], 1));
    handset.clock.advance(second);
    append(&handset, &mut outbox, declaration());
    assert_eq!((epochs(&store), outbox.epochs.len()), (vec![1, 2], 2));
    outbox.wipe().unwrap();
    assert_eq!(outbox.epochs.len(), 0);
}

#[test]
fn a_phone_that_works_in_short_turns_gets_rid_of_an_old_key() {
    let (handset, store, mut outbox) = setting();
    for _ in 0..40 {
        append(&handset, &mut outbox, declaration());
    }
    handset.clock.advance(MONTH);
    append(&handset, &mut outbox, declaration());
    let turns = (0..100).take_while(|_| {
        // Each turn opens the outbox, adds a record, and leaves.
        let mut outbox = handset.open(store.clone());
        append(&handset, &mut outbox, declaration());
        outbox.maintain(8).unwrap()
    });
    assert_eq!(turns.count(), 5, "40 rows and what stands beside them");
    assert_eq!(epochs(&store), [2]);
}

#[test]
fn an_epoch_that_begins_during_the_pass_does_not_cost_a_row() {
    let (handset, store) = (Handset::new(), MemoryStore::new());
    let mut outbox = handset.open(store.clone());
    let drafts: Vec<_> = (0..20)
        .map(|_| RecordId::make(handset.clock.now()))
        .collect();
    for id in &drafts {
        outbox
            .draft_put(*id, &Sensitive::new(b"draft".to_vec()))
            .unwrap();
    }
    for _ in 0..6 {
        handset.clock.advance(MONTH);
        outbox.sweep_step().unwrap();
        outbox.value_put("now", Sensitive::new(vec![1])).unwrap();
        outbox.sweep_step().unwrap();
        outbox.sweep_step().unwrap();
    }
    assert!(!outbox.maintain(usize::MAX).unwrap());
    assert_eq!(epochs(&store), [7]);
    assert!(
        handset
            .open(store)
            .drafts()
            .unwrap()
            .iter()
            .all(|draft| draft.content.is_some())
    );
}

#[test]
fn a_clock_that_goes_back_starts_one_epoch_and_no_more() {
    let (handset, store) = (Handset::new(), MemoryStore::new());
    let mut outbox = handset.open(store.clone());
    outbox.value_put("a", Sensitive::new(vec![1])).unwrap();
    handset.clock.advance(-SignedDuration::from_hours(24));
    outbox.value_put("a", Sensitive::new(vec![2])).unwrap();
    assert_eq!(epochs(&store), [1], "a day back is nothing");
    handset.clock.advance(-MONTH * 12);
    for value in 0..10 {
        outbox.value_put("a", Sensitive::new(vec![value])).unwrap();
    }
    assert_eq!(epochs(&store), [1, 2]);
}

#[test]
fn an_epoch_that_cannot_be_renewed_goes_on() {
    let (handset, store) = (Handset::new(), MemoryStore::new());
    let mut outbox = handset.open(store.clone());
    outbox.value_put("a", Sensitive::new(vec![1])).unwrap();
    handset.clock.advance(MONTH);
    store.fail_after(0, Fault::Full);
    outbox.append(&handset.record(declaration()), &[]).unwrap();
    assert_eq!(epochs(&store), [1]);
}

#[test]
fn rows_of_another_phones_keys_are_set_aside_and_its_epochs_kept() {
    let (handset, store) = (Handset::new(), MemoryStore::new());
    let mut outbox = handset.open(store.clone());
    for _ in 0..40 {
        outbox.append(&handset.record(declaration()), &[]).unwrap();
    }
    handset.keys.destroy().unwrap();
    handset.keys.create().unwrap();
    let mut outbox = handset.open(store.clone());
    outbox.append(&handset.record(declaration()), &[]).unwrap();
    assert_eq!(
        outbox
            .pending(Stream::Records, 64, usize::MAX)
            .unwrap()
            .len(),
        1
    );
    assert_eq!(outbox.counts().unwrap().quarantined, 40);
    assert!(!outbox.maintain(usize::MAX).unwrap());
    assert_eq!(
        epochs(&store),
        [1, 2],
        "what cannot be read is not destroyed"
    );
}
