//! Exported chats, read as evidence.
//!
//! A wrong author or a wrong date is worse than a refusal, so this crate never guesses in
//! silence: what it cannot decide it asks ([`ImportError::NeedsDateOrder`]) or flags
//! ([`Doubt`]). It is pure: bytes come in as `&[u8]`, or as a [`Bundle`] of files that the caller
//! opens; no clock is read, nothing is kept.
//!
//! What holds for every [`Conversation`]:
//!
//! - In a chat text messages tile the source: the preamble and the messages, in order, are the
//!   file, byte for byte. In formats with a grammar of their own (JSON, XML, e-mail) a message is
//!   exactly its object, element or part, no two overlap, and what stands between them is the
//!   grammar's. Nothing is trimmed, normalised or dropped; a row is classified, not deleted.
//! - [`Message::source`] gives the original bytes of a message and [`Message::digest`] their
//!   SHA-256.
//! - No input makes it panic, and none makes it allocate more than a small multiple of the input.
//!
//! The index is offsets into the source bytes (32 bytes a message); text is decoded only for the
//! messages that are looked at. An export of a whole account is listed with [`conversations`]; the
//! one that [`Options::conversation`] names is indexed, and nothing of the others is kept.
//!
//! ```
//! let text = "13/02/2024, 09:05 - Alice Example: The annex is late.\n";
//! let chat = candour_import::import(text.as_bytes(), &Default::default())?;
//! let message = chat.message(0).expect("there is one");
//! assert_eq!(message.author().as_deref(), Some("Alice Example"));
//! assert_eq!(message.text(), "The annex is late.");
//! assert_eq!(message.source(), text.as_bytes());
//! # Ok::<(), candour_import::ImportError>(())
//! ```
//!
//! `Debug` of the types here prints counts and places, never content.

mod archive;
mod attachment;
mod bundle;
mod conversation;
mod dialect;
mod error;
mod export;
mod files;
mod format;
mod json;
pub mod limits;
mod mail;
mod message;
mod meta;
mod options;
mod pasted;
mod people;
mod row;
mod selected;
mod signal;
mod slack;
mod sms;
mod stamp;
mod tally;
mod teams;
mod telegram;
mod whatsapp;
mod words;
mod xml;

pub use archive::Archive;
pub use attachment::{Attachment, Place, Revision};
pub use bundle::{Bundle, Entry, Refusal};
pub use conversation::{Caveat, Conversation};
pub use error::ImportError;
pub use export::{ChatFiles, Export, FileReader};
pub use format::{Format, Summary, conversations, import, import_files, sniff};
pub use message::Message;
pub use options::{DateOrder, EmbeddedHeaders, Options, OrderBasis};
pub use pasted::import_pasted;
pub use row::{Doubt, RowKind};
pub use selected::SelectedChat;
pub use signal::{list_signal, select_signal};
pub use sms::{list_sms, select_sms};
pub use stamp::Stamp;
pub use whatsapp::{ChatStream, Layout, Part, title_from_name};
