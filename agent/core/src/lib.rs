//! The agent's core: what runs on every handset, whatever the platform.
//!
//! The facade is [`Agent`]; the command line and the mobile bindings call nothing else. The core
//! decides, and acts on the world only through [`ports`]; the adapters that ship with it are in
//! [`adapters`].

pub mod adapters;
pub mod catalogue;
pub mod inventory;
pub mod outbox;
pub mod ports;
#[cfg(test)]
mod testing;
