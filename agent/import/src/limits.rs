//! Limits, each with its reason. They are checked before anything of that size is allocated.

/// Largest chat text, in bytes.
///
/// WhatsApp exports at most 40,000 messages, some 10 MB; half a gibibyte leaves room for other
/// tools and still fits, with its index, in a phone's memory.
pub const TEXT_MAX_BYTES: usize = 512 << 20;

/// Most messages in one conversation: a thousand a day for twenty years.
pub const MESSAGES_MAX: usize = 8_000_000;

/// Most files that one export may be: Messenger begins a new one every 10,000 messages; a folder
/// of letters has one each.
pub const FILES_MAX: usize = 20_000;

/// Most authors in one conversation, or conversations in one export: Telegram's groups hold 200,000
/// people at a time.
pub const PEOPLE_MAX: usize = 1_000_000;

/// Longest line of a Signal export that is read in parts, in bytes: a text of 128 KiB with its
/// earlier wordings, of which there are ten, and a group with 1,000 members are under 4 MiB.
pub const LINE_MAX_BYTES: usize = 8 << 20;

/// Longest message that can be one, in bytes.
///
/// WhatsApp takes 65,536 UTF-16 units, at most 3 bytes of UTF-8 each; the rest is room for a
/// quoted media line. What is longer was not written by one person in one message.
pub const MESSAGE_MAX_BYTES: usize = 256 << 10;

/// Longest header (up to the author), in bytes: the longest known one, Hindi digits and day part
/// with direction marks, is under 100.
pub const HEADER_MAX_BYTES: usize = 160;

/// Longest author's name, in bytes: phone books take 256 characters of up to 4 bytes.
pub const AUTHOR_MAX_BYTES: usize = 1_024;

/// How far into a text the first header must be found, in bytes. Exports begin with one; a few
/// lines of preamble come from tools that split or print chats.
pub const PREAMBLE_MAX_BYTES: usize = 64 << 10;

/// Most files in an export: WhatsApp puts at most 10,000 media files into an export; Signal's
/// holds the files of a whole account, some ten thousands.
pub const ENTRIES_MAX: usize = 60_000;

/// Longest name of a file or folder in an export, in bytes: 255 is what common file systems take.
pub const ENTRY_NAME_MAX_BYTES: usize = 255;

/// Longest path of a file in an export, in bytes: 1,024 is what macOS and iOS take. Facebook's are
/// some 200.
pub const ENTRY_PATH_MAX_BYTES: usize = 1_024;

/// Most folders above a file of an export. WhatsApp's are flat and Signal's nests its files two
/// deep; Facebook's and Instagram's are the deepest with six
/// (`facebook-x-date/your_facebook_activity/messages/inbox/name_123/photos/`), and an archive that
/// was packed again by hand has a folder or two around them.
pub const ENTRY_DEPTH_MAX: usize = 8;

/// Largest single file that an export may announce, in bytes: WhatsApp sends documents of up to
/// 2 GiB.
pub const ENTRY_MAX_BYTES: u64 = 2 << 30;

/// Most bytes that one compressed byte may become.
///
/// Chat text deflates 4 to 12 times and media hardly at all; deflate itself can reach 1,032, which
/// only runs of one byte do.
pub const RATIO_MAX: u64 = 200;

/// Entries that inflate to less than this, in bytes, may have any ratio: a small file of blanks
/// harms nobody.
pub const RATIO_FREE_BYTES: u64 = 4 << 20;

/// Longest message of a chat that is read in parts, in bytes. A message is held whole, and no
/// app's is a tenth of this; what is longer is not a chat.
pub const STREAM_MESSAGE_MAX_BYTES: u64 = 4 << 20;

/// Most names in a chat that is read in parts: a group has at most 1,024 members, and some rows of
/// the app look as if they had a name.
pub const STREAM_NAMES_MAX: usize = 16_384;

/// How long these names may be together, in bytes: 64 each.
pub const STREAM_NAMES_MAX_BYTES: usize = 64 * STREAM_NAMES_MAX;

/// Longest list of addresses, or of names, of a text message, in bytes: an MMS goes to at most some
/// hundred people. One that is longer counts as none.
pub const SMS_VALUE_MAX_BYTES: usize = 64 << 10;

/// Most people that are looked at of those whom an MMS names one by one.
pub const SMS_PEOPLE_MAX: usize = 1_000;

/// How long the addresses and names of all chats of a phone may be together, in bytes: a million
/// chats of 64 each.
pub const SMS_CHATS_MAX_BYTES: usize = 64 << 20;

/// Longest tag of an export of text messages that is read in parts, in bytes, without values over
/// [`SMS_VALUE_MAX_BYTES`]: the app's are under 4 KiB.
pub const SMS_TAG_MAX_BYTES: usize = 1 << 20;

/// Longest header field of a mail that is parsed, in bytes: a thousand recipients of 64 bytes. A
/// longer one is shown as it stands, and names nobody.
pub const HEADER_FIELD_MAX_BYTES: usize = 64 << 10;

/// Longest header field with parameters that is parsed, in bytes: a file's name of 255 characters
/// in the form of RFC 2231 takes 3 KiB, and parameters are looked for among each other.
pub const MIME_FIELD_MAX_BYTES: usize = 4 << 10;

/// Most parts of a mail that are looked at: a digest of a busy list has some hundreds.
pub const PARTS_MAX: usize = 1_000;

/// Most multiparts within each other: real mails have four or five, forwarded ones a few more.
pub const PART_DEPTH_MAX: usize = 16;

/// How much of one text part of a mail is decoded, in bytes: far more than is shown, which is what a
/// record takes, since HTML has more form than words.
pub const MAIL_TEXT_MAX_BYTES: usize = 4 << 20;
