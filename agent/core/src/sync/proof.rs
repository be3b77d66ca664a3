//! Whether a reply to a batch proves what it says.

use candour_wire::Code;
use candour_wire::api::{BatchReply, RecordResult};
use candour_wire::code::Refusal;
use candour_wire::log::merkle::verify_consistency;
use candour_wire::log::{Checkpoint, LogVerifier};

use super::Failure;
use crate::outbox::{Pending, VerifiedCheckpoint, VerifiedReceipt};

/// A reply whose every receipt holds.
pub(super) struct Proven {
    /// The checkpoint that the receipts lead to.
    pub(super) checkpoint: VerifiedCheckpoint,
    /// One result for each record, in order.
    pub(super) results: Vec<Result<VerifiedReceipt, Refusal>>,
}

/// Checks a reply to `sent`: that there is one result for each record and a receipt is for its
/// record; that the pinned key signed the checkpoint; that the log only grew since `previous`;
/// that each receipt's path leads to the checkpoint.
///
/// One that fails fails them all: a log that lies once is not believed in the next line.
pub(super) fn prove(
    reply: BatchReply,
    sent: &[Pending],
    log: &LogVerifier,
    previous: Option<&Checkpoint>,
) -> Result<Proven, Failure> {
    if reply.results.len() != sent.len() {
        let count = format!("{} results for {} records", reply.results.len(), sent.len());
        return Err(Failure::new(Code::BadReply).with_detail(count));
    }
    let checkpoint = VerifiedCheckpoint::open(&reply.checkpoint, log)
        .map_err(|error| Failure::new(Code::CheckpointInvalid).with_detail(error.to_string()))?;
    if let Some(previous) = previous {
        let current = checkpoint.checkpoint();
        verify_consistency(
            previous.size,
            &previous.root,
            current.size,
            &current.root,
            &reply.consistency,
        )
        .map_err(|error| {
            let sizes = format!("from {} to {} leaves: {error}", previous.size, current.size);
            Failure::new(Code::LogForked).with_detail(sizes)
        })?;
    }
    let results = reply
        .results
        .into_iter()
        .zip(sent)
        .map(|(result, sent)| match result {
            RecordResult::Refusal(refusal) => Ok(Err(refusal)),
            RecordResult::Receipt(receipt) if receipt.id != sent.id => {
                Err(Failure::new(Code::BadReply)
                    .with_detail("the receipts are in another order than the records"))
            }
            RecordResult::Receipt(receipt) => {
                VerifiedReceipt::verify(&sent.jws, receipt, &checkpoint)
                    .map(Ok)
                    .map_err(|error| {
                        Failure::new(Code::ReceiptInvalid)
                            .with_detail(format!("record {}: {error}", sent.id))
                    })
            }
        });
    Ok(Proven {
        results: results.collect::<Result<_, _>>()?,
        checkpoint,
    })
}
