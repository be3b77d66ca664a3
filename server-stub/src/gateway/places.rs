//! A limited number of places for connections, in all and for each of whoever comes.
//!
//! Where no place is left, the connection that has held its place for longest gives way to the
//! newest comer. Turning the newest away would let whoever fills the places first keep everybody
//! else out, for nothing but silence; this way a handshake of a tenth of a second succeeds unless
//! all places change hands within that tenth. A connection that is cut off costs a phone one
//! repetition.
//!
//! Nobody gives way before a while has passed, though. When thousands come at once in good faith,
//! it is this server that keeps them waiting, and to cut off those who are nearly done would end
//! in nobody getting through. So the while grows with how late the server is with its own work
//! ([`Lag`]), and who finds no place then is turned away at once, which costs next to nothing.
//!
//! First gives way who comes from the same address as the newest comer, where that address has
//! as many places as one may have. So an address that floods crowds out itself, and those who
//! share the address with it get through by being quick. Where all places are taken, the oldest
//! gives way, whosever it is, once it has had twice its while. Else the oldest of those does that
//! have had one and whose address has more places than the newest comer's, or is the same. Else the
//! address that has most gives one up all the same if it has more than the newest comer's would
//! have with one more: its newest, on which least time has been spent. So a crowd neither keeps nor
//! drives out anybody who is quick and has fewer places than each of its addresses has.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// The places on one listener.
#[derive(Debug)]
pub(super) struct Places<K> {
    in_all: usize,
    for_each: usize,
    held: Mutex<Held<K>>,
}

#[derive(Debug)]
struct Held<K> {
    next: u64,
    /// Oldest first.
    places: BTreeMap<u64, Holder<K>>,
    of: HashMap<K, BTreeSet<u64>>,
    /// Places that nobody gives up.
    staying: usize,
}

#[derive(Debug)]
struct Holder<K> {
    key: K,
    since: Instant,
    tell: oneshot::Sender<()>,
}

/// A place that is held. Dropping it frees it.
#[derive(Debug)]
pub(super) struct Place<K: Copy + Eq + Hash> {
    places: Arc<Places<K>>,
    number: u64,
    stays: bool,
    wanted: oneshot::Receiver<()>,
}

/// Which limit made somebody give way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crowd {
    /// All places were taken.
    All,
    /// The newest comer had as many as one may have.
    One,
}

impl<K: Copy + Eq + Hash> Places<K> {
    pub(super) fn new(in_all: u32, for_each: u32) -> Self {
        let number = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX).max(1);
        Self {
            in_all: number(in_all),
            for_each: number(for_each),
            held: Mutex::new(Held {
                next: 0,
                places: BTreeMap::new(),
                of: HashMap::new(),
                staying: 0,
            }),
        }
    }

    /// Gives a place, and says whether somebody else has to give way for it; none where nobody
    /// has to. The [module](self) says who has to, where a while is `patience`.
    pub(super) fn take(
        self: &Arc<Self>,
        key: K,
        patience: Duration,
    ) -> (Option<Place<K>>, Option<Crowd>) {
        let (tell, wanted) = oneshot::channel();
        let since = Instant::now();
        let mut held = self.lock();
        let own = held.of.get(&key).map_or(0, BTreeSet::len);
        let crowd = if own >= self.for_each {
            Some(Crowd::One)
        } else if held.places.len() + held.staying >= self.in_all {
            Some(Crowd::All)
        } else {
            None
        };
        let age = |number: &u64| {
            let holder = held.places.get(number);
            holder.map_or(Duration::ZERO, |holder| since.duration_since(holder.since))
        };
        let gives_way = match crowd {
            None => None,
            Some(Crowd::One) => held
                .oldest_of(&key)
                .filter(|oldest| age(oldest) >= patience),
            Some(Crowd::All) => held.gives_way(&key, own, patience, age),
        };
        match gives_way.copied() {
            None if crowd.is_some() => return (None, crowd),
            None => {}
            Some(number) => {
                if let Some(tell) = held.remove(number) {
                    // It may be ending by itself just now.
                    let _ = tell.send(());
                }
            }
        }
        let number = held.next;
        held.next += 1;
        held.places.insert(number, Holder { key, since, tell });
        held.of.entry(key).or_default().insert(number);
        drop(held);
        let place = Place {
            places: Arc::clone(self),
            number,
            stays: false,
            wanted,
        };
        (Some(place), crowd)
    }

    fn lock(&self) -> MutexGuard<'_, Held<K>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Held<K> {
    fn oldest_of(&self, key: &K) -> Option<&u64> {
        self.of.get(key).and_then(BTreeSet::first)
    }

    /// Who gives way where all places are taken and somebody with `own` places wants one more.
    fn gives_way(
        &self,
        key: &K,
        own: usize,
        patience: Duration,
        age: impl Fn(&u64) -> Duration,
    ) -> Option<&u64> {
        let oldest = self.places.keys().next()?;
        if age(oldest) >= 2 * patience {
            return Some(oldest);
        }
        let of_more = self.of.values().filter(|places| places.len() > own);
        let oldest = of_more.filter_map(BTreeSet::first);
        let oldest = oldest.chain(self.oldest_of(key)).min();
        oldest.filter(|oldest| age(oldest) >= patience).or_else(|| {
            let most = self.of.values().max_by_key(|places| places.len())?;
            most.last().filter(|_| most.len() > own + 1)
        })
    }

    fn remove(&mut self, number: u64) -> Option<oneshot::Sender<()>> {
        let Holder { key, tell, .. } = self.places.remove(&number)?;
        if let Some(own) = self.of.get_mut(&key) {
            own.remove(&number);
            if own.is_empty() {
                self.of.remove(&key);
            }
        }
        Some(tell)
    }
}

impl<K: Copy + Eq + Hash> Place<K> {
    /// Completes when somebody else is given this place; never otherwise.
    pub(super) async fn wanted(&mut self) {
        if (&mut self.wanted).await.is_err() {
            std::future::pending().await
        }
    }

    /// From now on it is kept, whoever comes.
    pub(super) fn stay(&mut self) {
        if !std::mem::replace(&mut self.stays, true) {
            let mut held = self.places.lock();
            // It may have been given to somebody else just now; then there is one more for a while.
            let _ = held.remove(self.number);
            held.staying += 1;
        }
    }
}

impl<K: Copy + Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut held = self.places.lock();
        if self.stays {
            held.staying -= 1;
        } else {
            held.remove(self.number);
        }
    }
}

/// How late the server is with its own work: how long something that is due waits for its turn.
#[derive(Debug, Default)]
pub(super) struct Lag(AtomicU64);

impl Lag {
    /// Measures until dropped.
    pub(super) async fn measure(&self) {
        loop {
            let begun = Instant::now();
            sleep(SAMPLE).await;
            let late = begun.elapsed().saturating_sub(SAMPLE);
            let late = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
            // It rises at once and falls by a tenth at a time: half of it in a third of a second.
            let before = self.0.load(Ordering::Relaxed);
            self.0.store(
                late.max(before - before / 10 - 1.min(before)),
                Ordering::Relaxed,
            );
        }
    }

    /// How long a connection keeps its place whoever else comes: what a handshake takes over a
    /// slow network, and while the server is late, more than it makes the last in the queue wait.
    pub(super) fn patience(&self) -> Duration {
        AT_LEAST + 4 * Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

const SAMPLE: Duration = Duration::from_millis(50);

const AT_LEAST: Duration = Duration::from_millis(500);

/// What counts as one address: of IPv6 the first 56 bits. Whoever has one address there has the 64
/// bits behind it as well, and a line at home commonly has 256 such networks (RFC 6177, section 2).
pub(super) fn one_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 72 << 72).into()),
    }
}

#[cfg(test)]
mod tests;
