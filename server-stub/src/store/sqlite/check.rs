//! Looking through the whole store: whatever one part of it says about another is worked out anew.
//!
//! SQLite keeps no checksums in a database, so a bit that flips in a row is read as it is. Opening
//! reads little, or a server would take minutes to start. This reads everything: SQLite's own
//! structures; the log, from its entries to the signed checkpoint ([`log`]); each record's
//! signature, chain and leaf, and what its row says of it; the lists that posture records lead to
//! ([`posture`]); and the files that records refer to.
//!
//! What nothing else in the store says cannot be checked: labels, departments and standing of
//! handsets, tokens, counts of anomalies, times of arrival, and the audit trail.
//!
//! It takes memory for the log's entries, 32 bytes for each record, and stops nothing: a server may
//! run meanwhile.

mod log;
mod posture;

use std::fmt::Display;

use candour_wire::chain::{self, Head};
use candour_wire::jws::{self, VerifyingKey};
use candour_wire::log::{LeafSalt, LogVerifier, entry};
use candour_wire::record::{AttachmentRef, Record, Stream, TYP};
use candour_wire::{Digest, HandsetId, RecordId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use self::posture::Reported;
use super::values::{digest, id, record_id, uint};
use super::{SqliteStore, StoreError};

/// Faults that are told one by one; beyond that they are counted.
const FAULTS_MAX: usize = 100;

/// What was looked through, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Report {
    /// Handsets, enrolled or revoked.
    pub handsets: u64,
    /// Records, whose signatures were verified.
    pub records: u64,
    /// Files that a record refers to, whose digests were computed.
    pub files: u64,
    /// What is wrong, a sentence each, without content; the first hundred.
    pub faults: Vec<String>,
    /// How many faults there are in all.
    pub count: u64,
}

impl Report {
    fn add(&mut self, fault: impl Into<String>) {
        self.count += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault.into());
        }
    }

    /// Notes where a table cannot be read, and goes on.
    fn note<T>(&mut self, what: &str, read: rusqlite::Result<T>) -> Option<T> {
        read.map_err(|error| self.add(format!("{what} cannot be read: {error}")))
            .ok()
    }
}

impl SqliteStore {
    /// Looks through everything. Takes minutes for a million records.
    ///
    /// # Errors
    ///
    /// When the store is closed. What cannot be read is a fault in the report.
    pub async fn check(&self, log: LogVerifier) -> Result<Report, StoreError> {
        let looked = self.readers.read(move |db| Ok(look(db, &log))).await?;
        let (mut report, files) = looked;
        self.on_files(move |dir| {
            for (handset, file) in files {
                report.files += 1;
                if let Some(fault) = dir.fault(&handset, &file.sha256, file.size) {
                    report.add(format!("file {} of {handset} {fault}", file.sha256));
                }
            }
            Ok(report)
        })
        .await
    }
}

/// Files that a record refers to, each with whose it is.
type Files = Vec<(HandsetId, AttachmentRef)>;

/// The database as of a transaction.
struct Look<'a> {
    db: &'a Connection,
    report: Report,
    files: Files,
    /// The log's entries, and whether a record has been found for each.
    entries: Vec<(Digest, bool)>,
}

fn look(db: &Connection, log: &LogVerifier) -> (Report, Files) {
    let mut look = Look {
        db,
        report: Report::default(),
        files: Files::new(),
        entries: Vec::new(),
    };
    look.structures();
    look.log(log);
    look.handsets();
    look.leaves();
    (look.report, look.files)
}

impl Look<'_> {
    /// SQLite's own: pages, indexes, and references between tables.
    fn structures(&mut self) {
        let texts = |sql: &str| -> rusqlite::Result<Vec<String>> {
            let mut statement = self.db.prepare(sql)?;
            statement.query_map((), |row| row.get(0))?.collect()
        };
        let sound = texts("PRAGMA integrity_check");
        let strays = texts("SELECT DISTINCT \"table\" FROM pragma_foreign_key_check");
        for line in self
            .report
            .note("the database", sound)
            .into_iter()
            .flatten()
        {
            if line != "ok" {
                self.report.add(format!("the database is damaged: {line}"));
            }
        }
        for table in self
            .report
            .note("a reference", strays)
            .into_iter()
            .flatten()
        {
            let fault = format!("a row of {table} refers to what is not there");
            self.report.add(fault);
        }
    }

    fn handsets(&mut self) {
        let handsets = self.rows(
            "SELECT handset, id, spki, spki_sha256 FROM handset ORDER BY handset",
            [],
            |row| {
                let spki: Vec<u8> = row.get(2)?;
                Ok((row.get(0)?, id(row, 1)?, spki, digest(row, 3)?))
            },
        );
        for (number, handset, spki, sha256) in
            self.report.note("handset", handsets).unwrap_or_default()
        {
            self.handset(number, &handset, &spki, sha256);
        }
    }

    fn handset(&mut self, number: i64, handset: &HandsetId, spki: &[u8], sha256: Digest) {
        self.report.handsets += 1;
        if HandsetId::derive(spki) != *handset || Digest::of(spki) != sha256 {
            let fault = format!("handset {handset} has another key than its id says");
            return self.report.add(fault);
        }
        let key = match VerifyingKey::from_spki_der(spki) {
            Ok(key) => key,
            Err(error) => return self.report.add(format!("the key of {handset}: {error}")),
        };
        let mut reported = Reported::default();
        for stream in Stream::ALL {
            let head = self.chain(number, handset, stream, &key, &mut reported);
            let kept = self.db.query_row(
                "SELECT seq, digest FROM chain WHERE handset = ?1 AND stream = ?2",
                params![number, stream.as_str()],
                |row| Ok((uint(row, 0)?, digest(row, 1)?)),
            );
            let name = format!("the {} chain of {handset}", stream.as_str());
            let kept = self.report.note(&name, kept.optional()).flatten();
            if kept.unwrap_or((0, chain::genesis(handset, stream))) != (head.seq, head.digest) {
                let fault = format!("{name} does not end where the store says");
                self.report.add(fault);
            }
        }
        let listed = reported.faults(self.db, number);
        let listed = self
            .report
            .note(&format!("what {handset} reported"), listed);
        for fault in listed.into_iter().flatten() {
            self.report.add(format!("handset {handset}: {fault}"));
        }
    }

    /// Goes along a chain and returns its end.
    fn chain(
        &mut self,
        number: i64,
        handset: &HandsetId,
        stream: Stream,
        key: &VerifyingKey,
        reported: &mut Reported,
    ) -> Head {
        let mut head = Head::genesis(handset, stream);
        let db = self.db;
        let name = format!("the {} chain of {handset}", stream.as_str());
        let read = (|| {
            let mut statement = db.prepare(
                "SELECT r.seq, r.id, r.kind, r.sha256, r.policy, r.refers_to, r.leaf, r.created,
                   b.salt, b.jws
                 FROM record r LEFT JOIN body b ON b.leaf = r.leaf
                 WHERE r.handset = ?1 AND r.stream = ?2 ORDER BY r.seq",
            )?;
            let mut rows = statement.query(params![number, stream.as_str()])?;
            while let Some(row) = rows.next()? {
                self.report.records += 1;
                match self.record(row, handset, &head, key) {
                    Ok((record, jws)) => {
                        head = head.extended(&jws);
                        reported.take(&record.body);
                        let (_, files) = record.body.sealed().unzip();
                        for file in files.into_iter().flatten() {
                            self.file(number, handset, file);
                        }
                    }
                    Err(fault) => {
                        let at: i64 = row.get(0)?;
                        self.report.add(format!("{name}, record {at}: {fault}"));
                        // The next one says which this was; only the break itself is told.
                        head = Head {
                            seq: uint(row, 0)?,
                            digest: digest(row, 3)?,
                        };
                    }
                }
            }
            Ok(())
        })();
        self.report.note(&name, read);
        head
    }

    /// One record against its signature, its place and its leaf.
    fn record(
        &mut self,
        row: &Row<'_>,
        handset: &HandsetId,
        head: &Head,
        key: &VerifyingKey,
    ) -> Result<(Record, String), String> {
        let Kept {
            seq,
            id,
            kind,
            sha256,
            policy,
            refers_to,
            leaf,
            created_ms,
            body,
        } = Kept::read(row).map_err(said)?;
        let leaf = usize::try_from(leaf)
            .ok()
            .and_then(|leaf| self.entries.get_mut(leaf));
        let (entered, found) = leaf.ok_or("the log does not reach to its leaf")?;
        if std::mem::replace(found, true) {
            return Err("another record has its leaf".to_owned());
        }
        let (salt, jws) = body.ok_or("its body is missing")?;
        if chain::link(&jws) != sha256 {
            return Err("its body is not what was signed".to_owned());
        }
        if entry(&salt, &sha256) != *entered {
            return Err("its leaf is another's".to_owned());
        }
        let payload = jws::verify(TYP, &jws, key).map_err(said)?;
        let record: Record = serde_json::from_slice(&payload).map_err(|_| "it is not a record")?;
        head.check_next(record.seq, &record.prev).map_err(said)?;
        let same = (record.seq, record.id, &record.handset) == (seq, id, handset)
            && record.body.kind().as_str() == kind
            && record.policy == policy
            && record.created.as_millisecond() == created_ms
            && record.body.refers_to() == refers_to;
        if !same {
            return Err("its row says otherwise than its signed form".to_owned());
        }
        Ok((record, jws))
    }

    /// A file that a record refers to.
    fn file(&mut self, number: i64, handset: &HandsetId, file: &AttachmentRef) {
        let whole = self.db.query_row(
            "SELECT count(*) FROM attachment WHERE handset = ?1 AND sha256 = ?2
             AND size = ?3 AND arrived = ?3 AND complete = 1 AND referenced = 1",
            params![number, file.sha256.0, file.size.cast_signed()],
            |row| row.get(0),
        );
        if self.report.note("attachment", whole) == Some(0_i64) {
            let fault = format!("file {} of {handset} is not noted as whole", file.sha256);
            self.report.add(fault);
        }
        self.files.push((handset.clone(), *file));
    }

    /// Each entry of the log is one record's, and each body too.
    fn leaves(&mut self) {
        let empty = self.entries.iter().filter(|(_, found)| !found).count();
        if empty > 0 {
            self.report
                .add(format!("{empty} entries of the log belong to no record"));
        }
        let strays = self.db.query_row(
            "SELECT count(*) FROM body WHERE leaf NOT IN (SELECT leaf FROM record)",
            (),
            |row| row.get(0),
        );
        let strays: i64 = self.report.note("body", strays).unwrap_or_default();
        if strays > 0 {
            self.report
                .add(format!("{strays} bodies belong to no record"));
        }
    }

    fn rows<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.db.prepare(sql)?.query_map(params, read)?.collect()
    }
}

/// A record's row, and its body where that is there.
struct Kept {
    seq: u64,
    id: RecordId,
    kind: String,
    sha256: Digest,
    policy: u64,
    refers_to: Option<RecordId>,
    leaf: u64,
    created_ms: i64,
    body: Option<(LeafSalt, String)>,
}

impl Kept {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let refers: Option<Vec<u8>> = row.get(5)?;
        let salt: Option<[u8; 16]> = row.get(8)?;
        let jws: Option<String> = row.get(9)?;
        Ok(Self {
            seq: uint(row, 0)?,
            id: record_id(row, 1)?,
            kind: row.get(2)?,
            sha256: digest(row, 3)?,
            policy: uint(row, 4)?,
            refers_to: refers.map(|_| record_id(row, 5)).transpose()?,
            leaf: uint(row, 6)?,
            created_ms: row.get(7)?,
            body: salt.map(LeafSalt).zip(jws),
        })
    }
}

fn said(error: impl Display) -> String {
    error.to_string()
}
