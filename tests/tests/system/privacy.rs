//! What is readable where (invariants I5 and I8).

use std::fs;
use std::path::Path;

use candour_tests::handset::{declare, draft};
use candour_tests::{Handset, RawHandset, wait};
use candour_wire::record::Stream;

use crate::breach::memory;
use crate::department;

const SECRET_WORDS: &str = "the marmalade budget is agreed at 1.2m";

/// Whether any file below `dir`, or any file's name, has these bytes.
pub(crate) fn contains(dir: &Path, text: &str) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().contains(text) {
            return true;
        }
        if entry.file_type().unwrap().is_dir() {
            return contains(&entry.path(), text);
        }
        // A database may drop its journal between listing and reading.
        has(&fs::read(entry.path()).unwrap_or_default(), text)
    })
}

fn has(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_text_is_readable_on_the_phone_at_the_gateway_or_in_its_memory() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    let agent = handset.open(department.config());
    agent.save_draft(None, &draft(SECRET_WORDS)).unwrap();
    let id = declare(&agent, SECRET_WORDS);
    assert!(
        !contains(handset.home(), SECRET_WORDS),
        "on the phone, while it waits"
    );
    let report = agent.sync().await.unwrap();
    assert!(report.failure.is_none(), "{:?}", report.failure);
    assert_eq!(report.received, 1);
    assert!(
        !contains(handset.home(), SECRET_WORDS),
        "on the phone, after it was sent"
    );

    assert!(
        !contains(&department.data(), SECRET_WORDS),
        "in the gateway's files"
    );
    assert!(
        !department.process().log().contains(SECRET_WORDS),
        "in the gateway's log"
    );
    let memory = memory(department.process().pid());
    let in_memory = |text: &str| memory.iter().any(|(_, region)| has(region, text));
    assert!(
        in_memory(&department.data().display().to_string()),
        "the control: its arguments are there"
    );
    assert!(!in_memory(SECRET_WORDS), "in the gateway's memory");

    // The records role can, with its key and a reason, and that is audited.
    let key = department.data().join("records-role/records.key");
    let id = id.to_string();
    let open = [
        "open",
        &id,
        "--key",
        key.to_str().unwrap(),
        "--reason",
        "FOI 2026/17",
        "--who",
        "Rita Records",
        "--json",
    ];
    let opened = department.command(&open).succeeded();
    assert!(opened.stdout.contains(SECRET_WORDS), "{}", opened.stdout);
    let audit = department.command(&["audit", "--json"]).succeeded().stdout;
    assert!(
        audit.contains("FOI 2026/17") && audit.contains("Rita Records") && audit.contains(&id),
        "{audit}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_not_opened_without_a_reason_or_by_the_wrong_key_but_the_attempt_is_audited() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    let agent = handset.open(department.config());
    let id = declare(&agent, SECRET_WORDS).to_string();
    assert!(agent.sync().await.unwrap().failure.is_none());

    let key = department.data().join("records-role/records.key");
    let none = department.command(&["open", &id, "--key", key.to_str().unwrap()]);
    assert!(
        !none.status.success() && !none.stdout.contains(SECRET_WORDS),
        "{none:?}"
    );

    let other = candour_wire::seal::RecordsPrivateKey::generate();
    let other_key = department.scratch().join("other.key");
    fs::write(&other_key, other.to_text().expose()).unwrap();
    fs::set_permissions(
        &other_key,
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let wrong = department.command(&[
        "open",
        &id,
        "--key",
        other_key.to_str().unwrap(),
        "--reason",
        "curious",
        "--who",
        "Eve",
        "--json",
    ]);
    assert!(
        !wrong.status.success() && !wrong.stdout.contains(SECRET_WORDS),
        "{wrong:?}"
    );
    assert!(wrong.stderr.contains("key_wrong"), "{wrong:?}");
    let audit = department.command(&["audit", "--json"]).succeeded().stdout;
    assert!(audit.contains("curious"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_sees_everything_that_left_this_phone_and_when_and_why() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    handset.install(&["signal", "whatsapp"]);
    let agent = handset.open(department.config());
    agent.scan().unwrap();
    let id = declare(&agent, SECRET_WORDS);
    assert!(agent.sync().await.unwrap().failure.is_none());

    let sent = agent.sent().unwrap();
    let size = wait::within("the checkpoint", department.checkpoint())
        .await
        .size;
    assert_eq!(sent.len() as u64, size, "as many as the department has");
    assert!(
        sent.iter()
            .all(|item| item.received.is_some() && item.index.is_some() && item.summary.is_some())
    );
    assert!(sent.iter().any(|item| item.id == id && item.policy == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_altered_in_the_database_is_not_passed_off_as_the_handsets() {
    let department = department();
    let raw = RawHandset::enrol(&department).await;
    let mut connection = raw.connect(&department).await;
    let key = connection.policy(&department).await.records_key;
    let head = raw.genesis(Stream::Records);
    let record = raw.declaration(&head, &key, "as it was signed");
    assert_eq!(
        connection
            .deliver(std::slice::from_ref(&record))
            .await
            .results
            .len(),
        1
    );
    assert_eq!(department.stop().code(), Some(0));

    // Somebody with the disk in his hands changes one character of the signature.
    let path = department.data().join("server.db");
    let mut bytes = fs::read(&path).unwrap();
    let signature = &record.jws.as_bytes()[record.jws.len() - 60..];
    let places: Vec<usize> = memchr::memmem::find_iter(&bytes, signature).collect();
    assert_eq!(places.len(), 1, "it is kept once");
    let place = places[0] + 20;
    bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
    fs::write(&path, bytes).unwrap();

    let key = department.data().join("records-role/records.key");
    let id = record.record.id.to_string();
    let open = [
        "open",
        &id,
        "--key",
        key.to_str().unwrap(),
        "--reason",
        "FOI",
        "--who",
        "Rita",
        "--json",
    ];
    let opened = department.command(&open);
    assert!(
        !opened.status.success() && !opened.stdout.contains("as it was signed"),
        "{opened:?}"
    );
    assert!(opened.stderr.contains("signature_invalid"), "{opened:?}");
}
