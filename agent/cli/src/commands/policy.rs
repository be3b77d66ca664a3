//! `candour policy`: what the department decided, in words.

use candour_core::AgentError;

use super::{Context, when};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::text::{block, line};

pub(super) fn policy(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let agent = context.open()?;
    let policy = agent.policy().ok_or(AgentError::PolicyMissing)?;
    let catalogue = agent.catalogue();
    let out = &mut context.out;
    out.line(format!(
        "Policy {} of {}, issued {}.",
        policy.version,
        policy.department,
        when(policy.issued, agent.config())
    ))?;
    out.paragraph(&block(&policy.wording.purpose))?;
    out.pairs(vec![
        (
            "Above OFFICIAL-SENSITIVE",
            block(&policy.wording.incident_route),
        ),
        ("Who can help", block(&policy.wording.contact)),
        (
            "Declare within",
            format!(
                "{} days; later is flagged, never refused",
                policy.deadlines.declare_within_days
            ),
        ),
        (
            "App lists are kept",
            format!("{} days by the department", policy.retention.posture_days),
        ),
        (
            "This machine lists what it sent",
            format!("for {} days", policy.retention.handset_receipt_days),
        ),
        ("Scans", every(policy.schedule.scan_interval_s)),
        ("Syncs", every(policy.schedule.sync_interval_s)),
    ])?;
    let channels = policy
        .channels
        .iter()
        .map(|c| vec![c.id.to_string(), line(&c.name)])
        .collect();
    out.table(&["Channel", "Name"], channels)?;
    let markings = policy
        .markings
        .iter()
        .map(|m| vec![line(&m.id), line(&m.name)])
        .collect();
    out.table(&["Marking", "Name"], markings)?;
    out.line(format!(
        "Catalogue {}: Candour asks about these apps and about no others.",
        catalogue.version
    ))?;
    let apps = catalogue
        .apps
        .iter()
        .map(|app| vec![line(&app.name), line(&app.why)])
        .collect();
    out.table(&["App", "Why it is listed"], apps)?;
    out.json(&serde_json::json!({ "policy": policy, "catalogue": catalogue }))?;
    Ok(Exit::Done)
}

fn every(seconds: u32) -> String {
    match (seconds / 3_600, seconds % 3_600 / 60) {
        (0, minutes) => format!("every {minutes} minutes"),
        (1, 0) => "every hour".to_owned(),
        (hours, 0) => format!("every {hours} hours"),
        (hours, minutes) => format!("every {hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_interval_reads_as_a_person_says_it() {
        assert_eq!(super::every(900), "every 15 minutes");
        assert_eq!(super::every(3_600), "every hour");
        assert_eq!(super::every(21_600), "every 6 hours");
        assert_eq!(super::every(5_400), "every 1 h 30 min");
    }
}
