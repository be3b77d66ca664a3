//! Adapters: the only part of the core that does I/O. Each implements a port.

pub mod clock;
pub mod files;
pub mod home;
pub mod https;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod memory;
pub mod memory_home;
pub mod software_keys;
pub mod sqlite;

#[cfg(target_os = "linux")]
mod platform;

#[cfg(target_os = "linux")]
pub use platform::linux_platform;
