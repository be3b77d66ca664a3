//! `candour-tests bench`: how fast and how small the product is, beside a reference in the same run.
//!
//! Machines are noisy, and client and server share this one. So the figures that count are the
//! processor time of the process in question, and ratios to a reference that does the same work
//! with the same client a moment before. Every table says what machine it was and how busy.

mod agent;
mod door;
pub(crate) mod exchange;
mod ingest;
pub(crate) mod load;
mod log;
mod memory;
mod nginx;
mod outbox;
mod reference;
mod report;
pub(crate) mod usage;
mod wake;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::program::Program;
use report::Report;

pub use reference::serve as serve_reference;

/// Measures the product.
#[derive(Debug, Parser)]
#[command(name = "candour-tests bench", no_binary_name = true)]
struct Arguments {
    /// What to measure; everything by default.
    #[arg(value_enum)]
    what: Vec<What>,
    /// How much work to do: 1 takes some minutes on two cores, 0.1 gives a first impression.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// For programs instead of people.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Records a second over connections that stay.
    Ingest,
    /// Whole handshakes, each with one record.
    Handshake,
    /// Declarations a second on the handset.
    Outbox,
    /// What one sync costs in bytes and processor time.
    Sync,
    /// What it costs to wake the agent when nothing is due.
    Wake,
    /// Peak memory of agent and gateway.
    Memory,
    /// Appending to and proving from a log of a hundred million leaves.
    Log,
    /// Measured by `memory` in a process of its own.
    #[value(hide = true)]
    AgentMemory,
}

/// What docs/server.md sets for the server's allocator; the reference gets the same.
const ALLOCATOR: [(&str, &str); 2] = [
    ("MALLOC_TRIM_THRESHOLD_", "67108864"),
    ("MALLOC_TOP_PAD_", "1048576"),
];

/// How large the trials are.
#[derive(Debug, Clone, Copy)]
struct Scale(f64);

impl Scale {
    /// That many at full scale, at least one.
    fn of(self, count: u32) -> usize {
        let count = (f64::from(count) * self.0).round().clamp(1.0, 1e9);
        // Between 1 and 1e9.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let count = count as usize;
        count
    }
}

/// Runs `candour-tests bench` with the arguments after it. Blocks until all is measured.
///
/// # Panics
///
/// When the product does not do what is to be measured.
#[must_use]
pub fn run(program: &Program, args: &[OsString]) -> ExitCode {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and mistakes; nobody is left to tell when standard error is closed.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let scale = Scale(arguments.scale);
    let guided = program.with_env(ALLOCATOR.map(|(name, value)| (name, OsStr::new(value))));
    if arguments.what == [What::AgentMemory] {
        return agent::measure_here(scale);
    }
    let mut report = Report::new();
    let all = [
        What::Log,
        What::Outbox,
        What::Sync,
        What::Wake,
        What::Memory,
        What::Handshake,
        What::Ingest,
    ];
    for what in all {
        if !arguments.what.is_empty() && !arguments.what.contains(&what) {
            continue;
        }
        let name = what.to_possible_value();
        let name = name.as_ref().map_or("", |name| name.get_name());
        let _ = writeln!(std::io::stderr(), "measuring: {name} …");
        match what {
            What::Ingest => ingest::measure(&guided, scale, &mut report),
            What::Handshake => door::measure(&guided, scale, &mut report),
            What::Outbox => outbox::measure(program, scale, &mut report),
            What::Sync => exchange::measure(program, scale, &mut report),
            What::Wake => wake::measure(program, scale, &mut report),
            What::Memory => memory::measure(program, scale, &mut report),
            What::Log => log::measure(scale, &mut report),
            What::AgentMemory => {}
        }
    }
    let text = if arguments.json {
        report.json()
    } else {
        report.table()
    };
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
