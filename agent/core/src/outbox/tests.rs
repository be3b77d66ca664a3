//! The outbox against a server that follows the rules of the wire.

mod damage;
mod declared;
mod disks;
mod edges;
mod epochs;
mod frozen;
mod model;
mod receipts;
mod rules;
mod signing;
mod world;
