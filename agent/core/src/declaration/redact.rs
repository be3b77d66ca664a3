//! Taking passages out of a draft's messages.
//!
//! What is taken out is gone from the draft at once: a draft that is redacted before it is first
//! saved never has it on disk, and no record ever has it. `docs/adr/0011` says why the message's
//! digest goes with it, and its earlier wordings.

use std::ops::Range;

use candour_wire::content::flag::{EARLIER_LEFT_OUT, EARLIER_WORDING};
use candour_wire::content::{
    DeclarationContent, Message, REDACTED, Redaction, RedactionReason, Text,
};
use candour_wire::{Code, Sensitive, limits};

use super::Draft;

/// A passage that is to be taken out of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Its bytes in the text of the message as the draft has it now.
    pub range: Range<usize>,
    /// Why.
    pub reason: RedactionReason,
    /// More about why, in a few words; needed for [`RedactionReason::Other`].
    pub note: Option<Text>,
}

/// A passage cannot be taken out; the draft is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedactionError {
    /// The draft has no such message.
    #[error("the draft has no such message")]
    NoSuchMessage,
    /// It is empty, or does not lie in the text, or cuts a character in two.
    #[error("the passage does not stand in the message")]
    NotThere,
    /// Two passages have bytes in common, or one has some with an earlier redaction.
    #[error("the passages overlap")]
    Overlap,
    /// Nothing would be left of the message but marks, blanks and punctuation.
    #[error("nothing would be left of the message; leave it out instead")]
    NothingLeft,
    /// The reason is another one than those with a name, and there is no note that says which.
    #[error("the reason `other` needs a note")]
    NoteMissing,
    /// The note is too long.
    #[error("the note is longer than {} characters", limits::SHORT_TEXT_MAX_CHARS)]
    NoteTooLong,
    /// Too many in one message.
    #[error("one message has at most {} redactions", limits::REDACTIONS_MAX)]
    TooMany,
    /// The redactions that the message has already do not fit its text.
    #[error("the marks of earlier redactions do not stand where they should")]
    MarkMissing,
}

impl RedactionError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::RedactionInvalid
    }
}

impl Draft {
    /// Takes passages out of the message at `message`, a place in [`Draft::messages`]. All of
    /// them or, on failure, none.
    ///
    /// The earlier wordings of the message, which stand before it, are left out of the draft: they
    /// would say what was taken out. Returns how many that were. No digest of its bytes is declared.
    ///
    /// # Errors
    ///
    /// See [`RedactionError`].
    pub fn redact(
        &mut self,
        message: usize,
        passages: &[Passage],
    ) -> Result<usize, RedactionError> {
        let before = self
            .messages
            .get(message)
            .ok_or(RedactionError::NoSuchMessage)?;
        if passages.is_empty() {
            return Ok(0);
        }
        let mut after = redacted(before, passages)?;
        let wordings = self.wordings(message);
        for wording in self
            .messages
            .iter_mut()
            .take(wordings.end)
            .skip(wordings.start)
        {
            wording.source_sha256 = None;
        }
        let earlier = if is_earlier_wording(&after) {
            message..message
        } else {
            wordings.start..message
        };
        if !earlier.is_empty() {
            after.flags.push(EARLIER_LEFT_OUT.to_owned());
        }
        if let Some(place) = self.messages.get_mut(message) {
            *place = after;
        }
        // Messages after the last origin have none, so the list may be the shorter one.
        let known = self.origins.len();
        self.origins
            .drain(earlier.start.min(known)..earlier.end.min(known));
        Ok(self.messages.drain(earlier).len())
    }

    /// The places of a message and of all its wordings: earlier ones stand before the last.
    fn wordings(&self, message: usize) -> Range<usize> {
        let (before, rest) = self.messages.split_at(message.min(self.messages.len()));
        let earlier = before
            .iter()
            .rev()
            .take_while(|message| is_earlier_wording(message))
            .count();
        let later = rest
            .iter()
            .take_while(|message| is_earlier_wording(message))
            .count();
        let end = message.saturating_add(later).saturating_add(1);
        before.len() - earlier..end.min(self.messages.len())
    }
}

/// Where `passage` stands in the text of a message, in bytes, from left to right; not where it is a
/// part of a redaction's mark.
#[must_use]
pub fn occurrences(message: &Message, passage: &str) -> Vec<Range<usize>> {
    if passage.is_empty() {
        return Vec::new();
    }
    // EXPOSE: the holder's own words are looked for in the holder's draft.
    let text = message.text.expose();
    let marks = marks(message).unwrap_or_default();
    text.match_indices(passage)
        .map(|(start, found)| start..start + found.len())
        .filter(|found| marks.iter().all(|mark| !overlap(mark, found)))
        .collect()
}

/// Holds the redactions of a message against its text.
///
/// # Errors
///
/// See [`RedactionError`].
pub(super) fn check(message: &Message) -> Result<(), RedactionError> {
    if message.redactions.len() > limits::REDACTIONS_MAX {
        return Err(RedactionError::TooMany);
    }
    for redaction in &message.redactions {
        check_note(redaction.reason, redaction.note.as_ref())?;
    }
    let marks = marks(message).ok_or(RedactionError::MarkMissing)?;
    if marks.is_empty() {
        return Ok(());
    }
    // EXPOSE: only whether anything is left is looked at.
    something_left(message.text.expose(), &marks)
}

/// Takes out of a declaration what a redacted passage could be guessed by.
pub(super) fn unlink(content: &mut DeclarationContent) {
    let digests: Vec<_> = content
        .messages
        .iter()
        .filter(|message| !message.redactions.is_empty())
        .map(|message| message.source_sha256)
        .collect();
    if digests.is_empty() {
        return;
    }
    for message in &mut content.messages {
        if digests.contains(&message.source_sha256) {
            message.source_sha256 = None;
        }
    }
    if let Some(source) = &mut content.source {
        source.sha256 = None;
    }
}

/// The message without the passages.
fn redacted(message: &Message, passages: &[Passage]) -> Result<Message, RedactionError> {
    // EXPOSE: what is left of it goes into another text.
    let text = message.text.expose();
    let earlier = marks(message).ok_or(RedactionError::MarkMissing)?;
    let mut all: Vec<(Range<usize>, RedactionReason, Option<&Text>)> = message
        .redactions
        .iter()
        .zip(earlier)
        .map(|(redaction, range)| (range, redaction.reason, redaction.note.as_ref()))
        .collect();
    for passage in passages {
        if passage.range.is_empty() || text.get(passage.range.clone()).is_none() {
            return Err(RedactionError::NotThere);
        }
        check_note(passage.reason, passage.note.as_ref())?;
        all.push((passage.range.clone(), passage.reason, passage.note.as_ref()));
    }
    if all.len() > limits::REDACTIONS_MAX {
        return Err(RedactionError::TooMany);
    }
    all.sort_by_key(|(range, ..)| range.start);
    let ranges: Vec<Range<usize>> = all.iter().map(|(range, ..)| range.clone()).collect();
    if ranges.windows(2).any(|pair| match pair {
        [one, next] => overlap(one, next),
        _ => false,
    }) {
        return Err(RedactionError::Overlap);
    }
    something_left(text, &ranges)?;
    // Made once and long enough, so that no copy of the text stays where it grew.
    let mut out = String::with_capacity(text.len() + all.len() * REDACTED.len());
    let mut redactions = Vec::with_capacity(all.len());
    let (mut done, mut chars) = (0, 0_usize);
    for (range, reason, note) in all {
        let kept = text.get(done..range.start).unwrap_or_default();
        out.push_str(kept);
        chars += kept.chars().count();
        redactions.push(Redaction {
            at: u32::try_from(chars).map_err(|_| RedactionError::NotThere)?,
            reason,
            note: note.cloned(),
        });
        out.push_str(REDACTED);
        chars += REDACTED.len();
        done = range.end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Ok(Message {
        at: message.at.clone(),
        author: message.author.clone(),
        text: Sensitive::new(out),
        source_sha256: None,
        flags: message.flags.clone(),
        redactions,
    })
}

/// Where the marks of a message's redactions stand, in bytes; `None` where one does not.
fn marks(message: &Message) -> Option<Vec<Range<usize>>> {
    // EXPOSE: only the marks are looked for.
    let text = message.text.expose();
    let mut places = text.char_indices().map(|(byte, _)| byte).enumerate();
    let mut marks: Vec<Range<usize>> = Vec::with_capacity(message.redactions.len());
    for redaction in &message.redactions {
        let at = usize::try_from(redaction.at).ok()?;
        let (_, start) = places.find(|(chars, _)| *chars == at)?;
        let mark = start..start + REDACTED.len();
        let follows = marks.last().is_none_or(|last| last.end <= mark.start);
        if !follows || text.get(mark.clone()) != Some(REDACTED) {
            return None;
        }
        marks.push(mark);
    }
    Some(marks)
}

fn something_left(text: &str, out: &[Range<usize>]) -> Result<(), RedactionError> {
    let stays = |byte: usize| out.iter().all(|range| !range.contains(&byte));
    text.char_indices()
        .any(|(byte, c)| says_something(c) && stays(byte))
        .then_some(())
        .ok_or(RedactionError::NothingLeft)
}

/// Blanks, punctuation and the marks that no one sees say nothing by themselves.
fn says_something(c: char) -> bool {
    let unseen = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    !c.is_whitespace() && !c.is_control() && !c.is_ascii_punctuation() && !unseen
}

fn check_note(reason: RedactionReason, note: Option<&Text>) -> Result<(), RedactionError> {
    // EXPOSE: only its length is looked at.
    let note = note.map(|note| note.expose().as_str()).unwrap_or_default();
    if reason == RedactionReason::Other && note.trim().is_empty() {
        Err(RedactionError::NoteMissing)
    } else if note.chars().count() > limits::SHORT_TEXT_MAX_CHARS {
        Err(RedactionError::NoteTooLong)
    } else {
        Ok(())
    }
}

fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

fn is_earlier_wording(message: &Message) -> bool {
    message.flags.iter().any(|flag| flag == EARLIER_WORDING)
}

#[cfg(test)]
mod tests;
