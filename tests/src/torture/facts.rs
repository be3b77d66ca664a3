//! What an agent at work says has happened, one line of JSON each. What was said must hold
//! whatever happens afterwards.

use std::collections::{BTreeMap, BTreeSet};

use candour_wire::RecordId;
use serde::{Deserialize, Serialize};

/// Something that the agent has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// The handset is enrolled.
    Enrolled {
        /// Its id.
        handset: String,
    },
    /// A declaration was made.
    Declared {
        /// The record.
        id: RecordId,
        /// Its text.
        text: String,
    },
    /// A record about the apps is queued.
    Queued {
        /// The record.
        id: RecordId,
    },
    /// The receipt of a record was verified and kept.
    Received {
        /// The record.
        id: RecordId,
        /// Its place in the log.
        index: u64,
    },
    /// A draft was kept.
    Draft {
        /// Its id.
        id: RecordId,
        /// Its text.
        text: String,
    },
    /// A draft was deleted.
    DraftGone {
        /// Its id.
        id: RecordId,
    },
    /// A sync did not go through.
    Failed {
        /// The stable code.
        code: String,
    },
    /// The agent has been at work for as long as it was to be.
    Done,
}

/// All that was said up to some time.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The handset's id.
    pub handset: Option<String>,
    /// Declarations and their texts.
    pub declared: BTreeMap<RecordId, String>,
    /// Other records.
    pub queued: BTreeSet<RecordId>,
    /// Receipts and their places in the log.
    pub received: BTreeMap<RecordId, u64>,
    /// Drafts and their texts.
    pub drafts: BTreeMap<RecordId, String>,
    /// Drafts that are no more.
    pub gone: BTreeSet<RecordId>,
}

impl Known {
    /// Takes one fact more.
    pub fn learn(&mut self, fact: &Fact) {
        match fact.clone() {
            Fact::Enrolled { handset } => self.handset = Some(handset),
            Fact::Declared { id, text } => {
                // A draft keeps its id when it is declared.
                self.drafts.remove(&id);
                self.declared.insert(id, text);
            }
            Fact::Queued { id } => {
                self.queued.insert(id);
            }
            Fact::Received { id, index } => {
                self.received.insert(id, index);
            }
            Fact::Draft { id, text } => {
                self.drafts.insert(id, text);
            }
            Fact::DraftGone { id } => {
                self.drafts.remove(&id);
                self.gone.insert(id);
            }
            Fact::Failed { .. } | Fact::Done => {}
        }
    }

    /// How many things were acknowledged.
    #[must_use]
    pub fn len(&self) -> usize {
        self.declared.len() + self.queued.len() + self.received.len() + self.drafts.len()
    }

    /// Whether nothing was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
