//! The server's own log: to standard error, never content, tokens, certificates or keys.

use tracing_subscriber::EnvFilter;

use super::CliError;
use crate::config::{Config, LogFormat};

/// Begins to log, and logs where a panic happened but not what it said, which may be content.
pub(super) fn begin(config: &Config) -> Result<(), CliError> {
    let filter = EnvFilter::try_new(&config.log_filter)
        .map_err(|error| CliError::usage("log_filter", error.to_string()))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second call, as in a test that serves twice, keeps the first subscriber.
    let _ = match config.log_format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(place, "a part of the server panicked");
    }));
    Ok(())
}
