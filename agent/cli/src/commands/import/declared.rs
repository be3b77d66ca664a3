//! Which messages of a chat have been declared from this machine before.

use candour_core::agent::Agent;
use candour_core::chat::origins;
use candour_core::outbox::Declared as Record;
use candour_import::Conversation;
use jiff::tz::TimeZone;

use crate::failure::Failure;

/// Where each message of a chat was declared. Empty where nothing can have been.
#[derive(Default)]
pub(super) struct Declared {
    records: Vec<Option<Record>>,
    /// The zone in which a day is told.
    zone: Option<TimeZone>,
}

impl Declared {
    /// Asks the agent.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(super) fn of(
        agent: &Agent,
        chat: &Conversation<'_>,
        zone: &TimeZone,
    ) -> Result<Self, Failure> {
        Ok(Self {
            records: agent.already_declared(&origins(chat).collect::<Vec<_>>())?,
            zone: Some(zone.clone()),
        })
    }

    /// Where the message at `place` was declared.
    pub(super) fn at(&self, place: usize) -> Option<Record> {
        *self.records.get(place)?
    }

    /// The day on which it was.
    pub(super) fn day(&self, place: usize) -> Option<String> {
        let zone = self.zone.clone()?;
        let at = self.at(place)?.at.to_zoned(zone);
        Some(at.strftime("%-d %b %Y").to_string())
    }

    /// Takes what was declared out of `places`; returns how many that were.
    pub(super) fn leave_out(&self, places: &mut Vec<usize>) -> usize {
        let before = places.len();
        places.retain(|place| self.at(*place).is_none());
        before - places.len()
    }
}
