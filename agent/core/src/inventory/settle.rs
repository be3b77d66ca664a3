//! Makes a probe's answers into a list that keeps the invariants, whatever the probe did.
//!
//! Probes are written in three languages. Here is the one place where their answers are held to
//! I1 and I2, so that a mistake in one of them reports too little and never too much.

use candour_wire::policy::{Catalogue, CatalogueApp};
use candour_wire::posture::{AppPresence, Evidence, Presence};

use crate::catalogue;

/// One answer for each app of the catalogue, sorted by app id:
///
/// - an answer about any other app is dropped (I1);
/// - an app without an answer is `unknown`;
/// - `installed` by better evidence says nothing of its program running, which would be usage
///   (I2);
/// - `absent` must rest on a place that was asked and that this build can see into; a program
///   that is not running is no such place.
pub(super) fn settle(
    catalogue: &Catalogue,
    platform: &str,
    answers: Vec<AppPresence>,
) -> Vec<AppPresence> {
    let mut settled: Vec<_> = catalogue
        .apps
        .iter()
        .map(|app| {
            let of_app: Vec<_> = answers
                .iter()
                .filter(|answer| answer.app == app.id)
                .collect();
            settle_app(app, platform, &of_app)
        })
        .collect();
    settled.sort_by(|a, b| a.app.cmp(&b.app));
    settled
}

fn settle_app(app: &CatalogueApp, platform: &str, answers: &[&AppPresence]) -> AppPresence {
    let of_state = |state: Presence| answers.iter().filter(move |answer| answer.state == state);
    let evidence_of = |state: Presence| {
        let mut evidence: Vec<_> = of_state(state)
            .flat_map(|answer| answer.evidence.iter().copied())
            .collect();
        evidence.sort();
        evidence.dedup();
        evidence
    };
    let without_process = |mut evidence: Vec<Evidence>| {
        evidence.retain(|evidence| *evidence != Evidence::Process);
        evidence
    };

    if of_state(Presence::Installed).next().is_some() {
        let all = evidence_of(Presence::Installed);
        let better = without_process(all.clone());
        let evidence = if better.is_empty() { all } else { better };
        return AppPresence {
            app: app.id.clone(),
            state: Presence::Installed,
            evidence,
        };
    }
    let asked = without_process(evidence_of(Presence::Absent));
    let agreed = answers
        .iter()
        .all(|answer| answer.state == Presence::Absent);
    let visible = asked.contains(&Evidence::Mdm) || catalogue::build_can_see(platform, app);
    if agreed && visible && !asked.is_empty() {
        return AppPresence {
            app: app.id.clone(),
            state: Presence::Absent,
            evidence: asked,
        };
    }
    AppPresence {
        app: app.id.clone(),
        state: Presence::Unknown,
        evidence: Vec::new(),
    }
}

pub(super) fn is_installed(answer: &AppPresence) -> bool {
    answer.state == Presence::Installed
}

/// Whether nothing but a running program shows the app.
pub(super) fn seen_running_only(answer: &AppPresence) -> bool {
    is_installed(answer) && answer.evidence == [Evidence::Process]
}

pub(super) fn set_seen_running(answer: &mut AppPresence) {
    answer.state = Presence::Installed;
    answer.evidence = vec![Evidence::Process];
}
