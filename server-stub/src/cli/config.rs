//! `config show` and `config keys`.

use clap::Subcommand;

use super::agent_config::PublicKeys;
use super::{CliError, Context, output};
use crate::config::{ENV_PREFIX, KEYS};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Show the settings in force, and of the keys their public halves only.
    Show,
    /// List every setting there is.
    Keys,
}

impl ConfigCommand {
    pub(super) fn run(&self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Show => show(context),
            Self::Keys => {
                keys(context);
                Ok(())
            }
        }
    }
}

fn show(context: &Context) -> Result<(), CliError> {
    let config = context.config(&[])?;
    let public = PublicKeys::read(context)?;
    let keys = [
        ("ca.key", "public key SHA-256", public.ca_pin.to_string()),
        ("policy.key", "public key", public.policy_key),
        ("log.key", "verifier key", public.log_key),
    ];
    if context.json {
        let settings: serde_json::Map<_, _> = config
            .settings()
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.into()))
            .collect();
        let keys: serde_json::Map<_, _> = keys
            .into_iter()
            .map(|(file, _, value)| (file.to_owned(), value.into()))
            .collect();
        output::json(
            &serde_json::json!({ "settings": settings, "departments": config.departments, "keys": keys }),
        );
        return Ok(());
    }
    let settings = config
        .settings()
        .into_iter()
        .map(|(key, value)| [key.to_owned(), value]);
    let departments = config
        .departments
        .iter()
        .map(|(id, name)| [format!("departments.{id}"), name.clone()]);
    let keys = keys.into_iter().map(|(file, what, value)| {
        [
            file.to_owned(),
            format!("(private key not shown) {what} {value}"),
        ]
    });
    output::table(
        ["Setting", "Value"],
        settings.chain(departments).chain(keys),
    );
    Ok(())
}

fn keys(context: &Context) {
    if context.json {
        let keys = KEYS.iter().map(|key| {
            serde_json::json!({ "name": key.name, "default": key.default, "about": key.about })
        });
        output::json(&keys.collect::<Vec<_>>());
        return;
    }
    let rows = KEYS.iter().map(|key| {
        let variable = format!("{ENV_PREFIX}{}", key.name.to_uppercase());
        [
            key.name.to_owned(),
            variable,
            key.default.unwrap_or("must be set").to_owned(),
            key.about.to_owned(),
        ]
    });
    output::table(["Key", "Environment", "Default", "Meaning"], rows);
}
