//! Rows that do not open.

use candour_wire::Code;
use candour_wire::record::Stream;

use super::world::{Handset, Server, declaration, sync};
use crate::adapters::memory::{MemoryKeys, MemoryStore};
use crate::outbox::{Outbox, OutboxError};
use crate::ports::{Change, KeyError, KeyStore, Store as _, Table};

/// Flips a bit in the middle of a row's value.
pub(super) fn damage(store: &MemoryStore, table: Table, row: usize) {
    let (key, mut value) = store
        .scan(table, &[], None, row + 1)
        .unwrap()
        .pop()
        .unwrap();
    let middle = value.len() / 2;
    value[middle] ^= 4;
    store
        .clone()
        .apply(&[Change::Put(table, key, value)])
        .unwrap();
}

fn three(handset: &Handset, outbox: &mut Outbox) -> Vec<candour_wire::RecordId> {
    (0..3)
        .map(|_| outbox.append(&handset.record(declaration()), &[]).unwrap())
        .collect()
}

#[test]
fn a_damaged_record_is_set_aside_with_its_bytes_and_the_rest_arrive() {
    for damaged in 0..3 {
        let (handset, store) = (Handset::new(), MemoryStore::new());
        let mut outbox = handset.open(store.clone());
        let ids = three(&handset, &mut outbox);
        damage(&store, Table::Outbox, damaged);
        let mut server = Server::new(&handset);
        let synced = sync(&mut outbox, &mut server, Stream::Records).unwrap();
        assert!(synced.rechained <= 1);
        assert_eq!(server.ids.len(), 2);
        let quarantined = outbox.quarantined().unwrap();
        assert_eq!((quarantined.len(), quarantined[0].id), (1, ids[damaged]));
        assert_eq!(quarantined[0].code, Code::StoreDamaged.as_str());
        assert!(!quarantined[0].can_requeue);
        assert!(matches!(
            outbox.requeue(ids[damaged]),
            Err(OutboxError::Damaged(_))
        ));
        outbox.append(&handset.record(declaration()), &[]).unwrap();
        sync(&mut outbox, &mut server, Stream::Records).unwrap();
        assert_eq!(server.ids.len(), 3);
    }
}

#[test]
fn records_that_arrived_before_the_damage_are_not_sent_as_others() {
    for damaged in 0..3 {
        let (handset, store) = (Handset::new(), MemoryStore::new());
        let mut outbox = handset.open(store.clone());
        three(&handset, &mut outbox);
        let mut server = Server::new(&handset);
        let batch = outbox.pending(Stream::Records, 3, usize::MAX).unwrap();
        let _reply_lost = server.submit(Stream::Records, &batch);
        damage(&store, Table::Outbox, damaged);
        outbox.append(&handset.record(declaration()), &[]).unwrap();
        let synced = sync(&mut outbox, &mut server, Stream::Records).unwrap();
        assert!(synced.id_conflicts.is_empty());
        assert_eq!(server.ids.len(), 4);
        assert_eq!(outbox.counts().unwrap().quarantined, 1);
        assert_eq!(outbox.receipts(None, None, 10).unwrap().receipts.len(), 3);
    }
}

#[test]
fn a_lost_chain_state_is_asked_of_the_server() {
    let (handset, store) = (Handset::new(), MemoryStore::new());
    let mut outbox = handset.open(store.clone());
    three(&handset, &mut outbox);
    let mut server = Server::new(&handset);
    sync(&mut outbox, &mut server, Stream::Records).unwrap();
    damage(&store, Table::Meta, 0);
    let mut outbox = handset.open(store);
    three(&handset, &mut outbox);
    let synced = sync(&mut outbox, &mut server, Stream::Records).unwrap();
    assert_eq!((synced.rechained, server.ids.len()), (1, 6));
}

#[test]
fn damaged_drafts_receipts_and_values_are_named_and_hold_up_nothing() {
    let (handset, store) = (Handset::new(), MemoryStore::new());
    let mut outbox = handset.open(store.clone());
    let ids = three(&handset, &mut outbox);
    sync(&mut outbox, &mut Server::new(&handset), Stream::Records).unwrap();
    outbox.draft_put(ids[0], &vec![1].into()).unwrap();
    outbox.value_put("a", vec![1].into()).unwrap();
    damage(&store, Table::Draft, 0);
    damage(&store, Table::Receipt, 0);
    let values = store.usage(Table::Meta).unwrap().rows;
    (0..usize::try_from(values).unwrap()).for_each(|row| damage(&store, Table::Meta, row));
    let mut outbox = handset.open(store);
    assert_eq!(outbox.drafts().unwrap()[0].content, None);
    assert!(matches!(outbox.draft(ids[0]), Err(OutboxError::Damaged(_))));
    let found = outbox.receipts(None, None, 10).unwrap();
    assert_eq!((found.receipts.len(), found.damaged.len()), (2, 1));
    assert!(matches!(
        outbox.receipt(found.damaged[0]),
        Err(OutboxError::Damaged(_))
    ));
    assert_eq!(outbox.value("a").unwrap(), None);
    assert_eq!(outbox.last_checkpoint().unwrap(), None);
}

#[test]
fn a_row_whose_key_is_damaged_is_counted_and_holds_up_nothing() {
    let (handset, store) = (Handset::new(), MemoryStore::new());
    let mut outbox = handset.open(store.clone());
    three(&handset, &mut outbox);
    assert_eq!(outbox.counts().unwrap().unreadable, 0);
    drop(outbox);
    for table in [Table::Outbox, Table::Quarantine] {
        let put = Change::Put(table, b"damaged".to_vec(), b"row".to_vec());
        store.clone().apply(&[put]).unwrap();
    }
    let mut outbox = handset.open(store);
    let counts = outbox.counts().unwrap();
    assert_eq!((counts.records, counts.unreadable), (3, 2));
    sync(&mut outbox, &mut Server::new(&handset), Stream::Records).unwrap();
    assert_eq!(outbox.counts().unwrap().records, 0);
    outbox.wipe().unwrap();
    assert_eq!(outbox.counts().unwrap().unreadable, 0);
}

#[test]
fn a_damaged_quarantine_row_is_listed_by_its_key() {
    let (handset, store) = (Handset::new(), MemoryStore::new());
    let mut outbox = handset.open(store.clone());
    let ids = three(&handset, &mut outbox);
    outbox
        .set_aside(
            Stream::Records,
            &[crate::outbox::Refused::new(
                ids[0],
                Code::AttachmentUnreadable,
            )],
        )
        .unwrap();
    damage(&store, Table::Quarantine, 0);
    let listed = outbox.quarantined().unwrap().remove(0);
    assert_eq!(
        (listed.id, listed.code.as_str(), listed.summary),
        (ids[0], "store_damaged", None)
    );
    assert!(matches!(
        outbox.requeue(ids[0]),
        Err(OutboxError::Damaged(_))
    ));
    sync(&mut outbox, &mut Server::new(&handset), Stream::Records).unwrap();
    outbox.discard(ids[0]).unwrap();
    assert_eq!(outbox.kind_of(ids[0]).unwrap(), None);
}

/// A key store that is locked, as an iPhone's is before it is first unlocked.
struct Locked(MemoryKeys, bool);

impl Locked {
    fn check(&self) -> Result<(), KeyError> {
        if self.1 {
            Err(KeyError::Unavailable {
                reason: "locked".into(),
            })
        } else {
            Ok(())
        }
    }
}

impl KeyStore for Locked {
    fn public_key(&self) -> Result<Option<Vec<u8>>, KeyError> {
        self.0.public_key()
    }
    fn create(&self) -> Result<Vec<u8>, KeyError> {
        self.0.create()
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.check().and_then(|()| self.0.sign(message))
    }
    fn wrap(&self, secret: &candour_wire::Sensitive<Vec<u8>>) -> Result<Vec<u8>, KeyError> {
        self.check().and_then(|()| self.0.wrap(secret))
    }
    fn unwrap(&self, wrapped: &[u8]) -> Result<candour_wire::Sensitive<Vec<u8>>, KeyError> {
        self.check().and_then(|()| self.0.unwrap(wrapped))
    }
    fn destroy(&self) -> Result<(), KeyError> {
        self.0.destroy()
    }
}

#[test]
fn a_locked_key_store_condemns_no_row() {
    let (handset, store) = (Handset::new(), MemoryStore::new());
    let mut keys = Locked(MemoryKeys::new(), false);
    keys.create().unwrap();
    let open = |keys: Locked| {
        let keys = std::sync::Arc::new(keys);
        let outbox = Outbox::open(
            Box::new(store.clone()),
            keys.clone(),
            handset.clock.clone(),
            handset.limits.clone(),
        );
        (keys, outbox.unwrap())
    };
    let (shared, mut outbox) = open(keys);
    three(&handset, &mut outbox);
    drop(outbox);
    keys = std::sync::Arc::into_inner(shared).unwrap();
    keys.1 = true;
    let (shared, mut outbox) = open(keys);
    assert_eq!(outbox.counts().unwrap().records, 3, "counting needs no key");
    for result in [
        outbox.pending(Stream::Records, 10, usize::MAX).map(drop),
        outbox.waiting(10).map(drop),
        outbox.append(&handset.record(declaration()), &[]).map(drop),
    ] {
        assert_eq!(result.unwrap_err().code(), Code::KeyUnavailable);
    }
    drop(outbox);
    keys = std::sync::Arc::into_inner(shared).unwrap();
    keys.1 = false;
    let (_, mut outbox) = open(keys);
    assert_eq!(
        outbox
            .pending(Stream::Records, 10, usize::MAX)
            .unwrap()
            .len(),
        3
    );
    assert_eq!(outbox.counts().unwrap().quarantined, 0);
}
