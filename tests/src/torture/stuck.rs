//! A control for the rule that no two rows are sealed under one key and nonce: the product as it
//! is, on a system whose random numbers stand still.

use std::fs;

use super::facts::Known;
use super::phone;
use super::phone_check::{PhoneCheck, USED_TWICE};
use super::power_cut::fast_dir;
use crate::department::Department;
use crate::preload;
use crate::program::{Program, run};

/// How often the check of a phone's files finds a nonce that is used twice, after the phone has
/// done `acts` things, where random numbers are `stuck` or not.
///
/// # Errors
///
/// When the phone cannot be set up, or does not work.
pub fn nonces_used_twice(program: &Program, acts: u64, stuck: bool) -> Result<usize, String> {
    let scratch = fast_dir()?;
    let department = Department::start(program);
    let settings = scratch.path().join("settings.json");
    let json = serde_json::to_vec(&department.settings()).expect("settings serialise");
    fs::write(&settings, json).map_err(|error| error.to_string())?;
    let home = scratch.path().join("phone");
    let mut command = phone::command(program, &home, &settings, 1);
    command.args(["--acts", &acts.to_string()]);
    command.args(["--token", &department.token()]);
    if stuck {
        let source = include_str!("../../torture/stuck.c");
        let library = preload::compile("stuck", source, scratch.path())?;
        command.env("LD_PRELOAD", library);
    }
    let outcome = run(&mut command, b"");
    if !outcome.status.success() {
        return Err(format!("the agent does not work: {outcome:?}"));
    }
    let findings = PhoneCheck::of(&department)?.look(&home, &Known::default());
    let of_nonces = findings.iter().filter(|finding| *finding == USED_TWICE);
    Ok(of_nonces.count())
}
