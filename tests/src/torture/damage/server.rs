//! A department's files. The server does not start, or the phones are told, or `check` tells the
//! operator; or it was harmless, or nothing in the store says what it was.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use candour_wire::Digest;
use candour_wire::api::{BatchReply, Receipt, RecordResult};
use candour_wire::chain::Head;
use candour_wire::log::merkle::verify_consistency;
use candour_wire::log::{Checkpoint, LogVerifier, ReceiptProof, verify_receipt};
use candour_wire::posture::Presence;
use candour_wire::record::{AttachmentRef, Stream};
use candour_wire::seal::RecordsPublicKey;
use fastrand::Rng;
use http::Request;
use rustls::ClientConfig;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::dump::{Dump, is_unsaid};
use super::places::{self, Place};
use super::{Ended, Outcome, Share, Verdict, copy};
use crate::client::Connection;
use crate::department::Department;
use crate::program::Program;
use crate::raw::{RawHandset, Signed, batch_of, receipts};
use crate::torture::books::Books;
use crate::torture::power_cut::fast_dir;

/// Handsets that have delivered before the files are damaged.
const HANDSETS: usize = 3;

/// Declarations of each before the server was stopped, and since. With the others they fill a tile
/// of the log.
const BEFORE: usize = 90;
const SINCE: usize = 6;

/// A department whose server has ended.
pub struct Victim {
    department: Department,
    /// Its data as they were, never touched.
    good: TempDir,
    truth: Dump,
    settings: String,
    log: LogVerifier,
    checkpoint: Checkpoint,
    phones: Vec<Phone>,
    runtime: Runtime,
}

/// A handset, and what it remembers.
struct Phone {
    handset: RawHandset,
    tls: Arc<ClientConfig>,
    key: RecordsPublicKey,
    head: Head,
    /// What it delivered last, with the receipts.
    last: Vec<(Signed, Receipt)>,
}

impl Victim {
    /// Lets handsets deliver declarations with and without files, lists of apps and nonsense;
    /// revokes one and lets it back in, opens a record, and ends the server.
    ///
    /// # Errors
    ///
    /// When there is no room.
    ///
    /// # Panics
    ///
    /// When the server does not do what it should while nothing is wrong.
    pub fn make(program: &Program, ended: Ended) -> Result<Self, String> {
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let mut department = Department::start_in(program, fast_dir()?);
        let mut phones = Vec::new();
        for number in 0..HANDSETS {
            let mut phone = runtime.block_on(Phone::enrol(&department));
            runtime.block_on(phone.deliver(&department, BEFORE, number));
            phones.push(phone);
        }
        let first = phones.first().ok_or("no phones")?;
        let handset = first.handset.id.as_str();
        for act in ["revoke", "reinstate"] {
            let args = ["handset", act, handset, "--reason", "a trial"];
            let _ = department.command(&args).succeeded();
        }
        let record = first.last.first().ok_or("no records")?.0.record.id;
        let key = department.data().join("records-role/records.key");
        let opened = department.command(&[
            "open",
            &record.to_string(),
            "--key",
            &key.to_string_lossy(),
            "--reason",
            "a trial",
            "--who",
            "a trial",
        ]);
        // What was declared is no declaration's content, but opening it was audited.
        assert!(opened.stderr.contains("content"), "{opened:?}");
        let _ = department.token();
        department.restart_after_stop();
        for (number, phone) in phones.iter_mut().enumerate() {
            runtime.block_on(phone.deliver(&department, SINCE, number));
        }
        let checkpoint = runtime.block_on(department.checkpoint());
        match ended {
            Ended::Killed => department.kill(),
            Ended::InOrder => assert_eq!(department.stop().code(), Some(0)),
        }
        let good = fast_dir()?;
        copy(&department.data(), good.path()).map_err(|error| error.to_string())?;
        let truth = fast_dir()?;
        copy(good.path(), truth.path()).map_err(|error| error.to_string())?;
        Ok(Self {
            truth: Dump::read(&truth.path().join("server.db"), None)
                .map_err(|error| error.to_string())?,
            settings: shown_settings(&department),
            log: department.config().log_key,
            department,
            good,
            checkpoint,
            phones,
            runtime,
        })
    }

    /// A share of all places of every file that the server reads, in a random order.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn places(&self, seed: u64, share: Share) -> Result<Vec<Place>, String> {
        let mut rng = Rng::with_seed(seed);
        let places = places::of_server(self.good.path(), &mut rng)?;
        Ok(share.of(places, &mut rng))
    }

    /// Damages the data at each of these places in turn. Without `checked` nobody runs `check`, and
    /// the damage that only it finds goes unnoticed.
    ///
    /// # Errors
    ///
    /// When there is no room for copies.
    pub fn suffer<'a>(
        &mut self,
        places: impl IntoIterator<Item = &'a Place>,
        checked: bool,
    ) -> Result<Outcome, String> {
        let mut outcome = Outcome::default();
        self.lay_out(None).map_err(|error| error.to_string())?;
        if let Verdict::Told(by, word) = self.look(Altered::Nothing, checked) {
            return Err(format!("told {by} where nothing is damaged: {word}"));
        }
        for place in places {
            self.lay_out(Some(place))
                .map_err(|error| error.to_string())?;
            let dumped = Dump::read(&self.store(), Some(&self.truth));
            let altered = match dumped {
                Ok(dump) if dump == self.truth => Altered::Nothing,
                Ok(dump) => Altered::Columns(self.truth.differences(&dump).into_iter().collect()),
                Err(_) => Altered::Unreadable,
            };
            self.lay_out(Some(place))
                .map_err(|error| error.to_string())?;
            outcome.count(place, || self.look(altered, checked));
        }
        Ok(outcome)
    }

    /// Puts the good data in the server's place, and damages them.
    fn lay_out(&self, place: Option<&Place>) -> std::io::Result<()> {
        let data = self.department.data();
        fs::remove_dir_all(&data)?;
        copy(self.good.path(), &data)?;
        place.map_or(Ok(()), |place| place.harm(&data))
    }

    fn store(&self) -> PathBuf {
        self.department.data().join("server.db")
    }

    /// Starts the server, lets the phones come, and looks through everything.
    fn look(&mut self, altered: Altered, checked: bool) -> Verdict {
        let check = checked.then(|| self.department.command(&["check"]));
        let mut command = self.department.serve_command();
        if let Err(ended) = self.department.try_restart_with(&mut command) {
            assert!(ended.code().is_some(), "it crashed: {ended}");
            return Verdict::Told("at start", sentence(&self.department.process().log()));
        }
        let met = self.runtime.block_on(self.phones_come());
        self.department.kill();
        if let Err(told) = met {
            return Verdict::Told("to phones", told);
        }
        if let Some(check) = check.filter(|check| !check.status.success()) {
            return Verdict::Told("by check", sentence(&check.stdout));
        }
        if shown_settings(&self.department) != self.settings {
            return Verdict::Unsaid("config.toml".to_owned());
        }
        match altered {
            Altered::Unreadable => return Verdict::Silent("the database".to_owned()),
            Altered::Columns(columns) => {
                let (unsaid, said): (Vec<_>, Vec<_>) =
                    columns.into_iter().partition(|column| is_unsaid(column));
                return if said.is_empty() {
                    Verdict::Unsaid(unsaid.join(", "))
                } else {
                    Verdict::Silent(said.join(", "))
                };
            }
            Altered::Nothing => {}
        }
        // By other code than the server's, and after it has gone on.
        match Books::read(&self.store(), &self.log).map(|books| books.check(false)) {
            Ok(found) if found.is_empty() => Verdict::Harmless,
            Ok(found) => Verdict::Silent(found.join(", ")),
            Err(problem) => Verdict::Silent(problem),
        }
    }

    /// Each phone sends again what it sent last, then something new, and checks the replies as the
    /// agent does. Says by what a phone would notice that something is wrong.
    async fn phones_come(&self) -> Result<(), String> {
        let mut newest = self.checkpoint.clone();
        for phone in &self.phones {
            phone.come(&self.department, &self.log, &mut newest).await?;
        }
        Ok(())
    }
}

/// What damage has altered in the database, as SQLite reads it.
enum Altered {
    Nothing,
    Columns(Vec<String>),
    Unreadable,
}

/// What the settings are, whichever way they are written.
fn shown_settings(department: &Department) -> String {
    let mut show = department.command(&["config", "show", "--json"]);
    show.stdout.push_str(&show.stderr);
    show.stdout
}

/// The last line, without what differs from place to place.
fn sentence(text: &str) -> String {
    let line = text.lines().next_back().unwrap_or_default();
    let words = line.split_whitespace();
    let words = words.filter(|word| !word.contains(|c: char| c.is_ascii_digit() || c == '/'));
    words.collect::<Vec<_>>().join(" ")
}

impl Phone {
    async fn enrol(department: &Department) -> Self {
        let handset = RawHandset::enrol(department).await;
        let mut connection = handset.connect(department).await;
        Self {
            tls: handset.tls(department),
            key: connection.policy(department).await.records_key,
            head: handset.genesis(Stream::Records),
            last: Vec::new(),
            handset,
        }
    }

    /// Delivers declarations, every tenth with a file and every twentieth a long one; and what the
    /// server notes besides.
    async fn deliver(&mut self, department: &Department, count: usize, number: usize) {
        let mut connection = self.handset.connect(department).await;
        if self.last.is_empty() {
            let genesis = self.handset.genesis(Stream::Posture);
            let apps = [
                ("signal", Presence::Absent),
                ("whatsapp", Presence::Installed),
            ];
            let list = self.handset.inventory(&genesis, 1, &apps);
            let _ = receipts(&connection.deliver(&[list]).await);
            let ahead = Head {
                seq: 1_000,
                ..self.head
            };
            let gap = self.handset.declaration(&ahead, &self.key, "from nowhere");
            let refused = connection.deliver(&[gap]).await;
            assert!(matches!(refused.results[..], [RecordResult::Refusal(_)]));
        }
        for at in 0..count {
            let files = if at % 10 == number {
                vec![upload(&mut connection, format!("file {number}.{at}").repeat(50)).await]
            } else {
                Vec::new()
            };
            let text = "what was said ".repeat(if at % 20 == 0 { 600 } else { 3 });
            let head = self.head;
            let signed = self
                .handset
                .declaration_with(&head, &self.key, &text, files);
            self.head = head.extended(&signed.jws);
            let reply = connection.deliver(std::slice::from_ref(&signed)).await;
            let receipt = receipts(&reply).remove(0).clone();
            self.last = vec![(signed, receipt)];
        }
    }

    async fn come(
        &self,
        department: &Department,
        log: &LogVerifier,
        newest: &mut Checkpoint,
    ) -> Result<(), String> {
        let opened = Connection::open(department.handset_address(), Arc::clone(&self.tls)).await;
        let mut connection =
            opened.map_err(|failure| format!("no connection: {}", failure.text))?;
        let policy = connection.get("/v1/policy").await;
        let policy = policy.map_err(|failure| failure.text)?;
        if policy.status != 200 {
            return Err(format!("the policy: {}", policy.status));
        }
        let next = self
            .handset
            .declaration(&self.head, &self.key, "after it broke");
        let mut records: Vec<&Signed> = self.last.iter().map(|(signed, _)| signed).collect();
        records.push(&next);
        let texts = records.iter().map(|signed| signed.jws.clone()).collect();
        let reply = connection
            .post(Stream::Records, batch_of(texts, newest.size))
            .await;
        let reply = reply.map_err(|failure| failure.text)?;
        if reply.status != 200 {
            return Err(format!("{}: {}", reply.status, reply.problem()));
        }
        let reply: BatchReply = reply.json();
        let checkpoint = Checkpoint::open(&reply.checkpoint, log).map_err(|e| e.to_string())?;
        let grown = verify_consistency(
            newest.size,
            &newest.root,
            checkpoint.size,
            &checkpoint.root,
            &reply.consistency,
        );
        grown.map_err(|error| format!("log_forked: {error}"))?;
        for (result, signed) in reply.results.iter().zip(&records) {
            let receipt = match result {
                RecordResult::Receipt(receipt) => receipt,
                RecordResult::Refusal(refusal) => return Err(format!("{:?}", refusal.code)),
            };
            let proof = ReceiptProof {
                index: receipt.index,
                salt: receipt.salt,
                path: &receipt.path,
            };
            let proved = verify_receipt(&proof, &Digest::of(signed.jws.as_bytes()), &checkpoint);
            proved.map_err(|error| format!("receipt_invalid: {error}"))?;
        }
        let again = reply.results.iter().zip(&self.last);
        for (result, (_, first)) in again {
            let same = matches!(result, RecordResult::Receipt(again)
                if (again.index, again.salt) == (first.index, first.salt));
            assert!(
                same,
                "another place for the same record: {result:?}, {first:?}"
            );
        }
        *newest = checkpoint;
        Ok(())
    }
}

async fn upload(connection: &mut Connection, text: String) -> AttachmentRef {
    let file = AttachmentRef {
        sha256: Digest::of(text.as_bytes()),
        size: text.len() as u64,
    };
    let request = Request::put(format!("/v1/attachments/{}", file.sha256))
        .header("content-type", "application/octet-stream")
        .header("upload-offset", "0")
        .header("upload-length", file.size.to_string());
    let reply = connection
        .send(request, text.into_bytes())
        .await
        .expect("a reply");
    assert!(reply.status.is_success(), "{}", reply.text());
    file
}
