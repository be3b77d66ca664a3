//! `handset list`, `handset show`, `handset revoke` and `handset reinstate`.

mod show;

use candour_wire::{DepartmentId, HandsetId};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;

use super::{CliError, Context, output};
use crate::clock::Clock as _;
use crate::store::{HandsetFilter, HandsetRow, Reason, ReinstateOutcome, RevokeOutcome, Store};

#[derive(Debug, Subcommand)]
pub(super) enum Handset {
    /// List handsets.
    List(List),
    /// Show one handset: its chains, and what was out of order with its batches.
    Show(show::Show),
    /// Withdraw a handset's enrolment. No token brings its key back; the phone enrols anew.
    Revoke(Revoke),
    /// Take back a revocation that was a mistake, so that what waits on the phone is not lost.
    Reinstate(Reinstate),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only this department's.
    #[arg(long, value_name = "ID")]
    department: Option<DepartmentId>,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Which handset.
    handset: HandsetId,
    /// Why; it is kept.
    #[arg(long, value_parser = parse_reason)]
    reason: Reason,
}

#[derive(Debug, Args)]
pub(super) struct Reinstate {
    /// Which handset.
    handset: HandsetId,
    /// Why; it is kept, with the reason of the revocation.
    #[arg(long, value_parser = parse_reason)]
    reason: Reason,
}

impl Handset {
    pub(super) fn run(&self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::List(command) => command.run(context),
            Self::Show(command) => command.run(context),
            Self::Revoke(command) => command.run(context),
            Self::Reinstate(command) => command.run(context),
        }
    }
}

/// A handset as JSON.
#[derive(Serialize)]
struct Line {
    handset: HandsetId,
    department: DepartmentId,
    label: Option<String>,
    enrolled: Timestamp,
    revoked: Option<Timestamp>,
    revoked_because: Option<String>,
    certificate_not_after: Option<Timestamp>,
    last_seen: Option<Timestamp>,
    posture_confirmed: Option<Timestamp>,
    posture_records: u64,
    declared_records: u64,
    anomalies: u64,
    waiting: Option<u64>,
    quarantined: Option<u64>,
    problems: Vec<String>,
}

impl From<HandsetRow> for Line {
    fn from(row: HandsetRow) -> Self {
        let (revoked, revoked_because) = row.revoked.map(|r| (r.at, r.reason)).unzip();
        let status = row.status.map(|reported| reported.status);
        Self {
            handset: row.handset.id,
            department: row.handset.department,
            label: row.handset.label,
            enrolled: row.handset.enrolled,
            revoked,
            revoked_because,
            certificate_not_after: row.certificate_not_after,
            last_seen: row.last_seen,
            posture_confirmed: row.posture_confirmed,
            posture_records: row.posture_head.seq,
            declared_records: row.records_head.seq,
            anomalies: row.anomalies,
            waiting: status.as_ref().map(|status| status.pending),
            quarantined: status.as_ref().map(|status| status.quarantined),
            problems: status.map(|status| status.problems).unwrap_or_default(),
        }
    }
}

impl List {
    fn run(&self, context: &Context) -> Result<(), CliError> {
        let store = context.store()?;
        let lines = context.wait(self.lines(store.as_ref()))?;
        if context.json {
            output::json(&lines);
            return Ok(());
        }
        let number = |number: Option<u64>| {
            number.map_or_else(|| "–".to_owned(), |number| number.to_string())
        };
        output::table(
            [
                "Handset",
                "Department",
                "Label",
                "Standing",
                "Last seen",
                "Certificate until",
                "Posture",
                "Declared",
                "Waiting",
                "Anomalies",
            ],
            lines.into_iter().map(|line| {
                [
                    line.handset.to_string(),
                    line.department.to_string(),
                    line.label.unwrap_or_default(),
                    line.revoked_because
                        .map_or_else(|| "enrolled".to_owned(), |why| format!("revoked: {why}")),
                    output::time_or_dash(line.last_seen),
                    output::time_or_dash(line.certificate_not_after),
                    line.posture_records.to_string(),
                    line.declared_records.to_string(),
                    number(line.waiting),
                    line.anomalies.to_string(),
                ]
            }),
        );
        Ok(())
    }

    async fn lines(&self, store: &dyn Store) -> Result<Vec<Line>, CliError> {
        let mut lines: Vec<Line> = Vec::new();
        loop {
            let after = lines.last().map(|line| line.handset.clone());
            let filter = HandsetFilter {
                department: self.department.clone(),
                after,
                limit: PAGE,
            };
            let page = store.handsets(filter).await?;
            if page.is_empty() {
                return Ok(lines);
            }
            lines.extend(page.into_iter().map(Line::from));
        }
    }
}

const PAGE: u32 = 500;

impl Revoke {
    fn run(&self, context: &Context) -> Result<(), CliError> {
        let store = context.store()?;
        let outcome = context.wait(async {
            let outcome = store
                .revoke(&self.handset, self.reason.clone(), context.clock.now())
                .await?;
            store.close().await;
            Ok::<_, CliError>(outcome)
        })?;
        let already = match outcome {
            RevokeOutcome::Revoked => false,
            RevokeOutcome::AlreadyRevoked => true,
            RevokeOutcome::Unknown => {
                return Err(CliError::HandsetUnknown(self.handset.to_string()));
            }
        };
        if context.json {
            output::json(
                &serde_json::json!({ "handset": self.handset, "already_revoked": already }),
            );
        } else if already {
            output::text("It had been revoked before; the first reason stays.");
        } else {
            output::text("Revoked. A running server shuts the door within a second.");
        }
        Ok(())
    }
}

impl Reinstate {
    fn run(&self, context: &Context) -> Result<(), CliError> {
        let store = context.store()?;
        let outcome = context.wait(async {
            let outcome = store
                .reinstate(&self.handset, self.reason.clone(), context.clock.now())
                .await?;
            store.close().await;
            Ok::<_, CliError>(outcome)
        })?;
        let reinstated = match outcome {
            ReinstateOutcome::Reinstated => true,
            ReinstateOutcome::NotRevoked => false,
            ReinstateOutcome::Unknown => {
                return Err(CliError::HandsetUnknown(self.handset.to_string()));
            }
        };
        if context.json {
            output::json(&serde_json::json!({ "handset": self.handset, "reinstated": reinstated }));
        } else if reinstated {
            output::text(
                "Reinstated. The phone is let in within a second, syncs by itself within hours, and \
                 before that with `candour sync`.",
            );
        } else {
            output::text("It is not revoked; nothing was changed.");
        }
        Ok(())
    }
}

/// A reason in words, for clap.
pub(super) fn parse_reason(text: &str) -> Result<Reason, String> {
    Reason::new(text).map_err(|error| error.to_string())
}
