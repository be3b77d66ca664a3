//! What is inside the sealed box of a declaration. Only the handset that made it and the records
//! role ever see it (invariant I5).

use serde::{Deserialize, Serialize};

use crate::attachment::AttachmentKey;
use crate::digest::Digest;
use crate::id::ChannelId;
use crate::sensitive::Sensitive;
use crate::time::MessageTime;

/// Personal text: a name, a message, a reason.
pub type Text = Sensitive<String>;

/// The content of a declaration or of an amendment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclarationContent {
    /// Where the conversation took place.
    pub channel: ChannelId,
    /// Which way the messages went.
    pub direction: Direction,
    /// Who took part, besides the holder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub participants: Vec<Participant>,
    /// When the exchange took place; the first message's time where there are several.
    pub occurred: MessageTime,
    /// How the content came into Candour.
    pub capture: Capture,
    /// Whose device the messages were on.
    pub device: DeviceOwnership,
    /// Whether this is significant government information or logistics.
    pub significance: Significance,
    /// The marking's id in the policy, such as `official`.
    pub marking: String,
    /// Handling instructions that go with the marking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handling: Option<Text>,
    /// Why a non-corporate channel was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
    /// The exceptional circumstances, where a private device carried significant or SENSITIVE
    /// business (Cabinet Office, *Using non-corporate communication channels*, March 2023).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exceptional_circumstances: Option<Text>,
    /// The disappearing-messages setting of the conversation.
    pub disappearing: Disappearing,
    /// Whether this is all of the conversation or part of it.
    pub extent: Extent,
    /// Who declares.
    pub declared_by: Person,
    /// For whom, when a private office declares for a minister or a senior official.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Person>,
    /// The messages, in the order of the source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    /// A note of what was said and decided, in place of or beside the messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substance: Option<Text>,
    /// The files, with the keys that open them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The exported file that the messages were taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Days past the policy's deadline at which it was declared. Lateness is flagged, never
    /// refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_days: Option<u32>,
}

/// The content of a withdrawal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawalContent {
    /// Why the declaration is taken back.
    pub reason: Text,
    /// Who takes it back.
    pub declared_by: Person,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal, $label:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every value, in the order in which a form shows them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in JSON and on the command line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The words that a person reads.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(UnknownWord { choices: concat!($($word, " ",)*).trim_ascii_end() }),
                }
            }
        }
    };
}

/// The word is not one of the choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("choose one of: {choices}")]
pub struct UnknownWord {
    choices: &'static str,
}

words! {
    /// Which way the messages went, from the holder's side.
    Direction {
        /// The holder sent them.
        Sent = "sent", "Sent";
        /// The holder received them.
        Received = "received", "Received";
        /// Both.
        Both = "both", "Sent and received";
    }
}
words! {
    /// How the content came into Candour.
    Capture {
        /// Text copied and pasted by the holder.
        Paste = "paste", "Pasted text";
        /// Chosen messages of an exported chat.
        Export = "export", "Exported chat";
        /// A screenshot or another file.
        File = "file", "Screenshot or file";
        /// A note of the substance, where the messages themselves are not at hand.
        Note = "note", "Note of the substance";
    }
}
words! {
    /// Whose device the messages were on.
    DeviceOwnership {
        /// The department's.
        Government = "government", "Government device";
        /// The holder's own, or another person's.
        Private = "private", "Private device";
    }
}
words! {
    /// What kind of information this is (Cabinet Office guidance, March 2023, "significant
    /// government information").
    Significance {
        /// Information that bears on the development of policy, on decisions or on delivery.
        Significant = "significant", "Significant government information";
        /// Arrangements: times, places, who is free.
        Logistical = "logistical", "Logistical";
    }
}
words! {
    /// The disappearing-messages setting of the conversation.
    Disappearing {
        /// Off.
        Off = "off", "Off";
        /// On.
        On = "on", "On";
        /// The holder does not know.
        Unknown = "unknown", "Not known";
    }
}
words! {
    /// How much of the conversation this is.
    Extent {
        /// All of it.
        Complete = "complete", "Complete";
        /// The part that is government business.
        Extract = "extract", "Extract";
    }
}
words! {
    /// Why a passage was taken out of a message.
    RedactionReason {
        /// It is personal data of somebody who is no party to the business.
        ThirdPartyPersonal = "third_party_personal", "Somebody else's personal information";
        /// It is private and has nothing to do with the business.
        UnrelatedPrivate = "unrelated_private", "Private and unrelated to the business";
        /// Something else, which the note says.
        Other = "other", "Another reason";
    }
}

/// Someone who took part in the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Name as the holder or the export gives it.
    pub name: Text,
    /// Role, such as "Special adviser".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Text>,
}

/// Someone who answers for a declaration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Name.
    pub name: Text,
    /// Role, such as "Private secretary to the Chief Secretary".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Text>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// When, as the source shows it; absent where it shows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<MessageTime>,
    /// Who wrote it; absent for the app's own rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Text>,
    /// What it says; [`REDACTED`] stands for each passage of `redactions`.
    pub text: Text,
    /// Digest of the message's bytes in the source, so that it can be told from any other. Absent
    /// where something was redacted: whoever can read the rest could try guesses of the passage
    /// against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_sha256: Option<Digest>,
    /// What the import found odd about it, such as a time that runs backwards; see [`flag`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// The passages that were taken out before it was declared, in the order of the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redactions: Vec<Redaction>,
}

/// What stands in a text in place of a passage that was taken out, however long that was.
pub const REDACTED: &str = "[redacted]";

/// That a passage was taken out of a message before it was declared, and why. The passage itself
/// is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redaction {
    /// Where its [`REDACTED`] begins in the text, in characters (Unicode scalar values). The author
    /// may have written the same word; only these places are redactions.
    pub at: u32,
    /// Why.
    pub reason: RedactionReason,
    /// More about why, in a few words; always there for [`RedactionReason::Other`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Text>,
}

/// Those of [`Message::flags`] that have a meaning of their own on the wire or by the rules.
pub mod flag {
    /// This is what the message after it said before it was edited.
    pub const EARLIER_WORDING: &str = "earlier_wording";
    /// The export holds earlier wordings of this message, and they were left out because something
    /// of the message was redacted.
    pub const EARLIER_LEFT_OUT: &str = "earlier_wordings_left_out";
    /// It is longer than one message can be, so it is not one. Such a message is not declared.
    pub const TOO_LONG: &str = "too_long";
}

/// A file, with the key that opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Name as the holder's device gave it.
    pub name: Text,
    /// Length of the file in bytes.
    pub size: u64,
    /// Digest of the file.
    pub sha256: Digest,
    /// Digest of the sealed file: where it is kept.
    pub sealed_sha256: Digest,
    /// Length of the sealed file in bytes.
    pub sealed_size: u64,
    /// Opens the sealed file.
    pub key: AttachmentKey,
}

/// The exported file that messages were taken from. The file itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Such as `whatsapp_android`.
    pub format: String,
    /// Digest of the chat's text as exported. Absent where something was redacted: where most of
    /// the chat is declared, guesses of the passage could be tried against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// Messages in the export.
    pub messages: u64,
    /// The order of day and month that was found or chosen, such as `dmy`.
    pub date_order: String,
    /// Why it was taken, such as `over_twelve` or `given` by the holder; absent where the format
    /// leaves nothing to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_order_basis: Option<String>,
}
