//! The product's two programs as processes, so that they can be killed like any other.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::DEADLINE;

/// The multi-call program of this package, which is the agent or the server by its first argument.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    env: Vec<(String, OsString)>,
}

/// How a process ended and what it said.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A process that stays up.
pub struct Process {
    pid: Pid,
    ended: Mutex<Ended>,
    /// Where its standard error goes.
    log: PathBuf,
}

/// How a process ended, once that is known.
struct Ended {
    told: Receiver<ExitStatus>,
    status: Option<ExitStatus>,
}

impl Program {
    /// Names the program, which Cargo knows as `CARGO_BIN_EXE_candour-tests`.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self {
            path: path.into(),
            env: Vec::new(),
        }
    }

    /// The same program, always run with these variables in its environment.
    #[must_use]
    pub fn with_env<'a>(&self, env: impl IntoIterator<Item = (&'a str, &'a OsStr)>) -> Self {
        let mut this = self.clone();
        let env = env.into_iter();
        this.env
            .extend(env.map(|(name, value)| (name.to_owned(), value.to_owned())));
        this
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The server with these arguments.
    #[must_use]
    pub fn server<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.command("server", args)
    }

    /// The agent with these arguments.
    #[must_use]
    pub fn agent<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.command("agent", args)
    }

    /// The demo with these arguments, this program being its server.
    #[must_use]
    pub fn demo<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.command("demo", args)
    }

    /// One of the trials of [`crate::torture`] with these arguments.
    #[must_use]
    pub fn torture<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.command("torture", args)
    }

    /// What the benchmarks compare the server with, with these arguments.
    #[must_use]
    pub fn reference<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.command("bench-reference", args)
    }

    /// This very program, for a trial that is run from the command line.
    ///
    /// # Errors
    ///
    /// When its path is not known.
    pub fn this() -> Result<Self, String> {
        let path = std::env::current_exe().map_err(|error| error.to_string())?;
        let path = path.to_str().ok_or("this program's path is not text")?;
        Ok(Self::new(path))
    }

    fn command<S: AsRef<OsStr>>(&self, name: &str, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.path);
        command.arg(name).args(args);
        // What the developer has set for the product must not reach the tests.
        for (key, _) in
            std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("CANDOUR"))
        {
            command.env_remove(key);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Runs a command to its end with `input` as its standard input. Blocks.
///
/// # Panics
///
/// When it cannot be started.
#[must_use]
pub fn run(command: &mut Command, input: &[u8]) -> Outcome {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A command that does not read its input closes it, which is its own affair.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input));
    let output = child.wait_with_output().expect("a child can be waited for");
    Outcome {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A command that is run by another one, `outer`, which ends in the words before it: under a limit,
/// or where something else is mounted. What it has in its environment goes with it.
#[must_use]
pub fn run_by(mut outer: Command, command: &Command) -> Command {
    outer.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

impl Outcome {
    /// Returns the outcome of a command that succeeded.
    ///
    /// # Panics
    ///
    /// When it did not.
    #[must_use]
    pub fn succeeded(self) -> Self {
        assert!(self.status.success(), "{self:#?}");
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    ///
    /// When it is not.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// The stable code of the error, or of the sync's failure, that the agent printed as JSON.
    ///
    /// # Panics
    ///
    /// When there is none, or it does not say what to do.
    #[must_use]
    pub fn error_code(&self) -> String {
        let json = self.json();
        let error = json.get("error").unwrap_or(&json["failure"]);
        assert!(
            error["advice"]
                .as_str()
                .is_some_and(|advice| advice.ends_with('.')),
            "{self:#?}"
        );
        error["code"]
            .as_str()
            .unwrap_or_else(|| panic!("{self:#?}"))
            .to_owned()
    }
}

impl Process {
    /// Starts a command and waits for the first line of its standard output, which says that it is
    /// ready. Blocks.
    ///
    /// # Panics
    ///
    /// When it ends, or nothing comes, before that.
    #[must_use]
    pub fn start(command: &mut Command, log: &Path) -> (Self, String) {
        match Self::try_start(command, log) {
            (process, Some(line)) => (process, line),
            (process, None) => panic!("{command:?} did not get ready: {}", process.log()),
        }
    }

    /// As [`Process::start`], of a command that may end instead of getting ready; then there is no
    /// line.
    #[must_use]
    pub fn try_start(command: &mut Command, log: &Path) -> (Self, Option<String>) {
        let (process, lines) = Self::spawn(command, log);
        (process, lines.recv_timeout(DEADLINE).ok())
    }

    /// Starts a command that says nothing when it is ready.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start_silent(command: &mut Command, log: &Path) -> Self {
        Self::spawn(command, log).0
    }

    fn spawn(command: &mut Command, log: &Path) -> (Self, Receiver<String>) {
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("a log file");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let pid = Pid::from_child(&child);
        let lines = lines(&mut child);
        let (sender, ended) = mpsc::channel();
        thread::spawn(move || {
            // The receiver may be gone: a killed process is waited for all the same.
            let _ = child.wait().map(|status| sender.send(status));
        });
        let process = Self {
            pid,
            ended: Mutex::new(Ended {
                told: ended,
                status: None,
            }),
            log: log.to_owned(),
        };
        (process, lines)
    }

    /// Its process id.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// What it wrote to standard error so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to stop. Does not wait.
    pub fn ask_to_stop(&self) {
        // A process that has ended already needs no asking.
        let _ = kill_process(self.pid, Signal::TERM);
    }

    /// Asks it to stop and waits for that. Blocks.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn stop(&self) -> ExitStatus {
        self.end(Some(Signal::TERM))
    }

    /// Kills it as a power cut does, as far as a process can tell. Blocks until it is gone.
    ///
    /// # Panics
    ///
    /// When it cannot be killed.
    pub fn kill(&self) -> ExitStatus {
        self.end(Some(Signal::KILL))
    }

    /// Waits until it has ended by itself. Blocks.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn wait(&self) -> ExitStatus {
        self.end(None)
    }

    fn end(&self, signal: Option<Signal>) -> ExitStatus {
        let mut ended = self
            .ended
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if ended.status.is_none() {
            ended.status = ended.told.try_recv().ok();
        }
        if let Some(status) = ended.status {
            return status;
        }
        if let Some(signal) = signal {
            // It may have ended a moment ago, and then there is nobody left to signal.
            let _ = kill_process(self.pid, signal);
        }
        ended.status = ended.told.recv_timeout(DEADLINE).ok();
        let status = ended.status;
        status.unwrap_or_else(|| panic!("process {:?} does not end: {}", self.pid, self.log()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let ended = self
            .ended
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Gone already means that nothing is left to do.
        if matches!(ended.told.try_recv(), Err(mpsc::TryRecvError::Empty)) {
            let _ = kill_process(self.pid, Signal::KILL);
            let _ = ended.told.recv_timeout(DEADLINE);
        }
    }
}

/// Reads the lines in a thread of its own, so that the pipe never fills.
fn lines(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let stdout = child.stdout.take().expect("standard output is piped");
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Nobody may be listening any more.
            let _ = sender.send(line);
        }
    });
    receiver
}
