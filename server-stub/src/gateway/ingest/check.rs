//! What can be said of a record by itself.

use std::sync::Arc;

use candour_wire::attachment::ciphertext_len;
use candour_wire::chain::MAX_SEQ;
use candour_wire::code::Refusal;
use candour_wire::jws::{self, JwsError};
use candour_wire::posture::{AppPresence, HandsetFacts, Inventory, InventoryChange, Status};
use candour_wire::record::{self, AttachmentRef, Body, Record, Stream};
use candour_wire::{AppId, Code, limits};
use serde::Deserialize;

use crate::identity::HandsetIdentity;
use crate::policy::DepartmentPolicies;
use crate::store::Verified;

/// Checks the records of one batch.
pub(super) struct Checker {
    /// Who is at the other end.
    pub(super) identity: HandsetIdentity,
    /// Which chain the batch belongs to.
    pub(super) stream: Stream,
    /// What the handset's department decided; `None` where it has no policy yet.
    pub(super) policies: Option<Arc<DepartmentPolicies>>,
}

impl Checker {
    /// Checks one record. The refusal names the first rule that is broken.
    pub(super) fn check(&self, jws: String) -> Result<Verified, Refusal> {
        let record = self.read(&jws)?;
        if record.handset != self.identity.handset {
            return Err(Refusal::new(Code::WrongHandset));
        }
        if record.body.kind().stream() != self.stream {
            return Err(Refusal::new(Code::WrongStream));
        }
        if !(1..=MAX_SEQ).contains(&record.seq) {
            return Err(malformed("the sequence number is out of range"));
        }
        self.check_body(&record.body)?;
        Ok(Verified::new(record, jws))
    }

    fn read(&self, jws: &str) -> Result<Record, Refusal> {
        if jws.len() > limits::RECORD_MAX_BYTES {
            return Err(detailed(
                Code::RecordTooLarge,
                format!("at most {} bytes", limits::RECORD_MAX_BYTES),
            ));
        }
        let payload = jws::verify(record::TYP, jws, &self.identity.key).map_err(|error| {
            let code = match error {
                JwsError::TooLong => Code::RecordTooLarge,
                JwsError::Key | JwsError::Signature => Code::SignatureInvalid,
                _ => Code::RecordMalformed,
            };
            detailed(code, error.to_string())
        })?;
        let record: Record =
            serde_json::from_slice(&payload).map_err(|_| not_of_this_version(&payload))?;
        if record.v != record::VERSION {
            return Err(other_version(record.v.into()));
        }
        if members::all_known(&payload, &record) {
            Ok(record)
        } else {
            // Its name may be what must not be told.
            Err(Refusal::new(Code::MemberUnknown))
        }
    }

    fn check_body(&self, body: &Body) -> Result<(), Refusal> {
        match body {
            Body::Inventory(inventory) => self.check_inventory(inventory),
            Body::InventoryChange(change) => self.check_change(change),
            Body::Heartbeat(_) => Ok(()),
            Body::Status(status) => check_status(status),
            Body::Declaration(_) | Body::Amendment(_) | Body::Withdrawal(_) => {
                self.check_sealed(body)
            }
        }
    }

    fn check_inventory(&self, inventory: &Inventory) -> Result<(), Refusal> {
        check_facts(&inventory.handset)?;
        self.check_apps(inventory.catalogue, &inventory.apps)
    }

    fn check_change(&self, change: &InventoryChange) -> Result<(), Refusal> {
        change.handset.as_ref().map_or(Ok(()), check_facts)?;
        self.check_apps(change.catalogue, &change.changed)?;
        if change.removed.len() > limits::CATALOGUE_MAX_APPS
            || !change.removed.is_sorted_by(|a, b| a < b)
        {
            return Err(malformed("the removed apps are not sorted, each once"));
        }
        // An app that left the catalogue is not in the present one, but it was in one.
        let listed = |app: &AppId| {
            self.policies
                .as_ref()
                .is_some_and(|policies| policies.ever_listed(app))
        };
        if change.removed.iter().all(listed) {
            Ok(())
        } else {
            Err(Refusal::new(Code::AppNotInCatalogue))
        }
    }

    /// Each app must be in the catalogue whose version the record names (invariant I1). The name
    /// of one that is not is neither kept nor repeated.
    fn check_apps(&self, catalogue: u64, apps: &[AppPresence]) -> Result<(), Refusal> {
        if apps.len() > limits::CATALOGUE_MAX_APPS || !apps.is_sorted_by(|a, b| a.app < b.app) {
            return Err(malformed("the apps are not sorted, each once"));
        }
        if apps.iter().any(|app| app.evidence.len() > EVIDENCE_MAX) {
            return Err(malformed("an app has more evidence than there are kinds"));
        }
        let listed = |app: &AppId| {
            self.policies
                .as_ref()
                .is_some_and(|policies| policies.lists(catalogue, app))
        };
        if apps.iter().all(|app| listed(&app.app)) {
            Ok(())
        } else {
            Err(detailed(
                Code::AppNotInCatalogue,
                format!("catalogue version {catalogue}"),
            ))
        }
    }

    fn check_sealed(&self, body: &Body) -> Result<(), Refusal> {
        let Some((sealed, attachments)) = body.sealed() else {
            return Err(malformed("nothing is sealed in it"));
        };
        if !self
            .policies
            .as_ref()
            .is_some_and(|policies| policies.seals_to(&sealed.key))
        {
            return Err(detailed(Code::SealRefused, format!("key {}", sealed.key)));
        }
        check_attachments(attachments)
    }
}

mod members;

/// The only part of a record that every version has.
#[derive(Deserialize)]
struct Version {
    v: u64,
}

/// Why a payload is not a record of this version. One of another version need not have its shape.
fn not_of_this_version(payload: &[u8]) -> Refusal {
    match serde_json::from_slice(payload) {
        Ok(Version { v }) if v != u64::from(record::VERSION) => other_version(v),
        _ => malformed("the payload is not a record's JSON"),
    }
}

fn other_version(v: u64) -> Refusal {
    detailed(Code::RecordVersion, format!("version {v}"))
}

/// As many as [`candour_wire::posture::Evidence`] has kinds.
const EVIDENCE_MAX: usize = 6;

/// Far more than one agent has wrong at a time.
const PROBLEMS_MAX: usize = 32;

fn check_facts(facts: &HandsetFacts) -> Result<(), Refusal> {
    let texts = [
        Some(&facts.platform),
        facts.os_version.as_ref(),
        facts.model.as_ref(),
        Some(&facts.agent_version),
    ];
    check_texts(texts.into_iter().flatten())
}

fn check_status(status: &Status) -> Result<(), Refusal> {
    if status.problems.len() > PROBLEMS_MAX {
        return Err(malformed("too many problems are named"));
    }
    check_texts(&status.problems)
}

fn check_texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> Result<(), Refusal> {
    let fits = |text: &String| {
        text.chars().count() <= limits::SHORT_TEXT_MAX_CHARS && !text.chars().any(char::is_control)
    };
    if texts.into_iter().all(fits) {
        Ok(())
    } else {
        Err(malformed("a text is too long or has control characters"))
    }
}

fn check_attachments(attachments: &[AttachmentRef]) -> Result<(), Refusal> {
    if attachments.len() > limits::ATTACHMENTS_MAX {
        return Err(malformed("too many files"));
    }
    let longest = ciphertext_len(limits::ATTACHMENT_MAX_BYTES);
    if attachments.iter().any(|file| file.size > longest) {
        return Err(Refusal::new(Code::AttachmentTooLarge));
    }
    Ok(())
}

fn malformed(detail: &str) -> Refusal {
    detailed(Code::RecordMalformed, detail)
}

fn detailed(code: Code, detail: impl Into<String>) -> Refusal {
    Refusal {
        detail: Some(detail.into()),
        ..Refusal::new(code)
    }
}

#[cfg(test)]
mod tests;
