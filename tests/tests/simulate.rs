//! A few hundred courses of events, and every broken promise that they must not let pass.
//! `candour-tests simulate` runs more of them.

use candour_tests::simulate::control::Control;
use candour_tests::simulate::{Coverage, Outcome, Runner};

/// Some fifteen seconds of one core in a debug build.
const SEEDS: u64 = 240;

/// Seeds within which each broken promise is found.
const CONTROL_SEEDS: u64 = 120;

fn trace(outcome: &Outcome) -> String {
    format!(
        "seed {}; replay it with `candour-tests simulate --seed {} --trace`\n{}\n",
        outcome.seed,
        outcome.seed,
        outcome.trace.join("\n")
    )
}

#[test]
fn no_course_of_events_breaks_a_rule() {
    let runner = Runner::new();
    let mut coverage = Coverage::default();
    for seed in 0..SEEDS {
        let outcome = runner.run_seed(seed, None);
        assert!(outcome.violations.is_empty(), "{}", trace(&outcome));
        coverage.merge(&outcome.coverage);
    }
    for what in [
        "act: declare during a sync",
        "agent: crash after commit append",
        "agent: crash before commit append",
        "agent: crash with a request under way",
        "agent: disk full",
        "clock: handset by years",
        "network: cut after the request",
        "network: request delivered late",
        "operator: revoked",
        "path: receipts of a repeated record",
        "path: rest of a file after a cut",
        "server: crash between requests",
        "server: store failed after the write",
    ] {
        assert!(coverage.of(what) > 0, "{what} never happened");
    }
}

#[test]
fn a_seed_takes_the_same_course_each_time() {
    let runner = Runner::new();
    for seed in [1, 7, 11, 1_196] {
        let (one, again) = (runner.run_seed(seed, None), runner.run_seed(seed, None));
        assert!(one.trace.len() > 40, "{}", trace(&one));
        assert_eq!(one.trace, again.trace, "seed {seed}");
    }
}

#[test]
fn each_broken_promise_is_found() {
    let runner = Runner::new();
    for control in Control::ALL {
        let caught = (0..CONTROL_SEEDS).find(|seed| {
            let outcome = runner.run_seed(*seed, Some(control));
            let by = |rule| outcome.violations.iter().any(|found| found.rule == rule);
            control.caught_by().iter().any(|rule| by(*rule))
        });
        assert!(caught.is_some(), "{} is not found", control.name());
    }
}
