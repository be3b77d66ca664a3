//! What a sync does next: a state machine without I/O.
//!
//! [`Machine::next`] says what to do, [`Machine::on_outcome`] takes what came of it. Asking twice
//! without an outcome in between gives the same action. An outcome that does not belong to the
//! action is a fault of the driver and ends the sync.
//!
//! Where a policy is in force and records wait, the policy's turn comes after the first batch, whose
//! reply names the one in force; most syncs are then over after one request. It comes in every sync
//! that reaches the department, whatever becomes of the records.
//!
//! It ends, whatever the server answers: each round through a stream lets at least one record go
//! (received or set aside), or is one of [`FRUITLESS_ROUNDS_MAX`] that do not.

mod verdict;

use std::collections::HashSet;

use candour_wire::api::UploadStatus;
use candour_wire::chain::Head;
use candour_wire::code::Refusal;
use candour_wire::record::{AttachmentRef, Stream};
use candour_wire::{Code, Digest, RecordId, limits};
use jiff::Timestamp;

use self::verdict::Verdict;
use super::Failure;
use crate::outbox::Refused;

/// Rounds in a row that may pass in a stream without a record being received or set aside. The
/// first is ordinary (the server's chain is elsewhere, a file got lost); a third says that server
/// and handset do not understand each other.
pub const FRUITLESS_ROUNDS_MAX: u32 = 3;

/// Shortest limit of a piece that is tried when a server takes no longer ones, in bytes: below it a
/// large file would take thousands of requests.
pub const PIECE_MIN_BYTES: usize = 64 << 10;

/// Longest sum of records in a batch, in bytes: the request's limit less its framing (three bytes
/// a record, and the members around them).
pub const BATCH_BUDGET_BYTES: usize = limits::BATCH_MAX_BYTES - 3 * limits::BATCH_MAX_RECORDS - 256;

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Renew the certificate. → [`Outcome::Done`]
    Renew,
    /// Fetch the policy and judge it, unless a reply of this sync has named the one that is held.
    /// → [`Outcome::Done`]
    FetchPolicy,
    /// Take the next waiting records. → [`Outcome::Loaded`]
    Load {
        /// Of this stream.
        stream: Stream,
        /// At most so many.
        max_records: usize,
        /// At most so many bytes together; one record may be longer.
        max_bytes: usize,
    },
    /// Ask how much of a file has arrived. → [`Outcome::Upload`]
    AskUpload {
        /// Which file.
        file: AttachmentRef,
    },
    /// Send the piece of a file that starts at `offset`. → [`Outcome::Upload`],
    /// [`Outcome::FileLost`]
    UploadPiece {
        /// Which file.
        file: AttachmentRef,
        /// From where.
        offset: u64,
        /// At most so many bytes.
        max_bytes: usize,
    },
    /// Send the first `count` of the loaded records, check the receipts, store them.
    /// → [`Outcome::Answered`], [`Outcome::TooLarge`]
    Send {
        /// Which stream.
        stream: Stream,
        /// How many; at least one.
        count: usize,
    },
    /// Set aside what the server refused, and let the rest follow from its head. → [`Outcome::Done`]
    Rearrange {
        /// Which stream.
        stream: Stream,
        /// The server's head, where it named one.
        head: Option<Head>,
        /// Records to set aside.
        refused: Vec<Refused>,
    },
    /// Set aside a record that this side cannot deliver. The server has not judged it, and may even
    /// hold it from an earlier time, so the rest is not chained anew until it has said where it
    /// stands. → [`Outcome::Done`]
    SetAside {
        /// Which stream.
        stream: Stream,
        /// The record, and why.
        refused: Refused,
    },
    /// Nothing more. [`Machine::failure`] says whether all went well.
    Finish,
}

/// What came of an action. Each may also come out as [`Outcome::Failed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, or it failed in a way that concerns nothing else.
    Done,
    /// The records that were taken, in the order of their chain.
    Loaded(Vec<Item>),
    /// Where the upload stands.
    Upload(UploadStatus),
    /// The file is not on this handset any more.
    FileLost,
    /// One answer for each record that was sent, in order.
    Answered(Vec<Answer>),
    /// The server does not take a request of this length.
    TooLarge,
    /// It did not work.
    Failed(Failure),
}

/// A loaded record, as much of it as decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Which record.
    pub id: RecordId,
    /// The files that must arrive before it.
    pub files: Vec<AttachmentRef>,
}

/// What the server said of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The receipt was verified and is on disk; the record has left the outbox.
    Received,
    /// It was not taken.
    Refused(Refusal),
}

/// The state machine of one sync.
#[derive(Debug)]
pub struct Machine {
    step: Step,
    policy: PolicyTurn,
    deadline: Option<Timestamp>,
    /// The stream at work, and those after it.
    stream: Stream,
    after: Vec<Stream>,
    /// Loaded and not sent.
    items: Vec<Item>,
    /// Files that the server has said it holds.
    uploaded: HashSet<Digest>,
    /// Files whose upload was begun anew once already.
    restarted: HashSet<Digest>,
    max_records: usize,
    piece_bytes: usize,
    fruitless: u32,
    failure: Option<Failure>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Renewing,
    FetchingPolicy,
    Loading,
    Asking(AttachmentRef),
    Uploading(AttachmentRef, u64),
    Sending(usize),
    Rearranging(Option<Head>, Vec<Refused>),
    SettingAside(Refused),
    Finished,
}

/// When the policy has its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PolicyTurn {
    /// Before any record.
    First,
    /// After the first batch; before a file, which may take long, and before the end.
    AfterBatch,
    /// Now, and then comes this.
    Before(Box<Step>),
    /// It has had it.
    Over,
}

impl Machine {
    /// Begins a sync. `renew`: the certificate is due. `halted`: nothing is sent because of this,
    /// though certificate and policy are still kept fresh. After `deadline` nothing new is begun.
    #[must_use]
    pub fn new(renew: bool, halted: Option<Failure>, deadline: Option<Timestamp>) -> Self {
        Self {
            step: if renew {
                Step::Renewing
            } else {
                Step::FetchingPolicy
            },
            policy: PolicyTurn::First,
            deadline,
            stream: Stream::Posture,
            after: vec![Stream::Records],
            items: Vec::new(),
            uploaded: HashSet::new(),
            restarted: HashSet::new(),
            max_records: limits::BATCH_MAX_RECORDS,
            piece_bytes: limits::ATTACHMENT_PIECE_MAX_BYTES,
            fruitless: 0,
            failure: halted,
        }
    }

    /// Lets the policy's turn come after the first batch: for a handset that has a policy in force.
    #[must_use]
    pub fn with_policy_after_batch(mut self) -> Self {
        // A sync that is halted sends none.
        if self.failure.is_none() {
            self.policy = PolicyTurn::AfterBatch;
            if self.step == Step::FetchingPolicy {
                self.step = Step::Loading;
            }
        }
        self
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Action {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return Action::Finish;
        }
        let stream = self.stream;
        match self.step.clone() {
            Step::Renewing => Action::Renew,
            Step::FetchingPolicy => Action::FetchPolicy,
            Step::Loading => Action::Load {
                stream,
                max_records: self.max_records,
                max_bytes: BATCH_BUDGET_BYTES,
            },
            Step::Asking(file) => Action::AskUpload { file },
            Step::Uploading(file, offset) => Action::UploadPiece {
                file,
                offset,
                max_bytes: self.piece_bytes,
            },
            Step::Sending(count) => Action::Send { stream, count },
            Step::Rearranging(head, refused) => Action::Rearrange {
                stream,
                head,
                refused,
            },
            Step::SettingAside(refused) => Action::SetAside { stream, refused },
            Step::Finished => Action::Finish,
        }
    }

    /// Takes what came of the action.
    pub fn on_outcome(&mut self, outcome: Outcome) {
        let step = std::mem::replace(&mut self.step, Step::Finished);
        let sent = matches!(step, Step::Sending(_));
        match (step, outcome) {
            (Step::Asking(file) | Step::Uploading(file, _), Outcome::Failed(failure)) => {
                self.upload_failed(file, failure);
            }
            (_, Outcome::Failed(failure)) => self.end(failure),
            (Step::Renewing, Outcome::Done) if self.policy == PolicyTurn::AfterBatch => {
                self.step = Step::Loading;
            }
            (Step::Renewing, Outcome::Done) => self.step = Step::FetchingPolicy,
            (Step::FetchingPolicy, Outcome::Done) => {
                self.step = match std::mem::replace(&mut self.policy, PolicyTurn::Over) {
                    PolicyTurn::Before(step) => *step,
                    // What was halted before it began stays so.
                    _ if self.failure.is_some() => Step::Finished,
                    _ => Step::Loading,
                };
            }
            (Step::Rearranging(..) | Step::SettingAside(_), Outcome::Done) => {
                self.step = Step::Loading
            }
            (Step::Loading, Outcome::Loaded(items)) if items.is_empty() => self.next_stream(),
            (Step::Loading, Outcome::Loaded(items)) => {
                self.items = items;
                self.send_or_upload();
            }
            (Step::Asking(file), Outcome::Upload(status)) => self.upload_stands(file, None, status),
            (Step::Uploading(file, offset), Outcome::Upload(status)) => {
                self.upload_stands(file, Some(offset), status);
            }
            (Step::Uploading(..), Outcome::FileLost) => {
                self.set_first_aside(Code::AttachmentUnreadable)
            }
            (Step::Sending(1), Outcome::TooLarge) => self.set_first_aside(Code::RecordTooLarge),
            (Step::Sending(count), Outcome::TooLarge) => {
                self.max_records = count / 2;
                self.step = Step::Loading;
            }
            (Step::Sending(count), Outcome::Answered(answers)) if answers.len() == count => {
                self.answered(answers)
            }
            (step, outcome) => {
                self.end(
                    Failure::new(Code::Internal)
                        .with_detail(format!("{outcome:?} is no outcome of {step:?}")),
                );
            }
        }
        self.give_policy_its_turn(sent);
    }

    /// Puts the policy before what has been decided, where it has waited for this.
    fn give_policy_its_turn(&mut self, sent: bool) {
        let due = sent || matches!(self.step, Step::Asking(_) | Step::Finished);
        let of_use = !self.failure.as_ref().is_some_and(ends_all_requests);
        if self.policy == PolicyTurn::AfterBatch && due && of_use {
            let next = std::mem::replace(&mut self.step, Step::FetchingPolicy);
            self.policy = PolicyTurn::Before(Box::new(next));
        }
    }

    /// Why not all was done; `None` where it was, or the time ran out.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Whether the deadline came before the end.
    #[must_use]
    pub fn cut_short(&self) -> bool {
        self.step != Step::Finished
    }

    /// Sends the records at the front whose files have arrived; where there is none, uploads what
    /// the first one needs. So a small record never waits for the large file of a later one.
    fn send_or_upload(&mut self) {
        let missing = |item: &Item| {
            item.files
                .iter()
                .find(|file| !self.uploaded.contains(&file.sha256))
                .copied()
        };
        let ready = self
            .items
            .iter()
            .take_while(|item| missing(item).is_none())
            .count();
        self.step = match self.items.first().map(missing) {
            None => Step::Loading,
            Some(Some(file)) => Step::Asking(file),
            Some(None) => Step::Sending(ready.min(self.max_records)),
        };
    }

    /// The server says where an upload stands, after a piece from `sent_from` or when asked.
    fn upload_stands(&mut self, file: AttachmentRef, sent_from: Option<u64>, status: UploadStatus) {
        if status.complete {
            self.uploaded.insert(file.sha256);
            self.send_or_upload();
        } else if status.offset < file.size && sent_from.is_none_or(|from| status.offset > from) {
            self.step = Step::Uploading(file, status.offset);
        } else {
            let failure = Failure::new(Code::BadReply).with_detail(format!(
                "an upload of {} bytes stands at {}",
                file.size, status.offset
            ));
            self.ask_again_once(file, failure);
        }
    }

    fn upload_failed(&mut self, file: AttachmentRef, failure: Failure) {
        match failure.code {
            Code::AttachmentOffset => self.ask_again_once(file, failure),
            // Something on the way takes no requests of this length.
            Code::BodyTooLarge if self.piece_bytes > PIECE_MIN_BYTES => {
                self.piece_bytes = (self.piece_bytes / 2).max(PIECE_MIN_BYTES);
                self.step = Step::Asking(file);
            }
            Code::BodyTooLarge => self.set_first_aside(Code::AttachmentTooLarge),
            // The server may have thrown away what it had, so it is asked where to begin.
            Code::AttachmentDigest | Code::BadRequest | Code::UnsupportedMediaType
                if self.restarted.insert(file.sha256) =>
            {
                self.step = Step::Asking(file);
            }
            // What is said of this file twice is said of it at every sync, and the records behind
            // it must not wait for that. The holder can send it again once the cause is mended.
            Code::AttachmentDigest
            | Code::AttachmentTooLarge
            | Code::BadRequest
            | Code::UnsupportedMediaType => self.set_first_aside(failure.code),
            // These are said of uploads as such, not of this file.
            Code::AttachmentQuota | Code::NotFound | Code::MethodNotAllowed => {
                self.end_stream(failure);
            }
            _ => self.end(failure),
        }
    }

    fn ask_again_once(&mut self, file: AttachmentRef, failure: Failure) {
        if self.restarted.insert(file.sha256) {
            self.step = Step::Asking(file);
        } else {
            self.end_stream(failure);
        }
    }

    /// The record at the front cannot be delivered as it is.
    fn set_first_aside(&mut self, code: Code) {
        let first = self.items.first().map(|item| Refused::new(item.id, code));
        self.items.clear();
        self.fruitless = 0;
        // There is a first one: a file is uploaded, and a batch is sent, for what is loaded.
        self.step = first.map_or(Step::Loading, Step::SettingAside);
    }

    fn answered(&mut self, answers: Vec<Answer>) {
        let rest = self.items.split_off(answers.len().min(self.items.len()));
        let sent = std::mem::replace(&mut self.items, rest);
        let verdict = Verdict::of(sent, answers);
        self.fruitless = if verdict.received || !verdict.refused.is_empty() {
            0
        } else {
            self.fruitless + 1
        };
        for file in &verdict.missing {
            self.uploaded.remove(file);
        }
        if verdict.clean {
            return self.send_or_upload();
        }
        self.items.clear();
        if let Some(failure) = verdict.stop {
            self.end(failure);
        } else if !verdict.refused.is_empty() {
            self.step = Step::Rearranging(verdict.head, verdict.refused);
        } else if let Some(failure) = verdict.later {
            // A missing file can be sent once more; anything else is for another day.
            let again =
                failure.code == Code::AttachmentMissing && self.fruitless < FRUITLESS_ROUNDS_MAX;
            if again {
                self.step = Step::Loading
            } else {
                self.end_stream(failure)
            }
        } else if let Some(failure) = verdict.rechain {
            match verdict.head {
                Some(head) if self.fruitless < FRUITLESS_ROUNDS_MAX => {
                    self.step = Step::Rearranging(Some(head), Vec::new());
                }
                _ => self.end_stream(failure),
            }
        }
    }

    /// Nothing more in this stream; the other one may fare better.
    fn end_stream(&mut self, failure: Failure) {
        self.note(failure);
        self.next_stream();
    }

    fn next_stream(&mut self) {
        self.items.clear();
        self.fruitless = 0;
        self.max_records = limits::BATCH_MAX_RECORDS;
        if let Some(stream) = self.after.pop() {
            self.stream = stream;
            self.step = Step::Loading;
        }
    }

    fn end(&mut self, failure: Failure) {
        self.note(failure);
        self.step = Step::Finished;
    }

    /// The first failure is what is told; the longest time that the server asks for is waited.
    fn note(&mut self, failure: Failure) {
        let asked = failure.retry_after;
        let first = self.failure.get_or_insert(failure);
        first.retry_after = first.retry_after.max(asked);
    }
}

/// Whether another request would fare no better: no connection, a server that asks to be left
/// alone, or a handset that is not let in.
const fn ends_all_requests(failure: &Failure) -> bool {
    matches!(
        failure.code,
        Code::Unreachable
            | Code::TimedOut
            | Code::ProxyFailed
            | Code::ServerNotTrusted
            | Code::ServerCertificateExpired
            | Code::CertificateExpired
            | Code::CertificateRefused
            | Code::HandsetRevoked
            | Code::KeyUnavailable
            | Code::TooManyRequests
            | Code::Unavailable
    )
}

#[cfg(test)]
mod tests;
