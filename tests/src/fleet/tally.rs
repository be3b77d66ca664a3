//! What the phones met, added up.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::bench::load::Met;

/// What the phones met.
#[derive(Default)]
pub(super) struct Tally(Mutex<Sums>);

/// The sums.
#[derive(Default)]
pub(super) struct Sums {
    /// Syncs that were begun.
    pub(super) syncs: u64,
    /// Syncs that followed one which failed.
    pub(super) retries: u64,
    /// Records whose receipts were verified.
    pub(super) received: u64,
    /// Failed syncs by code.
    pub(super) failures: BTreeMap<&'static str, u64>,
    /// Failed syncs that came with a `Retry-After`.
    pub(super) told_when: u64,
    /// How long the syncs took that went through.
    pub(super) took: Met,
    /// How much later a phone woke than it was to.
    pub(super) late: Met,
    /// How long it took until a phone had its receipts: in a herd from the time at which it was to
    /// sync, after an outage from its end.
    pub(super) delivered: Met,
    broken: BTreeMap<&'static str, (u64, String)>,
}

impl Tally {
    pub(super) fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something was wrong; of many alike the first stands for all.
    pub(super) fn broken(&self, rule: &'static str, detail: String) {
        let mut sums = self.sums();
        let (times, _) = sums.broken.entry(rule).or_insert((0, detail));
        *times += 1;
    }
}

impl Sums {
    /// What was wrong, a line each.
    pub(super) fn findings(&self) -> Vec<String> {
        let lines = self.broken.iter();
        lines
            .map(|(rule, (times, first))| format!("{rule} ({times} times): {first}"))
            .collect()
    }

    pub(super) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    pub(super) fn note(met: &mut Met, took: Duration) {
        met.latencies.push(took);
    }
}
