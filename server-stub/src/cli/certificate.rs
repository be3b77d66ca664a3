//! `certificate renew`: a new TLS certificate for the server.

use clap::Subcommand;

use super::{CliError, Context, output};
use crate::clock::Clock as _;
use crate::files;
use crate::identity::ca;

#[derive(Debug, Subcommand)]
pub(super) enum Certificate {
    /// Make a new key and certificate for the hosts in the settings. A running server takes them
    /// over within a second, and renews them by itself after two thirds of their life.
    Renew,
}

impl Certificate {
    pub(super) fn run(&self, context: &Context) -> Result<(), CliError> {
        let Self::Renew = self;
        let config = context.config(&[])?;
        let text = context
            .authority()?
            .issue_server(&config.hosts, context.clock.now())?;
        files::write_secret(&context.data.server_path(), &text)?;
        // EXPOSE: only the dates are read from the chain.
        let (_, not_after) = ca::server_validity(text.expose())?;
        if context.json {
            output::json(&serde_json::json!({ "hosts": config.hosts, "not_after": not_after }));
        } else {
            output::text(&format!(
                "Renewed for {} until {}.",
                config.hosts.join(", "),
                output::time(not_after)
            ));
        }
        Ok(())
    }
}
