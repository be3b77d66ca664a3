//! Damage to a phone's files: a bit flips, or a file ends early, at every place of every kind. What
//! was acknowledged is still there, or the agent says that something is wrong; it never goes on as
//! if nothing had been.

mod places;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use candour_core::Config;
use clap::Parser;
use fastrand::Rng;
use serde_json::json;
use tokio::runtime::Runtime;

use self::places::Place;
use super::facts::Known;
use super::kill::{LoadedPhone, Witness};
use super::power_cut::fast_dir;
use crate::department::Department;
use crate::handset::Handset;
use crate::program::Program;

/// How much is tried.
#[derive(Debug, Clone, Parser)]
pub struct Args {
    /// Places, chosen at random; all where there are fewer.
    #[arg(long, default_value_t = 20_000)]
    pub places: usize,
    /// Seed.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Answers in JSON.
    #[arg(long)]
    pub json: bool,
}

/// Things that the agent has acknowledged before its files are damaged.
const FACTS: usize = 80;

/// What came of one kind of damage.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Count {
    /// How often it was done.
    pub places: u64,
    /// How often it did no harm.
    pub harmless: u64,
    /// How often the agent said that something is wrong.
    pub told: u64,
    /// How often something was lost without a word. Wrong everywhere but where the damage cannot
    /// be told from a crash before the last commit was synced.
    pub silent: u64,
}

/// What came of it, by what was damaged.
#[derive(Debug, Default)]
pub struct Outcome {
    /// By file and structure.
    pub kinds: BTreeMap<String, Count>,
    /// The codes by which it was told.
    pub codes: BTreeMap<String, u64>,
    /// What was lost without a word, and panics.
    pub findings: Vec<String>,
}

/// A phone whose agent was killed at its work, so that its store has a log.
pub struct Victim {
    phone: LoadedPhone,
    known: Known,
    config: Config,
    _department: Department,
}

impl Victim {
    /// Lets an agent work and kills it.
    ///
    /// # Errors
    ///
    /// When it does not work.
    ///
    /// # Panics
    ///
    /// When the department does not get ready.
    pub fn make(program: &Program, seed: u64) -> Result<Self, String> {
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let department = Department::start(program);
        let witness = Witness::new(seed);
        let mut phone = runtime.block_on(LoadedPhone::enrol(&department, 0, &witness))?;
        phone.start(program, seed, 0, false)?;
        for _ in 0..FACTS {
            phone.wait_for_a_fact()?;
        }
        phone.kill();
        Ok(Self {
            known: phone.known(),
            phone,
            config: department.config(),
            _department: department,
        })
    }

    /// Damages a copy of the phone at each of these places in turn.
    ///
    /// # Errors
    ///
    /// When there is no room for copies.
    pub fn suffer(&self, places: &[Place]) -> Result<Outcome, String> {
        let mut outcome = Outcome::default();
        let dir = fast_dir()?;
        let home = dir.path().join("home");
        for place in places {
            copy(&self.phone.home(), &home).map_err(|error| error.to_string())?;
            place.harm(&home).map_err(|error| error.to_string())?;
            let looked = catch_unwind(AssertUnwindSafe(|| self.look(&home)));
            let count = outcome.kinds.entry(place.kind.clone()).or_default();
            count.places += 1;
            match looked {
                Ok(Verdict::Harmless) => count.harmless += 1,
                Ok(Verdict::Told(codes)) => {
                    count.told += 1;
                    for code in codes {
                        *outcome.codes.entry(code).or_default() += 1;
                    }
                }
                Ok(Verdict::Silent(lost)) => {
                    count.silent += 1;
                    if !place.is_like_a_crash() {
                        let finding = format!("{place}: lost without a word: {lost:?}");
                        outcome.findings.push(finding);
                    }
                }
                Err(_) => outcome.findings.push(format!("{place}: it panicked")),
            }
            fs::remove_dir_all(&home).map_err(|error| error.to_string())?;
        }
        Ok(outcome)
    }

    /// Every place of every file.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn places(&self, seed: u64) -> Result<Vec<Place>, String> {
        let mut rng = Rng::with_seed(seed);
        let mut places = places::of(&self.phone.home(), &mut rng)?;
        rng.shuffle(&mut places);
        Ok(places)
    }

    fn look(&self, home: &Path) -> Verdict {
        let agent = match Handset::at(home).try_open(self.config.clone()) {
            Ok(agent) => agent,
            Err(error) => return Verdict::Told(vec![error.code().as_str().into()]),
        };
        let (status, sent, drafts) = match (agent.status(), agent.sent(), agent.drafts()) {
            (Ok(status), Ok(sent), Ok(drafts)) => (status, sent, drafts),
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
                return Verdict::Told(vec![error.code().as_str().into()]);
            }
        };
        let codes: Vec<String> = status
            .problems
            .into_iter()
            .map(|problem| problem.code)
            .filter(|code| !self.usual(code))
            .collect();
        if !codes.is_empty() {
            return Verdict::Told(codes);
        }
        if sent.iter().any(|item| item.refused.is_some()) {
            return Verdict::Told(vec!["listed as damaged".into()]);
        }
        let records = self.known.declared.keys().chain(&self.known.queued);
        let lost_records = records.filter(|id| !sent.iter().any(|item| item.id == **id));
        let there = |id| {
            drafts
                .iter()
                .any(|(draft, content)| *draft == id && content.is_some())
        };
        let lost_drafts = self.known.drafts.keys().filter(|id| !there(**id));
        let lost: Vec<String> = lost_records
            .chain(lost_drafts)
            .map(ToString::to_string)
            .collect();
        // What cannot be read is listed as such, and that is a word.
        if lost.is_empty() || drafts.iter().any(|(_, content)| content.is_none()) {
            Verdict::Harmless
        } else {
            Verdict::Silent(lost)
        }
    }

    /// Problems that the phone had before: what lies between it and the department cuts.
    fn usual(&self, code: &str) -> bool {
        code == "unreachable"
    }
}

enum Verdict {
    Harmless,
    Told(Vec<String>),
    Silent(Vec<String>),
}

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
    let victim = Victim::make(&Program::this()?, args.seed)?;
    let mut places = victim.places(args.seed)?;
    places.truncate(args.places);
    let outcome = victim.suffer(&places)?;
    let mut out = std::io::stdout();
    let failed = |error: std::io::Error| error.to_string();
    if args.json {
        let kinds: Vec<_> = outcome
            .kinds
            .iter()
            .map(|(kind, count)| {
                json!({
                    "what": kind,
                    "places": count.places,
                    "harmless": count.harmless,
                    "told": count.told,
                    "silent": count.silent,
                })
            })
            .collect();
        let answer = json!({
            "kinds": kinds,
            "codes": outcome.codes,
            "wrong": outcome.findings.len(),
            "examples": outcome.findings.iter().take(20).collect::<Vec<_>>(),
        });
        writeln!(out, "{answer}").map_err(failed)?;
        return Ok(outcome.findings.is_empty());
    }
    writeln!(
        out,
        "{:<44}{:>8}{:>10}{:>8}{:>8}",
        "what", "places", "harmless", "told", "silent"
    )
    .map_err(failed)?;
    for (kind, count) in &outcome.kinds {
        let Count {
            places,
            harmless,
            told,
            silent,
        } = count;
        writeln!(
            out,
            "{kind:<44}{places:>8}{harmless:>10}{told:>8}{silent:>8}"
        )
        .map_err(failed)?;
    }
    for finding in outcome.findings.iter().take(20) {
        writeln!(out, "{finding}").map_err(failed)?;
    }
    Ok(outcome.findings.is_empty())
}
