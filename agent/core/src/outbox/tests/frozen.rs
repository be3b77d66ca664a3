//! Version 1 of what is in the rows and of their keys. Stores on phones are in this form: what
//! changes here needs a migration.

use candour_wire::RecordId;
use candour_wire::record::{Kind, Stream};
use jiff::Timestamp;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::outbox::format::{DeclaredRow, QuarantineRow, WaitingRow, from_bytes, to_bytes};
use crate::outbox::index::{WaitingKey, decode_id_key, quarantine_key, receipt_key, received_of};
use crate::outbox::{ChainState, StoredReceipt};

fn id() -> RecordId {
    "019aa000-0000-7000-8000-000000000001".parse().unwrap()
}

fn frozen<T: Serialize + DeserializeOwned>(json: &str) {
    let row: T = from_bytes(json.as_bytes()).expect(json);
    assert_eq!(String::from_utf8(to_bytes(&row).to_vec()).unwrap(), json);
}

#[test]
fn rows_read_and_write_as_they_did() {
    const DIGEST: &str = "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0";
    const SUMMARY: &str = r#"{"what":"3 messages","why":"declared by you"}"#;
    const CREATED: &str = "2026-11-22T10:00:00.123456789Z";
    frozen::<WaitingRow>(&format!(
        r#"{{"seq":2,"prev":"{DIGEST}","created":"{CREATED}","policy":3,"jws":"a.b.c","attachments":[{{"sha256":"{DIGEST}","size":9}}],"summary":{SUMMARY}}}"#
    ));
    let aside = |summary: &str, kept: &str| {
        format!(
            r#"{{"created":"{CREATED}","policy":3,"code":"newer_code","detail":null,"at":"{CREATED}","summary":{summary},"kept":{kept}}}"#
        )
    };
    frozen::<QuarantineRow>(&aside(SUMMARY, r#"{"jws":"a.b.c"}"#));
    frozen::<QuarantineRow>(&aside(
        "null",
        r#"{"damaged":{"key":"AQI=","value":"/w=="}}"#,
    ));
    frozen::<StoredReceipt>(&format!(
        r#"{{"id":"{}","kind":"declaration","seq":2,"created":"{CREATED}","policy":3,"jws_sha256":"{DIGEST}","size":700,"received":"{CREATED}","index":5,"salt":"AAAAAAAAAAAAAAAAAAAAAA","path":"","checkpoint":"note","summary":{SUMMARY}}}"#,
        id()
    ));
    frozen::<DeclaredRow>(&format!(
        r#"{{"at":"{CREATED}","amends":null,"origins":"AAECAw=="}}"#
    ));
    frozen::<DeclaredRow>(&format!(
        r#"{{"at":"{CREATED}","amends":"{}","origins":""}}"#,
        id()
    ));
    frozen::<ChainState>(&format!(
        r#"{{"acknowledged":{{"seq":2,"digest":"{DIGEST}"}},"anchored":true}}"#
    ));
}

#[test]
fn keys_have_the_bytes_that_they_had() {
    let created = Timestamp::from_millisecond(0x0102_0304_0506).unwrap();
    let key = WaitingKey {
        position: 258,
        kind: Kind::Declaration,
        created,
        id: id(),
    };
    let head = [2, 0, 0, 0, 0, 0, 0, 1, 2, 5, 0, 0, 1, 2, 3, 4, 5, 6];
    assert_eq!(key.encode(), [&head, id().as_bytes().as_slice()].concat());
    assert_eq!(
        quarantine_key(id(), Kind::Inventory),
        [id().as_bytes().as_slice(), &[1]].concat()
    );
    let receipt = receipt_key(id(), Kind::Withdrawal, created);
    assert_eq!(
        receipt,
        [id().as_bytes().as_slice(), &[7, 0, 0, 1, 2, 3, 4, 5, 6]].concat()
    );
    let (read, kind, rest) = decode_id_key(&receipt).unwrap();
    assert_eq!(
        (read, kind, received_of(rest)),
        (id(), Kind::Withdrawal, Some(created))
    );
}

#[test]
fn a_key_whose_kind_is_of_the_other_stream_is_no_key() {
    let key = WaitingKey {
        position: 1,
        kind: Kind::Status,
        created: Timestamp::UNIX_EPOCH,
        id: id(),
    };
    assert_eq!(key.stream(), Stream::Posture);
    let mut bytes = key.encode();
    assert_eq!(WaitingKey::decode(&bytes), Some(key));
    bytes[0] = 2;
    assert_eq!(WaitingKey::decode(&bytes), None);
}

proptest! {
    #[test]
    fn bytes_that_are_no_key_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Some(key) = WaitingKey::decode(&bytes) {
            prop_assert_eq!(key.encode(), bytes.clone());
        }
        if let Some((_, _, rest)) = decode_id_key(&bytes) {
            prop_assert!(received_of(rest).is_none() || rest.len() == 8);
        }
    }

    #[test]
    fn positions_sort_as_their_keys_do(one in any::<u64>(), other in any::<u64>(), kinds in any::<[bool; 2]>()) {
        let [one_key, other_key] = [(one, kinds[0]), (other, kinds[1])].map(|(position, first)| {
            let kind = if first { Kind::Declaration } else { Kind::Withdrawal };
            WaitingKey { position, kind, created: Timestamp::UNIX_EPOCH, id: id() }.encode()
        });
        if one != other {
            prop_assert_eq!(one.cmp(&other), one_key.cmp(&other_key));
        }
    }
}
