//! What one handset may send in a day, and what is left free on the disk.
//!
//! Both keep the department's disk from being filled: by a handset that was modified or has run
//! wild, and by all of them together. Neither loses anything: a handset keeps what was refused
//! and comes back.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use candour_wire::Digest;
use jiff::Timestamp;

/// Seconds of a day, which begins at midnight UTC.
const DAY_S: i64 = 86_400;

/// What each handset has sent today. It is counted in memory, so a restart begins the day anew.
#[derive(Debug)]
pub(super) struct Budget {
    daily_bytes: u64,
    spent: Mutex<Spent>,
}

/// One entry for each enrolled handset at most.
#[derive(Debug, Default)]
struct Spent {
    day: i64,
    bytes: HashMap<Digest, u64>,
}

impl Budget {
    pub(super) fn new(daily_bytes: u64) -> Self {
        Self {
            daily_bytes,
            spent: Mutex::default(),
        }
    }

    /// Notes bytes that the handset with this key has sent.
    pub(super) fn spend(&self, key: Digest, bytes: usize, now: Timestamp) {
        self.with_spent(now, |spent| {
            let sum = spent.entry(key).or_default();
            *sum = sum.saturating_add(bytes as u64);
        });
    }

    /// The seconds until the handset with this key may send again; `None` while it may. A request
    /// that was begun within the budget is taken to its end.
    pub(super) fn closed_for_s(&self, key: Digest, now: Timestamp) -> Option<u32> {
        let spent = self.with_spent(now, |spent| spent.get(&key).copied().unwrap_or_default());
        let left = DAY_S - now.as_second().rem_euclid(DAY_S);
        (spent >= self.daily_bytes).then(|| u32::try_from(left).unwrap_or(1))
    }

    fn with_spent<T>(
        &self,
        now: Timestamp,
        work: impl FnOnce(&mut HashMap<Digest, u64>) -> T,
    ) -> T {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let day = now.as_second().div_euclid(DAY_S);
        if spent.day != day {
            *spent = Spent {
                day,
                bytes: HashMap::new(),
            };
        }
        work(&mut spent.bytes)
    }
}

/// Room on the disk that records and files do not get: revocations, enrolments, the audit trail
/// and the store's own upkeep need some when everything else is full.
#[derive(Debug)]
pub(super) struct Reserve {
    disk: Option<PathBuf>,
    least: u64,
    free: AtomicU64,
}

impl Default for Reserve {
    /// No reserve.
    fn default() -> Self {
        Self {
            disk: None,
            least: 0,
            free: AtomicU64::new(u64::MAX),
        }
    }
}

impl Reserve {
    pub(super) fn new(disk: PathBuf, least: u64) -> Self {
        Self {
            disk: Some(disk),
            least,
            ..Self::default()
        }
    }

    /// Looks how much is free now. Blocks on the disk.
    pub(super) fn look(&self) -> io::Result<u64> {
        if let Some(disk) = &self.disk {
            let found = rustix::fs::statvfs(disk)?;
            // What users without privilege get, who the server is one of.
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            self.free.store(free, Ordering::Relaxed);
        }
        Ok(self.free.load(Ordering::Relaxed))
    }

    /// Whether there was room when it was last looked at.
    pub(super) fn has_room(&self) -> bool {
        self.free.load(Ordering::Relaxed) >= self.least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handset_that_has_sent_its_share_waits_until_midnight_and_others_do_not() {
        let budget = Budget::new(100);
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let evening = at("2026-11-22T23:59:30Z");
        let (loud, quiet) = (Digest::of(b"loud"), Digest::of(b"quiet"));
        budget.spend(loud, 99, evening);
        assert_eq!(budget.closed_for_s(loud, evening), None);
        budget.spend(loud, usize::MAX, evening);
        assert_eq!(budget.closed_for_s(loud, evening), Some(30));
        assert_eq!(budget.closed_for_s(quiet, evening), None);
        let midnight = at("2026-11-23T00:00:00Z");
        assert_eq!(budget.closed_for_s(loud, midnight), None);
    }

    #[test]
    fn the_reserve_is_reached_when_less_is_free_than_it_asks_for() {
        let here = std::env::temp_dir();
        let modest = Reserve::new(here.clone(), 1);
        assert!(modest.look().unwrap() > 0);
        assert!(modest.has_room());
        let greedy = Reserve::new(here, u64::MAX);
        greedy.look().unwrap();
        assert!(!greedy.has_room());
        assert!(Reserve::new("/no/such/directory".into(), 1).look().is_err());
    }
}
