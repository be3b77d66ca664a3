//! What a run costs the server, by the kernel and by its own counters.

use std::collections::BTreeMap;

use tokio::runtime::Runtime;

use crate::bench::usage::{Stretch, Watched};
use crate::department::Department;

/// The server at the beginning of a run.
pub(super) struct Watch {
    watched: Watched,
    stretch: Stretch,
    resident_mb: f64,
    gateway: BTreeMap<String, u64>,
}

/// A server that nobody asks anything.
pub(super) struct Idle(Stretch);

impl Idle {
    pub(super) fn begin(department: &Department) -> Self {
        let watched = Watched(department.process().pid().as_raw_nonzero().get());
        Self(Stretch::begin(watched))
    }

    /// Processor time that it has used in a second since, in seconds.
    pub(super) fn each_second(&self) -> f64 {
        self.0.processor_seconds() / self.0.wall().as_secs_f64()
    }
}

/// What a run cost it.
pub(super) struct Served {
    pub(super) processor_seconds: f64,
    pub(super) wall_seconds: f64,
    pub(super) resident_before_mb: f64,
    pub(super) peak_mb: f64,
    /// By how much the gateway's counters went up.
    pub(super) gateway: BTreeMap<String, u64>,
}

impl Watch {
    pub(super) fn begin(department: &Department, runtime: &Runtime) -> Self {
        let watched = Watched(department.process().pid().as_raw_nonzero().get());
        Self {
            watched,
            stretch: Stretch::begin(watched),
            resident_mb: watched.resident_mb(),
            gateway: runtime.block_on(counters(department)),
        }
    }

    pub(super) fn end(&self, department: &Department, runtime: &Runtime) -> Served {
        let mut gateway = runtime.block_on(counters(department));
        for (name, count) in &mut gateway {
            *count -= self.gateway.get(name).copied().unwrap_or(0).min(*count);
        }
        gateway.retain(|_, count| *count > 0);
        Served {
            processor_seconds: self.stretch.processor_seconds(),
            wall_seconds: self.stretch.wall().as_secs_f64(),
            resident_before_mb: self.resident_mb,
            peak_mb: self.watched.peak_mb(),
            gateway,
        }
    }
}

impl Served {
    /// The sum of a counter with all of these labels.
    pub(super) fn gateway_total(&self, name: &str, labels: &[&str]) -> u64 {
        let counters = self.gateway.iter();
        counters
            .filter(|(key, _)| {
                key.starts_with(name) && labels.iter().all(|label| key.contains(label))
            })
            .map(|(_, count)| count)
            .sum()
    }
}

/// What is shown of the gateway's counters.
const SHOWN: [&str; 5] = [
    "crowded_out",
    "failures",
    "handshakes",
    "records",
    "refusals",
];

async fn counters(department: &Department) -> BTreeMap<String, u64> {
    let text = department.ops("/metrics").await.unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let (name, count) = line.strip_prefix("candour_")?.rsplit_once(' ')?;
        let shown = SHOWN.iter().any(|shown| name.starts_with(shown));
        shown.then(|| Some((name.to_owned(), count.trim().parse().ok()?)))?
    });
    lines.collect()
}
