//! A department: a real server process on loopback, with everything made on the spot.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use candour_core::Config;
use candour_core::adapters::clock::SystemClock;
use candour_core::ports::Clock as _;
use candour_server::keys::{LogKey, PolicyKey};
use candour_wire::log::Checkpoint;
use candour_wire::policy::Policy;
use candour_wire::{DepartmentId, HandsetId, Sensitive};
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Connection, Failure};
use crate::pki::{Authority, ClientCertificate, client_config, parse_certificates};
use crate::program::{Outcome, Process, Program, run};
use crate::wait::DEADLINE;

/// A department with one server. Dropping it ends the server and removes its data.
pub struct Department {
    program: Program,
    dir: TempDir,
    process: Process,
    bound: Bound,
}

/// Where the server listens.
#[derive(Debug, Clone, Copy)]
struct Bound {
    public: SocketAddr,
    handset: SocketAddr,
    ops: SocketAddr,
}

/// The time.
#[must_use]
pub fn now() -> Timestamp {
    SystemClock.now()
}

/// The department's id.
///
/// # Panics
///
/// Never: the id is valid.
#[must_use]
pub fn id() -> DepartmentId {
    "hm-treasury".parse().expect("a valid id")
}

impl Department {
    /// Makes the keys and starts the server. Blocks until it is ready.
    ///
    /// # Panics
    ///
    /// When it does not get ready.
    #[must_use]
    pub fn start(program: &Program) -> Self {
        Self::start_in(program, tempfile::tempdir().expect("a temporary directory"))
    }

    /// As [`Department::start`], in an empty directory of the caller's choice.
    ///
    /// # Panics
    ///
    /// When it does not get ready.
    #[must_use]
    pub fn start_in(program: &Program, dir: TempDir) -> Self {
        let data = data_dir(&dir);
        let init = [
            "init",
            "--department",
            "hm-treasury",
            "--name",
            "HM Treasury",
            "--host",
            "127.0.0.1",
        ];
        let _ = run(program.server(init).arg("--data").arg(&data), b"").succeeded();
        let (process, bound) = serve(&mut serve_command(program, &data), &log_path(&dir));
        Self {
            program: program.clone(),
            dir,
            process,
            bound,
        }
    }

    /// The program that the server is.
    #[must_use]
    pub const fn program(&self) -> &Program {
        &self.program
    }

    /// The server's data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        data_dir(&self.dir)
    }

    /// A directory beside the data, for what the test itself needs; it goes with the department.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// The server process.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// Starts a server on the same data after the first one has ended, on other ports. Blocks.
    ///
    /// # Panics
    ///
    /// When it does not get ready.
    pub fn restart(&mut self) {
        let mut command = serve_command(&self.program, &self.data());
        self.restart_with(&mut command);
    }

    /// As [`Department::restart`], on the same ports. Where the system has given one of them to a
    /// client of something else meanwhile, it waits until that is done with it.
    ///
    /// # Panics
    ///
    /// When it does not get ready.
    pub fn restart_in_place(&mut self) {
        let mut command = self.serve_command();
        for (listener, address) in [
            ("PUBLIC", self.bound.public),
            ("HANDSET", self.bound.handset),
            ("OPS", self.bound.ops),
        ] {
            command.env(
                format!("CANDOUR_SERVER_{listener}_LISTEN"),
                address.to_string(),
            );
        }
        let began = now();
        while let Err(ended) = self.try_restart_with(&mut command) {
            let log = self.process.log();
            let last = log.lines().next_back().unwrap_or_default();
            let waits =
                last.contains("in use") && now().duration_since(began).unsigned_abs() < DEADLINE;
            assert!(waits, "it does not start again: {ended}: {log}");
        }
    }

    /// Stops the server as an operator does, and starts it again. Blocks.
    ///
    /// # Panics
    ///
    /// When it does not stop in good order.
    pub fn restart_after_stop(&mut self) {
        assert_eq!(self.stop().code(), Some(0), "{}", self.process.log());
        self.restart();
    }

    /// As [`Department::restart`], by a command that ends in [`Department::serve_command`].
    ///
    /// # Panics
    ///
    /// When it does not get ready.
    pub fn restart_with(&mut self, command: &mut Command) {
        let (process, bound) = serve(command, &log_path(&self.dir));
        self.process = process;
        self.bound = bound;
    }

    /// As [`Department::restart_with`], of a server that may refuse to start; then it is how it
    /// ended.
    ///
    /// # Errors
    ///
    /// When it ends before it is ready.
    ///
    /// # Panics
    ///
    /// When it neither gets ready nor ends.
    pub fn try_restart_with(&mut self, command: &mut Command) -> Result<(), ExitStatus> {
        let (process, line) = Process::try_start(command, &log_path(&self.dir));
        self.process = process;
        match line {
            Some(line) => self.bound = Bound::read(&line),
            None => return Err(self.process.wait()),
        }
        Ok(())
    }

    /// How the server is started.
    #[must_use]
    pub fn serve_command(&self) -> Command {
        self.serve_command_on(&self.data())
    }

    /// How a server is started on a copy of the data.
    #[must_use]
    pub fn serve_command_on(&self, data: &Path) -> Command {
        serve_command(&self.program, data)
    }

    /// Asks the server to stop, and waits. Blocks.
    ///
    /// # Panics
    ///
    /// When it does not stop.
    pub fn stop(&self) -> ExitStatus {
        self.process.stop()
    }

    /// Kills the server at once. Blocks until it is gone.
    ///
    /// # Panics
    ///
    /// When it cannot be killed.
    pub fn kill(&self) {
        let _ = self.process.kill();
    }

    /// Runs one of the server's commands on the same data. Blocks.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Outcome {
        run(
            self.program.server(args).arg("--data").arg(self.data()),
            b"",
        )
    }

    /// A fresh enrolment token.
    ///
    /// # Panics
    ///
    /// When none can be made.
    #[must_use]
    pub fn token(&self) -> String {
        self.token_valid_for("7d")
    }

    /// An enrolment token that is valid for that long, such as `7d`; `0s` for one that has expired.
    ///
    /// # Panics
    ///
    /// When none can be made.
    #[must_use]
    pub fn token_valid_for(&self, valid: &str) -> String {
        let made = self
            .command(&["token", "new", "--valid", valid, "--json"])
            .succeeded()
            .json();
        first_text(&made, "token").unwrap_or_else(|| panic!("no token in {made}"))
    }

    /// Withdraws a handset's enrolment.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn revoke(&self, handset: &HandsetId) {
        let _ = self
            .command(&["handset", "revoke", handset.as_str(), "--reason", "lost"])
            .succeeded();
    }

    /// Where handsets enrol.
    #[must_use]
    pub const fn public_address(&self) -> SocketAddr {
        self.bound.public
    }

    /// Where enrolled handsets deliver.
    #[must_use]
    pub const fn handset_address(&self) -> SocketAddr {
        self.bound.handset
    }

    /// Where health and metrics are.
    #[must_use]
    pub const fn ops_address(&self) -> SocketAddr {
        self.bound.ops
    }

    /// What the operations listener answers, head and all; `None` where it does not.
    pub async fn ops(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.bound.ops).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok()?;
        Some(text)
    }

    /// A connection to the public listener.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn connect_public(&self) -> Connection {
        let tls = client_config(&self.authority_certificate(), None);
        let opened: Result<Connection, Failure> = Connection::open(self.bound.public, tls).await;
        opened.expect("the public listener answers")
    }

    /// The log's newest checkpoint, checked.
    ///
    /// # Panics
    ///
    /// When there is none, or it is not signed by the log's key.
    pub async fn checkpoint(&self) -> Checkpoint {
        let reply = self
            .connect_public()
            .await
            .get("/log/checkpoint")
            .await
            .expect("a reply");
        assert_eq!(reply.status, 200, "{}", reply.text());
        Checkpoint::open(&reply.text(), &self.config().log_key).expect("a checkpoint")
    }

    /// What a device management pushes to this department's phones, with the addresses that the
    /// server really has.
    ///
    /// # Panics
    ///
    /// When `init` did not make it.
    #[must_use]
    pub fn settings(&self) -> Map<String, Value> {
        let path = self.data().join("agent/hm-treasury.toml");
        let text = fs::read_to_string(path).expect("the agent's settings");
        let table: toml::Table = text.parse().expect("TOML");
        let json = serde_json::to_value(table).expect("texts and numbers");
        let Value::Object(mut settings) = json else {
            panic!("not a table")
        };
        settings.insert(
            "server_url".into(),
            format!("https://{}", self.bound.handset).into(),
        );
        settings.insert(
            "enrol_url".into(),
            format!("https://{}", self.bound.public).into(),
        );
        settings
    }

    /// [`Department::settings`] as the agent reads them.
    ///
    /// # Panics
    ///
    /// When they are not valid.
    #[must_use]
    pub fn config(&self) -> Config {
        Config::from_object(&self.settings()).expect("valid settings")
    }

    /// The certificate authority with its key.
    #[must_use]
    pub fn authority(&self) -> Authority {
        Authority::from_pem(&self.file("ca.pem"), &self.file("ca.key"))
    }

    /// The certificate authority's certificate.
    #[must_use]
    pub fn authority_certificate(&self) -> CertificateDer<'static> {
        parse_certificates(&self.file("ca.pem")).swap_remove(0)
    }

    /// The server's own certificate and key, for standing in its place.
    ///
    /// # Panics
    ///
    /// When the file is not what it should be.
    #[must_use]
    pub fn server_certificate(&self) -> ClientCertificate {
        let pem = self.file("server.pem");
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("the server's key");
        ClientCertificate {
            chain: parse_certificates(&pem),
            key: key.secret_der().to_vec(),
        }
    }

    /// The key that signs the log, for forging it.
    ///
    /// # Panics
    ///
    /// When the file is not what it should be.
    #[must_use]
    pub fn log_key(&self) -> LogKey {
        LogKey::from_text(&Sensitive::new(self.file("log.key"))).expect("the log's key")
    }

    /// A policy with the policy key's own signature, whatever it says.
    ///
    /// # Panics
    ///
    /// When it cannot be signed.
    #[must_use]
    pub fn sign_policy(&self, policy: &Policy) -> String {
        let key =
            PolicyKey::from_text(&Sensitive::new(self.file("policy.key"))).expect("the policy key");
        key.sign(&serde_json::to_vec(policy).expect("a policy serialises"))
            .expect("a signature")
    }

    /// A text file of the data directory.
    ///
    /// # Panics
    ///
    /// When it cannot be read.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        let path = self.data().join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// TLS settings of a client that trusts the department and shows nothing.
    #[must_use]
    pub fn anonymous_tls(&self) -> Arc<rustls::ClientConfig> {
        client_config(&self.authority_certificate(), None)
    }
}

/// The first text under that name, wherever in the document it stands.
fn first_text(json: &Value, name: &str) -> Option<String> {
    match json {
        Value::Object(members) => match members.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => members.values().find_map(|value| first_text(value, name)),
        },
        Value::Array(values) => values.iter().find_map(|value| first_text(value, name)),
        _ => None,
    }
}

fn data_dir(dir: &TempDir) -> PathBuf {
    dir.path().join("data")
}

fn log_path(dir: &TempDir) -> PathBuf {
    dir.path().join("server.log")
}

fn serve_command(program: &Program, data: &Path) -> Command {
    let mut command = program.server(["serve", "--json"]);
    command.arg("--data").arg(data);
    for listener in ["PUBLIC", "HANDSET", "OPS"] {
        command.env(format!("CANDOUR_SERVER_{listener}_LISTEN"), "127.0.0.1:0");
    }
    command
}

fn serve(command: &mut Command, log: &Path) -> (Process, Bound) {
    let (process, line) = Process::start(command, log);
    (process, Bound::read(&line))
}

impl Bound {
    /// What the server says once it is ready.
    fn read(line: &str) -> Self {
        let json: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let address = |name: &str| {
            let text = first_text(&json, name).unwrap_or_else(|| panic!("no `{name}` in {line}"));
            text.parse()
                .unwrap_or_else(|error| panic!("{error}: {text}"))
        };
        Self {
            public: address("public"),
            handset: address("handset"),
            ops: address("ops"),
        }
    }
}
