//! `agent-config`: what a device management pushes to a department's phones.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candour_wire::log::LogVerifier;
use candour_wire::{DepartmentId, Digest};
use clap::Args;
use serde::Serialize;

use super::{CliError, Context, output};
use crate::config::Config;
use crate::identity::ca::Authority;
use crate::keys::PolicyKey;

#[derive(Debug, Args)]
pub(super) struct AgentConfigCommand {
    /// Which department; need not be given when there is one.
    #[arg(long, value_name = "ID")]
    department: Option<DepartmentId>,
    /// Address for enrolment, where it is not the one in the settings.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Address for enrolled phones, where it is not the one in the settings.
    #[arg(long, value_name = "URL")]
    handset_url: Option<String>,
}

impl AgentConfigCommand {
    pub(super) fn run(&self, context: &Context) -> Result<(), CliError> {
        let flag = |key: &str, value: &Option<String>| Some((key.to_owned(), value.clone()?));
        let flags: Vec<_> = [
            flag("public_url", &self.public_url),
            flag("handset_url", &self.handset_url),
        ]
        .into_iter()
        .flatten()
        .collect();
        let config = context.config(&flags)?;
        let department = context.department(&config, self.department.as_ref())?;
        let agent_config = AgentConfig::new(&config, &department, &PublicKeys::read(context)?);
        if context.json {
            output::json(&agent_config);
        } else {
            output::text(agent_config.to_toml().trim_end());
        }
        Ok(())
    }
}

/// The public halves of the server's keys, as phones pin them.
#[derive(Debug, Clone)]
pub(super) struct PublicKeys {
    /// SHA-256 of the certificate authority's public key.
    pub(super) ca_pin: Digest,
    /// The policy key: DER `SubjectPublicKeyInfo` in base64.
    pub(super) policy_key: String,
    /// The log's key in C2SP verifier-key form.
    pub(super) log_key: String,
}

impl PublicKeys {
    pub(super) fn new(authority: &Authority, policy_key: &PolicyKey, log: &LogVerifier) -> Self {
        Self {
            ca_pin: authority.pin(),
            policy_key: STANDARD.encode(policy_key.verifying_key().spki_der()),
            log_key: log.to_string(),
        }
    }

    pub(super) fn read(context: &Context) -> Result<Self, CliError> {
        Ok(Self::new(
            &context.authority()?,
            &context.policy_key()?,
            context.log_key()?.verifier(),
        ))
    }
}

/// The keys of the agent's configuration that a server knows.
#[derive(Debug, Clone, Serialize)]
pub(super) struct AgentConfig {
    server_url: String,
    enrol_url: String,
    department: DepartmentId,
    ca_pins: Vec<Digest>,
    policy_key: String,
    log_key: String,
}

impl AgentConfig {
    pub(super) fn new(config: &Config, department: &DepartmentId, keys: &PublicKeys) -> Self {
        Self {
            server_url: config.handset_url.clone(),
            enrol_url: config.public_url.clone(),
            department: department.clone(),
            ca_pins: vec![keys.ca_pin],
            policy_key: keys.policy_key.clone(),
            log_key: keys.log_key.clone(),
        }
    }

    pub(super) fn to_toml(&self) -> String {
        toml::to_string(self).expect("texts and a list of texts are TOML")
    }
}
