//! `candour status`, `sent` and `verify`: what the holder can see.

use candour_core::agent::{Advice, Finding, RecordState, SentItem, Verification};
use candour_wire::{Code, limits};
use jiff::Timestamp;
use serde_json::json;

use super::{Context, kind_name, when};
use crate::args::{Status, Verify};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::text::line;

pub(super) fn status(context: &mut Context<'_>, args: &Status) -> Result<Exit, Failure> {
    let agent = context.open()?;
    if args.acknowledge {
        agent.acknowledge_set_aside()?;
    }
    let status = agent.status()?;
    let config = agent.config();
    let at = |time: Option<Timestamp>, none: &str| {
        time.map_or_else(|| none.to_owned(), |time| when(time, config))
    };
    let facts = &status.handset_facts;
    let machine: Vec<&str> = [
        Some(facts.platform.as_str()),
        facts.os_version.as_deref(),
        facts.model.as_deref(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let failure = status.last_failure.as_ref().map(|failure| {
        let detail = failure
            .detail
            .as_ref()
            .map(|detail| format!(": {}", line(detail)))
            .unwrap_or_default();
        format!(
            "{} ({}){detail}",
            when(failure.at, config),
            line(&failure.code)
        )
    });
    let out = &mut context.out;
    out.pairs(vec![
        ("Department", status.department.to_string()),
        (
            "Handset",
            status
                .handset
                .as_ref()
                .map_or_else(|| "not enrolled".to_owned(), ToString::to_string),
        ),
        ("Machine", line(&machine.join(", "))),
        ("Candour", line(&facts.agent_version)),
        (
            "Certificate valid until",
            at(status.certificate_expires, "–"),
        ),
        (
            "Policy",
            status.policy.map_or_else(
                || "none yet".to_owned(),
                |version| format!("version {version}"),
            ),
        ),
        ("Declarations waiting", status.pending_records.to_string()),
        (
            "App list records waiting",
            status.pending_posture.to_string(),
        ),
        ("Oldest waiting", at(status.oldest_pending, "–")),
        ("Set aside", status.quarantined.to_string()),
        ("Drafts", status.drafts.to_string()),
        (
            "Last sync that went through",
            at(status.last_success, "never"),
        ),
        (
            "Last failure since",
            failure.unwrap_or_else(|| "none".to_owned()),
        ),
        (
            "Next sync by `candour run`",
            at(status.next_sync, "when it is up"),
        ),
    ])?;
    for file in &status.set_aside_stores {
        out.line(format!(
            "A damaged store is kept as {} in the agent's directory.",
            line(file)
        ))?;
    }
    if status.problems.is_empty() {
        out.line("All is well.")?;
    }
    for problem in &status.problems {
        out.line(advice(problem))?;
    }
    out.json(&status)?;
    Ok(Exit::Done)
}

pub(super) fn sent(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let agent = context.open()?;
    let items = agent.sent()?;
    super::tell_set_aside(&agent)?;
    let config = agent.config();
    if items.is_empty() {
        context
            .out
            .line("Nothing has left this machine, and nothing waits.")?;
    } else {
        let rows = items
            .iter()
            .map(|item| {
                let made = item
                    .created
                    .map_or_else(|| "–".to_owned(), |created| when(created, config));
                vec![
                    format!("{}\n{}, {made}", item.id, kind_name(item.kind)),
                    what(item),
                    format!("{}\npolicy {}", state(item), item.policy),
                ]
            })
            .collect();
        context
            .out
            .table(&["Record", "What, and why", "State"], rows)?;
    }
    let mut told: Vec<&str> = Vec::new();
    for refused in items.iter().filter_map(|item| item.refused.as_ref()) {
        if !told.contains(&refused.code.as_str()) {
            told.push(&refused.code);
            context.out.line(advice(refused))?;
        }
    }
    context.out.json(&items)?;
    Ok(Exit::Done)
}

pub(super) fn verify(context: &mut Context<'_>, args: &Verify) -> Result<Exit, Failure> {
    let agent = context.open()?;
    let checkpoint = args
        .checkpoint
        .as_deref()
        .map(|path| checkpoint(path, &mut Inputs::default()))
        .transpose()?;
    let verified = agent.verify(checkpoint.as_deref())?;
    super::tell_set_aside(&agent)?;
    let config = agent.config();
    if verified.is_empty() {
        context.out.line("There are no receipts yet.")?;
    } else {
        let rows = verified
            .iter()
            .map(|v| {
                vec![
                    v.id.to_string(),
                    kind_name(v.kind).to_owned(),
                    when(v.created, config),
                    format!("{} of {}", v.index, v.log_size),
                    finding(v).to_owned(),
                ]
            })
            .collect();
        context
            .out
            .table(&["Record", "Kind", "Made", "Log index", "Receipt"], rows)?;
    }
    let bad = verified
        .iter()
        .filter(|v| v.finding != Finding::Verified)
        .count();
    let code = if verified.iter().any(|v| v.finding == Finding::Contradicted) {
        Code::LogForked
    } else {
        Code::ReceiptInvalid
    };
    context
        .out
        .json(&json!({ "receipts": verified, "failed": bad }))?;
    if verified.is_empty() {
        return Ok(Exit::Done);
    }
    if bad == 0 {
        context.out.line(proven(verified.len()))?;
        return Ok(Exit::Done);
    }
    // The list has been shown, in either form; the code is what is left to say.
    let failure = Failure::Found {
        code,
        detail: unproven(bad, verified.len()),
    };
    for line in failure.lines() {
        crate::out::note(&line);
    }
    Ok(failure.exit())
}

fn proven(receipts: usize) -> String {
    match receipts {
        1 => "1 receipt proves that its record is in the department's log.".to_owned(),
        _ => format!("{receipts} receipts prove that their records are in the department's log."),
    }
}

/// Of how many receipts how many do not verify.
fn unproven(bad: usize, all: usize) -> String {
    match all {
        1 => "the receipt does not verify".to_owned(),
        _ if bad == 1 => format!("1 of {all} receipts does not verify"),
        _ => format!("{bad} of {all} receipts do not verify"),
    }
}

fn checkpoint(path: &std::path::Path, inputs: &mut Inputs) -> Result<String, Failure> {
    let note = inputs.file(path)?;
    // EXPOSE: a checkpoint is public.
    let note = note.expose();
    if note.len() > limits::CHECKPOINT_MAX_BYTES {
        return Err(Failure::Found {
            code: Code::CheckpointInvalid,
            detail: "it is too long for a checkpoint".into(),
        });
    }
    // A signed note ends with a line break, which reading a text takes off.
    Ok(format!("{note}\n"))
}

/// What a record says and why it was made.
fn what(item: &SentItem) -> String {
    match &item.summary {
        // EXPOSE: the holder's own list (invariant I8).
        Some(summary) => format!(
            "{}\n{}",
            line(summary.what.expose()),
            line(summary.why.expose())
        ),
        None => "cannot be read any more".to_owned(),
    }
}

/// Where a record is.
fn state(item: &SentItem) -> String {
    match item.state {
        RecordState::Queued => "waits".to_owned(),
        RecordState::Received => match item.index {
            Some(index) => format!("received, log index {index}"),
            None => "received".to_owned(),
        },
        RecordState::Quarantined => {
            format!(
                "set aside ({})",
                item.refused
                    .as_ref()
                    .map_or("refused".to_owned(), |refused| line(&refused.code))
            )
        }
    }
}

/// What a check found, in a word or two.
pub(crate) const fn finding(verification: &Verification) -> &'static str {
    match verification.finding {
        Finding::Verified => "verified",
        Finding::Invalid => "DOES NOT VERIFY",
        Finding::Contradicted => "LOG CONTRADICTS",
    }
}

/// Something that wants doing, as errors are told.
fn advice(advice: &Advice) -> String {
    format!(
        "[{}] {}. {}",
        line(&advice.code),
        line(&advice.title),
        line(&advice.advice)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_receipt_is_told_of_as_one() {
        assert_eq!(
            [proven(1), proven(2)],
            [
                "1 receipt proves that its record is in the department's log.",
                "2 receipts prove that their records are in the department's log."
            ]
        );
        assert_eq!(
            [unproven(1, 1), unproven(1, 3), unproven(2, 3)],
            [
                "the receipt does not verify",
                "1 of 3 receipts does not verify",
                "2 of 3 receipts do not verify"
            ]
        );
    }
}
