//! Phones, network and gateway in one process, under faults that a seed decides.
//!
//! Everything but the edges is the product: on the phones' side the agent behind its facade, on
//! the other the gateway's routes and layers, its certificate authority, its policies and its
//! SQLite store. The edges are the ports: a phone's disk, keys, clock, probe and network, the
//! gateway's clock, and a layer before its store. There the faults are: a request that is cut,
//! late, doubled or answered with nonsense; a crash before or after any write on either side; a
//! full or failing disk; clocks that jump; keys that are slow or locked; people who revoke,
//! reinstate, change policies and edit what they declare.
//!
//! Time stands still but where the simulation moves it, and one thing happens at a time, so that
//! a seed takes the same course each time ([`Runner::run_seed`]). When the faults have stopped and
//! everything is at rest, what passed and what is kept is held against the rules
//! ([`control::Rule`]) by a checker of its own. Why a harness over the ports: decision 0012.
//!
//! What breaks a rule on purpose is in [`control`]; a test asks that each is caught.

pub(crate) mod bridge;
mod calm;
mod check;
mod clock;
mod command;
pub mod control;
mod coverage;
mod delivery;
mod disk;
mod forger;
mod history;
mod holder;
mod item;
mod keys;
mod network;
mod phone;
mod policies;
mod probe;
mod profile;
mod server;
mod step;
mod store;
mod world;

use self::control::{Control, Rule};
use self::world::World;

pub use self::command::run;
pub use self::coverage::Coverage;

/// What came of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// Which seed.
    pub seed: u64,
    /// What broke a rule; empty where all is well.
    pub violations: Vec<Violation>,
    /// What happened, in order, one line each.
    pub trace: Vec<String>,
    /// How often each fault and each path was met.
    pub coverage: Coverage,
}

/// A rule that was found broken.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// How.
    pub detail: String,
}

/// Runs seeds, one after the other, on one thread.
#[derive(Debug)]
pub struct Runner(tokio::runtime::Runtime);

impl Runner {
    /// Prepares the thread.
    ///
    /// # Panics
    ///
    /// When the runtime cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        Self(runtime.expect("a runtime"))
    }

    /// Runs a seed to its end. Blocks for some tens of milliseconds.
    pub fn run_seed(&self, seed: u64, control: Option<Control>) -> Outcome {
        self.0
            .block_on(async { Box::pin(World::new(seed, control).await.run()).await })
    }
}

impl Default for Runner {
    fn default() -> Self {
        Self::new()
    }
}
