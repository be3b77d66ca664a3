//! The departmental endpoint: one binary whose roles are chosen by its configuration.

pub mod clock;
pub mod config;
pub mod files;
pub mod identity;
pub mod keys;
pub mod log;
pub mod store;
