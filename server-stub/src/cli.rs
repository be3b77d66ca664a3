//! The command line: setting up, enrolling, serving, and the records role's first tool.

mod agent_config;
mod audit;
mod certificate;
mod check;
mod config;
mod department;
mod handset;
mod init;
mod logging;
mod open;
mod output;
mod policy;
mod prevalence;
mod serve;
mod token;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use candour_wire::log::LogSigner;
use candour_wire::{Code, DepartmentId, Sensitive};
use clap::{Args, Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, ConfigError, Sources};
use crate::files::{self, DataDir, FileError};
use crate::gateway::ServeError;
use crate::identity::ca::{Authority, CaError};
use crate::keys::{KeyError, LogKey, PolicyKey};
use crate::names::Hint;

use crate::policy::PolicyFileError;
use crate::problem::chain;
use crate::store::sqlite::{OpenError, Settings, SqliteStore};
use crate::store::{Store, StoreError};

/// Runs the program and returns its exit code.
///
/// Blocks until the command is done; `serve` until it is told to stop.
pub fn run(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help goes to standard output, mistakes to standard error; neither can be helped.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let json = arguments.global.json;
    match dispatch(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error, json);
            ExitCode::from(error.exit_code())
        }
    }
}

/// The department's endpoint for Candour.
#[derive(Debug, Parser)]
#[command(
    name = "candour-server",
    version,
    after_help = "Exit codes:\n  0  done\n  1  a file, the store or the network failed, or check found damage\n  2  the command line is wrong\n  3  the settings are not valid\n  4  there is no such record, handset, department or policy\n  5  refused: something exists already, a version does not go up, the key is another\n\nEvery setting of `serve` is also read from config.toml and from CANDOUR_SERVER_<KEY>;\n`candour-server config keys` lists them."
)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// Directory that holds everything.
    #[arg(
        long,
        global = true,
        env = "CANDOUR_DATA",
        default_value = "candour-data",
        value_name = "DIR"
    )]
    data: PathBuf,
    /// Print JSON for programs.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make keys, certificates, a first policy and the settings in a new data directory.
    Init(init::Init),
    /// Make one-time enrolment tokens.
    #[command(subcommand)]
    Token(token::Token),
    /// List, show, revoke or reinstate handsets.
    #[command(subcommand)]
    Handset(handset::Handset),
    /// Add or list departments.
    #[command(subcommand)]
    Department(department::Department),
    /// Run the gateway until SIGTERM or Ctrl-C.
    Serve(serve::Serve),
    /// Open a sealed record with the records key. Audited, with your reason.
    Open(open::Open),
    /// Say how many handsets have an app.
    Prevalence(prevalence::Prevalence),
    /// Show or issue a department's policy.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Renew the server's TLS certificate; a running server takes it over.
    #[command(subcommand)]
    Certificate(certificate::Certificate),
    /// Show the settings.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print what a device management pushes to a department's phones.
    AgentConfig(agent_config::AgentConfigCommand),
    /// Print the newest signed checkpoint of the log.
    Checkpoint,
    /// Look through the whole store, keys and policies for damage; a server may run meanwhile.
    Check,
    /// List who opened which record, and why.
    Audit(audit::Audit),
    /// Print the OpenAPI document.
    Openapi,
}

fn dispatch(arguments: Arguments) -> Result<(), CliError> {
    let context = Context::new(arguments.global)?;
    match arguments.command {
        Command::Init(command) => command.run(&context),
        Command::Token(command) => command.run(&context),
        Command::Handset(command) => command.run(&context),
        Command::Department(command) => command.run(&context),
        Command::Serve(command) => command.run(&context),
        Command::Open(command) => command.run(&context),
        Command::Prevalence(command) => command.run(&context),
        Command::Policy(command) => command.run(&context),
        Command::Certificate(command) => command.run(&context),
        Command::Config(command) => command.run(&context),
        Command::AgentConfig(command) => command.run(&context),
        Command::Checkpoint => audit::checkpoint(&context),
        Command::Check => check::run(&context),
        Command::Audit(command) => command.run(&context),
        Command::Openapi => {
            output::text(crate::openapi::document().trim_end());
            Ok(())
        }
    }
}

/// What every command has at hand.
struct Context {
    data: DataDir,
    json: bool,
    clock: SystemClock,
    environment: Vec<(String, String)>,
    runtime: Runtime,
}

impl Context {
    fn new(global: Global) -> Result<Self, CliError> {
        let environment = std::env::vars_os();
        let as_text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Ok(Self {
            data: DataDir::new(global.data),
            json: global.json,
            clock: SystemClock,
            environment: environment.filter_map(as_text).collect(),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .map_err(CliError::Runtime)?,
        })
    }

    fn config(&self, flags: &[(String, String)]) -> Result<Config, CliError> {
        let path = self.data.config_path();
        if !path.exists() {
            return Err(CliError::NotSetUp(self.data.path().to_owned()));
        }
        let file = files::read(&path)?;
        Ok(Config::load(&Sources {
            file: &file,
            environment: &self.environment,
            flags,
        })?)
    }

    /// Opens the store without the log's key: enough for all but taking records.
    fn store(&self) -> Result<Arc<dyn Store>, CliError> {
        Ok(open_store(&self.data, None)?)
    }

    fn authority(&self) -> Result<Authority, CliError> {
        let certificate = files::read(&self.data.ca_path())?;
        Ok(Authority::open(
            &certificate,
            &files::read_secret(&self.data.ca_key_path())?,
        )?)
    }

    fn policy_key(&self) -> Result<PolicyKey, CliError> {
        Ok(PolicyKey::from_text(&files::read_secret(
            &self.data.policy_key_path(),
        )?)?)
    }

    fn log_key(&self) -> Result<LogKey, CliError> {
        Ok(LogKey::from_text(&files::read_secret(
            &self.data.log_key_path(),
        )?)?)
    }

    /// Waits for a call of the store.
    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// The department that is meant: the one that is named, or the only one there is.
    fn department(
        &self,
        config: &Config,
        named: Option<&DepartmentId>,
    ) -> Result<DepartmentId, CliError> {
        let known = |id: &DepartmentId| config.departments.contains_key(id);
        match named {
            Some(id) if known(id) => Ok(id.clone()),
            Some(id) => {
                let ids = config.departments.keys().map(DepartmentId::as_str);
                let hint = Hint::nearest(id.as_str(), ids);
                Err(CliError::DepartmentUnknown(id.to_string(), hint))
            }
            None => match config.departments.keys().collect::<Vec<_>>().as_slice() {
                [only] => Ok((*only).clone()),
                _ => Err(CliError::DepartmentNeeded),
            },
        }
    }
}

fn open_store(data: &DataDir, signer: Option<LogSigner>) -> Result<Arc<SqliteStore>, OpenError> {
    let settings = Settings {
        attachments: data.attachments_dir(),
        signer,
        now: SystemClock.now(),
    };
    SqliteStore::open(&data.store_path(), settings)
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Authority(#[from] CaError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
    #[error(transparent)]
    OpenStore(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("the program could not start its threads")]
    Runtime(#[source] std::io::Error),
    #[error("{} is not set up; run `candour-server init` first", .0.display())]
    NotSetUp(PathBuf),
    #[error("{} is not empty; nothing was changed", .0.display())]
    NotEmpty(PathBuf),
    #[error(
        "{} cannot be made or written; make it as an empty directory of this account, or name another with --data",
        .0.display()
    )]
    NoPlace(PathBuf),
    #[error("there is no department {0}{1}")]
    DepartmentUnknown(String, Hint),
    #[error("there is no app {0} in any catalogue{1}")]
    AppUnknown(String, Hint),
    #[error("there are several departments; say which with --department")]
    DepartmentNeeded,
    #[error("the department {0} exists already")]
    DepartmentExists(String),
    #[error("{what}: {problem}")]
    Usage { what: &'static str, problem: String },
    #[error("there is no handset {0}")]
    HandsetUnknown(String),
    #[error("there is no record {0}")]
    RecordUnknown(String),
    #[error("the department {0} has no policy")]
    PolicyMissing(String),
    #[error("the log has not begun")]
    NoCheckpoint,
    #[error("{0} faults were found")]
    Faults(u64),
    #[error("{}: {detail}", .code.title())]
    Refused { code: Code, detail: String },
}

impl CliError {
    fn usage(what: &'static str, problem: impl Into<String>) -> Self {
        Self::Usage {
            what,
            problem: problem.into(),
        }
    }

    const fn exit_code(&self) -> u8 {
        match self {
            Self::File(FileError::Exists(_) | FileError::Taken(_)) => 5,
            Self::File(_)
            | Self::NoPlace(_)
            | Self::Key(_)
            | Self::Authority(_)
            | Self::OpenStore(_)
            | Self::Store(_) => 1,
            Self::Serve(_) | Self::Runtime(_) | Self::Faults(_) => 1,
            Self::Policy(
                PolicyFileError::Version(_) | PolicyFileError::Rule(_) | PolicyFileError::TooLong,
            ) => 5,
            Self::Policy(_) => 1,
            Self::DepartmentNeeded | Self::Usage { .. } => 2,
            Self::Config(_) | Self::NotSetUp(_) => 3,
            Self::DepartmentUnknown(..) | Self::AppUnknown(..) => 4,
            Self::HandsetUnknown(_) | Self::RecordUnknown(_) => 4,
            Self::PolicyMissing(_) | Self::NoCheckpoint => 4,
            Self::NotEmpty(_) | Self::DepartmentExists(_) | Self::Refused { .. } => 5,
        }
    }

    /// What to do next, where a code says it.
    const fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Refused { code, .. } => Some(code.advice()),
            Self::Config(_) => Some(Code::ConfigInvalid.advice()),
            Self::Faults(_) => Some(
                "Keep the data as they are, find out whether the disk fails, and restore what is damaged from a backup.",
            ),
            Self::DepartmentUnknown(..) => Some(
                "`candour-server department list` names all; `candour-server department add` adds one.",
            ),
            _ => None,
        }
    }

    const fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Config(_) => Some(Code::ConfigInvalid),
            Self::Usage { .. } | Self::DepartmentNeeded => Some(Code::UsageInvalid),
            Self::RecordUnknown(_) => Some(Code::NotFound),
            Self::Store(error) => Some(error.code()),
            _ => None,
        }
    }

    fn sentence(&self) -> String {
        chain(self)
    }
}

/// Reads a secret text that a person points at, such as the records key.
fn read_key_file(path: &std::path::Path) -> Result<Sensitive<String>, CliError> {
    Ok(files::read_secret(path)?)
}

#[cfg(test)]
mod tests;
