//! The agent on the command line, for Linux and for support staff.
//!
//! [`run`] is the whole program. It reads the command line, opens the core's
//! [`Agent`](candour_core::agent::Agent) on the platform's adapters, calls it and shows what comes
//! back: tables for people, one JSON document with `--json` for programs, and an
//! [`Exit`] code that a script can rely on. No rule is decided here.
//!
//! Text from elsewhere (messages, names, the server's words) never reaches a terminal raw: what a
//! terminal would obey is shown instead.

mod args;
mod ask;
mod bundles;
mod chat;
mod commands;
mod demo;
mod exit;
mod failure;
mod form;
mod inputs;
mod out;
mod preview;
mod progress;
mod selection;
mod settings;
mod text;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use candour_core::adapters::linux_platform;
use candour_core::ports::{EventSink, Platform, StoreError};
use clap::Parser as _;
use clap::error::ErrorKind;

pub use exit::Exit;

use args::Cli;
use commands::Context;
use failure::Failure;
use out::Out;

/// Runs the program on this machine. The first argument is the program's name, as in
/// [`std::env::args_os`].
///
/// Blocks until the command is done, or for `run` and `demo` until it is told to stop.
pub fn run<I, T>(args: I) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    run_with(args, linux_platform)
}

/// As [`run`], on another platform: tests put faults between the agent and its disk, keys or
/// network. `platform` is called with the agent's home and with what hears of progress, once for
/// each time that the agent is opened, as [`linux_platform`] is.
pub fn run_with<I, T>(
    args: I,
    platform: impl Fn(&Path, Arc<dyn EventSink>) -> Result<Platform, StoreError>,
) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&args, &error).into(),
    };
    log_to_stderr(cli.global.verbose);
    let mut context = Context {
        out: Out::new(cli.global.json),
        global: cli.global,
        platform: &platform,
    };
    match commands::dispatch(&mut context, cli.command) {
        Ok(exit) => exit,
        Err(failure) if failure.is_closed_pipe() => Exit::Done,
        Err(failure) => {
            let exit = failure.exit();
            // An error that cannot be told still ends with its code.
            let _ = context.out.failure(&failure);
            exit
        }
    }
    .into()
}

/// Help and version are no errors; a wrong command line is one, in the form that was asked for.
fn usage(args: &[OsString], error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            Exit::Done
        }
        _ if args.iter().any(|arg| arg == "--json") => {
            let failure = Failure::Usage(error.to_string().trim_end().to_owned());
            let _ = Out::new(true).failure(&failure);
            Exit::Invalid
        }
        _ => {
            let _ = error.print();
            Exit::Invalid
        }
    }
}

/// Sends the core's log, which never carries content, to standard error.
fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::ERROR,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    // A second call in one process, as tests make, keeps the first one's subscriber.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_writer(std::io::stderr)
        .try_init();
}
