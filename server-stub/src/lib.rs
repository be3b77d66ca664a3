//! The departmental endpoint: one binary whose roles are chosen by its configuration.

pub mod store;
