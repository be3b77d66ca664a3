mod damage;
mod declared;
mod enrol;
mod files;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use candour_wire::content::{Direction, Message, Participant, Significance};
use candour_wire::log::LogSigner;
use candour_wire::policy::Catalogue;
use candour_wire::posture::{AppPresence, Evidence, HandsetFacts, Presence};
use candour_wire::record::{Kind, Record};
use candour_wire::time::MessageTime;
use candour_wire::{Code, HandsetId, jws, record};

use super::*;
use crate::adapters::memory::MemoryKeys;
use crate::adapters::memory_home::MemoryHome;
use crate::declaration::Draft;
use crate::identity::Certificate;
use crate::outbox::Limits;
use crate::ports::{Endpoint, Home as _, KeyStore as _, Table, Transport, TransportError};
use crate::testing::{self, TestKey};

struct FixedClock(Mutex<Timestamp>);

impl crate::ports::Clock for FixedClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Answers for each app of the catalogue: the first one is installed where the flag says so.
struct Probe(AtomicU8);

impl crate::ports::AppProbe for Probe {
    fn probe(&self, catalogue: &Catalogue) -> Vec<AppPresence> {
        let first = self.0.load(Ordering::Relaxed) == 1;
        let answer = |(index, app): (usize, &candour_wire::policy::CatalogueApp)| AppPresence {
            app: app.id.clone(),
            state: if index == 0 && first {
                Presence::Installed
            } else {
                Presence::Absent
            },
            evidence: vec![Evidence::PackageDatabase],
        };
        catalogue.apps.iter().enumerate().map(answer).collect()
    }

    fn handset_facts(&self) -> HandsetFacts {
        HandsetFacts {
            platform: "linux".into(),
            os_version: None,
            model: None,
            agent_version: "0.1.0".into(),
        }
    }
}

struct NoNetwork;

impl crate::ports::Connector for NoNetwork {
    fn connect(&self, _endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
        Err(TransportError::Unreachable(
            "this test has no network".into(),
        ))
    }
}

struct Silent;

impl crate::ports::EventSink for Silent {
    fn emit(&self, _event: Event) {}
}

/// A phone with everything in memory.
struct Phone {
    home: MemoryHome,
    keys: Arc<MemoryKeys>,
    clock: Arc<FixedClock>,
    probe: Arc<Probe>,
    config: Config,
    department: TestKey,
    log: LogSigner,
}

impl Phone {
    fn new() -> Self {
        let department = TestKey::generate();
        let log = testing::log_signer();
        let config = Config {
            server_url: "https://gateway.example:8443".into(),
            enrol_url: "https://gateway.example:8444".into(),
            department: "hm-treasury".parse().unwrap(),
            ca_pins: vec![candour_wire::Digest::of(b"ca")],
            policy_key: department.verifying().clone(),
            log_key: log.verifier().clone(),
            proxy: None,
            holder_name: Some("Sam Example".into()),
            holder_role: None,
            time_zone: "Europe/London".into(),
            outbox: Limits::default(),
        };
        Self {
            home: MemoryHome::new(),
            keys: Arc::new(MemoryKeys::new()),
            clock: Arc::new(FixedClock(Mutex::new(
                "2026-11-22T12:00:00Z".parse().unwrap(),
            ))),
            probe: Arc::new(Probe(AtomicU8::new(0))),
            config,
            department,
            log,
        }
    }

    fn enrolled() -> Self {
        let phone = Self::new();
        let spki = phone.keys.create().unwrap();
        let identity = Identity {
            handset: HandsetId::derive(&spki),
            department: phone.config.department.clone(),
            chain: vec![Certificate(vec![])],
            authorities: vec![],
            not_before: "2026-11-20T12:00:00Z".parse().unwrap(),
            not_after: "2026-12-20T12:00:00Z".parse().unwrap(),
            obtained: "2026-11-22T12:00:00Z".parse().unwrap(),
        };
        phone
            .home
            .write(Document::Identity, &identity.to_json())
            .unwrap();
        phone.issue_policy(1);
        phone
    }

    fn issue_policy(&self, version: u64) {
        let bundle = self.department.sign_policy(&testing::policy(version));
        self.home
            .write(Document::Policy, bundle.as_bytes())
            .unwrap();
    }

    fn agent(&self) -> Agent {
        self.agent_with(NoNetwork)
    }

    fn agent_with(&self, connector: impl crate::ports::Connector + 'static) -> Agent {
        let platform = Platform {
            home: Arc::new(self.home.clone()),
            clock: self.clock.clone(),
            keys: self.keys.clone(),
            probe: self.probe.clone(),
            connector: Arc::new(connector),
            events: Arc::new(Silent),
        };
        Agent::open(self.config.clone(), platform).unwrap()
    }

    fn pass_hours(&self, hours: i64) {
        let mut now = self.clock.0.lock().unwrap();
        *now += jiff::SignedDuration::from_hours(hours);
    }
}

fn draft() -> Draft {
    Draft {
        channel: Some("whatsapp".parse().unwrap()),
        direction: Some(Direction::Received),
        participants: vec![Participant {
            name: "Bob O'Neil".into(),
            role: None,
        }],
        significance: Some(Significance::Significant),
        reason: Some("The Minister was travelling".into()),
        messages: vec![Message {
            at: Some(
                MessageTime::at("2026-11-20T09:05:00".parse().unwrap(), "Europe/London").unwrap(),
            ),
            author: Some("Bob O'Neil".into()),
            text: "Agreed at £1.2m".into(),
            source_sha256: None,
            flags: vec![],
            redactions: Vec::new(),
        }],
        ..Draft::default()
    }
}

fn waiting_records(agent: &Agent) -> Vec<Record> {
    let mut state = lock(&agent.state);
    let key = jws::VerifyingKey::from_spki_der(&agent.platform.keys.public_key().unwrap().unwrap())
        .unwrap();
    let pending = state
        .outbox
        .pending(record::Stream::Records, 10, 1 << 20)
        .unwrap();
    let read = |jws: &String| {
        serde_json::from_slice(&jws::verify(record::TYP, jws, &key).unwrap()).unwrap()
    };
    pending.iter().map(|pending| read(&pending.jws)).collect()
}

#[test]
fn a_declaration_is_signed_and_stored_when_the_call_returns_and_its_draft_is_gone() {
    let phone = Phone::enrolled();
    let id = {
        let agent = phone.agent();
        let id = agent.save_draft(None, &draft()).unwrap();
        assert_eq!(agent.draft(id).unwrap(), draft());
        let preview = agent.preview(&agent.draft(id).unwrap()).unwrap();
        assert_eq!(agent.declare(preview.clone(), Some(id)).unwrap(), id);
        assert_eq!(
            agent.declare(preview, Some(id)).unwrap_err().code(),
            Code::IdConflict,
            "once is enough"
        );
        id
    };
    let reopened = phone.agent();
    assert_eq!(reopened.drafts().unwrap(), []);
    let sent = reopened.sent().unwrap();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].id, sent[0].kind, sent[0].state, sent[0].policy),
        (id, Kind::Declaration, RecordState::Queued, 1)
    );
    // EXPOSE: a test looks at what the holder sees.
    assert_eq!(
        sent[0].summary.as_ref().unwrap().what.expose(),
        "1 message, whatsapp, received"
    );
    let records = waiting_records(&reopened);
    assert_eq!(records.len(), 1);
    assert_eq!(
        (records[0].id, records[0].seq, records[0].policy),
        (id, 1, 1)
    );
    assert!(
        !serde_json::to_string(&records[0]).unwrap().contains("1.2m"),
        "the content is sealed"
    );
}

#[test]
fn nothing_is_written_of_material_above_official_sensitive() {
    let phone = Phone::enrolled();
    let agent = phone.agent();
    agent.save_draft(None, &draft()).unwrap();
    let before = phone.home.commits();
    let secret = Draft {
        marking: Some("UK SECRET".into()),
        ..draft()
    };
    assert_eq!(
        agent.save_draft(None, &secret).unwrap_err().code(),
        Code::MarkingTooHigh
    );
    assert_eq!(
        agent.preview(&secret).unwrap_err().code(),
        Code::MarkingTooHigh
    );
    assert_eq!(phone.home.commits(), before);
}

#[test]
fn before_enrolment_there_is_nothing_to_declare_by_and_the_status_says_so() {
    let phone = Phone::new();
    let agent = phone.agent();
    assert_eq!(
        agent.preview(&draft()).unwrap_err().code(),
        Code::PolicyMissing
    );
    assert_eq!(agent.scan().unwrap().queued, None);
    assert_eq!(agent.sent().unwrap(), []);
    let status = agent.status().unwrap();
    assert_eq!(status.handset, None);
    assert_eq!(status.problems[0].code, "not_enrolled");
}

#[test]
fn a_preview_of_an_older_policy_cannot_be_declared() {
    let phone = Phone::enrolled();
    let preview = phone.agent().preview(&draft()).unwrap();
    phone.issue_policy(2);
    let agent = phone.agent();
    assert_eq!(
        agent.declare(preview, None).unwrap_err().code(),
        Code::NotConfirmed
    );
    assert_eq!(agent.sent().unwrap(), []);
}

#[test]
fn a_scan_queues_the_list_then_only_what_changes_then_a_heartbeat() {
    let phone = Phone::enrolled();
    let queued = || phone.agent().scan().unwrap().queued;
    assert_eq!(queued(), Some(Kind::Inventory));
    assert_eq!(queued(), None);
    phone.probe.0.store(1, Ordering::Relaxed);
    assert_eq!(queued(), Some(Kind::InventoryChange));
    phone.pass_hours(25);
    assert_eq!(queued(), Some(Kind::Heartbeat));
}

#[test]
fn only_this_phones_declarations_can_be_corrected_or_withdrawn() {
    let phone = Phone::enrolled();
    let agent = phone.agent();
    let stranger = RecordId::make(agent.now());
    let preview = agent.preview(&draft()).unwrap();
    let first = agent.declare(preview.clone(), None).unwrap();
    let amendment = agent.amend(first, preview.clone(), None).unwrap();
    for not_a_declaration in [stranger, amendment] {
        let refused = agent.amend(not_a_declaration, preview.clone(), None);
        assert_eq!(refused.unwrap_err().code(), Code::RecordUnknown);
    }
    assert_eq!(
        agent.withdraw(first, "  ".into(), None).unwrap_err().code(),
        Code::FieldMissing
    );
    let withdrawal = agent
        .withdraw(first, "Declared twice".into(), None)
        .unwrap();
    assert_eq!(
        agent
            .withdraw(withdrawal, "Again".into(), None)
            .unwrap_err()
            .code(),
        Code::RecordUnknown
    );
    let kinds: Vec<Kind> = waiting_records(&agent)
        .iter()
        .map(|record| record.body.kind())
        .collect();
    assert_eq!(
        kinds,
        [Kind::Declaration, Kind::Amendment, Kind::Withdrawal]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_outbox_does_not_keep_the_sync_that_would_empty_it_from_happening() {
    let mut phone = Phone::enrolled();
    phone.config.outbox.records = 1;
    let agent = phone.agent();
    agent
        .declare(agent.preview(&draft()).unwrap(), None)
        .unwrap();
    assert_eq!(agent.scan().unwrap_err().code(), Code::OutboxFull);
    // The test has no network, which only a sync can find out.
    let report = agent.tick(None).await.unwrap().sync.unwrap();
    assert_eq!(report.failure.unwrap().code, Code::Unreachable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_cannot_be_prepared_is_a_failed_sync_that_is_shown_and_tried_later() {
    let phone = Phone::enrolled();
    let agent = phone.agent();
    let report = agent.sync().await.unwrap();
    assert_eq!(report.failure.unwrap().code, Code::Unreachable);
    let status = agent.status().unwrap();
    assert_eq!(status.last_failure.unwrap().code, "unreachable");
    assert!(status.next_sync.is_some_and(|next| next > agent.now()));
    assert!(status.problems.iter().any(|p| p.code == "unreachable"));
}

#[test]
fn a_clock_years_ahead_makes_no_declaration_late_and_no_certificate_expired() {
    let phone = Phone::enrolled();
    let known = crate::sync::SyncState {
        signed_time: Some(phone.agent().now()),
        clock_wrong: true,
        ..Default::default()
    };
    phone.pass_hours(3 * 365 * 24);
    let agent = phone.agent();
    let preview = agent.preview(&draft()).unwrap();
    assert!(preview.late_days().is_some(), "before it is known");
    known.save(&mut lock(&agent.state).outbox).unwrap();
    assert_eq!(agent.preview(&draft()).unwrap().late_days(), None);
    let problems = agent.status().unwrap().problems;
    let codes: Vec<&str> = problems.iter().map(|p| p.code.as_str()).collect();
    assert_eq!(codes, ["clock_wrong"]);
}

#[test]
fn a_clock_years_ahead_throws_no_receipt_away() {
    let received: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    let signed = |days: i64| crate::sync::SyncState {
        signed_time: Some(received + jiff::SignedDuration::from_hours(24 * days)),
        ..Default::default()
    };
    // Whatever the clock shows: it is not asked.
    assert!(super::network::receipts_kept_from(&signed(0), 365) < received);
    assert!(super::network::receipts_kept_from(&signed(364), 365) < received);
    assert!(super::network::receipts_kept_from(&signed(366), 365) > received);
}

#[test]
fn wiping_destroys_the_keys_and_leaves_nothing() {
    let phone = Phone::enrolled();
    let agent = phone.agent();
    agent.save_draft(None, &draft()).unwrap();
    agent.wipe().unwrap();
    assert!(phone.keys.public_key().unwrap().is_none());
    assert_eq!(phone.home.read(Document::Identity).unwrap(), None);
    let fresh = phone.agent();
    assert_eq!(fresh.status().unwrap().problems[0].code, "not_enrolled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_later_a_sync_lets_the_old_epochs_key_go_whatever_else_comes_of_it() {
    let phone = Phone::enrolled();
    let declare = || {
        let agent = phone.agent();
        agent
            .declare(agent.preview(&draft()).unwrap(), None)
            .unwrap();
        agent
    };
    drop(declare());
    phone.pass_hours(31 * 24);
    let agent = declare();
    let report = agent.sync().await.unwrap();
    assert_eq!(report.failure.unwrap().code, Code::Unreachable);
    assert_eq!(waiting_records(&agent).len(), 2);
    drop(agent);
    let (store, _) = phone.home.open_store(Timestamp::UNIX_EPOCH).unwrap();
    let epochs = store.scan(Table::Epoch, &[], None, 8).unwrap();
    assert_eq!(epochs.len(), 1);
    assert_eq!(epochs[0].0, 2_u32.to_be_bytes());
}
