//! What must hold for any bytes at all, on both sides of the wire.
//!
//! Each target reads the bytes in two ways. Raw, they are what a stranger sends. In the other way
//! the signature, the seal or the transport around them is made good first, so that what lies
//! behind it is reached too: an enrolled handset or the department's own server may lie as well.

mod agent;
mod keys;
mod server;
mod wire;

pub use agent::{agent_config, agent_enrol, agent_sync, certificate};
pub use server::{server_batch, server_config, server_enrol, server_http};
pub use wire::{attachment, json, jws, log, sealed};

/// A target's body.
pub type Body = fn(&[u8]);

/// Every target, by the name of its folder in `seeds`.
pub const TARGETS: [(&str, Body); 13] = [
    ("agent_config", agent_config),
    ("agent_enrol", agent_enrol),
    ("agent_sync", agent_sync),
    ("attachment", attachment),
    ("certificate", certificate),
    ("json", json),
    ("jws", jws),
    ("log", log),
    ("sealed", sealed),
    ("server_batch", server_batch),
    ("server_config", server_config),
    ("server_enrol", server_enrol),
    ("server_http", server_http),
];

/// Broken on purpose, behind words that nobody guesses: whoever looks for inputs finds this one only
/// where each step that leads to it shows.
pub fn control(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first_chunk() else {
        return;
    };
    if u32::from_le_bytes(*first) == u32::from_le_bytes(*b"step") {
        let second = rest.first_chunk().map(|word| u32::from_le_bytes(*word));
        assert!(
            second != Some(u32::from_le_bytes(*b"down")),
            "it is broken on purpose"
        );
    }
}
