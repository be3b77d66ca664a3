//! How much is done at a time, and how often a handset may ask.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use candour_wire::{Code, Digest};
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::budget::{Budget, Reserve};
use crate::config::Config;
use crate::problem::Failure;

/// How long a request waits for its turn before it is told to come back.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of bodies that may be held at a time, in KiB: 64 of the largest batches, or what some
/// thousand phones on slow networks have sent so far.
const ROOM_KIB: usize = 256 << 10;

/// Requests that one handset may make in a minute: a file of 100 MiB in pieces is 100, and a
/// phone with much to catch up on sends several.
const REQUESTS_PER_MINUTE: u32 = 1_200;

/// Requests that share a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// Certificates are made for whoever has a token: processor time.
    Enrolment,
    /// The same for enrolled phones, which a crowd at the public door must not hold up.
    Renewal,
    /// Batches are unpacked and checked: processor time, and up to 4 MiB each.
    Batch,
    /// Pieces of files are written to disk.
    Attachment,
    /// Small replies to enrolled phones.
    Read,
    /// Small replies about the log, which anybody may ask for.
    Log,
}

/// The limits of a gateway.
#[derive(Debug)]
pub struct Limits {
    enrolment: Arc<Semaphore>,
    renewal: Arc<Semaphore>,
    batch: Arc<Semaphore>,
    attachment: Arc<Semaphore>,
    read: Arc<Semaphore>,
    log: Arc<Semaphore>,
    /// Room for request bodies, in KiB.
    room: Arc<Semaphore>,
    rate: Mutex<Window>,
    /// How long a whole request may take.
    pub(super) request_timeout: Duration,
    /// What a handset may send in a day.
    pub(super) budget: Budget,
    /// What is left free on the disk.
    pub(super) reserve: Reserve,
}

/// Room that a request's body takes in memory; free again when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Room {
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

/// What was asked in the present minute. It holds one entry for each enrolled handset at most.
#[derive(Debug, Default)]
struct Window {
    minute: i64,
    requests: HashMap<Digest, u32>,
}

impl Default for Limits {
    fn default() -> Self {
        let permits = |number| Arc::new(Semaphore::new(number));
        Self {
            enrolment: permits(64),
            renewal: permits(64),
            // Unpacking one may take some 20 MiB: JSON, the window of its compression, and records.
            batch: permits(32),
            attachment: permits(64),
            read: permits(256),
            // Fewer than phones have, because they wait for the same readers of the store.
            log: permits(64),
            room: permits(ROOM_KIB),
            rate: Mutex::default(),
            request_timeout: Duration::from_secs(60),
            budget: Budget::new(u64::MAX),
            reserve: Reserve::default(),
        }
    }
}

impl Limits {
    /// The limits that the settings ask for, over a data directory.
    #[must_use]
    pub fn new(config: &Config, data: &Path) -> Self {
        Self {
            request_timeout: Duration::from_secs(config.request_timeout_s.into()),
            budget: Budget::new(mib(config.handset_daily_mib)),
            reserve: Reserve::new(data.to_owned(), mib(config.disk_reserve_mib)),
            ..Self::default()
        }
    }

    /// Refuses when the disk has too little room for records and files.
    pub(super) fn require_room(&self) -> Result<(), Failure> {
        if self.reserve.has_room() {
            Ok(())
        } else {
            Err(Failure::new(Code::StorageFull).with_detail("the disk's reserve is reached"))
        }
    }

    /// Waits for a turn, for a short time.
    pub(super) async fn turn(&self, group: Group) -> Result<OwnedSemaphorePermit, Code> {
        let semaphore = match group {
            Group::Enrolment => &self.enrolment,
            Group::Renewal => &self.renewal,
            Group::Batch => &self.batch,
            Group::Attachment => &self.attachment,
            Group::Read => &self.read,
            Group::Log => &self.log,
        };
        acquire(semaphore, 1).await
    }

    /// Makes room for a body that has grown by this many bytes; waits for a short time. What has
    /// not arrived takes no room, so that who sends slowly takes only as much as has been sent.
    pub(super) async fn grow(&self, room: &mut Room, bytes: usize) -> Result<(), Code> {
        let grown = room.bytes.saturating_add(bytes);
        let more = grown.div_ceil(1024) - room.bytes.div_ceil(1024);
        if more > 0 {
            let more = u32::try_from(more).map_err(|_| Code::Unavailable)?;
            let permit = acquire(&self.room, more).await?;
            match &mut room.permit {
                Some(held) => held.merge(permit),
                held @ None => *held = Some(permit),
            }
        }
        room.bytes = grown;
        Ok(())
    }

    /// Counts a request of the handset with this key.
    pub(super) fn count(&self, key: Digest, now: Timestamp) -> Result<(), Code> {
        let mut window = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.as_second().div_euclid(60);
        if window.minute != minute {
            *window = Window {
                minute,
                requests: HashMap::new(),
            };
        }
        let requests = window.requests.entry(key).or_default();
        *requests = requests.saturating_add(1);
        if *requests > REQUESTS_PER_MINUTE {
            Err(Code::TooManyRequests)
        } else {
            Ok(())
        }
    }
}

const fn mib(number: u32) -> u64 {
    (number as u64) << 20
}

async fn acquire(semaphore: &Arc<Semaphore>, number: u32) -> Result<OwnedSemaphorePermit, Code> {
    let permit = Arc::clone(semaphore).acquire_many_owned(number);
    match tokio::time::timeout(TURN_TIMEOUT, permit).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(Code::Unavailable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handset_that_asks_too_often_is_turned_away_until_the_next_minute() {
        let limits = Limits::default();
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let (busy, other) = (Digest::of(b"busy"), Digest::of(b"other"));
        for _ in 0..REQUESTS_PER_MINUTE {
            assert_eq!(limits.count(busy, now), Ok(()));
        }
        assert_eq!(limits.count(busy, now), Err(Code::TooManyRequests));
        assert_eq!(limits.count(other, now), Ok(()));
        assert_eq!(
            limits.count(busy, "2026-11-22T10:01:00Z".parse().unwrap()),
            Ok(())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_gets_no_turn_is_told_to_come_back() {
        let limits = Limits::default();
        let groups = [
            (Group::Enrolment, 64, Group::Renewal),
            (Group::Batch, 32, Group::Read),
            (Group::Log, 64, Group::Read),
        ];
        for (group, most, other) in groups {
            let mut held = Vec::new();
            for _ in 0..most {
                held.push(limits.turn(group).await.unwrap());
            }
            assert_eq!(limits.turn(group).await.unwrap_err(), Code::Unavailable);
            assert!(
                limits.turn(other).await.is_ok(),
                "{other:?} has its own limit"
            );
            held.pop();
            assert!(limits.turn(group).await.is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_share_a_room_and_give_it_back() {
        let limits = Limits::default();
        let mut large = Room::default();
        limits.grow(&mut large, (ROOM_KIB << 10) - 1).await.unwrap();
        limits.grow(&mut large, 1).await.unwrap();
        let mut other = Room::default();
        assert_eq!(
            limits.grow(&mut other, 1).await.unwrap_err(),
            Code::Unavailable
        );
        drop(large);
        limits.grow(&mut other, 1).await.unwrap();
        limits.grow(&mut other, 1023).await.unwrap();
        assert_eq!(limits.room.available_permits(), ROOM_KIB - 1);
    }
}
