//! One clock for all phones and for the gateway in this process: it stands where it is put, or runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use candour_core::adapters::clock::SystemClock;
use candour_core::ports::Clock as _;
use jiff::Timestamp;

/// The fleet's clock. To begin with it is the system's.
#[derive(Debug, Default)]
pub(super) struct FleetClock {
    stands: AtomicBool,
    /// What it shows while it stands, else by how much it is ahead of the system's clock.
    ms: AtomicI64,
}

impl FleetClock {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Puts it somewhere, where it stands.
    pub(super) fn stand_at(&self, at: Timestamp) {
        self.ms.store(at.as_millisecond(), Ordering::SeqCst);
        self.stands.store(true, Ordering::SeqCst);
    }

    /// Lets it run on from where it stands. Returns by how much it is behind the system's clock.
    pub(super) fn run_on(&self) -> Duration {
        let ahead = self.now().as_millisecond() - SystemClock.now().as_millisecond();
        self.ms.store(ahead, Ordering::SeqCst);
        self.stands.store(false, Ordering::SeqCst);
        Duration::from_millis(u64::try_from(-ahead).unwrap_or(0))
    }

    /// Sets it by the system's clock.
    pub(super) fn follow_system(&self) {
        self.ms.store(0, Ordering::SeqCst);
        self.stands.store(false, Ordering::SeqCst);
    }

    pub(super) fn now(&self) -> Timestamp {
        let ms = self.ms.load(Ordering::SeqCst);
        let ms = if self.stands.load(Ordering::SeqCst) {
            ms
        } else {
            SystemClock.now().as_millisecond().saturating_add(ms)
        };
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
    }

    /// Waits until a running clock shows this time.
    pub(super) async fn wait_for(&self, time: Timestamp) {
        tokio::time::sleep(until(self.now(), time)).await;
    }
}

/// From one time to a later one; nothing where it is not later.
pub(super) fn until(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// A time and a while.
pub(super) fn after(from: Timestamp, wait: Duration) -> Timestamp {
    from.checked_add(wait).unwrap_or(Timestamp::MAX)
}

impl candour_core::ports::Clock for FleetClock {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }
}

impl candour_server::clock::Clock for FleetClock {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }
}
