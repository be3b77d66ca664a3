//! What the gateway keeps, read with SQL, and whether it holds together.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::Value;

use super::tree::{Note, Tree, root_by_path};
use crate::simulate::control::Rule;
use crate::simulate::history::{Hash, History, payload, sha256};
use crate::simulate::server::KEYS;

type Found = Vec<(Rule, String)>;

/// A record as it lies in the database.
pub(super) struct Row {
    pub(super) handset: String,
    pub(super) department: String,
    spki: Vec<u8>,
    stream: String,
    seq: u64,
    pub(super) id: Vec<u8>,
    pub(super) kind: String,
    sha256: Vec<u8>,
    leaf: u64,
    salt: Vec<u8>,
    pub(super) jws: String,
}

/// The database.
pub(super) struct Ledger {
    /// In the order of their leaves.
    pub(super) rows: Vec<Row>,
    heads: BTreeMap<(String, String), (u64, Vec<u8>)>,
    log_size: u64,
    checkpoint: Option<String>,
    pub(super) anomalies: Vec<(String, u64)>,
    ids: HashSet<Vec<u8>>,
    bodies: u64,
}

impl Ledger {
    pub(super) fn read(path: &Path) -> rusqlite::Result<Self> {
        let db = Connection::open(path)?;
        let mut rows = db.prepare(
            "SELECT h.id, h.department, h.spki, r.stream, r.seq, r.id, r.kind, r.sha256, r.leaf,
               b.salt, b.jws
             FROM record r JOIN handset h USING (handset) JOIN body b USING (leaf)
             ORDER BY r.leaf",
        )?;
        let rows: Vec<Row> = rows
            .query_map([], |row| {
                Ok(Row {
                    handset: row.get(0)?,
                    department: row.get(1)?,
                    spki: row.get(2)?,
                    stream: row.get(3)?,
                    seq: number(row, 4)?,
                    id: row.get(5)?,
                    kind: row.get(6)?,
                    sha256: row.get(7)?,
                    leaf: number(row, 8)?,
                    salt: row.get(9)?,
                    jws: row.get(10)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        let mut heads = db.prepare(
            "SELECT h.id, c.stream, c.seq, c.digest FROM chain c JOIN handset h USING (handset)",
        )?;
        let heads = heads
            .query_map([], |row| {
                Ok(((row.get(0)?, row.get(1)?), (number(row, 2)?, row.get(3)?)))
            })?
            .collect::<Result<_, _>>()?;
        let mut anomalies = db.prepare("SELECT code, count FROM anomaly")?;
        let anomalies = anomalies
            .query_map([], |row| Ok((row.get(0)?, number(row, 1)?)))?
            .collect::<Result<_, _>>()?;
        let (log_size, checkpoint) =
            db.query_row("SELECT size, checkpoint FROM log", [], |row| {
                Ok((number(row, 0)?, row.get(1)?))
            })?;
        let bodies = db.query_row("SELECT count(*) FROM body", [], |row| number(row, 0))?;
        let ids = rows.iter().map(|row| row.id.clone()).collect();
        Ok(Self {
            rows,
            heads,
            log_size,
            checkpoint,
            anomalies,
            ids,
            bodies,
        })
    }

    pub(super) fn has(&self, id: &[u8]) -> bool {
        self.ids.contains(id)
    }

    /// Each chain begins at its genesis, has no gap, and each record is signed by its handset and
    /// names the one before.
    pub(super) fn check_chains(&self, found: &mut Found) {
        if self.ids.len() != self.rows.len() {
            found.push((Rule::StoredOnce, "an id is there twice".to_owned()));
        }
        let mut chains: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
        for row in &self.rows {
            chains
                .entry((&row.handset, &row.stream))
                .or_default()
                .push(row);
        }
        for ((handset, stream), mut rows) in chains {
            rows.sort_by_key(|row| row.seq);
            let genesis = ["candour/chain/v1\n", handset, "\n", stream].concat();
            let (mut seq, mut head) = (0, sha256(&[genesis.as_bytes()]));
            for row in rows {
                seq += 1;
                let why = row.flaw(seq, &head);
                if let Some(why) = why {
                    let place = format!("{stream} {} of {handset}: {why}", row.seq);
                    found.push((Rule::ChainHolds, place));
                    break;
                }
                head = sha256(&[row.jws.as_bytes()]);
            }
            let kept = self.heads.get(&(handset.to_owned(), stream.to_owned()));
            if kept != Some(&(seq, head.to_vec())) {
                let place = format!("the head of {stream} of {handset} is another");
                found.push((Rule::ChainHolds, place));
            }
        }
    }

    /// The leaves are those of the records, one each, and the newest checkpoint is of them all.
    pub(super) fn check_log(&self, found: &mut Found) -> Tree {
        let mut bad = |what: String| found.push((Rule::LogHolds, what));
        let entries: Vec<Hash> = self.rows.iter().map(Row::entry).collect();
        for (at, row) in self.rows.iter().enumerate() {
            if row.leaf != at as u64 {
                bad(format!("leaf {} stands at {at}", row.leaf));
                break;
            }
        }
        let tree = Tree::new(&entries);
        if self.log_size != tree.size() || self.bodies != tree.size() {
            let (size, bodies) = (self.log_size, self.bodies);
            bad(format!(
                "{} records, {bodies} bodies, a log of {size}",
                tree.size()
            ));
        }
        let newest = self.checkpoint.as_deref().and_then(open);
        match newest {
            Some(note) if note.size == tree.size() && tree.root(note.size) == Some(note.root) => {}
            Some(note) => bad(format!(
                "the newest checkpoint is of {} other leaves",
                note.size
            )),
            None => bad("there is no checkpoint that the log's key has signed".to_owned()),
        }
        tree
    }

    /// Every checkpoint that was ever given is of the first leaves of this log.
    pub(super) fn check_notes(&self, tree: &Tree, notes: &[String], found: &mut Found) {
        for note in notes {
            let bad = match open(note) {
                None => "a checkpoint that the log's key has not signed".to_owned(),
                Some(note) if tree.root(note.size) != Some(note.root) => {
                    format!("a checkpoint of {} leaves is of another log", note.size)
                }
                Some(_) => continue,
            };
            found.push((Rule::CheckpointHolds, bad));
        }
    }

    /// Every receipt that was ever given is for a record that is kept, and proves it.
    pub(super) fn check_receipts(&self, tree: &Tree, history: &History, found: &mut Found) {
        let by_leaf: HashMap<u64, &Row> = self.rows.iter().map(|row| (row.leaf, row)).collect();
        for receipt in &history.receipts {
            let kept = by_leaf.get(&receipt.index).is_some_and(|row| {
                row.sha256 == receipt.jws && row.salt == receipt.salt && uuid(&row.id) == receipt.id
            });
            let note = history.notes.get(receipt.note).and_then(|note| open(note));
            let proved = tree
                .leaf(receipt.index)
                .zip(note)
                .is_some_and(|(leaf, note)| {
                    root_by_path(leaf, receipt.index, note.size, &receipt.path) == Some(note.root)
                });
            if !kept {
                let what = format!("receipt {} is for what is not kept", receipt.index);
                found.push((Rule::ReceiptHolds, what));
            } else if !proved {
                let what = format!("receipt {} does not prove its record", receipt.index);
                found.push((Rule::ReceiptHolds, what));
            }
        }
    }
}

impl Row {
    /// Why this is not the record of its handset that follows `head`.
    fn flaw(&self, seq: u64, head: &Hash) -> Option<&'static str> {
        if sha256(&[self.jws.as_bytes()]).as_slice() != self.sha256 {
            return Some("its digest is another");
        }
        let Some((signed, signature)) = self.jws.rsplit_once('.') else {
            return Some("it is no JWS");
        };
        // The point ends the SubjectPublicKeyInfo of a P-256 key.
        let point = self.spki.get(self.spki.len().saturating_sub(65)..);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.unwrap_or_default());
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        if key.verify(signed.as_bytes(), &signature).is_err() {
            return Some("its handset has not signed it");
        }
        let header = signed
            .split('.')
            .next()
            .map(|part| URL_SAFE_NO_PAD.decode(part));
        let header: Option<Value> = header
            .and_then(Result::ok)
            .and_then(|json| serde_json::from_slice(&json).ok());
        let kid = URL_SAFE_NO_PAD.encode(sha256(&[&self.spki]));
        let expected = serde_json::json!({
            "alg": "ES256", "kid": kid, "typ": "candour-record+jws",
        });
        if header != Some(expected) {
            return Some("its header is another");
        }
        let Some(record) = payload(&self.jws) else {
            return Some("its payload is not JSON");
        };
        let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = record.get("seq").and_then(Value::as_u64);
        if self.seq != seq || number != Some(seq) {
            Some("there is a gap before it")
        } else if text("prev") != URL_SAFE_NO_PAD.encode(head) {
            Some("it does not name the one before it")
        } else if text("handset") != self.handset {
            Some("it is another handset's")
        } else if text("id") != uuid(&self.id) || text("kind") != self.kind {
            Some("its row says something else")
        } else {
            None
        }
    }

    fn entry(&self) -> Hash {
        let jws = sha256(&[self.jws.as_bytes()]);
        sha256(&[b"candour/leaf/v1\n", &self.salt, &jws])
    }
}

fn open(note: &str) -> Option<Note> {
    Note::open(note, &String::from(KEYS.log_verifier.clone()))
}

/// The text of a UUID.
fn uuid(id: &[u8]) -> String {
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    let parts = [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ];
    parts.join("-")
}

/// A number that is never negative.
fn number(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

/// How many records of a handset there are.
pub(super) fn rows_of(path: &Path, handset: &str) -> u64 {
    let count = |db: Connection| {
        db.query_row(
            "SELECT count(*) FROM record r JOIN handset h USING (handset) WHERE h.id = ?1",
            [handset],
            |row| number(row, 0),
        )
    };
    Connection::open(path).and_then(count).unwrap_or(0)
}

/// The list of apps that the department has of a handset.
pub(super) fn list_of(path: &Path, handset: &str) -> Option<Value> {
    let db = Connection::open(path).ok()?;
    let list: Option<String> = db
        .query_row(
            "SELECT i.list FROM inventory i JOIN handset h USING (handset) WHERE h.id = ?1",
            [handset],
            |row| row.get(0),
        )
        .optional()
        .ok()?;
    serde_json::from_str(&list?).ok()
}
