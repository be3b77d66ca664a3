//! What is inside the seals: what the holders entered, once, and their files.

use std::collections::HashMap;
use std::path::Path;

use candour_wire::attachment;
use candour_wire::content::DeclarationContent;
use candour_wire::record::{Kind, Record};
use candour_wire::seal::{self, SealContext};

use super::ledger::{Ledger, Row};
use crate::simulate::control::Rule;
use crate::simulate::history::{PLANTED, payload, sha256};
use crate::simulate::item::{Item, Told};
use crate::simulate::server::{DEPARTMENTS, KEYS, department};

type Found = Vec<(Rule, String)>;

/// Opens every sealed record and compares it with what was entered.
pub(super) fn check(ledger: &Ledger, files: &Path, items: &[Item], found: &mut Found) {
    let mut seen: HashMap<String, u64> = HashMap::new();
    let by_label: HashMap<&str, &Item> = items.iter().map(|i| (i.label.as_str(), i)).collect();
    for row in &ledger.rows {
        if !matches!(
            row.kind.as_str(),
            "declaration" | "amendment" | "withdrawal"
        ) {
            continue;
        }
        let Some((record, content)) = opened(row) else {
            found.push((
                Rule::ContentArrives,
                format!("a {} does not open", row.kind),
            ));
            continue;
        };
        let Some(label) = label_in(&content) else {
            found.push((Rule::ContentArrives, format!("a {} says nothing", row.kind)));
            continue;
        };
        *seen.entry(label.clone()).or_default() += 1;
        match by_label.get(label.as_str()) {
            None => found.push((Rule::ContentArrives, format!("nobody entered {label}"))),
            Some(item) => {
                if item.told == Told::Declared && item.id.is_some_and(|id| id != record.id) {
                    let what = format!("{label} has another id than the holder was told");
                    found.push((Rule::StoredOnce, what));
                }
                let expected = item.files;
                check_files(row, &record, &content, files, &label, expected, found);
            }
        }
    }
    for (label, times) in seen {
        if times > 1 {
            found.push((Rule::StoredOnce, format!("{label} is stored {times} times")));
        }
        if by_label
            .get(label.as_str())
            .is_some_and(|item| item.told == Told::Draft)
        {
            let what = format!("{label} is stored and still a draft");
            found.push((Rule::StoredOnce, what));
        }
    }
}

fn opened(row: &Row) -> Option<(Record, Vec<u8>)> {
    let record: Record = serde_json::from_value(payload(&row.jws)?).ok()?;
    let kind: Kind = record.body.kind();
    let index = (0..DEPARTMENTS).find(|index| department(*index).as_str() == row.department)?;
    let sealed = match &record.body {
        candour_wire::record::Body::Withdrawal(withdrawal) => &withdrawal.sealed,
        body => body.sealed()?.0,
    };
    let context = SealContext {
        id: record.id,
        handset: &record.handset,
        kind,
    };
    let content = KEYS.records[index]
        .iter()
        .find_map(|key| seal::open(key, &context, sealed).ok())?;
    // EXPOSE: the simulation looks for what it planted.
    let content = content.expose().clone();
    Some((record, content))
}

/// The first planted text.
fn label_in(content: &[u8]) -> Option<String> {
    let at = memchr::memmem::find(content, PLANTED.as_bytes())?;
    let rest = content.get(at..)?;
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b' '))?;
    String::from_utf8(rest.get(..end)?.to_vec()).ok()
}

/// The files are there, are what they are named after, and hold what was attached.
fn check_files(
    row: &Row,
    record: &Record,
    content: &[u8],
    files: &Path,
    label: &str,
    expected: usize,
    found: &mut Found,
) {
    let names = record.body.sealed().map_or(&[][..], |(_, names)| names);
    if names.len() != expected {
        let what = format!("{label} has {} files of {expected}", names.len());
        found.push((Rule::ContentArrives, what));
    }
    if names.is_empty() {
        return;
    }
    let Ok(content) = serde_json::from_slice::<DeclarationContent>(content) else {
        found.push((Rule::ContentArrives, format!("{label} cannot be read")));
        return;
    };
    for name in names {
        let path = files.join(&row.handset).join(name.sha256.to_hex());
        let sealed = std::fs::read(path).unwrap_or_default();
        if sha256(&[&sealed]) != name.sha256.0 || sealed.len() as u64 != name.size {
            found.push((
                Rule::ContentArrives,
                format!("a file of {label} is not whole"),
            ));
            continue;
        }
        let of_it = content
            .attachments
            .iter()
            .find(|file| file.sealed_sha256 == name.sha256);
        let mut plain = Vec::new();
        let decrypted =
            of_it.map(|file| attachment::decrypt(&file.key, sealed.as_slice(), &mut plain));
        let right = matches!(decrypted, Some(Ok(_))) && plain.starts_with(label.as_bytes());
        if !right {
            found.push((
                Rule::ContentArrives,
                format!("a file of {label} does not open"),
            ));
        }
    }
}
