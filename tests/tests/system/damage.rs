//! Phones whose files are damaged, or set back to an older copy.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use candour_core::agent::{Finding, RecordState};
use candour_tests::Handset;
use candour_tests::handset::{declare, draft};
use candour_tests::program::run;
use candour_tests::torture::damage::{Ended, PhoneVictim, ServerVictim, Share};
use candour_tests::torture::phone_check::Findings;
use candour_wire::Code;

use crate::{department, program};

/// Copies what is in a directory into another.
pub(crate) fn copy(from: &Path, to: &Path) {
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

/// Which agent is set back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Build {
    Product,
    /// The product without its store, so that it has lost what waited.
    Forgets,
    /// The product whose holder declares anew what waited, so that it is sent twice.
    Repeats,
}

/// What is wrong with a phone whose files are set back to an older copy.
async fn set_back(build: Build) -> Findings {
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
    if build == Build::Forgets {
        for file in ["agent.db", "agent.db-wal"] {
            // The last agent to close it leaves no log.
            let _ = std::fs::remove_file(handset.home().join(file));
        }
    }

    let mut wrong = Findings::new();
    let agent = handset.open(department.config());
    if build == Build::Repeats {
        declare(&agent, "waiting in the backup");
    }
    let anew = declare(&agent, "after it was put back");
    let report = agent.sync().await.unwrap();
    // The one that waited gets its old receipt, the new one its own.
    if report.failure.is_some() || report.received != 2 || !report.quarantined.is_empty() {
        wrong.push(format!("{report:?}"));
    }
    let sent = agent.sent().unwrap();
    for (id, name) in [(waiting, "what waited"), (anew, "what is new")] {
        let mut received = sent
            .iter()
            .filter(|item| item.state == RecordState::Received);
        if !received.any(|item| item.id == id) {
            wrong.push(format!("{name} is not received"));
        }
    }
    let checked = agent.verify(None).unwrap();
    if !checked.iter().all(|one| one.finding == Finding::Verified) {
        wrong.push(format!("{checked:?}"));
    }
    let size = department.checkpoint().await.size;
    if size != 4 {
        wrong.push(format!("there are {size} records instead of 4"));
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_was_set_back_to_an_older_backup_loses_and_doubles_nothing() {
    assert_eq!(set_back(Build::Product).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_forgets_or_repeats_when_set_back_to_an_older_backup_is_noticed() {
    let forgets = set_back(Build::Forgets).await;
    assert!(
        forgets.contains(&"what waited is not received".into()),
        "{forgets:?}"
    );
    let repeats = set_back(Build::Repeats).await;
    assert!(
        repeats.contains(&"there are 5 records instead of 4".into()),
        "{repeats:?}"
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
    for ended in [Ended::Killed, Ended::InOrder] {
        let victim = PhoneVictim::make(&program(), 1, ended).unwrap();
        let mut places = victim.places(1, Share::ALL).unwrap();
        places.truncate(120);
        let outcome = victim.suffer(&places).unwrap();
        assert!(outcome.findings.is_empty(), "{ended:?}: {outcome:#?}");
        assert!(outcome.times("told") > 0, "{ended:?}: {outcome:#?}");
    }
}

#[test]
fn a_bit_that_flips_anywhere_in_a_departments_data_is_harmless_or_told() {
    for ended in [Ended::Killed, Ended::InOrder] {
        let mut victim = ServerVictim::make(&program(), ended).unwrap();
        let mut places = victim.places(1, Share::ALL).unwrap();
        places.truncate(60);
        let outcome = victim.suffer(&places, true).unwrap();
        assert!(outcome.findings.is_empty(), "{ended:?}: {outcome:#?}");
        for told in ["at start", "by check"] {
            assert!(outcome.times(told) > 0, "{ended:?}, {told}: {outcome:#?}");
        }
        places.truncate(30);
        let unchecked = victim.suffer(&places, false).unwrap();
        assert!(!unchecked.findings.is_empty(), "{ended:?}: {unchecked:#?}");
    }
}

/// What is done to a store behind the server's back, and what `check` says to it.
const ALTERATIONS: [(&str, &str); 16] = [
    (
        "UPDATE record SET policy = policy + 1 WHERE stream = 'records'",
        "its row says otherwise than its signed form",
    ),
    (
        "UPDATE record SET sha256 = zeroblob(32) WHERE leaf = 0",
        "its body is not what was signed",
    ),
    (
        "UPDATE body SET jws = replace(jws, 'A', 'B') WHERE leaf = 0",
        "its body is not what was signed",
    ),
    (
        "UPDATE body SET salt = zeroblob(16) WHERE leaf = 0",
        "its leaf is another's",
    ),
    ("DELETE FROM body WHERE leaf = 0", "its body is missing"),
    (
        "DELETE FROM record WHERE leaf = 0",
        "1 bodies belong to no record",
    ),
    (
        "UPDATE record SET leaf = leaf + 9",
        "the log does not reach to its leaf",
    ),
    (
        "UPDATE chain SET seq = seq + 1",
        "does not end where the store says",
    ),
    (
        "UPDATE log_tile SET hashes = zeroblob(length(hashes)) WHERE level = -1",
        "the log does not lead to the checkpoint",
    ),
    (
        "INSERT INTO log_tile VALUES (0, 0, zeroblob(32))",
        "the log has tiles that belong to no entries",
    ),
    (
        "UPDATE log SET size = size + 1",
        "a tile of the log is missing",
    ),
    (
        "UPDATE log SET checkpoint = replace(checkpoint, 'time', 'tame')",
        "is not one that its key has signed",
    ),
    (
        "UPDATE handset SET spki = x'30'",
        "has another key than its id says",
    ),
    (
        "UPDATE presence SET state = 'absent'",
        "its apps are counted otherwise than its list has them",
    ),
    (
        "UPDATE inventory SET hash = zeroblob(32)",
        "its list of apps is not what its records lead to",
    ),
    (
        "UPDATE attachment SET complete = 0",
        "is not noted as whole",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_where_one_part_of_the_store_contradicts_another() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    handset.install(&["whatsapp"]);
    let agent = handset.open(department.config());
    agent.sync().await.unwrap();
    agent.scan().unwrap();
    let mut with_file = draft("see the minutes");
    let file = agent.attach("minutes.txt", &mut &b"what was agreed"[..]);
    with_file.attachments.push(file.unwrap());
    let preview = agent.preview(&with_file).unwrap();
    agent.declare(preview, None).unwrap();
    assert!(agent.sync().await.unwrap().received >= 2);
    let sound = department.command(&["check", "--json"]).succeeded().json();
    assert_eq!(
        (&sound["files"], &sound["faults_in_all"]),
        (&1.into(), &0.into())
    );
    assert_eq!(department.stop().code(), Some(0));

    let store = department.data().join("server.db");
    let good = std::fs::read(&store).unwrap();
    let finds = |what: &str, words: &str| {
        let checked = department.command(&["check"]);
        assert_eq!(checked.status.code(), Some(1), "{what}: {checked:?}");
        let said = checked.stdout + &checked.stderr;
        assert!(said.contains(words), "{what}: {said}");
    };
    for (sql, words) in ALTERATIONS {
        let database = rusqlite::Connection::open(&store).unwrap();
        assert!(database.execute(sql, ()).unwrap() > 0, "{sql}");
        drop(database);
        finds(sql, words);
        std::fs::write(&store, &good).unwrap();
    }
    let attachments = department.data().join("attachments");
    let dir = attachments.join(handset.identity().handset.as_str());
    let file = std::fs::read_dir(dir)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::write(&file, "something else").unwrap();
    finds("another file", "is not what arrived");
    std::fs::remove_file(&file).unwrap();
    finds("no file", "is missing");
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
