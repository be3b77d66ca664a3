//! Declarations a second on the handset: checked, sealed, signed, on disk.

use super::Scale;
use super::ingest::to_f64;
use super::reference;
use super::report::Report;
use super::usage::{Stretch, Watched};
use crate::department::Department;
use crate::handset::{Handset, declare};
use crate::program::Program;

pub(super) fn measure(program: &Program, scale: Scale, report: &mut Report) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let department = Department::start(program);
    let handset = runtime.block_on(Handset::enrolled(&department));
    let agent = handset.open(department.config());
    // The policy has to be there before anything can be declared.
    runtime.block_on(agent.sync()).expect("a sync");
    let count = scale.of(1_000);
    let before = size(&handset);
    let stretch = Stretch::begin(Watched::this());
    for number in 0..count {
        declare(&agent, &format!("Message {number}: the annex is agreed."));
    }
    let ours = to_f64(count) / stretch.wall().as_secs_f64();
    let processor = stretch.processor_seconds() / to_f64(count);
    let row = vec![0xA5; ((size(&handset) - before) / count).max(1)];
    // One row of the same size a commit, on the same disk.
    let path = handset.home().join("reference.db");
    let db = reference::open(&path);
    let stretch = Stretch::begin(Watched::this());
    for _ in 0..count {
        reference::insert(&db, &row);
    }
    let theirs = to_f64(count) / stretch.wall().as_secs_f64();
    report.compared(
        "declarations/s into the outbox, each sealed, signed and synced",
        ours,
        "/s",
        ("bare SQLite, one row a commit", theirs),
        "≥ 0.60",
    );
    report.figure("… processor time of one", processor * 1e6, "µs", "");
}

/// What the handset's store has grown to, in bytes.
fn size(handset: &Handset) -> usize {
    let of = |name: &str| {
        let file = std::fs::metadata(handset.home().join(name));
        file.map_or(0, |file| usize::try_from(file.len()).unwrap_or(0))
    };
    of("agent.db") + of("agent.db-wal")
}
