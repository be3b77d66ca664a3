//! When the next sync is due.

use std::time::Duration;

use candour_wire::policy::Schedule;
use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};

/// First bound of the wait after a failure.
pub const BASE: Duration = Duration::from_secs(30);

/// Last bound of the wait after a failure.
pub const CAP: Duration = Duration::from_hours(6);

/// Spreads handsets over time. Not for secrets.
#[derive(Debug, Clone)]
pub struct Jitter(fastrand::Rng);

impl Jitter {
    /// Differs from handset to handset and from start to start.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness to give; nothing safe can be done then.
    #[must_use]
    pub fn from_system() -> Self {
        let mut seed = [0; 8];
        SystemRandom::new()
            .fill(&mut seed)
            .expect("the operating system gives randomness");
        Self::seeded(u64::from_ne_bytes(seed))
    }

    /// Gives the same waits each time.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Another one, which gives other waits.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self(self.0.fork())
    }

    /// A wait from nothing up to `most`, to the millisecond.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.0.u64(0..=millis))
    }
}

/// The wait after the `failures`th failure in a row (from 1), the first of them `failing_for` ago.
///
/// Full jitter: anything from nothing to a bound that doubles from [`BASE`] to [`CAP`]. Handsets
/// that failed together because a server went down do not come back together. Short waits come
/// first, so the bound may have doubled far beyond the time that has passed; it is no longer than
/// that (nor shorter than [`BASE`]), and everybody is back within as long again as the server was
/// away. Where the server said how long to stay away, the wait is at least that, and spread over
/// [`BASE`] or a quarter of it, whichever is longer.
pub fn after_failure(
    failures: u32,
    failing_for: Duration,
    retry_after: Option<Duration>,
    jitter: &mut Jitter,
) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let bound = (BASE * (1 << doublings)).min(failing_for.clamp(BASE, CAP));
    let waited = jitter.up_to(bound);
    match retry_after {
        Some(asked) => waited.max(asked + jitter.up_to((asked / 4).max(BASE))),
        None => waited,
    }
}

/// When the next sync is due after one that went through at `now`.
pub fn after_success(
    now: Timestamp,
    schedule: Option<&Schedule>,
    jitter: &mut Jitter,
) -> Timestamp {
    let interval = schedule.map_or(Duration::from_hours(6), |schedule| {
        seconds(schedule.sync_interval_s)
    });
    plus(now, interval + jitter.up_to(spread(schedule)))
}

/// When a record that is made at `now` should be sent: within the spread, so that phones that all
/// notice something at nine o'clock do not all call at nine o'clock.
pub fn after_record(now: Timestamp, schedule: Option<&Schedule>, jitter: &mut Jitter) -> Timestamp {
    plus(now, jitter.up_to(spread(schedule)))
}

/// The furthest that any of these can lie after `now`: a day's `Retry-After` and its spread, or
/// the schedule's interval and its spread.
pub(super) fn furthest(now: Timestamp, schedule: Option<&Schedule>) -> Timestamp {
    let scheduled = schedule.map_or(Duration::ZERO, |schedule| {
        seconds(schedule.sync_interval_s) + spread(Some(schedule))
    });
    plus(now, scheduled.max(Duration::from_hours(30)))
}

/// `now` and a while, at most a hundred years.
pub(super) fn plus(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = jiff::SignedDuration::try_from(wait.min(Duration::from_hours(100 * 365 * 24)))
        .unwrap_or_default();
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// The least that a policy may say, before there is one.
const SPREAD: Duration = Duration::from_secs(600);

fn spread(schedule: Option<&Schedule>) -> Duration {
    schedule.map_or(SPREAD, |schedule| seconds(schedule.sync_spread_s))
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_from_half_a_minute_to_six_hours() {
        let longest = |failures| {
            let mut jitter = Jitter::seeded(1);
            (0..2000)
                .map(|_| after_failure(failures, Duration::MAX, None, &mut jitter))
                .max()
                .unwrap()
        };
        for (failures, bound) in [(1, 30), (2, 60), (5, 480), (20, 21_600), (u32::MAX, 21_600)] {
            let (longest, bound) = (longest(failures), Duration::from_secs(bound));
            assert!(
                longest <= bound && longest > bound * 9 / 10,
                "{failures}: {longest:?} of {bound:?}"
            );
        }
    }

    #[test]
    fn nobody_waits_longer_than_the_server_has_been_away() {
        let longest = |minutes| {
            let mut jitter = Jitter::seeded(1);
            (0..2000)
                .map(|_| after_failure(9, Duration::from_mins(minutes), None, &mut jitter))
                .max()
                .unwrap()
        };
        for (minutes, bound) in [(0, 30), (5, 300), (60, 3600), (100_000, 7680)] {
            let (longest, bound) = (longest(minutes), Duration::from_secs(bound));
            assert!(
                longest <= bound && longest > bound * 9 / 10,
                "{minutes}: {longest:?} of {bound:?}"
            );
        }
    }

    #[test]
    fn handsets_that_failed_together_do_not_come_back_together() {
        let waits: std::collections::HashSet<_> = (0..1000)
            .map(|seed| after_failure(4, CAP, None, &mut Jitter::seeded(seed)).as_secs())
            .collect();
        assert!(
            waits.len() > 200,
            "{} different seconds of 240",
            waits.len()
        );
    }

    #[test]
    fn the_server_is_left_alone_for_as_long_as_it_asks() {
        for seed in 0..500 {
            let asked = Duration::from_secs(3600);
            let wait = after_failure(1, BASE, Some(asked), &mut Jitter::seeded(seed));
            assert!(wait >= asked && wait <= asked * 5 / 4, "{wait:?}");
            let wait = after_failure(1, BASE, Some(Duration::ZERO), &mut Jitter::seeded(seed));
            assert!(wait <= BASE, "{wait:?}");
        }
    }

    #[test]
    fn scheduled_syncs_are_spread_over_ten_minutes_at_least() {
        let now: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        let after: Vec<_> = (0..1000)
            .map(|seed| {
                after_success(now, None, &mut Jitter::seeded(seed))
                    .duration_since(now)
                    .as_secs()
                    - 6 * 3600
            })
            .collect();
        assert!(after.iter().all(|s| (0..=600).contains(s)));
        assert!(after.iter().max().unwrap() - after.iter().min().unwrap() > 500);
        let soon = after_record(now, None, &mut Jitter::seeded(3)).duration_since(now);
        assert!(soon.as_secs() <= 600);
    }

    #[test]
    fn a_time_beyond_the_calendar_is_its_end() {
        assert_eq!(plus(Timestamp::MAX, Duration::from_secs(1)), Timestamp::MAX);
        assert!(plus(Timestamp::UNIX_EPOCH, Duration::MAX) < Timestamp::MAX);
    }
}
