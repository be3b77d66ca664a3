//! `check`: looks for damage everywhere.

use super::{CliError, Context, open_store, output};
use crate::gateway::{ServeError, ServerCertificate};
use crate::policy::Policies;

pub(super) fn run(context: &Context) -> Result<(), CliError> {
    // What `serve` reads before it listens.
    context.config(&[])?;
    ServerCertificate::open(context.data.server_path()).map_err(ServeError::from)?;
    context.authority()?;
    let policy_key = context.policy_key()?.verifying_key().clone();
    Policies::open(context.data.policy_dir(), policy_key)?;
    let log = context.log_key()?.verifier().clone();
    let store = open_store(&context.data, None)?;
    let report = context.wait(store.check(log))?;
    if context.json {
        output::json(&serde_json::json!({
            "handsets": report.handsets,
            "records": report.records,
            "files": report.files,
            "faults": report.faults,
            "faults_in_all": report.count,
        }));
    } else {
        report
            .faults
            .iter()
            .for_each(|fault| output::text(&output::clean(fault)));
        output::text(&format!(
            "Looked through; records: {}, handsets: {}, files: {}.",
            report.records, report.handsets, report.files
        ));
    }
    match report.count {
        0 => Ok(()),
        count => Err(CliError::Faults(count)),
    }
}
