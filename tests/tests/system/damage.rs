//! Phones whose files are damaged, or set back to an older copy.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use candour_core::agent::{Finding, RecordState};
use candour_tests::Handset;
use candour_tests::handset::declare;
use candour_tests::program::run;
use candour_tests::torture::damage::Victim;
use candour_wire::Code;

use crate::{department, program};

fn copy(from: &Path, to: &Path) {
    let outcome = run(
        Command::new("cp").arg("-a").arg(from.join(".")).arg(to),
        b"",
    );
    assert!(outcome.status.success(), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_set_aside_and_reported_and_the_phone_goes_on() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    {
        let agent = handset.open(department.config());
        declare(&agent, "received before");
        assert_eq!(agent.sync().await.unwrap().received, 1);
        declare(&agent, "waiting when it broke");
    }
    let store = handset.home().join("agent.db");
    let file = std::fs::File::options().write(true).open(&store).unwrap();
    file.write_all_at(&[0xA5; 4096], 0).unwrap();
    let damaged = std::fs::read(&store).unwrap();

    let agent = handset.open(department.config());
    let problems = agent.status().unwrap().problems;
    assert!(
        problems
            .iter()
            .any(|problem| problem.code == "store_damaged"),
        "{problems:?}"
    );
    let aside: Vec<_> = std::fs::read_dir(handset.home())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("agent.db.damaged-"))
        .filter(|path| std::fs::read(path).unwrap() == damaged)
        .collect();
    assert_eq!(aside.len(), 1, "set aside as it was, never deleted");

    // It has forgotten where its chain stood; the server says so, and no person has to act.
    let id = declare(&agent, "after it broke");
    let report = agent.sync().await.unwrap();
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(report.received, 1);
    let sent = agent.sent().unwrap();
    assert!(
        sent.iter()
            .any(|item| item.id == id && item.state == RecordState::Received),
        "{sent:?}"
    );
    assert_eq!(department.checkpoint().await.size, 2);

    agent.acknowledge_set_aside().unwrap();
    assert_eq!(agent.status().unwrap().problems, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_was_set_back_to_an_older_backup_loses_and_doubles_nothing() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    let backup = tempfile::tempdir().unwrap();
    let waiting = {
        let agent = handset.open(department.config());
        declare(&agent, "long ago");
        assert_eq!(agent.sync().await.unwrap().received, 1);
        declare(&agent, "waiting in the backup")
    };
    copy(handset.home(), backup.path());
    {
        let agent = handset.open(department.config());
        declare(&agent, "after the backup");
        assert_eq!(agent.sync().await.unwrap().received, 2);
    }
    for entry in std::fs::read_dir(handset.home()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap()
        } else {
            std::fs::remove_file(path).unwrap()
        }
    }
    copy(backup.path(), handset.home());

    let agent = handset.open(department.config());
    let anew = declare(&agent, "after it was put back");
    let report = agent.sync().await.unwrap();
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(
        report.received, 2,
        "the one that waited gets its old receipt, the new one its own"
    );
    assert_eq!(report.quarantined, []);
    let sent = agent.sent().unwrap();
    for id in [waiting, anew] {
        assert!(
            sent.iter()
                .any(|item| item.id == id && item.state == RecordState::Received),
            "{sent:?}"
        );
    }
    assert!(
        agent
            .verify(None)
            .unwrap()
            .iter()
            .all(|checked| checked.finding == Finding::Verified)
    );
    assert_eq!(
        department.checkpoint().await.size,
        4,
        "exactly one copy of each"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handset_that_was_wiped_is_another_one_and_needs_another_token() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    let before = handset.identity().handset;
    handset.open(department.config()).wipe().unwrap();
    let agent = handset.open(department.config());
    assert_eq!(agent.sync().await.unwrap_err().code(), Code::NotEnrolled);
    agent
        .enrol(candour_wire::Sensitive::new(department.token()))
        .await
        .unwrap();
    assert_ne!(handset.identity().handset, before);
    declare(&agent, "a new beginning");
    assert_eq!(agent.sync().await.unwrap().received, 1);
}

#[test]
fn a_bit_that_flips_anywhere_is_harmless_or_told() {
    let victim = Victim::make(&program(), 1).unwrap();
    let mut places = victim.places(1).unwrap();
    places.truncate(150);
    let outcome = victim.suffer(&places).unwrap();
    assert!(outcome.findings.is_empty(), "{outcome:#?}");
    let told: u64 = outcome.kinds.values().map(|count| count.told).sum();
    assert!(told > 0, "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_log_is_damaged_does_not_go_on_as_if_nothing_had_been() {
    let mut department = department();
    let handset = Handset::enrolled(&department).await;
    let agent = handset.open(department.config());
    for text in ["one", "two", "three"] {
        declare(&agent, text);
        assert_eq!(agent.sync().await.unwrap().received, 1);
    }
    department.kill();
    let log = department.data().join("server.db-wal");
    let good = std::fs::read(&log).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    std::fs::write(&log, bad).unwrap();
    let refused = run(&mut department.serve_command(), b"");
    assert!(!refused.status.success(), "{refused:?}");
    assert!(refused.stderr.contains("is damaged"), "{refused:?}");

    // It has touched nothing: with the right log back, everything is there.
    std::fs::write(&log, good).unwrap();
    department.restart();
    assert_eq!(department.checkpoint().await.size, 3);
}
