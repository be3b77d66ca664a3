//! `policy show` and `policy issue`.

use std::path::PathBuf;

use candour_wire::DepartmentId;
use candour_wire::policy::Policy;
use clap::{Args, Subcommand};

use super::{CliError, Context, output};
use crate::files;
use crate::policy::{self, Policies};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Print the policy in force as JSON, to be edited and issued again.
    Show(Show),
    /// Sign a policy and put it in force. Its version must go up.
    Issue(Issue),
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// Which department; need not be given when there is one.
    #[arg(long, value_name = "ID")]
    department: Option<DepartmentId>,
    /// Print the signed bundle that handsets get.
    #[arg(long)]
    bundle: bool,
}

#[derive(Debug, Args)]
pub(super) struct Issue {
    /// The policy as JSON, in the form that `policy show` prints.
    file: PathBuf,
}

impl PolicyCommand {
    pub(super) fn run(&self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Show(command) => command.run(context),
            Self::Issue(command) => command.run(context),
        }
    }
}

impl Show {
    fn run(&self, context: &Context) -> Result<(), CliError> {
        let config = context.config(&[])?;
        let department = context.department(&config, self.department.as_ref())?;
        let policies = Policies::open(
            context.data.policy_dir(),
            context.policy_key()?.verifying_key().clone(),
        )?;
        let of = policies
            .of(&department)
            .ok_or_else(|| CliError::PolicyMissing(department.to_string()))?;
        if self.bundle {
            output::text(&of.current.bundle);
        } else {
            output::json(&of.current.policy);
        }
        Ok(())
    }
}

impl Issue {
    fn run(&self, context: &Context) -> Result<(), CliError> {
        let config = context.config(&[])?;
        let text = files::read(&self.file)?;
        let policy: Policy = serde_json::from_str(&text)
            .map_err(|error| CliError::usage("the policy file", error.to_string()))?;
        let unknown = policy::unknown_members(&text, &policy);
        if !unknown.is_empty() {
            return Err(CliError::usage("the policy file", unknown.join("; ")));
        }
        let department = context.department(&config, Some(&policy.department))?;
        policy::issue(&context.data.policy_dir(), &context.policy_key()?, &policy)?;
        if context.json {
            output::json(
                &serde_json::json!({ "department": department, "version": policy.version }),
            );
        } else {
            output::text(&format!(
                "Version {} is in force for {department}.",
                policy.version
            ));
        }
        Ok(())
    }
}
