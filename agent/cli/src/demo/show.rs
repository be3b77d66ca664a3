//! What the demo prints between its steps.

use std::path::Path;

use candour_core::agent::{Agent, Enrolment, Finding, Scan, Verification};
use candour_core::config::Config;
use candour_core::sync::SyncReport;
use candour_wire::content::Text;
use candour_wire::policy::Catalogue;
use candour_wire::posture::Presence;

use super::DemoError;
use super::leak::Searched;
use super::server::{Addresses, Server};
use crate::commands::{finding, inventory_rows, kind_name, sentences, when};
use crate::failure::Failure;
use crate::out::Out;
use crate::text;

pub(super) fn server(out: &mut Out, addresses: &Addresses, data: &Path) -> Result<(), Failure> {
    out.pairs(vec![
        ("Enrolment and log", addresses.public_url()),
        ("Enrolled handsets", addresses.handset_url()),
        ("Health and metrics", addresses.ops_url()),
        ("Data", data.display().to_string()),
    ])
}

pub(super) fn enrolment(
    out: &mut Out,
    enrolment: &Enrolment,
    config: &Config,
) -> Result<(), Failure> {
    out.pairs(vec![
        ("Handset", enrolment.handset.to_string()),
        ("Department", enrolment.department.to_string()),
        (
            "Certificate valid until",
            when(enrolment.certificate_expires, config),
        ),
        (
            "Policy",
            enrolment.policy.map_or_else(
                || "none yet".to_owned(),
                |version| format!("version {version}"),
            ),
        ),
    ])
}

pub(super) fn scan(out: &mut Out, scan: &Scan, catalogue: &Catalogue) -> Result<(), Failure> {
    out.table(
        &["App", "On this machine", "Rests on"],
        inventory_rows(&scan.inventory, catalogue),
    )?;
    let installed = scan
        .inventory
        .apps
        .iter()
        .filter(|app| app.state == Presence::Installed)
        .count();
    let facts = &scan.inventory.handset;
    let system: Vec<&str> = std::iter::once(facts.platform.as_str())
        .chain(facts.os_version.as_deref())
        .collect();
    out.line(format!(
        "{installed} of {} catalogue apps are installed on this machine ({}).",
        scan.inventory.apps.len(),
        text::line(&system.join(" "))
    ))
}

pub(super) fn sync(out: &mut Out, report: &SyncReport, agent: &Agent) -> Result<(), Failure> {
    for sentence in sentences(report, agent) {
        out.line(sentence)?;
    }
    match &report.failure {
        None => Ok(()),
        Some(failure) => Err(Failure::Found {
            code: failure.code,
            detail: failure
                .detail
                .clone()
                .unwrap_or_else(|| "the sync did not go through".to_owned()),
        }),
    }
}

/// The table of step 5: each receipt checked again, offline.
pub(super) fn receipts(out: &mut Out, agent: &Agent) -> Result<Vec<Verification>, Failure> {
    let mut receipts = agent.verify(None)?;
    receipts.sort_by_key(|receipt| receipt.index);
    let config = agent.config();
    let rows = receipts
        .iter()
        .map(|receipt| {
            vec![
                receipt.id.to_string(),
                kind_name(receipt.kind).to_owned(),
                when(receipt.created, config),
                receipt.index.to_string(),
                finding(receipt).to_owned(),
            ]
        })
        .collect();
    out.table(&["Record", "Kind", "When", "Log index", "Receipt"], rows)?;
    let failed = receipts
        .iter()
        .filter(|receipt| receipt.finding != Finding::Verified)
        .count();
    if failed > 0 || receipts.is_empty() {
        let detail = format!("{failed} of {} receipts do not verify", receipts.len());
        return Err(Failure::Found {
            code: candour_wire::Code::ReceiptInvalid,
            detail,
        });
    }
    Ok(receipts)
}

pub(super) fn search(out: &mut Out, searched: &Searched) -> Result<(), Failure> {
    let short = match searched.too_short {
        0 => String::new(),
        number => format!(" ({number} are too short to be searched for)"),
    };
    out.paragraph(&format!(
        "All {} files of the gateway ({} KiB) were read as bytes. Of {} declared texts and names{short} none was \
         found, neither as it stands nor in base64.",
        searched.files,
        searched.bytes.div_ceil(1024),
        searched.texts,
    ))?;
    out.paragraph(&format!(
        "The same search found this handset's id, which every record shows, {} times as it stands and {} times in \
         base64: it looks in the right place.",
        searched.control.0, searched.control.1
    ))
}

/// Shows what the records role opened, and makes sure that it is what was declared.
pub(super) fn opened(out: &mut Out, opened: &Text, texts: &[Text]) -> Result<(), Failure> {
    // EXPOSE: step 6 shows that the records key opens it.
    let shown = opened.expose();
    // EXPOSE: compared with what was opened.
    let first = texts
        .iter()
        .map(|text| words(text.expose()))
        .find(|words| !words.is_empty());
    let opened_words = words(shown);
    // A chat of nothing but pictures has no words to compare.
    let same = first.is_none_or(|first| {
        opened_words
            .windows(first.len())
            .any(|window| window == first)
    });
    if !same {
        return Err(DemoError::OpenedOther.into());
    }
    out.line("")?;
    out.line("With the records key, which a department keeps off the gateway, and with a reason that is audited:")?;
    out.line("")?;
    out.line(text::block(shown.trim_end()))
}

pub(super) fn next(
    out: &mut Out,
    root: &Path,
    server: &Server,
    addresses: &Addresses,
    stopped: bool,
) -> Result<(), Failure> {
    let own = std::env::current_exe()?;
    let candour = format!("{} --home {}", own.display(), quoted(&root.join("handset")));
    let data = format!("{} --data {}", server.shown(), quoted(&root.join("server")));
    if stopped {
        let (public, handset, ops) = addresses.sockets();
        let listen =
            format!("--public-listen {public} --handset-listen {handset} --ops-listen {ops}");
        out.line(format!(
            "  The server stops now. To start it again:\n      {data} serve {listen}"
        ))?;
    }
    for (what, command) in [
        ("What left this machine, and why", format!("{candour} sent")),
        ("How it fares", format!("{candour} status")),
        (
            "Declare something, step by step",
            format!("{candour} declare"),
        ),
        ("Send it", format!("{candour} sync")),
        (
            "Check all receipts again, offline",
            format!("{candour} verify"),
        ),
        ("The department's handsets", format!("{data} handset list")),
        ("Who read which record, and why", format!("{data} audit")),
        (
            "Prevalence of another app",
            format!("{data} prevalence --app signal"),
        ),
        ("The log's signed checkpoint", format!("{data} checkpoint")),
        ("Metrics", format!("curl {}/metrics", addresses.ops_url())),
    ] {
        out.line(format!("  {what}:\n      {command}"))?;
    }
    Ok(())
}

/// The words of a text that every printing shows as they are, whatever it does to line breaks and
/// to characters that a terminal might obey.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace()
        .filter(|word| word.chars().all(char::is_alphanumeric))
        .collect()
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = path
        .chars()
        .all(|c| c.is_alphanumeric() || "/._-+".contains(c));
    if plain {
        path
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_blanks_is_quoted_for_the_shell() {
        assert_eq!(quoted(Path::new("/tmp/.demo")), "/tmp/.demo");
        assert_eq!(quoted(Path::new("/tmp/it's here")), r"'/tmp/it'\''s here'");
    }
}
