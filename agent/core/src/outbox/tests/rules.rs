//! Each rule of the outbox by itself.

use candour_wire::record::{Kind, Stream};
use candour_wire::{Code, RecordId, Sensitive};
use jiff::SignedDuration;

use super::world::{
    Handset, Server, assert_chain, declaration, heartbeat, inventory, status, sync,
};
use crate::adapters::memory::{Fault, MemoryKeys, MemoryStore};
use crate::outbox::{Also, Limits, Outbox, OutboxError, Refused};
use crate::ports::{Clock as _, KeyStore as _, Store as _, StoreError, Table};

pub(super) fn setting() -> (Handset, MemoryStore, Outbox) {
    let (handset, store) = (Handset::new(), MemoryStore::new());
    let outbox = handset.open(store.clone());
    (handset, store, outbox)
}

pub(super) fn append(
    handset: &Handset,
    outbox: &mut Outbox,
    body: candour_wire::record::Body,
) -> RecordId {
    outbox.append(&handset.record(body), &[]).unwrap()
}

#[test]
fn what_was_appended_is_there_after_a_restart_and_leaves_with_its_receipt() {
    let (handset, store, mut outbox) = setting();
    let id = append(&handset, &mut outbox, declaration());
    drop(outbox);
    let mut outbox = handset.open(store.clone());
    assert_eq!(outbox.counts().unwrap().records, 1);
    assert_eq!(outbox.oldest_pending(), Some(handset.clock.now()));
    assert_eq!(
        // EXPOSE: the test's own words.
        outbox.waiting(10).unwrap().waiting[0].summary.what.expose(),
        "something said to Ada"
    );
    let mut server = Server::new(&handset);
    let sent = outbox.pending(Stream::Records, 1, 0).unwrap().remove(0);
    sync(&mut outbox, &mut server, Stream::Records).unwrap();
    let mut outbox = handset.open(store);
    assert_eq!(outbox.counts().unwrap().records, 0);
    let receipt = outbox.receipt(id).unwrap().unwrap();
    assert_eq!(
        (receipt.seq, receipt.kind, receipt.policy),
        (1, Kind::Declaration, 3)
    );
    assert_eq!(
        receipt.jws_sha256,
        candour_wire::Digest::of(sent.jws.as_bytes())
    );
    // EXPOSE: the test's own words.
    assert_eq!(receipt.summary.why.expose(), "declared by you");
    assert_eq!(outbox.last_checkpoint().unwrap(), Some(server.checkpoint()));
    assert_eq!(outbox.kind_of(id).unwrap(), Some(Kind::Declaration));
}

#[test]
fn a_draft_becomes_a_record_in_one_commit() {
    let (handset, store, mut outbox) = setting();
    let record = handset.record(declaration());
    outbox
        .draft_put(record.id, &Sensitive::new(b"{}".to_vec()))
        .unwrap();
    let also = [
        Also::DeleteDraft(record.id),
        Also::PutValue("seen", Sensitive::new(vec![1])),
    ];
    let before = store.commits();
    outbox.append(&record, &also).unwrap();
    assert_eq!(store.commits() - before, 1);
    assert_eq!(outbox.draft(record.id).unwrap(), None);
    assert_eq!(outbox.value("seen").unwrap(), Some(Sensitive::new(vec![1])));
    outbox.apply(&[Also::DeleteValue("seen")]).unwrap();
    assert_eq!(outbox.value("seen").unwrap(), None);
}

#[test]
fn drafts_are_replaced_listed_deleted_and_limited() {
    let mut handset = Handset::new();
    handset.limits = Limits {
        drafts: 2,
        draft_bytes: 8,
        ..Limits::default()
    };
    let mut outbox = handset.open(MemoryStore::new());
    let [first, second, third] = [(); 3].map(|()| RecordId::make(handset.clock.now()));
    let text = |text: &str| Sensitive::new(text.as_bytes().to_vec());
    outbox.draft_put(first, &text("one")).unwrap();
    outbox.draft_put(second, &text("two")).unwrap();
    outbox.draft_put(first, &text("uno")).unwrap();
    assert!(matches!(
        outbox.draft_put(third, &text("three")),
        Err(OutboxError::DraftLimit)
    ));
    assert!(matches!(
        outbox.draft_put(first, &text("much too long")),
        Err(OutboxError::DraftLimit)
    ));
    assert_eq!(outbox.draft(first).unwrap(), Some(text("uno")));
    outbox.draft_delete(first).unwrap();
    let drafts = outbox.drafts().unwrap();
    assert_eq!(
        drafts.iter().map(|draft| draft.id).collect::<Vec<_>>(),
        [second]
    );
    assert_eq!(drafts[0].content, Some(text("two")));
    assert_eq!(outbox.counts().unwrap().drafts, 1);
}

#[test]
fn drafts_together_take_no_more_room_than_the_outbox_may() {
    let (mut handset, store) = (Handset::new(), MemoryStore::new());
    handset.limits.bytes = 3_000;
    let mut outbox = handset.open(store);
    let ids = [(); 3].map(|()| RecordId::make(handset.clock.now()));
    let text = |length| Sensitive::new(vec![b'x'; length]);
    outbox.draft_put(ids[0], &text(1_000)).unwrap();
    outbox.draft_put(ids[1], &text(1_000)).unwrap();
    let refused = outbox.draft_put(ids[2], &text(1_000)).unwrap_err();
    assert_eq!(refused.code(), Code::OutboxFull);
    assert!(outbox.draft_put(ids[1], &text(2_500)).is_err());
    outbox.draft_put(ids[1], &text(900)).unwrap();
    assert_eq!(outbox.counts().unwrap().drafts, 2);
}

#[test]
fn nothing_is_stored_in_clear() {
    let (handset, store, mut outbox) = setting();
    append(&handset, &mut outbox, declaration());
    outbox
        .draft_put(
            RecordId::make(handset.clock.now()),
            &Sensitive::new(b"said to Ada".to_vec()),
        )
        .unwrap();
    outbox
        .value_put("holder", Sensitive::new(b"said to Ada".to_vec()))
        .unwrap();
    let id = outbox.waiting(1).unwrap().waiting[0].id;
    outbox
        .set_aside(Stream::Records, &[Refused::new(id, Code::RecordTooLarge)])
        .unwrap();
    append(&handset, &mut outbox, declaration());
    sync(&mut outbox, &mut Server::new(&handset), Stream::Records).unwrap();
    for table in Table::ALL {
        for (key, value) in store.scan(table, &[], None, 100).unwrap() {
            for bytes in [key, value] {
                assert!(!bytes.windows(3).any(|part| part == b"Ada"), "{table:?}");
            }
        }
    }
}

#[test]
fn a_full_outbox_refuses_and_changes_nothing() {
    let mut handset = Handset::new();
    handset.limits = Limits {
        records: 2,
        ..Limits::default()
    };
    let store = MemoryStore::new();
    let mut outbox = handset.open(store.clone());
    let first = append(&handset, &mut outbox, declaration());
    append(&handset, &mut outbox, inventory());
    let commits = store.commits();
    let error = outbox
        .append(&handset.record(declaration()), &[])
        .unwrap_err();
    assert_eq!(error.code(), Code::OutboxFull);
    // What is set aside counts: a server that refuses everything must not fill the phone.
    outbox
        .set_aside(
            Stream::Records,
            &[Refused::new(first, Code::RecordTooLarge)],
        )
        .unwrap();
    assert_eq!(
        outbox
            .append(&handset.record(declaration()), &[])
            .unwrap_err()
            .code(),
        Code::OutboxFull
    );
    assert_eq!(store.commits(), commits + 1);
    outbox.discard(first).unwrap();
    append(&handset, &mut outbox, declaration());

    handset.limits = Limits {
        bytes: 20_000,
        ..Limits::default()
    };
    let mut outbox = handset.open(MemoryStore::new());
    let appended = (0..100)
        .take_while(|_| outbox.append(&handset.record(declaration()), &[]).is_ok())
        .count();
    assert!((2..20).contains(&appended), "{appended}");
    assert!(outbox.counts().unwrap().bytes <= 20_000);
}

#[test]
fn a_declaration_is_refused_while_an_old_one_waits_and_posture_is_not() {
    let (handset, _, mut outbox) = setting();
    append(&handset, &mut outbox, declaration());
    handset
        .clock
        .advance(SignedDuration::from_hours(90 * 24 + 1));
    assert_eq!(
        outbox
            .append(&handset.record(declaration()), &[])
            .unwrap_err()
            .code(),
        Code::OutboxStale
    );
    append(&handset, &mut outbox, inventory());
    sync(&mut outbox, &mut Server::new(&handset), Stream::Records).unwrap();
    append(&handset, &mut outbox, declaration());
}

#[test]
fn a_heartbeat_behind_a_waiting_heartbeat_is_not_stored_but_the_rest_is_done() {
    let (handset, _, mut outbox) = setting();
    let first = append(&handset, &mut outbox, heartbeat());
    append(&handset, &mut outbox, status());
    let also = [Also::PutValue("seen", Sensitive::new(vec![2]))];
    assert_eq!(
        outbox.append(&handset.record(heartbeat()), &also).unwrap(),
        first
    );
    assert_eq!(outbox.value("seen").unwrap(), Some(Sensitive::new(vec![2])));
    assert_eq!(outbox.counts().unwrap().posture, 2);
    append(&handset, &mut outbox, inventory());
    assert_ne!(
        append(&handset, &mut outbox, heartbeat()),
        first,
        "a list came in between"
    );
}

#[test]
fn an_id_is_given_once_whatever_became_of_its_record() {
    let (handset, _, mut outbox) = setting();
    let (waits, aside, sent) = (
        handset.record(declaration()),
        handset.record(declaration()),
        handset.record(declaration()),
    );
    outbox.append(&sent, &[]).unwrap();
    sync(&mut outbox, &mut Server::new(&handset), Stream::Records).unwrap();
    outbox.append(&aside, &[]).unwrap();
    outbox
        .set_aside(
            Stream::Records,
            &[Refused::new(aside.id, Code::RecordTooLarge)],
        )
        .unwrap();
    outbox.append(&waits, &[]).unwrap();
    for record in [waits, aside, sent] {
        assert!(
            matches!(outbox.append(&record, &[]), Err(OutboxError::Duplicate(id)) if id == record.id)
        );
    }
}

#[test]
fn a_batch_is_bounded_in_records_and_bytes_but_never_empty() {
    let (handset, _, mut outbox) = setting();
    for _ in 0..5 {
        append(&handset, &mut outbox, declaration());
    }
    let all = outbox.pending(Stream::Records, 100, usize::MAX).unwrap();
    assert_chain(&all);
    assert_eq!(all.len(), 5);
    assert_eq!(
        outbox.pending(Stream::Records, 2, usize::MAX).unwrap(),
        all[..2]
    );
    assert_eq!(
        outbox
            .pending(Stream::Records, 100, all[0].jws.len() * 3 + 10)
            .unwrap(),
        all[..3]
    );
    assert_eq!(outbox.pending(Stream::Records, 100, 1).unwrap(), all[..1]);
    assert!(outbox.pending(Stream::Records, 0, 1).unwrap().is_empty());
    assert!(
        outbox
            .pending(Stream::Posture, 100, usize::MAX)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_refused_record_is_set_aside_and_the_rest_go_on_in_its_place() {
    let (handset, store, mut outbox) = setting();
    let ids: Vec<_> = (0..5)
        .map(|_| append(&handset, &mut outbox, declaration()))
        .collect();
    let mut server = Server::new(&handset);
    server.refuses.insert(ids[1]);
    let synced = sync(&mut outbox, &mut server, Stream::Records).unwrap();
    assert_eq!(
        synced.rechained, 0,
        "the server had not to be asked where it is"
    );
    assert_eq!(server.ids.len(), 4);
    let quarantined = outbox.quarantined().unwrap();
    assert_eq!(
        quarantined
            .iter()
            .map(|record| record.id)
            .collect::<Vec<_>>(),
        [ids[1]]
    );
    assert_eq!(quarantined[0].code, "app_not_in_catalogue");
    assert!(quarantined[0].can_requeue);
    // And again, from the end of the chain.
    server.refuses.clear();
    let mut outbox = handset.open(store);
    outbox.requeue(ids[1]).unwrap();
    assert_eq!(outbox.counts().unwrap().quarantined, 0);
    sync(&mut outbox, &mut server, Stream::Records).unwrap();
    assert_eq!(outbox.receipt(ids[1]).unwrap().unwrap().seq, 5);
    assert!(matches!(
        outbox.requeue(ids[1]),
        Err(OutboxError::Unknown(_))
    ));
}

#[test]
fn records_follow_the_head_that_the_server_names() {
    let (handset, _, mut outbox) = setting();
    let mut server = Server::new(&handset);
    append(&handset, &mut outbox, declaration());
    sync(&mut outbox, &mut server, Stream::Records).unwrap();
    let backup_has_never_heard_of_it = MemoryStore::new();
    let mut outbox = handset.open(backup_has_never_heard_of_it);
    let ids: Vec<_> = (0..4)
        .map(|_| append(&handset, &mut outbox, declaration()))
        .collect();
    let synced = sync(&mut outbox, &mut server, Stream::Records).unwrap();
    assert_eq!(synced.rechained, 1);
    let seqs: Vec<_> = ids
        .iter()
        .map(|id| outbox.receipt(*id).unwrap().unwrap().seq)
        .collect();
    assert_eq!(seqs, [2, 3, 4, 5]);
}

#[test]
fn a_store_that_fails_at_any_commit_leaves_all_or_nothing() {
    for fault in [Fault::Full, Fault::Lost, Fault::Unanswered] {
        for commit in 0.. {
            let (handset, store, mut outbox) = setting();
            let mut server = Server::new(&handset);
            store.fail_after(commit, fault);
            let record = handset.record(declaration());
            let outcome = outbox.append(&record, &[]).and_then(|_| {
                sync(&mut outbox, &mut server, Stream::Records)?;
                Ok(())
            });
            drop(outbox);
            store.reopen();
            let mut outbox = handset.open(store);
            if let Err(error) = &outcome {
                let code = match fault {
                    Fault::Full => Code::StoreFull,
                    Fault::Lost | Fault::Unanswered => Code::StoreFailed,
                };
                assert_eq!(error.code(), code, "{error}");
                if outbox.kind_of(record.id).unwrap().is_none() {
                    assert!(server.ids.is_empty(), "it was never handed out");
                    outbox.append(&record, &[]).unwrap();
                }
            }
            let synced = sync(&mut outbox, &mut server, Stream::Records).unwrap();
            assert!(synced.id_conflicts.is_empty());
            assert_eq!(outbox.receipt(record.id).unwrap().unwrap().seq, 1);
            assert_eq!(server.ids.len(), 1);
            if outcome.is_ok() {
                assert!(commit >= 3, "epoch, append and settling each commit");
                break;
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_every_act_and_the_same_outbox_goes_on() {
    let (handset, store, mut outbox) = setting();
    let kept = append(&handset, &mut outbox, declaration());
    let record = handset.record(declaration());
    store.fail_after(0, Fault::Full);
    assert!(matches!(
        outbox.append(&record, &[]),
        Err(OutboxError::Store(StoreError::Full))
    ));
    assert_eq!(outbox.kind_of(record.id).unwrap(), None);
    assert_eq!(outbox.counts().unwrap().records, 1);
    store.fail_after(0, Fault::Full);
    assert!(
        outbox
            .set_aside(Stream::Records, &[Refused::new(kept, Code::RecordTooLarge)])
            .is_err()
    );
    assert_eq!(outbox.counts().unwrap().quarantined, 0);
    store.fail_after(0, Fault::Full);
    assert!(sync(&mut outbox, &mut Server::new(&handset), Stream::Records).is_err());
    assert_eq!(outbox.counts().unwrap().records, 1);
    outbox.append(&record, &[]).unwrap();
    let batch = outbox.pending(Stream::Records, 10, usize::MAX).unwrap();
    assert_chain(&batch);
    assert_eq!(
        batch.iter().map(|pending| pending.id).collect::<Vec<_>>(),
        [kept, record.id]
    );
}

#[test]
fn without_a_key_it_opens_and_says_what_is_missing() {
    let mut handset = Handset::new();
    handset.keys = MemoryKeys::new().into();
    let mut outbox = handset.open(MemoryStore::new());
    assert_eq!(outbox.counts().unwrap(), Default::default());
    assert_eq!(
        outbox
            .append(&handset.record(declaration()), &[])
            .unwrap_err()
            .code(),
        Code::NotEnrolled
    );
    handset.keys.create().unwrap();
    append(&handset, &mut outbox, declaration());
}

#[test]
fn a_wipe_leaves_neither_rows_nor_keys_and_the_phone_can_start_anew() {
    let (handset, store, mut outbox) = setting();
    append(&handset, &mut outbox, declaration());
    outbox
        .draft_put(
            RecordId::make(handset.clock.now()),
            &Sensitive::new(vec![1]),
        )
        .unwrap();
    let backup = store.backup();
    outbox.wipe().unwrap();
    for table in Table::ALL {
        assert_eq!(store.usage(table).unwrap().rows, 0, "{table:?}");
    }
    assert_eq!(outbox.counts().unwrap(), Default::default());
    handset.keys.create().unwrap();
    append(&handset, &mut outbox, declaration());
    // A backup from before the wipe cannot be read by the new keys.
    let mut old = handset.open(backup);
    let queue = old.waiting(10).unwrap();
    assert_eq!((queue.waiting.len(), queue.damaged.len()), (0, 1));
    assert_eq!(old.drafts().unwrap()[0].content, None);
}
