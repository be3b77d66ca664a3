//! The outbox: what waits to be sent, and what is known of what was sent.
//!
//! # What it promises
//!
//! - When [`Outbox::append`] returns, the signed record is on disk (invariant I4). It leaves
//!   only by [`Outbox::settle`], in the commit that stores its verified receipt, or into the
//!   quarantine, where it stays until the holder sends it again or gives it up.
//! - Every operation is one [`Store::apply`], so a crash leaves either all of it or nothing.
//! - Every value is sealed (by `row`), names and heads included, so that there is one rule; the
//!   row keys, which are in clear, say how much waits even while the key store is locked.
//! - It is bounded in count, bytes and age. Full means that [`Outbox::append`] refuses and
//!   nothing is dropped.
//! - It remembers which imported messages were declared ([`Outbox::declared`]), from the commit
//!   that queues them on.
//! - A row that does not open is set aside with the code `store_damaged`, bytes and all, and
//!   holds up nothing.
//!
//! # A record's way through it
//!
//! [`Outbox::append`] chains, signs, seals and stores it. [`Outbox::pending`] hands it out with
//! those after it. The caller sends them and comes back with [`Outbox::settle`] for those that
//! have a receipt and [`Outbox::after_refusals`] for those that the server does not take.
//!
//! # The chain
//!
//! A record is signed with its place in the chain, and the server takes only the next one. When
//! records before it go away, those that wait must be signed anew. That is done as they are
//! handed out, a batch at a time, and only once the server has said where its chain stands
//! ([`ChainState::anchored`]): the reply to an earlier batch may have been lost, and a record
//! signed anew would then look like another one.
//!
//! # Threads
//!
//! Every method may block on the disk, and most on the key store. One outbox is used from one
//! thread at a time.

mod chain;
mod declared;
mod drafts;
mod epoch;
mod error;
mod format;
mod index;
mod quarantine;
mod queue;
mod receipts;
mod row;
mod settle;
mod sweep;
mod types;

use std::collections::BTreeMap;
use std::sync::Arc;

use candour_wire::chain::Head;
use candour_wire::jws::VerifyingKey;
use candour_wire::record::{Kind, Stream};
use candour_wire::{RecordId, Sensitive};
use jiff::Timestamp;

use self::epoch::Epochs;
pub use self::error::OutboxError;
use self::index::Index;
pub use self::settle::{VerifiedCheckpoint, VerifiedReceipt};
use self::sweep::Sweep;
pub use self::types::{
    Also, ChainState, Counts, Declared, Limits, NewRecord, Pending, Quarantined, Queue, Receipts,
    Refused, StoredDraft, StoredReceipt, Summary, Waiting,
};
use crate::ports::{Change, Clock, KeyStore, Store, StoreError, Table};

/// The outbox of one handset. See the [module](self).
pub struct Outbox {
    store: Box<dyn Store>,
    keys: Arc<dyn KeyStore>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    epochs: Epochs,
    index: Index,
    /// Where the next record of a stream goes; found out when first needed.
    tips: BTreeMap<Stream, Head>,
    verifying: Option<VerifyingKey>,
    /// The key store has signed with that key.
    seen_to_sign: bool,
    sweep: Option<Sweep>,
}

impl Outbox {
    /// Opens the outbox in `store`.
    ///
    /// It reads row keys only, so it needs no key store that is unlocked, nor one that has a key.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn open(
        store: Box<dyn Store>,
        keys: Arc<dyn KeyStore>,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Result<Self, OutboxError> {
        let epochs = Epochs::load(&*store)?;
        let index = Index::load(&*store)?;
        let sweep = (epochs.len() > 1).then(Sweep::default);
        Ok(Self {
            store,
            keys,
            clock,
            limits,
            epochs,
            index,
            tips: BTreeMap::new(),
            verifying: None,
            seen_to_sign: false,
            sweep,
        })
    }

    /// How much there is. Needs no key.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn counts(&self) -> Result<Counts, OutboxError> {
        Ok(Counts {
            posture: self.index.count(Stream::Posture),
            records: self.index.count(Stream::Records),
            bytes: self.index.waiting_bytes(),
            quarantined: self.index.count_set_aside(),
            drafts: self.store.usage(Table::Draft)?.rows,
            unreadable: self.index.count_unreadable(),
        })
    }

    /// When the oldest record that waits was made, to the millisecond. Needs no key.
    #[must_use]
    pub fn oldest_pending(&self) -> Option<Timestamp> {
        self.index.all().map(|(key, _)| key.created).min()
    }

    /// The kind of the record that waits, is set aside or has a receipt under this id; `None`
    /// where there is none. Needs no key.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn kind_of(&self, id: RecordId) -> Result<Option<Kind>, OutboxError> {
        if let Some(key) = self.index.waiting(id) {
            return Ok(Some(key.kind));
        }
        if let Some(kind) = self.index.set_aside_kind(id) {
            return Ok(Some(kind));
        }
        Ok(self
            .receipt_row_key(id)?
            .and_then(|key| index::decode_id_key(&key).map(|(_, kind, _)| kind)))
    }

    /// Makes the changes, and follows them in memory once they are made.
    fn commit(&mut self, changes: &[Change]) -> Result<(), OutboxError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.store.apply(changes)?;
        self.tips.clear();
        for change in changes {
            self.index.follow(change);
            if let Change::Delete(Table::Epoch, key) = change {
                self.epochs.forget(key);
            }
        }
        Ok(())
    }

    /// A change that stores `plaintext` sealed under the current epoch.
    fn put(&mut self, table: Table, key: Vec<u8>, plaintext: &[u8]) -> Result<Change, OutboxError> {
        let (epoch, begun) =
            self.epochs
                .current(&mut *self.store, &*self.keys, self.clock.now())?;
        if begun && self.epochs.len() > 1 {
            self.sweep = Some(Sweep::default());
        }
        let value = row::seal(&epoch, table, &key, plaintext);
        Ok(Change::Put(table, key, value))
    }

    /// Opens a row's value; `None` where it is damaged.
    ///
    /// # Errors
    ///
    /// When the key store cannot be used now, which says nothing about the row.
    fn unseal(
        &mut self,
        table: Table,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<Sensitive<Vec<u8>>>, OutboxError> {
        let Some(number) = row::epoch_of(value) else {
            return Ok(None);
        };
        let epoch = self.epochs.key(&*self.keys, number)?;
        Ok(epoch.and_then(|epoch| row::open(epoch, table, key, value).ok()))
    }

    /// Reads and opens a row; `None` where there is none, `Some(None)` where it is damaged.
    fn read(
        &mut self,
        table: Table,
        key: &[u8],
    ) -> Result<Option<Option<Sensitive<Vec<u8>>>>, OutboxError> {
        match self.store.get(table, key)? {
            Some(value) => self.unseal(table, key, &value).map(Some),
            None => Ok(None),
        }
    }

    /// Reads a row that the index has; the second value is what does not open.
    fn read_indexed<T: serde::de::DeserializeOwned>(
        &mut self,
        table: Table,
        key: &[u8],
    ) -> Result<Result<T, Vec<u8>>, OutboxError> {
        // The index follows the store, so a row that is missing was taken away from outside.
        let value = self.store.get(table, key)?.ok_or(StoreError::Damaged)?;
        let plain = self.unseal(table, key, &value)?;
        // EXPOSE: the row is parsed.
        Ok(plain
            .and_then(|plain| format::from_bytes(plain.expose()))
            .ok_or(value))
    }
}

#[cfg(test)]
mod tests;
