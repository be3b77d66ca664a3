//! Sudden death on either side: nothing acknowledged is lost, nothing is kept twice (invariant I4).

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use candour_core::agent::Finding;
use candour_tests::cli::DECLARE;
use candour_tests::faults::Death;
use candour_tests::handset::{config_through, declare};
use candour_tests::interceptor::{Asked, Fate};
use candour_tests::raw::{batch, receipts};
use candour_tests::torture::kill as torture;
use candour_tests::{AgentCli, Department, Handset, Interceptor, Outcome, RawHandset};
use candour_wire::api::BatchReply;
use candour_wire::record::Stream;
use serde_json::Value;

use crate::{department, program};

const KILL: i32 = 9;

/// Runs a command again and again, with the death one write later each time, until it survives.
/// Returns how often it died.
fn die_at_every_write(after: bool, mut run: impl FnMut(Death) -> Outcome) -> u64 {
    for at in 1..100 {
        let outcome = run(Death { at, after });
        if outcome.status.signal() != Some(KILL) {
            assert!(outcome.status.success(), "{outcome:?}");
            return at - 1;
        }
    }
    panic!("it never gets through");
}

/// After one more sync everything on the phone has exactly one copy and a valid receipt, and what
/// was acknowledged is among it.
fn settle(cli: &AgentCli, department: &Department, acknowledged: &BTreeSet<String>) {
    let _ = cli.run(&["sync"], "").succeeded();
    let sent = cli.run(&["sent"], "").succeeded().json();
    let sent = sent.as_array().unwrap();
    let ids: BTreeSet<String> = sent
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), sent.len(), "no record twice on the phone");
    assert!(
        sent.iter().all(|item| item["state"] == "received"),
        "{sent:#?}"
    );
    assert!(
        acknowledged.is_subset(&ids),
        "lost: {:?}",
        acknowledged.difference(&ids)
    );
    let verified = cli.run(&["verify"], "").succeeded().json();
    assert_eq!(verified["failed"], 0, "{verified}");
    assert_eq!(verified["receipts"].as_array().unwrap().len(), sent.len());
    let listed = department
        .command(&["handset", "list", "--json"])
        .succeeded()
        .json();
    let own = own_handset(cli, &listed);
    let kept = own["declared_records"].as_u64().unwrap() + own["posture_records"].as_u64().unwrap();
    assert_eq!(
        kept,
        sent.len() as u64,
        "exactly one copy of each at the department: {own}"
    );
    let indices: BTreeSet<u64> = sent
        .iter()
        .map(|item| item["index"].as_u64().unwrap())
        .collect();
    assert_eq!(indices.len(), sent.len(), "each has a leaf of its own");
}

fn own_handset<'a>(cli: &AgentCli, listed: &'a Value) -> &'a Value {
    let status = cli.run(&["status"], "").succeeded().json();
    let handsets = listed.as_array().unwrap();
    handsets
        .iter()
        .find(|handset| handset["handset"] == status["handset"])
        .unwrap()
}

#[test]
fn agents_that_are_killed_under_load_lose_and_double_nothing() {
    let outcome = torture::agents(&program(), 10, 1, false).unwrap();
    assert!(outcome.is_as_it_should(), "{outcome:#?}");
    assert!(outcome.acknowledged > 0, "{outcome:#?}");
}

#[test]
fn agents_that_say_yes_before_they_commit_are_noticed() {
    let outcome = torture::agents(&program(), 20, 1, true).unwrap();
    assert!(outcome.is_as_it_should(), "{outcome:#?}");
}

#[test]
fn servers_that_are_killed_under_load_lose_and_double_nothing() {
    let outcome = torture::servers(&program(), 10, 1).unwrap();
    assert!(outcome.is_as_it_should(), "{outcome:#?}");
    assert!(
        outcome.acknowledged > 0 && outcome.stored > 0,
        "{outcome:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_at_every_write_of_a_declaration_loses_and_doubles_nothing() {
    let department = department();
    let cli = AgentCli::new(&department, "phone");
    cli.enrol(&department);
    let file = department.scratch().join("photo.jpg");
    std::fs::write(&file, vec![7; 100_000]).unwrap();
    let mut acknowledged = BTreeSet::new();
    for after in [false, true] {
        let with_file: Vec<&str> = DECLARE
            .iter()
            .copied()
            .chain(["--attach", file.to_str().unwrap()])
            .collect();
        let deaths = die_at_every_write(after, |death| {
            let outcome = cli.run_mortal(death, &with_file, "agreed, go ahead");
            if outcome.status.success() {
                acknowledged.insert(outcome.json()["record"].as_str().unwrap().to_owned());
            }
            outcome
        });
        assert!(deaths >= 2, "the file and the record are written: {deaths}");
        // A plain one in between shows that the store is none the worse for it.
        acknowledged.insert(cli.declare("and another"));
    }
    settle(&cli, &department, &acknowledged);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_at_every_write_of_a_sync_loses_and_doubles_nothing() {
    let department = department();
    let cli = AgentCli::new(&department, "phone");
    cli.enrol(&department);
    let _ = cli.run(&["scan"], "").succeeded();
    let mut acknowledged = BTreeSet::new();
    for after in [false, true] {
        let deaths = die_at_every_write(after, |death| {
            for text in ["one", "two", "three"] {
                acknowledged.insert(cli.declare(text));
            }
            cli.run_mortal(death, &["sync"], "")
        });
        assert!(
            deaths >= 2,
            "receipts and the outcome are written: {deaths}"
        );
    }
    settle(&cli, &department, &acknowledged);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_that_is_killed_at_every_write_is_repeated_with_the_same_token() {
    let department = department();
    let mut homes = 0;
    for after in [false, true] {
        die_at_every_write(after, |death| {
            homes += 1;
            let cli = AgentCli::new(&department, &format!("phone{homes}"));
            let token = department.token();
            let outcome = cli.run_mortal(death, &["enrol", "--token-file", "-"], &token);
            if outcome.status.signal() == Some(KILL) {
                let again = cli.run(&["enrol", "--token-file", "-"], &token);
                assert!(
                    again.status.success() || again.error_code() == "already_enrolled",
                    "{again:?}"
                );
            }
            settle(
                &cli,
                &department,
                &BTreeSet::from([{
                    // The policy may have been lost with the process: it comes with the sync.
                    let _ = cli.run(&["sync"], "").succeeded();
                    cli.declare("works")
                }]),
            );
            outcome
        });
    }
    let listed = department
        .command(&["handset", "list", "--json"])
        .succeeded()
        .json();
    assert_eq!(
        listed.as_array().unwrap().len(),
        homes,
        "one handset for each home"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_between_commit_and_reply_has_one_copy_and_the_handset_its_receipt() {
    let mut department = department();
    let handset = Handset::enrolled(&department).await;
    let swallowed = Arc::new(AtomicU64::new(0));
    {
        let counter = Arc::clone(&swallowed);
        let rule = move |asked: &Asked| {
            if asked.path != "/v1/records" {
                return Fate::Pass;
            }
            let counter = Arc::clone(&counter);
            Fate::Swallow(Box::new(move |answer| {
                let reply: BatchReply = serde_json::from_slice(&answer.body).unwrap();
                counter.fetch_add(receipts(&reply).len() as u64, Ordering::SeqCst);
            }))
        };
        let interceptor = Interceptor::start(&department, handset.tls(&department), rule).await;
        let agent = handset.open(config_through(&department, &interceptor));
        for text in ["one", "two", "three"] {
            declare(&agent, text);
        }
        let report = agent.sync().await.unwrap();
        assert!(report.failure.is_some(), "{report:?}");
        assert_eq!(report.received, 0);
    }
    assert!(
        swallowed.load(Ordering::SeqCst) >= 3,
        "the server had committed them"
    );
    department.kill();
    department.restart();

    let agent = handset.open(department.config());
    let report = agent.sync().await.unwrap();
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(report.received, 3);
    assert_eq!(
        department.checkpoint().await.size,
        3,
        "exactly one copy of each"
    );
    let verified = agent.verify(None).unwrap();
    assert_eq!(verified.len(), 3);
    assert!(
        verified
            .iter()
            .all(|checked| checked.finding == Finding::Verified)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_gave_a_receipt_for_is_there_after_it_is_killed_or_stopped_under_load() {
    const HANDSETS: usize = 4;
    const BATCHES: usize = 8;
    const RECORDS: usize = 8;
    for kill in [true, false] {
        let mut department = department();
        let mut handsets = Vec::new();
        for _ in 0..HANDSETS {
            let handset = RawHandset::enrol(&department).await;
            let mut connection = handset.connect(&department).await;
            let key = connection.policy(&department).await.records_key;
            let records =
                handset.declarations(handset.genesis(Stream::Records), &key, BATCHES * RECORDS);
            handsets.push((handset, connection, records));
        }
        let progress = Arc::new(tokio::sync::Notify::new());
        let mut senders = Vec::new();
        for (handset, mut connection, records) in handsets {
            let progress = Arc::clone(&progress);
            senders.push(tokio::spawn(async move {
                let mut seen = Vec::new();
                for part in records.chunks(RECORDS) {
                    let Ok(reply) = connection.post(Stream::Records, batch(part)).await else {
                        break;
                    };
                    let reply: BatchReply = reply.json();
                    seen.extend(
                        receipts(&reply)
                            .into_iter()
                            .map(|receipt| (receipt.id, receipt.index, receipt.salt)),
                    );
                    progress.notify_one();
                }
                (handset, records, seen)
            }));
        }
        // In the midst of it.
        for _ in 0..HANDSETS {
            progress.notified().await;
        }
        if kill {
            department.kill();
        } else {
            assert_eq!(
                department.stop().code(),
                Some(0),
                "{}",
                department.process().log()
            );
        }
        let mut results = Vec::new();
        for sender in senders {
            results.push(sender.await.unwrap());
        }
        department.restart();
        for (handset, records, seen) in &results {
            let mut connection = handset.connect(&department).await;
            let mut again = Vec::new();
            for part in records.chunks(RECORDS) {
                let reply = connection.deliver(part).await;
                again.extend(
                    receipts(&reply)
                        .into_iter()
                        .map(|receipt| (receipt.id, receipt.index, receipt.salt)),
                );
            }
            assert_eq!(again[..seen.len()], seen[..], "the same receipts again");
        }
        let size = department.checkpoint().await.size;
        assert_eq!(
            size,
            (HANDSETS * BATCHES * RECORDS) as u64,
            "exactly one copy of each"
        );
    }
}
