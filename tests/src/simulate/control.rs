//! Negative controls: what the history checker must catch.
//!
//! Each breaks one promise in a wrapper of a port, or in what the simulated people do. Nothing of
//! it is in the product.

/// A promise that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// The phone's store acknowledges a commit before it is on disk.
    AgentForgets,
    /// The gateway's store loses its last commit in a crash, as SQLite does with
    /// `synchronous=NORMAL` when the power goes.
    ServerForgets,
    /// The gateway answers with receipts that the log's key has signed, and keeps nothing.
    ServerPretends,
    /// Somebody between the two answers with receipts of a log of his own, and the phone trusts
    /// his key: a receipt that is not checked.
    ReceiptsForged,
    /// The gateway's store takes what a revoked handset sends.
    RevocationIgnored,
    /// After a crash the holder's app declares anew what it may have declared already.
    HolderRepeats,
    /// A record disappears from the gateway's database.
    RecordLost,
    /// A byte of a record changes in the gateway's database.
    RecordAltered,
    /// The probe goes on telling what it told first.
    ProbeFrozen,
    /// The phone leaves what was typed in a file.
    ContentSpilled,
    /// The network never comes back.
    NeverConnected,
}

impl Control {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::AgentForgets,
        Self::ServerForgets,
        Self::ServerPretends,
        Self::ReceiptsForged,
        Self::RevocationIgnored,
        Self::HolderRepeats,
        Self::RecordLost,
        Self::RecordAltered,
        Self::ProbeFrozen,
        Self::ContentSpilled,
        Self::NeverConnected,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AgentForgets => "agent-forgets",
            Self::ServerForgets => "server-forgets",
            Self::ServerPretends => "server-pretends",
            Self::ReceiptsForged => "receipts-forged",
            Self::RevocationIgnored => "revocation-ignored",
            Self::HolderRepeats => "holder-repeats",
            Self::RecordLost => "record-lost",
            Self::RecordAltered => "record-altered",
            Self::ProbeFrozen => "probe-frozen",
            Self::ContentSpilled => "content-spilled",
            Self::NeverConnected => "never-connected",
        }
    }

    /// The rules of which at least one must be found broken; another one would mean that it was
    /// caught by accident.
    #[must_use]
    pub const fn caught_by(self) -> &'static [Rule] {
        match self {
            Self::AgentForgets => &[Rule::AcknowledgedIsKept],
            Self::ServerForgets | Self::ServerPretends => &[
                Rule::ReceiptHolds,
                Rule::CheckpointHolds,
                Rule::AcknowledgedIsKept,
            ],
            Self::ReceiptsForged => &[Rule::AcknowledgedIsKept, Rule::ReceiptHolds],
            Self::RevocationIgnored => &[Rule::StandingCounts],
            Self::HolderRepeats => &[Rule::StoredOnce],
            Self::RecordLost => &[Rule::ChainHolds, Rule::LogHolds],
            Self::RecordAltered => &[Rule::ChainHolds],
            Self::ProbeFrozen => &[Rule::PostureConverges],
            Self::ContentSpilled => &[Rule::ContentIsSealed],
            Self::NeverConnected => &[Rule::QueueDrains],
        }
    }
}

impl std::str::FromStr for Control {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|control| control.name() == text)
            .ok_or_else(|| format!("one of {}", names()))
    }
}

/// What the history is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// What the holder was told is safe is on the gateway, or shown on the phone.
    AcknowledgedIsKept,
    /// Nothing is stored twice, under any id.
    StoredOnce,
    /// Each chain is signed, in order and without gaps.
    ChainHolds,
    /// The leaves are those of the records, and the newest checkpoint is theirs.
    LogHolds,
    /// Every checkpoint that anybody ever saw is of a prefix of the log.
    CheckpointHolds,
    /// Every receipt that was ever given is of a record that is kept, and proves it.
    ReceiptHolds,
    /// What is stored says what was declared, and its files are whole.
    ContentArrives,
    /// Nothing readable is outside of seals.
    ContentIsSealed,
    /// Nothing is taken from a revoked handset.
    StandingCounts,
    /// The department sees the apps that are on the phone.
    PostureConverges,
    /// Once faults stop, everything that waits is sent.
    QueueDrains,
    /// Nothing is set aside without reason.
    QuarantineIsEmpty,
    /// The gateway accuses nobody who did nothing wrong.
    NobodyIsAccused,
    /// No call fails in a way that no fault explains.
    ErrorsAreExplained,
}
