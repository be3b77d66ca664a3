//! A small fleet before a gateway; `candour-tests fleet` has a large one.

use candour_tests::program::{Outcome, run};
use serde_json::Value;

use crate::program;

fn fleet(args: &[&str]) -> Outcome {
    let mut command = std::process::Command::new(program().path());
    command
        .arg("fleet")
        .args(args)
        .args(["--seed", "7", "--json"]);
    run(&mut command, b"")
}

fn figure(report: &Value, name: &str) -> f64 {
    let figures = report["figures"].as_array().unwrap();
    let figure = figures.iter().find(|figure| figure["name"] == name);
    figure.unwrap_or_else(|| panic!("no {name}: {report:#}"))["value"]
        .as_f64()
        .unwrap()
}

/// What was broken on purpose was noticed, and for this reason.
fn caught(args: &[&str], why: &str) {
    let outcome = fleet(args);
    assert_eq!(outcome.status.code(), Some(1), "{outcome:#?}");
    let report = outcome.json();
    let broken = report["broken"].as_array().unwrap();
    assert!(
        broken
            .iter()
            .any(|line| line.as_str().unwrap().contains(why)),
        "{broken:#?}"
    );
}

#[test]
fn a_herd_is_served_and_every_receipt_is_for_a_record_that_is_kept_once() {
    let report = fleet(&["herd", "--handsets", "40", "--within", "1"])
        .succeeded()
        .json();
    let received = figure(&report, "records acknowledged");
    assert!(
        received >= 40.0,
        "everybody has something to send: {report:#}"
    );
    assert_eq!(figure(&report, "records queued"), received);
    assert!(figure(&report, "records in the department's books") > received);
    assert!(figure(&report, "connections") >= 40.0);
    assert!(figure(&report, "… growth") > 0.0);
    caught(
        &[
            "herd",
            "--handsets",
            "20",
            "--within",
            "1",
            "--control",
            "forged",
            "--give-up",
            "1",
        ],
        "a receipt does not hold",
    );
}

#[test]
fn phones_that_do_not_wait_while_the_server_is_gone_are_noticed() {
    // After eleven minutes each has tried: a record waits ten at most.
    let outage = ["outage", "--handsets", "4", "--minutes", "11"];
    let hurried = [&outage[..], &["--control", "impatient"]].concat();
    caught(&hurried, "came before they were to");
}

#[test]
fn a_week_passes_in_seconds_and_what_a_disk_forgets_is_missed() {
    let week = ["week", "--handsets", "24", "--days", "7"];
    let report = fleet(&week).succeeded().json();
    let syncs = figure(&report, "syncs a phone a day");
    assert!((3.5..5.0).contains(&syncs), "four a day: {report:#}");
    let records = figure(&report, "records a phone a day");
    assert!(
        (1.0..1.5).contains(&records),
        "a heartbeat a day and a little more: {report:#}"
    );
    assert!(figure(&report, "bytes both ways a phone a day") > 5_000.0);
    assert_eq!(
        figure(&report, "records in the department's books"),
        figure(&report, "… acknowledged to phones")
    );
    let forgetful = [
        "week",
        "--handsets",
        "17",
        "--days",
        "1",
        "--control",
        "forgets",
    ];
    caught(&forgetful, "which is not kept");
}

#[test]
fn what_cannot_be_run_is_said_at_once() {
    for args in [
        &["week", "--control", "impatient"][..],
        &["herd", "--handsets", "0"],
        &["outage", "--minutes", "0"],
        &["stampede"],
    ] {
        let outcome = fleet(args);
        assert_eq!(outcome.status.code(), Some(2), "{outcome:#?}");
    }
    let help = fleet(&["--help"]).succeeded();
    assert!(help.stdout.contains("Exit codes: 0 "), "{help:#?}");
}
