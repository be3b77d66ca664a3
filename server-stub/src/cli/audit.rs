//! `audit` and `checkpoint`.

use clap::Args;

use super::{CliError, Context, output};

#[derive(Debug, Args)]
pub(super) struct Audit {
    /// At most this many, the newest first.
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

impl Audit {
    pub(super) fn run(&self, context: &Context) -> Result<(), CliError> {
        let store = context.store()?;
        let trail = context.wait(store.audit_trail(self.limit))?;
        if context.json {
            let rows = trail.iter().map(|row| {
                serde_json::json!({
                    "at": row.at,
                    "who": row.who,
                    "action": row.action.as_str(),
                    "record": row.record,
                    "reason": row.reason.as_str(),
                })
            });
            output::json(&rows.collect::<Vec<_>>());
        } else {
            output::table(
                ["When", "Who", "What", "Record", "Why"],
                trail.into_iter().map(|row| {
                    let record = row.record.to_string();
                    [
                        output::time(row.at),
                        row.who,
                        row.action.as_str().to_owned(),
                        record,
                        row.reason.as_str().to_owned(),
                    ]
                }),
            );
        }
        Ok(())
    }
}

/// Prints the newest checkpoint as it was signed.
pub(super) fn checkpoint(context: &Context) -> Result<(), CliError> {
    let store = context.store()?;
    let note = context
        .wait(store.checkpoint())?
        .ok_or(CliError::NoCheckpoint)?;
    if context.json {
        output::json(&serde_json::json!({ "checkpoint": note }));
    } else {
        output::text(note.trim_end_matches('\n'));
    }
    Ok(())
}
