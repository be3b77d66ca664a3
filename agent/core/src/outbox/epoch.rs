//! Epoch keys: what the rows' keys are derived from, replaced every thirty days.
//!
//! An epoch's key is 32 random bytes. The `KeyStore` port wraps it, together with its number and
//! the time it was made; that is all that [`Table::Epoch`] holds. Once no row is sealed under an
//! old epoch its key is deleted, so what flash memory may still hold of deleted rows cannot be
//! read even by someone who later gets hold of the phone and its key store.

use std::collections::BTreeMap;

use candour_wire::Sensitive;
use jiff::{SignedDuration, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};

use super::OutboxError;
use crate::ports::{Change, KeyError, KeyStore, Store, StoreError, Table};

/// How long an epoch lasts.
const LENGTH: SignedDuration = SignedDuration::from_hours(30 * 24);

const SECRET_BYTES: usize = 4 + 8 + KEY_BYTES;
const KEY_BYTES: usize = 32;

/// Rows that are read at a time. There are rarely more than two.
const PAGE: usize = 64;

/// An epoch that can be used.
#[derive(Clone)]
pub(super) struct EpochKey {
    number: u32,
    created: Timestamp,
    key: Sensitive<[u8; KEY_BYTES]>,
}

impl EpochKey {
    /// Makes a fresh key.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness to give; nothing safe can be done then.
    pub(super) fn make(number: u32, created: Timestamp) -> Self {
        let mut key = zeroize::Zeroizing::new([0; KEY_BYTES]);
        SystemRandom::new()
            .fill(key.as_mut())
            .expect("the operating system gives randomness");
        Self {
            number,
            created,
            key: Sensitive::new(*key),
        }
    }

    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    pub(super) const fn secret(&self) -> &Sensitive<[u8; KEY_BYTES]> {
        &self.key
    }

    /// Whether its time is over. A clock that was set back far enough ends it too, once: the next
    /// epoch then starts at the clock's new time.
    fn is_over(&self, now: Timestamp) -> bool {
        now.duration_since(self.created).abs() >= LENGTH
    }

    fn wrap(&self, keys: &dyn KeyStore) -> Result<Vec<u8>, KeyError> {
        let mut secret = Vec::with_capacity(SECRET_BYTES);
        secret.extend_from_slice(&self.number.to_be_bytes());
        secret.extend_from_slice(&self.created.as_millisecond().to_be_bytes());
        // EXPOSE: the key store wraps the key.
        secret.extend_from_slice(self.key.expose());
        keys.wrap(&Sensitive::new(secret))
    }

    /// `None` where the secret is not that of epoch `number`.
    fn from_secret(number: u32, secret: &Sensitive<Vec<u8>>) -> Option<Self> {
        // EXPOSE: the parts of the secret are taken apart, and the key goes back into custody.
        let (named, rest) = secret.expose().split_first_chunk::<4>()?;
        let (created, key) = rest.split_first_chunk::<8>()?;
        let created = Timestamp::from_millisecond(i64::from_be_bytes(*created)).ok()?;
        let key: &[u8; KEY_BYTES] = key.try_into().ok()?;
        (u32::from_be_bytes(*named) == number).then(|| Self {
            number,
            created,
            key: Sensitive::new(*key),
        })
    }
}

enum State {
    /// Not unwrapped yet.
    Wrapped(Vec<u8>),
    Open(EpochKey),
    /// The key store does not know it. The row stays where it is.
    Unreadable,
}

/// The epochs of a store. Keys are unwrapped when they are first needed, since that may block on
/// hardware and fail while the phone is locked.
pub(super) struct Epochs(BTreeMap<u32, State>);

impl Epochs {
    pub(super) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut epochs = BTreeMap::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = store.scan(Table::Epoch, &[], after.as_deref(), PAGE)?;
            let full = rows.len() == PAGE;
            after = rows.last().map(|(key, _)| key.clone());
            for (key, value) in rows {
                if let Ok(number) = key.try_into().map(u32::from_be_bytes) {
                    epochs.insert(number, State::Wrapped(value));
                }
            }
            if !full {
                return Ok(Self(epochs));
            }
        }
    }

    /// The key of epoch `number`; `None` where there is none that can ever be read.
    pub(super) fn key(
        &mut self,
        keys: &dyn KeyStore,
        number: u32,
    ) -> Result<Option<&EpochKey>, KeyError> {
        let Some(state) = self.0.get_mut(&number) else {
            return Ok(None);
        };
        if let State::Wrapped(wrapped) = state {
            *state = match keys.unwrap(wrapped) {
                Ok(secret) => {
                    EpochKey::from_secret(number, &secret).map_or(State::Unreadable, State::Open)
                }
                Err(KeyError::Unwrap) => State::Unreadable,
                // Locked, or gone for now: that condemns nothing.
                Err(error) => return Err(error),
            };
        }
        Ok(match state {
            State::Open(key) => Some(key),
            State::Wrapped(_) | State::Unreadable => None,
        })
    }

    /// The key for new rows, in an epoch that is not over. Makes and stores one where needed;
    /// the second value says whether it did. An epoch that is over goes on while no other can be
    /// made.
    pub(super) fn current(
        &mut self,
        store: &mut dyn Store,
        keys: &dyn KeyStore,
        now: Timestamp,
    ) -> Result<(EpochKey, bool), OutboxError> {
        let last = self.last();
        let current = match last {
            Some(number) => self.key(keys, number)?.cloned(),
            None => None,
        };
        match current {
            Some(key) if !key.is_over(now) => Ok((key, false)),
            Some(key) => match self.begin(last, store, keys, now) {
                Ok(next) => Ok((next, true)),
                Err(error) => {
                    tracing::warn!(
                        code = error.code().as_str(),
                        "a new epoch could not be begun"
                    );
                    Ok((key, false))
                }
            },
            None => Ok((self.begin(last, store, keys, now)?, true)),
        }
    }

    fn begin(
        &mut self,
        last: Option<u32>,
        store: &mut dyn Store,
        keys: &dyn KeyStore,
        now: Timestamp,
    ) -> Result<EpochKey, OutboxError> {
        // Thirty days each: only a forged row can have the last number.
        let number = last
            .unwrap_or(0)
            .checked_add(1)
            .ok_or(StoreError::Damaged)?;
        let key = EpochKey::make(number, now);
        let wrapped = key.wrap(keys)?;
        store.apply(&[Change::Put(
            Table::Epoch,
            number.to_be_bytes().to_vec(),
            wrapped,
        )])?;
        self.0.insert(number, State::Open(key.clone()));
        Ok(key)
    }

    /// The changes that delete every epoch before number `first`, but for those that never could
    /// be read.
    pub(super) fn deletions(
        &mut self,
        keys: &dyn KeyStore,
        first: u32,
    ) -> Result<Vec<Change>, KeyError> {
        let mut changes = Vec::new();
        let old: Vec<u32> = self.0.range(..first).map(|(number, _)| *number).collect();
        for number in old {
            if self.key(keys, number)?.is_some() {
                changes.push(Change::Delete(Table::Epoch, number.to_be_bytes().to_vec()));
            }
        }
        Ok(changes)
    }

    /// Forgets what has been deleted from the store.
    pub(super) fn forget(&mut self, key: &[u8]) {
        if let Ok(number) = key.try_into().map(u32::from_be_bytes) {
            self.0.remove(&number);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn last(&self) -> Option<u32> {
        self.0.last_key_value().map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests;
