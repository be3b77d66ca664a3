//! How many messages each chat has, and from when to when.

use std::collections::HashMap;

use super::Item;
use super::recipient::Recipients;
use crate::limits::PEOPLE_MAX;
use crate::tally::Tally;
use crate::{ImportError, Summary};

pub(super) struct Survey {
    numbers: HashMap<Vec<u8>, usize>,
    /// In the order of their first messages.
    chats: Vec<(Vec<u8>, Tally)>,
}

impl Survey {
    pub(super) fn new() -> Self {
        Self {
            numbers: HashMap::new(),
            chats: Vec::new(),
        }
    }

    pub(super) fn count(&mut self, item: &Item<'_>) -> Result<(), ImportError> {
        let row = item.row(0, 0);
        let known = self.numbers.get(item.chat);
        if let Some((_, tally)) = known.and_then(|number| self.chats.get_mut(*number)) {
            tally.count(&row);
            return Ok(());
        }
        if self.chats.len() == PEOPLE_MAX {
            return Err(ImportError::TooManyPeople);
        }
        let mut tally = Tally::new();
        tally.count(&row);
        self.numbers.insert(item.chat.to_vec(), self.chats.len());
        self.chats.push((item.chat.to_vec(), tally));
        Ok(())
    }

    pub(super) fn summaries(&self, recipients: &Recipients<'_>) -> Vec<Summary> {
        self.chats
            .iter()
            .map(|(id, tally)| {
                let title = recipients.title(id);
                tally.summary(String::from_utf8_lossy(id).into_owned(), title)
            })
            .collect()
    }
}
