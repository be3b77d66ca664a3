//! `candour declare`, `amend` and `withdraw`: always a preview, always the holder's confirmation.

use std::fs::File;
use std::path::{Path, PathBuf};

use candour_core::AgentError;
use candour_core::agent::Agent;
use candour_core::declaration::{Draft, Preview, Violations, refuse_above_official_sensitive};
use candour_wire::attachment::{self, AttachmentSummary, EncryptError};
use candour_wire::content::Attachment;
use candour_wire::policy::Policy;
use candour_wire::{Code, RecordId};
use serde_json::json;

use super::Context;
use crate::args::{Act, Amend, Declare, Withdraw};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::{ask, form, out, preview, text};

pub(super) fn declare(context: &mut Context<'_>, args: &Declare) -> Result<Exit, Failure> {
    let agent = context.open()?;
    let mut inputs = Inputs::default();
    let mut draft = form::begin(&args.source, Draft::default(), &mut inputs)?;
    fill(&agent, &mut draft, &args.fields, &mut inputs)?;
    let job = Job {
        draft,
        files: &args.fields.attach,
        act: args.act,
        stored: None,
        amends: None,
    };
    proceed(context, &agent, job)
}

pub(super) fn amend(context: &mut Context<'_>, args: &Amend) -> Result<Exit, Failure> {
    let agent = context.open()?;
    let mut inputs = Inputs::default();
    let mut draft = form::begin(&args.source, Draft::default(), &mut inputs)?;
    fill(&agent, &mut draft, &args.fields, &mut inputs)?;
    let job = Job {
        draft,
        files: &args.fields.attach,
        act: args.act,
        stored: None,
        amends: Some(args.record),
    };
    proceed(context, &agent, job)
}

pub(super) fn withdraw(context: &mut Context<'_>, args: &Withdraw) -> Result<Exit, Failure> {
    let agent = context.open()?;
    let mut inputs = Inputs::default();
    let reason = match &args.reason {
        Some(reason) => Some(inputs.flag(reason)?),
        None if out::can_ask() && !context.out.is_json() => ask::answer("Why is it taken back?")?,
        None => None,
    };
    let reason = reason.ok_or_else(|| Failure::Found {
        code: Code::ReasonRequired,
        detail: "give it with --reason".into(),
    })?;
    let by = args
        .by
        .as_deref()
        .map(|by| inputs.flag(by).map(form::person))
        .transpose()?;
    let confirmed = args.yes
        || (out::can_ask() && ask::confirm(&format!("Withdraw declaration {}?", args.record))?);
    if !confirmed {
        return Err(Failure::NotConfirmed("nothing was withdrawn"));
    }
    let id = agent.withdraw(args.record, reason, by)?;
    context.out.line(format!(
        "Withdrawn by record {id}. `candour sync` sends it."
    ))?;
    context
        .out
        .json(&json!({ "record": id, "withdraws": args.record }))?;
    Ok(Exit::Done)
}

/// Fills a draft from flags and tells the incident route where the marking is too high.
pub(super) fn fill(
    agent: &Agent,
    draft: &mut Draft,
    fields: &crate::args::Fields,
    inputs: &mut Inputs,
) -> Result<(), Failure> {
    let zone = fields.zone.as_deref().unwrap_or(&agent.config().time_zone);
    form::fill(draft, fields, zone, inputs).map_err(|failure| with_incident_route(agent, failure))
}

/// A draft on its way to being declared.
pub(super) struct Job<'a> {
    /// What is known.
    pub(super) draft: Draft,
    /// Files that are not sealed yet.
    pub(super) files: &'a [PathBuf],
    /// What to do with it.
    pub(super) act: Act,
    /// The stored draft that this is.
    pub(super) stored: Option<RecordId>,
    /// The declaration that this corrects.
    pub(super) amends: Option<RecordId>,
}

/// Asks for what is missing, shows the preview, has it confirmed and declares it. Whatever stops
/// it on the way, what the holder entered is kept as a draft; unless it is marked too high, when
/// nothing is (invariant I7).
pub(super) fn proceed(
    context: &mut Context<'_>,
    agent: &Agent,
    mut job: Job<'_>,
) -> Result<Exit, Failure> {
    let refuse = |draft: &Draft| {
        refuse_above_official_sensitive(draft)
            .map_err(|violations| with_incident_route(agent, violations.into()))
    };
    refuse(&job.draft)?;
    let may_ask = out::can_ask() && !context.out.is_json() && !job.act.yes && !job.act.save;
    let policy = policy_of(agent)?;
    if may_ask {
        // Files count as content, so they are not asked for.
        let asked = if job.files.is_empty() {
            ask::complete(&mut job.draft, &policy, agent.config())
        } else {
            Ok(())
        };
        match asked {
            Err(failure) if failure.code() == Code::MarkingTooHigh => {
                return Err(with_incident_route(agent, failure));
            }
            Err(failure) => return Err(keep(agent, &job, failure)),
            Ok(()) => refuse(&job.draft)?,
        }
    }
    for path in job.files {
        job.draft
            .attachments
            .push(sealed(agent, path, job.act.dry_run)?);
    }
    if job.act.save {
        let id = agent.save_draft(job.stored, &job.draft)?;
        context.out.line(format!(
            "Kept as draft {id}. `candour drafts declare {id}` goes on with it."
        ))?;
        context.out.json(&json!({ "draft": id }))?;
        return Ok(Exit::Done);
    }
    let checked = match agent.preview(&job.draft) {
        Ok(checked) => checked,
        Err(AgentError::Violations(violations)) if !job.act.dry_run => {
            return Err(incomplete(agent, &job, violations));
        }
        Err(error) => return Err(with_incident_route(agent, error.into())),
    };
    context.out.line(if job.act.dry_run {
        "This would be declared:"
    } else {
        "This will be declared:"
    })?;
    preview::show(&mut context.out, checked.content(), Some(&policy))?;
    if job.act.dry_run {
        context
            .out
            .line("Nothing was declared and nothing was kept.")?;
        context.out.json(
            &json!({ "policy": checked.policy(), "preview": preview::to_json(checked.content()) }),
        )?;
        return Ok(Exit::Done);
    }
    let confirmed = job.act.yes || (may_ask && ask::confirm("Declare this?")?);
    if !confirmed {
        return Err(keep(
            agent,
            &job,
            Failure::NotConfirmed("nothing was declared"),
        ));
    }
    queue(context, agent, checked, &job)
}

/// The policy to declare under. Before enrolment there is none, and then enrolment is what is
/// missing.
fn policy_of(agent: &Agent) -> Result<Policy, Failure> {
    match agent.policy() {
        Some(policy) => Ok(policy),
        None if agent.status()?.handset.is_none() => Err(AgentError::NotEnrolled.into()),
        None => Err(AgentError::PolicyMissing.into()),
    }
}

fn queue(
    context: &mut Context<'_>,
    agent: &Agent,
    checked: Preview,
    job: &Job<'_>,
) -> Result<Exit, Failure> {
    let shown = preview::to_json(checked.content());
    let late = checked.late_days();
    let id = match job.amends {
        Some(amends) => agent.amend(amends, checked, job.stored)?,
        None => agent.declare(checked, job.stored)?,
    };
    context.out.line(format!(
        "Declared as record {id}. It is safe on this machine; `candour sync` sends it."
    ))?;
    context.out.json(
        &json!({ "record": id, "amends": job.amends, "late_days": late, "declared": shown }),
    )?;
    Ok(Exit::Done)
}

/// Seals a file into the spool; for a dry run nowhere.
fn sealed(agent: &Agent, path: &Path, dry_run: bool) -> Result<Attachment, Failure> {
    let mut file = File::open(path).map_err(|source| Failure::File {
        path: path.to_owned(),
        source,
    })?;
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    if dry_run {
        return summary_only(&name, attachment::encrypt(file, std::io::sink()));
    }
    Ok(agent.attach(&name, &mut file)?)
}

/// A file as the preview of a dry run shows it: nothing of it was kept.
pub(super) fn summary_only(
    name: &str,
    summary: Result<AttachmentSummary, EncryptError>,
) -> Result<Attachment, Failure> {
    let summary = summary.map_err(|error| match error {
        EncryptError::TooLong => Failure::Agent(AgentError::AttachmentTooLarge),
        EncryptError::Read(error) | EncryptError::Write(error) => {
            Failure::Agent(AgentError::AttachmentUnreadable(error))
        }
    })?;
    Ok(Attachment {
        name: name.into(),
        size: summary.plaintext_bytes,
        sha256: summary.plaintext,
        sealed_sha256: summary.ciphertext,
        sealed_size: summary.ciphertext_bytes,
        key: summary.key,
    })
}

fn incomplete(agent: &Agent, job: &Job<'_>, violations: Violations) -> Failure {
    match agent.save_draft(job.stored, &job.draft) {
        Ok(draft) => Failure::Incomplete { violations, draft },
        Err(_) => with_incident_route(agent, violations.into()),
    }
}

/// Keeps what was entered and tells where, beside why it was not declared.
fn keep(agent: &Agent, job: &Job<'_>, failure: Failure) -> Failure {
    match agent.save_draft(job.stored, &job.draft) {
        Ok(id) => out::note(&format!(
            "What you entered is kept: candour drafts declare {id}"
        )),
        Err(error) => out::note(&format!(
            "What you entered could not be kept [{}]: {error}",
            error.code()
        )),
    }
    failure
}

/// Adds the department's incident route to a refusal for the marking.
fn with_incident_route(agent: &Agent, failure: Failure) -> Failure {
    if failure.code() != Code::MarkingTooHigh {
        return failure;
    }
    match agent.policy() {
        Some(policy) => Failure::Found {
            code: Code::MarkingTooHigh,
            detail: text::line(&policy.wording.incident_route),
        },
        None => failure,
    }
}
