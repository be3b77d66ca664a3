//! Trials that take long: what happens when the power goes, when processes are killed, and when
//! files are damaged. Each has a short form among the tests and a long one as a command.
//!
//! A trial that cannot fail counts for nothing, so each is also run on something that is broken on
//! purpose, which it has to notice.

pub mod books;
pub mod crowd;
pub mod damage;
pub mod disk;
pub mod facts;
pub mod kill;
pub mod phone;
pub mod phone_check;
pub mod power_cut;
pub mod recorder;
pub mod stuck;
pub mod trace;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tries Candour until it breaks, or has not broken.
#[derive(Debug, Parser)]
#[command(name = "candour-tests torture")]
struct Torture {
    #[command(subcommand)]
    trial: Trial,
}

#[derive(Debug, Subcommand)]
enum Trial {
    /// Crowds before the gateway: silent, slow, or shaking hands without end.
    Crowd(crowd::Args),
    /// Cuts the power at any step of a recorded run and looks at what is left.
    PowerCut(power_cut::Args),
    /// Damages a phone's files at every place and looks whether that is noticed.
    Damage(damage::Args),
    /// Kills agents and servers under load and looks at what is left.
    Kill(kill::Args),
    /// An agent at work, for other trials.
    #[command(hide = true)]
    Phone(phone::Args),
}

/// Runs a trial from the command line; `args` begins with the program's name.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let outcome = match Torture::try_parse_from(args) {
        Ok(Torture { trial }) => match trial {
            Trial::Crowd(args) => crowd::run(&args),
            Trial::PowerCut(args) => power_cut::run(&args),
            Trial::Damage(args) => damage::run(&args),
            Trial::Kill(args) => kill::run(&args),
            Trial::Phone(args) => phone::run(&args),
        },
        Err(error) => {
            // Whether it is help or an error decides where it goes and how this ends.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            // There is nowhere else to say it.
            let _ = writeln!(std::io::stderr(), "candour-tests: {problem}");
            ExitCode::from(2)
        }
    }
}
