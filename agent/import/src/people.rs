//! Authors by what the export calls them, each once.

use std::collections::HashMap;
use std::hash::Hash;

use crate::ImportError;
use crate::limits::PEOPLE_MAX;
use crate::row::NOBODY;

/// Numbers keys, which are slices of the source, in the order in which they come.
pub(crate) struct Interner<K> {
    known: HashMap<K, u32>,
    keys: Vec<K>,
    /// The last one asked for: people write several messages in a row.
    last: u32,
}

impl<K: Copy + Eq + Hash> Interner<K> {
    pub(crate) fn new() -> Self {
        Self {
            known: HashMap::new(),
            keys: Vec::new(),
            last: NOBODY,
        }
    }

    /// The number of `key`.
    pub(crate) fn number(&mut self, key: K) -> Result<u32, ImportError> {
        if self.keys.get(self.last as usize) == Some(&key) {
            return Ok(self.last);
        }
        if let Some(number) = self.known.get(&key) {
            self.last = *number;
            return Ok(*number);
        }
        let number = u32::try_from(self.keys.len())
            .ok()
            .filter(|number| (*number as usize) < PEOPLE_MAX)
            .ok_or(ImportError::TooManyPeople)?;
        self.keys.push(key);
        self.known.insert(key, number);
        self.last = number;
        Ok(number)
    }

    /// The keys, in the order of their numbers.
    pub(crate) fn keys(&self) -> &[K] {
        &self.keys
    }
}
