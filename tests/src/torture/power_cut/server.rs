//! The server's disk.
//!
//! What counts as acknowledged is what left the server: a reply counts from the very send that
//! carried its last byte, not from when a client got round to reading it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use candour_server::keys::LogKey;
use candour_server::store::sqlite::{Settings, SqliteStore};
use candour_server::store::{Batch, NewToken, Store as _, Verified};
use candour_wire::api::{Receipt, RecordResult, UploadStatus};
use candour_wire::log::{Checkpoint, ReceiptProof, verify_receipt};
use candour_wire::posture::Presence;
use candour_wire::record::Stream;
use candour_wire::{Digest, HandsetId, Sensitive};
use fastrand::Rng;
use http::Request;
use tokio::runtime::Runtime;

use super::{Image, Run, counts_from, fast_dir};
use crate::client::Connection;
use crate::department::{self, Department};
use crate::program::Program;
use crate::raw::{RawHandset, Signed, batch};
use crate::torture::books::Books;
use crate::torture::disk::{Disk, Fate, Heeds, compare};
use crate::torture::recorder::Recorder;
use crate::torture::trace::{Ends, Step, Trace};

/// Handsets that deliver side by side.
const HANDSETS: usize = 5;

/// Acknowledged batches that are sent once more to each image.
const REPEATED: usize = 3;

/// Checkpoints of the past that each image must extend.
const CHECKPOINTS: usize = 6;

/// A recorded run of the server.
pub struct ServerRun {
    trace: Trace,
    acknowledged: Vec<(usize, Acknowledged)>,
    /// The step at which `init` said that everything is made.
    made_at: usize,
    department: Department,
    runtime: Runtime,
}

/// What the server said, and to whom.
#[derive(Debug)]
enum Acknowledged {
    Enrolled(HandsetId),
    Batch {
        handset: HandsetId,
        stream: Stream,
        records: Vec<(Signed, Receipt)>,
        checkpoint: Checkpoint,
    },
    File(HandsetId, Digest),
}

/// Something that was said on a connection, and how many bytes had been sent on it by then.
struct Heard {
    ends: Ends,
    bytes: u64,
    what: Acknowledged,
}

impl ServerRun {
    /// Records a server from its making on, with `batches` batches of each handset before, between
    /// and after a stop and a `kill -9`.
    ///
    /// # Errors
    ///
    /// When it cannot be recorded, or the record is not of everything.
    ///
    /// # Panics
    ///
    /// When the server does not do what it should while nothing is wrong.
    pub fn record(program: &Program, seed: u64, batches: usize) -> Result<Self, String> {
        let failed = |error: std::io::Error| error.to_string();
        let scratch = fast_dir()?;
        let root = fast_dir()?;
        let recorder = Recorder::compile(scratch.path(), root.path())?;
        let runtime = Runtime::new().map_err(failed)?;
        let mut department = Department::start_in(&recorder.around(program), root);
        let mut heard = Vec::new();
        let mut rng = Rng::with_seed(seed);
        let mut handsets = Vec::new();
        for _ in 0..HANDSETS {
            let (handset, on) = runtime.block_on(Sender::enrol(&department, rng.u64(..)));
            heard.push(on);
            handsets.push(handset);
        }
        for phase in 0..3 {
            heard.extend(runtime.block_on(deliver(&department, &mut handsets, batches)));
            match phase {
                0 => department.restart_after_stop(),
                1 => {
                    recorder.between_steps(|| department.kill())?;
                    department.restart();
                }
                _ => drop(department.stop()),
            }
        }
        let trace = recorder.trace()?;
        let mut whole = Disk::new(&trace, Heeds::All);
        trace.steps.iter().for_each(|step| whole.take(step));
        let image = scratch.path().join("image");
        whole.image(Fate::KEEP, &mut rng, &image).map_err(failed)?;
        compare(&image.join("data"), &department.data())?;
        let made_at = trace
            .said()
            .find(|(_, text)| text.contains("Set up"))
            .map(|(at, _)| at);
        let acknowledged = place(&trace, heard)?;
        Ok(Self {
            made_at: made_at.ok_or("`init` said nothing")?,
            acknowledged,
            trace,
            department,
            runtime,
        })
    }

    fn judge_store(&self, data: &Path, image: &Image<'_>) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        let log_key = LogKey::from_text(&Sensitive::new(self.department.file("log.key")))
            .map_err(|error| error.to_string())?;
        let verifier = log_key.verifier().clone();
        let settings = Settings {
            attachments: data.join("attachments"),
            signer: Some(log_key.into_signer()),
            now: department::now(),
        };
        let store = SqliteStore::open(&data.join("server.db"), settings)
            .map_err(|error| format!("the store does not open: {error:?}"))?;
        let known: Vec<&Acknowledged> = self
            .acknowledged
            .iter()
            .filter(|(at, _)| counts_from(&self.trace, *at, image.control) <= image.cut)
            .map(|(_, what)| what)
            .collect();
        let mut rng = Rng::with_seed(image.number);
        let batches: Vec<&Acknowledged> = known
            .iter()
            .copied()
            .filter(|what| matches!(what, Acknowledged::Batch { .. }))
            .collect();
        for _ in 0..REPEATED.min(batches.len()) {
            let Some(repeated) = rng.choice(&batches) else {
                break;
            };
            let again = self.runtime.block_on(repeat(&store, repeated));
            found.extend(again.err());
        }
        let token = NewToken {
            hash: Digest::of(b"after the cut"),
            department: department::id(),
            label: None,
            created: department::now(),
            expires: department::now(),
        };
        if let Err(error) = self.runtime.block_on(store.put_token(token)) {
            found.push(format!("it does not go on: {error:?}"));
        }
        self.runtime.block_on(store.close());
        drop(store);

        let books = Books::read(&data.join("server.db"), &verifier)?;
        found.extend(books.check(false));
        let recent = batches.len().saturating_sub(CHECKPOINTS);
        for what in known {
            found.extend(missing(&books, what, data));
        }
        for what in batches.iter().skip(recent) {
            if let Acknowledged::Batch { checkpoint, .. } = what {
                let size = usize::try_from(checkpoint.size).unwrap_or(usize::MAX);
                if size > books.entries.len() || books.root_of(size) != checkpoint.root {
                    found.push("forked: a checkpoint that was given is not the log's".into());
                }
            }
        }
        Ok(found)
    }
}

impl Run for ServerRun {
    fn trace(&self) -> &Trace {
        &self.trace
    }

    fn judge(&self, image: &Image<'_>) -> Vec<String> {
        let data = image.path.join("data");
        if counts_from(&self.trace, self.made_at, image.control) > image.cut {
            // Before it is made there is nothing to lose, and nothing to open.
            return Vec::new();
        }
        let mut found = Vec::new();
        for name in [
            "ca.pem",
            "ca.key",
            "server.pem",
            "policy.key",
            "log.key",
            "config.toml",
        ] {
            let (ours, theirs) = (
                fs::read(data.join(name)),
                fs::read(self.department.data().join(name)),
            );
            if !matches!((ours, theirs), (Ok(ours), Ok(theirs)) if ours == theirs) {
                found.push(format!("lost: {name}"));
            }
        }
        for dir in ["policy", "agent", "records-role"] {
            if let Err(problem) = compare(&data.join(dir), &self.department.data().join(dir)) {
                found.push(format!("lost: {problem}"));
            }
        }
        match self.judge_store(&data, image) {
            Ok(more) => found.extend(more),
            Err(problem) => found.push(problem),
        }
        found
    }
}

/// The same batch once more: the same receipts, which still prove the same.
async fn repeat(store: &Arc<SqliteStore>, what: &Acknowledged) -> Result<(), String> {
    let Acknowledged::Batch {
        handset,
        stream,
        records,
        ..
    } = what
    else {
        return Ok(());
    };
    let entries = records
        .iter()
        .map(|(signed, _)| Ok(Verified::new(signed.record.clone(), signed.jws.clone())))
        .collect();
    let reply = store.append(Batch {
        handset: handset.clone(),
        stream: *stream,
        entries,
        log_size: 0,
        received: department::now(),
    });
    let reply = reply
        .await
        .map_err(|error| format!("it refuses a repetition: {error:?}"))?;
    for (result, (signed, receipt)) in reply.results.iter().zip(records) {
        let same = matches!(result, RecordResult::Receipt(again)
            if again.duplicate
                && (again.index, again.salt, again.received)
                    == (receipt.index, receipt.salt, receipt.received));
        if !same {
            return Err(format!(
                "another receipt: {} has {result:?}",
                signed.record.id
            ));
        }
    }
    Ok(())
}

/// What was acknowledged and is not in the books.
fn missing(books: &Books, what: &Acknowledged, data: &Path) -> Vec<String> {
    match what {
        Acknowledged::Enrolled(handset) => {
            let there = books.handsets.contains_key(handset.as_str());
            (!there)
                .then(|| format!("lost: the handset {handset}"))
                .into_iter()
                .collect()
        }
        Acknowledged::Batch { records, .. } => records
            .iter()
            .filter(|(signed, receipt)| {
                !books.records.get(&receipt.id).is_some_and(|kept| {
                    kept.jws == signed.jws
                        && kept.leaf == receipt.index
                        && kept.salt == receipt.salt
                        && kept.received_ms == receipt.received.as_millisecond()
                })
            })
            .map(|(signed, _)| format!("lost: {}", signed.record.id))
            .collect(),
        Acknowledged::File(handset, name) => {
            let row = books.files.contains(&(handset.to_string(), *name));
            let path = data
                .join("attachments")
                .join(handset.as_str())
                .join(name.to_hex());
            let bytes = fs::read(path).map(|bytes| Digest::of(&bytes)).ok();
            let there = row && bytes == Some(*name);
            (!there)
                .then(|| format!("lost: the file {name}"))
                .into_iter()
                .collect()
        }
    }
}

/// A handset at its work.
struct Sender {
    handset: RawHandset,
    head: candour_wire::chain::Head,
    rng: Rng,
    number: u64,
}

impl Sender {
    async fn enrol(department: &Department, seed: u64) -> (Self, Heard) {
        let token = department.token();
        let mut connection = department.connect_public().await;
        let handset = RawHandset::enrol_on(&mut connection, department, &token).await;
        let heard = Heard::on(&connection, Acknowledged::Enrolled(handset.id.clone()));
        let head = handset.genesis(Stream::Records);
        let sender = Self {
            handset,
            head,
            rng: Rng::with_seed(seed),
            number: 0,
        };
        (sender, heard)
    }

    async fn work(mut self, department: &Department, batches: usize) -> (Self, Vec<Heard>) {
        let mut heard = Vec::new();
        let mut connection = self.handset.connect(department).await;
        let key = connection.policy(department).await.records_key;
        if self.number == 0 {
            let genesis = self.handset.genesis(Stream::Posture);
            let apps = [("whatsapp", Presence::Installed)];
            let list = self.handset.inventory(&genesis, 1, &apps);
            heard.push(self.send(&mut connection, department, vec![list]).await);
        }
        for _ in 0..batches {
            if self.rng.u8(..8) == 0 {
                heard.push(self.upload(&mut connection).await);
            }
            let mut records = Vec::new();
            for _ in 0..self.rng.usize(1..8) {
                let text = "what was said ".repeat(self.rng.usize(1..100));
                let signed = self.handset.declaration(&self.head, &key, &text);
                self.head = self.head.extended(&signed.jws);
                records.push(signed);
            }
            heard.push(self.send(&mut connection, department, records).await);
            self.number += 1;
        }
        (self, heard)
    }

    async fn send(
        &self,
        connection: &mut Connection,
        department: &Department,
        records: Vec<Signed>,
    ) -> Heard {
        let stream = records
            .first()
            .map_or(Stream::Records, |signed| signed.record.body.kind().stream());
        let reply = connection
            .post(stream, batch(&records))
            .await
            .expect("a reply");
        assert_eq!(reply.status, 200, "{}", reply.text());
        let reply: candour_wire::api::BatchReply = reply.json();
        let log_key = department.config().log_key;
        let checkpoint = Checkpoint::open(&reply.checkpoint, &log_key).expect("a checkpoint");
        let receipts: Vec<Receipt> = crate::raw::receipts(&reply).into_iter().cloned().collect();
        assert_eq!(receipts.len(), records.len(), "{reply:?}");
        for (signed, receipt) in records.iter().zip(&receipts) {
            let proof = ReceiptProof {
                index: receipt.index,
                salt: receipt.salt,
                path: &receipt.path,
            };
            let digest = Digest::of(signed.jws.as_bytes());
            verify_receipt(&proof, &digest, &checkpoint).expect("a receipt that proves it");
        }
        let what = Acknowledged::Batch {
            handset: self.handset.id.clone(),
            stream,
            records: records.into_iter().zip(receipts).collect(),
            checkpoint,
        };
        Heard::on(connection, what)
    }

    async fn upload(&mut self, connection: &mut Connection) -> Heard {
        let file: Vec<u8> = (0..self.rng.usize(1..50_000))
            .map(|_| self.rng.u8(..))
            .collect();
        let name = Digest::of(&file);
        let half = file.len() / 2;
        for (offset, piece) in [(0, &file[..half]), (half, &file[half..])] {
            if piece.is_empty() {
                continue;
            }
            let request = Request::put(format!("/v1/attachments/{name}"))
                .header("content-type", "application/octet-stream")
                .header("upload-offset", offset.to_string())
                .header("upload-length", file.len().to_string());
            let reply = connection
                .send(request, piece.to_vec())
                .await
                .expect("a reply");
            let status: UploadStatus = reply.json();
            assert_eq!(status.offset, (offset + piece.len()) as u64);
        }
        Heard::on(
            connection,
            Acknowledged::File(self.handset.id.clone(), name),
        )
    }
}

impl Heard {
    fn on(connection: &Connection, what: Acknowledged) -> Self {
        let (server, client) = connection.ports();
        Self {
            ends: Ends::new(server, client),
            bytes: connection.bytes_read(),
            what,
        }
    }
}

async fn deliver(
    department: &Department,
    handsets: &mut Vec<Sender>,
    batches: usize,
) -> Vec<Heard> {
    let working = std::mem::take(handsets)
        .into_iter()
        .map(|sender| sender.work(department, batches));
    let mut heard = Vec::new();
    for (sender, said) in futures_util::future::join_all(working).await {
        handsets.push(sender);
        heard.extend(said);
    }
    heard
}

/// Finds the send by which each reply was complete.
fn place(trace: &Trace, heard: Vec<Heard>) -> Result<Vec<(usize, Acknowledged)>, String> {
    let mut sent: BTreeMap<Ends, Vec<(usize, u64)>> = BTreeMap::new();
    for (at, step) in trace.steps.iter().enumerate() {
        match step {
            Step::Accepted(ends) if sent.contains_key(ends) => {
                // The later ones could be told apart, but it is rare enough to begin again.
                sent.insert(*ends, vec![(at, u64::MAX)]);
            }
            Step::Accepted(ends) => {
                sent.insert(*ends, Vec::new());
            }
            Step::Sent(ends, bytes) => {
                let sends = sent.entry(*ends).or_default();
                let before = sends.last().map_or(0, |(_, total)| *total);
                sends.push((at, before.saturating_add(*bytes)));
            }
            _ => {}
        }
    }
    let mut placed = Vec::new();
    for Heard { ends, bytes, what } in heard {
        let sends = sent.get(&ends).map(Vec::as_slice).unwrap_or_default();
        let enough = sends.iter().find(|(_, total)| *total >= bytes);
        match enough {
            Some((at, total)) if *total != u64::MAX => placed.push((*at, what)),
            _ => {
                return Err(format!(
                    "the ports {ends:?} were used twice; try another seed"
                ));
            }
        }
    }
    placed.sort_by_key(|(at, _)| *at);
    Ok(placed)
}
