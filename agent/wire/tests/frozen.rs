//! What version 1 says on the wire is frozen: each fixture is read into today's types and written
//! again without a difference, and a reader ignores what it does not know.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use candour_wire::Problem;
use candour_wire::api::{BatchReply, BatchRequest, UploadStatus};
use candour_wire::content::{DeclarationContent, REDACTED, WithdrawalContent};
use candour_wire::policy::Policy;
use candour_wire::record::{Kind, Record};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn fixture(name: &str) -> Value {
    let path = format!(
        "{}/tests/fixtures/v1/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn assert_frozen<T: DeserializeOwned + Serialize>(name: &str) -> T {
    let frozen = fixture(name);
    let read: T = serde_json::from_value(frozen.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), frozen, "{name}");
    // What is sent is what is written again: readers may compare instead of looking.
    let sent = serde_json::to_vec(&read).unwrap();
    let again: T = serde_json::from_slice(&sent).unwrap();
    assert_eq!(serde_json::to_vec(&again).unwrap(), sent, "{name}");
    let mut grown = frozen;
    grown["a_field_of_a_later_version"] = json!({ "x": 1 });
    let read_grown: T = serde_json::from_value(grown).unwrap();
    assert_eq!(
        serde_json::to_value(&read_grown).unwrap(),
        serde_json::to_value(&read).unwrap(),
        "{name} with an unknown field"
    );
    read
}

#[test]
fn every_kind_of_record_is_frozen() {
    for kind in Kind::ALL {
        let record: Record = assert_frozen(kind.as_str());
        assert_eq!(record.body.kind(), kind);
        assert_eq!(Kind::parse(kind.as_str()), Some(kind));
    }
}

/// Everybody and everything in these is invented, and the key that stands with the file is 32 zero
/// bytes: it opens nothing.
#[test]
fn what_is_inside_the_seal_is_frozen() {
    let content: DeclarationContent = assert_frozen("declaration_content");
    assert_frozen::<WithdrawalContent>("withdrawal_content");

    let redacted: DeclarationContent = assert_frozen("redacted_content");
    for message in &redacted.messages {
        for redaction in &message.redactions {
            // EXPOSE: the fixture's own words.
            let mut rest = message.text.expose().chars().skip(redaction.at as usize);
            assert!(REDACTED.chars().all(|mark| rest.next() == Some(mark)));
        }
    }

    // What version 1 leaves out where it is empty, a reader does without.
    let mut least = fixture("declaration_content");
    let members = least.as_object_mut().unwrap();
    for optional in [
        "participants",
        "handling",
        "reason",
        "exceptional_circumstances",
        "on_behalf_of",
        "messages",
        "substance",
        "attachments",
        "source",
        "late_days",
    ] {
        assert!(members.remove(optional).is_some(), "{optional}");
    }
    let read: DeclarationContent = serde_json::from_value(least.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), least);
    assert_eq!(read.occurred, content.occurred);
}

#[test]
fn policies_batches_and_problems_are_frozen() {
    assert_frozen::<Policy>("policy").check().unwrap();
    assert_frozen::<BatchRequest>("batch_request");
    assert_frozen::<BatchReply>("batch_reply");
    assert_frozen::<UploadStatus>("upload_status");
    assert_frozen::<Problem>("problem");
}

#[test]
fn an_inventorys_hash_is_frozen() {
    let record: Record = serde_json::from_value(fixture("heartbeat")).unwrap();
    let whole: Record = serde_json::from_value(fixture("inventory")).unwrap();
    let (
        candour_wire::record::Body::Heartbeat(heartbeat),
        candour_wire::record::Body::Inventory(list),
    ) = (record.body, whole.body)
    else {
        panic!("the fixtures are of other kinds");
    };
    assert_eq!(list.hash(), heartbeat.inventory);
}
