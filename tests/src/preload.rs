//! Libraries that are loaded before the C library, to see or change what the unchanged product is
//! told by the system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::SignedDuration;

use crate::program::run;

/// Compiles a library into `scratch`.
///
/// # Errors
///
/// When there is no C compiler, or it does not like the source.
pub fn compile(name: &str, source: &str, scratch: &Path) -> Result<PathBuf, String> {
    let file = scratch.join(name).with_extension("c");
    let library = scratch.join(name).with_extension("so");
    fs::write(&file, source).map_err(|error| error.to_string())?;
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O2", "-pthread", "-o"]);
    compile.arg(&library).arg(&file);
    let compiled = run(&mut compile, b"");
    if compiled.status.success() {
        Ok(library)
    } else {
        Err(format!("{name} does not compile: {compiled:?}"))
    }
}

/// Sets the clock of a process that is not started yet wrong by `shift`.
///
/// # Errors
///
/// As [`compile`].
pub fn set_clock_wrong(
    command: &mut Command,
    shift: SignedDuration,
    scratch: &Path,
) -> Result<(), String> {
    let library = compile("clock", include_str!("../torture/clock.c"), scratch)?;
    command.env("LD_PRELOAD", library);
    command.env("CLOCK_SHIFT", shift.as_secs().to_string());
    Ok(())
}
