//! Everybody has something to send at nine o'clock.

use std::sync::Arc;
use std::time::Duration;

use candour_server::keys::LogKey;
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::clock::{after, until};
use super::muster::{Fleet, to_f64};
use super::phone::Phone;
use super::report::Report;
use super::tally::{Sums, Tally};
use super::wake::Call;
use super::watch::{Idle, Watch};
use super::world::Way;
use super::{Common, Control, Problem, look};
use crate::department;
use crate::progress::bar;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) common: Common,
    /// Everybody syncs within so many seconds, as if every holder asked for it; without this the
    /// agents spread themselves by their own jitter, over the ten minutes of the policy.
    #[arg(long, value_name = "SECONDS")]
    within: Option<u32>,
    /// After so many minutes what is not delivered counts as not delivered.
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    give_up: u32,
}

pub(super) fn run(runtime: &Runtime, args: &Args) -> Result<Report, Problem> {
    let common = &args.common;
    let name = match args.within {
        Some(seconds) => format!("herd: {} phones within {seconds} s", common.handsets),
        None => format!(
            "herd: {} phones with the agent's own jitter",
            common.handsets
        ),
    };
    let mut report = Report::begin(name, common.seed);
    let stage = Stage::set(runtime, common, Duration::from_hours(1), &mut report)?;
    let fleet = &stage.fleet;

    fleet.world.clock.stand_at(ago(Duration::ZERO));
    let noticed = fleet.notice(runtime)?;
    let nine = stage.run_on(&mut report);
    let comes: Vec<_> = match args.within {
        Some(seconds) => {
            let most = u64::from(seconds) * 1_000;
            let arrival = |phone: &Arc<Phone>| {
                let ms = phone.draw(|luck| luck.u64(0..=most));
                (after(nine, Duration::from_millis(ms)), Call::Holder)
            };
            fleet.phones.iter().map(arrival).collect()
        }
        None => {
            // The jitter began when the phones noticed; for all of them that is nine o'clock.
            let next = noticed.next.iter();
            next.map(|next| (*next, Call::Due)).collect()
        }
    };
    let plan = Plan {
        queued: noticed.records,
        comes,
        begin: nine,
        give_up: Duration::from_secs(60) * args.give_up,
        from_begin: false,
    };
    stage.play(runtime, plan, report)
}

/// A while ago, by the system's clock.
pub(super) fn ago(wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or_default();
    department::now()
        .saturating_sub(wait)
        .unwrap_or(Timestamp::MIN)
}

/// What all phones noticed.
pub(super) struct Noticed {
    /// Records that were queued.
    pub(super) records: u64,
    /// When each phone will sync.
    pub(super) next: Vec<Timestamp>,
}

/// One phone in so many has a declaration as well.
const DECLARES_ONE_IN: u32 = 20;

/// Phones that look at their apps at once.
const NOTICE_AT_ONCE: usize = 16;

impl Fleet {
    pub(super) fn stop_server(&self) -> Result<(), Problem> {
        let status = self.department.stop();
        if status.success() {
            Ok(())
        } else {
            Err(format!("the server ended with {status}").into())
        }
    }

    /// On every phone an app comes or goes and is noticed, and some holders declare a message. The
    /// clock stands.
    pub(super) fn notice(&self, runtime: &Runtime) -> Result<Noticed, Problem> {
        let bar = bar("nine o'clock", self.phones.len());
        let noticed = runtime.block_on(self.each(&self.phones, NOTICE_AT_ONCE, &bar, |phone| {
            let world = Arc::clone(&self.world);
            async move {
                phone.change_an_app();
                let agent = phone.open(&world)?;
                let mut records = Phone::notice(&agent)?;
                if phone.draw(|luck| luck.u32(..DECLARES_ONE_IN)) == 0 {
                    phone.declare(&agent)?;
                    records += 1;
                }
                let next = agent.status()?.next_sync;
                Ok((records, next.unwrap_or_else(|| world.clock.now())))
            }
        }))?;
        bar.finish_and_clear();
        Ok(Noticed {
            records: noticed.iter().map(|(records, _)| records).sum(),
            next: noticed.into_iter().map(|(_, next)| next).collect(),
        })
    }
}

/// When the phones come.
pub(super) struct Plan {
    /// Records that they have to deliver.
    pub(super) queued: u64,
    /// When each phone is to sync next, and at whose wish.
    pub(super) comes: Vec<(Timestamp, Call)>,
    /// When it begins.
    pub(super) begin: Timestamp,
    /// How long after that they are waited for.
    pub(super) give_up: Duration,
    /// Whether a phone's time until it has delivered is counted from the beginning, rather than from
    /// when it was to sync.
    pub(super) from_begin: bool,
}

/// The phones, the server and what is broken on purpose, before the phones come.
pub(super) struct Stage {
    pub(super) fleet: Fleet,
    database: u64,
    /// Held for the control that forgets.
    earlier: Option<std::path::PathBuf>,
    idle: Idle,
}

impl Stage {
    /// Enrols everybody, so long ago, and has the server wait.
    pub(super) fn set(
        runtime: &Runtime,
        common: &Common,
        since: Duration,
        report: &mut Report,
    ) -> Result<Self, Problem> {
        let tally = Arc::new(Tally::default());
        let mut fleet = Fleet::found(common)?;
        fleet.stop_server()?;
        let enrolled = ago(since);
        fleet.enrol_in_bulk(runtime, (enrolled, enrolled), &tally)?;
        fleet.department.restart_in_place();
        fleet.enrol_by_est(runtime, &tally)?;
        fleet.stop_server()?;
        let earlier = match common.control {
            Some(Control::Forgets) => Some(fleet.copy_database()?),
            Some(Control::Forged) => {
                fleet
                    .world
                    .distrust(LogKey::make("forger.example/log")?.verifier().clone());
                None
            }
            Some(Control::Impatient) => {
                fleet.world.lose_patience();
                None
            }
            None => None,
        };
        report.figure("phones", to_f64(fleet.phones.len() as u64), "");
        let database = fleet.database_bytes();
        fleet.department.restart_in_place();
        Ok(Self {
            idle: Idle::begin(&fleet.department),
            fleet,
            database,
            earlier,
        })
    }

    /// Lets the phones' time be real from now on, which is returned.
    pub(super) fn run_on(&self, report: &mut Report) -> Timestamp {
        let clock = &self.fleet.world.clock;
        let behind = clock.run_on();
        report.figure(
            "phones' clocks behind the server's",
            behind.as_secs_f64(),
            "s",
        );
        clock.now()
    }

    /// Lets the phones come to the server, and looks at everything when they are done.
    pub(super) fn play(
        self,
        runtime: &Runtime,
        plan: Plan,
        mut report: Report,
    ) -> Result<Report, Problem> {
        let idle = self.idle.each_second();
        let fleet = &self.fleet;
        let tally = Arc::new(Tally::default());
        let world = Arc::clone(&fleet.world);
        let (begin, queued) = (plan.begin, plan.queued);
        world.set_way(Way::Https);
        let watch = Watch::begin(&fleet.department, runtime);
        let before = world.traffic.counted();
        let drained = runtime.block_on(fleet.drain(plan, &tally));
        let passed = world.traffic.counted().since(before);
        let received = tally.sums().received;
        report.figure("records queued", to_f64(queued), "");
        report.met(&tally);
        report.figure(
            "time to drain",
            until(begin, drained.last).as_secs_f64(),
            "s",
        );
        let served = watch.end(&fleet.department, runtime);
        report.served(&served, idle, received);
        let wire = fleet.wire.bytes(passed);
        report.figure("connections", to_f64(passed.connections), "");
        report.figure(
            "bytes both ways a phone",
            wire / to_f64(fleet.phones.len() as u64),
            "B",
        );
        if drained.undelivered > 0 {
            report.broken(format!(
                "{} phones were not done in time",
                drained.undelivered
            ));
        }
        if received != queued {
            report.broken(format!(
                "{queued} records were queued, {received} acknowledged"
            ));
        }
        let early = world
            .traffic
            .early
            .load(std::sync::atomic::Ordering::Relaxed);
        if early > 0 {
            report.broken(format!("{early} requests came before they were to"));
        } else if world.is_impatient() && tally.sums().failed() == 0 {
            return Err(
                "nobody was told to wait, so the impatient could not be noticed; \
                        bring more phones, or bring them --within less time"
                    .into(),
            );
        }
        fleet.stop_server()?;
        report.grown(fleet, self.database, received, None);
        if let Some(earlier) = &self.earlier {
            fleet.put_back(earlier)?;
        }
        report.looked(look::look(fleet, runtime)?);
        Ok(report)
    }
}

/// What became of the phones.
struct Drained {
    undelivered: usize,
    /// When the last one had its receipts.
    last: Timestamp,
}

impl Fleet {
    /// Follows every phone until it has delivered everything, or wants to come again too late.
    async fn drain(&self, plan: Plan, tally: &Arc<Tally>) -> Drained {
        let bar = bar("delivered", self.phones.len());
        let gate = Arc::new(Semaphore::new(self.awake));
        let mut tasks = JoinSet::new();
        let (begin, end) = (plan.begin, after(plan.begin, plan.give_up));
        for (phone, (due, call)) in self.phones.iter().zip(plan.comes) {
            let (phone, world) = (Arc::clone(phone), Arc::clone(&self.world));
            let (gate, tally) = (Arc::clone(&gate), Arc::clone(tally));
            tasks.spawn(async move {
                let from = if plan.from_begin { begin } else { due };
                let (mut due, mut call) = (due, call);
                while due <= end {
                    world.clock.wait_for(due).await;
                    let Ok(_awake) = gate.acquire().await else {
                        break;
                    };
                    let late = until(due, world.clock.now());
                    Sums::note(&mut tally.sums().late, late);
                    let woken = Box::pin(phone.wake(&world, call, &tally)).await;
                    let now = world.clock.now();
                    if woken.delivered {
                        Sums::note(&mut tally.sums().delivered, until(from, now));
                        return Some(now);
                    }
                    (due, call) = (woken.next, Call::Due);
                }
                None
            });
        }
        let mut drained = Drained {
            undelivered: 0,
            last: Timestamp::MIN,
        };
        while let Some(done) = tasks.join_next().await {
            match done {
                Ok(Some(at)) => drained.last = drained.last.max(at),
                _ => drained.undelivered += 1,
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        drained
    }

    /// Copies the database as it is. Its writer is idle.
    pub(super) fn copy_database(&self) -> std::io::Result<std::path::PathBuf> {
        let from = self.database();
        let to = self.department.scratch().join("earlier.db");
        std::fs::copy(&from, &to)?;
        let log = from.with_extension("db-wal");
        if log.exists() {
            std::fs::copy(log, to.with_extension("db-wal"))?;
        }
        Ok(to)
    }

    /// Puts an earlier copy in the database's place.
    pub(super) fn put_back(&self, earlier: &std::path::Path) -> std::io::Result<()> {
        let to = self.database();
        std::fs::copy(earlier, &to)?;
        let log = earlier.with_extension("db-wal");
        if log.exists() {
            std::fs::copy(log, to.with_extension("db-wal"))?;
        }
        Ok(())
    }
}
