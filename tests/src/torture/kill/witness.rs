//! What lies between phones and server: it delays, cuts and swallows, and remembers every receipt
//! that it has seen, whether or not the phone got it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use candour_wire::RecordId;
use candour_wire::api::{BatchReply, RecordResult};
use candour_wire::log::LeafSalt;
use candour_wire::record::Record;
use fastrand::Rng;
use jiff::Timestamp;

use super::Outcome;
use crate::interceptor::{Answer, Asked, Fate};
use crate::torture::books::{Books, payload_of};
use crate::torture::phone_check::Findings;
use crate::wait::DEADLINE;

/// Sees everything that passes.
#[derive(Clone)]
pub(in crate::torture) struct Witness(Arc<(Mutex<Seen>, Condvar)>);

struct Seen {
    rng: Rng,
    asked: BTreeSet<RecordId>,
    receipts: BTreeMap<RecordId, (u64, LeafSalt, Timestamp)>,
    replies: u64,
    cut: u64,
    swallowed: u64,
    late: u64,
    met: u64,
    odd: Findings,
}

impl Witness {
    pub(in crate::torture) fn new(seed: u64) -> Self {
        let seen = Seen {
            rng: Rng::with_seed(seed),
            asked: BTreeSet::new(),
            receipts: BTreeMap::new(),
            replies: 0,
            cut: 0,
            swallowed: 0,
            late: 0,
            met: 0,
            odd: Findings::new(),
        };
        Self(Arc::new((Mutex::new(seen), Condvar::new())))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides what becomes of a request.
    pub(in crate::torture) fn rule(&self, asked: &Asked) -> Fate {
        if !["/v1/records", "/v1/posture"].contains(&asked.path.as_str()) {
            return Fate::Pass;
        }
        let mut seen = self.seen();
        let lot = seen.rng.u8(..100);
        if lot < 10 {
            seen.cut += 1;
            return Fate::Cut;
        }
        for jws in asked.batch().records {
            let record = payload_of(&jws).map(|json| serde_json::from_slice::<Record>(&json));
            if let Ok(Ok(record)) = record {
                seen.asked.insert(record.id);
            }
        }
        let this = self.clone();
        match lot {
            10..30 => Fate::Swallow(Box::new(move |answer| {
                let receipts = this.hear(&answer);
                this.seen().swallowed += u64::from(receipts > 0);
            })),
            30..50 => {
                seen.late += 1;
                let after = Duration::from_millis(seen.rng.u64(1..60));
                Fate::Late(
                    after,
                    Box::new(move |answer| {
                        this.hear(&answer);
                        answer
                    }),
                )
            }
            _ => Fate::Alter(Box::new(move |answer| {
                this.hear(&answer);
                answer
            })),
        }
    }

    /// Remembers the receipts of a reply, and says how many there were.
    fn hear(&self, answer: &Answer) -> usize {
        let mut seen = self.seen();
        seen.replies += 1;
        self.0.1.notify_all();
        let Ok(reply) = serde_json::from_slice::<BatchReply>(&answer.body) else {
            return 0;
        };
        let mut receipts = 0;
        for result in reply.results {
            let RecordResult::Receipt(receipt) = result else {
                continue;
            };
            receipts += 1;
            seen.met += u64::from(receipt.duplicate);
            let said = (receipt.index, receipt.salt, receipt.received);
            let first = *seen.receipts.entry(receipt.id).or_insert(said);
            if first != said {
                let odd = format!("another receipt: {} got {first:?} and {said:?}", receipt.id);
                seen.odd.push(odd);
            }
        }
        receipts
    }

    /// Blocks until the server has answered something once more.
    pub(in crate::torture) fn wait_for_a_reply(&self) {
        let seen = self.seen();
        let before = seen.replies;
        let waited = self
            .0
            .1
            .wait_timeout_while(seen, DEADLINE, |seen| seen.replies == before);
        // A server that never answers is found out in the end.
        drop(waited);
    }

    /// Receipts that were given for what is not in the books as they say.
    pub(in crate::torture) fn missing_from(&self, books: &Books) -> Findings {
        let seen = self.seen();
        let mut found = seen.odd.clone();
        for (id, (index, salt, received)) in &seen.receipts {
            let there = books.records.get(id).is_some_and(|kept| {
                (kept.leaf, kept.salt, kept.received_ms)
                    == (*index, *salt, received.as_millisecond())
            });
            if !there {
                found.push(format!("lost: {id}, which had a receipt"));
            }
        }
        found
    }

    /// Records that had arrived at the server and are not in the books.
    pub(in crate::torture) fn asked_and_missing_from(&self, books: &Books) -> u64 {
        let seen = self.seen();
        let missing = seen
            .asked
            .iter()
            .filter(|id| !books.records.contains_key(id));
        missing.count() as u64
    }

    pub(super) fn count_into(&self, outcome: &mut Outcome) {
        let seen = self.seen();
        outcome.cut = seen.cut;
        outcome.swallowed = seen.swallowed;
        outcome.late = seen.late;
        outcome.met = seen.met;
    }
}
