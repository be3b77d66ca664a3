//! `open`: the records role's first tool.
//!
//! The audit row is committed before anything is read. Then the handset's signature is checked,
//! the content is unsealed in the context of exactly this record, and printed. It never runs in
//! the gateway, and the gateway never sees the key (invariants I5 and I9).

mod files;
mod print;

use std::path::PathBuf;

use candour_wire::content::{DeclarationContent, WithdrawalContent};
use candour_wire::jws::{self, VerifyingKey};
use candour_wire::record::{self, Body, Record};
use candour_wire::seal::{self, OpenError, RecordsPrivateKey, SealContext};
use candour_wire::{Code, RecordId};
use clap::Args;

use super::handset::parse_reason;
use super::{CliError, Context, output, read_key_file};
use crate::clock::Clock as _;
use crate::store::{Audit, AuditAction, Reason, StoredRecord};

#[derive(Debug, Args)]
pub(super) struct Open {
    /// Which record.
    record: RecordId,
    /// The department's records key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Why the record is opened; it is kept in the audit trail.
    #[arg(long, value_parser = parse_reason)]
    reason: Reason,
    /// Who opens it; the account's name unless given.
    #[arg(long, value_parser = parse_who)]
    who: Option<String>,
    /// Also decrypt the record's files into this directory.
    #[arg(long, value_name = "DIR")]
    attachments: Option<PathBuf>,
}

/// What was sealed in a record.
enum Content {
    Declared(Box<DeclarationContent>),
    Withdrawn(WithdrawalContent),
}

impl Open {
    pub(super) fn run(&self, context: &Context) -> Result<(), CliError> {
        // A wrong key file is noticed before anything is audited.
        let key = read_key_file(&self.key)?;
        // EXPOSE: the records key is parsed from it.
        let key = RecordsPrivateKey::from_text(key.expose())
            .map_err(|error| refused(Code::KeyWrong, error.to_string()))?;
        let store = context.store()?;
        let audit = Audit {
            at: context.clock.now(),
            who: self.who(context)?,
            action: if self.attachments.is_some() {
                AuditAction::OpenWithAttachments
            } else {
                AuditAction::Open
            },
            record: self.record,
            reason: self.reason.clone(),
        };
        let stored = context.wait(store.open_record(self.record, audit))?;
        let stored = stored.ok_or_else(|| CliError::RecordUnknown(self.record.to_string()))?;
        let record = verified(&stored)?;
        let content = unsealed(&key, &record)?;
        if context.json {
            output::json(&print::as_json(&stored, &record, &content));
        } else {
            output::text(&print::as_text(&stored, &record, &content));
        }
        if let (Some(dir), Content::Declared(declared)) = (&self.attachments, &content) {
            let written = files::decrypt(
                context,
                store.as_ref(),
                &stored.handset,
                &declared.attachments,
                dir,
            )?;
            if !context.json {
                written
                    .iter()
                    .for_each(|path| output::text(&format!("Decrypted {}", path.display())));
            }
        }
        context.wait(store.close());
        Ok(())
    }

    fn who(&self, context: &Context) -> Result<String, CliError> {
        let variable = |name: &str| {
            context
                .environment
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, value)| value.clone())
        };
        let who = self.who.clone().or_else(|| {
            ["SUDO_USER", "USER", "LOGNAME"]
                .into_iter()
                .find_map(variable)
        });
        let who = who.ok_or_else(|| CliError::usage("--who", WHO_NEEDED))?;
        parse_who(&who).map_err(|problem| CliError::usage("--who", problem))
    }
}

/// The account's name is not to be had, as in a container or a service.
const WHO_NEEDED: &str = "say who opens the record, such as --who \"A. Officer\": the audit trail keeps it, and this account's name is in none of SUDO_USER, USER and LOGNAME";

fn parse_who(text: &str) -> Result<String, String> {
    let text = text.trim();
    let most = candour_wire::limits::SHORT_TEXT_MAX_CHARS;
    if text.is_empty() || text.chars().count() > most || text.chars().any(char::is_control) {
        return Err(format!("1 to {most} printable characters"));
    }
    Ok(text.to_owned())
}

fn refused(code: Code, detail: impl Into<String>) -> CliError {
    CliError::Refused {
        code,
        detail: detail.into(),
    }
}

/// The record, once its handset's key is seen to have signed it.
fn verified(stored: &StoredRecord) -> Result<Record, CliError> {
    let invalid = |detail: String| refused(Code::SignatureInvalid, detail);
    let key =
        VerifyingKey::from_spki_der(&stored.spki).map_err(|error| invalid(error.to_string()))?;
    let payload =
        jws::verify(record::TYP, &stored.jws, &key).map_err(|error| invalid(error.to_string()))?;
    let record: Record = serde_json::from_slice(&payload)
        .map_err(|_| refused(Code::RecordMalformed, "it is not a record"))?;
    if record.id != stored.id || record.handset != stored.handset {
        return Err(refused(
            Code::RecordMalformed,
            "it is another record than the store says",
        ));
    }
    Ok(record)
}

fn unsealed(key: &RecordsPrivateKey, record: &Record) -> Result<Content, CliError> {
    let (sealed, _) = record.body.sealed().ok_or_else(|| {
        refused(
            Code::PlaneRefused,
            "it belongs to posture and has no sealed content",
        )
    })?;
    let seal_context = SealContext {
        id: record.id,
        handset: &record.handset,
        kind: record.body.kind(),
    };
    let plain = seal::open(key, &seal_context, sealed).map_err(|error| match error {
        OpenError::OtherKey => refused(
            Code::KeyWrong,
            format!("it is sealed to {}, this is {}", sealed.key, key.id()),
        ),
        error => refused(Code::SealRefused, error.to_string()),
    })?;
    // EXPOSE: the content is read, to be shown to the records officer who asked for it.
    let bytes = plain.expose();
    // The parser's message could repeat content.
    let unreadable = |_| {
        refused(
            Code::RecordMalformed,
            "the content is not one that this version knows",
        )
    };
    Ok(match &record.body {
        Body::Withdrawal(_) => {
            Content::Withdrawn(serde_json::from_slice(bytes).map_err(unreadable)?)
        }
        _ => Content::Declared(Box::new(serde_json::from_slice(bytes).map_err(unreadable)?)),
    })
}

#[cfg(test)]
mod tests;
