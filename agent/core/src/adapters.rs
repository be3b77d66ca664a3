//! Adapters: the only part of the core that does I/O. Each implements a port.

#[cfg(target_os = "linux")]
pub mod linux;
pub mod clock;
pub mod files;
pub mod memory;
pub mod software_keys;
pub mod sqlite;
