//! A handset with everything in memory, whose sync can be run again and again.

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use candour_wire::posture::Heartbeat;
use candour_wire::record::{AttachmentRef, Body, Declaration, Kind};
use candour_wire::seal::{RecordsPrivateKey, SealContext, Suite, seal};
use candour_wire::{Digest, HandsetId, RecordId};
use jiff::{SignedDuration, Timestamp};

use super::department::Department;
use crate::adapters::memory::{MemoryKeys, MemoryStore};
use crate::adapters::memory_home::MemoryHome;
use crate::config::Config;
use crate::identity::{Certificate, Identity};
use crate::outbox::{Limits, NewRecord, Outbox, Summary};
use crate::policy::SignedPolicy;
use crate::ports::{Clock, Event, EventSink, Home as _, KeyStore as _};
use crate::sync::backoff::Jitter;
use crate::sync::{PolicyOutcome, Session, SyncReport, SyncState, run};
use crate::testing::{self, TestKey};

pub(super) struct FixedClock(pub(super) Mutex<Timestamp>);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

#[derive(Default)]
pub(super) struct Heard(pub(super) Mutex<Vec<Event>>);

impl EventSink for Heard {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

pub(super) struct Phone {
    pub(super) store: MemoryStore,
    pub(super) home: MemoryHome,
    keys: Arc<MemoryKeys>,
    pub(super) clock: Arc<FixedClock>,
    pub(super) heard: Arc<Heard>,
    pub(super) outbox: Arc<Mutex<Outbox>>,
    pub(super) identity: Identity,
    pub(super) policy: Option<SignedPolicy>,
    pub(super) policy_key: TestKey,
    pub(super) config: Config,
    pub(super) department: Arc<Department>,
    pub(super) deadline: Option<Timestamp>,
}

impl Phone {
    pub(super) fn new() -> Self {
        let keys = Arc::new(MemoryKeys::new());
        let spki = keys.create().unwrap();
        let policy_key = TestKey::generate();
        let log = testing::log_signer();
        let log_key = log.verifier().clone();
        let department = Arc::new(Department::new(&spki, log));
        let config = Config {
            server_url: "https://gateway.example:8443".into(),
            enrol_url: "https://gateway.example:8444".into(),
            department: "hm-treasury".parse().unwrap(),
            ca_pins: vec![department.est.authority.pin()],
            policy_key: policy_key.verifying().clone(),
            log_key,
            proxy: None,
            holder_name: None,
            holder_role: None,
            time_zone: "Europe/London".into(),
            outbox: Limits::default(),
        };
        let identity = Identity {
            handset: HandsetId::derive(&spki),
            department: config.department.clone(),
            chain: vec![Certificate(Vec::new())],
            authorities: vec![Certificate(department.est.authority.der.clone())],
            not_before: "2026-11-20T10:00:00Z".parse().unwrap(),
            not_after: "2026-12-22T10:00:00Z".parse().unwrap(),
            obtained: "2026-11-22T10:00:00Z".parse().unwrap(),
        };
        let store = MemoryStore::new();
        let clock = Arc::new(FixedClock(Mutex::new(
            "2026-11-22T10:01:00Z".parse().unwrap(),
        )));
        let outbox = open(&store, &keys, &clock);
        let phone = Self {
            store,
            home: MemoryHome::new(),
            keys,
            clock,
            heard: Arc::default(),
            outbox,
            identity,
            policy: None,
            policy_key,
            config,
            department,
            deadline: None,
        };
        phone.issue_policy(1, |_| {});
        phone
    }

    /// The department issues a policy, with changes.
    pub(super) fn issue_policy(
        &self,
        version: u64,
        change: impl FnOnce(&mut candour_wire::policy::Policy),
    ) {
        let mut policy = testing::policy(version);
        change(&mut policy);
        self.department.state.lock().unwrap().policy = Some(self.policy_key.sign_policy(&policy));
    }

    /// The process dies; the store is what it was after the last commit.
    pub(super) fn crash(&mut self) {
        self.outbox = open(&self.store, &self.keys, &self.clock);
    }

    /// The phone is set back to a backup.
    pub(super) fn restore(&mut self, backup: MemoryStore) {
        self.store = backup;
        self.crash();
    }

    pub(super) fn advance(&self, by: SignedDuration) {
        *self.clock.0.lock().unwrap() += by;
    }

    pub(super) fn append(&self, record: &NewRecord) -> RecordId {
        self.outbox.lock().unwrap().append(record, &[]).unwrap()
    }

    fn record(&self, body: Body) -> NewRecord {
        let created = self.clock.now();
        NewRecord {
            id: RecordId::make(created),
            created,
            policy: 1,
            body,
            summary: Summary::new("a few words", "declared by you"),
            origins: Vec::new(),
        }
    }

    pub(super) fn new_heartbeat(&self) -> NewRecord {
        self.record(Body::Heartbeat(Heartbeat {
            inventory: Digest::of(b"list"),
        }))
    }

    pub(super) fn heartbeat(&self) -> RecordId {
        self.append(&self.new_heartbeat())
    }

    pub(super) fn declare(&self, files: &[AttachmentRef]) -> RecordId {
        let key = RecordsPrivateKey::generate().public_key(Suite::XWingAes256Gcm);
        let id = RecordId::make(self.clock.now());
        let context = SealContext {
            id,
            handset: &self.identity.handset,
            kind: Kind::Declaration,
        };
        let sealed = seal(&key, &context, b"content").unwrap();
        self.append(&self.record(Body::Declaration(Declaration {
            sealed,
            attachments: files.to_vec(),
        })))
    }

    /// Puts a file into the spool.
    pub(super) fn spool(&self, bytes: &[u8]) -> AttachmentRef {
        let sha256 = Digest::of(bytes);
        let mut file = self.home.spool().unwrap();
        file.write_all(bytes).unwrap();
        file.finish(&sha256).unwrap();
        AttachmentRef {
            sha256,
            size: bytes.len() as u64,
        }
    }

    pub(super) async fn sync(&mut self) -> SyncReport {
        let report = run(Session {
            config: self.config.clone(),
            home: Arc::new(self.home.clone()),
            keys: self.keys.clone(),
            clock: self.clock.clone(),
            events: self.heard.clone(),
            transport: self.department.clone(),
            outbox: Arc::clone(&self.outbox),
            identity: self.identity.clone(),
            policy: self.policy.clone(),
            jitter: Jitter::seeded(7),
            deadline: self.deadline,
        })
        .await
        .unwrap();
        if let PolicyOutcome::Updated(policy) = &report.policy {
            self.policy = Some((**policy).clone());
        }
        report
    }

    pub(super) fn state(&self) -> SyncState {
        SyncState::load(&mut self.outbox.lock().unwrap()).unwrap()
    }

    pub(super) fn waiting(&self) -> usize {
        let mut outbox = self.outbox.lock().unwrap();
        outbox.waiting(10_000).unwrap().waiting.len()
    }

    pub(super) fn has_receipt(&self, id: RecordId) -> bool {
        self.outbox.lock().unwrap().receipt(id).unwrap().is_some()
    }

    pub(super) fn quarantined(&self) -> Vec<(RecordId, String)> {
        let quarantined = self.outbox.lock().unwrap().quarantined().unwrap();
        quarantined
            .into_iter()
            .map(|record| (record.id, record.code))
            .collect()
    }

    /// How often the department holds a record.
    pub(super) fn held(&self, id: RecordId) -> u32 {
        self.department
            .state
            .lock()
            .unwrap()
            .ids
            .get(&id)
            .copied()
            .unwrap_or(0)
    }
}

fn open(
    store: &MemoryStore,
    keys: &Arc<MemoryKeys>,
    clock: &Arc<FixedClock>,
) -> Arc<Mutex<Outbox>> {
    let outbox = Outbox::open(
        Box::new(store.clone()),
        keys.clone(),
        clock.clone(),
        Limits::default(),
    );
    Arc::new(Mutex::new(outbox.unwrap()))
}
