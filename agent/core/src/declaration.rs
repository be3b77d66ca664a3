//! Declarations: from what the holder has entered to what may be sealed and sent.
//!
//! A [`Draft`] is whatever the holder has entered so far. [`check`] holds it against the policy
//! and names everything that is missing or against the rules, at once, so that a form can show
//! all of it. What comes out is a [`Preview`]: the exact content that would be declared, which
//! the holder sees. Only a preview can be declared (invariant I3).
//!
//! Material marked above OFFICIAL-SENSITIVE is refused by [`refuse_above_official_sensitive`]
//! before a draft is stored (invariant I7).

mod origin;
mod redact;
mod rules;

use candour_wire::content::{
    Attachment, Capture, DeclarationContent, DeviceOwnership, Direction, Disappearing, Extent,
    Message, Participant, Person, Significance, Source, Text,
};
use candour_wire::time::MessageTime;
use candour_wire::{ChannelId, Code};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use origin::{Origin, Origins};
pub use redact::{Passage, RedactionError, occurrences};
pub use rules::{check, refuse_above_official_sensitive};

/// What the holder has entered so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    /// Where the conversation took place.
    pub channel: Option<ChannelId>,
    /// Which way the messages went.
    pub direction: Option<Direction>,
    /// Who took part, besides the holder.
    pub participants: Vec<Participant>,
    /// When; taken from the first message where it is not given.
    pub occurred: Option<MessageTime>,
    /// How the content came into Candour; worked out from the content where it is not given.
    pub capture: Option<Capture>,
    /// Whose device the messages were on; a government device where it is not given.
    pub device: Option<DeviceOwnership>,
    /// Significant or logistical.
    pub significance: Option<Significance>,
    /// The marking's id; the policy's lowest where it is not given.
    pub marking: Option<String>,
    /// Handling instructions.
    pub handling: Option<Text>,
    /// Why a non-corporate channel was used.
    pub reason: Option<Text>,
    /// The exceptional circumstances.
    pub exceptional_circumstances: Option<Text>,
    /// The disappearing-messages setting; not known where it is not given.
    pub disappearing: Option<Disappearing>,
    /// Complete or an extract; an extract where it is not given.
    pub extent: Option<Extent>,
    /// Who declares; the phone's holder where it is not given.
    pub declared_by: Option<Person>,
    /// For whom.
    pub on_behalf_of: Option<Person>,
    /// The messages.
    pub messages: Vec<Message>,
    /// What each of `messages`, in the same order, is in whichever export it stands; `None` where
    /// it came from none, and for those that are left out at the end. Not declared: it stays on
    /// the handset, so that the message is known when its export is read again.
    pub origins: Vec<Option<Origin>>,
    /// A note of the substance.
    pub substance: Option<Text>,
    /// Files, sealed into the spool already.
    pub attachments: Vec<Attachment>,
    /// The exported file that the messages were taken from.
    pub source: Option<Source>,
}

/// The exact content that would be declared, as the holder sees it before confirming.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    content: DeclarationContent,
    policy: u64,
    origins: Vec<Origin>,
}

impl Preview {
    /// The content, for showing.
    #[must_use]
    pub const fn content(&self) -> &DeclarationContent {
        &self.content
    }

    /// Version of the policy that it was held against.
    #[must_use]
    pub const fn policy(&self) -> u64 {
        self.policy
    }

    /// Days past the policy's deadline, where the declaration is late. Late is flagged, never
    /// refused.
    #[must_use]
    pub const fn late_days(&self) -> Option<u32> {
        self.content.late_days
    }

    /// What is to be sealed, and what stays here to know its messages by.
    pub(crate) fn into_parts(self) -> (DeclarationContent, Vec<Origin>) {
        (self.content, self.origins)
    }
}

/// What is known of the present. A handset's clock may be years out, and what it says must neither
/// refuse a message nor call a declaration late in evidence that is kept for decades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Present {
    /// The best guess, by which lateness is judged: the clock, or the last time that the department
    /// signed where the clock is known to be wrong.
    pub likely: Timestamp,
    /// The latest that it may be. Only what lies after it is in the future.
    pub latest: Timestamp,
}

/// One thing that is missing from a draft or against the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The draft's field, as it is named in JSON.
    pub field: &'static str,
    /// The stable code.
    pub code: Code,
    /// What is wrong in this case; never content.
    pub detail: Option<String>,
}

/// A draft may not be declared as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the declaration is not complete: {}", .0.iter().map(|v| format!("{} ({})", v.field, v.code)).collect::<Vec<_>>().join(", "))]
pub struct Violations(pub Vec<Violation>);

impl Violations {
    /// The code that stands for all of them: the first one's.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0
            .first()
            .map_or(Code::UsageInvalid, |violation| violation.code)
    }
}

#[cfg(test)]
mod tests;
