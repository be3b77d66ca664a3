use candour_wire::Code;
use candour_wire::api::RecordResult;
use candour_wire::code::Refusal;
use candour_wire::log::Checkpoint;
use candour_wire::record::Stream;
use tokio::task::JoinSet;

use super::phone::{declaration, receipts};
use super::{Backend, Phone, at, verifier};
use crate::store::{AppendError, Batch, Reason, RevokeOutcome, StoreError};

pub(in crate::store) async fn a_batch_is_answered_with_receipts_that_verify<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let records = [phone.next(declaration()), phone.next(declaration())];
    let reply = phone
        .send(&*store, Stream::Records, &records)
        .await
        .unwrap();
    let receipts = receipts(&reply, &records);
    assert_eq!(
        receipts
            .iter()
            .map(|receipt| receipt.index)
            .collect::<Vec<_>>(),
        [0, 1]
    );
    assert!(
        receipts
            .iter()
            .all(|receipt| receipt.received == at(1) && !receipt.duplicate)
    );
    let checkpoint = Checkpoint::open(&reply.checkpoint, &verifier()).unwrap();
    assert_eq!((checkpoint.size, checkpoint.time), (2, at(1)));
    assert_eq!(store.checkpoint().await.unwrap(), Some(reply.checkpoint));
    let row = store.handset(&phone.id).await.unwrap().unwrap();
    assert_eq!(row.records_head, phone.records);
    assert_eq!(row.last_seen, Some(at(1)));
}

pub(in crate::store) async fn the_same_batch_again_gets_the_same_receipts_and_keeps_nothing<
    B: Backend,
>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let records = [phone.next(declaration()), phone.next(declaration())];
    let reply = phone
        .send(&*store, Stream::Records, &records)
        .await
        .unwrap();
    let first = receipts(&reply, &records);
    Phone::enrolled(&*store, "b")
        .await
        .sent(&*store, declaration())
        .await;
    // Later, with one new record behind the repeated ones.
    let records = [&records[..], &[phone.next(declaration())]].concat();
    let batch = Batch {
        received: at(9),
        ..phone.batch(Stream::Records, &records)
    };
    let again = receipts(&store.append(batch).await.unwrap(), &records);
    for (first, again) in first.iter().zip(&again) {
        assert_eq!((first.index, first.salt), (again.index, again.salt));
        assert_eq!(first.received, again.received);
        assert!(again.duplicate);
    }
    assert!(!again[2].duplicate);
    assert_eq!(store.figures().await.unwrap().log_size, 4);
    assert_eq!(store.anomalies(&phone.id).await.unwrap(), []);
}

pub(in crate::store) async fn receipts_are_the_same_after_a_crash<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let records = [phone.next(declaration()), phone.next(declaration())];
    let reply = phone
        .send(&*store, Stream::Records, &records)
        .await
        .unwrap();
    let first = receipts(&reply, &records);
    drop(store);
    let store = backend.open();
    assert_eq!(store.checkpoint().await.unwrap(), Some(reply.checkpoint));
    let reply = phone
        .send(&*store, Stream::Records, &records)
        .await
        .unwrap();
    let again = receipts(&reply, &records);
    assert!(again.iter().all(|receipt| receipt.duplicate));
    assert_eq!(first[1].index, again[1].index);
    phone.sent(&*store, declaration()).await;
    assert_eq!(store.figures().await.unwrap().log_size, 3);
}

pub(in crate::store) async fn what_the_caller_refused_stays_refused_and_the_rest_goes_on<
    B: Backend,
>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let refusal = Refusal::new(Code::SignatureInvalid);
    let mut batch = phone.batch(Stream::Records, &[]);
    batch.entries = vec![Err(refusal.clone()), Ok(phone.next(declaration()))];
    let reply = store.append(batch).await.unwrap();
    assert_eq!(reply.results[0], RecordResult::Refusal(refusal));
    assert!(matches!(reply.results[1], RecordResult::Receipt(_)));
    let [anomaly] = &store.anomalies(&phone.id).await.unwrap()[..] else {
        panic!()
    };
    assert_eq!(anomaly.code, "signature_invalid");
    assert_eq!((anomaly.stream, anomaly.last_seq), (Stream::Records, None));
}

pub(in crate::store) async fn a_handset_that_is_not_enrolled_keeps_nothing<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::new("stranger");
    let record = phone.next(declaration());
    let reply = phone.send(&*store, Stream::Records, &[record]).await;
    assert!(matches!(reply, Err(AppendError::NotEnrolled)));
    assert_eq!(store.figures().await.unwrap().log_size, 0);
}

pub(in crate::store) async fn a_revoked_handset_keeps_nothing_even_on_an_open_connection<
    B: Backend,
>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    phone.sent(&*store, declaration()).await;
    let reason = Reason::new("lost").unwrap();
    // Both are asked at once, the revocation first: standing is decided where the write is.
    let record = phone.next(declaration());
    let (revoked, reply) = tokio::join!(
        store.revoke(&phone.id, reason, at(2)),
        phone.send(&*store, Stream::Records, std::slice::from_ref(&record))
    );
    assert_eq!(revoked.unwrap(), RevokeOutcome::Revoked);
    assert!(matches!(reply, Err(AppendError::Revoked)));
    assert_eq!(store.figures().await.unwrap().log_size, 1);
}

pub(in crate::store) async fn many_handsets_at_once_are_all_kept_once<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut tasks = JoinSet::new();
    for number in 0..40 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut phone = Phone::enrolled(&*store, &format!("phone {number}")).await;
            let mut indices = Vec::new();
            for _ in 0..5 {
                let records = [phone.next(declaration()), phone.next(declaration())];
                // Each batch comes twice, as after a lost reply, the second before the answer
                // to the first is known.
                let (one, two) = tokio::join!(
                    phone.send(&*store, Stream::Records, &records),
                    phone.send(&*store, Stream::Records, &records)
                );
                let one = receipts(&one.unwrap(), &records);
                let two = receipts(&two.unwrap(), &records);
                assert_eq!(one[0].index, two[0].index);
                assert_ne!(one[0].duplicate, two[0].duplicate);
                indices.extend(one.iter().map(|receipt| receipt.index));
            }
            indices
        });
    }
    let mut indices = tasks.join_all().await.concat();
    indices.sort_unstable();
    assert_eq!(indices, (0..400).collect::<Vec<_>>());
    assert_eq!(store.figures().await.unwrap().anomalies, 0);
    drop(store);
    assert_eq!(backend.open().figures().await.unwrap().log_size, 400);
}

pub(in crate::store) async fn a_closed_store_says_so<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    assert!(store.healthy());
    let record = phone.sent(&*store, declaration()).await;
    store.close().await;
    store.close().await;
    assert!(!store.healthy());
    let reply = phone
        .send(&*store, Stream::Records, std::slice::from_ref(&record))
        .await;
    assert!(matches!(reply, Err(AppendError::Store(StoreError::Closed))));
    assert!(matches!(store.checkpoint().await, Err(StoreError::Closed)));
    let store = backend.open();
    phone
        .send(&*store, Stream::Records, &[record])
        .await
        .unwrap();
    assert_eq!(store.figures().await.unwrap().log_size, 1);
}
