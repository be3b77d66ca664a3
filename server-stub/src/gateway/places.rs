//! A limited number of places for connections, in all and for each of whoever comes.
//!
//! Where no place is left the newest comer gets one, and the connection that has held its place
//! for longest gives way. Turning the newest away would let whoever fills the places first keep
//! everybody else out, for nothing but silence; this way a handshake of a tenth of a second
//! succeeds unless all places change hands within that tenth. A connection that is cut off costs
//! a phone one repetition.
//!
//! First gives way who comes from the same address as the newest comer, where that address has
//! as many places as one may have. So an address that floods crowds out itself, and those who
//! share the address with it get through by being quick.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

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
    places: BTreeMap<u64, (K, oneshot::Sender<()>)>,
    of: HashMap<K, BTreeSet<u64>>,
}

/// A place that is held. Dropping it frees it.
#[derive(Debug)]
pub(super) struct Place<K: Copy + Eq + Hash> {
    places: Arc<Places<K>>,
    number: u64,
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
            }),
        }
    }

    /// Gives a place, and says whether somebody else has to give way for it.
    pub(super) fn take(self: &Arc<Self>, key: K) -> (Place<K>, Option<Crowd>) {
        let (sender, wanted) = oneshot::channel();
        let mut held = self.lock();
        let own = held.of.get(&key).map_or(0, BTreeSet::len);
        let (crowd, oldest) = if own >= self.for_each {
            let first = held.of.get(&key).and_then(|own| own.first().copied());
            (Some(Crowd::One), first)
        } else if held.places.len() >= self.in_all {
            (Some(Crowd::All), held.places.keys().next().copied())
        } else {
            (None, None)
        };
        if let Some(sender) = oldest.and_then(|oldest| held.remove(oldest)) {
            // It may be ending by itself just now.
            let _ = sender.send(());
        }
        let number = held.next;
        held.next += 1;
        held.places.insert(number, (key, sender));
        held.of.entry(key).or_default().insert(number);
        drop(held);
        let place = Place {
            places: Arc::clone(self),
            number,
            wanted,
        };
        (place, crowd)
    }

    fn lock(&self) -> MutexGuard<'_, Held<K>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Held<K> {
    fn remove(&mut self, number: u64) -> Option<oneshot::Sender<()>> {
        let (key, sender) = self.places.remove(&number)?;
        if let Some(own) = self.of.get_mut(&key) {
            own.remove(&number);
            if own.is_empty() {
                self.of.remove(&key);
            }
        }
        Some(sender)
    }
}

impl<K: Copy + Eq + Hash> Place<K> {
    /// Completes when somebody else is given this place; never otherwise.
    pub(super) async fn wanted(&mut self) {
        if (&mut self.wanted).await.is_err() {
            std::future::pending().await
        }
    }
}

impl<K: Copy + Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        self.places.lock().remove(self.number);
    }
}

/// What counts as one address: of IPv6 the first 64 bits, since whoever has one address there has
/// them all (RFC 6177).
pub(super) fn one_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn gives_way<K: Copy + Eq + Hash>(place: &mut Place<K>) -> bool {
        place.wanted().now_or_never().is_some()
    }

    #[test]
    fn who_fills_its_own_places_crowds_out_itself_and_nobody_else() {
        let places = Arc::new(Places::new(4, 2));
        let (mut quiet, _) = places.take("quiet");
        let (mut first, _) = places.take("loud");
        let (mut second, crowd) = places.take("loud");
        assert_eq!(crowd, None);
        let (mut third, crowd) = places.take("loud");
        assert_eq!(crowd, Some(Crowd::One));
        let told = [&mut quiet, &mut first, &mut second, &mut third].map(gives_way);
        assert_eq!(told, [false, true, false, false]);
    }

    #[test]
    fn where_all_places_are_taken_the_oldest_gives_way() {
        let places = Arc::new(Places::new(2, 2));
        let (mut first, _) = places.take(1);
        let (mut second, _) = places.take(2);
        let (third, crowd) = places.take(3);
        assert_eq!(crowd, Some(Crowd::All));
        assert_eq!([&mut first, &mut second].map(gives_way), [true, false]);
        drop(third);
        let (_fourth, crowd) = places.take(4);
        assert_eq!(crowd, None, "a place that was left is free");
        drop((first, second));
        assert_eq!(places.lock().places.len(), 1);
        assert_eq!(places.lock().of.len(), 1, "nothing is kept of who has gone");
    }

    #[test]
    fn addresses_of_one_network_of_version_6_are_one_and_mapped_ones_are_what_they_map() {
        let one = |text: &str| one_address(text.parse().unwrap());
        assert_eq!(one("2001:db8:1:2:3::4"), one("2001:db8:1:2:ffff::1"));
        assert_ne!(one("2001:db8:1:2::1"), one("2001:db8:1:3::1"));
        assert_eq!(one("::ffff:192.0.2.7"), one("192.0.2.7"));
        assert_ne!(one("192.0.2.7"), one("192.0.2.8"));
    }
}
