//! When each phone is to be woken next, in simulated time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use jiff::Timestamp;

/// Phones by the time at which they are to be woken.
#[derive(Default)]
pub(super) struct Calendar(BinaryHeap<Reverse<(Timestamp, usize)>>);

impl Calendar {
    pub(super) fn put(&mut self, at: Timestamp, phone: usize) {
        self.0.push(Reverse((at, phone)));
    }

    /// The earliest time in it.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out the phones that are to be woken by `until`.
    pub(super) fn take(&mut self, until: Timestamp) -> Vec<usize> {
        let mut phones = Vec::new();
        while self.next().is_some_and(|at| at <= until) {
            phones.extend(self.0.pop().map(|Reverse((_, phone))| phone));
        }
        phones
    }
}
