//! A handset that crashes, and a server that is strict.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock};

use candour_wire::api::Receipt;
use candour_wire::chain::{self, ChainError, Head};
use candour_wire::jws::{self, VerifyingKey};
use candour_wire::log::merkle::{self, NodeReader};
use candour_wire::log::{Checkpoint, LeafSalt, LogSigner};
use candour_wire::posture::{HandsetFacts, Heartbeat, Inventory, Status};
use candour_wire::record::{Body, Declaration, Record, Stream, TYP};
use candour_wire::seal::{RecordsPrivateKey, SealContext, Sealed, Suite, seal};
use candour_wire::{Digest, HandsetId, RecordId, Sensitive};
use jiff::{SignedDuration, Timestamp};

use crate::adapters::memory::MemoryKeys;
use crate::outbox::{
    Limits, NewRecord, Outbox, OutboxError, Pending, Refused, Summary, VerifiedCheckpoint,
    VerifiedReceipt,
};
use crate::ports::{Clock, KeyStore as _, Store};

/// A clock that stands still until it is moved.
pub(super) struct TestClock(Mutex<Timestamp>);

impl TestClock {
    pub(super) fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap();
        *now += by;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A handset: what outlives a crash.
pub(super) struct Handset {
    pub(super) keys: Arc<MemoryKeys>,
    pub(super) clock: Arc<TestClock>,
    pub(super) limits: Limits,
}

impl Handset {
    pub(super) fn new() -> Self {
        let keys = Arc::new(MemoryKeys::new());
        keys.create().unwrap();
        let clock = TestClock(Mutex::new("2026-11-22T10:00:00Z".parse().unwrap()));
        Self {
            keys,
            clock: Arc::new(clock),
            limits: Limits::default(),
        }
    }

    pub(super) fn open(&self, store: impl Store + 'static) -> Outbox {
        Outbox::open(
            Box::new(store),
            self.keys.clone(),
            self.clock.clone(),
            self.limits.clone(),
        )
        .unwrap()
    }

    pub(super) fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::from_spki_der(&self.keys.public_key().unwrap().unwrap()).unwrap()
    }

    pub(super) fn record(&self, body: Body) -> NewRecord {
        let created = self.clock.now();
        let summary = Summary::new("something said to Ada", "declared by you");
        NewRecord {
            id: RecordId::make(created),
            created,
            policy: 3,
            body,
            summary,
            origins: Vec::new(),
        }
    }
}

pub(super) fn declaration() -> Body {
    static SEALED: OnceLock<Sealed> = OnceLock::new();
    let sealed = SEALED.get_or_init(|| {
        let key = RecordsPrivateKey::generate().public_key(Suite::XWingAes256Gcm);
        let handset = HandsetId::derive(b"any");
        let id = RecordId::make(Timestamp::UNIX_EPOCH);
        let context = SealContext {
            id,
            handset: &handset,
            kind: candour_wire::record::Kind::Declaration,
        };
        seal(&key, &context, b"content").unwrap()
    });
    Body::Declaration(Declaration {
        sealed: sealed.clone(),
        attachments: Vec::new(),
    })
}

pub(super) fn heartbeat() -> Body {
    Body::Heartbeat(Heartbeat {
        inventory: Digest::of(b"list"),
    })
}

pub(super) fn inventory() -> Body {
    let handset = HandsetFacts {
        platform: "linux".into(),
        os_version: None,
        model: None,
        agent_version: "1".into(),
    };
    Body::Inventory(Inventory {
        catalogue: 1,
        handset,
        apps: Vec::new(),
    })
}

pub(super) fn status() -> Body {
    let (oldest_pending, last_success) = (None, None);
    Body::Status(Status {
        pending: 1,
        quarantined: 0,
        oldest_pending,
        last_success,
        problems: Vec::new(),
    })
}

/// What the server says about one record.
pub(super) enum Answer {
    Receipt(Receipt),
    /// The chain does not go on like this.
    Rechain(Head),
    /// For what it is.
    Refused,
    IdConflict,
}

/// A server that takes only the next record of each chain.
pub(super) struct Server {
    signer: LogSigner,
    key: VerifyingKey,
    heads: BTreeMap<Stream, Head>,
    taken: BTreeMap<(Stream, u64), (Digest, Receipt)>,
    pub(super) ids: HashMap<RecordId, Digest>,
    leaves: Vec<Digest>,
    /// Records that it will not take.
    pub(super) refuses: HashSet<RecordId>,
}

impl Server {
    pub(super) fn new(handset: &Handset) -> Self {
        let key = handset.verifying_key();
        let id = HandsetId::derive(key.spki_der());
        Self {
            signer: LogSigner::new("log.example", &Sensitive::new([7; 32])).unwrap(),
            heads: Stream::ALL
                .map(|stream| (stream, Head::genesis(&id, stream)))
                .into(),
            key,
            taken: BTreeMap::new(),
            ids: HashMap::new(),
            leaves: Vec::new(),
            refuses: HashSet::new(),
        }
    }

    /// Takes a batch; the receipts are for the checkpoint that comes with them.
    pub(super) fn submit(&mut self, stream: Stream, batch: &[Pending]) -> (Vec<Answer>, String) {
        let mut answers: Vec<_> = batch
            .iter()
            .map(|pending| self.take(stream, &pending.jws))
            .collect();
        let size = self.leaves.len() as u64;
        for answer in &mut answers {
            if let Answer::Receipt(receipt) = answer {
                receipt.path = merkle::inclusion_path(&*self, receipt.index, size)
                    .unwrap()
                    .unwrap();
            }
        }
        (answers, self.checkpoint())
    }

    pub(super) fn checkpoint(&self) -> String {
        let size = self.leaves.len() as u64;
        let Ok(root) = merkle::root(self, size);
        let time = "2026-11-22T10:00:00Z".parse().unwrap();
        Checkpoint {
            origin: "log.example".into(),
            size,
            root,
            time,
        }
        .sign(&self.signer)
        .unwrap()
    }

    pub(super) fn open_checkpoint(&self, note: &str) -> VerifiedCheckpoint {
        VerifiedCheckpoint::open(note, self.signer.verifier()).unwrap()
    }

    fn take(&mut self, stream: Stream, jws: &str) -> Answer {
        let payload =
            jws::verify(TYP, jws, &self.key).expect("every record is signed by the handset");
        let record: Record = serde_json::from_slice(&payload).unwrap();
        assert_eq!(record.body.kind().stream(), stream);
        let (sha256, head) = (chain::link(jws), self.heads[&stream]);
        match self.taken.get(&(stream, record.seq)) {
            Some((known, receipt)) if *known == sha256 => return Answer::Receipt(receipt.clone()),
            Some(_) => return Answer::Rechain(head),
            None => {}
        }
        match head.check_next(record.seq, &record.prev) {
            Ok(()) => {}
            Err(ChainError::Behind | ChainError::Gap | ChainError::Broken) => {
                return Answer::Rechain(head);
            }
        }
        if self.ids.contains_key(&record.id) {
            return Answer::IdConflict;
        }
        if self.refuses.contains(&record.id) {
            return Answer::Refused;
        }
        let salt = LeafSalt::make();
        self.leaves
            .push(merkle::leaf_hash(&candour_wire::log::entry(&salt, &sha256)));
        let receipt = Receipt {
            id: record.id,
            received: "2026-11-22T12:00:00Z".parse().unwrap(),
            index: self.leaves.len() as u64 - 1,
            salt,
            path: merkle::HashPath::default(),
            duplicate: false,
        };
        self.heads.insert(stream, head.extended(jws));
        self.taken
            .insert((stream, record.seq), (sha256, receipt.clone()));
        self.ids.insert(record.id, sha256);
        Answer::Receipt(receipt)
    }
}

impl NodeReader for Server {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Digest, Infallible> {
        if level == 0 {
            return Ok(self.leaves[usize::try_from(index).unwrap()]);
        }
        let Ok(left) = self.node(level - 1, index * 2);
        let Ok(right) = self.node(level - 1, index * 2 + 1);
        Ok(merkle::node_hash(&left, &right))
    }
}

/// What became of a sync.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Synced {
    pub(super) rechained: u32,
    /// Records that the server had under another place: never to happen by itself.
    pub(super) id_conflicts: BTreeSet<RecordId>,
}

/// Sends everything of a stream in batches of three, as the sync does.
pub(super) fn sync(
    outbox: &mut Outbox,
    server: &mut Server,
    stream: Stream,
) -> Result<Synced, OutboxError> {
    let mut synced = Synced::default();
    loop {
        let batch = outbox.pending(stream, 3, usize::MAX)?;
        assert_chain(&batch);
        if batch.is_empty() {
            return Ok(synced);
        }
        let (answers, note) = server.submit(stream, &batch);
        take_answers(outbox, server, stream, &batch, answers, &note, &mut synced)?;
        assert!(synced.rechained < 50, "the queue gets on");
    }
}

fn take_answers(
    outbox: &mut Outbox,
    server: &Server,
    stream: Stream,
    batch: &[Pending],
    answers: Vec<Answer>,
    note: &str,
    synced: &mut Synced,
) -> Result<(), OutboxError> {
    let checkpoint = server.open_checkpoint(note);
    let (mut receipts, mut refused, mut head) = (Vec::new(), Vec::new(), None);
    for (pending, answer) in batch.iter().zip(answers) {
        match answer {
            Answer::Receipt(receipt) => {
                receipts.push(VerifiedReceipt::verify(&pending.jws, receipt, &checkpoint).unwrap());
            }
            // What follows a refusal in its batch does not follow any more.
            Answer::Rechain(named) if refused.is_empty() && head.is_none() => head = Some(named),
            Answer::Rechain(_) => {}
            Answer::Refused => refused.push(Refused::new(
                pending.id,
                candour_wire::Code::AppNotInCatalogue,
            )),
            Answer::IdConflict => {
                synced.id_conflicts.insert(pending.id);
                refused.push(Refused::new(pending.id, candour_wire::Code::IdConflict));
            }
        }
    }
    outbox.settle(&receipts, &checkpoint)?;
    synced.rechained += u32::from(head.is_some());
    outbox.after_refusals(stream, head, &refused)
}

/// The records follow one another.
pub(super) fn assert_chain(batch: &[Pending]) {
    for pair in batch.windows(2) {
        let [one, next] = pair else {
            unreachable!("windows of two")
        };
        let payload = next.jws.split('.').nth(1).unwrap();
        let payload =
            base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload)
                .unwrap();
        let record: Record = serde_json::from_slice(&payload).unwrap();
        assert_eq!(record.seq, one.seq + 1);
        assert_eq!(record.prev, chain::link(&one.jws));
        assert_eq!((record.id, record.seq), (next.id, next.seq));
    }
}
