//! One time for the whole simulation, and clocks that show it more or less right.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// The true time, in milliseconds since 1970. It moves only when the simulation moves it.
#[derive(Debug, Clone)]
pub(super) struct Time(Arc<AtomicI64>);

/// 22 November 2026, 10:00 UTC: every seed begins here.
const BEGIN_MS: i64 = 1_795_341_600_000;

impl Time {
    pub(super) fn begin() -> Self {
        Self(Arc::new(AtomicI64::new(BEGIN_MS)))
    }

    pub(super) fn ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    pub(super) fn advance(&self, ms: i64) {
        self.0.fetch_add(ms.max(0), Ordering::SeqCst);
    }
}

/// A clock on the wall of a phone or of the gateway.
#[derive(Debug)]
pub(super) struct WallClock {
    time: Time,
    offset_ms: AtomicI64,
}

impl WallClock {
    pub(super) fn new(time: &Time) -> Arc<Self> {
        Arc::new(Self {
            time: time.clone(),
            offset_ms: AtomicI64::new(0),
        })
    }

    pub(super) fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::SeqCst)
    }

    pub(super) fn set_offset_ms(&self, offset: i64) {
        self.offset_ms.store(offset, Ordering::SeqCst);
    }

    pub(super) fn shows(&self) -> Timestamp {
        let ms = self.time.ms().saturating_add(self.offset_ms());
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
    }
}

impl candour_core::ports::Clock for WallClock {
    fn now(&self) -> Timestamp {
        self.shows()
    }
}

impl candour_server::clock::Clock for WallClock {
    fn now(&self) -> Timestamp {
        self.shows()
    }
}
