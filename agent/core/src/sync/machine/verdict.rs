//! What the answers to a batch amount to.

use candour_wire::chain::Head;
use candour_wire::code::{Refusal, Retry};
use candour_wire::{Code, Digest};

use super::{Answer, Item};
use crate::outbox::Refused;
use crate::reply::legible;
use crate::sync::Failure;

/// What the answers to a batch amount to.
#[derive(Default)]
pub(super) struct Verdict {
    /// All were received.
    pub(super) clean: bool,
    /// At least one was.
    pub(super) received: bool,
    /// To be set aside.
    pub(super) refused: Vec<Refused>,
    /// Files that the server says it does not hold.
    pub(super) missing: Vec<Digest>,
    /// Where the server's chain stands, as it said last.
    pub(super) head: Option<Head>,
    /// A record did not fit the server's chain.
    pub(super) rechain: Option<Failure>,
    /// A record may be taken another time.
    pub(super) later: Option<Failure>,
    /// Somebody has to act first.
    pub(super) stop: Option<Failure>,
}

impl Verdict {
    pub(super) fn of(sent: Vec<Item>, answers: Vec<Answer>) -> Self {
        let mut verdict = Self {
            clean: true,
            ..Self::default()
        };
        for (item, answer) in sent.into_iter().zip(answers) {
            match answer {
                Answer::Received => verdict.received = true,
                Answer::Refused(refusal) => {
                    verdict.clean = false;
                    verdict.refuse(item, refusal);
                }
            }
        }
        verdict
    }

    fn refuse(&mut self, item: Item, refusal: Refusal) {
        let detail = refusal.detail.as_deref().map(legible);
        let Some(code) = refusal.known_code() else {
            // A newer server's word: the record waits, since nobody knows what it means.
            let named = format!(
                "a record was refused with the unknown code {}",
                legible(&refusal.code)
            );
            self.later
                .get_or_insert(Failure::new(Code::BadReply).with_detail(named));
            return;
        };
        let failure = Failure {
            code,
            detail: detail.clone(),
            retry_after: None,
        };
        match code.retry() {
            Retry::Quarantine => self.refused.push(Refused {
                id: item.id,
                code: refusal.code,
                detail,
            }),
            Retry::Rechain => {
                self.head = refusal.head.or(self.head);
                self.rechain.get_or_insert(failure);
            }
            Retry::Later => {
                if code == Code::AttachmentMissing {
                    self.missing
                        .extend(item.files.iter().map(|file| file.sha256));
                }
                self.later.get_or_insert(failure);
            }
            Retry::Stop => {
                self.stop.get_or_insert(failure);
            }
        }
    }
}
