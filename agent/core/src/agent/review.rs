//! What the holder can see: how things stand, what left this phone, and whether it is kept.

mod contradiction;

use std::collections::HashSet;

use candour_wire::log::{Checkpoint, ReceiptProof, entry, leaf_hash, verify_receipt};
use candour_wire::record::Kind;
use candour_wire::{Code, Digest, RecordId, Sensitive};

use self::contradiction::Statements;
use super::report::{Advice, Finding, RecordState, SentItem, StatusReport, Verification};
use super::{Agent, State, lock, read_json, readable, value};
use crate::declaration::{Draft, Origin};
use crate::error::AgentError;
use crate::outbox::{Declared, Quarantined, StoredReceipt, Waiting};
use crate::sync::SyncState;

/// Most rows that one listing holds: years of use, and a bound all the same.
const LISTED_MAX: usize = 100_000;

impl Agent {
    /// How things stand, and what wants doing. While the key is locked or where it is gone, that
    /// is one of the things, and what only the key could tell is left out.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn status(&self) -> Result<StatusReport, AgentError> {
        let facts = self.platform.probe.handset_facts();
        let mut state = lock(&self.state);
        let counts = state.outbox.counts()?;
        let sync = readable(SyncState::load(&mut state.outbox))?;
        let quarantined = readable(state.outbox.quarantined())?;
        let locked = sync.is_none() || quarantined.is_none();
        let sync = sync.unwrap_or_default();
        let now = self.present(&sync).likely;
        let set_aside_stores = self.set_aside_stores(&mut state)?;
        let expires = state.identity.as_ref().map(|identity| identity.not_after);
        let mut codes: Vec<String> = Vec::new();
        let mut wants_doing = |applies: bool, code: Code| {
            if applies {
                codes.push(code.as_str().to_owned());
            }
        };
        wants_doing(state.identity.is_none(), Code::NotEnrolled);
        wants_doing(locked, Code::KeyUnavailable);
        wants_doing(
            state.identity.is_some() && state.policy.is_none(),
            Code::PolicyMissing,
        );
        for code in sync.alarm.iter().map(|alarm| alarm.code) {
            wants_doing(true, code);
        }
        wants_doing(
            expires.is_some_and(|expires| expires <= now),
            Code::CertificateExpired,
        );
        wants_doing(
            !set_aside_stores.is_empty() || counts.unreadable > 0,
            Code::StoreDamaged,
        );
        wants_doing(sync.clock_wrong, Code::ClockWrong);
        let failure = sync.last_failure.as_ref().map(|failure| failure.code);
        for code in [failure, sync.renewal_problem, sync.policy_problem]
            .into_iter()
            .flatten()
        {
            wants_doing(true, code);
        }
        codes.extend(quarantined.into_iter().flatten().map(|record| record.code));
        let mut told = HashSet::new();
        codes.retain(|code| told.insert(code.clone()));
        let problems = codes.iter().map(|code| advice_for(code)).collect();
        Ok(StatusReport {
            handset_facts: facts,
            handset: state.handset().cloned(),
            department: self.config.department.clone(),
            certificate_expires: expires,
            policy: state.policy.as_ref().map(|signed| signed.policy().version),
            pending_posture: counts.posture,
            pending_records: counts.records,
            pending_bytes: counts.bytes,
            oldest_pending: state.outbox.oldest_pending(),
            set_aside_stores,
            quarantined: counts.quarantined,
            drafts: counts.drafts,
            last_success: sync.last_success,
            last_failure: sync.last_failure.map(Into::into),
            next_sync: sync.next_attempt,
            problems,
        })
    }

    /// The holder has dealt with the stores that were set aside: the status stops naming them.
    ///
    /// # Errors
    ///
    /// When there is no key yet, or the store cannot be written.
    pub fn acknowledge_set_aside(&self) -> Result<(), AgentError> {
        let names = self.platform.home.set_aside_stores()?;
        if names.is_empty() {
            return Ok(());
        }
        let names = serde_json::to_vec(&names).expect("texts serialise");
        let names = Sensitive::new(names);
        Ok(lock(&self.state)
            .outbox
            .value_put(value::ACKNOWLEDGED, names)?)
    }

    /// The damaged stores that were set aside and that the holder has not dealt with: whatever else is
    /// listed is without what is in them.
    ///
    /// # Errors
    ///
    /// When the home or the store cannot be read.
    pub fn set_aside(&self) -> Result<Vec<String>, AgentError> {
        self.set_aside_stores(&mut lock(&self.state))
    }

    fn set_aside_stores(&self, state: &mut State) -> Result<Vec<String>, AgentError> {
        let mut names = self.platform.home.set_aside_stores()?;
        if !names.is_empty() {
            let dealt_with: Option<Option<Vec<String>>> =
                readable(read_json(&mut state.outbox, value::ACKNOWLEDGED))?;
            // Better told once too often than not at all.
            let dealt_with = dealt_with.flatten().unwrap_or_default();
            names.retain(|name| !dealt_with.contains(name));
        }
        Ok(names)
    }

    /// Everything that left this phone, or will: what, when, why, and under which policy
    /// (invariant I8). Newest first.
    ///
    /// # Errors
    ///
    /// When the store or the key cannot be read.
    pub fn sent(&self) -> Result<Vec<SentItem>, AgentError> {
        let mut state = lock(&self.state);
        let queue = state.outbox.waiting(LISTED_MAX)?;
        let quarantined = state.outbox.quarantined()?;
        let received = state.outbox.receipts(None, None, LISTED_MAX)?;
        let mut items: Vec<SentItem> = queue
            .waiting
            .into_iter()
            .map(queued_item)
            .chain(quarantined.into_iter().map(quarantined_item))
            .chain(received.receipts.into_iter().map(received_item))
            .collect();
        for (id, kind) in queue.damaged {
            items.push(damaged_item(id, kind, RecordState::Quarantined));
        }
        for id in received.damaged {
            if let Some(kind) = state.outbox.kind_of(id)? {
                items.push(damaged_item(id, kind, RecordState::Received));
            }
        }
        items.sort_by_key(|item| std::cmp::Reverse((item.created, item.id)));
        Ok(items)
    }

    /// Where each of these imported messages was declared on this phone; `None` where it was not.
    /// In the order asked.
    ///
    /// What the holder has taken back or given up counts as not declared, and so does what lies so
    /// far back that it is forgotten.
    ///
    /// # Errors
    ///
    /// When the store or the key cannot be read.
    pub fn already_declared(
        &self,
        origins: &[Origin],
    ) -> Result<Vec<Option<Declared>>, AgentError> {
        Ok(lock(&self.state).outbox.declared(origins)?)
    }

    /// Puts a record that was set aside at the end of its chain, to be sent again.
    ///
    /// # Errors
    ///
    /// When there is none with this id, or it cannot be read any more.
    pub fn requeue(&self, id: RecordId) -> Result<(), AgentError> {
        Ok(lock(&self.state).outbox.requeue(id)?)
    }

    /// Checks every receipt on this phone, offline: that its proof leads to its checkpoint, that
    /// the pinned log key signed that, and that all of them can be of one log. Where the holder or
    /// an auditor gives a `checkpoint` from elsewhere, it must be of that log too.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or the given checkpoint is not the log's.
    pub fn verify(&self, checkpoint: Option<&str>) -> Result<Vec<Verification>, AgentError> {
        let given = checkpoint
            .map(|note| Checkpoint::open(note, &self.config.log_key))
            .transpose()
            .map_err(|_| AgentError::CheckpointInvalid)?;
        let receipts = lock(&self.state)
            .outbox
            .receipts(None, None, LISTED_MAX)?
            .receipts;
        let proven: Vec<Option<Checkpoint>> = receipts
            .iter()
            .map(|receipt| self.proven(receipt))
            .collect();
        // Only what holds for itself can contradict: damage accuses nobody.
        let mut statements = Statements::default();
        if let Some(given) = &given {
            statements.add_checkpoint(given);
        }
        for (receipt, own) in receipts.iter().zip(&proven) {
            if let Some(own) = own {
                statements.add_receipt(leaf(receipt), receipt.index, &receipt.path, own);
            }
        }
        let contradictions = statements.compare();
        let finding = |receipt: &StoredReceipt, own: Option<&Checkpoint>| match own {
            None => Finding::Invalid,
            Some(own)
                if contradictions.concern(leaf(receipt), receipt.index, &receipt.path, own) =>
            {
                Finding::Contradicted
            }
            Some(_) => Finding::Verified,
        };
        Ok(receipts
            .iter()
            .zip(&proven)
            .map(|(receipt, own)| Verification {
                id: receipt.id,
                kind: receipt.kind,
                created: receipt.created,
                received: receipt.received,
                index: receipt.index,
                log_size: own.as_ref().map_or(0, |own| own.size),
                finding: finding(receipt, own.as_ref()),
            })
            .collect())
    }

    /// Removes spooled files that nothing needs, such as one whose draft was never saved. What a
    /// store needs that was set aside nobody can tell, and it may be repaired: until the holder has
    /// dealt with it, everything stays.
    pub(super) fn sweep_spool(&self) -> Result<(), AgentError> {
        let spooled = self.platform.home.spooled()?;
        if spooled.is_empty() || !self.set_aside()?.is_empty() {
            return Ok(());
        }
        self.remove_unneeded(&mut lock(&self.state), &spooled)
    }

    /// Removes those of the spooled `files` that no draft and no record needs. Where that
    /// cannot be known, everything stays until it is.
    pub(super) fn remove_unneeded(
        &self,
        state: &mut State,
        files: &[Digest],
    ) -> Result<(), AgentError> {
        if files.is_empty() {
            return Ok(());
        }
        let Some(set_aside) = state.outbox.files_set_aside()? else {
            return Ok(());
        };
        let queue = state.outbox.waiting(LISTED_MAX)?;
        if !queue.damaged.is_empty() {
            // Nobody can tell which files those need, and a key may come back from a backup.
            return Ok(());
        }
        let mut needed: HashSet<Digest> = queue
            .waiting
            .iter()
            .flat_map(|record| &record.attachments)
            .map(|file| file.sha256)
            .chain(set_aside)
            .collect();
        for draft in state.outbox.drafts()? {
            // EXPOSE: only the names of sealed files are looked at.
            let read = draft
                .content
                .and_then(|json| serde_json::from_slice::<Draft>(json.expose()).ok());
            let Some(draft) = read else { return Ok(()) };
            needed.extend(draft.attachments.iter().map(|file| file.sealed_sha256));
        }
        for name in files.iter().filter(|name| !needed.contains(*name)) {
            self.platform.home.remove_spooled(name)?;
        }
        Ok(())
    }

    /// The checkpoint that a receipt leads to; `None` where the log's key has not signed it, or
    /// the receipt's proof does not lead there.
    fn proven(&self, receipt: &StoredReceipt) -> Option<Checkpoint> {
        let own = Checkpoint::open(&receipt.checkpoint, &self.config.log_key).ok()?;
        let proof = ReceiptProof {
            index: receipt.index,
            salt: receipt.salt,
            path: &receipt.path,
        };
        verify_receipt(&proof, &receipt.jws_sha256, &own).ok()?;
        Some(own)
    }
}

/// The hash that the record's leaf has in the log.
fn leaf(receipt: &StoredReceipt) -> Digest {
    leaf_hash(&entry(&receipt.salt, &receipt.jws_sha256))
}

fn advice_for(code: &str) -> Advice {
    code.parse().map_or_else(
        |_| Advice {
            code: code.to_owned(),
            title: "The server answered with something that this version does not know".to_owned(),
            advice: "Update Candour.".to_owned(),
        },
        Advice::new,
    )
}

fn queued_item(record: Waiting) -> SentItem {
    SentItem {
        id: record.id,
        kind: record.kind,
        created: Some(record.created),
        state: RecordState::Queued,
        policy: record.policy,
        size: Some(record.size),
        summary: Some(record.summary),
        index: None,
        received: None,
        refused: None,
    }
}

fn quarantined_item(record: Quarantined) -> SentItem {
    SentItem {
        id: record.id,
        kind: record.kind,
        created: record.created.or(record.at),
        state: RecordState::Quarantined,
        policy: record.policy,
        size: None,
        summary: record.summary,
        index: None,
        received: None,
        refused: Some(advice_for(&record.code)),
    }
}

/// A record whose row does not open: what it was is all that is left to say.
fn damaged_item(id: RecordId, kind: Kind, state: RecordState) -> SentItem {
    SentItem {
        id,
        kind,
        created: None,
        state,
        policy: 0,
        size: None,
        summary: None,
        index: None,
        received: None,
        refused: Some(advice_for(Code::StoreDamaged.as_str())),
    }
}

fn received_item(receipt: StoredReceipt) -> SentItem {
    SentItem {
        id: receipt.id,
        kind: receipt.kind,
        created: Some(receipt.created),
        state: RecordState::Received,
        policy: receipt.policy,
        size: Some(receipt.size),
        summary: Some(receipt.summary),
        index: Some(receipt.index),
        received: Some(receipt.received),
        refused: None,
    }
}
