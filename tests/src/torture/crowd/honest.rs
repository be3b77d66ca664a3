//! Handsets that go on with their work: each opens a connection of its own, asks, and reads.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use candour_wire::api::{BatchReply, RecordResult};
use candour_wire::chain::Head;
use candour_wire::record::Stream;
use candour_wire::seal::RecordsPublicKey;
use tokio::time::{Instant, timeout};

use crate::raw::batch;
use crate::{Connection, Department, RawHandset};

/// What a handset asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// That its next record is taken.
    Record,
    /// The policy, of which only the status is looked at.
    Policy,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Score {
    took: Vec<Duration>,
    /// How often for each reason.
    failed: BTreeMap<String, usize>,
}

/// Handsets at work.
pub(super) struct Honest {
    department: Arc<Department>,
    handsets: Vec<(Arc<RawHandset>, Head)>,
    ask: Ask,
    at: SocketAddr,
    key: RecordsPublicKey,
}

/// How long a phone waits; the agent itself gives the server a minute.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between a handset's connections: far more often than phones come, so that many are measured.
const BETWEEN: Duration = Duration::from_millis(500);

impl Score {
    pub(super) fn done(&self) -> usize {
        self.took.len()
    }

    pub(super) fn failed(&self) -> usize {
        self.failed.values().sum()
    }

    pub(super) fn why(&self) -> impl Iterator<Item = (&str, usize)> {
        self.failed
            .iter()
            .map(|(why, times)| (why.as_str(), *times))
    }

    /// What so many of a hundred took at most.
    pub(super) fn quantile(&self, percent: usize) -> Duration {
        let mut took = self.took.clone();
        took.sort();
        let place = (took.len() * percent).div_ceil(100).saturating_sub(1);
        took.get(place).copied().unwrap_or_default()
    }
}

impl Honest {
    /// Handsets that ask at this address, before anybody else is there.
    ///
    /// # Panics
    ///
    /// When the department gives them no policy.
    pub(super) async fn new(
        department: Arc<Department>,
        handsets: Vec<RawHandset>,
        ask: Ask,
        at: SocketAddr,
    ) -> Self {
        let handsets = handsets.into_iter().map(|handset| {
            let head = handset.genesis(Stream::Records);
            (Arc::new(handset), head)
        });
        let handsets: Vec<_> = handsets.collect();
        let first = handsets
            .first()
            .expect("there are handsets")
            .0
            .tls(&department);
        let first = Connection::open(department.handset_address(), first).await;
        let policy = first.expect("a connection").policy(&department).await;
        Self {
            key: policy.records_key,
            department,
            handsets,
            ask,
            at,
        }
    }

    /// Works for a while.
    pub(super) async fn work(&mut self, long: Duration) -> Score {
        let until = Instant::now() + long;
        let mut tasks = Vec::new();
        for (handset, head) in self.handsets.drain(..) {
            let (department, ask, at) = (Arc::clone(&self.department), self.ask, self.at);
            let key = self.key.clone();
            tasks.push(tokio::spawn(async move {
                let mut score = Score::default();
                let mut phone = PhoneAtWork {
                    department,
                    handset,
                    head,
                    key,
                };
                let mut ticks = tokio::time::interval(BETWEEN);
                while Instant::now() < until {
                    ticks.tick().await;
                    let begun = Instant::now();
                    let done = timeout(PATIENCE, phone.once(ask, at)).await;
                    match done
                        .unwrap_or_else(|_elapsed| Err(format!("not done after {PATIENCE:?}")))
                    {
                        Ok(()) => score.took.push(begun.elapsed()),
                        Err(why) => *score.failed.entry(why).or_default() += 1,
                    }
                }
                (score, phone.handset, phone.head)
            }));
        }
        let mut all = Score::default();
        for task in tasks {
            let (score, handset, head) = task.await.expect("a handset goes on");
            all.took.extend(score.took);
            for (why, times) in score.failed {
                *all.failed.entry(why).or_default() += times;
            }
            self.handsets.push((handset, head));
        }
        all
    }
}

struct PhoneAtWork {
    department: Arc<Department>,
    handset: Arc<RawHandset>,
    head: Head,
    key: RecordsPublicKey,
}

impl PhoneAtWork {
    /// One connection with one request.
    ///
    /// # Errors
    ///
    /// Where it is not answered as it should be, with the reason.
    async fn once(&mut self, ask: Ask, at: SocketAddr) -> Result<(), String> {
        let tls = self.handset.tls(&self.department);
        let connected = Connection::open(at, tls).await;
        let mut connection = connected.map_err(|error| format!("no connection: {error:?}"))?;
        let cut_off = |error| format!("no reply: {error:?}");
        if ask == Ask::Policy {
            let reply = connection.get("/v1/policy").await.map_err(cut_off)?;
            return match reply.status {
                http::StatusCode::OK => Ok(()),
                other => Err(other.to_string()),
            };
        }
        let record = self
            .handset
            .declaration(&self.head, &self.key, "as on any other day");
        let batch = batch(std::slice::from_ref(&record));
        let reply = connection.post(Stream::Records, batch).await;
        let reply = reply.map_err(cut_off)?;
        let results: BatchReply = serde_json::from_slice(&reply.body)
            .map_err(|_| format!("{}, and no results", reply.status))?;
        match results.results.as_slice() {
            [RecordResult::Receipt(_)] => {
                self.head = self.head.extended(&record.jws);
                Ok(())
            }
            // The reply to the one before was lost: go on from where the server is.
            [RecordResult::Refusal(refusal)] => {
                self.head = refusal.head.unwrap_or(self.head);
                Err(format!("refused with {}", refusal.code))
            }
            _ => Err("not one result".to_owned()),
        }
    }
}
