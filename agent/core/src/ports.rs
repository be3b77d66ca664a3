//! What the core needs from the world, as traits. Only adapters implement them with real I/O.
//!
//! All are called from any thread. Those that may block for long say so.

mod home;
mod keys;
mod store;
mod transport;

use std::sync::Arc;

use candour_wire::policy::Catalogue;
use candour_wire::posture::{AppPresence, HandsetFacts};
use jiff::Timestamp;

pub use self::home::{Document, Home, SpoolFile};
pub use self::keys::{KeyError, KeyStore};
pub use self::store::{Change, Row, Store, StoreError, Table, Usage};
pub use self::transport::{
    ClientIdentity, Connector, Endpoint, Method, Request, Response, Transport, TransportError,
};

/// The clock on the wall. It may be wrong: nothing that protects a record relies on it.
pub trait Clock: Send + Sync {
    /// The present time as the platform has it. Never blocks.
    fn now(&self) -> Timestamp;
}

/// Asks the platform about catalogue apps, and about no others (invariant I1).
pub trait AppProbe: Send + Sync {
    /// Answers for each app of `catalogue`, sorted by app id. May block for seconds.
    ///
    /// A platform that cannot tell answers `unknown` (invariant I2).
    fn probe(&self, catalogue: &Catalogue) -> Vec<AppPresence>;

    /// What the handset is. May block for a moment.
    fn handset_facts(&self) -> HandsetFacts;
}

/// What a holder or a log may learn while the agent works. Never content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A damaged store was set aside under this name and a new one begun.
    StoreSetAside {
        /// File name, in the agent's home.
        file: String,
    },
    /// A step of a sync is under way.
    SyncProgress {
        /// Records that have their receipts in this sync.
        done: u64,
        /// Records that there are to send, as known now.
        total: u64,
    },
    /// Bytes of a file are on the server.
    UploadProgress {
        /// Bytes sent.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
}

/// Receives [`Event`]s. Must not block, and must not call the agent.
pub trait EventSink: Send + Sync {
    /// Takes an event.
    fn emit(&self, event: Event);
}

/// What the platform brings: one of each port.
#[derive(Clone)]
pub struct Platform {
    /// The agent's directory.
    pub home: Arc<dyn Home>,
    /// The clock on the wall.
    pub clock: Arc<dyn Clock>,
    /// The handset's keys.
    pub keys: Arc<dyn KeyStore>,
    /// Asks about catalogue apps.
    pub probe: Arc<dyn AppProbe>,
    /// Connects to the department.
    pub connector: Arc<dyn Connector>,
    /// Hears of progress.
    pub events: Arc<dyn EventSink>,
}
