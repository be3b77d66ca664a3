//! Which export is it? Decided by content, never by a file's name.
//!
//! A format is a module with three functions: `looks_like(start) -> bool`, by the first
//! [`PREAMBLE_MAX_BYTES`]; `conversations(&Files, &Options) -> Result<Vec<Summary>, _>`, where an
//! export can hold several; and `import(…) -> Result<Conversation, _>`, whose rows are shown by the
//! module's [`Dialect`](crate::dialect::Dialect).

use std::fmt;

use crate::files::Files;
use crate::limits::{PREAMBLE_MAX_BYTES, TEXT_MAX_BYTES};
use crate::{Conversation, ImportError, Options, Stamp};
use crate::{mail, meta, signal, slack, sms, teams, telegram, whatsapp};

/// A kind of export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A WhatsApp chat text, as `_chat.txt` (iOS) or `WhatsApp Chat with ….txt` (Android).
    WhatsAppText,
    /// The `main.jsonl` of a Signal export.
    Signal,
    /// The `result.json` of Telegram Desktop, of one chat or of an account.
    Telegram,
    /// The `sms-….xml` of SMS Backup & Restore: text messages and MMS of a whole phone.
    Sms,
    /// The `messages.json` of Skype and of the free Teams; nothing in it says of which.
    Teams,
    /// The `message_N.json` of Facebook's or Instagram's download; nothing in it says of which.
    Meta,
    /// A file of Messenger's download of end-to-end encrypted chats.
    MessengerEncrypted,
    /// The days of one channel of a Slack export, with the lists at its root.
    Slack,
    /// One e-mail.
    Eml,
    /// A mailbox in the mbox format.
    Mbox,
    /// Text that the holder copied out of an app; see [`import_pasted`](crate::import_pasted).
    /// Never recognised, only said.
    Pasted,
    /// A zip archive; see [`Export`](crate::Export).
    Zip,
}

impl Format {
    /// Every format there is.
    pub const ALL: [Self; 12] = [
        Self::WhatsAppText,
        Self::Signal,
        Self::Telegram,
        Self::Sms,
        Self::Teams,
        Self::Meta,
        Self::MessengerEncrypted,
        Self::Slack,
        Self::Eml,
        Self::Mbox,
        Self::Pasted,
        Self::Zip,
    ];

    /// The name used in records and on screen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WhatsAppText => "whatsapp_text",
            Self::Signal => "signal_jsonl",
            Self::Telegram => "telegram_json",
            Self::Sms => "sms_xml",
            Self::Teams => "skype_teams_json",
            Self::Meta => "meta_json",
            Self::MessengerEncrypted => "messenger_e2ee_json",
            Self::Slack => "slack_json",
            Self::Eml => "eml",
            Self::Mbox => "mbox",
            Self::Pasted => "pasted_text",
            Self::Zip => "zip",
        }
    }

    /// The id of the channel, in the policy's catalogue, that such an export comes from; `None`
    /// where it can come from several.
    #[must_use]
    pub const fn channel(self) -> Option<&'static str> {
        match self {
            Self::WhatsAppText => Some("whatsapp"),
            Self::Signal => Some("signal"),
            Self::Telegram => Some("telegram"),
            Self::Sms => Some("sms"),
            Self::MessengerEncrypted => Some("messenger"),
            Self::Slack => Some("slack"),
            Self::Eml | Self::Mbox => Some("private-email"),
            Self::Teams | Self::Meta | Self::Pasted | Self::Zip => None,
        }
    }
}

/// One conversation of an export, before it is chosen.
#[derive(Clone, PartialEq, Eq)]
pub struct Summary {
    /// Tells it from the others of the same export; for [`Options::conversation`].
    pub id: String,
    /// Its title, or the name of the other person.
    pub title: Option<String>,
    /// How many rows it has, the app's own among them.
    pub messages: usize,
    /// The earliest time in it.
    pub first: Stamp,
    /// The latest time in it.
    pub last: Stamp,
}

impl fmt::Debug for Summary {
    /// Without the title, which is content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Summary")
            .field("messages", &self.messages)
            .finish_non_exhaustive()
    }
}

/// Recognises an export by its first bytes; 64 KiB of them are enough.
#[must_use]
pub fn sniff(start: &[u8]) -> Option<Format> {
    let start = start.get(..PREAMBLE_MAX_BYTES).unwrap_or(start);
    // APPNOTE 4.3.7 and 4.3.16: a local file header, or the end record of an empty archive.
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        return Some(Format::Zip);
    }
    if signal::looks_like(start) {
        return Some(Format::Signal);
    }
    if telegram::looks_like(start) {
        return Some(Format::Telegram);
    }
    if sms::looks_like(start) {
        return Some(Format::Sms);
    }
    if teams::looks_like(start) {
        return Some(Format::Teams);
    }
    if let Some(format) = meta::looks_like(start) {
        return Some(format);
    }
    if slack::looks_like(start) {
        return Some(Format::Slack);
    }
    // Before chat texts, which a mail may hold: a mail is known by its first lines alone.
    if mail::is_mailbox(start) {
        return Some(Format::Mbox);
    }
    if mail::is_message(start) {
        return Some(Format::Eml);
    }
    whatsapp::looks_like(start).then_some(Format::WhatsAppText)
}

/// Indexes an export that is one file. Linear in the length of `source`; copies none of it.
///
/// Of an export of several conversations, the one that `options` names is indexed and nothing is
/// kept of the others.
///
/// # Errors
///
/// [`ImportError::UnknownFormat`] when it is no export (an archive is opened with
/// [`Export`](crate::Export) first), [`ImportError::NeedsConversation`] when it holds several
/// conversations and `options` names none, [`ImportError::NeedsDateOrder`] when day and month
/// cannot be told apart and `options` does not say, and those about limits.
pub fn import<'a>(
    source: &'a [u8],
    options: &Options<'_>,
) -> Result<Conversation<'a>, ImportError> {
    import_files(&[source], options)
}

/// Indexes an export that may be several files of one format, given in any order.
///
/// # Errors
///
/// As [`import`]; [`ImportError::FilesDiffer`] when they are not of one format, or of one that is
/// a single file.
pub fn import_files<'a>(
    files: &[&'a [u8]],
    options: &Options<'_>,
) -> Result<Conversation<'a>, ImportError> {
    let format = recognise(files)?;
    match format {
        Format::WhatsAppText => whatsapp::import(single(files)?, options),
        Format::Signal => signal::import(single(files)?, options),
        Format::Telegram => telegram::import(single(files)?, options),
        Format::Sms => sms::import(single(files)?, options),
        Format::Teams => teams::import(single(files)?, options),
        Format::Meta | Format::MessengerEncrypted => {
            meta::import(Files::several(files)?, format, options)
        }
        Format::Slack => slack::import(Files::several(files)?, options),
        Format::Eml | Format::Mbox => mail::import(files, format, options),
        Format::Pasted | Format::Zip => Err(ImportError::UnknownFormat),
    }
}

/// Lists the conversations of an export, in its order. Linear in the length of the files.
///
/// # Errors
///
/// As [`import_files`].
pub fn conversations(files: &[&[u8]], options: &Options<'_>) -> Result<Vec<Summary>, ImportError> {
    let format = recognise(files)?;
    match format {
        Format::WhatsAppText | Format::Slack => Ok(vec![summary(&import_files(files, options)?)]),
        Format::Signal => signal::conversations(single(files)?),
        Format::Telegram => telegram::conversations(single(files)?),
        Format::Sms => sms::conversations(single(files)?),
        Format::Teams => teams::conversations(single(files)?),
        Format::Meta | Format::MessengerEncrypted => {
            meta::conversations(&Files::several(files)?, format)
        }
        Format::Eml | Format::Mbox => mail::conversations(files, format, options),
        Format::Pasted | Format::Zip => Err(ImportError::UnknownFormat),
    }
}

/// The one format of `files`, none of which is too large.
fn recognise(files: &[&[u8]]) -> Result<Format, ImportError> {
    Files::several(files)?;
    let mut formats = files.iter().map(|file| sniff(file));
    let Some(first) = formats.next().flatten() else {
        let tar = files.first().is_some_and(|file| teams::is_tar(file));
        return Err(if tar {
            ImportError::Tar
        } else {
            ImportError::UnknownFormat
        });
    };
    if formats.all(|format| format == Some(first)) {
        Ok(first)
    } else {
        Err(ImportError::FilesDiffer)
    }
}

fn single<'a>(files: &[&'a [u8]]) -> Result<&'a [u8], ImportError> {
    match files {
        [file] if file.len() <= TEXT_MAX_BYTES => Ok(file),
        [file] => Err(ImportError::TooLarge {
            bytes: file.len() as u64,
            max: TEXT_MAX_BYTES as u64,
        }),
        _ => Err(ImportError::FilesDiffer),
    }
}

/// The summary of a conversation that is the only one of its export.
fn summary(chat: &Conversation<'_>) -> Summary {
    let mut rows = chat
        .rows
        .iter()
        .filter(|row| row.clock != crate::row::Clock::None);
    let first = rows.clone().min_by_key(|row| row.time);
    let last = rows.by_ref().max_by_key(|row| row.time);
    Summary {
        id: String::new(),
        title: chat.title().map(str::to_owned),
        messages: chat.len(),
        first: first.map_or(Stamp::None, Stamp::of),
        last: last.map_or(Stamp::None, Stamp::of),
    }
}
