//! `candour scan`, and the words for what a scan finds.

use candour_wire::policy::Catalogue;
use candour_wire::posture::{AppPresence, Evidence, Inventory, Presence};
use candour_wire::record::Kind;

use super::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::text;

pub(super) fn scan(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let agent = context.open()?;
    let scan = agent.scan()?;
    let catalogue = agent.catalogue();
    context.out.table(
        &["App", "On this machine", "Rests on"],
        inventory_rows(&scan.inventory, &catalogue),
    )?;
    context.out.line(match scan.queued {
        Some(kind) => format!(
            "Queued: {}. `candour sync` sends it.",
            kind_name(kind).to_lowercase()
        ),
        None => "Nothing has changed, so nothing was queued.".to_owned(),
    })?;
    context.out.json(&scan)?;
    Ok(Exit::Done)
}

/// An inventory as rows: name, answer, what it rests on; what is installed first.
pub(crate) fn inventory_rows(inventory: &Inventory, catalogue: &Catalogue) -> Vec<Vec<String>> {
    let name = |app: &AppPresence| {
        let listed = catalogue.apps.iter().find(|listed| listed.id == app.app);
        listed.map_or_else(|| app.app.to_string(), |listed| text::line(&listed.name))
    };
    let mut apps: Vec<&AppPresence> = inventory.apps.iter().collect();
    apps.sort_by_key(|app| app.state);
    apps.iter()
        .map(|app| vec![name(app), presence(app.state).to_owned(), evidence(app)])
        .collect()
}

/// The words for an answer.
const fn presence(state: Presence) -> &'static str {
    match state {
        Presence::Installed => "installed",
        Presence::Absent => "not installed",
        Presence::Unknown => "cannot be told",
    }
}

/// What an answer rests on, in words.
fn evidence(app: &AppPresence) -> String {
    let words = |evidence: &Evidence| match evidence {
        Evidence::PackageManager => "package manager",
        Evidence::PackageDatabase => "package database",
        Evidence::DesktopEntry => "desktop entry",
        Evidence::UrlScheme => "URL scheme",
        Evidence::Mdm => "device management",
        Evidence::Process => "running program",
    };
    app.evidence
        .iter()
        .map(words)
        .collect::<Vec<_>>()
        .join(", ")
}

/// A record's kind, in words.
pub(crate) const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Inventory => "App list",
        Kind::InventoryChange => "Change of the app list",
        Kind::Heartbeat => "Sign of life",
        Kind::Status => "Agent status",
        Kind::Declaration => "Declaration",
        Kind::Amendment => "Amendment",
        Kind::Withdrawal => "Withdrawal",
    }
}
