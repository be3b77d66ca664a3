//! Which imported messages were declared.

use candour_wire::record::{Amendment, Body, Stream, Withdrawal};
use candour_wire::{Digest, RecordId};
use jiff::SignedDuration;

use super::damage::damage;
use super::world::{Handset, Server, declaration, sync};
use crate::adapters::memory::{Fault, MemoryStore};
use crate::declaration::{Origin, Origins};
use crate::outbox::{NewRecord, Outbox, Refused, row};
use crate::ports::{Store as _, Table};

fn origin(text: &str) -> Origin {
    Origins::default().next(Digest::of(text.as_bytes()))
}

fn declaring(handset: &Handset, body: Body, texts: &[&str]) -> NewRecord {
    handset.clock.advance(SignedDuration::from_secs(1));
    NewRecord {
        origins: texts.iter().map(|text| origin(text)).collect(),
        ..handset.record(body)
    }
}

fn amendment(amends: RecordId) -> Body {
    let Body::Declaration(body) = declaration() else {
        unreachable!("it is a declaration")
    };
    Body::Amendment(Amendment {
        amends,
        sealed: body.sealed,
        attachments: Vec::new(),
    })
}

fn withdrawal(withdraws: RecordId) -> Body {
    let Body::Declaration(body) = declaration() else {
        unreachable!("it is a declaration")
    };
    Body::Withdrawal(Withdrawal {
        withdraws,
        sealed: body.sealed,
    })
}

/// The records that declare these messages.
fn records(outbox: &mut Outbox, texts: &[&str]) -> Vec<Option<RecordId>> {
    let origins: Vec<Origin> = texts.iter().map(|text| origin(text)).collect();
    let found = outbox.declared(&origins).unwrap();
    found
        .into_iter()
        .map(|found| found.map(|declared| declared.record))
        .collect()
}

#[test]
fn declared_messages_are_known_after_the_receipt_a_restart_and_another_epoch() {
    let (handset, store) = (Handset::new(), MemoryStore::new());
    let mut outbox = handset.open(store.clone());
    let record = declaring(&handset, declaration(), &["a", "b"]);
    let id = outbox.append(&record, &[]).unwrap();
    let asked = ["b", "c", "a", "b"];
    let known = [Some(id), None, Some(id), Some(id)];
    assert_eq!(records(&mut outbox, &asked), known);
    let found = outbox.declared(&[origin("a")]).unwrap();
    assert_eq!(found[0].unwrap().at, record.created);

    sync(&mut outbox, &mut Server::new(&handset), Stream::Records).unwrap();
    assert_eq!(outbox.counts().unwrap().records, 0);
    let after_all = record.created + SignedDuration::from_hours(9_999);
    assert_eq!(outbox.prune_receipts(after_all).unwrap(), 1);
    handset.clock.advance(SignedDuration::from_hours(31 * 24));
    let other = declaring(&handset, declaration(), &["d"]);
    outbox.append(&other, &[]).unwrap();
    assert!(!outbox.maintain(usize::MAX).unwrap());
    for (_, value) in store.scan(Table::Declared, &[], None, 100).unwrap() {
        assert_eq!(row::epoch_of(&value), Some(2));
    }
    assert_eq!(records(&mut handset.open(store), &asked), known);
}

#[test]
fn what_is_declared_is_remembered_in_the_commit_that_queues_it() {
    for (fault, made) in [(Fault::Lost, false), (Fault::Unanswered, true)] {
        let (handset, store) = (Handset::new(), MemoryStore::new());
        let mut outbox = handset.open(store.clone());
        outbox
            .append(&declaring(&handset, declaration(), &["first"]), &[])
            .unwrap();
        store.fail_after(0, fault);
        let record = declaring(&handset, declaration(), &["a"]);
        outbox.append(&record, &[]).unwrap_err();
        store.reopen();
        let mut outbox = handset.open(store);
        assert_eq!(outbox.kind_of(record.id).unwrap().is_some(), made);
        let expected = made.then_some(record.id);
        assert_eq!(records(&mut outbox, &["a"]), [expected], "{fault:?}");
    }
}

#[test]
fn taking_a_declaration_back_forgets_it_and_what_corrected_it() {
    let (handset, store) = (Handset::new(), MemoryStore::new());
    let mut outbox = handset.open(store);
    let append = |outbox: &mut Outbox, body: Body, texts: &[&str]| {
        let record = declaring(&handset, body, texts);
        outbox.append(&record, &[]).unwrap()
    };
    let first = append(&mut outbox, declaration(), &["a"]);
    let other = append(&mut outbox, declaration(), &["b"]);
    let corrected = append(&mut outbox, amendment(first), &["a", "c"]);
    let again = append(&mut outbox, amendment(corrected), &["a", "c", "d"]);
    let asked = ["a", "b", "c", "d"];
    assert_eq!(
        records(&mut outbox, &asked),
        [Some(first), Some(other), Some(corrected), Some(again)],
        "the oldest record is named"
    );
    append(&mut outbox, withdrawal(again), &[]);
    assert_eq!(
        records(&mut outbox, &asked),
        [Some(first), Some(other), Some(corrected), None]
    );
    append(&mut outbox, withdrawal(first), &[]);
    assert_eq!(
        records(&mut outbox, &asked),
        [None, Some(other), None, None]
    );
}

#[test]
fn a_declaration_that_is_given_up_was_never_made() {
    let (handset, store) = (Handset::new(), MemoryStore::new());
    let mut outbox = handset.open(store);
    let record = declaring(&handset, declaration(), &["a"]);
    let id = outbox.append(&record, &[]).unwrap();
    let refused = Refused::new(id, candour_wire::Code::RecordTooLarge);
    outbox.set_aside(Stream::Records, &[refused]).unwrap();
    assert_eq!(
        records(&mut outbox, &["a"]),
        [Some(id)],
        "it may yet be sent"
    );
    outbox.discard(id).unwrap();
    assert_eq!(records(&mut outbox, &["a"]), [None]);
}

#[test]
fn beyond_the_limit_the_oldest_are_forgotten() {
    let (mut handset, store) = (Handset::new(), MemoryStore::new());
    let declare = |handset: &Handset, outbox: &mut Outbox, text: &str| {
        let record = declaring(handset, declaration(), &[text]);
        outbox.append(&record, &[]).unwrap()
    };
    let mut outbox = handset.open(store.clone());
    declare(&handset, &mut outbox, "a");
    let one = store.usage(Table::Declared).unwrap().bytes;
    handset.limits.declared_bytes = 2 * one;
    let mut outbox = handset.open(store.clone());
    let b = declare(&handset, &mut outbox, "b");
    assert!(records(&mut outbox, &["a"])[0].is_some());
    let c = declare(&handset, &mut outbox, "c");
    assert_eq!(
        records(&mut outbox, &["a", "b", "c"]),
        [None, Some(b), Some(c)]
    );
    assert_eq!(store.usage(Table::Declared).unwrap().rows, 2);
}

#[test]
fn a_row_that_does_not_open_counts_as_forgotten_and_hides_no_other() {
    let (handset, store) = (Handset::new(), MemoryStore::new());
    let mut outbox = handset.open(store.clone());
    let mut ids = Vec::new();
    for text in ["a", "b"] {
        let record = declaring(&handset, declaration(), &[text]);
        ids.push(outbox.append(&record, &[]).unwrap());
    }
    damage(&store, Table::Declared, 0);
    assert_eq!(records(&mut outbox, &["a", "b"]), [None, Some(ids[1])]);
}

#[test]
fn nothing_of_a_message_can_be_read_or_guessed_from_the_disk() {
    let (handset, store) = (Handset::new(), MemoryStore::new());
    let mut outbox = handset.open(store.clone());
    let record = declaring(&handset, declaration(), &["yes"]);
    outbox.append(&record, &[]).unwrap();
    let digest = Digest::of(b"yes");
    for table in Table::ALL {
        for (key, value) in store.scan(table, &[], None, 100).unwrap() {
            for bytes in [key, value] {
                let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
                assert!(!holds(&digest.0) && !holds(digest.to_string().as_bytes()));
            }
        }
    }
}
