//! A fleet of phones before a gateway: a seeded load generator that behaves like real agents.
//!
//! Each phone is the product's own agent behind its facade, with a key, a certificate, a store and
//! two chains of its own; what it does when, its jitter, its waits after failures and its checks of
//! receipts are the agent's. A phone that sleeps is a few kilobytes, in which its agent is opened
//! for the moment in which it is awake, so that a hundred thousand fit into one process.
//!
//! Two scenarios are about real sockets, a real server in a process of its own, and TLS by the
//! agent's own transport: `herd`, in which everybody has something to send at nine in the
//! morning, and `outage`, in which everybody has something to send and the server comes back
//! after a while. The third, `week`, is normal life in simulated time, with the gateway's routes
//! and its SQLite store in this process.
//!
//! When all is over, what the phones hold receipts for is held against the department's books
//! (`look`). Controls break that on purpose, and have to be noticed.

mod calendar;
mod clock;
mod herd;
mod look;
mod muster;
mod office;
mod outage;
mod phone;
mod report;
mod shelves;
mod tally;
mod wake;
mod watch;
mod week;
mod world;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tokio::runtime::Runtime;

use self::report::Report;
use crate::program::Program;

/// A fleet of phones before a gateway.
#[derive(Debug, Parser)]
#[command(
    name = "candour-tests fleet",
    after_help = "Exit codes: 0 where all was delivered and every receipt holds; 1 where a rule was \
                  broken or something was not delivered; 2 where the run could not be set up."
)]
struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// Everybody has something to send at nine o'clock, over TLS to a server process.
    Herd(herd::Args),
    /// The server is gone for a while, and everybody has something to send.
    Outage(outage::Args),
    /// A week of normal life, in simulated time and without sockets.
    Week(week::Args),
}

/// What all scenarios have in common.
#[derive(Debug, Clone, clap::Args)]
struct Common {
    /// How many phones.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    handsets: u32,
    /// Decides who does what when; keys and ids are random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Break a promise on purpose; the run has to fail.
    #[arg(long)]
    control: Option<Control>,
    /// Where the data is, until the end; the system's place for temporary files unless given.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Phones that are awake at once at most; who is due beyond that waits for this machine. Each
    /// takes some 150 KB and a file.
    #[arg(long, default_value_t = 2_048, value_parser = clap::value_parser!(u16).range(1..))]
    awake: u16,
    /// Program that the server is; this one unless given.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// For programs instead of people.
    #[arg(long)]
    json: bool,
}

impl Common {
    fn program(&self) -> Result<Program, Problem> {
        match &self.program {
            None => Ok(Program::this()?),
            Some(path) => {
                let path = path.to_str().ok_or("the server's path is not text")?;
                Ok(Program::new(path))
            }
        }
    }
}

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Control {
    /// The server's receipts are signed by another key than the one that the phones hold it to.
    Forged,
    /// The server's disk forgets at the end what it has kept since the beginning.
    Forgets,
    /// Phones come again at once when a sync has failed, whatever they were told.
    Impatient,
}

/// Why a run could not be set up or carried out, in words.
type Problem = Box<dyn std::error::Error + Send + Sync>;

/// Runs `candour-tests fleet`; `args` begins with the program's name.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let scenario = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments.scenario,
        Err(error) => {
            // Whether it is help or an error decides where it goes and how this ends.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match scenario.run() {
        Ok((report, json)) => {
            let text = if json { report.json() } else { report.table() };
            // Whoever has closed standard output still gets the exit code.
            let _ = writeln!(std::io::stdout(), "{text}");
            if report.all_is_well() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(problem) => {
            // There is nowhere else to say it.
            let _ = writeln!(std::io::stderr(), "candour-tests: {problem}");
            ExitCode::from(2)
        }
    }
}

impl Scenario {
    fn run(&self) -> Result<(Report, bool), Problem> {
        let runtime = runtime()?;
        Ok(match self {
            Self::Herd(args) => (herd::run(&runtime, args)?, args.common.json),
            Self::Outage(args) => (outage::run(&runtime, args)?, args.common.json),
            Self::Week(args) => (week::run(&runtime, args)?, args.common.json),
        })
    }
}

/// The phones' runtime. What an agent does on a thread that may block is short here, and hundreds
/// of threads would only take turns.
fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
}

const BLOCKING_THREADS: usize = 8;
