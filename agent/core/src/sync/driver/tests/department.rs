//! A department behind a transport: strict about chains, honest about its log, and troubled on
//! request.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Mutex;

use async_trait::async_trait;
use candour_wire::api::{BatchReply, BatchRequest, Receipt, RecordResult, UploadStatus};
use candour_wire::chain::{self, ChainError, Head};
use candour_wire::code::{Code, Problem, Refusal};
use candour_wire::jws::{self, VerifyingKey};
use candour_wire::log::checkpoint::LogSigner;
use candour_wire::log::merkle::{self, NodeReader};
use candour_wire::log::{self, Checkpoint, LeafSalt};
use candour_wire::record::{Record, Stream, TYP};
use candour_wire::{Digest, HandsetId, RecordId};
use jiff::Timestamp;

use crate::identity::testing::EstServer;
use crate::ports::{Method, Request, Response, Transport, TransportError};

/// What goes wrong with a request.
pub(super) enum Trouble {
    /// It does not arrive.
    CutBefore,
    /// It is carried out, and the reply does not arrive.
    CutAfter,
    /// It fails like this.
    Fails(TransportError),
    /// It is answered with this.
    Answers(Response),
    /// The reply to a batch is changed on the way.
    Lies(Box<dyn FnOnce(&mut BatchReply) + Send>),
}

pub(super) struct Department {
    pub(super) est: EstServer,
    pub(super) log: LogSigner,
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    key: VerifyingKey,
    heads: BTreeMap<Stream, Head>,
    taken: BTreeMap<(Stream, u64), (Digest, Receipt)>,
    pub(super) ids: HashMap<RecordId, u32>,
    pub(super) leaves: Vec<Digest>,
    pub(super) files: HashMap<Digest, Vec<u8>>,
    pub(super) policy: Option<String>,
    /// Whether replies to batches name the policy; older servers' do not.
    pub(super) names_policy: bool,
    /// Records that it does not take, and why.
    pub(super) refuses: HashMap<RecordId, Code>,
    /// The time by its clock.
    pub(super) time: Timestamp,
    /// Trouble for the next requests whose path starts so.
    pub(super) trouble: VecDeque<(&'static str, Trouble)>,
    /// Trouble for the request with this number, from 0.
    pub(super) trouble_at: Option<(usize, Trouble)>,
    /// Method and path of each request.
    pub(super) requests: Vec<(Method, String)>,
    /// Longest batch that it takes.
    pub(super) most_records: usize,
    /// Chain refusals that were not the consequence of another one.
    pub(super) anomalies: u32,
}

impl Department {
    pub(super) fn new(handset_key: &[u8], log: LogSigner) -> Self {
        let key = VerifyingKey::from_spki_der(handset_key).unwrap();
        let id = HandsetId::derive(handset_key);
        let state = State {
            key,
            heads: Stream::ALL
                .map(|stream| (stream, Head::genesis(&id, stream)))
                .into(),
            taken: BTreeMap::new(),
            ids: HashMap::new(),
            leaves: Vec::new(),
            files: HashMap::new(),
            policy: None,
            names_policy: true,
            refuses: HashMap::new(),
            time: "2026-11-22T10:00:00Z".parse().unwrap(),
            trouble: VecDeque::new(),
            trouble_at: None,
            requests: Vec::new(),
            most_records: 64,
            anomalies: 0,
        };
        Self {
            est: EstServer::new(),
            log,
            state: Mutex::new(state),
        }
    }

    pub(super) fn trouble(&self, path: &'static str, trouble: Trouble) {
        self.state
            .lock()
            .unwrap()
            .trouble
            .push_back((path, trouble));
    }

    fn answer(&self, request: &Request) -> Response {
        let mut state = self.state.lock().unwrap();
        match (request.method, request.path.as_str()) {
            (Method::Get, "/v1/policy") => state.send_policy(request),
            (Method::Post, "/v1/posture") => state.take_batch(Stream::Posture, request, &self.log),
            (Method::Post, "/v1/records") => state.take_batch(Stream::Records, request, &self.log),
            (Method::Head | Method::Put, path) => {
                let name = path
                    .strip_prefix("/v1/attachments/")
                    .unwrap()
                    .parse()
                    .unwrap();
                state.take_file(name, request)
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn problem(code: Code, headers: &[(&str, &str)]) -> Response {
    let mut all = vec![(
        "content-type".to_owned(),
        "application/problem+json".to_owned(),
    )];
    all.extend(
        headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    let body = serde_json::to_vec(&Problem::new(code)).unwrap();
    Response {
        status: code.http_status(),
        headers: all,
        body,
    }
}

fn json(value: &impl serde::Serialize) -> Response {
    Response {
        status: 200,
        headers: Vec::new(),
        body: serde_json::to_vec(value).unwrap(),
    }
}

#[async_trait]
impl Transport for Department {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        if request.path.starts_with("/.well-known/est/") {
            return self.est.send(request).await;
        }
        let trouble = {
            let mut state = self.state.lock().unwrap();
            state.requests.push((request.method, request.path.clone()));
            let number = state.requests.len() - 1;
            if let Some((_, trouble)) = state.trouble_at.take_if(|(at, _)| *at == number) {
                state.trouble.push_front(("/", trouble));
            }
            let next = state
                .trouble
                .iter()
                .position(|(path, _)| request.path.starts_with(path));
            next.and_then(|place| state.trouble.remove(place))
                .map(|(_, trouble)| trouble)
        };
        let cut = || TransportError::Unreachable("cut off".into());
        let reply = match trouble {
            None => self.answer(&request),
            Some(Trouble::CutBefore) => return Err(cut()),
            Some(Trouble::CutAfter) => {
                self.answer(&request);
                return Err(cut());
            }
            Some(Trouble::Fails(error)) => return Err(error),
            Some(Trouble::Answers(response)) => response,
            Some(Trouble::Lies(lie)) => {
                let honest = self.answer(&request);
                let mut reply = serde_json::from_slice(&honest.body).unwrap();
                lie(&mut reply);
                json(&reply)
            }
        };
        if reply.body.len() > request.reply_max_bytes {
            return Err(TransportError::TooLarge(request.reply_max_bytes));
        }
        Ok(reply)
    }
}

impl State {
    fn send_policy(&self, request: &Request) -> Response {
        let Some(policy) = &self.policy else {
            return problem(Code::PolicyMissing, &[]);
        };
        let etag = format!("\"{}\"", Digest::of(policy.as_bytes()));
        let known = request
            .headers
            .iter()
            .any(|(name, value)| *name == "if-none-match" && *value == etag);
        let status = if known { 304 } else { 200 };
        Response {
            status,
            headers: vec![("etag".into(), etag)],
            body: policy.clone().into_bytes(),
        }
    }

    fn take_batch(&mut self, stream: Stream, request: &Request, log: &LogSigner) -> Response {
        let zstd = request
            .headers
            .iter()
            .any(|(name, value)| *name == "content-encoding" && value == "zstd");
        let body = if zstd {
            zstd::bulk::decompress(&request.body, 4 << 20).unwrap()
        } else {
            request.body.clone()
        };
        let batch: BatchRequest = serde_json::from_slice(&body).unwrap();
        if batch.records.len() > self.most_records {
            return problem(Code::BodyTooLarge, &[]);
        }
        let mut broken = false;
        let mut results: Vec<RecordResult> = batch
            .records
            .iter()
            .map(|jws| match self.take(stream, jws) {
                Ok(receipt) => RecordResult::Receipt(receipt),
                Err(refusal) => {
                    self.anomalies += u32::from(!broken && refusal.head.is_some());
                    broken = true;
                    RecordResult::Refusal(refusal)
                }
            })
            .collect();
        let size = self.leaves.len() as u64;
        for result in &mut results {
            if let RecordResult::Receipt(receipt) = result {
                receipt.path = merkle::inclusion_path(&*self, receipt.index, size)
                    .unwrap()
                    .unwrap();
            }
        }
        let consistency = merkle::consistency_path(&*self, batch.log_size, size)
            .unwrap()
            .unwrap_or_default();
        json(&BatchReply {
            results,
            checkpoint: self.checkpoint(log),
            consistency,
            policy: self
                .policy
                .as_ref()
                .filter(|_| self.names_policy)
                .map(|policy| Digest::of(policy.as_bytes())),
        })
    }

    fn checkpoint(&self, log: &LogSigner) -> String {
        let size = self.leaves.len() as u64;
        let Ok(root) = merkle::root(self, size);
        let origin = log.verifier().name().to_owned();
        Checkpoint {
            origin,
            size,
            root,
            time: self.time,
        }
        .sign(log)
        .unwrap()
    }

    fn take(&mut self, stream: Stream, jws: &str) -> Result<Receipt, Refusal> {
        let payload = jws::verify(TYP, jws, &self.key).expect("the handset signs what it sends");
        let record: Record = serde_json::from_slice(&payload).unwrap();
        let (head, digest) = (self.heads[&stream], chain::link(jws));
        let chained = |code| Refusal {
            head: Some(head),
            ..Refusal::new(code)
        };
        if let Some((known, receipt)) = self.taken.get(&(stream, record.seq)) {
            return if *known == digest {
                Ok(Receipt {
                    duplicate: true,
                    ..receipt.clone()
                })
            } else {
                Err(chained(Code::SequenceConflict))
            };
        }
        if let Some(code) = self.refuses.get(&record.id) {
            return Err(Refusal::new(*code));
        }
        match head.check_next(record.seq, &record.prev) {
            Ok(()) => {}
            Err(ChainError::Behind) => return Err(chained(Code::SequenceConflict)),
            Err(ChainError::Gap) => return Err(chained(Code::SequenceGap)),
            Err(ChainError::Broken) => return Err(chained(Code::ChainBroken)),
        }
        if self.ids.contains_key(&record.id) {
            return Err(chained(Code::IdConflict));
        }
        let files = record.body.sealed().map_or(&[][..], |(_, files)| files);
        let arrived: HashSet<Digest> = files
            .iter()
            .filter(|file| self.complete(file.sha256))
            .map(|f| f.sha256)
            .collect();
        if files.iter().any(|file| !arrived.contains(&file.sha256)) {
            return Err(Refusal::new(Code::AttachmentMissing));
        }
        let salt = LeafSalt::make();
        self.leaves
            .push(log::leaf_hash(&log::entry(&salt, &digest)));
        let index = self.leaves.len() as u64 - 1;
        let receipt = Receipt {
            id: record.id,
            received: self.time,
            index,
            salt,
            path: log::HashPath::default(),
            duplicate: false,
        };
        self.heads.insert(stream, head.extended(jws));
        self.taken
            .insert((stream, record.seq), (digest, receipt.clone()));
        *self.ids.entry(record.id).or_default() += 1;
        Ok(receipt)
    }

    fn complete(&self, name: Digest) -> bool {
        self.files
            .get(&name)
            .is_some_and(|bytes| Digest::of(bytes) == name)
    }

    fn take_file(&mut self, name: Digest, request: &Request) -> Response {
        let header = |name: &str| {
            request
                .headers
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| value.as_str())
        };
        if request.method == Method::Head {
            let Some(held) = self.files.get(&name) else {
                return Response {
                    status: 404,
                    headers: Vec::new(),
                    body: Vec::new(),
                };
            };
            let complete = if self.complete(name) { "?1" } else { "?0" };
            let headers = vec![
                ("upload-offset".to_owned(), held.len().to_string()),
                ("upload-complete".to_owned(), complete.to_owned()),
            ];
            return Response {
                status: 200,
                headers,
                body: Vec::new(),
            };
        }
        let offset: usize = header("upload-offset").unwrap().parse().unwrap();
        let length: usize = header("upload-length").unwrap().parse().unwrap();
        let held = self.files.entry(name).or_default();
        if held.len() != offset {
            return problem(Code::AttachmentOffset, &[]);
        }
        held.extend_from_slice(&request.body);
        let offset = held.len();
        if offset >= length && !self.complete(name) {
            self.files.remove(&name);
            return problem(Code::AttachmentDigest, &[]);
        }
        json(&UploadStatus {
            offset: offset as u64,
            complete: self.complete(name),
        })
    }
}

impl NodeReader for State {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Digest, Infallible> {
        if level == 0 {
            return Ok(self.leaves[usize::try_from(index).unwrap()]);
        }
        let (left, right) = (
            self.node(level - 1, 2 * index)?,
            self.node(level - 1, 2 * index + 1)?,
        );
        Ok(log::node_hash(&left, &right))
    }
}
