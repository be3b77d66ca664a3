//! The commands, one file for each that has more to it than a call and a table.

mod declare;
mod drafts;
mod enrol;
mod import;
mod manual;
mod policy;
mod review;
mod run;
mod scan;
mod sync;
mod wipe;

use std::path::Path;
use std::sync::Arc;

use candour_core::AgentError;
use candour_core::agent::Agent;
use candour_core::config::Config;
use candour_core::ports::Platform;
use candour_core::ports::{EventSink, StoreError};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::args::{Command, Global};
use crate::demo;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;
use crate::progress::Quiet;
use crate::settings;

pub(crate) use import::row as message_row;
pub(crate) use review::finding;
pub(crate) use scan::{inventory_rows, kind_name};
pub(crate) use sync::sentences;

/// Makes a platform for a home, as the core's `linux_platform` does.
pub(crate) type MakePlatform<'a> =
    dyn Fn(&Path, Arc<dyn EventSink>) -> Result<Platform, StoreError> + 'a;

/// What every command has at hand.
pub(crate) struct Context<'a> {
    pub(crate) global: Global,
    pub(crate) platform: &'a MakePlatform<'a>,
    pub(crate) out: Out,
}

impl Context<'_> {
    /// Opens the agent in its home.
    ///
    /// # Errors
    ///
    /// When the configuration is not valid, or the home cannot be opened.
    pub(crate) fn open(&self) -> Result<Agent, Failure> {
        self.open_with(Arc::new(Quiet))
    }

    /// As [`Context::open`], with progress told to `events`.
    ///
    /// # Errors
    ///
    /// As [`Context::open`].
    pub(crate) fn open_with(&self, events: Arc<dyn EventSink>) -> Result<Agent, Failure> {
        let config = settings::config(&self.global)?;
        self.open_at(&settings::home(&self.global)?, config, events)
    }

    /// Opens an agent in `home`.
    ///
    /// # Errors
    ///
    /// When the home cannot be opened, or another process has it.
    pub(crate) fn open_at(
        &self,
        home: &Path,
        config: Config,
        events: Arc<dyn EventSink>,
    ) -> Result<Agent, Failure> {
        let platform = (self.platform)(home, events).map_err(AgentError::from)?;
        Ok(Agent::open(config, platform)?)
    }
}

/// Says where there is more than what a command has listed: in a damaged store that was set aside.
fn tell_set_aside(agent: &Agent) -> Result<(), Failure> {
    let names = agent.set_aside()?;
    if !names.is_empty() {
        crate::out::note(&format!(
            "A damaged store was set aside ({}). What was in it is not counted here, and what waited \
             in it is not sent: see `candour status`.",
            crate::text::line(&names.join(", "))
        ));
    }
    Ok(())
}

/// Carries out a command.
///
/// # Errors
///
/// Why it ended early.
pub(crate) fn dispatch(context: &mut Context<'_>, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Enrol(args) => enrol::enrol(context, &args),
        Command::Status(args) => review::status(context, &args),
        Command::Scan => scan::scan(context),
        Command::Import(args) => import::import(context, &args),
        Command::Declare(args) => declare::declare(context, &args),
        Command::Drafts(args) => drafts::drafts(context, args),
        Command::Sync(args) => sync::sync(context, &args),
        Command::Sent => review::sent(context),
        Command::Amend(args) => declare::amend(context, &args),
        Command::Withdraw(args) => declare::withdraw(context, &args),
        Command::Verify(args) => review::verify(context, &args),
        Command::Policy => policy::policy(context),
        Command::Run => run::run(context),
        Command::Wipe(args) => wipe::wipe(context, &args),
        Command::Demo(args) => demo::demo(context, &args),
        Command::Completions { shell } => manual::completions(context, shell),
        Command::Man { dir } => manual::man(context, dir.as_deref()),
    }
}

/// Runs a future to its end. Two threads: one may wait for the handset's key while the other
/// drives the connection.
///
/// # Errors
///
/// When the future fails, or the system gives no threads.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(future)
}

/// A time as a person writes it, in the configured zone.
pub(crate) fn when(at: Timestamp, config: &Config) -> String {
    let zone = TimeZone::get(&config.time_zone).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%-d %b %Y, %H:%M").to_string()
}
