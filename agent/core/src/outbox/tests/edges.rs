//! Limits to the byte and the second, and what only shows with many rows.

use candour_wire::chain::Head;
use candour_wire::limits::RECORD_MAX_BYTES;
use candour_wire::posture::Status;
use candour_wire::record::{AttachmentRef, Body, Stream};
use candour_wire::{Code, Digest, RecordId, Sensitive};
use jiff::SignedDuration;

use super::rules::{append, setting};
use super::world::{Handset, Server, declaration, status, sync};
use crate::adapters::memory::MemoryStore;
use crate::outbox::chain::SLACK_BYTES;
use crate::outbox::{OutboxError, Refused};
use crate::ports::{Clock as _, Store as _, Table};

fn text(length: usize) -> Sensitive<Vec<u8>> {
    Sensitive::new(vec![b'x'; length])
}

fn refused(id: RecordId) -> [Refused; 1] {
    [Refused::new(id, Code::RecordTooLarge)]
}

#[test]
fn a_draft_may_be_as_long_as_the_limit_and_no_longer() {
    let (mut handset, store) = (Handset::new(), MemoryStore::new());
    handset.limits.draft_bytes = 100;
    let mut outbox = handset.open(store);
    let id = RecordId::make(handset.clock.now());
    outbox.draft_put(id, &text(100)).unwrap();
    let error = outbox.draft_put(id, &text(101)).unwrap_err();
    assert!(matches!(error, OutboxError::DraftLimit));
}

#[test]
fn drafts_may_fill_their_room_and_one_that_takes_no_more_is_welcome_beyond_it() {
    let (mut handset, store) = (Handset::new(), MemoryStore::new());
    let id = RecordId::make(handset.clock.now());
    handset
        .open(store.clone())
        .draft_put(id, &text(500))
        .unwrap();
    let bytes = store.usage(Table::Draft).unwrap().bytes;

    handset.limits.bytes = bytes;
    let mut just_enough = handset.open(MemoryStore::new());
    just_enough.draft_put(id, &text(500)).unwrap();
    handset.limits.bytes = bytes - 1;
    let mut too_little = handset.open(MemoryStore::new());
    assert!(too_little.draft_put(id, &text(500)).is_err());
    let mut fuller_than_may_be = handset.open(store);
    fuller_than_may_be.draft_put(id, &text(500)).unwrap();
}

#[test]
fn records_may_fill_their_room_to_the_byte() {
    let (mut handset, store, mut outbox) = setting();
    append(&handset, &mut outbox, declaration());
    let bytes = store.usage(Table::Outbox).unwrap().bytes;
    assert_eq!(outbox.counts().unwrap().bytes, bytes);

    handset.limits.bytes = bytes;
    append(
        &handset,
        &mut handset.open(MemoryStore::new()),
        declaration(),
    );
    handset.limits.bytes = bytes - 1;
    let mut too_little = handset.open(MemoryStore::new());
    let error = too_little.append(&handset.record(declaration()), &[]);
    assert!(matches!(error, Err(OutboxError::Full { .. })));
}

#[test]
fn the_oldest_record_may_wait_until_the_limit_and_not_a_second_longer() {
    let (handset, _, mut outbox) = setting();
    append(&handset, &mut outbox, declaration());
    handset.clock.advance(handset.limits.age);
    append(&handset, &mut outbox, declaration());
    handset.clock.advance(SignedDuration::from_secs(1));
    let error = outbox.append(&handset.record(declaration()), &[]);
    assert!(matches!(error, Err(OutboxError::Stale { .. })));
}

/// The JWS of a status that names one problem of that many characters; `None` where it is too
/// long.
fn status_of(characters: usize) -> Option<usize> {
    let (handset, _, mut outbox) = setting();
    let Body::Status(status) = status() else {
        unreachable!("a status")
    };
    let problems = vec!["x".repeat(characters)];
    let body = Body::Status(Status { problems, ..status });
    match outbox.append(&handset.record(body), &[]) {
        Ok(_) => Some(outbox.pending(Stream::Posture, 1, 0).unwrap()[0].jws.len()),
        Err(OutboxError::TooLarge) => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_record_leaves_room_for_a_longer_number_below_the_limit() {
    let (mut fits, mut too_long) = (0, RECORD_MAX_BYTES);
    while too_long - fits > 1 {
        let middle = fits.midpoint(too_long);
        match status_of(middle) {
            Some(_) => fits = middle,
            None => too_long = middle,
        }
    }
    // A character more is one or two of base64.
    let longest = status_of(fits).unwrap();
    let most = RECORD_MAX_BYTES - SLACK_BYTES;
    assert!((most - 1..=most).contains(&longest), "{longest} of {most}");
}

#[test]
fn a_batch_may_be_filled_to_the_byte() {
    let (handset, _, mut outbox) = setting();
    for _ in 0..3 {
        append(&handset, &mut outbox, declaration());
    }
    let mut batch = |bytes| outbox.pending(Stream::Records, 9, bytes).unwrap();
    let two: usize = batch(usize::MAX)[..2].iter().map(|one| one.jws.len()).sum();
    assert_eq!([batch(two - 1).len(), batch(two).len()], [1, 2]);
}

#[test]
fn all_of_many_rows_are_there_after_a_restart() {
    let (handset, store, mut outbox) = setting();
    for _ in 0..1_030 {
        append(&handset, &mut outbox, status());
    }
    let mut outbox = handset.open(store);
    let all = outbox.pending(Stream::Posture, 2_000, usize::MAX).unwrap();
    assert_eq!(all.len(), 1_030);
}

#[test]
fn values_of_different_names_are_different() {
    let (handset, store, mut outbox) = setting();
    outbox.value_put("one", text(1)).unwrap();
    outbox.value_put("two", text(2)).unwrap();
    let mut outbox = handset.open(store);
    assert_eq!(outbox.value("one").unwrap(), Some(text(1)));
    assert_eq!(outbox.value("two").unwrap(), Some(text(2)));
}

#[test]
fn a_record_that_has_left_is_not_taken_for_the_one_that_stands_in_its_place() {
    let (handset, _, mut outbox) = setting();
    let left = append(&handset, &mut outbox, declaration());
    sync(&mut outbox, &mut Server::new(&handset), Stream::Records).unwrap();
    let later = handset.clock.now() + SignedDuration::from_hours(24);
    assert_eq!(outbox.prune_receipts(later).unwrap(), 1);
    append(&handset, &mut outbox, declaration());
    assert_eq!(outbox.kind_of(left).unwrap(), None);
}

#[test]
fn what_follows_a_record_that_was_set_aside_is_sent_as_it_is() {
    let (handset, _, mut outbox) = setting();
    let [first, second] = [(); 2].map(|()| append(&handset, &mut outbox, declaration()));
    let before = outbox.pending(Stream::Records, 9, usize::MAX).unwrap();
    outbox.set_aside(Stream::Records, &refused(first)).unwrap();
    let after = outbox.pending(Stream::Records, 9, usize::MAX).unwrap();
    assert_eq!((after.len(), after[0].id), (1, second));
    assert_eq!(after[0].jws, before[1].jws);
}

#[test]
fn the_files_of_what_is_set_aside_are_named() {
    let (handset, _, mut outbox) = setting();
    assert_eq!(outbox.files_set_aside().unwrap(), Some(vec![]));
    let (sha256, size) = (Digest::of(b"a file"), 300);
    let Body::Declaration(mut declared) = declaration() else {
        unreachable!("a declaration")
    };
    declared.attachments = vec![AttachmentRef { sha256, size }];
    let id = append(&handset, &mut outbox, Body::Declaration(declared));
    outbox.set_aside(Stream::Records, &refused(id)).unwrap();
    assert_eq!(outbox.files_set_aside().unwrap(), Some(vec![sha256]));
}

#[test]
fn a_stream_goes_on_from_the_head_that_was_named() {
    let (handset, _, mut outbox) = setting();
    append(&handset, &mut outbox, declaration());
    let digest = Digest::of(b"the server's newest");
    outbox
        .rechain(Stream::Records, Head { seq: 5, digest })
        .unwrap();
    assert_eq!(outbox.pending(Stream::Records, 1, 0).unwrap()[0].seq, 6);
}

#[test]
fn a_checkpoint_is_kept_as_it_was_signed() {
    let server = Server::new(&Handset::new());
    let note = server.checkpoint();
    assert_eq!(server.open_checkpoint(&note).note(), note);
}
