//! The outbox under random acts: with a crash after any of them and after each of them, and with
//! each of its reads and writes failing in turn.
//!
//! The model knows what the caller was told. Whatever happens: a record that was acknowledged is
//! in one place of three (it waits, it is set aside, it has a receipt), a receipt is for bytes
//! that the server has, the server has each record once, its messages are known as declared, and
//! in the end everything arrives.

use std::collections::{BTreeMap, BTreeSet};

use candour_wire::record::{Kind, Stream};
use candour_wire::{Code, Digest, RecordId};
use jiff::SignedDuration;
use proptest::prelude::*;

use super::damage::damage;
use super::disks::{Forgetful, Nth};
use super::world::{Handset, Server, Synced, assert_chain, declaration, inventory, sync};
use crate::adapters::memory::{Fault, MemoryStore};
use crate::adapters::sqlite::SqliteStore;
use crate::declaration::{Origin, Origins};
use crate::outbox::{Outbox, OutboxError};
use crate::ports::{Store, Table};

#[derive(Debug, Clone)]
enum Act {
    Declare,
    Scan,
    /// The server takes a batch and the reply is lost.
    SendUnanswered(Stream),
    Sync(Stream),
    /// The server will not take the n-th waiting record.
    Refuse(usize),
    Requeue,
    Month,
    Crash,
    /// The n-th commit from now fails.
    Fail(u64, Fault),
    /// A bit flips in the n-th waiting row.
    Damage(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let stream = prop_oneof![Just(Stream::Posture), Just(Stream::Records)];
    let fault = prop_oneof![
        Just(Fault::Full),
        Just(Fault::Lost),
        Just(Fault::Unanswered)
    ];
    prop_oneof![
        6 => Just(Act::Declare),
        2 => Just(Act::Scan),
        2 => stream.clone().prop_map(Act::SendUnanswered),
        3 => stream.prop_map(Act::Sync),
        1 => (0..8_usize).prop_map(Act::Refuse),
        1 => Just(Act::Requeue),
        1 => Just(Act::Month),
        2 => Just(Act::Crash),
        3 => (0..4_u64, fault).prop_map(|(after, fault)| Act::Fail(after, fault)),
        1 => (0..8_usize).prop_map(Act::Damage),
    ]
}

/// Where the rows are, between crashes.
pub(super) trait Disk {
    fn open(&self) -> Box<dyn Store>;
    /// The disk itself, where it can be made to fail.
    fn memory(&self) -> Option<&MemoryStore>;
    /// What is read and written from now on counts, or not.
    fn count(&self, _counts: bool) {}
    /// Whether it has to be opened again.
    fn has_failed(&self) -> bool {
        self.memory()
            .is_some_and(|memory| memory.usage(Table::Meta).is_err())
    }
}

impl Disk for MemoryStore {
    fn open(&self) -> Box<dyn Store> {
        self.reopen();
        Box::new(self.clone())
    }

    fn memory(&self) -> Option<&MemoryStore> {
        Some(self)
    }
}

impl Disk for tempfile::TempDir {
    fn open(&self) -> Box<dyn Store> {
        Box::new(SqliteStore::open(&self.path().join("agent.db")).unwrap())
    }

    fn memory(&self) -> Option<&MemoryStore> {
        None
    }
}

struct Model<'a> {
    handset: Handset,
    server: Server,
    disk: &'a dyn Disk,
    outbox: Option<Outbox>,
    /// What the caller was told is safe.
    acknowledged: BTreeMap<RecordId, Kind>,
    /// The message of each declaration that was tried.
    messages: BTreeMap<RecordId, Origin>,
    damaged: BTreeSet<RecordId>,
    conflicts: BTreeSet<RecordId>,
}

impl<'a> Model<'a> {
    fn new(disk: &'a dyn Disk) -> Self {
        let handset = Handset::new();
        let server = Server::new(&handset);
        let (acknowledged, messages, damaged, conflicts) = Default::default();
        let mut model = Self {
            handset,
            server,
            disk,
            outbox: None,
            acknowledged,
            messages,
            damaged,
            conflicts,
        };
        model.crash();
        model
    }

    fn outbox(&mut self) -> &mut Outbox {
        self.outbox.as_mut().expect("it is open between acts")
    }

    fn crash(&mut self) {
        // Closed first: a file is opened by one at a time.
        self.outbox = None;
        let Handset {
            keys,
            clock,
            limits,
        } = &self.handset;
        // It may be opening that fails; then it is tried again.
        self.outbox = (0..2).find_map(|_| {
            let (store, keys, clock) = (self.disk.open(), keys.clone(), clock.clone());
            Outbox::open(store, keys, clock, limits.clone()).ok()
        });
        assert!(self.outbox.is_some(), "it opens again");
    }

    fn act(&mut self, act: &Act) {
        self.disk.count(true);
        let result = match act {
            Act::Declare => self.append(declaration()),
            Act::Scan => self.append(inventory()),
            Act::SendUnanswered(stream) => {
                self.outbox().pending(*stream, 3, usize::MAX).map(|batch| {
                    assert_chain(&batch);
                    self.server.submit(*stream, &batch);
                })
            }
            Act::Sync(stream) => self.sync(*stream),
            Act::Refuse(n) => self.outbox().waiting(100).map(|queue| {
                let chosen = queue.waiting.get(*n).map(|waiting| waiting.id);
                // What it has taken it does not refuse afterwards.
                self.server
                    .refuses
                    .extend(chosen.filter(|id| !self.server.ids.contains_key(id)));
            }),
            Act::Requeue => self.requeue(),
            Act::Month => {
                self.handset
                    .clock
                    .advance(SignedDuration::from_hours(30 * 24));
                Ok(())
            }
            Act::Crash => {
                self.crash();
                Ok(())
            }
            Act::Fail(after, fault) => {
                if let Some(memory) = self.disk.memory() {
                    memory.fail_after(*after, *fault);
                }
                Ok(())
            }
            Act::Damage(n) => {
                self.damage(*n);
                Ok(())
            }
        };
        self.disk.count(false);
        if let Err(error) = result {
            let allowed = [Code::StoreFull, Code::StoreFailed, Code::OutboxStale];
            assert!(allowed.contains(&error.code()), "{act:?}: {error:?}");
            self.crash();
        }
        if self.disk.has_failed() {
            self.crash();
        }
        self.check();
    }

    fn append(&mut self, body: candour_wire::record::Body) -> Result<(), OutboxError> {
        let mut record = self.handset.record(body);
        if record.body.kind() == Kind::Declaration {
            let message = Origins::default().next(Digest::of(record.id.as_bytes()));
            record.origins.push(message);
            self.messages.insert(record.id, message);
        }
        let id = self.outbox().append(&record, &[])?;
        assert_eq!(id, record.id);
        assert_eq!(self.acknowledged.insert(id, record.body.kind()), None);
        Ok(())
    }

    fn sync(&mut self, stream: Stream) -> Result<(), OutboxError> {
        let outbox = self.outbox.as_mut().expect("it is open between acts");
        let Synced { id_conflicts, .. } = sync(outbox, &mut self.server, stream)?;
        self.conflicts.extend(id_conflicts);
        outbox.maintain(1).map(drop)
    }

    fn requeue(&mut self) -> Result<(), OutboxError> {
        let listed = self.outbox().quarantined()?;
        let Some(chosen) = listed.iter().find(|record| record.can_requeue) else {
            return Ok(());
        };
        self.server.refuses.remove(&chosen.id);
        self.outbox().requeue(chosen.id)
    }

    fn damage(&mut self, n: usize) {
        let Some(memory) = self.disk.memory().cloned() else {
            return;
        };
        let Ok(rows) = memory.usage(Table::Outbox) else {
            return;
        };
        // It is not the damage that shall fail.
        memory.reopen();
        if let Some(row) = n.checked_rem(usize::try_from(rows.rows).unwrap()) {
            let (key, _) = memory
                .scan(Table::Outbox, &[], None, row + 1)
                .unwrap()
                .pop()
                .unwrap();
            self.damaged
                .insert(RecordId::from_slice(&key[key.len() - 16..]).unwrap());
            damage(&memory, Table::Outbox, row);
        }
    }

    /// What is always true.
    fn check(&mut self) {
        assert!(
            self.conflicts.is_empty(),
            "a record was sent as another one"
        );
        let outbox = self.outbox.as_mut().expect("it is open between acts");
        for (id, kind) in &self.acknowledged {
            assert_eq!(
                outbox.kind_of(*id).unwrap(),
                Some(*kind),
                "an acknowledged record is lost"
            );
        }
        let tried: Vec<Origin> = self.messages.values().copied().collect();
        let declared = outbox.declared(&tried).unwrap();
        for (id, declared) in self.messages.keys().zip(declared) {
            assert_eq!(
                declared.map(|declared| declared.record),
                outbox.kind_of(*id).unwrap().map(|_| *id),
                "a message counts as declared if and only if its record is here"
            );
        }
        let stored = [Table::Outbox, Table::Quarantine].map(|at| outbox.store.usage(at).unwrap());
        let stored = stored.iter().fold((0, 0), |(rows, bytes), usage| {
            (rows + usage.rows, bytes + usage.bytes)
        });
        assert_eq!(outbox.index.usage(), stored, "what is counted is there");
        let counts = outbox.counts().unwrap();
        let found = outbox.receipts(None, None, usize::MAX).unwrap();
        assert!(found.damaged.is_empty());
        for receipt in &found.receipts {
            assert_eq!(
                self.server.ids.get(&receipt.id),
                Some(&receipt.jws_sha256),
                "it was settled unproved"
            );
        }
        let stored =
            counts.posture + counts.records + counts.quarantined + found.receipts.len() as u64;
        assert!(stored >= self.acknowledged.len() as u64);
    }

    /// The faults end, and everything arrives.
    fn finish(mut self) {
        self.crash();
        self.server.refuses.clear();
        for stream in Stream::ALL {
            self.sync(stream).unwrap();
        }
        let listed = self.outbox().quarantined().unwrap();
        for record in listed.iter().filter(|record| record.can_requeue) {
            self.outbox().requeue(record.id).unwrap();
        }
        for stream in Stream::ALL {
            self.sync(stream).unwrap();
        }
        self.check();
        let outbox = self.outbox.as_mut().expect("it is open between acts");
        let counts = outbox.counts().unwrap();
        assert_eq!((counts.posture, counts.records), (0, 0));
        for id in self.acknowledged.keys() {
            let arrived = outbox.receipt(*id).unwrap().is_some();
            assert!(arrived || self.damaged.contains(id), "{id} did not arrive");
        }
        assert!(!outbox.maintain(usize::MAX).unwrap());
        self.crash();
        self.check();
    }
}

fn run(disk: &dyn Disk, acts: &[Act]) {
    let mut model = Model::new(disk);
    for act in acts {
        model.act(act);
    }
    model.finish();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_acknowledged_is_lost_and_nothing_is_sent_twice(acts in proptest::collection::vec(act(), 1..40)) {
        run(&MemoryStore::new(), &acts);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nor_is_it_on_a_real_disk(acts in proptest::collection::vec(act(), 1..20)) {
        run(&tempfile::tempdir().unwrap(), &acts);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_after_each_step_loses_nothing(acts in proptest::collection::vec(act(), 1..20)) {
        let disk = MemoryStore::new();
        let mut model = Model::new(&disk);
        for act in &acts {
            model.act(act);
            model.crash();
            model.check();
        }
        model.finish();
    }
}

/// Acts that are long enough to meet every path, and short enough to be repeated for every n.
fn few_acts() -> impl Strategy<Value = Vec<Act>> {
    let acts = proptest::collection::vec(act(), 4..9);
    acts.prop_map(|mut acts| {
        acts.insert(0, Act::Declare);
        acts
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whichever_read_or_write_fails_nothing_is_lost(acts in few_acts()) {
        let mut n = 0;
        loop {
            let disk = Nth::new(n);
            run(&disk, &acts);
            if !disk.has_come() {
                break;
            }
            n += 1;
        }
        prop_assert!(n > 1, "{n} reads and writes");
    }

    #[test]
    fn whichever_commit_fails_and_however_nothing_is_lost(acts in few_acts()) {
        // These would end the fault that is asked for.
        let ends = |act: &Act| matches!(act, Act::Fail(..) | Act::Crash | Act::Damage(_));
        let acts: Vec<Act> = acts.into_iter().filter(|act| !ends(act)).collect();
        for fault in [Fault::Full, Fault::Lost, Fault::Unanswered] {
            let mut n = 0;
            loop {
                let disk = MemoryStore::new();
                let mut model = Model::new(&disk);
                disk.fail_after(n, fault);
                for act in &acts {
                    model.act(act);
                }
                let all = disk.commits();
                model.finish();
                if n > all {
                    break;
                }
                n += 1;
            }
        }
    }
}

#[test]
#[should_panic(expected = "an acknowledged record is lost")]
fn a_disk_that_acknowledges_before_it_has_written_is_found() {
    run(
        &Forgetful::default(),
        &[Act::Declare, Act::Declare, Act::Crash],
    );
}
