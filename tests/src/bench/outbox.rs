//! Declarations a second on the handset: checked, sealed, signed, on disk.
//!
//! The reference is bare SQLite with rows of the same length, one a commit, as durably, on the same
//! disk. Both take turns, a few rows each, and each pair of turns gives a ratio: a moment in which
//! the disk is slow hits both. The ratio that is reported is the median of them.

use std::time::Duration;

use candour_core::Agent;

use super::Scale;
use super::ingest::to_f64;
use super::reference;
use super::report::Report;
use super::usage::{Stretch, Watched};
use crate::department::Department;
use crate::handset::{Handset, declare};
use crate::program::Program;

/// Pairs of turns at full scale.
const ROUNDS: u32 = 50;

/// Rows in a turn: long enough to be timed, short against a disk's moods.
const ROWS: usize = 20;

pub(super) fn measure(program: &Program, scale: Scale, report: &mut Report) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let department = Department::start(program);
    let handset = runtime.block_on(Handset::enrolled(&department));
    let agent = handset.open(department.config());
    // The policy has to be there before anything can be declared.
    runtime.block_on(agent.sync()).expect("a sync");
    let before = waiting_bytes(&agent);
    turn(&agent);
    let row = vec![0xA5; (waiting_bytes(&agent) - before) / ROWS];
    let db = reference::open(&handset.home().join("reference.db"));
    let rounds = scale.of(ROUNDS);
    let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
    let mut processor = 0.0;
    let mut ratios = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let mut our_turn = || {
            let stretch = Stretch::begin(Watched::this());
            turn(&agent);
            processor += stretch.processor_seconds();
            stretch.wall()
        };
        let their_turn = || {
            let stretch = Stretch::begin(Watched::this());
            for _ in 0..ROWS {
                reference::insert(&db, &row);
            }
            stretch.wall()
        };
        // Neither always comes first.
        let (our, their) = if round % 2 == 0 {
            (our_turn(), their_turn())
        } else {
            let their = their_turn();
            (our_turn(), their)
        };
        ratios.push(their.as_secs_f64() / our.as_secs_f64());
        ours += our;
        theirs += their;
    }
    let rows = to_f64(rounds * ROWS);
    report.compared_in_turns(
        "declarations/s into the outbox, each sealed, signed and synced",
        rows / ours.as_secs_f64(),
        "/s",
        ("bare SQLite, one row a commit", rows / theirs.as_secs_f64()),
        median(&mut ratios),
        "≥ 0.60",
    );
    report.figure("… processor time of one", processor / rows * 1e6, "µs", "");
    report.figure("… length of its row", to_f64(row.len()), "B", "");
}

fn turn(agent: &Agent) {
    for number in 0..ROWS {
        declare(agent, &format!("Message {number}: the annex is agreed."));
    }
}

fn waiting_bytes(agent: &Agent) -> usize {
    let waiting = agent.status().expect("a status").pending_bytes;
    usize::try_from(waiting).expect("a phone's outbox")
}

/// The middle one; the later of two.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
