use candour_wire::chain::{Head, genesis};
use candour_wire::code::Refusal;
use candour_wire::posture::Presence;
use candour_wire::record::{Body, Record, Stream};
use candour_wire::{Code, Digest};

use super::phone::{declaration, heartbeat, list, receipts, verified};
use super::{Backend, Phone};
use crate::store::Store;

async fn assert_anomalies(store: &dyn Store, phone: &Phone, expected: &[(&str, u64)]) {
    let anomalies = store.anomalies(&phone.id).await.unwrap();
    let found: Vec<_> = anomalies
        .iter()
        .map(|a| (a.code.as_str(), a.count))
        .collect();
    assert_eq!(found, expected);
    let row = store.handset(&phone.id).await.unwrap().unwrap();
    assert_eq!(
        row.anomalies,
        expected.iter().map(|(_, count)| count).sum::<u64>()
    );
}

fn about_chain(code: Code, head: Head) -> Refusal {
    Refusal {
        head: Some(head),
        ..Refusal::new(code)
    }
}

pub(in crate::store) async fn another_body_in_the_same_place_is_refused_with_the_head_and_noted<
    B: Backend,
>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    phone.sent(&*store, declaration()).await;
    let first = genesis(&phone.id, Stream::Records);
    let other = phone.record(1, first, declaration());
    let refusal = phone.refused(&store, other).await;
    assert_eq!(refusal, about_chain(Code::SequenceConflict, phone.records));
    assert_anomalies(&*store, &phone, &[("sequence_conflict", 1)]).await;
    assert_eq!(store.figures().await.unwrap().log_size, 1);
}

pub(in crate::store) async fn an_id_that_is_taken_is_refused_under_another_number<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let first = phone.sent(&*store, declaration()).await;
    let head = phone.records;
    let again = phone.rechained(&first, head);
    let refusal = phone.refused(&store, again).await;
    assert_eq!(refusal, about_chain(Code::IdConflict, head));
    assert_anomalies(&*store, &phone, &[("id_conflict", 1)]).await;
}

pub(in crate::store) async fn an_id_of_another_handset_is_refused<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let theirs = Phone::enrolled(&*store, "a")
        .await
        .sent(&*store, declaration())
        .await;
    let mut phone = Phone::enrolled(&*store, "b").await;
    let own = phone.next(declaration());
    let copied = verified(Record {
        id: theirs.record.id,
        ..own.record
    });
    assert_eq!(
        phone.refused(&store, copied).await.known_code(),
        Some(Code::IdConflict)
    );
}

pub(in crate::store) async fn a_gap_is_refused_with_the_head_and_noted<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    phone.sent(&*store, declaration()).await;
    let head = phone.records;
    phone.next(declaration());
    let third = phone.next(declaration());
    let refusal = phone.refused(&store, third.clone()).await;
    assert_eq!(refusal, about_chain(Code::SequenceGap, head));
    assert_anomalies(&*store, &phone, &[("sequence_gap", 1)]).await;
    let [anomaly] = &store.anomalies(&phone.id).await.unwrap()[..] else {
        panic!()
    };
    assert_eq!(
        (anomaly.last_seq, anomaly.last_record),
        (Some(3), Some(third.record.id))
    );
}

pub(in crate::store) async fn a_gap_that_follows_a_refusal_is_not_noted<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let unknown = list(&[("signal", Presence::Installed)]);
    let records = [
        phone.next(heartbeat(&unknown)),
        phone.next(heartbeat(&unknown)),
    ];
    let reply = phone
        .send(&*store, Stream::Posture, &records)
        .await
        .unwrap();
    let codes = reply.results.iter().map(|result| match result {
        candour_wire::api::RecordResult::Refusal(refusal) => refusal.known_code(),
        candour_wire::api::RecordResult::Receipt(_) => None,
    });
    assert_eq!(
        codes.collect::<Vec<_>>(),
        [Some(Code::BaseUnknown), Some(Code::SequenceGap)]
    );
    assert_anomalies(&*store, &phone, &[]).await;
}

pub(in crate::store) async fn another_predecessor_is_refused_with_the_head_and_noted<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    phone.sent(&*store, declaration()).await;
    let forked = phone.record(2, Digest::of(b"another past"), declaration());
    let refusal = phone.refused(&store, forked).await;
    assert_eq!(refusal, about_chain(Code::ChainBroken, phone.records));
    assert_anomalies(&*store, &phone, &[("chain_broken", 1)]).await;
}

pub(in crate::store) async fn absurd_numbers_are_refused<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let code = async |seq| {
        let record = phone.record(seq, phone.records.digest, declaration());
        phone.refused(&store, record).await.known_code()
    };
    assert_eq!(code(0).await, Some(Code::SequenceConflict));
    assert_eq!(code(u64::MAX).await, Some(Code::SequenceGap));
    let next = phone.next(declaration());
    let policy = verified(Record {
        policy: u64::MAX,
        ..next.record
    });
    assert_eq!(
        phone.refused(&store, policy).await.known_code(),
        Some(Code::RecordMalformed)
    );
}

pub(in crate::store) async fn a_record_of_another_handset_or_stream_never_crosses_over<
    B: Backend,
>() {
    let backend = B::empty();
    let store = backend.open();
    let phone = Phone::enrolled(&*store, "a").await;
    let mut other = Phone::enrolled(&*store, "b").await;
    let theirs = other.next(declaration());
    assert_eq!(
        phone.refused(&store, theirs).await.known_code(),
        Some(Code::WrongHandset)
    );
    let declared = phone.record(1, phone.posture.digest, declaration());
    let reply = phone
        .send(&*store, Stream::Posture, &[declared])
        .await
        .unwrap();
    let candour_wire::api::RecordResult::Refusal(refusal) = &reply.results[0] else {
        panic!()
    };
    assert_eq!(refusal.known_code(), Some(Code::WrongStream));
    assert_eq!(store.figures().await.unwrap().log_size, 0);
}

pub(in crate::store) async fn the_streams_of_a_handset_do_not_touch_each_other<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    phone.sent(&*store, declaration()).await;
    phone
        .sent(
            &*store,
            Body::Inventory(list(&[("signal", Presence::Absent)])),
        )
        .await;
    phone.sent(&*store, declaration()).await;
    let row = store.handset(&phone.id).await.unwrap().unwrap();
    assert_eq!(
        (row.posture_head, row.records_head),
        (phone.posture, phone.records)
    );
    assert_eq!((row.posture_head.seq, row.records_head.seq), (1, 2));
}

pub(in crate::store) async fn repeated_anomalies_are_counted_not_listed<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let phone = Phone::enrolled(&*store, "a").await;
    for seq in 5..9 {
        let record = phone.record(seq, phone.records.digest, declaration());
        phone.refused(&store, record).await;
    }
    assert_anomalies(&*store, &phone, &[("sequence_gap", 4)]).await;
}

pub(in crate::store) async fn a_handset_goes_on_after_it_has_rechained<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    phone.sent(&*store, declaration()).await;
    // As after a restored backup: the handset has forgotten its first record.
    phone.records = Head::genesis(&phone.id, Stream::Records);
    let waiting = phone.next(declaration());
    let head = phone.refused(&store, waiting.clone()).await.head.unwrap();
    let rechained = phone.rechained(&waiting, head);
    assert_eq!(rechained.record.id, waiting.record.id);
    let records = [rechained];
    let reply = phone
        .send(&*store, Stream::Records, &records)
        .await
        .unwrap();
    assert!(!receipts(&reply, &records)[0].duplicate);
}
