//! The demo's server: the real `candour-server`, driven by its command line as a person would.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use candour_wire::content::Text;
use candour_wire::{RecordId, Sensitive};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::DemoError;
use crate::failure::Failure;

/// The server's only address. Not `localhost`, which may also mean `::1`.
const HOST: &str = "127.0.0.1";

/// How long the server may take to get ready: making keys and opening an empty store are well
/// under a second, and a slow disk must not fail the demo.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Longest output that is read from a command, in bytes.
const OUTPUT_MAX_BYTES: u64 = 16 << 20;

/// How much of what a command said on standard error is repeated, in characters.
const TOLD_MAX_CHARS: usize = 600;

/// How to start the server program.
pub(super) struct Server {
    program: PathBuf,
    before: Vec<String>,
}

/// Where a running server listens: the line that `serve --json` prints when it is ready.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Addresses {
    /// Enrolment and the log.
    public: SocketAddr,
    /// Enrolled handsets.
    handset: SocketAddr,
    /// Health and metrics.
    ops: SocketAddr,
}

impl Addresses {
    /// Address for enrolment and the log.
    pub(super) fn public_url(&self) -> String {
        format!("https://{}", self.public)
    }

    /// Address for enrolled handsets.
    pub(super) fn handset_url(&self) -> String {
        format!("https://{}", self.handset)
    }

    /// What it listens on: enrolment and log, enrolled handsets, health and metrics.
    pub(super) const fn sockets(&self) -> (SocketAddr, SocketAddr, SocketAddr) {
        (self.public, self.handset, self.ops)
    }

    /// Address for health and metrics.
    pub(super) fn ops_url(&self) -> String {
        format!("http://{}", self.ops)
    }
}

impl Server {
    /// Finds the program: as given, beside this one, or on the PATH.
    pub(super) fn find(given: Option<&str>) -> Result<Self, Failure> {
        if let Some(given) = given {
            if Path::new(given).is_file() {
                return Ok(Self {
                    program: given.into(),
                    before: Vec::new(),
                });
            }
            let mut words = given.split_whitespace().map(str::to_owned);
            let program = words
                .next()
                .ok_or_else(|| Failure::Usage("--server-command is empty".into()))?;
            return Ok(Self {
                program: program.into(),
                before: words.collect(),
            });
        }
        let own = std::env::current_exe()?;
        let beside = own.with_file_name("candour-server");
        let on_path = std::env::var_os("PATH").and_then(|path| {
            std::env::split_paths(&path)
                .map(|dir| dir.join("candour-server"))
                .find(|place| place.is_file())
        });
        let program = Some(beside).filter(|place| place.is_file()).or(on_path);
        Ok(Self {
            program: program.ok_or(DemoError::ServerMissing(own))?,
            before: Vec::new(),
        })
    }

    /// The command as a person types it.
    pub(super) fn shown(&self) -> String {
        let program = self.program.display().to_string();
        std::iter::once(program)
            .chain(self.before.iter().cloned())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Makes keys, certificates, policies and settings.
    pub(super) fn init(&self, data: &Path, departments: &[(&str, &str)]) -> Result<(), Failure> {
        for (place, (id, name)) in departments.iter().enumerate() {
            if place > 0 {
                self.output(data, "department add", &["department", "add", id, name])?;
                continue;
            }
            let origin = format!("candour.{id}.example/log");
            let args = [
                "init",
                "--department",
                id,
                "--name",
                name,
                "--host",
                HOST,
                "--log-origin",
                &origin,
            ];
            self.output(data, "init", &args)?;
        }
        Ok(())
    }

    /// The configuration that a device management would push to a department's handsets, with the
    /// addresses that the server has now.
    pub(super) fn agent_config(
        &self,
        data: &Path,
        department: &str,
        addresses: &Addresses,
    ) -> Result<Map<String, Value>, Failure> {
        let (public, handset) = (addresses.public_url(), addresses.handset_url());
        let args = [
            "agent-config",
            "--department",
            department,
            "--public-url",
            &public,
            "--handset-url",
            &handset,
        ];
        self.json(data, "agent-config", &args)
    }

    /// Makes one-time tokens for a department.
    pub(super) fn tokens(
        &self,
        data: &Path,
        department: &str,
        count: u32,
    ) -> Result<Vec<Text>, Failure> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let count_text = count.to_string();
        let args = [
            "token",
            "new",
            "--department",
            department,
            "--label",
            "demo",
            "--count",
            &count_text,
        ];
        let made: Vec<Token> = self.json(data, "token new", &args)?;
        if made.len() != count as usize {
            return Err(DemoError::Reply {
                command: "token new",
            }
            .into());
        }
        Ok(made.into_iter().map(|made| made.token).collect())
    }

    /// Opens a record with the records key, as the records role does. What comes back is content.
    pub(super) fn open(&self, data: &Path, record: RecordId) -> Result<Text, Failure> {
        let key = data.join("records-role").join("records.key");
        let key = key.display().to_string();
        let record = record.to_string();
        let args = [
            "open",
            &record,
            "--key",
            &key,
            "--reason",
            "Shown in the demo",
            "--who",
            "demo",
        ];
        self.output(data, "open", &args).map(Sensitive::new)
    }

    /// The prevalence lines for an app.
    pub(super) fn prevalence(&self, data: &Path, app: &str) -> Result<String, Failure> {
        self.output(data, "prevalence", &["prevalence", "--app", app])
    }

    /// Starts serving on free loopback ports and waits until it is ready.
    pub(super) fn serve(&self, data: &Path, log: &Path) -> Result<Running, Failure> {
        let log_file = File::create(log).map_err(|source| Failure::FileWrite {
            path: log.to_owned(),
            source,
        })?;
        let any_port = "127.0.0.1:0";
        let mut child = self
            .command(data)
            .args(["serve", "--json"])
            .args([
                "--public-listen",
                any_port,
                "--handset-listen",
                any_port,
                "--ops-listen",
                any_port,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .map_err(|source| DemoError::ServerStart {
                command: self.shown(),
                source,
            })?;
        let stdout = child.stdout.take();
        // From here on the server is stopped whatever happens.
        let mut running = Running {
            child: Some(child),
            addresses: None,
        };
        let (send, ready) = mpsc::channel();
        if let Some(stdout) = stdout {
            // Reads on after the first line, so that the server never waits for its reader.
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let _ = send.send(line);
                }
            });
        }
        // The channel closes at once where the server ends before it is ready.
        let line = ready.recv_timeout(READY_WITHIN);
        running.addresses = line.ok().and_then(|line| serde_json::from_str(&line).ok());
        if running.addresses.is_none() {
            drop(running);
            let told = std::fs::read_to_string(log).unwrap_or_default();
            return Err(DemoError::NotReady(tail(&told)).into());
        }
        Ok(running)
    }

    fn command(&self, data: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.before).arg("--data").arg(data);
        command
    }

    fn json<T: DeserializeOwned>(
        &self,
        data: &Path,
        name: &'static str,
        args: &[&str],
    ) -> Result<T, Failure> {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let output = self.output(data, name, &args)?;
        Ok(serde_json::from_str(&output).map_err(|_| DemoError::Reply { command: name })?)
    }

    fn output(&self, data: &Path, name: &'static str, args: &[&str]) -> Result<String, Failure> {
        let output = self
            .command(data)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| DemoError::ServerStart {
                command: self.shown(),
                source,
            })?;
        if !output.status.success() {
            let told = tail(&String::from_utf8_lossy(&output.stderr));
            return Err(DemoError::ServerFailed {
                command: name.to_owned(),
                status: output.status.to_string(),
                told,
            }
            .into());
        }
        let mut text = String::new();
        output
            .stdout
            .as_slice()
            .take(OUTPUT_MAX_BYTES)
            .read_to_string(&mut text)
            .map_err(|_| DemoError::Reply { command: name })?;
        Ok(text)
    }
}

/// A token as `token new --json` prints it.
#[derive(Deserialize)]
struct Token {
    token: Text,
}

/// A server that is up. It is stopped when this is dropped.
pub(super) struct Running {
    child: Option<Child>,
    addresses: Option<Addresses>,
}

impl Running {
    /// Where it listens.
    ///
    /// # Errors
    ///
    /// Never for a server that [`Server::serve`] returned.
    pub(super) fn addresses(&self) -> Result<Addresses, Failure> {
        Ok(self
            .addresses
            .ok_or_else(|| DemoError::NotReady(String::new()))?)
    }

    /// Asks it to finish what it took and to stop, and waits until it has.
    ///
    /// # Errors
    ///
    /// When it cannot be waited for.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        self.end().map_err(Failure::Output)
    }

    fn end(&mut self) -> std::io::Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        if child.try_wait()?.is_none()
            && let Some(pid) = i32::try_from(child.id())
                .ok()
                .and_then(rustix::process::Pid::from_raw)
        {
            // It may have stopped just now, as it does on the Ctrl-C that stops the demo.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        child.wait().map(|_| ())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// The end of what a program said, for a message of one line.
fn tail(told: &str) -> String {
    let told = told.trim();
    let skip = told.chars().count().saturating_sub(TOLD_MAX_CHARS);
    told.chars().skip(skip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_command_may_be_a_path_with_blanks_or_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("candour server");
        std::fs::write(&path, "").unwrap();
        let server = Server::find(path.to_str()).unwrap();
        assert_eq!(
            (server.program.as_path(), server.before.len()),
            (path.as_path(), 0)
        );
        let server = Server::find(Some("candour-tests server")).unwrap();
        assert_eq!(
            (server.program.as_path(), server.before.as_slice()),
            (Path::new("candour-tests"), &["server".to_owned()][..])
        );
    }

    #[test]
    fn a_server_that_cannot_be_started_is_told_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::find(Some("/nowhere/candour-server")).unwrap();
        let failure = server
            .serve(dir.path(), &dir.path().join("server.log"))
            .err()
            .unwrap();
        assert_eq!(failure.code(), candour_wire::Code::UsageInvalid);
        assert!(failure.advice().contains("--server-command"));
    }
}
