//! Damage to files: a bit flips, or a file ends early, at every place of every kind. What was
//! acknowledged is still there, or somebody is told that something is wrong.

mod dump;
mod phone;
mod places;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use clap::Parser;
use serde_json::{Value, json};

pub use self::phone::Victim as PhoneVictim;
pub use self::places::Place;
pub use self::server::Victim as ServerVictim;
use super::power_cut::Side;
use crate::program::Program;
use crate::progress::bar;

/// How much is tried.
#[derive(Debug, Clone, Parser)]
pub struct Args {
    /// Whose files.
    #[arg(long, value_enum, default_value_t = Side::Both)]
    pub side: Side,
    /// Places of each side and end, chosen at random; all where there are fewer.
    #[arg(long, default_value_t = 20_000)]
    pub places: usize,
    /// Seed.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Leaves out what tells an operator of damage that nothing else notices, `check`: the trial has
    /// to find that it is missing. The server's side only.
    #[arg(long)]
    pub control: bool,
    /// Answers in JSON.
    #[arg(long)]
    pub json: bool,
}

/// How the program ended whose files are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was killed: what was committed last stands in its store's log.
    Killed,
    /// In good order: there is no log.
    InOrder,
}

impl Ended {
    const ALL: [Self; 2] = [Self::Killed, Self::InOrder];
}

/// What came of one kind of damage.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Count {
    /// How often it was done.
    pub places: u64,
    /// What came of it, and how often.
    pub verdicts: BTreeMap<&'static str, u64>,
}

/// What came of it, by what was damaged.
#[derive(Debug, Default)]
pub struct Outcome {
    /// By file and structure.
    pub kinds: BTreeMap<String, Count>,
    /// The words or codes by which it was told.
    pub words: BTreeMap<String, u64>,
    /// What was lost without a word, and panics.
    pub findings: Vec<String>,
}

/// What came of damage at one place.
enum Verdict {
    /// Nothing.
    Harmless,
    /// It was told: where, and in which words.
    Told(&'static str, String),
    /// Something is not what it was, and nothing that is kept says what it should be.
    Unsaid(String),
    /// Something that was acknowledged is gone or altered, without a word. Wrong everywhere but where
    /// the damage cannot be told from a crash before the last commit was synced.
    Silent(String),
}

impl Outcome {
    fn count(&mut self, place: &Place, look: impl FnOnce() -> Verdict) {
        let looked = catch_unwind(AssertUnwindSafe(look));
        let count = self.kinds.entry(place.kind.clone()).or_default();
        count.places += 1;
        let verdict = match looked {
            Ok(Verdict::Harmless) => "harmless",
            Ok(Verdict::Told(by, word)) => {
                *self.words.entry(format!("{by}: {word}")).or_default() += 1;
                by
            }
            Ok(Verdict::Unsaid(what)) => {
                *self.words.entry(format!("unsaid: {what}")).or_default() += 1;
                "unsaid"
            }
            Ok(Verdict::Silent(lost)) => {
                if !place.is_like_a_crash() {
                    let finding = format!("{place}: lost without a word: {lost}");
                    self.findings.push(finding);
                }
                "silent"
            }
            Err(_) => {
                self.findings.push(format!("{place}: it panicked"));
                "panicked"
            }
        };
        *count.verdicts.entry(verdict).or_default() += 1;
    }

    /// How often this came of it, at all places.
    #[must_use]
    pub fn times(&self, verdict: &str) -> u64 {
        let counts = self.kinds.values();
        counts.filter_map(|count| count.verdicts.get(verdict)).sum()
    }

    fn to_json(&self, side: Side, ended: Ended) -> Value {
        let kinds = self.kinds.iter();
        let kinds = kinds.map(|(kind, count)| {
            json!({ "what": kind, "places": count.places, "came_of_it": count.verdicts })
        });
        json!({
            "side": format!("{side:?}").to_lowercase(),
            "killed": ended == Ended::Killed,
            "kinds": kinds.collect::<Vec<_>>(),
            "words": self.words,
            "wrong": self.findings.len(),
            "examples": self.findings.iter().take(EXAMPLES_MAX).collect::<Vec<_>>(),
        })
    }

    fn print(
        &self,
        side: Side,
        ended: Ended,
        out: &mut impl std::io::Write,
    ) -> std::io::Result<()> {
        let verdicts: BTreeSet<&str> = self
            .kinds
            .values()
            .flat_map(|count| count.verdicts.keys().copied())
            .collect();
        let title = match ended {
            Ended::Killed => "killed",
            Ended::InOrder => "ended in good order",
        };
        let title = format!("{side:?}, {title}").to_lowercase();
        write!(out, "{title:<46}{:>8}", "places")?;
        for verdict in &verdicts {
            write!(out, "{verdict:>12}")?;
        }
        writeln!(out)?;
        for (kind, count) in &self.kinds {
            write!(out, "{kind:<46}{:>8}", count.places)?;
            for verdict in &verdicts {
                let times = count.verdicts.get(verdict).copied().unwrap_or_default();
                write!(out, "{times:>12}")?;
            }
            writeln!(out)?;
        }
        let mut findings = self.findings.iter().take(EXAMPLES_MAX);
        findings.try_for_each(|finding| writeln!(out, "{finding}"))
    }
}

/// Findings that are printed in full.
const EXAMPLES_MAX: usize = 20;

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    fs::set_permissions(to, fs::metadata(from)?.permissions())
}

/// Runs the trial.
///
/// # Errors
///
/// When something cannot be set up.
pub fn run(args: &Args) -> Result<bool, String> {
    let program = Program::this()?;
    let mut outcomes = Vec::new();
    for ended in Ended::ALL {
        if args.side != Side::Server && !args.control {
            let victim = PhoneVictim::make(&program, args.seed, ended)?;
            let mut places = victim.places(args.seed)?;
            places.truncate(args.places);
            let places = bar("damaged", places.len()).wrap_iter(places.iter());
            outcomes.push((Side::Agent, ended, victim.suffer(places)?));
        }
        if args.side != Side::Agent {
            let mut victim = ServerVictim::make(&program, ended)?;
            let mut places = victim.places(args.seed)?;
            places.truncate(args.places);
            let places = bar("damaged", places.len()).wrap_iter(places.iter());
            outcomes.push((Side::Server, ended, victim.suffer(places, !args.control)?));
        }
    }
    let mut out = std::io::stdout();
    let failed = |error: std::io::Error| error.to_string();
    if args.json {
        let sides = outcomes
            .iter()
            .map(|(side, ended, outcome)| outcome.to_json(*side, *ended));
        writeln!(out, "{}", Value::from_iter(sides)).map_err(failed)?;
    } else {
        for (side, ended, outcome) in &outcomes {
            outcome.print(*side, *ended, &mut out).map_err(failed)?;
        }
    }
    Ok(outcomes
        .iter()
        .all(|(.., outcome)| outcome.findings.is_empty() != args.control))
}
