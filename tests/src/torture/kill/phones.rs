//! Phones whose agents are processes that can be killed.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use candour_core::agent::{Finding, RecordState};
use candour_core::sync::SyncReport;
use candour_core::{Agent, AgentError};
use candour_wire::{Code, RecordId, Sensitive};
use serde_json::Value;
use tempfile::TempDir;

use super::Witness;
use crate::department::Department;
use crate::handset::Handset;
use crate::interceptor::Interceptor;
use crate::program::Program;
use crate::torture::facts::{Fact, Known};
use crate::torture::phone;
use crate::torture::phone_check::Findings;
use crate::wait::DEADLINE;

/// The server's own window for counting a phone's requests.
const A_MINUTE: Duration = Duration::from_secs(60);

/// A phone, and what lies between it and the department.
pub(in crate::torture) struct LoadedPhone {
    dir: TempDir,
    settings: PathBuf,
    process: Option<(Child, Receiver<Fact>)>,
    known: Known,
    /// Drafts that the present process has made, the newest last.
    drafts: Vec<RecordId>,
    _between: Interceptor,
}

impl LoadedPhone {
    /// Enrols a phone, with nothing in between as yet.
    pub(in crate::torture) async fn enrol(
        department: &Department,
        number: u64,
        witness: &Witness,
    ) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let home = dir.path().join("home");
        let handset = Handset::at(&home);
        let enrolled = {
            let agent = handset.open(department.config());
            let enrolment = agent.enrol(Sensitive::new(department.token())).await;
            enrolment.map_err(|error| format!("phone {number}: {error:?}"))?
        };
        let witness = witness.clone();
        let rule = move |asked: &_| witness.rule(asked);
        let between = Interceptor::start(department, handset.tls(department), rule).await;
        let mut settings = department.settings();
        let url = format!("https://{}", between.address());
        settings.insert("server_url".into(), Value::from(url));
        let path = dir.path().join("settings.json");
        fs::write(&path, Value::from(settings).to_string()).map_err(|error| error.to_string())?;
        let mut known = Known::default();
        known.learn(&Fact::Enrolled {
            handset: enrolled.handset.to_string(),
        });
        Ok(Self {
            dir,
            settings: path,
            process: None,
            known,
            drafts: Vec::new(),
            _between: between,
        })
    }

    pub(in crate::torture) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// Starts its agent.
    pub(in crate::torture) fn start(
        &mut self,
        program: &Program,
        seed: u64,
        rest_ms: u64,
        early: bool,
    ) -> Result<(), String> {
        let mut command = phone::command(program, &self.home(), &self.settings, seed);
        command.args(["--rest-ms", &rest_ms.to_string()]);
        if early {
            command.arg("--early");
        }
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .map_err(|error| error.to_string())?;
        let spawned = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn();
        let mut child = spawned.map_err(|error| error.to_string())?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let (sender, facts) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The last line may have been cut off by a kill.
                if let Ok(fact) = serde_json::from_str(&line)
                    && sender.send(fact).is_err()
                {
                    break;
                }
            }
        });
        self.process = Some((child, facts));
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Blocks until the agent has said something.
    pub(in crate::torture) fn wait_for_a_fact(&mut self) -> Result<(), String> {
        let Some((_, facts)) = &self.process else {
            return Ok(());
        };
        match facts.recv_timeout(DEADLINE) {
            Ok(fact) => {
                self.learn(&fact);
                Ok(())
            }
            Err(_) => {
                let log = fs::read_to_string(self.log()).unwrap_or_default();
                Err(format!("the agent says nothing: {log}"))
            }
        }
    }

    fn learn(&mut self, fact: &Fact) {
        match fact {
            Fact::Draft { id, .. } => self.drafts.push(*id),
            Fact::DraftGone { id } | Fact::Declared { id, .. } => {
                self.drafts.retain(|draft| draft != id);
            }
            _ => {}
        }
        self.known.learn(fact);
    }

    /// Kills the agent, and takes down all that it had said.
    pub(in crate::torture) fn kill(&mut self) {
        let Some((mut child, facts)) = self.process.take() else {
            return;
        };
        // It may have ended by itself, which the log shows and the next start too.
        let _ = child.kill();
        let _ = child.wait();
        // The sender goes once the pipe is empty.
        while let Ok(fact) = facts.recv() {
            self.learn(&fact);
        }
        // It uses the newest draft first, and may have done so without having said it.
        if let Some(newest) = self.drafts.pop() {
            self.known.drafts.remove(&newest);
        }
        self.drafts.clear();
    }

    pub(in crate::torture) fn known(&mut self) -> Known {
        self.kill();
        self.known.clone()
    }

    /// Syncs with nothing in between: every record gets its receipt.
    pub(in crate::torture) async fn settle(&self, department: &Department) -> Findings {
        let handset = Handset::at(&self.home());
        let agent = match handset.try_open(department.config()) {
            Ok(agent) => agent,
            Err(error) => return vec![format!("the agent does not open: {error:?}")],
        };
        let mut found = Findings::new();
        match sync_patiently(&agent).await {
            Ok(report) => found.extend(
                report
                    .failure
                    .map(|failure| format!("it does not sync: {failure:?}")),
            ),
            Err(error) => found.push(format!("it does not sync: {error:?}")),
        }
        let (sent, verified) = match (agent.sent(), agent.verify(None)) {
            (Ok(sent), Ok(verified)) => (sent, verified),
            (Err(error), _) | (_, Err(error)) => {
                found.push(format!("it cannot list what it has: {error}"));
                return found;
            }
        };
        for item in sent {
            if item.state != RecordState::Received {
                found.push(format!(
                    "it has no receipt: {} is {:?}",
                    item.id, item.state
                ));
            }
        }
        for receipt in verified {
            if receipt.finding != Finding::Verified {
                found.push(format!("the receipt of {} does not hold", receipt.id));
            }
        }
        found
    }
}

/// Syncs, and again once it may, where there is more than the server takes from one phone in a minute.
pub(in crate::torture) async fn sync_patiently(agent: &Agent) -> Result<SyncReport, AgentError> {
    loop {
        let report = agent.sync().await?;
        match &report.failure {
            Some(failure) if failure.code == Code::TooManyRequests => {
                tokio::time::sleep(failure.retry_after.unwrap_or(A_MINUTE)).await;
            }
            _ => return Ok(report),
        }
    }
}

impl Drop for LoadedPhone {
    fn drop(&mut self) {
        self.kill();
    }
}
