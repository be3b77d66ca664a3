//! `candour-tests simulate`: many seeds, or one with its trace.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use candour_core::adapters::clock::SystemClock;
use candour_core::ports::Clock as _;
use clap::Parser;

use super::control::{Control, Rule};
use super::{Coverage, Outcome, Runner};

/// Simulates phones, network and gateway under faults, one course of events a seed.
#[derive(Debug, Parser)]
#[command(name = "candour-tests simulate")]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    start: u64,
    /// One seed only.
    #[arg(long, conflicts_with_all = ["seeds", "start"])]
    seed: Option<u64>,
    /// Print what happened, with --seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Break a promise on purpose; the run fails unless that is found.
    #[arg(long)]
    control: Option<Control>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Stop after so many failing seeds.
    #[arg(long, default_value_t = 5)]
    failures_max: usize,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command; fails where a rule was broken, or a fault never happened.
pub fn run(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help goes to standard output, mistakes to standard error; neither can be helped.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let good = match arguments.seed {
        Some(seed) => one(seed, &arguments),
        None => many(&arguments),
    };
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[expect(clippy::print_stdout, reason = "this is a command line")]
fn one(seed: u64, arguments: &Arguments) -> bool {
    let outcome = Runner::new().run_seed(seed, arguments.control);
    if arguments.trace {
        for line in &outcome.trace {
            println!("{line}");
        }
    }
    for violation in &outcome.violations {
        println!("seed {seed}: {:?}: {}", violation.rule, violation.detail);
    }
    if outcome.violations.is_empty() {
        println!("seed {seed}: all is well");
    }
    outcome.violations.is_empty() != arguments.control.is_some()
}

/// What all seeds came to.
#[derive(Default)]
struct Sum {
    seeds: u64,
    coverage: Coverage,
    failed: Vec<Outcome>,
    rules: BTreeMap<Rule, u64>,
}

#[expect(clippy::print_stdout, reason = "this is a command line")]
fn many(arguments: &Arguments) -> bool {
    let begun = SystemClock.now();
    let bar = indicatif::ProgressBar::new(arguments.seeds);
    let next = AtomicU64::new(arguments.start);
    let end = arguments.start.saturating_add(arguments.seeds);
    let sum = Mutex::new(Sum::default());
    let work = || {
        let runner = Runner::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let enough = || {
                sum.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .failed
                    .len()
            };
            if seed >= end || arguments.control.is_none() && enough() >= arguments.failures_max {
                break;
            }
            let outcome = runner.run_seed(seed, arguments.control);
            sum.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .add(outcome);
            bar.inc(1);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..arguments.jobs {
            scope.spawn(work);
        }
        work();
    });
    bar.finish_and_clear();
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    let seconds = SystemClock.now().duration_since(begun).as_secs_f64();
    let good = match arguments.control {
        None => sum.failed.is_empty() && (sum.seeds < ENOUGH || sum.coverage.missing().is_empty()),
        Some(control) => control
            .caught_by()
            .iter()
            .any(|rule| sum.rules.contains_key(rule)),
    };
    if arguments.json {
        println!("{}", sum.json(seconds, good));
    } else {
        sum.print(seconds, arguments);
    }
    good
}

/// Seeds after which every fault must have happened.
const ENOUGH: u64 = 2_000;

impl Sum {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.coverage.merge(&outcome.coverage);
        for violation in &outcome.violations {
            *self.rules.entry(violation.rule).or_default() += 1;
        }
        if !outcome.violations.is_empty() {
            self.failed.push(outcome);
        }
    }

    fn json(&self, seconds: f64, good: bool) -> serde_json::Value {
        let counts: BTreeMap<_, _> = self.coverage.all().collect();
        let failed: Vec<_> = self.failed.iter().map(|outcome| outcome.seed).collect();
        serde_json::json!({
            "seeds": self.seeds,
            "seconds": seconds,
            "good": good,
            "failed_seeds": failed,
            "never_met": self.coverage.missing(),
            "met": counts,
        })
    }

    #[expect(clippy::print_stdout, reason = "this is a command line")]
    fn print(&self, seconds: f64, arguments: &Arguments) {
        for (what, times) in self.coverage.all() {
            println!("{times:>10}  {what}");
        }
        println!();
        for outcome in self.failed.iter().take(arguments.failures_max) {
            for violation in &outcome.violations {
                println!(
                    "seed {}: {:?}: {}",
                    outcome.seed, violation.rule, violation.detail
                );
            }
            if arguments.control.is_none() {
                println!("  candour-tests simulate --seed {} --trace", outcome.seed);
            }
        }
        let missing = self.coverage.missing();
        if self.seeds >= ENOUGH && arguments.control.is_none() && !missing.is_empty() {
            println!("never met: {}", missing.join(", "));
        }
        let (seeds, failed) = (self.seeds, self.failed.len());
        println!("{seeds} seeds in {seconds:.1} s, {failed} with a broken rule");
    }
}
