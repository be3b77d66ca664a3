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
use fastrand::Rng;
use serde_json::{Value, json};

pub use self::phone::Victim as PhoneVictim;
use self::places::Harm;
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
    #[arg(long, default_value_t = 100_000)]
    pub places: usize,
    /// How many are tried at a time, each on files of its own: the programs wait more than they
    /// compute.
    #[arg(long, default_value_t = 4)]
    pub jobs: usize,
    /// Seed.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Leaves out what tells an operator of damage that nothing else notices, `check`: the trial has
    /// to find that it is missing. The server's side only: the phone's begins with its control.
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

/// Every so many places, from one of the first on: neighbours are of different shares. Each job has
/// files of its own, so what there is once, that a file is gone or empty, is in every share.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    number: usize,
    of: usize,
}

impl Share {
    /// All places.
    pub const ALL: Self = Self { number: 0, of: 1 };

    fn of(self, places: Vec<Place>, rng: &mut Rng) -> Vec<Place> {
        let ours = |(at, place): &(usize, Place)| {
            at % self.of == self.number || matches!(place.harm, Harm::Gone | Harm::Cut(0))
        };
        let share = places.into_iter().enumerate().filter(ours);
        let mut share: Vec<_> = share.map(|(_, place)| place).collect();
        rng.shuffle(&mut share);
        share
    }
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
#[derive(Debug)]
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

    fn add(&mut self, other: Self) {
        for (kind, count) in other.kinds {
            let sum = self.kinds.entry(kind).or_default();
            sum.places += count.places;
            for (verdict, times) in count.verdicts {
                *sum.verdicts.entry(verdict).or_default() += times;
            }
        }
        for (word, times) in other.words {
            *self.words.entry(word).or_default() += times;
        }
        self.findings.extend(other.findings);
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
    if args.control && args.side == Side::Agent {
        return Err(
            "--control is of the server's side; the phone's begins with its own".to_owned(),
        );
    }
    let mut out = std::io::stdout();
    let failed = |error: std::io::Error| error.to_string();
    let sides = [Side::Agent, Side::Server].into_iter();
    let sides = sides.filter(|side| args.side == *side || args.side == Side::Both);
    let mut answers = Vec::new();
    let mut good = true;
    for side in sides.filter(|side| *side == Side::Server || !args.control) {
        for ended in Ended::ALL {
            let outcome = suffer(args, side, ended)?;
            good &= outcome.findings.is_empty() != args.control;
            if args.json {
                answers.push(outcome.to_json(side, ended));
            } else {
                outcome.print(side, ended, &mut out).map_err(failed)?;
            }
        }
    }
    if args.json {
        writeln!(out, "{}", Value::from(answers)).map_err(failed)?;
    }
    Ok(good)
}

/// Damages what one side has left, several copies at a time.
fn suffer(args: &Args, side: Side, ended: Ended) -> Result<Outcome, String> {
    let program = Program::this()?;
    let jobs = args.jobs.max(1);
    let bar = bar("damaged", 0);
    let job = |number: usize| {
        let share = Share { number, of: jobs };
        let seed = args.seed * 1_000 + number as u64;
        let few = args.places / jobs + usize::from(number < args.places % jobs);
        let counted = |places: Vec<Place>| {
            let places: Vec<_> = places.into_iter().take(few).collect();
            bar.inc_length(places.len() as u64);
            places
        };
        let inc = |_: &&Place| bar.inc(1);
        if side == Side::Server {
            let mut victim = ServerVictim::make(&program, ended)?;
            let places = counted(victim.places(seed, share)?);
            victim.suffer(places.iter().inspect(inc), !args.control)
        } else {
            let victim = PhoneVictim::make(&program, seed, ended)?;
            let places = counted(victim.places(seed, share)?);
            victim.suffer(places.iter().inspect(inc))
        }
    };
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..jobs)
            .map(|number| {
                let job = &job;
                scope.spawn(move || job(number))
            })
            .collect();
        let mut sum = Outcome::default();
        for job in jobs {
            sum.add(job.join().map_err(|_| "a job panicked")??);
        }
        Ok(sum)
    })
}
