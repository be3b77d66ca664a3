//! Too few files, too little memory, a disk that is full, can only be read or fails, a server's
//! clock that is years wrong: everything is refused with a code or goes through, and what was
//! acknowledged stays.
//!
//! Each trial is a function that says what is wrong. It is run on the product, where nothing may
//! be, and on something that acknowledges and keeps nothing, which has to be noticed.

mod phone;
mod server;

use std::process::Command;

use candour_tests::program::run_by;
use candour_tests::torture::phone_check::Findings;

/// What a trial says of an acknowledged record that is not there.
const LOST: &str = "lost: ";

/// What it says of an answer where another one was right.
const INSTEAD_OF: &str = " instead of ";

/// What it says of a server that should not start.
const STARTS: &str = "it starts";

/// A command under a limit of the shell's `ulimit`.
fn limited(limit: &str, command: &Command) -> Command {
    let mut outer = Command::new("sh");
    outer.args(["-c", &format!("ulimit {limit}; exec \"$@\""), "sh"]);
    run_by(outer, command)
}

/// A control has shown what it is for: that what was acknowledged is lost is noticed, and by these
/// other rules as well.
fn is_noticed(findings: &Findings, rules: &[&str]) {
    for rule in rules.iter().chain([&LOST]) {
        assert!(
            findings.iter().any(|finding| finding.contains(rule)),
            "{rule:?} does not notice: {findings:#?}"
        );
    }
}
