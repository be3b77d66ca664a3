//! An independent look when all is over: what the phones hold receipts for, and what the department
//! has in its books, are the same records, each once.

use std::collections::BTreeSet;
use std::sync::Arc;

use candour_core::agent::RecordState;
use candour_wire::RecordId;
use tokio::runtime::Runtime;

use super::Problem;
use super::muster::Fleet;
use crate::progress::bar;
use crate::torture::books::Books;

/// What was seen.
pub(super) struct Looked {
    /// Records in the department's books.
    pub(super) kept: u64,
    /// Records for which a phone holds a receipt.
    pub(super) acknowledged: u64,
    pub(super) findings: Vec<String>,
}

/// What a phone shows its holder.
struct Shown {
    handset: String,
    received: Vec<RecordId>,
    /// Records that wait or are set aside.
    others: usize,
}

/// Findings that are told one by one; more say nothing new.
const TOLD: usize = 5;

/// Compares the phones with the books, which no server has open.
pub(super) fn look(fleet: &Fleet, runtime: &Runtime) -> Result<Looked, Problem> {
    let bar = bar("looked at", fleet.phones.len());
    let shown = runtime.block_on(fleet.each(&fleet.phones, 4, &bar, |phone| {
        let world = Arc::clone(&fleet.world);
        async move {
            let sent = phone.open(&world)?.sent()?;
            let received = sent.iter().filter(|s| s.state == RecordState::Received);
            let received: Vec<RecordId> = received.map(|sent| sent.id).collect();
            Ok(Shown {
                handset: phone.handset().ok_or("a phone has no key")?.to_string(),
                others: sent.len() - received.len(),
                received,
            })
        }
    }))?;
    bar.finish_and_clear();
    let log_key = fleet.department.config().log_key;
    let books = Books::read(&fleet.database(), &log_key)?;
    let mut findings = books.check(false);
    let mut told = |finding: String, told: &mut usize| {
        *told += 1;
        if *told <= TOLD {
            findings.push(finding);
        }
    };
    let (mut acknowledged, mut missing, mut waiting) = (BTreeSet::new(), 0, 0);
    for Shown {
        handset,
        received,
        others,
    } in &shown
    {
        if *others > 0 {
            told(
                format!("{handset}: {others} records are not delivered"),
                &mut waiting,
            );
        }
        for id in received {
            acknowledged.insert(*id);
            if books
                .records
                .get(id)
                .is_none_or(|kept| kept.handset != *handset)
            {
                let finding = format!("{handset} has a receipt for {id}, which is not kept");
                told(finding, &mut missing);
            }
        }
    }
    let strangers = books.records.keys().filter(|id| !acknowledged.contains(id));
    let strangers = strangers.count();
    if strangers > 0 {
        findings.push(format!(
            "{strangers} records are kept that no phone has a receipt for"
        ));
    }
    for (count, what) in [
        (missing, "receipts for nothing"),
        (waiting, "phones not done"),
    ] {
        if count > TOLD {
            findings.push(format!("{what}: {count} in all"));
        }
    }
    Ok(Looked {
        kept: books.records.len() as u64,
        acknowledged: acknowledged.len() as u64,
        findings,
    })
}
