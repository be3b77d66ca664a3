//! The transparency log: anybody can check it, and a server that lies about it is found out.

use std::convert::Infallible;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use candour_core::agent::{Finding, RecordState};
use candour_tests::handset::{config_through, declare};
use candour_tests::interceptor::{Answer, Asked, Fate};
use candour_tests::program::run;
use candour_tests::raw::receipts;
use candour_tests::{Department, Handset, Interceptor, RawHandset};
use candour_wire::api::{BatchReply, BatchRequest, RecordResult};
use candour_wire::log::merkle::{NodeReader, consistency_path, empty_root, inclusion_path};
use candour_wire::log::tile::decode_entries;
use candour_wire::log::{Checkpoint, LogSigner, leaf_hash, node_hash};
use candour_wire::record::Stream;
use candour_wire::{Code, Digest};
use serde_json::{Value, json};

use crate::department;

/// A tree in memory, by the book: RFC 9162, section 2.1.1.
struct Tree(Vec<Digest>);

impl Tree {
    fn root(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node_hash(&Self::root(&leaves[..split]), &Self::root(&leaves[split..]))
            }
        }
    }

    /// Signs it as the department's log.
    fn sign(&self, signer: &LogSigner) -> String {
        let origin = signer.verifier().name().to_owned();
        let size = self.0.len() as u64;
        let time = candour_tests::department::now();
        Checkpoint {
            origin,
            size,
            root: Self::root(&self.0),
            time,
        }
        .sign(signer)
        .unwrap()
    }
}

impl NodeReader for Tree {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Digest, Infallible> {
        let begin = usize::try_from(index << level).unwrap();
        Ok(Self::root(&self.0[begin..begin + (1 << level)]))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_can_rebuild_the_log_from_its_tiles_and_finds_the_signed_root() {
    let department = department();
    let handset = RawHandset::enrol(&department).await;
    let mut connection = handset.connect(&department).await;
    let key = connection.policy(&department).await.records_key;
    // More than one tile is wide.
    let records = handset.declarations(handset.genesis(Stream::Records), &key, 300);
    let mut of_receipts = Vec::new();
    for batch in records.chunks(60) {
        let reply = connection.deliver(batch).await;
        of_receipts.extend(
            receipts(&reply)
                .into_iter()
                .map(|receipt| (receipt.index, receipt.salt)),
        );
    }
    let checkpoint = department.checkpoint().await;
    assert_eq!(checkpoint.size, 300);

    let mut public = department.connect_public().await;
    let mut entries = Vec::new();
    for path in ["/log/tile/entries/000", "/log/tile/entries/001.p/44"] {
        let reply = public.get(path).await.unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        entries.extend(decode_entries(&reply.body).unwrap());
    }
    let leaves: Vec<Digest> = entries.iter().map(leaf_hash).collect();
    assert_eq!(Tree::root(&leaves), checkpoint.root);
    for (signed, (index, salt)) in records.iter().zip(of_receipts) {
        let entry = candour_wire::log::entry(&salt, &Digest::of(signed.jws.as_bytes()));
        assert_eq!(entries[usize::try_from(index).unwrap()], entry);
    }

    let tile = public.get("/log/tile/0/000").await.unwrap();
    assert_eq!((tile.status.as_u16(), tile.body.len()), (200, 256 * 32));
    assert!(
        tile.header("cache-control")
            .is_some_and(|value| value.contains("immutable")),
        "{:?}",
        tile.headers
    );
    let first = Digest(tile.body[..32].try_into().unwrap());
    assert_eq!(first, leaves[0]);
    let above = public.get("/log/tile/1/000.p/1").await.unwrap();
    assert_eq!(above.body.as_ref(), Tree::root(&leaves[..256]).0);
    for beyond in ["/log/tile/0/002", "/log/tile/0/001.p/45", "/log/tile/0/001"] {
        assert_eq!(public.get(beyond).await.unwrap().status, 404, "{beyond}");
    }
}

/// A handset with one received record, whose further replies pass through `alter`.
struct Lied {
    department: Department,
    handset: Handset,
}

impl Lied {
    async fn set_up() -> Self {
        let department = department();
        let handset = Handset::enrolled(&department).await;
        let agent = handset.open(department.config());
        declare(&agent, "the first");
        assert!(agent.sync().await.unwrap().failure.is_none());
        drop(agent);
        Self {
            department,
            handset,
        }
    }

    /// Declares and syncs through an interceptor that alters the replies to batches; the record
    /// must stay, and the alarm must be `code`.
    async fn expect(&self, code: Code, alter: impl Fn(Answer) -> Answer + Send + Sync + 'static) {
        self.expect_of(code, move |_, answer| alter(answer)).await;
    }

    /// As [`Lied::expect`], with the batch that is answered.
    async fn expect_of(
        &self,
        code: Code,
        alter: impl Fn(&BatchRequest, Answer) -> Answer + Send + Sync + 'static,
    ) {
        let alter = Arc::new(alter);
        let rule = move |asked: &Asked| {
            if asked.path != "/v1/records" {
                return Fate::Pass;
            }
            let (alter, batch) = (Arc::clone(&alter), asked.batch());
            Fate::Alter(Box::new(move |answer| alter(&batch, answer)))
        };
        let upstream = self.handset.tls(&self.department);
        let interceptor = Interceptor::start(&self.department, upstream, rule).await;
        let agent = self
            .handset
            .open(config_through(&self.department, &interceptor));
        let id = declare(&agent, "the second");
        let report = agent.sync().await.unwrap();
        assert_eq!(
            report.failure.as_ref().map(|failure| failure.code),
            Some(code),
            "{report:?}"
        );
        assert_eq!(report.received, 0);
        let item = agent
            .sent()
            .unwrap()
            .into_iter()
            .find(|item| item.id == id)
            .unwrap();
        assert_eq!(
            item.state,
            RecordState::Queued,
            "an unproven record stays on the phone"
        );
        let problems = agent.status().unwrap().problems;
        assert!(
            problems.iter().any(|problem| problem.code == code.as_str()),
            "{problems:?}"
        );

        // The alarm stays until a person has seen to it, even if the server tells the truth now.
        drop(agent);
        let agent = self.handset.open(self.department.config());
        let problems = agent.status().unwrap().problems;
        assert!(
            problems.iter().any(|problem| problem.code == code.as_str()),
            "{problems:?}"
        );
        agent.clear_alarm().unwrap();
        let report = agent.sync().await.unwrap();
        assert!(report.failure.is_none(), "{report:?}");
        let sent = agent.sent().unwrap();
        assert!(
            sent.iter().all(|item| item.state == RecordState::Received),
            "{sent:?}"
        );
        assert!(
            agent
                .verify(None)
                .unwrap()
                .iter()
                .all(|checked| checked.finding == Finding::Verified)
        );
    }
}

fn receipt(reply: &mut Value) -> &mut Value {
    &mut reply["results"][0]["receipt"]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tampered_receipt_is_found_out_and_the_record_stays() {
    let lied = Lied::set_up().await;
    let tampered: [fn(&mut Value); 3] = [
        |reply| receipt(reply)["salt"] = json!("A".repeat(22)),
        |reply| receipt(reply)["index"] = json!(0),
        |reply| receipt(reply)["path"] = json!(""),
    ];
    for tamper in tampered {
        lied.expect(Code::ReceiptInvalid, move |answer| answer.with_json(tamper))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_the_logs_key_has_not_signed_is_found_out() {
    let lied = Lied::set_up().await;
    let unsigned = |answer: Answer| {
        answer.with_json(|reply| {
            let note = reply["checkpoint"]
                .as_str()
                .unwrap()
                .replacen("\n2\n", "\n9\n", 1);
            reply["checkpoint"] = json!(note);
        })
    };
    lied.expect(Code::CheckpointInvalid, unsigned).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_forked_or_cut_is_found_out_though_its_own_key_signs_it() {
    let lied = Lied::set_up().await;
    // Longer than, as long as, and shorter than the log that the handset saw before. The record
    // is in each, and its receipt proves that; but what was before it is another story.
    for difference in [1, 2, 0, -1] {
        let signer = lied.department.log_key().into_signer();
        lied.expect_of(Code::LogForked, move |batch, answer| {
            fork(batch, answer, &signer, difference)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_set_back_to_an_older_backup_is_found_out() {
    let mut department = department();
    let handset = Handset::enrolled(&department).await;
    let backup = department.scratch().join("backup");
    assert_eq!(department.stop().code(), Some(0));
    copy(&department.data(), &backup);
    department.restart();
    {
        let agent = handset.open(department.config());
        declare(&agent, "after the backup");
        assert!(agent.sync().await.unwrap().failure.is_none());
    }
    department.kill();
    std::fs::remove_dir_all(department.data()).unwrap();
    copy(&backup, &department.data());
    department.restart();

    let agent = handset.open(department.config());
    declare(&agent, "after it was put back");
    let report = agent.sync().await.unwrap();
    assert_eq!(report.received, 0, "{report:?}");
    assert!(report.failure.is_some(), "{report:?}");
    let problems = agent.status().unwrap().problems;
    assert!(
        problems.iter().any(|problem| problem.code == "log_forked"),
        "{problems:?}"
    );
}

fn copy(from: &Path, to: &Path) {
    let outcome = run(Command::new("cp").arg("-a").arg(from).arg(to), b"");
    assert!(outcome.status.success(), "{outcome:?}");
}

/// Replaces the log of a reply by another one that is `difference` longer than the one that the
/// handset saw last, with everything as it should be but its past.
fn fork(batch: &BatchRequest, answer: Answer, signer: &LogSigner, difference: i64) -> Answer {
    let size = batch.log_size.checked_add_signed(difference).unwrap();
    let mut reply: BatchReply = serde_json::from_slice(&answer.body).unwrap();
    let [RecordResult::Receipt(receipt)] = reply.results.as_mut_slice() else {
        panic!("{reply:?}")
    };
    let mut tree = Tree(
        (1..size)
            .map(|number| leaf_hash(&Digest::of(&number.to_be_bytes())))
            .collect(),
    );
    let jws = Digest::of(batch.records[0].as_bytes());
    tree.0
        .push(leaf_hash(&candour_wire::log::entry(&receipt.salt, &jws)));
    receipt.index = size - 1;
    receipt.path = inclusion_path(&tree, receipt.index, size).unwrap().unwrap();
    reply.consistency = consistency_path(&tree, batch.log_size.min(size), size)
        .unwrap()
        .unwrap();
    reply.checkpoint = tree.sign(signer);
    Answer {
        body: serde_json::to_vec(&reply).unwrap().into(),
        ..answer
    }
}
