//! Row keys, and the index of what waits, which is built from them alone.
//!
//! The key of a row says what it is, so that a row whose value is damaged can still be named,
//! and counts need no key store. What it gives away on disk (stream, kind, time, id) is no more
//! than its size and its table would.
//!
//! | table | key |
//! |---|---|
//! | outbox | stream (1) ‖ position (8) ‖ kind (1) ‖ created, Unix ms (8) ‖ record id (16) |
//! | quarantine | record id (16) ‖ kind (1) |
//! | receipt | record id (16) ‖ kind (1) ‖ received, Unix ms (8) |
//! | draft | draft id (16) |
//! | declared | record id (16) |
//!
//! Numbers are big-endian. The *position* orders the queue and is not the sequence number: that
//! is part of the signed record and changes when the record is chained anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use candour_wire::RecordId;
use candour_wire::record::{Kind, Stream};
use jiff::Timestamp;

use crate::ports::{Change, Store, StoreError, Table};

/// Keys that are read at a time.
const PAGE: usize = 1_024;

/// Where a record waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WaitingKey {
    pub(super) position: u64,
    pub(super) kind: Kind,
    /// To the millisecond.
    pub(super) created: Timestamp,
    pub(super) id: RecordId,
}

impl WaitingKey {
    pub(super) fn encode(&self) -> Vec<u8> {
        let stream = stream_byte(self.kind.stream());
        let mut key = vec![stream];
        key.extend_from_slice(&self.position.to_be_bytes());
        key.push(kind_byte(self.kind));
        key.extend_from_slice(&self.created.as_millisecond().to_be_bytes());
        key.extend_from_slice(self.id.as_bytes());
        key
    }

    pub(super) fn decode(key: &[u8]) -> Option<Self> {
        let (stream, rest) = key.split_first()?;
        let (position, rest) = rest.split_first_chunk::<8>()?;
        let (kind, rest) = rest.split_first()?;
        let (created, id) = rest.split_first_chunk::<8>()?;
        let kind = kind_of_byte(*kind)?;
        (stream_byte(kind.stream()) == *stream).then_some(())?;
        Some(Self {
            position: u64::from_be_bytes(*position),
            kind,
            created: Timestamp::from_millisecond(i64::from_be_bytes(*created)).ok()?,
            id: RecordId::from_slice(id).ok()?,
        })
    }

    pub(super) const fn stream(&self) -> Stream {
        self.kind.stream()
    }
}

pub(super) fn quarantine_key(id: RecordId, kind: Kind) -> Vec<u8> {
    [id.as_bytes().as_slice(), &[kind_byte(kind)]].concat()
}

pub(super) fn receipt_key(id: RecordId, kind: Kind, received: Timestamp) -> Vec<u8> {
    [
        id.as_bytes().as_slice(),
        &[kind_byte(kind)],
        &received.as_millisecond().to_be_bytes(),
    ]
    .concat()
}

/// The id, the kind, and for a receipt the time that follows them.
pub(super) fn decode_id_key(key: &[u8]) -> Option<(RecordId, Kind, &[u8])> {
    let (id, rest) = key.split_at_checked(16)?;
    let (kind, rest) = rest.split_first()?;
    Some((RecordId::from_slice(id).ok()?, kind_of_byte(*kind)?, rest))
}

/// When the receipt with this key was received.
pub(super) fn received_of(rest: &[u8]) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::from_be_bytes(rest.try_into().ok()?)).ok()
}

/// Frozen: rows on disk carry it.
const fn stream_byte(stream: Stream) -> u8 {
    match stream {
        Stream::Posture => 1,
        Stream::Records => 2,
    }
}

/// Frozen: rows on disk carry it.
const fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Inventory => 1,
        Kind::InventoryChange => 2,
        Kind::Heartbeat => 3,
        Kind::Status => 4,
        Kind::Declaration => 5,
        Kind::Amendment => 6,
        Kind::Withdrawal => 7,
    }
}

fn kind_of_byte(byte: u8) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind_byte(*kind) == byte)
}

/// What waits and what is set aside, in memory: under 2 MB at ten thousand records.
#[derive(Debug, Default)]
pub(super) struct Index {
    waiting: BTreeMap<(Stream, u64), (WaitingKey, u64)>,
    places: HashMap<RecordId, (Stream, u64)>,
    set_aside: BTreeMap<RecordId, (Kind, u64)>,
    /// Keys that say nothing: the rows stay where they are, and can only be counted.
    unreadable: BTreeSet<(Table, Vec<u8>)>,
    /// The sums of the lengths in `waiting` and in `set_aside`.
    waiting_bytes: u64,
    set_aside_bytes: u64,
}

impl Index {
    pub(super) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut index = Self::default();
        for table in [Table::Outbox, Table::Quarantine] {
            for_each_key(store, table, |key, bytes| index.put(table, key, bytes))?;
        }
        Ok(index)
    }

    /// Follows a change that has been made.
    pub(super) fn follow(&mut self, change: &Change) {
        match change {
            Change::Put(table, key, value) => self.put(*table, key, value.len() as u64),
            Change::Delete(table, key) => self.delete(*table, key),
        }
    }

    fn put(&mut self, table: Table, key: &[u8], bytes: u64) {
        match table {
            Table::Outbox => match WaitingKey::decode(key) {
                Some(waiting) => {
                    let place = (waiting.stream(), waiting.position);
                    let before = self.waiting.insert(place, (waiting, bytes));
                    self.waiting_bytes += bytes;
                    self.waiting_bytes -= before.map_or(0, |(_, bytes)| bytes);
                    self.places.insert(waiting.id, place);
                }
                None => self.put_unreadable(table, key),
            },
            Table::Quarantine => match decode_id_key(key) {
                Some((id, kind, _)) => {
                    let before = self.set_aside.insert(id, (kind, bytes));
                    self.set_aside_bytes += bytes;
                    self.set_aside_bytes -= before.map_or(0, |(_, bytes)| bytes);
                }
                None => self.put_unreadable(table, key),
            },
            _ => {}
        }
    }

    fn put_unreadable(&mut self, table: Table, key: &[u8]) {
        tracing::warn!(
            table = table.as_str(),
            "a stored row has a key that cannot be read"
        );
        self.unreadable.insert((table, key.to_vec()));
    }

    fn delete(&mut self, table: Table, key: &[u8]) {
        self.unreadable.remove(&(table, key.to_vec()));
        match table {
            Table::Outbox => {
                if let Some(waiting) = WaitingKey::decode(key) {
                    let place = (waiting.stream(), waiting.position);
                    let before = self.waiting.remove(&place);
                    self.waiting_bytes -= before.map_or(0, |(_, bytes)| bytes);
                    if self.places.get(&waiting.id) == Some(&place) {
                        self.places.remove(&waiting.id);
                    }
                }
            }
            Table::Quarantine => {
                if let Some((id, ..)) = decode_id_key(key) {
                    let before = self.set_aside.remove(&id);
                    self.set_aside_bytes -= before.map_or(0, |(_, bytes)| bytes);
                }
            }
            _ => {}
        }
    }

    /// The records of a stream, in order, and the length of their rows.
    pub(super) fn stream(
        &self,
        stream: Stream,
    ) -> impl DoubleEndedIterator<Item = &(WaitingKey, u64)> {
        self.waiting
            .range((stream, 0)..=(stream, u64::MAX))
            .map(|(_, slot)| slot)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &(WaitingKey, u64)> {
        self.waiting.values()
    }

    pub(super) fn waiting(&self, id: RecordId) -> Option<WaitingKey> {
        self.waiting.get(self.places.get(&id)?).map(|(key, _)| *key)
    }

    pub(super) fn set_aside(&self) -> impl Iterator<Item = (RecordId, Kind)> {
        self.set_aside.iter().map(|(id, (kind, _))| (*id, *kind))
    }

    pub(super) fn set_aside_kind(&self, id: RecordId) -> Option<Kind> {
        self.set_aside.get(&id).map(|(kind, _)| *kind)
    }

    /// The position after the last one. It need not be one that was never used: the row key has
    /// the record's id as well.
    pub(super) fn next_position(&self, stream: Stream) -> u64 {
        self.stream(stream)
            .next_back()
            .map_or(1, |(key, _)| key.position.saturating_add(1))
    }

    /// Records and bytes that wait or are set aside.
    pub(super) fn usage(&self) -> (u64, u64) {
        let rows = self.waiting.len() + self.set_aside.len();
        (rows as u64, self.waiting_bytes + self.set_aside_bytes)
    }

    pub(super) const fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes
    }

    pub(super) fn count(&self, stream: Stream) -> u64 {
        self.stream(stream).count() as u64
    }

    pub(super) fn count_set_aside(&self) -> u64 {
        self.set_aside.len() as u64
    }

    pub(super) fn count_unreadable(&self) -> u64 {
        self.unreadable.len() as u64
    }
}

/// Calls `visit` with each key of a table and the length of its value, in order.
pub(super) fn for_each_key(
    store: &dyn Store,
    table: Table,
    mut visit: impl FnMut(&[u8], u64),
) -> Result<(), StoreError> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store.scan_lengths(table, &[], after.as_deref(), PAGE)?;
        for (key, bytes) in &page {
            visit(key, *bytes);
        }
        if page.len() < PAGE {
            return Ok(());
        }
        after = page.into_iter().next_back().map(|(key, _)| key);
    }
}
