//! What holders have entered, and what they were told of it.

use candour_wire::{Code, RecordId};

/// Something that a holder has entered.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) phone: usize,
    /// What its text says, and no other text does.
    pub(super) label: String,
    pub(super) id: Option<RecordId>,
    pub(super) told: Told,
    /// Files that belong to it.
    pub(super) files: usize,
    /// What may be corrected or taken back: a declaration, and no correction.
    pub(super) is_declaration: bool,
    /// When it was entered, in true time.
    pub(super) entered_ms: i64,
}

/// What the holder was told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It is a draft, and safe.
    Draft,
    /// It is declared, and safe.
    Declared,
    /// The app went away while it saved a draft.
    PerhapsDraft,
    /// The app went away while it declared the draft of that id.
    PerhapsDeclared,
    /// The app went away while it declared something without a draft: it may be there once.
    PerhapsOnce,
    /// Nothing came of it.
    Nothing,
}

/// Whether a call may fail with this code in an honest world that has faults.
pub(super) fn explained(code: Code) -> bool {
    use Code as C;
    matches!(
        code,
        C::StoreFull
            | C::StoreFailed
            | C::StoreBusy
            | C::KeyUnavailable
            | C::NotEnrolled
            | C::AlreadyEnrolled
            | C::PolicyMissing
            | C::NotConfirmed
            | C::OutboxFull
            | C::OutboxStale
            | C::Unreachable
            | C::TimedOut
            | C::BadReply
            | C::Unavailable
            | C::StorageFull
            | C::CertificateExpired
            | C::CertificateRefused
            | C::HandsetRevoked
            | C::TokenExpired
            | C::TokenUsed
            | C::TokenUnknown
            | C::NotFound
            | C::ProxyFailed
    )
}
