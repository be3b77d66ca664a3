//! The agent as a person has it: a program, a home and a configuration file.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::department::Department;
use crate::faults::{DIE, Death};
use crate::program::{Outcome, Program, run};

/// A person's agent.
pub struct AgentCli {
    program: Program,
    home: PathBuf,
    config: PathBuf,
}

/// The flags of a complete declaration; its text comes from standard input.
pub const DECLARE: [&str; 18] = [
    "declare",
    "--channel",
    "whatsapp",
    "--direction",
    "received",
    "--with",
    "Bob O'Neil (Adviser)",
    "--occurred",
    "2026-01-15T14:30",
    "--significance",
    "significant",
    "--reason",
    "The Minister was travelling",
    "--by",
    "Ada Lovell (Private Secretary)",
    "--text-file",
    "-",
    "--yes",
];

impl AgentCli {
    /// An agent whose home is `name` in the department's scratch directory.
    ///
    /// # Panics
    ///
    /// When the files cannot be made.
    #[must_use]
    pub fn new(department: &Department, name: &str) -> Self {
        let home = department.scratch().join(name);
        std::fs::create_dir_all(&home).expect("a home");
        let config = department.scratch().join(format!("{name}.toml"));
        let this = Self {
            program: department.program().clone(),
            home,
            config,
        };
        this.configure(department);
        this
    }

    /// Writes the configuration anew, as after a restart of the server on other ports.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn configure(&self, department: &Department) {
        let table: toml::Table =
            serde_json::from_value(department.settings().into()).expect("texts and numbers");
        std::fs::write(&self.config, table.to_string()).expect("a configuration");
    }

    /// The agent's home.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// A command of the agent, not run yet. It answers in JSON.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program.agent(args);
        command
            .arg("--json")
            .arg("--home")
            .arg(&self.home)
            .arg("--config")
            .arg(&self.config);
        command
    }

    /// Runs a command with `input` as its standard input. Blocks.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn run(&self, args: &[&str], input: &str) -> Outcome {
        run(&mut self.command(args), input.as_bytes())
    }

    /// As [`AgentCli::run`], with a process that dies at a given write, if it gets that far.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn run_mortal(&self, death: Death, args: &[&str], input: &str) -> Outcome {
        run(
            self.command(args).env(DIE, death.to_string()),
            input.as_bytes(),
        )
    }

    /// Enrols with a fresh token.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn enrol(&self, department: &Department) {
        let _ = self
            .run(&["enrol", "--token-file", "-"], &department.token())
            .succeeded();
    }

    /// Declares a text and returns the record's id.
    ///
    /// # Panics
    ///
    /// When that fails.
    #[must_use]
    pub fn declare(&self, text: &str) -> String {
        let declared = self.run(&DECLARE, text).succeeded().json();
        declared["record"]
            .as_str()
            .unwrap_or_else(|| panic!("{declared}"))
            .to_owned()
    }
}
