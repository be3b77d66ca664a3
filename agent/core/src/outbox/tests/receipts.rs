//! What settles a record, and what is shown afterwards.

use candour_wire::Code;
use candour_wire::record::Stream;
use jiff::SignedDuration;

use super::rules::{append, setting};
use super::world::{Answer, Server, declaration, inventory, sync};
use crate::outbox::VerifiedReceipt;

#[test]
fn a_receipt_for_other_bytes_settles_nothing() {
    let (handset, _, mut outbox) = setting();
    let mut server = Server::new(&handset);
    append(&handset, &mut outbox, declaration());
    append(&handset, &mut outbox, declaration());
    let batch = outbox.pending(Stream::Records, 2, usize::MAX).unwrap();
    let (answers, note) = server.submit(Stream::Records, &batch);
    let checkpoint = server.open_checkpoint(&note);
    let [Answer::Receipt(first), Answer::Receipt(second)] = &answers[..] else {
        panic!("two receipts");
    };
    assert!(VerifiedReceipt::verify(&batch[1].jws, first.clone(), &checkpoint).is_err());
    let mut swapped = first.clone();
    swapped.id = second.id;
    let good = VerifiedReceipt::verify(&batch[0].jws, first.clone(), &checkpoint).unwrap();
    let swapped = VerifiedReceipt::verify(&batch[0].jws, swapped, &checkpoint).unwrap();
    let error = outbox
        .settle(&[good.clone(), swapped], &checkpoint)
        .unwrap_err();
    assert_eq!(error.code(), Code::ReceiptInvalid);
    assert_eq!(outbox.counts().unwrap().records, 2);
    outbox
        .settle(std::slice::from_ref(&good), &checkpoint)
        .unwrap();
    outbox.settle(&[good], &checkpoint).unwrap();
    assert_eq!(outbox.counts().unwrap().records, 1);
}

#[test]
fn receipts_are_listed_newest_first_by_stream_and_forgotten_when_old() {
    let (handset, _, mut outbox) = setting();
    let mut server = Server::new(&handset);
    let mut ids = Vec::new();
    for body in [declaration(), inventory(), declaration()] {
        handset.clock.advance(SignedDuration::from_secs(1));
        ids.push(append(&handset, &mut outbox, body));
    }
    for stream in Stream::ALL {
        sync(&mut outbox, &mut server, stream).unwrap();
    }
    let mut list = |stream, before, limit| -> Vec<_> {
        let found = outbox.receipts(stream, before, limit).unwrap();
        assert!(found.damaged.is_empty());
        found
            .receipts
            .into_iter()
            .map(|receipt| receipt.id)
            .collect()
    };
    assert_eq!(list(None, None, 10), [ids[2], ids[1], ids[0]]);
    assert_eq!(list(None, None, 2), [ids[2], ids[1]]);
    assert_eq!(list(Some(Stream::Records), None, 10), [ids[2], ids[0]]);
    assert_eq!(list(None, Some(ids[2]), 1), [ids[1]]);
    let received = outbox.receipt(ids[0]).unwrap().unwrap().received;
    assert_eq!(outbox.prune_receipts(received).unwrap(), 0);
    let later = received + SignedDuration::from_secs(1);
    assert_eq!(outbox.prune_receipts(later).unwrap(), 3);
    assert_eq!(outbox.receipt(ids[0]).unwrap(), None);
    assert_eq!(
        outbox
            .chain_state(Stream::Records)
            .unwrap()
            .acknowledged
            .seq,
        2
    );
}
