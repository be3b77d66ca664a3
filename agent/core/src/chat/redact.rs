//! Redacting picked messages by their places in the chat, which is how the holder sees them.

use candour_wire::content::{RedactionReason, Text};

use super::Picked;
use crate::declaration::{Passage, RedactionError, occurrences};

impl Picked {
    /// Takes every occurrence of `passage` out of the message at `place` of the chat, as
    /// [`Draft::redact`](crate::declaration::Draft::redact) does. Returns how many earlier
    /// wordings of it were left out with that.
    ///
    /// # Errors
    ///
    /// [`RedactionError::NoSuchMessage`] when that message is not picked,
    /// [`RedactionError::NotThere`] when the passage does not stand in it, and the others of
    /// [`RedactionError`].
    pub fn redact(
        &mut self,
        place: usize,
        passage: &Text,
        reason: RedactionReason,
        note: Option<&Text>,
    ) -> Result<usize, RedactionError> {
        // Its earlier wordings stand before it.
        let number = self.places.iter().rposition(|at| *at == place);
        let number = number.ok_or(RedactionError::NoSuchMessage)?;
        let message = self
            .draft
            .messages
            .get(number)
            .ok_or(RedactionError::NoSuchMessage)?;
        // EXPOSE: it is looked for in the holder's draft.
        let passages: Vec<Passage> = occurrences(message, passage.expose())
            .into_iter()
            .map(|range| Passage {
                range,
                reason,
                note: note.cloned(),
            })
            .collect();
        if passages.is_empty() {
            return Err(RedactionError::NotThere);
        }
        let left_out = self.draft.redact(number, &passages)?;
        self.places.drain(number.saturating_sub(left_out)..number);
        Ok(left_out)
    }

    /// What the message at `place` of the chat says in the draft as it is now; `None` where it is
    /// not picked.
    #[must_use]
    pub fn text(&self, place: usize) -> Option<&Text> {
        let number = self.places.iter().rposition(|at| *at == place)?;
        self.draft.messages.get(number).map(|message| &message.text)
    }
}
