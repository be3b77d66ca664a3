//! `kill -9` under load: agents and servers die at any moment, while what lies between them
//! delays, cuts and swallows replies. In the end everything that was acknowledged is there, once.

mod phones;
mod witness;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use clap::Parser;
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

pub(super) use self::phones::{LoadedPhone, sync_patiently};
pub(super) use self::witness::Witness;
use super::books::Books;
use super::phone_check::{Findings, PhoneCheck};
use super::power_cut::{Side, fast_dir, say};
use crate::department::Department;
use crate::program::Program;

/// What is tried, and how much of it.
#[derive(Debug, Clone, Parser)]
pub struct Args {
    /// Who is killed.
    #[arg(long, value_enum, default_value_t = Side::Both)]
    pub side: Side,
    /// How often, on each side.
    #[arg(long, default_value_t = 1_000)]
    pub kills: u64,
    /// How often an agent is killed that is broken on purpose.
    #[arg(long, default_value_t = 100)]
    pub control_kills: u64,
    /// Seed.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Answers in JSON.
    #[arg(long)]
    pub json: bool,
}

/// Phones that work at the same time.
const PHONES: u64 = 3;

/// Longest time, in milliseconds, that a victim lives after it has begun to work.
const LIFE_MS: u64 = 300;

/// Kills of a server in which all that the trial is about happens: some 360 records in a
/// thousand kills would have been lost.
const OFTEN: u64 = 100;

/// How long a phone rests after each thing that it does while the server is being killed, in
/// milliseconds: what it makes between two syncs must not fill its outbox.
const REST_MS: u64 = 15;

/// After so many kills of the server its books are looked at before it is started again.
const LOOK_EVERY: u64 = 10;

/// Who is killed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Victim {
    /// Agents.
    #[default]
    Agent,
    /// Agents that are broken on purpose: they say yes before they have committed.
    EarlyAgent,
    /// Servers.
    Server,
}

impl Victim {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::EarlyAgent => "agent, acknowledged before the commit",
            Self::Server => "server",
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Who was killed.
    pub victim: Victim,
    /// How often.
    pub kills: u64,
    /// Records that were acknowledged to a holder.
    pub acknowledged: u64,
    /// Records in the department's books.
    pub stored: u64,
    /// Requests that never arrived.
    pub cut: u64,
    /// Replies with receipts that were swallowed after the commit.
    pub swallowed: u64,
    /// Replies that came late.
    pub late: u64,
    /// Receipts for records that the server had already: retries that met a committed row.
    pub met: u64,
    /// Records that a server which says yes on arrival would have lost: the negative control of
    /// the server's side.
    pub early_lost: u64,
    /// Everything that is wrong.
    pub findings: Findings,
}

/// Kills agents. With `early` they say yes before they have committed, which has to be noticed.
///
/// # Errors
///
/// When something cannot be set up.
///
/// # Panics
///
/// When the department does not get ready.
pub fn agents(program: &Program, kills: u64, seed: u64, early: bool) -> Result<Outcome, String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let department = Department::start(program);
    let witness = Witness::new(seed);
    let mut phones = Vec::new();
    for number in 0..PHONES.min(kills) {
        phones.push(runtime.block_on(LoadedPhone::enrol(&department, number, &witness))?);
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = phones
            .iter_mut()
            .zip(0..)
            .map(|(phone, number)| {
                let share =
                    kills / PHONES.min(kills) + u64::from(number < kills % PHONES.min(kills));
                scope.spawn(move || -> Result<(), String> {
                    let mut rng = Rng::with_seed(seed * 1_000 + number);
                    for _ in 0..share {
                        phone.start(program, rng.u64(..1 << 40), 0, early)?;
                        phone.wait_for_a_fact()?;
                        std::thread::sleep(Duration::from_millis(rng.u64(..LIFE_MS)));
                        phone.kill();
                    }
                    Ok(())
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })?;
    let victim = if early {
        Victim::EarlyAgent
    } else {
        Victim::Agent
    };
    settle(&runtime, department, phones, &witness, victim, kills)
}

/// Kills servers.
///
/// # Errors
///
/// When something cannot be set up.
///
/// # Panics
///
/// When the department does not get ready.
pub fn servers(program: &Program, kills: u64, seed: u64) -> Result<Outcome, String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let mut department = Department::start(program);
    let witness = Witness::new(seed);
    let mut rng = Rng::with_seed(seed);
    let mut phones = Vec::new();
    for number in 0..PHONES {
        let mut phone = runtime.block_on(LoadedPhone::enrol(&department, number, &witness))?;
        phone.start(program, rng.u64(..1 << 40), REST_MS, false)?;
        phone.wait_for_a_fact()?;
        phones.push(phone);
    }
    let mut findings = Findings::new();
    let mut early_lost = 0;
    for kill in 1..=kills {
        if kill % 100 == 0 {
            say(&format!("server: {kill} of {kills}"));
        }
        witness.wait_for_a_reply();
        std::thread::sleep(Duration::from_millis(rng.u64(..LIFE_MS)));
        department.kill();
        if kill % LOOK_EVERY == 0 || kill == kills {
            let books = books_of(&department)?;
            findings.extend(witness.missing_from(&books));
            early_lost += witness.asked_and_missing_from(&books);
        }
        department.restart_in_place();
    }
    phones.iter_mut().for_each(LoadedPhone::kill);
    let mut outcome = settle(
        &runtime,
        department,
        phones,
        &witness,
        Victim::Server,
        kills,
    )?;
    outcome.early_lost = early_lost;
    outcome.findings.extend(findings);
    Ok(outcome)
}

/// Lets every phone sync once more, with nothing in between, and holds the phones, the books and
/// what was witnessed against each other.
fn settle(
    runtime: &Runtime,
    department: Department,
    phones: Vec<LoadedPhone>,
    witness: &Witness,
    victim: Victim,
    kills: u64,
) -> Result<Outcome, String> {
    let check = PhoneCheck::of(&department)?;
    let mut outcome = Outcome {
        victim,
        kills,
        ..Outcome::default()
    };
    let mut settled = Vec::new();
    for mut phone in phones {
        let known = phone.known();
        outcome
            .findings
            .extend(runtime.block_on(phone.settle(&department)));
        outcome.findings.extend(check.look(&phone.home(), &known));
        settled.push((known, phone));
    }
    assert_eq!(department.stop().code(), Some(0), "the server stops");
    let books = books_of(&department)?;
    outcome.findings.extend(books.check(true));
    outcome.findings.extend(witness.missing_from(&books));
    outcome.stored = books.records.len() as u64;
    for (known, _) in &settled {
        outcome.acknowledged += (known.declared.len() + known.queued.len()) as u64;
        for (id, text) in &known.declared {
            match books.records.get(id).map(|kept| check.open(&kept.jws)) {
                None => outcome.findings.push(format!("lost: {id}")),
                Some(Ok((_, stored))) if stored == *text => {}
                Some(stored) => outcome
                    .findings
                    .push(format!("{id} is not what was declared: {:?}", stored.err())),
            }
        }
        for id in &known.queued {
            if !books.records.contains_key(id) {
                outcome.findings.push(format!("lost: {id}"));
            }
        }
        for (id, index) in &known.received {
            if books.records.get(id).map(|kept| kept.leaf) != Some(*index) {
                outcome
                    .findings
                    .push(format!("{id} has another place in the log"));
            }
        }
    }
    witness.count_into(&mut outcome);
    Ok(outcome)
}

/// The books of a server that is not running, read from a copy so that its files stay as they are.
fn books_of(department: &Department) -> Result<Books, String> {
    let dir = fast_dir()?;
    let copy = |name: &str| -> Result<(), String> {
        let from = department.data().join(name);
        if from.exists() {
            let copied = std::fs::copy(&from, dir.path().join(name));
            copied.map_err(|error| format!("{}: {error}", from.display()))?;
        }
        Ok(())
    };
    copy("server.db")?;
    copy("server.db-wal")?;
    let path: &Path = dir.path();
    Books::read(&path.join("server.db"), &department.config().log_key)
}

impl Outcome {
    /// Whether nothing is wrong, or, for what was broken on purpose, something. Where a server was
    /// killed often, records have to have been lost had it said yes on arrival, replies swallowed,
    /// and committed rows met again: a trial in which that does not happen shows nothing.
    #[must_use]
    pub fn is_as_it_should(&self) -> bool {
        let broken = self.victim == Victim::EarlyAgent;
        let often = self.victim == Victim::Server && self.kills >= OFTEN;
        let happened = [self.early_lost, self.swallowed, self.met];
        broken != self.findings.is_empty() && (!often || happened.iter().all(|times| *times > 0))
    }

    fn to_json(&self) -> Value {
        json!({
            "killed": self.victim.as_str(),
            "kills": self.kills,
            "acknowledged": self.acknowledged,
            "stored": self.stored,
            "cut": self.cut,
            "swallowed": self.swallowed,
            "late": self.late,
            "retries_that_met_a_committed_row": self.met,
            "lost_had_it_said_yes_on_arrival": self.early_lost,
            "wrong": self.findings.len(),
            "examples": self.findings.iter().take(5).collect::<Vec<_>>(),
        })
    }
}

/// Runs the trial.
///
/// # Errors
///
/// When something cannot be set up.
pub fn run(args: &Args) -> Result<bool, String> {
    let program = Program::this()?;
    let mut outcomes = Vec::new();
    if args.side != Side::Server {
        outcomes.push(agents(&program, args.kills, args.seed, false)?);
        say(&format!("{:#?}", outcomes.last()));
        if args.control_kills > 0 {
            outcomes.push(agents(&program, args.control_kills, args.seed, true)?);
        }
    }
    if args.side != Side::Agent {
        outcomes.push(servers(&program, args.kills, args.seed)?);
    }
    let mut out = std::io::stdout();
    let failed = |error: std::io::Error| error.to_string();
    let values: Vec<Value> = outcomes.iter().map(Outcome::to_json).collect();
    if args.json {
        writeln!(out, "{}", Value::from(values)).map_err(failed)?;
    } else {
        for value in values {
            for (name, value) in value.as_object().into_iter().flatten() {
                writeln!(out, "{name:<36}{value}").map_err(failed)?;
            }
            writeln!(out).map_err(failed)?;
        }
    }
    Ok(outcomes.iter().all(Outcome::is_as_it_should))
}
