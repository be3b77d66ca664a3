//! The server cannot be reached for a while, and everybody has something to send.
//!
//! The outage is lived through in simulated time: what a phone does while nobody answers is to try,
//! fail and wait as long as the agent says. The server has just started meanwhile and waits. When
//! the way there is open again, time is real: the phones come when they had resolved to.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Runtime;

use super::calendar::Calendar;
use super::clock::after;
use super::herd::{Plan, Stage};
use super::muster::{Fleet, to_f64};
use super::report::Report;
use super::tally::Tally;
use super::wake::Call;
use super::world::Way;
use super::{Common, Problem};
use crate::department;
use crate::progress::bar;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) common: Common,
    /// For how long nobody answers, in minutes.
    #[arg(long, default_value_t = 30, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..=1_440))]
    minutes: u32,
    /// So many minutes after the server's return what is not delivered counts as not delivered.
    #[arg(long, value_name = "MINUTES", default_value_t = 120)]
    give_up: u32,
}

pub(super) fn run(runtime: &Runtime, args: &Args) -> Result<Report, Problem> {
    let common = &args.common;
    let minutes = args.minutes;
    let name = format!("outage: {} phones after {minutes} min", common.handsets);
    let mut report = Report::begin(name, common.seed);
    let length = Duration::from_secs(60) * minutes;
    let since = length + Duration::from_hours(1);
    let stage = Stage::set(runtime, common, since, &mut report)?;
    let fleet = &stage.fleet;

    // It ends about when the simulation of it is done.
    let end = after(department::now(), LIVED_THROUGH_EACH * common.handsets);
    let begin = end.saturating_sub(jiff::SignedDuration::try_from(length)?)?;
    fleet.world.clock.stand_at(begin);
    fleet.world.set_way(Way::Cut);
    let noticed = fleet.notice(runtime)?;
    let tried = Arc::new(Tally::default());
    let comes = runtime.block_on(fleet.live_through(&noticed.next, end, &tried))?;
    fleet.world.clock.stand_at(end);
    report.figure(
        "syncs that failed during the outage",
        to_f64(tried.sums().failed()),
        "",
    );

    let plan = Plan {
        queued: noticed.records,
        comes,
        begin: stage.run_on(&mut report),
        give_up: Duration::from_secs(60) * args.give_up,
        from_begin: true,
    };
    stage.play(runtime, plan, report)
}

/// What it takes to simulate one phone's outage, roughly.
const LIVED_THROUGH_EACH: Duration = Duration::from_millis(3);

impl Fleet {
    /// Lets the phones try until `end`; says when each comes next.
    async fn live_through(
        &self,
        next: &[Timestamp],
        end: Timestamp,
        tally: &Arc<Tally>,
    ) -> Result<Vec<(Timestamp, Call)>, Problem> {
        let mut calendar = Calendar::default();
        for (phone, next) in self.phones.iter().zip(next) {
            calendar.put(*next, phone.number);
        }
        let bar = bar("tried", self.phones.len());
        while let Some(now) = calendar.next().filter(|next| *next < end) {
            let now = after(now, STEP);
            self.world.clock.stand_at(now);
            for (phone, woken) in self.wake(&calendar.take(now), &bar, tally).await? {
                calendar.put(woken.next, phone);
            }
        }
        bar.finish_and_clear();
        let mut plan = vec![(end, Call::Due); self.phones.len()];
        while let Some(at) = calendar.next() {
            for phone in calendar.take(at) {
                if let Some(planned) = plan.get_mut(phone) {
                    planned.0 = at.max(end);
                }
            }
        }
        Ok(plan)
    }
}

/// Time goes on in such steps.
const STEP: Duration = Duration::from_secs(1);
