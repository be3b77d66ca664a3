//! What passed over the wire, written down as it passed.

use std::collections::HashMap;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use candour_core::ports::{Request, Response};
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::coverage::Coverage;

/// A digest, as plain bytes: the checker shares no types with what it checks.
pub(super) type Hash = [u8; 32];

pub(super) fn sha256(parts: &[&[u8]]) -> Hash {
    let joined = parts.concat();
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &joined).as_ref());
    hash
}

/// What stands before everything that is planted, so that it can be found again.
pub(super) const PLANTED: &str = "PLANTED-";

/// A receipt that was given, whether or not it reached anybody.
pub(super) struct GivenReceipt {
    pub(super) jws: Hash,
    pub(super) id: String,
    pub(super) index: u64,
    pub(super) salt: Vec<u8>,
    pub(super) path: Vec<u8>,
    /// Number of the checkpoint that it leads to.
    pub(super) note: usize,
}

/// Everything that passed.
#[derive(Default)]
pub(super) struct History {
    pub(super) receipts: Vec<GivenReceipt>,
    pub(super) notes: Vec<String>,
    numbers: HashMap<String, usize>,
    /// Where content was found that should have been sealed.
    pub(super) leaks: Vec<String>,
    /// Codes of the refusals, by how often.
    pub(super) refused: Coverage,
    /// Replies that could not be understood, and those by which the gateway says that it has a
    /// fault.
    pub(super) malformed: Vec<String>,
}

impl History {
    /// Writes down a request and the gateway's reply.
    pub(super) fn note(&mut self, request: &Request, reply: &Response, met: &mut Coverage) {
        let body = plain_body(request);
        if has_content(&body) {
            self.leaks.push(format!("a request to {}", request.path));
        }
        match reply.status {
            503 => met.hit("path: 503"),
            507 => met.hit("path: 507"),
            500 => {
                let body = String::from_utf8_lossy(&reply.body);
                self.malformed.push(format!("{}: {body}", request.path));
            }
            403 => met.hit("path: refused by standing"),
            _ => {}
        }
        if request.path.starts_with("/v1/attachments/") {
            let put = request
                .headers
                .iter()
                .find(|(name, _)| *name == "upload-offset");
            if put.is_some_and(|(_, offset)| offset != "0") && reply.status == 200 {
                met.hit("path: file in several pieces");
            }
            if put.is_none() && reply.header("upload-offset").is_some_and(|o| o != "0") {
                met.hit("path: rest of a file after a cut");
            }
        }
        let batch = matches!(request.path.as_str(), "/v1/posture" | "/v1/records");
        if batch && reply.status == 200 {
            let read: Option<(Value, Value)> = serde_json::from_slice(&body)
                .ok()
                .zip(serde_json::from_slice(&reply.body).ok());
            let noted = read.and_then(|(sent, given)| self.note_batch(&sent, &given, met));
            if noted.is_none() {
                self.malformed.push(request.path.clone());
            }
        }
    }

    fn note_batch(&mut self, sent: &Value, given: &Value, met: &mut Coverage) -> Option<()> {
        let note = self.number(given.get("checkpoint")?.as_str()?);
        let (records, results) = (
            sent.get("records")?.as_array()?,
            given.get("results")?.as_array()?,
        );
        if records.len() > 1 {
            met.hit("path: batch of several records");
        }
        if records.len() != results.len() {
            return None;
        }
        for (record, result) in records.iter().zip(results) {
            let jws = record.as_str()?;
            if let Some(refusal) = result.get("refusal") {
                self.refused.hit(code_name(refusal.get("code")?.as_str()?));
                continue;
            }
            let receipt = result.get("receipt")?;
            let repeated = receipt.get("duplicate") == Some(&Value::Bool(true));
            if repeated {
                met.hit("path: receipts of a repeated record");
            } else {
                note_kind(jws, met);
            }
            let text = |name: &str| receipt.get(name).and_then(Value::as_str);
            self.receipts.push(GivenReceipt {
                jws: sha256(&[jws.as_bytes()]),
                id: text("id")?.to_owned(),
                index: receipt.get("index")?.as_u64()?,
                salt: URL_SAFE_NO_PAD.decode(text("salt")?).ok()?,
                path: URL_SAFE_NO_PAD.decode(text("path")?).ok()?,
                note,
            });
        }
        Some(())
    }

    fn number(&mut self, note: &str) -> usize {
        if let Some(number) = self.numbers.get(note) {
            return *number;
        }
        self.notes.push(note.to_owned());
        let number = self.notes.len() - 1;
        self.numbers.insert(note.to_owned(), number);
        number
    }
}

/// Counts the kinds that depend on what came before.
fn note_kind(jws: &str, met: &mut Coverage) {
    let kind = payload(jws).and_then(|record| Some(record.get("kind")?.as_str()?.to_owned()));
    match kind.as_deref() {
        Some("heartbeat") => met.hit("path: heartbeat"),
        Some("inventory_change") => met.hit("path: list changed"),
        Some("status") => met.hit("path: status record"),
        _ => {}
    }
}

/// The payload of a JWS in compact form, whoever signed it.
pub(super) fn payload(jws: &str) -> Option<Value> {
    let payload = URL_SAFE_NO_PAD.decode(jws.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

fn plain_body(request: &Request) -> Vec<u8> {
    let compressed = request
        .headers
        .iter()
        .any(|(name, value)| *name == "content-encoding" && value == "zstd");
    if !compressed {
        return request.body.clone();
    }
    let mut plain = Vec::new();
    let read = zstd::stream::read::Decoder::new(request.body.as_slice())
        .and_then(|decoder| decoder.take(8 << 20).read_to_end(&mut plain));
    // What cannot be read is looked at as it is.
    read.map_or_else(|_| request.body.clone(), |_| plain)
}

/// Whether planted content is in the bytes, in clear or in base64 at any of its three offsets.
pub(super) fn has_content(bytes: &[u8]) -> bool {
    const FORMS: [&str; 4] = [PLANTED, "UExBTlRFRC", "BMQU5URUQt", "QTEFOVEVEL"];
    FORMS
        .iter()
        .any(|form| memchr::memmem::find(bytes, form.as_bytes()).is_some())
}

/// The codes that an honest phone may meet, as names of counters.
fn code_name(code: &str) -> &'static str {
    match code {
        "base_unknown" => "refused: base_unknown",
        "plane_refused" => "refused: plane_refused",
        "attachment_missing" => "refused: attachment_missing",
        "sequence_gap" => "refused: sequence_gap",
        "sequence_conflict" => "refused: sequence_conflict",
        "chain_broken" => "refused: chain_broken",
        "id_conflict" => "refused: id_conflict",
        "seal_refused" => "refused: seal_refused",
        "app_not_in_catalogue" => "refused: app_not_in_catalogue",
        _ => "refused: another code",
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn planted_text_is_found_in_clear_and_in_base64_wherever_it_begins() {
        for before in ["", "a", "ab", "abc"] {
            let text = format!("{before}{PLANTED}7 and more");
            assert!(has_content(text.as_bytes()));
            assert!(has_content(STANDARD.encode(&text).as_bytes()), "{before}");
        }
        assert!(!has_content(b"PLANT"));
    }
}
