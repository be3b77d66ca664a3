//! docs/wire.md says what the code does: its tables are the code's, and its examples hold.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fmt::Write as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candour_wire::api::{BatchReply, RecordResult};
use candour_wire::content::DeclarationContent;
use candour_wire::jws::{self, VerifyingKey};
use candour_wire::log::{self, Checkpoint, LogVerifier, ReceiptProof, merkle};
use candour_wire::record::{self, Record};
use candour_wire::{Code, Digest, HandsetId, Retry, limits};
use serde::Deserialize;
use serde_json::Value;

#[test]
fn the_table_of_codes_is_the_one_of_the_code() {
    let mut table =
        "| code | status | a handset | what happened | what to do |\n|---|---|---|---|---|\n"
            .to_owned();
    for code in Code::ALL {
        let status = match code.http_status() {
            0 => "–".to_owned(),
            status => status.to_string(),
        };
        let act = match code.retry() {
            Retry::Later => "tries again",
            Retry::Rechain => "rechains",
            Retry::Quarantine => "sets it aside",
            Retry::Stop => "stops",
        };
        writeln!(
            table,
            "| `{code}` | {status} | {act} | {} | {} |",
            code.title(),
            code.advice()
        )
        .unwrap();
    }
    let text = document();
    let (before, rest) = text.split_once(CODES_BEGIN).unwrap();
    let (found, after) = rest.split_once(CODES_END).unwrap();
    if found == table {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let text = format!("{before}{CODES_BEGIN}{table}{CODES_END}{after}");
        return std::fs::write(path(), text).unwrap();
    }
    panic!("docs/wire.md has drifted: run `UPDATE_DOCS=1 cargo test -p candour-wire --test docs`");
}

#[test]
fn the_table_of_limits_has_every_limit_with_its_value() {
    macro_rules! rows {
        ($($name:ident)*) => { [$((stringify!($name), u64::try_from(limits::$name).unwrap()),)*] };
    }
    let rows = rows! {
        RECORD_MAX_BYTES CONTENT_MAX_BYTES BATCH_MAX_RECORDS BATCH_MAX_BYTES BATCH_MAX_WIRE_BYTES
        REPLY_MAX_BYTES POLICY_MAX_BYTES CHECKPOINT_MAX_BYTES ATTACHMENT_MAX_BYTES ATTACHMENTS_MAX
        ATTACHMENT_PIECE_MAX_BYTES CSR_MAX_BYTES CATALOGUE_MAX_APPS MESSAGES_MAX PARTICIPANTS_MAX
        SHORT_TEXT_MAX_CHARS LONG_TEXT_MAX_CHARS MESSAGE_MAX_CHARS REDACTIONS_MAX
    };
    let declared: Vec<_> = include_str!("../src/limits.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split(':').next())
        .collect();
    assert_eq!(
        rows.map(|(name, _)| name).to_vec(),
        declared,
        "list the new limit here and in docs/wire.md"
    );
    let text = document();
    for (name, value) in rows {
        let row = format!("| `{name}` | {} | ", with_commas(value));
        assert!(text.contains(&row), "docs/wire.md lacks: {row}");
    }
}

#[test]
fn the_examples_of_frozen_bodies_are_the_fixtures() {
    for name in [
        "heartbeat",
        "batch_request",
        "batch_reply",
        "upload_status",
        "problem",
    ] {
        let path = format!(
            "{}/tests/fixtures/v1/{name}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(block(&format!("fixture: {name}")), fixture, "{name}");
    }
}

#[test]
fn the_example_of_sealed_content_is_read_and_written_without_a_difference() {
    let example = block("content example");
    let read: DeclarationContent = serde_json::from_value(example.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), example);
}

#[derive(Deserialize)]
struct Worked {
    public_key: String,
    log_key: LogVerifier,
    earlier_checkpoint: String,
    jws: String,
    jws_sha256: Digest,
    entry: Digest,
    leaf: Digest,
    reply: BatchReply,
}

#[test]
fn the_worked_receipt_verifies_step_by_step() {
    let worked: Worked = serde_json::from_value(block("worked example")).unwrap();
    let key = VerifyingKey::from_spki_der(&STANDARD.decode(worked.public_key).unwrap()).unwrap();
    let payload = jws::verify(record::TYP, &worked.jws, &key).unwrap();
    let record: Record = serde_json::from_slice(&payload).unwrap();
    assert_eq!(record.handset, HandsetId::derive(key.spki_der()));

    let [RecordResult::Receipt(receipt)] = worked.reply.results.as_slice() else {
        panic!("the example has one receipt");
    };
    assert_eq!(receipt.id, record.id);
    let earlier = Checkpoint::open(&worked.earlier_checkpoint, &worked.log_key).unwrap();
    let newer = Checkpoint::open(&worked.reply.checkpoint, &worked.log_key).unwrap();
    merkle::verify_consistency(
        earlier.size,
        &earlier.root,
        newer.size,
        &newer.root,
        &worked.reply.consistency,
    )
    .unwrap();

    assert_eq!(Digest::of(worked.jws.as_bytes()), worked.jws_sha256);
    assert_eq!(log::entry(&receipt.salt, &worked.jws_sha256), worked.entry);
    assert_eq!(log::leaf_hash(&worked.entry), worked.leaf);
    let proof = ReceiptProof {
        index: receipt.index,
        salt: receipt.salt,
        path: &receipt.path,
    };
    log::verify_receipt(&proof, &worked.jws_sha256, &newer).unwrap();
    assert!(
        document().contains(&worked.reply.checkpoint),
        "the checkpoint shown as text is the same"
    );
}

const CODES_BEGIN: &str = "<!-- codes: begin -->\n";
const CODES_END: &str = "<!-- codes: end -->";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/wire.md")
}

fn document() -> String {
    std::fs::read_to_string(path()).unwrap()
}

/// The JSON block after the marker.
fn block(marker: &str) -> Value {
    let text = document();
    let (_, rest) = text
        .split_once(&format!("<!-- {marker} -->\n```json\n"))
        .unwrap();
    serde_json::from_str(rest.split_once("\n```").unwrap().0).unwrap()
}

fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
