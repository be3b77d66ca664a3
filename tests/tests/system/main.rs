//! The whole system over real sockets: the server in a process of its own, handsets that are the
//! product, handsets that lie, and what lies between them.
//!
//! One test program, because each links the whole product.

#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests may, like the tests themselves"
)]

mod attachments;
mod bench;
mod breach;
mod certificates;
mod cli;
mod damage;
mod demo;
mod departments;
mod enrolment;
mod est_by_curl;
mod exhaustion;
mod faults;
mod fleet;
mod import;
mod kill;
mod log;
mod lying_handset;
mod lying_server;
mod network;
mod policy;
mod posture;
mod power_cut;
mod privacy;
mod records;
mod scan;
mod scarcity;
mod tls;

use candour_tests::{Department, Program};

fn program() -> Program {
    Program::new(env!("CARGO_BIN_EXE_candour-tests"))
}

/// A department whose server is ready.
fn department() -> Department {
    Department::start(&program())
}
