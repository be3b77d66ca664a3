//! Whether a phone's directory still holds everything that its agent has acknowledged.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use candour_core::agent::{Finding, RecordState};
use candour_core::declaration::Draft;
use candour_core::outbox::{Limits, Outbox};
use candour_core::ports::{Platform, Table};
use candour_core::{Agent, Config};
use candour_wire::content::{DeclarationContent, Message};
use candour_wire::record::{Body, Kind, Record, Stream};
use candour_wire::seal::{self, RecordsPrivateKey, SealContext};
use candour_wire::{Digest, HandsetId, RecordId};

use super::facts::Known;
use crate::department::Department;
use crate::handset::{Handset, declare};

/// Holds directories against what was acknowledged.
pub struct PhoneCheck {
    config: Config,
    records_key: RecordsPrivateKey,
    /// Salts of sealed rows that any of the directories had, and what was sealed under each.
    salts: Mutex<HashMap<Vec<u8>, Digest>>,
}

/// What is wrong, a sentence each.
pub type Findings = Vec<String>;

/// What is said of two rows under one salt.
pub const USED_TWICE: &str = "a nonce is used twice";

/// Most rows that are read of a table.
const ROWS_MAX: usize = 100_000;

impl PhoneCheck {
    /// Checks the phones of this department, and opens what was declared with its key.
    ///
    /// # Errors
    ///
    /// When its records key cannot be read.
    pub fn of(department: &Department) -> Result<Self, String> {
        let key = department.file("records-role/records.key");
        Ok(Self {
            config: department.config(),
            records_key: RecordsPrivateKey::from_text(&key).map_err(|error| error.to_string())?,
            salts: Mutex::default(),
        })
    }

    /// Opens the agent as it is opened after a power cut, holds everything against what is known,
    /// and declares something more. The directory is changed by that.
    #[must_use]
    pub fn look(&self, home: &Path, known: &Known) -> Findings {
        let mut found = Findings::new();
        let handset = Handset::at(home);
        match handset.try_open(self.config.clone()) {
            Err(error) => return vec![format!("the agent does not open: {error:?}")],
            Ok(agent) => self.agent(&agent, known, &mut found),
        }
        match handset.platform() {
            Err(error) => found.push(format!("the home cannot be taken: {error:?}")),
            Ok(platform) => {
                if let Err(error) = self.outbox(&platform, known, &mut found) {
                    found.push(error);
                }
            }
        }
        found
    }

    /// What the holder would see.
    fn agent(&self, agent: &Agent, known: &Known, found: &mut Findings) {
        let (status, verified) = match (agent.status(), agent.verify(None)) {
            (Ok(status), Ok(verified)) => (status, verified),
            (status, verified) => {
                return found.push(format!(
                    "it cannot be read: {:?} {:?}",
                    status.err(),
                    verified.err()
                ));
            }
        };
        if known.handset != status.handset.as_ref().map(ToString::to_string)
            && known.handset.is_some()
        {
            found.push(format!("lost: the enrolment ({:?})", status.handset));
        }
        for problem in status.problems {
            // Before the enrolment there may be half of one, and the agent's clock is set wrong.
            if known.handset.is_some() && problem.code != "clock_wrong" {
                found.push(format!("a problem that nobody made: {}", problem.code));
            }
        }
        for receipt in verified {
            if receipt.finding != Finding::Verified {
                found.push(format!(
                    "the receipt of {} is {:?}",
                    receipt.id, receipt.finding
                ));
            }
        }
        if known.handset.is_some() && status.policy.is_some() {
            // Whatever was lost, the next declaration works.
            let id = declare(agent, "after the cut");
            let sent = agent.sent().unwrap_or_default();
            let copies = sent.iter().filter(|item| item.id == id);
            if copies
                .filter(|item| item.state == RecordState::Queued)
                .count()
                != 1
            {
                found.push("what is declared afterwards is not kept".into());
            }
        }
    }

    /// What is really in the store.
    fn outbox(
        &self,
        platform: &Platform,
        known: &Known,
        found: &mut Findings,
    ) -> Result<(), String> {
        let failed = |error: &dyn std::fmt::Debug| format!("the store cannot be read: {error:?}");
        let now = platform.clock.now();
        let opened = platform.home.open_store(now);
        let (store, set_aside) = opened.map_err(|error| failed(&error))?;
        if let Some(name) = set_aside {
            found.push(format!("a damaged store: {name}"));
        }
        for table in Table::ALL {
            let rows = store.scan(table, &[], None, ROWS_MAX);
            for (key, value) in rows.map_err(|error| failed(&error))? {
                self.salt(table, &key, &value, found);
            }
        }
        let keys = Arc::clone(&platform.keys);
        let spki = keys.public_key().map_err(|error| failed(&error))?;
        let handset = spki.map(|spki| HandsetId::derive(&spki).to_string());
        if known.handset.is_some() && handset != known.handset {
            found.push("lost: the handset's key".into());
            return Ok(());
        }
        let clock = Arc::clone(&platform.clock);
        let mut outbox =
            Outbox::open(store, keys, clock, Limits::default()).map_err(|error| failed(&error))?;
        let mut copies: BTreeMap<RecordId, u32> = BTreeMap::new();
        for stream in [Stream::Posture, Stream::Records] {
            if handset.is_none() {
                continue;
            }
            let state = outbox.chain_state(stream).map_err(|error| failed(&error))?;
            let mut head = state.acknowledged;
            let pending = outbox.pending(stream, ROWS_MAX, usize::MAX);
            for record in pending.map_err(|error| failed(&error))? {
                *copies.entry(record.id).or_default() += 1;
                if known.received.contains_key(&record.id) {
                    found.push(format!("{} has lost its receipt", record.id));
                }
                match self.open(&record.jws) {
                    Err(problem) => found.push(format!("{}: {problem}", record.id)),
                    Ok((signed, text)) => {
                        if head.check_next(signed.seq, &signed.prev).is_err() {
                            found.push(format!("the chain breaks at {}", record.id));
                        }
                        if known
                            .declared
                            .get(&record.id)
                            .is_some_and(|said| *said != text)
                        {
                            found.push(format!("{} is not what was declared", record.id));
                        }
                    }
                }
                head = head.extended(&record.jws);
                for file in &record.attachments {
                    let bytes = platform.home.read_spooled(&file.sha256, 0, 200_000);
                    if bytes.map(|bytes| Digest::of(&bytes)).ok() != Some(file.sha256) {
                        found.push(format!("lost: a file of {}", record.id));
                    }
                }
            }
        }
        let receipts = outbox.receipts(None, None, ROWS_MAX);
        let receipts = receipts.map_err(|error| failed(&error))?;
        for id in receipts.damaged {
            found.push(format!("the receipt of {id} is damaged"));
        }
        for receipt in receipts.receipts {
            *copies.entry(receipt.id).or_default() += 1;
            if known
                .received
                .get(&receipt.id)
                .is_some_and(|index| *index != receipt.index)
            {
                found.push(format!("{} has another place in the log", receipt.id));
            }
        }
        for record in outbox.quarantined().map_err(|error| failed(&error))? {
            found.push(format!("{} was set aside: {}", record.id, record.code));
        }
        for (id, count) in &copies {
            if *count != 1 {
                found.push(format!("doubled: {id}"));
            }
        }
        for id in known.declared.keys().chain(&known.queued) {
            if !copies.contains_key(id) {
                found.push(format!("lost: {id}"));
            }
        }
        self.drafts(&mut outbox, known, found)
    }

    fn drafts(
        &self,
        outbox: &mut Outbox,
        known: &Known,
        found: &mut Findings,
    ) -> Result<(), String> {
        let mut texts = BTreeMap::new();
        for stored in outbox.drafts().map_err(|error| format!("{error:?}"))? {
            let draft = stored.content.and_then(|json| {
                // EXPOSE: the draft is the trial's own.
                serde_json::from_slice::<Draft>(json.expose()).ok()
            });
            let text = draft.and_then(|draft| first_text(&draft.messages));
            texts.insert(stored.id, text);
        }
        for (id, text) in &known.drafts {
            if texts.get(id) != Some(&Some(text.clone())) {
                found.push(format!("lost: the draft {id}"));
            }
        }
        for id in texts.keys() {
            if known.gone.contains(id) || known.declared.contains_key(id) {
                found.push(format!("the draft {id} is back"));
            }
        }
        Ok(())
    }

    /// The record in its envelope, and the text in it where it is a declaration.
    ///
    /// # Errors
    ///
    /// When it is no record, or sealed to another key.
    pub fn open(&self, jws: &str) -> Result<(Record, String), String> {
        let payload = jws.split('.').nth(1).unwrap_or_default();
        let payload = URL_SAFE_NO_PAD
            .decode(payload)
            .map_err(|error| error.to_string())?;
        let record: Record = serde_json::from_slice(&payload).map_err(|error| error.to_string())?;
        let Body::Declaration(declaration) = &record.body else {
            return Ok((record, String::new()));
        };
        let context = SealContext {
            id: record.id,
            handset: &record.handset,
            kind: Kind::Declaration,
        };
        let content = seal::open(&self.records_key, &context, &declaration.sealed)
            .map_err(|error| error.to_string())?;
        // EXPOSE: the declaration is the trial's own.
        let content: DeclarationContent =
            serde_json::from_slice(content.expose()).map_err(|error| error.to_string())?;
        let text = first_text(&content.messages).unwrap_or_default();
        Ok((record, text))
    }

    /// Two rows under one salt would share a key and a nonce, unless they are the same row.
    fn salt(&self, table: Table, key: &[u8], value: &[u8], found: &mut Findings) {
        let Some(salt) = salt_of(table, value) else {
            return;
        };
        let sealed = Digest::of_parts(&[table.as_str().as_bytes(), key, value]);
        let mut salts = self.salts.lock().unwrap_or_else(PoisonError::into_inner);
        if *salts.entry(salt.to_vec()).or_insert(sealed) != sealed {
            found.push(USED_TWICE.into());
        }
    }
}

/// Where the random part of a sealed value begins: after its version and the number of its epoch.
const SALT_AT: usize = 5;

/// The salt of a sealed row, or the nonce of a wrapped key.
fn salt_of(table: Table, value: &[u8]) -> Option<&[u8]> {
    match table {
        Table::Epoch => value.get(1..13),
        _ => value.get(SALT_AT..SALT_AT + 32),
    }
}

fn first_text(messages: &[Message]) -> Option<String> {
    // EXPOSE: the text is the trial's own.
    messages
        .first()
        .map(|message| message.text.expose().clone())
}
