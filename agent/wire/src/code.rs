//! The stable codes of everything that can go wrong, in one place.
//!
//! Programs match on the code and on [`Code::retry`]; people read [`Code::advice`]. Nobody
//! matches a sentence.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::chain::Head;

/// What a handset does about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Try again later; nothing is condemned.
    Later,
    /// Chain the waiting records onto the head that the server named and send them again.
    Rechain,
    /// Set this record aside, show it to the holder, go on with the rest.
    Quarantine,
    /// Stop until a person or the device team has acted.
    Stop,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $status:literal, $retry:ident, $title:literal, $advice:literal;)*) => {
        /// A stable error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $title] $(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code there is, for documentation and for checks across languages.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it stands in JSON, logs and documentation.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The HTTP status that carries the code when it ends a request; 0 where it never
            /// travels.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// What a handset does about it.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry,)* }
            }

            /// One sentence: what happened.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// One sentence: what to do next.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)* }
            }
        }

        impl FromStr for Code {
            type Err = UnknownCode;

            fn from_str(text: &str) -> Result<Self, UnknownCode> {
                match text { $($text => Ok(Self::$variant),)* _ => Err(UnknownCode) }
            }
        }
    };
}

/// The text is not a code that this version knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a newer or foreign error code")]
pub struct UnknownCode;

codes! {
    // The connection.
    Unreachable = "unreachable", 0, Later, "The department's server cannot be reached", "Check the network connection; the phone tries again by itself.";
    TimedOut = "timed_out", 408, Later, "The server took too long", "Nothing needs doing; the phone tries again by itself.";
    ProxyFailed = "proxy_failed", 0, Later, "The web proxy refused the connection", "Ask the device team to check the proxy setting of Candour.";
    ServerNotTrusted = "server_not_trusted", 0, Stop, "The server's certificate is not the department's", "Do not use this network for Candour; tell the device team, since the connection may be intercepted.";
    ServerCertificateExpired = "server_certificate_expired", 0, Later, "The server's certificate has expired", "Tell the device team that the server needs a new certificate.";
    CertificateExpired = "certificate_expired", 401, Stop, "This phone's certificate has expired", "Ask the device team for a new enrolment token.";
    CertificateRefused = "certificate_refused", 401, Stop, "The server does not accept this phone's certificate", "Ask the device team whether this phone is still enrolled.";
    HandsetRevoked = "handset_revoked", 403, Stop, "This phone's enrolment has been withdrawn", "Ask the device team whether this was meant: they can let the phone back in, and records that wait stay on it.";
    BadReply = "bad_reply", 0, Later, "The server's answer is not one that Candour understands", "Tell the device team if this lasts; nothing has been lost.";
    TooManyRequests = "too_many_requests", 429, Later, "The server asks to be left alone for a while", "Nothing needs doing; the phone tries again by itself.";
    BudgetSpent = "budget_spent", 429, Later, "This phone has sent as much as it may in a day", "Nothing needs doing: the phone goes on tomorrow; tell the device team if it lasts.";
    Unavailable = "unavailable", 503, Later, "The server cannot answer now", "Nothing needs doing; the phone tries again by itself.";
    StorageFull = "storage_full", 507, Later, "The server has no room left", "Tell the team that runs the server; the phone keeps its records and tries again.";
    Internal = "internal", 500, Later, "The server met a fault of its own", "Tell the team that runs the server, with the time of the fault.";
    NotFound = "not_found", 404, Stop, "There is nothing at this address", "Check the address against the documentation.";
    MethodNotAllowed = "method_not_allowed", 405, Stop, "This address does not take that kind of request", "Check the request against the documentation.";
    BadRequest = "bad_request", 400, Stop, "The request is not well formed", "Check the request against the documentation.";
    BodyTooLarge = "body_too_large", 413, Stop, "The request is larger than this address takes", "Send fewer records at a time.";
    UnsupportedMediaType = "unsupported_media_type", 415, Stop, "The request's content type or encoding is not taken here", "Check the request against the documentation.";

    // Enrolment.
    TokenMissing = "token_missing", 401, Stop, "Enrolment needs a token", "Send the one-time token as the HTTP Basic password.";
    TokenUnknown = "token_unknown", 401, Stop, "This enrolment token is not known", "Check the token for typing errors, or ask the device team for another.";
    TokenUsed = "token_used", 401, Stop, "This enrolment token has been used by another key", "Ask the device team for a new token.";
    TokenExpired = "token_expired", 401, Stop, "This enrolment token has expired", "Ask the device team for a new token.";
    CsrInvalid = "csr_invalid", 400, Stop, "The certificate request cannot be read or its signature is wrong", "Send a PKCS#10 request in base64, signed by the key that it names.";
    CsrKeyRefused = "csr_key_refused", 400, Stop, "The certificate request's key is not of the kind taken here", "Make the request with an ECDSA P-256 key.";
    CsrKeyChanged = "csr_key_changed", 400, Stop, "A renewal must be for the key that is enrolled", "Renew with the same key, or enrol anew with a token.";
    EnrolledElsewhere = "enrolled_elsewhere", 409, Stop, "This phone's key is enrolled with another department", "Run `candour wipe` and enrol again, which makes a new key.";
    NotEnrolled = "not_enrolled", 0, Stop, "This phone is not enrolled yet", "Run `candour enrol` with the token from the device team.";
    AlreadyEnrolled = "already_enrolled", 0, Stop, "This phone is enrolled already", "Run `candour wipe` first if it is to be enrolled anew.";
    PinMismatch = "pin_mismatch", 0, Stop, "The department's certificate authority is not one of the pinned ones", "Check `ca_pins` in the configuration with the device team.";

    // Records.
    RecordMalformed = "record_malformed", 422, Quarantine, "The record cannot be read", "Update Candour; the record stays on the phone.";
    RecordVersion = "record_version", 422, Quarantine, "The record is of a version that the server does not know", "Tell the device team that the server needs an update; the record stays on the phone.";
    RecordTooLarge = "record_too_large", 422, Quarantine, "The record is larger than the server takes", "Declare fewer messages at a time.";
    SignatureInvalid = "signature_invalid", 422, Quarantine, "The record's signature is not this phone's", "Tell the device team; the record stays on the phone.";
    WrongHandset = "wrong_handset", 422, Quarantine, "The record names another phone", "Tell the device team; the record stays on the phone.";
    WrongStream = "wrong_stream", 422, Quarantine, "The record belongs to another address", "Tell the device team; the record stays on the phone.";
    MemberUnknown = "member_unknown", 422, Quarantine, "The record says more than a record of its kind may", "Tell the device team that the server needs an update, or that this phone's Candour was changed; the record stays on the phone.";
    AppNotInCatalogue = "app_not_in_catalogue", 422, Quarantine, "The record names an app that is not in the catalogue", "Nothing needs doing: only apps in the catalogue are reported.";
    BaseUnknown = "base_unknown", 422, Quarantine, "The server does not hold the app list that this change starts from", "Nothing needs doing: the phone sends its whole app list again.";
    PlaneRefused = "plane_refused", 422, Quarantine, "The record refers to one that is not this phone's declaration", "Check which declaration is meant with `candour sent`.";
    AttachmentMissing = "attachment_missing", 422, Later, "A file of this record has not arrived yet", "Nothing needs doing; the phone sends the file first.";
    SealRefused = "seal_refused", 422, Quarantine, "The record is not sealed to a key that the department uses", "Nothing needs doing if a newer policy has come; otherwise tell the device team.";
    SequenceGap = "sequence_gap", 409, Rechain, "A record before this one is missing", "Nothing needs doing: the phone sends again from where the server is.";
    SequenceConflict = "sequence_conflict", 409, Rechain, "Another record has this place in the phone's chain", "The device team is told; the phone goes on from where the server is.";
    ChainBroken = "chain_broken", 409, Rechain, "The record does not follow from the one before it", "The device team is told; the phone goes on from where the server is.";
    IdConflict = "id_conflict", 409, Quarantine, "Another record has this id", "Tell the device team; the record stays on the phone.";

    // Attachments.
    AttachmentDigest = "attachment_digest", 422, Quarantine, "The file that arrived is not the one that was announced", "Nothing needs doing; the phone sends it again.";
    AttachmentTooLarge = "attachment_too_large", 413, Quarantine, "The file is larger than the server takes", "Declare a smaller file, or describe it in a substance note.";
    AttachmentOffset = "attachment_offset", 409, Later, "The upload does not go on where it stopped", "Nothing needs doing; the phone asks where to go on.";
    AttachmentUnreadable = "attachment_unreadable", 0, Stop, "The file cannot be read", "Check that the file exists and that you may read it.";
    AttachmentQuota = "attachment_quota", 507, Later, "This phone has too many unfinished uploads on the server", "Nothing needs doing; tell the device team if it lasts.";

    // Receipts and the log.
    ReceiptInvalid = "receipt_invalid", 0, Stop, "The receipt does not prove that the record was kept", "Tell the auditors; the record stays on the phone.";
    LogForked = "log_forked", 0, Stop, "The department's log does not continue the one that this phone saw", "Tell the auditors; nothing leaves the phone until they have looked.";
    CheckpointInvalid = "checkpoint_invalid", 0, Stop, "The log's checkpoint is not signed by the pinned key", "Tell the auditors; the record stays on the phone.";

    // Policy.
    PolicyMissing = "policy_missing", 404, Stop, "There is no policy yet", "Run `candour sync` with a network connection.";
    PolicyInvalid = "policy_invalid", 0, Later, "The policy that the server sent is not signed by the pinned key or cannot be read", "Tell the device team; the policy in force stays.";
    PolicyExpired = "policy_expired", 0, Later, "The policy that the server sent has expired", "Tell the device team; the policy in force stays.";
    PolicyRolledBack = "policy_rolled_back", 0, Later, "The policy that the server sent is older than the one in force", "Tell the device team; the policy in force stays.";

    // Declarations.
    MarkingTooHigh = "marking_too_high", 0, Stop, "Material above OFFICIAL-SENSITIVE must not be put into Candour", "Nothing has been stored. Report it as a security incident to your departmental security team, by phone or on a suitable system.";
    MarkingUnknown = "marking_unknown", 0, Stop, "This marking is not in the policy", "Choose one of the markings that `candour declare --help` lists.";
    ChannelUnknown = "channel_unknown", 0, Stop, "This channel is not in the policy", "Choose one of the channels that the policy lists, or `other`.";
    ExceptionRequired = "exception_required", 0, Stop, "Significant or SENSITIVE business on a private device needs its exceptional circumstances in words", "Say in a sentence or two why a government device or system could not be used.";
    ReasonRequired = "reason_required", 0, Stop, "The reason for using this channel is missing", "Say in a few words why it was used.";
    ContentRequired = "content_required", 0, Stop, "A significant declaration needs its messages, a file or a substance note", "Add the messages, a file, or a note of what was said and decided.";
    ParticipantsRequired = "participants_required", 0, Stop, "A significant declaration needs the people who took part", "Name at least one other person, by name or by role.";
    FieldMissing = "field_missing", 0, Stop, "A field that every declaration needs is missing", "Fill in the field that is named.";
    FieldTooLong = "field_too_long", 0, Stop, "A field is longer than Candour takes", "Shorten it, or attach the text as a file.";
    TimeInvalid = "time_invalid", 0, Stop, "The date, time or time zone cannot be read", "Write the time as 2026-11-22T14:30 and the zone as Europe/London.";
    TimeInFuture = "time_in_future", 0, Stop, "The message's time lies in the future", "Check the message's date and this phone's clock.";
    MessageTooLong = "message_too_long", 0, Stop, "One of the messages is longer than one message can be", "Leave it out and describe it in a substance note, or attach the export as a file.";
    RedactionInvalid = "redaction_invalid", 0, Stop, "A passage cannot be redacted as asked", "Name a passage that stands in the message and say why it goes; leave a message out of which nothing would remain.";
    DraftUnknown = "draft_unknown", 0, Stop, "There is no draft with this id", "List the drafts with `candour drafts`.";
    RecordUnknown = "record_unknown", 0, Stop, "There is no such record on this phone", "List the records with `candour sent`.";
    NotConfirmed = "not_confirmed", 0, Stop, "Nothing is done without the holder's confirmation", "Look at what is shown and confirm it, or give --yes.";

    // Import.
    ImportUnknownFormat = "import_unknown_format", 0, Stop, "This is not an exported chat that Candour can read", "Export the chat again from the app, or paste the messages.";
    ImportNeedsDateOrder = "import_needs_date_order", 0, Stop, "The order of day and month cannot be told from this chat", "Say which comes first with --date-order.";
    ImportNeedsConversation = "import_needs_conversation", 0, Stop, "The export holds several conversations, or not the one asked for", "Say which one with --conversation; without it they are listed.";
    ImportArchiveRefused = "import_archive_refused", 0, Stop, "The archive is damaged or is not safe to open", "Export the chat again from the app.";
    ImportTooLarge = "import_too_large", 0, Stop, "The export is larger than Candour takes", "Export the chat without media.";
    ImportDamaged = "import_damaged", 0, Stop, "The export is cut off or damaged", "Export the chat again from the app.";
    SelectionInvalid = "selection_invalid", 0, Stop, "The selection of messages cannot be read or names none", "Give numbers as the list shows them, such as 3-7,12.";

    // The agent's own store and settings.
    OutboxFull = "outbox_full", 0, Stop, "This phone holds as many waiting records as it may", "Connect to the network and run `candour sync`; nothing was dropped.";
    OutboxStale = "outbox_stale", 0, Stop, "The oldest waiting record has waited too long", "Connect to the network and run `candour sync`; nothing was dropped.";
    StoreFull = "store_full", 0, Stop, "No room is left on this phone", "Free some space on the phone and try again; what was stored before is safe.";
    StoreFailed = "store_failed", 0, Stop, "The phone's store could not be read or written", "Start Candour again; if it lasts, tell the device team. What was stored before is safe.";
    StoreDamaged = "store_damaged", 0, Stop, "The phone's store was damaged and has been set aside", "Keep the file that is named and tell the device team. A new store has been started, without what was in it: declare again what the department has not received.";
    StoreBusy = "store_busy", 0, Later, "Another Candour process is using this phone's store", "Wait for it to finish, or stop it.";
    StoreVersion = "store_version", 0, Stop, "The store was written by a newer version of Candour", "Update Candour.";
    KeyUnavailable = "key_unavailable", 0, Stop, "The phone's key cannot be used", "Unlock the phone and try again; if it lasts, tell the device team.";
    ClockWrong = "clock_wrong", 0, Later, "This phone's clock is wrong", "Set the date and time to automatic.";
    ConfigInvalid = "config_invalid", 0, Stop, "The configuration is not valid", "Mend the settings that are named.";
    UsageInvalid = "usage_invalid", 0, Stop, "The command cannot be carried out as written", "See `--help`.";

    // The records role and the server's own settings.
    KeyWrong = "key_wrong", 0, Stop, "This key does not open the record", "Use the records key whose id the record names.";
    AuditReasonRequired = "audit_reason_required", 0, Stop, "Reading a record needs a reason", "Give --reason; it is kept in the audit trail.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A problem document (RFC 9457), sent as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `urn:candour:problem:<code>`; the documentation lists them.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened, in one sentence.
    pub title: String,
    /// The HTTP status, repeated (RFC 9457, section 3.1.2).
    pub status: u16,
    /// The stable code.
    pub code: String,
    /// What to do next.
    pub advice: String,
    /// What was wrong in this case; never content, never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Problem {
    /// The document for `code`.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self {
            kind: format!("urn:candour:problem:{code}"),
            title: code.title().to_owned(),
            status: code.http_status(),
            code: code.as_str().to_owned(),
            advice: code.advice().to_owned(),
            detail: None,
        }
    }

    /// Adds what was wrong in this case. The text reaches logs and people: it never carries
    /// content or a secret.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// Why one record of a batch was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Refusal {
    /// The stable code. A code that this version does not know stays readable.
    pub code: String,
    /// What was wrong in this case; never content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Where the server's chain stands, when the refusal is about the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Head>,
}

impl Refusal {
    /// A refusal without more to say.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self {
            code: code.as_str().to_owned(),
            detail: None,
            head: None,
        }
    }

    /// The code, when this version knows it.
    #[must_use]
    pub fn known_code(&self) -> Option<Code> {
        self.code.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_is_unique_and_says_what_to_do_in_a_sentence() {
        let mut seen = HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} stands twice");
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert!(code.advice().ends_with('.'), "{code}: {}", code.advice());
            assert!(!code.title().ends_with('.'), "{code}: {}", code.title());
        }
    }

    #[test]
    fn a_refusal_names_a_code_that_a_later_version_may_have_made() {
        let mut refusal = Refusal::new(Code::SealRefused);
        assert_eq!(refusal.known_code(), Some(Code::SealRefused));
        refusal.code = "of_a_later_version".into();
        assert_eq!(refusal.known_code(), None);
    }

    #[test]
    fn a_problem_document_names_its_code_and_status() {
        let json = serde_json::to_value(Problem::new(Code::TokenUsed)).unwrap();
        assert_eq!(json["type"], "urn:candour:problem:token_used");
        assert_eq!(json["status"], 401);
        assert_eq!(json["code"], "token_used");
    }
}
