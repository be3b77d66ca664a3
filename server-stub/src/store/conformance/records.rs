use candour_wire::record::{Amendment, AttachmentRef, Body, Kind, Stream, Withdrawal};
use candour_wire::{Code, Digest, RecordId};

use super::attachments::whole;
use super::phone::{declaration, declaration_with, list, receipts, sealed};
use super::{Backend, DEPARTMENT, Phone, at};
use crate::store::{Audit, AuditAction, Figures, Reason};

fn audit(record: RecordId, who: &str) -> Audit {
    let reason = Reason::new("FOI 2026/17").unwrap();
    Audit {
        at: at(3),
        who: who.into(),
        action: AuditAction::Open,
        record,
        reason,
    }
}

pub(in crate::store) async fn a_record_is_opened_with_its_audit_row<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    phone.sent(&*store, declaration()).await;
    let records = [phone.next(declaration())];
    let reply = phone
        .send(&*store, Stream::Records, &records)
        .await
        .unwrap();
    let receipt = receipts(&reply, &records).remove(0);
    let id = records[0].record.id;
    let stored = store
        .open_record(id, audit(id, "j.smith"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (stored.id, &stored.handset, &stored.spki),
        (id, &phone.id, &phone.spki)
    );
    assert_eq!(
        (stored.stream, stored.kind, stored.seq),
        (Stream::Records, Kind::Declaration, 2)
    );
    assert_eq!((stored.index, stored.salt), (receipt.index, receipt.salt));
    assert_eq!(
        (stored.received, stored.department.as_str()),
        (at(1), DEPARTMENT)
    );
    assert_eq!(stored.jws, records[0].jws);
    // The audit row outlives a crash right after the answer.
    drop(store);
    let store = backend.open();
    assert_eq!(store.audit_trail(10).await.unwrap(), [audit(id, "j.smith")]);
}

pub(in crate::store) async fn looking_for_a_record_that_is_not_there_is_audited_too<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let (one, two) = (RecordId::make(at(0)), RecordId::make(at(0)));
    assert_eq!(store.open_record(one, audit(one, "a")).await.unwrap(), None);
    assert_eq!(store.open_record(two, audit(two, "b")).await.unwrap(), None);
    assert_eq!(
        store.audit_trail(10).await.unwrap(),
        [audit(two, "b"), audit(one, "a")]
    );
    assert_eq!(store.audit_trail(1).await.unwrap(), [audit(two, "b")]);
}

pub(in crate::store) async fn a_posture_record_is_not_opened<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let id = phone
        .sent(&*store, Body::Inventory(list(&[])))
        .await
        .record
        .id;
    assert_eq!(
        store.open_record(id, audit(id, "j.smith")).await.unwrap(),
        None
    );
    assert_eq!(store.audit_trail(10).await.unwrap(), [audit(id, "j.smith")]);
}

pub(in crate::store) async fn an_amendment_or_withdrawal_needs_this_handsets_declaration<
    B: Backend,
>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let theirs = Phone::enrolled(&*store, "b")
        .await
        .sent(&*store, declaration())
        .await;
    let amends = |amends| {
        Body::Amendment(Amendment {
            amends,
            sealed: sealed(),
            attachments: vec![],
        })
    };
    let withdraws = |withdraws| {
        Body::Withdrawal(Withdrawal {
            withdraws,
            sealed: sealed(),
        })
    };
    // In one batch with the declaration that it is about.
    let declared = phone.next(declaration());
    let amendment = phone.next(amends(declared.record.id));
    let records = [declared, amendment];
    let reply = phone
        .send(&*store, Stream::Records, &records)
        .await
        .unwrap();
    receipts(&reply, &records);
    let [declared, amendment] = records.map(|record| record.record.id);
    let nowhere = RecordId::make(at(0));
    for id in [theirs.record.id, amendment, nowhere] {
        for body in [amends(id), withdraws(id)] {
            let record = phone.record(3, phone.records.digest, body);
            let refusal = phone.refused(&store, record).await;
            assert_eq!(refusal.known_code(), Some(Code::PlaneRefused));
        }
    }
    phone.sent(&*store, withdraws(declared)).await;
    let codes: Vec<_> = store
        .anomalies(&phone.id)
        .await
        .unwrap()
        .into_iter()
        .map(|a| (a.code, a.count))
        .collect();
    assert_eq!(codes, [("plane_refused".to_owned(), 6)]);
}

pub(in crate::store) async fn a_declaration_waits_for_its_files<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let file = b"ciphertext".to_vec();
    let (sha256, size) = (Digest::of(&file), file.len() as u64);
    let record = phone.next(declaration_with(vec![AttachmentRef { sha256, size }]));
    let refusal = phone.refused(&store, record.clone()).await;
    assert_eq!(refusal.known_code(), Some(Code::AttachmentMissing));
    assert_eq!(refusal.detail, Some(sha256.to_string()));
    // Another handset's upload does not count, nor does a part of it.
    let other = Phone::enrolled(&*store, "b").await;
    store.upload_piece(whole(&other, &file)).await.unwrap();
    let mut part = whole(&phone, &file);
    part.bytes.truncate(4);
    store.upload_piece(part).await.unwrap();
    let refusal = phone.refused(&store, record.clone()).await;
    assert_eq!(refusal.known_code(), Some(Code::AttachmentMissing));
    let mut rest = whole(&phone, &file);
    rest.offset = 4;
    rest.bytes.drain(..4);
    store.upload_piece(rest).await.unwrap();
    let other_size = AttachmentRef {
        sha256,
        size: size + 1,
    };
    let lied = phone.record(1, record.record.prev, declaration_with(vec![other_size]));
    let refusal = phone.refused(&store, lied).await;
    assert_eq!(refusal.known_code(), Some(Code::AttachmentMissing));
    let records = [record];
    receipts(
        &phone
            .send(&*store, Stream::Records, &records)
            .await
            .unwrap(),
        &records,
    );
    assert_eq!(store.anomalies(&phone.id).await.unwrap(), []);
}

pub(in crate::store) async fn figures_count_what_there_is<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    phone.sent(&*store, Body::Inventory(list(&[]))).await;
    phone
        .refused(&store, phone.record(9, phone.records.digest, declaration()))
        .await;
    let figures = Figures {
        anomalies: 1,
        log_size: 1,
        queued: 0,
    };
    assert_eq!(store.figures().await.unwrap(), figures);
}
