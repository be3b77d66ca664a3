//! What a run came to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::look::Looked;
use super::muster::{Fleet, to_f64};
use super::tally::Tally;
use super::watch::Served;
use crate::bench::usage::{Machine, Watched};

/// What a run came to.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    scenario: String,
    seed: u64,
    machine: Machine,
    figures: Vec<Figure>,
    /// Failed syncs by code, as the phones had them.
    failures: BTreeMap<&'static str, u64>,
    /// What the gateway counted, by name.
    gateway: BTreeMap<String, u64>,
    /// What was wrong; empty where all is well.
    broken: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
}

impl Report {
    pub(super) fn begin(scenario: String, seed: u64) -> Self {
        Self {
            scenario,
            seed,
            machine: Machine::read(),
            figures: Vec::new(),
            failures: BTreeMap::new(),
            gateway: BTreeMap::new(),
            broken: Vec::new(),
        }
    }

    pub(super) fn figure(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.figures.push(Figure { name, value, unit });
    }

    pub(super) fn broken(&mut self, what: String) {
        self.broken.push(what);
    }

    /// What the phones met.
    pub(super) fn met(&mut self, tally: &Tally) {
        let mut sums = tally.sums();
        self.figure("records acknowledged", to_f64(sums.received), "");
        self.figure("syncs", to_f64(sums.syncs), "");
        self.figure("… that failed", to_f64(sums.failed()), "");
        self.figure(
            "… of these told when to come back",
            to_f64(sums.told_when),
            "",
        );
        self.figure("… that were retries", to_f64(sums.retries), "");
        if !sums.took.latencies.is_empty() {
            for (name, share) in [("sync: p50", 0.5), ("sync: p99", 0.99)] {
                self.figure(name, sums.took.quantile_ms(share), "ms");
            }
        }
        if !sums.delivered.latencies.is_empty() {
            for (name, share) in [
                ("until a phone has its receipts: p50", 0.5),
                ("until a phone has its receipts: p90", 0.9),
                ("until a phone has its receipts: p99", 0.99),
            ] {
                self.figure(name, sums.delivered.quantile_ms(share) / 1e3, "s");
            }
        }
        if !sums.late.latencies.is_empty() {
            let late = sums.late.quantile_ms(0.99);
            self.figure(
                "phones woken later than they were due, by this machine: p99",
                late,
                "ms",
            );
        }
        self.failures.clone_from(&sums.failures);
        self.broken.append(&mut sums.findings());
    }

    /// What it cost the server beside what it uses in a second while nobody asks it anything.
    pub(super) fn served(&mut self, served: &Served, idle: f64, received: u64) {
        let handshakes = served.gateway_total("handshakes_total", &["handset", "ok"]);
        let all = served.processor_seconds;
        let cpu = all - (idle * served.wall_seconds).min(all);
        self.figure("server: processor time", all, "s");
        self.figure("… of each second while it is idle", idle * 1e3, "ms");
        self.figure("… without that", cpu, "s");
        self.figure("… a record", cpu * 1e6 / to_f64(received.max(1)), "µs");
        self.figure("… a handshake", cpu * 1e6 / to_f64(handshakes.max(1)), "µs");
        self.figure("server: memory before", served.resident_before_mb, "MB");
        self.figure("server: peak memory", served.peak_mb, "MB");
        self.gateway.clone_from(&served.gateway);
    }

    /// How much the database grew, and what this process took.
    pub(super) fn grown(&mut self, fleet: &Fleet, before: u64, received: u64, days: Option<f64>) {
        let phones = to_f64(fleet.phones.len() as u64);
        let grown = to_f64(fleet.database_bytes().saturating_sub(before));
        self.figure("database before", to_f64(before) / 1e6, "MB");
        self.figure("… growth", grown / 1e6, "MB");
        self.figure("… a record", grown / to_f64(received.max(1)), "B");
        if let Some(days) = days {
            self.figure("… a handset a day", grown / phones / days, "B");
        }
        self.figure("all phones: peak memory", Watched::this().peak_mb(), "MB");
    }

    /// What the independent look found.
    pub(super) fn looked(&mut self, looked: Looked) {
        self.figure("records in the department's books", to_f64(looked.kept), "");
        self.figure("… acknowledged to phones", to_f64(looked.acknowledged), "");
        self.broken.extend(looked.findings);
    }

    pub(super) fn all_is_well(&self) -> bool {
        self.broken.is_empty()
    }

    /// As Markdown, which people read as well.
    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "{}\nseed {}; {}; phones and gateway share it\n\n| figure | measured | |\n|---|---:|---|\n",
            self.scenario, self.seed, self.machine
        );
        for Figure { name, value, unit } in &self.figures {
            // Writing to a text does not fail.
            let _ = writeln!(text, "| {name} | {} | {unit} |", short(*value));
        }
        for (code, times) in &self.failures {
            let _ = writeln!(text, "| failed: `{code}` | {times} | |");
        }
        for (name, count) in &self.gateway {
            let _ = writeln!(text, "| gateway: `{name}` | {count} | |");
        }
        text.push('\n');
        for broken in &self.broken {
            let _ = writeln!(text, "BROKEN: {broken}");
        }
        if self.all_is_well() {
            text.push_str("everything was delivered, once, and every receipt holds\n");
        }
        text
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and texts serialise")
    }
}

/// Whole where it is large, three digits or so where it is not.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || size.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
