//! The department's books, read from the database by other code than the server's: what is in
//! there, and whether it agrees with itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candour_wire::chain::{self, Head};
use candour_wire::jws::{self, VerifyingKey};
use candour_wire::log::{Checkpoint, LeafSalt, LogVerifier, entry, leaf_hash, node_hash};
use candour_wire::record::{Record, Stream, TYP};
use candour_wire::{Digest, HandsetId, RecordId};
use rusqlite::{Connection, OpenFlags, Row};

use super::phone_check::Findings;

/// A record as the department has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Whose.
    pub handset: String,
    /// Which chain.
    pub stream: String,
    /// Place in the chain.
    pub seq: u64,
    /// Digest of the signed record.
    pub sha256: Digest,
    /// Number of its leaf.
    pub leaf: u64,
    /// Salt of its leaf.
    pub salt: LeafSalt,
    /// When it was taken, in milliseconds.
    pub received_ms: i64,
    /// The signed record.
    pub jws: String,
}

/// Everything that the department has.
#[derive(Debug)]
pub struct Books {
    /// Records by id.
    pub records: BTreeMap<RecordId, Kept>,
    /// Keys of the handsets, DER, by id.
    pub handsets: BTreeMap<String, Vec<u8>>,
    /// Digests of tokens that were used.
    pub used_tokens: BTreeSet<Vec<u8>>,
    /// Whole files, by handset.
    pub files: BTreeSet<(String, Digest)>,
    /// The log's entries.
    pub entries: Vec<Digest>,
    /// The newest checkpoint; its signature was checked.
    pub checkpoint: Checkpoint,
    /// Ids that came twice, and other things that the tables do not let a reader overlook.
    odd: Findings,
}

/// What the server keeps at the level of entries.
const ENTRIES: i64 = -1;

impl Books {
    /// Reads a database that no server has open.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or its checkpoint is not signed by this key.
    pub fn read(path: &Path, log: &LogVerifier) -> Result<Self, String> {
        Self::from_database(path, log).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn from_database(path: &Path, log: &LogVerifier) -> Result<Self, Box<dyn std::error::Error>> {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut odd = Findings::new();
        let sound: String = db.query_row("PRAGMA integrity_check(1)", (), |row| row.get(0))?;
        if sound != "ok" {
            odd.push(format!("the database is damaged: {sound}"));
        }
        let mut records = BTreeMap::new();
        let mut statement = db.prepare(
            "SELECT record.id, handset.id, stream, seq, sha256, record.leaf, salt, received, jws
             FROM record JOIN handset USING (handset) LEFT JOIN body USING (leaf)",
        )?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let id = RecordId::from_slice(&row.get::<_, Vec<u8>>(0)?)?;
            if records.insert(id, kept(row)?).is_some() {
                odd.push(format!("doubled: {id}"));
            }
        }
        let strangers: i64 = db.query_row(
            "SELECT count(*) FROM body WHERE leaf NOT IN (SELECT leaf FROM record)",
            (),
            |row| row.get(0),
        )?;
        if strangers != 0 {
            odd.push(format!("{strangers} bodies are no record's"));
        }
        let listed = |sql: &str| -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
            db.prepare(sql)?
                .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        let handsets = listed("SELECT id, spki FROM handset")?;
        let tokens = listed("SELECT '', hash FROM token WHERE used IS NOT NULL")?;
        let whole = listed(
            "SELECT id, sha256 FROM attachment JOIN handset USING (handset) WHERE complete = 1",
        )?;
        let mut entries = Vec::new();
        for (_, tile) in listed(&format!(
            "SELECT '', hashes FROM log_tile WHERE level = {ENTRIES} ORDER BY n"
        ))? {
            entries.extend(tile.as_chunks::<32>().0.iter().copied().map(Digest));
        }
        let note: String = db.query_row("SELECT checkpoint FROM log", (), |row| row.get(0))?;
        Ok(Self {
            records,
            handsets: handsets.into_iter().collect(),
            used_tokens: tokens.into_iter().map(|(_, hash)| hash).collect(),
            files: whole
                .into_iter()
                .filter_map(|(handset, sha256)| Some((handset, Digest(sha256.try_into().ok()?))))
                .collect(),
            entries,
            checkpoint: Checkpoint::open(&note, log)?,
            odd,
        })
    }

    /// Whether the books agree with themselves: each record is what its digest and its leaf say,
    /// the chains have neither gaps nor forks, and the log leads to the signed checkpoint. With
    /// `signatures` each record's is checked as well, which takes longest.
    #[must_use]
    pub fn check(&self, signatures: bool) -> Findings {
        let mut found = self.odd.clone();
        let size = self.entries.len();
        if self.checkpoint.size != size as u64 || self.checkpoint.root != self.root_of(size) {
            found.push("the log does not lead to its checkpoint".into());
        }
        let mut leaves = BTreeSet::new();
        let mut chains: BTreeMap<(&str, &str), BTreeMap<u64, &Kept>> = BTreeMap::new();
        for (id, kept) in &self.records {
            let place = usize::try_from(kept.leaf).ok();
            let leaf = place.and_then(|place| self.entries.get(place));
            if chain::link(&kept.jws) != kept.sha256 {
                found.push(format!("{id} is not what was taken"));
            }
            if leaf != Some(&entry(&kept.salt, &kept.sha256)) {
                found.push(format!("{id} is not in the log"));
            }
            if !leaves.insert(kept.leaf) {
                found.push(format!("{id} shares its leaf"));
            }
            let chain = chains.entry((&kept.handset, &kept.stream)).or_default();
            if chain.insert(kept.seq, kept).is_some() {
                found.push(format!(
                    "the chain of {} forks at {}",
                    kept.handset, kept.seq
                ));
            }
        }
        if leaves.len() != size {
            found.push(format!("{} records have {size} leaves", leaves.len()));
        }
        for ((handset, stream), chain) in chains {
            if let Err(problem) = self.check_chain(handset, stream, &chain, signatures) {
                found.push(format!("the {stream} chain of {handset}: {problem}"));
            }
        }
        found
    }

    fn check_chain(
        &self,
        handset: &str,
        stream: &str,
        chain: &BTreeMap<u64, &Kept>,
        signatures: bool,
    ) -> Result<(), String> {
        let stream = match stream {
            "records" => Stream::Records,
            "posture" => Stream::Posture,
            other => return Err(format!("no such stream: {other}")),
        };
        let spki = self.handsets.get(handset).ok_or("nobody's")?;
        let key = VerifyingKey::from_spki_der(spki).map_err(|error| error.to_string())?;
        let id = HandsetId::derive(spki);
        let mut head = Head::genesis(&id, stream);
        for kept in chain.values() {
            let payload = if signatures {
                jws::verify(TYP, &kept.jws, &key).map_err(|error| error.to_string())?
            } else {
                payload_of(&kept.jws)?
            };
            let record: Record =
                serde_json::from_slice(&payload).map_err(|error| error.to_string())?;
            if record.handset != id || record.seq != kept.seq {
                return Err(format!("{} stands in another's place", record.id));
            }
            head.check_next(record.seq, &record.prev)
                .map_err(|error| format!("{}: {error}", record.seq))?;
            head = head.extended(&kept.jws);
        }
        Ok(())
    }

    /// The root of the tree of the first `size` entries, by the recursion of RFC 9162, section
    /// 2.1.1.
    #[must_use]
    pub fn root_of(&self, size: usize) -> Digest {
        fn root(entries: &[Digest]) -> Digest {
            match entries {
                [] => candour_wire::log::merkle::empty_root(),
                [entry] => leaf_hash(entry),
                entries => {
                    let left = entries.len().next_power_of_two() / 2;
                    let (left, right) = entries.split_at(left);
                    node_hash(&root(left), &root(right))
                }
            }
        }
        root(self.entries.get(..size).unwrap_or_default())
    }
}

fn kept(row: &Row<'_>) -> Result<Kept, Box<dyn std::error::Error>> {
    let number = |column| -> Result<u64, Box<dyn std::error::Error>> {
        Ok(u64::try_from(row.get::<_, i64>(column)?)?)
    };
    let sha256: [u8; 32] = row.get(4)?;
    Ok(Kept {
        handset: row.get(1)?,
        stream: row.get(2)?,
        seq: number(3)?,
        sha256: Digest(sha256),
        leaf: number(5)?,
        salt: LeafSalt(row.get(6)?),
        received_ms: row.get(7)?,
        jws: row.get(8)?,
    })
}

pub(super) fn payload_of(jws: &str) -> Result<Vec<u8>, String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let payload = jws.split('.').nth(1).unwrap_or_default();
    URL_SAFE_NO_PAD
        .decode(payload)
        .map_err(|error| error.to_string())
}
