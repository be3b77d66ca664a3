//! What processes have used, as Linux tells (proc(5)), and what machine this is.

use std::fmt;
use std::fs::read_to_string;
use std::time::{Duration, Instant};

use serde::Serialize;

/// A process to look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watched(pub(crate) i32);

/// Ticks of processor time in a second: fixed for programs on Linux (`USER_HZ`).
const TICKS: f64 = 100.0;

impl Watched {
    /// This process.
    pub(crate) fn this() -> Self {
        Self(i32::try_from(std::process::id()).expect("a process id"))
    }

    /// Processor time that it has used in all its threads, in seconds, to 10 ms.
    pub(crate) fn processor_seconds(self) -> f64 {
        let stat = read_to_string(format!("/proc/{}/stat", self.0)).expect("Linux's /proc");
        // The name, in parentheses, may hold anything.
        let (_, rest) = stat.rsplit_once(')').expect("a name in parentheses");
        let mut fields = rest.split_whitespace().skip(11);
        let mut ticks = || -> f64 {
            let field = fields.next().expect("utime and stime");
            field.parse().expect("a number")
        };
        (ticks() + ticks()) / TICKS
    }

    /// Memory that it has now, in MB.
    pub(crate) fn resident_mb(self) -> f64 {
        self.status("VmRSS:")
    }

    /// The most memory that it ever had, in MB.
    pub(crate) fn peak_mb(self) -> f64 {
        self.status("VmHWM:")
    }

    fn status(self, name: &str) -> f64 {
        let status = read_to_string(format!("/proc/{}/status", self.0)).expect("Linux's /proc");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next());
        let kib: f64 = kib.and_then(|kib| kib.parse().ok()).expect("a size in kB");
        kib * 1024.0 / 1e6
    }
}

/// Wall time and processor time of a process, from a moment on.
pub(crate) struct Stretch {
    watched: Watched,
    begun: Instant,
    processor: f64,
}

impl Stretch {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long something takes is measured here"
    )]
    pub(crate) fn begin(watched: Watched) -> Self {
        Self {
            watched,
            begun: Instant::now(),
            processor: watched.processor_seconds(),
        }
    }

    pub(crate) fn wall(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn processor_seconds(&self) -> f64 {
        self.watched.processor_seconds() - self.processor
    }
}

/// Where the figures come from.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    load_average: String,
}

impl Machine {
    pub(crate) fn read() -> Self {
        let info = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .map(|line| line.trim_start_matches([' ', '\t', ':']).to_owned());
        let load = read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            processor: model.unwrap_or_else(|| "unknown processor".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load_average: load.split(' ').take(3).collect::<Vec<_>>().join(" "),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} cores, load average at the start {}",
            self.processor, self.cores, self.load_average
        )
    }
}
