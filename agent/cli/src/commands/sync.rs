//! `candour sync`.

use candour_core::agent::{Agent, RecordState};
use candour_core::sync::{PolicyOutcome, RenewalOutcome, SyncReport};
use candour_wire::Code;
use serde_json::{Value, json};

use super::{Context, block_on, when};
use crate::args::Sync;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out;
use crate::progress::SyncBar;
use crate::text::{count, line};

pub(super) fn sync(context: &mut Context<'_>, args: &Sync) -> Result<Exit, Failure> {
    let (sink, bar) = SyncBar::new();
    let agent = context.open_with(sink)?;
    if args.clear_alarm {
        agent.clear_alarm()?;
    }
    if args.retry_quarantined {
        let set_aside = agent
            .sent()?
            .into_iter()
            .filter(|item| item.state == RecordState::Quarantined);
        for item in set_aside {
            agent.requeue(item.id)?;
        }
    }
    let report = block_on(async { Ok(agent.sync().await?) });
    bar.finish_and_clear();
    let report = report?;
    for sentence in sentences(&report, &agent) {
        context.out.line(sentence)?;
    }
    super::tell_set_aside(&agent)?;
    context.out.json(&to_json(&report))?;
    Ok(finish(&report))
}

/// What a sync did, in sentences.
pub(crate) fn sentences(report: &SyncReport, agent: &Agent) -> Vec<String> {
    // What waits is beside the point where it cannot be read; the failure says why.
    let waits = agent.status().map_or((0, 0), |status| {
        (status.pending_records, status.pending_posture)
    });
    let mut told = carried(report.received, waits);
    if let Some(failure) = &report.failure {
        told.push(sentence(failure.code, failure.detail.as_deref()));
    }
    match &report.policy {
        PolicyOutcome::Updated(policy) => {
            told.push(format!(
                "Version {} of the policy is in force.",
                policy.policy().version
            ));
        }
        PolicyOutcome::Kept(failure) => {
            told.push(sentence(failure.code, failure.detail.as_deref()))
        }
        PolicyOutcome::Unchanged | PolicyOutcome::NotAsked => {}
    }
    match &report.renewal {
        RenewalOutcome::Renewed(identity) => {
            told.push(format!(
                "The certificate was renewed, until {}.",
                when(identity.not_after, agent.config())
            ));
        }
        RenewalOutcome::Failed(failure) => {
            told.push(sentence(failure.code, failure.detail.as_deref()))
        }
        RenewalOutcome::NotDue => {}
    }
    for refused in &report.quarantined {
        let code = refused.code.parse().ok();
        let why = code.map_or_else(
            || line(&refused.code),
            |code: Code| sentence(code, refused.detail.as_deref()),
        );
        told.push(format!("Record {} was set aside: {why}", refused.id));
    }
    if report.clock_wrong {
        told.push(sentence(Code::ClockWrong, None));
    }
    told.push(format!(
        "Next sync by itself, while `candour run` is up: {}.",
        when(report.next_attempt, agent.config())
    ));
    told
}

/// What was carried, and what waits: declarations, and records about this machine.
fn carried(received: u64, (declared, posture): (u64, u64)) -> Vec<String> {
    let mut told = Vec::new();
    match received {
        0 => {}
        1 => told.push("1 record was received; its receipt is verified.".to_owned()),
        number => told.push(format!(
            "{number} records were received; their receipts are verified."
        )),
    }
    let waits: Vec<String> = [
        (declared, count(declared, "declaration", "declarations")),
        (
            posture,
            count(posture, "app list record", "app list records"),
        ),
    ]
    .into_iter()
    .filter_map(|(number, words)| (number > 0).then_some(words))
    .collect();
    if !waits.is_empty() {
        told.push(format!(
            "Still waiting on this machine: {}.",
            waits.join(", ")
        ));
    } else if received == 0 {
        told.push("Nothing was waiting to be sent.".to_owned());
    }
    told
}

/// What a failed proof ends with. Whether the department still has everything is not for this
/// machine to say: a log that forked may have lost records that it had received.
const ALARM: &str = "A proof failed. What waits stays on this machine, and so do the receipts of what the department has received; `candour verify` checks them.";

fn sentence(code: Code, detail: Option<&str>) -> String {
    let detail = detail
        .map(|detail| format!(" ({})", line(detail)))
        .unwrap_or_default();
    format!("[{code}] {}{detail}. {}", code.title(), code.advice())
}

fn to_json(report: &SyncReport) -> Value {
    let failure = |code: Code, detail: &Option<String>| json!({ "code": code, "title": code.title(), "advice": code.advice(), "detail": detail });
    let policy = match &report.policy {
        PolicyOutcome::Updated(policy) => {
            json!({ "outcome": "updated", "version": policy.policy().version })
        }
        PolicyOutcome::Unchanged => json!({ "outcome": "unchanged" }),
        PolicyOutcome::Kept(why) => {
            json!({ "outcome": "kept", "because": failure(why.code, &why.detail) })
        }
        PolicyOutcome::NotAsked => json!({ "outcome": "not_asked" }),
    };
    let renewal = match &report.renewal {
        RenewalOutcome::NotDue => json!({ "outcome": "not_due" }),
        RenewalOutcome::Renewed(identity) => {
            json!({ "outcome": "renewed", "expires": identity.not_after })
        }
        RenewalOutcome::Failed(why) => {
            json!({ "outcome": "failed", "because": failure(why.code, &why.detail) })
        }
    };
    let quarantined: Vec<Value> = report
        .quarantined
        .iter()
        .map(|refused| json!({ "id": refused.id, "code": refused.code, "detail": refused.detail }))
        .collect();
    json!({
        "received": report.received,
        "quarantined": quarantined,
        "policy": policy,
        "renewal": renewal,
        "failure": report.failure.as_ref().map(|why| failure(why.code, &why.detail)),
        "clock_wrong": report.clock_wrong,
        "next_attempt": report.next_attempt,
    })
}

/// How a sync ends the process: an alarm outweighs a network fault, which outweighs a record that
/// was set aside.
fn finish(report: &SyncReport) -> Exit {
    let mut found: Vec<Exit> = report
        .failure
        .iter()
        .map(|failure| Exit::of(failure.code))
        .collect();
    if let PolicyOutcome::Kept(failure) = &report.policy {
        found.push(Exit::of(failure.code));
    }
    if !report.quarantined.is_empty() {
        found.push(Exit::Refused);
    }
    if found.contains(&Exit::Alarm) {
        out::note(ALARM);
        return Exit::Alarm;
    }
    found.first().copied().unwrap_or(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_told_whether_or_not_anything_was_received() {
        assert_eq!(carried(0, (0, 0)), ["Nothing was waiting to be sent."]);
        assert_eq!(
            carried(0, (1, 0)),
            ["Still waiting on this machine: 1 declaration."]
        );
        assert_eq!(
            carried(1, (2, 3)),
            [
                "1 record was received; its receipt is verified.",
                "Still waiting on this machine: 2 declarations, 3 app list records."
            ]
        );
        assert_eq!(
            carried(2, (0, 0)),
            ["2 records were received; their receipts are verified."]
        );
    }

    #[test]
    fn a_failed_proof_promises_nothing_about_what_the_department_has() {
        assert!(!ALARM.contains("lost"), "{ALARM}");
    }
}
