//! What it costs to be woken by the system's scheduler when nothing is due: the agent is opened,
//! checks its store, finds that out, and is closed.

use candour_wire::Sensitive;

use super::Scale;
use super::agent::RECORDS;
use super::ingest::to_f64;
use super::outbox::median;
use super::report::Report;
use super::usage::{Stretch, Watched};
use crate::department::Department;
use crate::handset::{Handset, declare};
use crate::program::Program;

/// How often it is woken at full scale.
const TIMES: u32 = 50;

pub(super) fn measure(program: &Program, scale: Scale, report: &mut Report) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let department = Department::start(program);
    let handset = Handset::new();
    let records = scale.of(RECORDS);
    {
        let agent = handset.open(department.config());
        let enrolled = agent.enrol(Sensitive::new(department.token()));
        runtime.block_on(enrolled).expect("an enrolment");
        for number in 0..records {
            declare(&agent, &format!("Message {number}: the annex is agreed."));
        }
        agent.scan().expect("a scan");
        runtime.block_on(agent.sync()).expect("a sync");
    }
    let times = scale.of(TIMES);
    let all = Stretch::begin(Watched::this());
    let mut walls: Vec<f64> = (0..times)
        .map(|_| {
            let stretch = Stretch::begin(Watched::this());
            let agent = handset.open(department.config());
            let tick = runtime.block_on(agent.tick(None)).expect("a tick");
            assert!(tick.scan.is_none() && tick.sync.is_none(), "{tick:?}");
            drop(agent);
            stretch.wall().as_secs_f64()
        })
        .collect();
    let processor = all.processor_seconds() / to_f64(times);
    report.figure(
        &format!("waking with {records} receipts kept and nothing due, median"),
        median(&mut walls) * 1e3,
        "ms",
        "",
    );
    report.figure("… processor time", processor * 1e3, "ms", "");
}
