//! The departmental endpoint: one binary whose roles are chosen by its configuration.

mod cli;
pub mod clock;
pub mod config;
pub mod files;
pub mod gateway;
pub mod identity;
pub mod keys;
pub mod log;
mod names;
pub mod openapi;
pub mod policy;
pub mod problem;
pub mod store;

pub use cli::run;
