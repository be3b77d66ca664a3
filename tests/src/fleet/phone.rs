//! A phone at rest, some kilobytes of it, and the agent that it becomes for the moment in which it
//! is awake.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candour_core::adapters::memory::MemoryKeys;
use candour_core::catalogue;
use candour_core::identity::Identity;
use candour_core::ports::{
    AppProbe, Connector, Document, Endpoint, Event, EventSink, Home, Platform, SpoolFile, Store,
    StoreError, Transport, TransportError,
};
use candour_core::sync::backoff::Jitter;
use candour_core::{Agent, AgentError};
use candour_wire::policy::Catalogue;
use candour_wire::posture::{AppPresence, Evidence, HandsetFacts, Presence};
use candour_wire::{Digest, HandsetId};
use jiff::Timestamp;

use super::shelves::{Drawer, Place, Shelves};
use super::world::World;

/// A phone.
pub(super) struct Phone {
    /// Which of the fleet.
    pub(super) number: usize,
    pub(super) keys: Arc<MemoryKeys>,
    drawer: Drawer,
    state: Mutex<State>,
}

struct State {
    luck: fastrand::Rng,
    /// Bit by bit, which apps of the catalogue are installed.
    apps: u128,
    identity: Option<Place>,
    /// All phones share the bundles.
    policy: Option<Arc<[u8]>>,
    /// Before this it has resolved not to come again, after a sync that failed.
    not_before: Option<Timestamp>,
    /// Until when the server asked to be left alone, the last time it was asked anything.
    asked: Option<Timestamp>,
}

impl Phone {
    /// A phone whose life the seed decides; its keys are random.
    pub(super) fn new(seed: u64, number: usize, shelves: &Arc<Shelves>) -> Self {
        let mixed = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut luck = fastrand::Rng::with_seed(seed ^ mixed);
        // One in six of what the catalogue lists.
        let apps = luck.u128(..) & luck.u128(..) & (luck.u128(..) | luck.u128(..));
        Self {
            number,
            keys: Arc::default(),
            drawer: Drawer::new(shelves),
            state: Mutex::new(State {
                luck,
                apps,
                identity: None,
                policy: None,
                not_before: None,
                asked: None,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws from the phone's own luck.
    pub(super) fn draw<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut self.state().luck)
    }

    /// An app of the catalogue comes or goes.
    pub(super) fn change_an_app(&self) {
        let mut state = self.state();
        let apps = catalogue::bundled().apps.len().min(BITS);
        let app = state.luck.usize(..apps);
        state.apps ^= 1 << app;
    }

    /// Whether its last sync failed.
    pub(super) fn has_failed(&self) -> bool {
        self.state().not_before.is_some()
    }

    /// Whether it comes at this time though it should not.
    pub(super) fn is_early(&self, now: Timestamp) -> bool {
        self.state().not_before.is_some_and(|time| now < time)
    }

    pub(super) fn set_not_before(&self, time: Option<Timestamp>) {
        self.state().not_before = time;
    }

    /// Until when the server has asked to be left alone.
    pub(super) fn asked(&self) -> Option<Timestamp> {
        self.state().asked
    }

    pub(super) fn set_asked(&self, until: Option<Timestamp>) {
        self.state().asked = until;
    }

    /// Puts a certificate on the phone.
    pub(super) fn take_identity(
        &self,
        world: &World,
        identity: &Identity,
    ) -> Result<(), StoreError> {
        self.write_identity(world, &identity.to_json())
    }

    /// Who it is.
    pub(super) fn handset(&self) -> Option<HandsetId> {
        use candour_core::ports::KeyStore as _;
        let spki = self.keys.public_key().ok().flatten()?;
        Some(HandsetId::derive(&spki))
    }

    /// Starts the agent on what the phone holds.
    pub(super) fn open(self: &Arc<Self>, world: &Arc<World>) -> Result<Agent, AgentError> {
        let desk = Arc::new(Desk {
            phone: Arc::clone(self),
            world: Arc::clone(world),
        });
        let platform = Platform {
            home: Arc::clone(&desk) as _,
            clock: Arc::clone(&world.clock) as _,
            keys: Arc::clone(&self.keys) as _,
            probe: Arc::clone(&desk) as _,
            connector: Arc::clone(&desk) as _,
            events: desk,
        };
        let jitter = Jitter::seeded(self.draw(|luck| luck.u64(..)));
        Ok(Agent::open(world.config(), platform)?.with_jitter(jitter))
    }

    fn write_identity(&self, world: &World, json: &[u8]) -> Result<(), StoreError> {
        let place = world.shelves.put(json)?;
        if let Some(before) = self.state().identity.replace(place) {
            world.shelves.free(before);
        }
        Ok(())
    }
}

/// As many apps as a phone has bits for.
const BITS: usize = 128;

/// What a phone brings to its agent while it is awake.
struct Desk {
    phone: Arc<Phone>,
    world: Arc<World>,
}

impl AppProbe for Desk {
    fn probe(&self, catalogue: &Catalogue) -> Vec<AppPresence> {
        let apps = self.phone.state().apps;
        let answers = catalogue.apps.iter().enumerate().map(|(at, app)| {
            let state = if at < BITS && apps >> at & 1 == 1 {
                Presence::Installed
            } else {
                Presence::Absent
            };
            AppPresence {
                app: app.id.clone(),
                state,
                evidence: vec![Evidence::Mdm],
            }
        });
        answers.collect()
    }

    fn handset_facts(&self) -> HandsetFacts {
        HandsetFacts {
            platform: "android".into(),
            os_version: Some("16".into()),
            model: None,
            agent_version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

impl Connector for Desk {
    fn connect(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
        self.world.connect(&self.phone, endpoint)
    }
}

impl EventSink for Desk {
    fn emit(&self, _event: Event) {}
}

/// A phone of the fleet attaches no files, so that its spool stays empty.
impl Home for Desk {
    fn open_store(&self, _now: Timestamp) -> Result<(Box<dyn Store>, Option<String>), StoreError> {
        Ok((Box::new(self.phone.drawer.clone()), None))
    }

    fn set_aside_stores(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn read(&self, document: Document) -> Result<Option<Vec<u8>>, StoreError> {
        let state = self.phone.state();
        match document {
            Document::Identity => {
                let place = state.identity;
                drop(state);
                Ok(place
                    .map(|place| self.world.shelves.read(place))
                    .transpose()?)
            }
            Document::Policy => Ok(state.policy.as_ref().map(|bundle| bundle.to_vec())),
        }
    }

    fn write(&self, document: Document, bytes: &[u8]) -> Result<(), StoreError> {
        match document {
            Document::Identity => self.phone.write_identity(&self.world, bytes)?,
            Document::Policy => {
                let bundle = self.world.shared(bytes);
                self.phone.state().policy = Some(bundle);
            }
        }
        Ok(())
    }

    fn spool(&self) -> Result<Box<dyn SpoolFile>, StoreError> {
        Err(StoreError::Full)
    }

    fn read_spooled(&self, _: &Digest, _: u64, _: usize) -> Result<Vec<u8>, StoreError> {
        Err(std::io::Error::from(std::io::ErrorKind::NotFound).into())
    }

    fn spooled(&self) -> Result<Vec<Digest>, StoreError> {
        Ok(Vec::new())
    }

    fn spooled_bytes(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn remove_spooled(&self, _name: &Digest) -> Result<(), StoreError> {
        Ok(())
    }

    fn destroy(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
