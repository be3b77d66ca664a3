//! What is damaged, lost or locked.

use candour_wire::api::Receipt;
use candour_wire::log::merkle::{self, HashPath};
use candour_wire::log::{self, Checkpoint, LeafSalt};

use super::*;
use crate::outbox::{VerifiedCheckpoint, VerifiedReceipt};
use crate::ports::{Change, Table};

impl Phone {
    /// The department takes the one declaration that waits, as the first record of its log.
    fn receive(&self, agent: &Agent) {
        let mut state = lock(&agent.state);
        let pending = state
            .outbox
            .pending(record::Stream::Records, 1, 1 << 20)
            .unwrap()
            .remove(0);
        let salt = LeafSalt::make();
        let entry = log::entry(&salt, &candour_wire::Digest::of(pending.jws.as_bytes()));
        let note = Checkpoint {
            origin: "candour.example/log".into(),
            size: 1,
            root: merkle::leaf_hash(&entry),
            time: agent.now(),
        }
        .sign(&self.log)
        .unwrap();
        let checkpoint = VerifiedCheckpoint::open(&note, &self.config.log_key).unwrap();
        let receipt = Receipt {
            id: pending.id,
            received: agent.now(),
            index: 0,
            salt,
            path: HashPath::default(),
            duplicate: false,
        };
        let receipt = VerifiedReceipt::verify(&pending.jws, receipt, &checkpoint).unwrap();
        state.outbox.settle(&[receipt], &checkpoint).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_whose_enrolment_cannot_be_read_enrols_again_and_keeps_what_waits() {
    let phone = Phone::enrolled();
    let sound = phone.home.read(Document::Identity).unwrap().unwrap();
    let id = {
        let agent = phone.agent();
        agent
            .declare(agent.preview(&draft()).unwrap(), None)
            .unwrap()
    };
    phone
        .home
        .write(Document::Identity, b"{\"handset\":")
        .unwrap();
    let agent = phone.agent();
    let status = agent.status().unwrap();
    assert_eq!(
        (status.problems[0].code.as_str(), status.pending_records),
        ("not_enrolled", 1)
    );
    assert_eq!(agent.sent().unwrap()[0].id, id, "what waits can be seen");
    // The test has no network, so this is as far as it gets.
    let refused = agent.enrol(Sensitive::from("token")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unreachable);
    phone.home.write(Document::Identity, &sound).unwrap();
    assert_eq!(phone.agent().sent().unwrap()[0].id, id);
}

#[test]
fn a_store_that_was_set_aside_is_named_until_the_holder_has_dealt_with_it() {
    let phone = Phone::new();
    let told = || phone.agent().status().unwrap().set_aside_stores;
    // As after a crash: the process that set it aside never got to say so, nor was it enrolled.
    phone.home.set_store_aside("agent.db.damaged-1");
    assert_eq!(told(), ["agent.db.damaged-1"]);
    assert_eq!(
        phone.agent().acknowledge_set_aside().unwrap_err().code(),
        Code::NotEnrolled,
        "there is no key yet to remember it by"
    );
    phone.keys.create().unwrap();
    assert_eq!(told(), ["agent.db.damaged-1"]);
    phone.agent().acknowledge_set_aside().unwrap();
    assert_eq!(told(), [""; 0]);
    phone.home.set_store_aside("agent.db.damaged-0");
    let status = phone.agent().status().unwrap();
    assert_eq!(status.set_aside_stores, ["agent.db.damaged-0"]);
    assert!(status.problems.iter().any(|p| p.code == "store_damaged"));
}

#[test]
fn sealed_files_stay_until_the_holder_has_dealt_with_a_store_that_was_set_aside() {
    let phone = Phone::enrolled();
    let attached = phone.agent().attach("a.txt", &mut b"kept".as_slice());
    let file = attached.unwrap().sealed_sha256;
    phone.home.set_store_aside("agent.db.damaged-1");
    let agent = phone.agent();
    assert_eq!(phone.home.spooled().unwrap(), [file], "nobody knows whose");
    agent.acknowledge_set_aside().unwrap();
    drop(agent);
    drop(phone.agent());
    assert_eq!(phone.home.spooled().unwrap(), [], "no draft has it");
}

#[test]
fn what_left_the_phone_can_be_seen_and_checked_while_its_enrolment_cannot_be_read() {
    let phone = Phone::enrolled();
    let agent = phone.agent();
    let id = agent
        .declare(agent.preview(&draft()).unwrap(), None)
        .unwrap();
    phone.receive(&agent);
    assert_eq!(agent.verify(None).unwrap()[0].finding, Finding::Verified);
    drop(agent);
    phone.home.write(Document::Identity, b"{").unwrap();
    let agent = phone.agent();
    let sent = agent.sent().unwrap();
    assert_eq!((sent[0].id, sent[0].state), (id, RecordState::Received));
    let checked = agent.verify(None).unwrap();
    assert_eq!((checked[0].id, checked[0].finding), (id, Finding::Verified));
}

#[test]
fn a_policy_that_is_lost_or_set_back_on_disk_does_not_let_an_older_one_in() {
    let phone = Phone::enrolled();
    let in_force = || phone.agent().policy().map(|policy| policy.version);
    phone.issue_policy(3);
    assert_eq!(in_force(), Some(3));
    phone.home.write(Document::Policy, b"lost").unwrap();
    assert_eq!(in_force(), Some(3));
    phone.issue_policy(2);
    assert_eq!(in_force(), Some(3));
    let document = phone.home.read(Document::Policy).unwrap().unwrap();
    let restored = SignedPolicy::restore(
        String::from_utf8(document).unwrap(),
        &phone.config.policy_key,
        &phone.config.department,
    );
    assert_eq!(restored.unwrap().policy().version, 3, "mended on disk too");
    phone.keys.set_locked(true);
    assert_eq!(in_force(), Some(3), "a locked phone goes by the document");
    phone.keys.set_locked(false);
    phone.issue_policy(4);
    assert_eq!(in_force(), Some(4));
}

#[test]
fn a_locked_phone_opens_counts_and_says_so_and_can_be_wiped() {
    let phone = Phone::enrolled();
    {
        let agent = phone.agent();
        let file = agent.attach("a.txt", &mut b"kept".as_slice()).unwrap();
        let with_file = Draft {
            attachments: vec![file],
            ..draft()
        };
        agent.save_draft(None, &with_file).unwrap();
        agent
            .declare(agent.preview(&draft()).unwrap(), None)
            .unwrap();
        let mut state = lock(&agent.state);
        let sync = crate::sync::SyncState::default();
        sync.save(&mut state.outbox).unwrap();
    }
    phone.keys.set_locked(true);
    let agent = phone.agent();
    assert_eq!(phone.home.spooled().unwrap().len(), 1, "its draft has it");
    let status = agent.status().unwrap();
    assert_eq!((status.pending_records, status.drafts), (1, 1));
    assert_eq!(status.problems[0].code, "key_unavailable");
    agent.wipe().unwrap();
    assert_eq!(phone.home.read(Document::Identity).unwrap(), None);
}

#[test]
fn a_phone_whose_keys_are_gone_opens_and_can_be_wiped() {
    let phone = Phone::enrolled();
    let agent = phone.agent();
    agent.save_draft(None, &draft()).unwrap();
    let sync = crate::sync::SyncState::default();
    sync.save(&mut lock(&agent.state).outbox).unwrap();
    drop(agent);
    phone.keys.destroy().unwrap();
    let agent = phone.agent();
    let status = agent.status().unwrap();
    assert_eq!(status.problems[0].code, "key_unavailable");
    agent.wipe().unwrap();
    assert_eq!(phone.agent().status().unwrap().drafts, 0);
}

#[test]
fn a_row_that_nobody_can_name_any_more_is_in_the_status() {
    let phone = Phone::enrolled();
    assert_eq!(phone.agent().status().unwrap().problems, []);
    let (mut store, _) = phone.home.open_store(phone.agent().now()).unwrap();
    let put = Change::Put(Table::Outbox, b"damaged".to_vec(), b"row".to_vec());
    store.apply(&[put]).unwrap();
    let status = phone.agent().status().unwrap();
    assert_eq!(status.problems[0].code, "store_damaged");
}

#[test]
fn a_record_that_does_not_open_is_listed_and_its_file_stays() {
    let phone = Phone::enrolled();
    let (id, file) = {
        let agent = phone.agent();
        let file = agent.attach("a.txt", &mut b"kept".as_slice()).unwrap();
        let with_file = Draft {
            attachments: vec![file.clone()],
            ..draft()
        };
        let preview = agent.preview(&with_file).unwrap();
        (agent.declare(preview, None).unwrap(), file)
    };
    let (mut store, _) = phone.home.open_store(phone.agent().now()).unwrap();
    let (key, mut value) = store.scan(Table::Outbox, &[], None, 1).unwrap().remove(0);
    let middle = value.len() / 2;
    value[middle] ^= 1;
    store
        .apply(&[Change::Put(Table::Outbox, key, value)])
        .unwrap();

    let agent = phone.agent();
    let sent = agent.sent().unwrap();
    assert_eq!((sent.len(), sent[0].id), (1, id));
    assert_eq!(sent[0].state, RecordState::Quarantined);
    assert_eq!(sent[0].refused.as_ref().unwrap().code, "store_damaged");
    assert_eq!(phone.home.spooled().unwrap(), [file.sealed_sha256]);
}
