//! How many messages each chat has, and from when to when.

use std::collections::HashMap;

use super::Item;
use super::recipient::Recipients;
use crate::limits::PEOPLE_MAX;
use crate::row::{Clock, Row};
use crate::{ImportError, Stamp, Summary};

pub(super) struct Survey {
    numbers: HashMap<Vec<u8>, usize>,
    /// In the order of their first messages.
    chats: Vec<Counted>,
}

struct Counted {
    id: Vec<u8>,
    messages: usize,
    first: Row,
    last: Row,
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
        let Some(chat) = self
            .numbers
            .get(item.chat)
            .and_then(|number| self.chats.get_mut(*number))
        else {
            if self.chats.len() == PEOPLE_MAX {
                return Err(ImportError::TooManyPeople);
            }
            self.numbers.insert(item.chat.to_vec(), self.chats.len());
            self.chats.push(Counted {
                id: item.chat.to_vec(),
                messages: 1,
                first: row,
                last: row,
            });
            return Ok(());
        };
        chat.messages += 1;
        if row.clock != Clock::None {
            if chat.first.clock == Clock::None || row.time < chat.first.time {
                chat.first = row;
            }
            if chat.last.clock == Clock::None || row.time > chat.last.time {
                chat.last = row;
            }
        }
        Ok(())
    }

    pub(super) fn summaries(&self, recipients: &Recipients<'_>) -> Vec<Summary> {
        self.chats
            .iter()
            .map(|chat| Summary {
                id: String::from_utf8_lossy(&chat.id).into_owned(),
                title: recipients.title(&chat.id),
                messages: chat.messages,
                first: Stamp::of(&chat.first),
                last: Stamp::of(&chat.last),
            })
            .collect()
    }
}
