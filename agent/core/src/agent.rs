//! The facade: the only thing that the command line and the mobile bindings call.
//!
//! One [`Agent`] has a handset's home directory; a second process, or a second sync, is told that
//! it is busy. All calls but [`Agent::enrol`], [`Agent::sync`] and [`Agent::tick`] block on the
//! disk and, where they sign, on the handset's key, and may be made from any thread.

mod declare;
mod in_force;
mod network;
mod report;
mod review;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candour_wire::policy::{Catalogue, Policy};
use candour_wire::record::Body;
use candour_wire::{HandsetId, RecordId, Sensitive};
use jiff::Timestamp;

pub use self::network::Tick;
pub use self::report::{
    Advice, Enrolment, Failure, Finding, RecordState, Scan, SentItem, StatusReport, Verification,
};
use crate::catalogue;
use crate::config::Config;
use crate::error::AgentError;
use crate::identity::Identity;
use crate::inventory::{self, ScanMemory};
use crate::outbox::{Also, Outbox, OutboxError, Summary};
use crate::policy::SignedPolicy;
use crate::ports::{Document, Event, Platform};
use crate::sync::backoff::Jitter;

/// The agent of one handset.
pub struct Agent {
    config: Config,
    platform: Platform,
    state: Arc<Mutex<State>>,
    /// Held through a sync, so that two never run at once.
    syncing: tokio::sync::Mutex<()>,
    /// Held while a file is sealed, so that two do not count on the same room.
    sealing: Mutex<()>,
    jitter: Mutex<Jitter>,
}

struct State {
    outbox: Outbox,
    identity: Option<Identity>,
    policy: Option<SignedPolicy>,
}

impl State {
    fn handset(&self) -> Option<&HandsetId> {
        self.identity.as_ref().map(|identity| &identity.handset)
    }
}

/// Names of the values that the facade keeps in the store.
mod value {
    /// JSON of [`crate::inventory::ScanMemory`].
    pub(super) const SCAN: &str = "scan";
    /// JSON of when problems were last reported, and which.
    pub(super) const LAST_STATUS: &str = "last_status";
    /// When the last scan was made, as text.
    pub(super) const LAST_SCAN: &str = "last_scan";
    /// There where the server has asked for the whole app list.
    pub(super) const FULL_LIST_WANTED: &str = "full_list_wanted";
    /// The signed policy with the highest version that was ever in force.
    pub(super) const POLICY: &str = "policy";
    /// JSON of the names of the stores that were set aside and that the holder has dealt with.
    pub(super) const ACKNOWLEDGED: &str = "acknowledged_set_aside";
}

impl Agent {
    /// Opens the agent in its home. A damaged store is set aside, never deleted: the new one
    /// begins empty, the event says so, and [`Agent::status`] goes on saying so until
    /// [`Agent::acknowledge_set_aside`], whatever happens in between: the file that was set aside
    /// is the note of it.
    ///
    /// # Errors
    ///
    /// When another process has the home, or its files cannot be read. That the handset's key is
    /// locked or gone is no error here: what waits can be counted without it, and everything can
    /// be wiped.
    pub fn open(config: Config, platform: Platform) -> Result<Self, AgentError> {
        let (store, set_aside) = platform.home.open_store(platform.clock.now())?;
        if let Some(file) = set_aside {
            platform.events.emit(Event::StoreSetAside { file });
        }
        let outbox = Outbox::open(
            store,
            Arc::clone(&platform.keys),
            Arc::clone(&platform.clock),
            config.outbox.clone(),
        )?;
        let identity = Self::restore_identity(&platform)?;
        let policy = Self::restore_policy(&config, &platform)?;
        let state = Arc::new(Mutex::new(State {
            outbox,
            identity,
            policy,
        }));
        let agent = Self {
            config,
            platform,
            state,
            syncing: tokio::sync::Mutex::new(()),
            sealing: Mutex::new(()),
            jitter: Mutex::new(Jitter::from_system()),
        };
        agent.settle_policy(&mut lock(&agent.state));
        if let Err(error) = agent.sweep_spool() {
            // A file too many does no harm, and a locked phone cannot tell which those are.
            tracing::warn!(
                code = error.code().as_str(),
                "sealed files that nothing needs stay until the agent is next opened"
            );
        }
        Ok(agent)
    }

    /// Takes the waits between syncs from `jitter`, so that a simulation can be repeated.
    #[must_use]
    pub fn with_jitter(self, jitter: Jitter) -> Self {
        Self {
            jitter: Mutex::new(jitter),
            ..self
        }
    }

    /// Who this handset is. What cannot be read is as good as none: an enrolment with a new token
    /// brings it again, for the same key, so that what waits stays this handset's.
    fn restore_identity(platform: &Platform) -> Result<Option<Identity>, AgentError> {
        let stored = platform.home.read(Document::Identity)?;
        let restored = stored
            .as_ref()
            .and_then(|json| Identity::from_json(json).ok());
        if stored.is_some() && restored.is_none() {
            tracing::warn!(
                "the stored enrolment cannot be read; the phone has to be enrolled again"
            );
        }
        Ok(restored)
    }

    /// The policy in force when the agent last ran. One that cannot be read is as good as none:
    /// the next sync brings it again.
    fn restore_policy(
        config: &Config,
        platform: &Platform,
    ) -> Result<Option<SignedPolicy>, AgentError> {
        let Some(bundle) = platform.home.read(Document::Policy)? else {
            return Ok(None);
        };
        let restored = String::from_utf8(bundle).ok().and_then(|bundle| {
            SignedPolicy::restore(bundle, &config.policy_key, &config.department).ok()
        });
        if restored.is_none() {
            tracing::warn!("the stored policy cannot be read; the next sync fetches it again");
        }
        Ok(restored)
    }

    /// Asks the platform about the catalogue's apps and queues a record where one is due: the
    /// whole list the first time, a difference on change, a heartbeat after a day without either.
    ///
    /// # Errors
    ///
    /// When the record that is due cannot be queued. The answers are then not remembered either,
    /// so that the next scan finds the same change.
    pub fn scan(&self) -> Result<Scan, AgentError> {
        let now = self.now();
        let mut state = lock(&self.state);
        let enrolled = state.identity.is_some();
        let memory = if enrolled {
            read_json::<ScanMemory>(&mut state.outbox, value::SCAN)?
        } else {
            None
        };
        let wanted = enrolled && state.outbox.value(value::FULL_LIST_WANTED)?.is_some();
        let policy = state.policy.as_ref().map(SignedPolicy::policy);
        let catalogue = catalogue::in_force(catalogue::bundled(), policy);
        let outcome = inventory::scan(
            &*self.platform.probe,
            catalogue,
            &memory.unwrap_or_default(),
            now,
            wanted,
        );
        if !enrolled {
            // Before enrolment there is nobody to tell; the holder may look all the same.
            return Ok(Scan {
                inventory: outcome.inventory,
                queued: None,
            });
        }
        let memory = serde_json::to_vec(&outcome.memory).expect("texts and times serialise");
        let mut also = vec![
            Also::PutValue(value::SCAN, Sensitive::new(memory)),
            Also::PutValue(
                value::LAST_SCAN,
                Sensitive::new(now.to_string().into_bytes()),
            ),
        ];
        let queued = outcome.record.as_ref().map(Body::kind);
        match outcome.record {
            Some(body) => {
                also.push(Also::DeleteValue(value::FULL_LIST_WANTED));
                let summary = summarise(&body);
                self.append(&mut state, RecordId::make(now), body, summary, &also)?;
            }
            None => state.outbox.apply(&also)?,
        }
        Ok(Scan {
            inventory: outcome.inventory,
            queued,
        })
    }

    /// The catalogue in force: the apps that the agent may ask about, and no others.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue {
        let state = lock(&self.state);
        catalogue::in_force(
            catalogue::bundled(),
            state.policy.as_ref().map(SignedPolicy::policy),
        )
        .clone()
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Option<Policy> {
        lock(&self.state)
            .policy
            .as_ref()
            .map(|signed| signed.policy().clone())
    }

    /// The configuration that this agent was opened with.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Destroys the keys first, so that nothing that is left can be read, and then every file.
    /// What waits and was never sent is lost: the caller has made sure that this is meant.
    ///
    /// # Errors
    ///
    /// When something could not be removed. The keys are gone then all the same, unless it is
    /// they that could not be removed.
    pub fn wipe(self) -> Result<(), AgentError> {
        let wiped = lock(&self.state).outbox.wipe();
        self.platform.keys.destroy()?;
        self.platform.home.destroy()?;
        Ok(wiped?)
    }

    fn now(&self) -> Timestamp {
        self.platform.clock.now()
    }

    fn jitter(&self) -> Jitter {
        let mut jitter = self.jitter.lock().unwrap_or_else(PoisonError::into_inner);
        jitter.split()
    }
}

/// Locks the state. A panic elsewhere does not poison it: every change is one commit of the
/// store, so there is no half-made state to protect others from.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_json<T: serde::de::DeserializeOwned>(
    outbox: &mut Outbox,
    name: &str,
) -> Result<Option<T>, OutboxError> {
    // EXPOSE: read into the type that it was written from.
    Ok(outbox
        .value(name)?
        .and_then(|json| serde_json::from_slice(json.expose()).ok()))
}

/// `None` where the handset's key cannot be used, which says nothing about what is stored.
fn readable<T>(read: Result<T, OutboxError>) -> Result<Option<T>, OutboxError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(OutboxError::Key(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A posture record in a few words for the holder's own list.
fn summarise(body: &Body) -> Summary {
    match body {
        Body::Inventory(list) => Summary::new(
            &format!("{} apps of the catalogue", list.apps.len()),
            "the whole app list",
        ),
        Body::InventoryChange(change) => {
            let apps: Vec<String> = change
                .changed
                .iter()
                .map(|app| format!("{} {}", app.app, app.state.as_str()))
                .collect();
            Summary::new(&apps.join(", "), "the app list changed")
        }
        Body::Heartbeat(_) => Summary::new("no change", "a day has passed"),
        _ => Summary::new("how Candour fares", "something wants doing"),
    }
}

#[cfg(test)]
mod tests;
