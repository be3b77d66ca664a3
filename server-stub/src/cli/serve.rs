//! `serve`: the gateway.

mod open_files;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{CliError, Context, logging, open_store, output};
use crate::files;
use crate::gateway::{self, Bound, Gateway, Limits, Metrics, Parts, ServeError, ServerCertificate};
use crate::identity::enrolled::EnrolledKeys;
use crate::policy::Policies;

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address and port for enrolment and the log; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    public_listen: Option<String>,
    /// Address and port for enrolled phones.
    #[arg(long, value_name = "ADDRESS")]
    handset_listen: Option<String>,
    /// Address and port for health and metrics.
    #[arg(long, value_name = "ADDRESS")]
    ops_listen: Option<String>,
    /// Any setting of config.toml.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_setting)]
    settings: Vec<(String, String)>,
    /// Write the bound addresses to this file, as one line of JSON, once all ports accept.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

impl Serve {
    pub(super) fn run(&self, context: &Context) -> Result<(), CliError> {
        let mut config = context.config(&self.flags())?;
        logging::begin(&config)?;
        let _taken = context.data.take_for_serving()?;
        open_files::make_room(&mut config);
        let certificate =
            ServerCertificate::open(context.data.server_path()).map_err(ServeError::from)?;
        let policy_key = context.policy_key()?;
        let policies = Policies::open(
            context.data.policy_dir(),
            policy_key.verifying_key().clone(),
        )?;
        let store = open_store(&context.data, Some(context.log_key()?.into_signer()))?;
        let gateway = Gateway::new(Parts {
            store,
            clock: Arc::new(context.clock),
            authority: context.authority()?,
            enrolled: Arc::new(EnrolledKeys::default()),
            policies: Arc::new(policies),
            metrics: Arc::new(Metrics::default()),
            limits: Limits::new(&config, context.data.path()),
        });
        context.wait(async {
            let stop = stop_signal().map_err(CliError::Runtime)?;
            let ready = |bound: &Bound| self.announce(context, bound);
            Ok(gateway::serve(gateway, &config, Arc::new(certificate), ready, stop).await?)
        })
    }

    fn flags(&self) -> Vec<(String, String)> {
        let listen = [
            ("public_listen", &self.public_listen),
            ("handset_listen", &self.handset_listen),
            ("ops_listen", &self.ops_listen),
        ];
        let listen = listen
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
        listen.chain(self.settings.iter().cloned()).collect()
    }

    fn announce(&self, context: &Context, bound: &Bound) {
        let line = serde_json::json!({
            "public": bound.public,
            "handset": bound.handset,
            "ops": bound.ops,
            "pid": std::process::id(),
        });
        tracing::info!(public = %bound.public, handset = %bound.handset, ops = %bound.ops, "ready");
        if context.json {
            output::text(&line.to_string());
        }
        if let Some(path) = &self.ready_file
            && let Err(error) = files::write(path, &format!("{line}\n"))
        {
            tracing::error!(
                error = crate::problem::chain(&error),
                "the ready file could not be written"
            );
        }
    }
}

/// Completes at the first SIGTERM or SIGINT. From the moment it is made the signals no longer
/// end the process.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn parse_setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}
