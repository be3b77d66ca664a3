//! Limits, each with its reason. Both sides enforce them: the agent before it stores, the server
//! before it reads.

/// Longest JWS that a record may be, in bytes.
///
/// 1 MiB holds about 4,000 messages of 200 characters once sealed and encoded. A larger
/// selection is several declarations; files travel as attachments.
pub const RECORD_MAX_BYTES: usize = 1 << 20;

/// Longest sealed plaintext of a declaration, in bytes.
///
/// Base64url twice over (sealed box in the payload, payload in the JWS) makes 16/9 of it; padding
/// adds at most 12%; so 512 KiB stays inside [`RECORD_MAX_BYTES`].
pub const CONTENT_MAX_BYTES: usize = 512 << 10;

/// Most records in one batch.
///
/// At about 0.1 ms to verify each signature a batch holds a core for some 6 ms, short enough to
/// share it fairly.
pub const BATCH_MAX_RECORDS: usize = 64;

/// Longest batch request body, decompressed, in bytes: four full-size records.
pub const BATCH_MAX_BYTES: usize = 4 << 20;

/// Longest batch request body as sent (before decompression), in bytes.
///
/// Same as decompressed, so that an uncompressed batch fits.
pub const BATCH_MAX_WIRE_BYTES: usize = BATCH_MAX_BYTES;

/// Longest batch reply that a handset reads, in bytes: 64 receipts of at most 64 path hashes each
/// are under 200 KiB; the rest is room for refusals' details.
pub const REPLY_MAX_BYTES: usize = 512 << 10;

/// Longest policy bundle, in bytes: a catalogue of 200 apps is about 80 KiB.
pub const POLICY_MAX_BYTES: usize = 1 << 20;

/// Longest checkpoint note, in bytes: a body of four lines and up to a dozen witnesses'
/// signatures.
pub const CHECKPOINT_MAX_BYTES: usize = 8 << 10;

/// Largest attachment, plaintext, in bytes. WhatsApp's own limit for photographs and voice notes
/// is well under it; longer video is described in a substance note.
pub const ATTACHMENT_MAX_BYTES: u64 = 100 << 20;

/// Most attachments of one declaration: as many as one chat export usually brings in a day.
pub const ATTACHMENTS_MAX: usize = 64;

/// Largest piece of an attachment in one request, in bytes: one piece is what a cut-off upload
/// repeats at most.
pub const ATTACHMENT_PIECE_MAX_BYTES: usize = 1 << 20;

/// Longest PKCS#10 request, base64, in bytes: a P-256 request is under 1 KiB.
pub const CSR_MAX_BYTES: usize = 8 << 10;

/// Most apps in a catalogue. The list of what may be asked about must stay short enough to read
/// (invariant I1), and iOS lets an app declare only 50 URL schemes.
pub const CATALOGUE_MAX_APPS: usize = 200;

/// Most messages in one declaration, so that the preview the holder confirms can be read.
pub const MESSAGES_MAX: usize = 2_000;

/// Most participants of one declaration: WhatsApp's largest group.
pub const PARTICIPANTS_MAX: usize = 1_024;

/// Longest short text field (a name, a handling instruction), in characters.
pub const SHORT_TEXT_MAX_CHARS: usize = 200;

/// Longest free text field (a reason, exceptional circumstances), in characters.
pub const LONG_TEXT_MAX_CHARS: usize = 4_000;

/// Longest message or substance note, in characters: WhatsApp's own limit for one message.
pub const MESSAGE_MAX_CHARS: usize = 65_536;

/// Most passages that are redacted in one message: whoever takes out more writes a note of the
/// substance instead.
pub const REDACTIONS_MAX: usize = 100;
