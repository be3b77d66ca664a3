//! How many rows a conversation has, and from when to when.

use crate::row::{Clock, Row};
use crate::{Stamp, Summary};

/// What a list of conversations says of one.
pub(crate) struct Tally {
    messages: usize,
    first: Row,
    last: Row,
}

impl Tally {
    /// None so far.
    pub(crate) const fn new() -> Self {
        Self {
            messages: 0,
            first: Row::at(0, 0),
            last: Row::at(0, 0),
        }
    }

    pub(crate) fn count(&mut self, row: &Row) {
        self.messages += 1;
        if row.clock != Clock::None {
            if self.first.clock == Clock::None || row.time < self.first.time {
                self.first = *row;
            }
            if self.last.clock == Clock::None || row.time > self.last.time {
                self.last = *row;
            }
        }
    }

    pub(crate) fn summary(&self, id: String, title: Option<String>) -> Summary {
        Summary {
            id,
            title,
            messages: self.messages,
            first: Stamp::of(&self.first),
            last: Stamp::of(&self.last),
        }
    }
}
