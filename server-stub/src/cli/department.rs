//! `department add` and `department list`.

use candour_wire::DepartmentId;
use clap::{Args, Subcommand};
use toml_edit::{DocumentMut, Item, Table, value};

use super::agent_config::{AgentConfig, PublicKeys};
use super::{CliError, Context, init, output};
use crate::config::{Config, Sources};
use crate::files;

#[derive(Debug, Subcommand)]
pub(super) enum Department {
    /// Add a department: its records key, its first policy and its phones' settings.
    Add(Add),
    /// List the departments.
    List,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// The department's id, such as home-office.
    id: DepartmentId,
    /// The department's name, such as "Home Office".
    name: String,
}

impl Department {
    pub(super) fn run(&self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Add(command) => command.run(context),
            Self::List => list(context),
        }
    }
}

impl Add {
    fn run(&self, context: &Context) -> Result<(), CliError> {
        let data = &context.data;
        let config = context.config(&[])?;
        if config.departments.contains_key(&self.id) {
            return Err(CliError::DepartmentExists(self.id.to_string()));
        }
        // Checked before anything is made, and written last.
        let text = self.extended(&files::read(&data.config_path())?)?;
        let config = Config::load(&Sources {
            file: &text,
            environment: &context.environment,
            flags: &[],
        })?;
        let named = (&self.id, self.name.as_str());
        let records_key =
            init::add_department(context, data, &context.policy_key()?, named, Some(&self.id))?;
        let agent_config = AgentConfig::new(&config, &self.id, &PublicKeys::read(context)?);
        let agent_path = data.agent_config_path(&self.id);
        files::write(&agent_path, &agent_config.to_toml())?;
        files::write(&data.config_path(), &text)?;
        if context.json {
            output::json(&serde_json::json!({
                "department": self.id,
                "records_key_path": records_key,
                "agent_config_path": agent_path,
                "agent_config": agent_config,
            }));
        } else {
            output::text(&format!(
                "Added {}.\nIts records key, to be moved off this machine: {}\nIts phones' settings: {}",
                self.id,
                records_key.display(),
                agent_path.display(),
            ));
        }
        Ok(())
    }

    /// The settings with this department, comments and order kept.
    fn extended(&self, text: &str) -> Result<String, CliError> {
        let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
            CliError::usage("config.toml", error.to_string())
        })?;
        let departments = document
            .entry("departments")
            .or_insert(Item::Table(Table::new()));
        let Some(table) = departments.as_table_like_mut() else {
            return Err(CliError::usage("config.toml", "departments is not a table"));
        };
        table.insert(self.id.as_str(), value(self.name.trim()));
        Ok(document.to_string())
    }
}

fn list(context: &Context) -> Result<(), CliError> {
    let config = context.config(&[])?;
    if context.json {
        output::json(&config.departments);
    } else {
        let rows = config
            .departments
            .into_iter()
            .map(|(id, name)| [id.to_string(), name]);
        output::table(["Department", "Name"], rows);
    }
    Ok(())
}
