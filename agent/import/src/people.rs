//! Authors by what the export calls them, each once.

use std::collections::HashMap;

use crate::ImportError;
use crate::limits::PEOPLE_MAX;
use crate::row::NOBODY;

/// Numbers keys in the order in which they come; a key is a slice of the source.
pub(crate) struct Interner<'a> {
    known: HashMap<&'a [u8], u32>,
    keys: Vec<&'a [u8]>,
    /// The last one asked for: people write several messages in a row.
    last: u32,
}

impl<'a> Interner<'a> {
    pub(crate) fn new() -> Self {
        Self {
            known: HashMap::new(),
            keys: Vec::new(),
            last: NOBODY,
        }
    }

    /// The number of `key`.
    pub(crate) fn number(&mut self, key: &'a [u8]) -> Result<u32, ImportError> {
        if self.keys.get(self.last as usize) == Some(&key) {
            return Ok(self.last);
        }
        if let Some(number) = self.known.get(key) {
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
    pub(crate) fn keys(&self) -> &[&'a [u8]] {
        &self.keys
    }
}
