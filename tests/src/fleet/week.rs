//! A week of normal life, in simulated time.
//!
//! Everything is the product's but TLS and the sockets: the phones ask the gateway's routes in this
//! process, and its store is on the disk. What a connection would have cost on the wire is measured
//! once, on a real one, and added for each.

use std::sync::Arc;
use std::time::Duration;

use candour_server::keys::LogKey;
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Runtime;

use super::calendar::Calendar;
use super::clock::after;
use super::muster::{Fleet, to_f64};
use super::office::Office;
use super::phone::Phone;
use super::report::Report;
use super::tally::Tally;
use super::wake::{Call, Woken};
use super::world::Way;
use super::{Common, Control, Problem, look};
use crate::department;
use crate::progress::bar;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) common: Common,
    /// How many days; the first five of each seven are working days.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=28))]
    days: u32,
    /// Apps that come or go on a phone in a week, on average.
    #[arg(long, default_value_t = 0.5)]
    changes: f64,
    /// Messages that a holder declares in a week, on average.
    #[arg(long, default_value_t = 1.0)]
    declarations: f64,
}

pub(super) fn run(runtime: &Runtime, args: &Args) -> Result<Report, Problem> {
    let common = &args.common;
    if common.control == Some(Control::Impatient) {
        return Err("nothing fails in a normal week; try that with herd or outage".into());
    }
    let name = format!("week: {} phones for {} days", common.handsets, args.days);
    let mut report = Report::begin(name, common.seed);
    let tally = Arc::new(Tally::default());
    let mut fleet = Fleet::found(common)?;
    fleet.enrol_by_est(runtime, &tally)?;
    fleet.stop_server()?;
    let begin = after(department::now(), A_FEW_HOURS);
    let before = begin.saturating_sub(SignedDuration::try_from(A_FEW_HOURS)?)?;
    fleet.enrol_in_bulk(runtime, (before, begin), &tally)?;
    let earlier = match common.control {
        Some(Control::Forgets) => Some(fleet.copy_database()?),
        Some(Control::Forged) => {
            let other = LogKey::make("forger.example/log")?;
            fleet.world.distrust(other.verifier().clone());
            None
        }
        _ => None,
    };
    let database = fleet.database_bytes();

    let tally = Arc::new(Tally::default());
    let office = Arc::new(Office::open(&fleet.department.data(), &fleet.world.clock)?);
    runtime.block_on(office.follow_enrolment())?;
    fleet.world.set_way(Way::Office(Arc::clone(&office)));
    let traffic = fleet.world.traffic.counted();
    let lives: Vec<Life> = fleet
        .phones
        .iter()
        .map(|phone| Life::draw(phone, begin, args))
        .collect();
    let end = after(begin, DAY * args.days);
    let waiting = runtime.block_on(fleet.live(lives, (begin, end), &tally))?;
    let passed = fleet.world.traffic.counted().since(traffic);
    runtime.block_on(office.close());
    drop(office);
    fleet.world.set_way(Way::Cut);

    let (phones, days) = (to_f64(fleet.phones.len() as u64), f64::from(args.days));
    let received = tally.sums().received;
    let a_phone_a_day = |number: f64| number / phones / days;
    report.figure("phones", phones, "");
    report.met(&tally);
    for (name, number) in [
        ("syncs a phone a day", to_f64(tally.sums().syncs)),
        ("records a phone a day", to_f64(received)),
        ("requests a phone a day", to_f64(passed.requests)),
    ] {
        report.figure(name, a_phone_a_day(number), "");
    }
    report.figure(
        "a handshake on the wire, measured",
        fleet.wire.handshake,
        "B",
    );
    report.figure(
        "a request and its reply beside the HTTP, measured",
        fleet.wire.exchange,
        "B",
    );
    report.figure(
        "bytes both ways a phone a day",
        a_phone_a_day(fleet.wire.bytes(passed)),
        "B",
    );
    let handshakes = to_f64(passed.connections) * fleet.wire.handshake;
    report.figure("… of these handshakes", a_phone_a_day(handshakes), "B");
    report.grown(&fleet, database, received, Some(days));
    if waiting > 0 {
        report.broken(format!("{waiting} phones were not done at the end"));
    }
    if let Some(earlier) = &earlier {
        fleet.put_back(earlier)?;
    }
    report.looked(look::look(&fleet, runtime)?);
    Ok(report)
}

const DAY: Duration = Duration::from_hours(24);

/// Phones that were switched on within these hours sync at all times of the day.
const A_FEW_HOURS: Duration = Duration::from_hours(6);

/// Time goes on in such steps: who is due within one syncs at its end, with the others.
const STEP: Duration = Duration::from_secs(10);

/// What happens on a phone without its agent's doing, the next last.
struct Life(Vec<(Timestamp, Happening)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happening {
    /// An app comes or goes; the agent finds out when it looks.
    Change,
    /// The holder declares a message.
    Declaration,
}

impl Life {
    fn draw(phone: &Phone, begin: Timestamp, args: &Args) -> Self {
        let weeks = f64::from(args.days) / 7.0;
        let mut life = phone.draw(|luck| {
            let mut life = Vec::new();
            for (happening, mean) in [
                (Happening::Change, args.changes),
                (Happening::Declaration, args.declarations),
            ] {
                for _ in 0..poisson(luck, mean * weeks) {
                    let day = match happening {
                        Happening::Change => luck.u32(..args.days),
                        // Government business is done on working days.
                        Happening::Declaration => loop {
                            let day = luck.u32(..args.days);
                            if day % 7 < 5 {
                                break day;
                            }
                        },
                    };
                    // In waking hours.
                    let second = luck.u32(7 * 3_600..21 * 3_600);
                    let at = DAY * day + Duration::from_secs(second.into());
                    life.push((after(begin, at), happening));
                }
            }
            life
        });
        life.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Self(life)
    }

    fn next(&self) -> Timestamp {
        self.0.last().map_or(Timestamp::MAX, |(at, _)| *at)
    }

    fn take(&mut self, now: Timestamp) -> Vec<Happening> {
        let mut happened = Vec::new();
        while self.next() <= now {
            happened.extend(self.0.pop().map(|(_, happening)| happening));
        }
        happened
    }
}

/// A number of independent events (Knuth's method; the means here are small).
fn poisson(luck: &mut fastrand::Rng, mean: f64) -> u32 {
    let (least, mut product, mut number) = ((-mean).exp(), luck.f64(), 0);
    while product > least {
        product *= luck.f64();
        number += 1;
    }
    number
}

impl Fleet {
    /// Lets the phones live from one time to another; then who still has something to send sends
    /// it. Says how many could not.
    async fn live(
        &self,
        mut lives: Vec<Life>,
        (begin, end): (Timestamp, Timestamp),
        tally: &Arc<Tally>,
    ) -> Result<usize, Problem> {
        let mut calendar = Calendar::default();
        for phone in &self.phones {
            calendar.put(begin, phone.number);
        }
        let hours = end.duration_since(begin).as_hours();
        let bar = bar("hours", usize::try_from(hours)?);
        while let Some(now) = calendar.next().filter(|next| *next < end) {
            let now = after(now, STEP);
            self.world.clock.stand_at(now);
            let hour = now.duration_since(begin).as_hours();
            bar.set_position(u64::try_from(hour)?);
            let phones = calendar.take(now);
            for number in &phones {
                let happened = lives.get_mut(*number).map(|life| life.take(now));
                self.happen(*number, &happened.unwrap_or_default())?;
            }
            let hidden = indicatif::ProgressBar::hidden();
            for (phone, Woken { next, .. }) in self.wake(&phones, &hidden, tally).await? {
                let other = lives.get(phone).map_or(Timestamp::MAX, Life::next);
                calendar.put(next.min(other), phone);
            }
        }
        bar.set_message("the last");
        self.world.clock.stand_at(end);
        let last = self.each(&self.phones, AT_ONCE, &bar, |phone| {
            let (world, tally) = (Arc::clone(&self.world), Arc::clone(tally));
            async move {
                let status = phone.open(&world)?.status()?;
                if status.pending_posture + status.pending_records == 0 {
                    return Ok(true);
                }
                Ok(phone.wake(&world, Call::Holder, &tally).await.delivered)
            }
        });
        let waiting = last.await?.into_iter().filter(|done| !done).count();
        bar.finish_and_clear();
        Ok(waiting)
    }

    fn happen(&self, number: usize, happened: &[Happening]) -> Result<(), Problem> {
        let Some(phone) = self.phones.get(number) else {
            return Ok(());
        };
        for happening in happened {
            match happening {
                Happening::Change => phone.change_an_app(),
                Happening::Declaration => phone.declare(&phone.open(&self.world)?)?,
            }
        }
        Ok(())
    }

    /// Wakes these phones, some of them at once.
    pub(super) async fn wake(
        &self,
        numbers: &[usize],
        bar: &indicatif::ProgressBar,
        tally: &Arc<Tally>,
    ) -> Result<Vec<(usize, Woken)>, Problem> {
        let phones = numbers.iter().filter_map(|number| self.phones.get(*number));
        let phones: Vec<_> = phones.cloned().collect();
        self.each(&phones, AT_ONCE, bar, |phone| {
            let (world, tally) = (Arc::clone(&self.world), Arc::clone(tally));
            async move {
                let woken = phone.wake(&world, Call::Due, &tally).await;
                Ok((phone.number, woken))
            }
        })
        .await
    }
}

/// Phones that are awake at once.
const AT_ONCE: usize = 32;
