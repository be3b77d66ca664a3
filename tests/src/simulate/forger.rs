//! Somebody in between who answers batches with receipts of a log of his own.

use candour_core::ports::{Request, Response};
use candour_wire::api::{BatchReply, Receipt, RecordResult};
use candour_wire::log::merkle::HashPath;
use candour_wire::log::{Checkpoint, LeafSalt, LogSigner, LogVerifier, entry, merkle};
use candour_wire::{Digest, Sensitive};
use jiff::Timestamp;

use super::history::payload;
use super::server::ORIGIN;

/// A log of one leaf, made anew for each record.
pub(super) struct Forger(LogSigner);

impl Forger {
    pub(super) fn new() -> Self {
        let seed = Sensitive::new([9; 32]);
        Self(LogSigner::new(ORIGIN, &seed).expect("a valid name"))
    }

    pub(super) const fn verifier(&self) -> &LogVerifier {
        self.0.verifier()
    }

    /// A reply that a phone believes which trusts this key: one receipt, for a batch of one.
    pub(super) fn answer(&self, request: &Request, time: Timestamp) -> Option<Response> {
        let batch: serde_json::Value = serde_json::from_slice(&request.body).ok()?;
        let [record] = batch.get("records")?.as_array()?.as_slice() else {
            return None;
        };
        if batch.get("log_size")?.as_u64()? != 0 {
            return None;
        }
        let jws = record.as_str()?;
        let salt = LeafSalt::make();
        let leaf = merkle::leaf_hash(&entry(&salt, &Digest::of(jws.as_bytes())));
        let checkpoint = Checkpoint {
            origin: ORIGIN.to_owned(),
            size: 1,
            root: leaf,
            time,
        };
        let id = payload(jws)?.get("id")?.as_str()?.parse().ok()?;
        let reply = BatchReply {
            results: vec![RecordResult::Receipt(Receipt {
                id,
                received: time,
                index: 0,
                salt,
                path: HashPath::default(),
                duplicate: false,
            })],
            checkpoint: checkpoint.sign(&self.0).ok()?,
            consistency: HashPath::default(),
            policy: None,
        };
        Some(Response {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: serde_json::to_vec(&reply).ok()?,
        })
    }
}
