//! The agent's core: what runs on every handset, whatever the platform.
//!
//! The facade is [`Agent`]; the command line and the mobile bindings call nothing else. The
//! core decides, and acts on the world only through [`ports`].

pub mod adapters;
pub mod agent;
pub mod catalogue;
pub mod chat;
pub mod config;
pub mod declaration;
mod error;
pub mod identity;
pub mod inventory;
pub mod outbox;
pub mod policy;
pub mod ports;
mod reply;
pub mod sync;
#[cfg(test)]
mod testing;
mod wiped;
#[cfg(test)]
mod wycheproof;

pub use agent::Agent;
pub use config::Config;
pub use error::AgentError;
pub use ports::Platform;
