//! Which apps are on a phone, in truth and as its agent is told.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use candour_core::ports::AppProbe;
use candour_wire::AppId;
use candour_wire::policy::Catalogue;
use candour_wire::posture::{AppPresence, Evidence, HandsetFacts, Presence};

/// The truth about a phone. Apps that are not named are absent.
pub(super) struct Truth {
    state: Mutex<State>,
    /// Whether the probe goes on telling what it told first.
    frozen: bool,
}

#[derive(Clone, Default)]
struct State {
    apps: BTreeMap<AppId, Presence>,
    os_version: u32,
    first: Option<(BTreeMap<AppId, Presence>, u32)>,
}

impl Truth {
    pub(super) fn new(frozen: bool) -> Self {
        Self {
            state: Mutex::default(),
            frozen,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, app: AppId, presence: Presence) {
        self.state().apps.insert(app, presence);
    }

    pub(super) fn update_system(&self) {
        self.state().os_version += 1;
    }

    /// What a department should see of an app.
    pub(super) fn of(&self, app: &str) -> Presence {
        let state = self.state();
        let known = state.apps.iter().find(|(id, _)| id.as_str() == app);
        known.map_or(Presence::Absent, |(_, presence)| *presence)
    }

    pub(super) fn os_version(&self) -> String {
        self.state().os_version.to_string()
    }

    /// What the probe tells.
    fn told(&self) -> (BTreeMap<AppId, Presence>, u32) {
        let mut state = self.state();
        let now = (state.apps.clone(), state.os_version);
        if self.frozen {
            state.first.get_or_insert(now).clone()
        } else {
            now
        }
    }
}

impl AppProbe for Truth {
    fn probe(&self, catalogue: &Catalogue) -> Vec<AppPresence> {
        let (apps, _) = self.told();
        let answer = |app: &candour_wire::policy::CatalogueApp| {
            let state = apps.get(&app.id).copied().unwrap_or(Presence::Absent);
            let evidence = match state {
                Presence::Unknown => Vec::new(),
                Presence::Installed | Presence::Absent => vec![Evidence::Mdm],
            };
            AppPresence {
                app: app.id.clone(),
                state,
                evidence,
            }
        };
        catalogue.apps.iter().map(answer).collect()
    }

    fn handset_facts(&self) -> HandsetFacts {
        HandsetFacts {
            platform: "linux".to_owned(),
            os_version: Some(self.told().1.to_string()),
            model: None,
            agent_version: "0.1.0".to_owned(),
        }
    }
}
