//! Runs programs under the recorder of `tests/torture/recorder.c`.
//!
//! A library that is loaded before the C library sees every call of the unchanged product: those
//! of SQLite and those of the files beside it. A file system of SQLite's own (a VFS shim) would
//! see only SQLite's, and would need a way into the product that only a test uses.

use std::fs;
use std::path::{Path, PathBuf};

use super::trace::Trace;
use crate::preload;
use crate::program::Program;

/// The recorder, compiled, and the trace that it writes.
#[derive(Debug, Clone)]
pub struct Recorder {
    library: PathBuf,
    trace: PathBuf,
    root: PathBuf,
}

impl Recorder {
    /// Compiles the recorder into `scratch`; what happens below `root` will be recorded.
    ///
    /// # Errors
    ///
    /// When there is no C compiler, or it does not like the recorder.
    pub fn compile(scratch: &Path, root: &Path) -> Result<Self, String> {
        let source = include_str!("../../torture/recorder.c");
        let library = preload::compile("recorder", source, scratch)?;
        let trace = scratch.join("trace");
        fs::write(&trace, []).map_err(|error| error.to_string())?;
        Ok(Self {
            library,
            trace,
            root: root.to_owned(),
        })
    }

    /// The program, recorded.
    #[must_use]
    pub fn around(&self, program: &Program) -> Program {
        program.with_env([
            ("LD_PRELOAD", self.library.as_os_str()),
            ("RECORDER_ROOT", self.root.as_os_str()),
            ("RECORDER_TRACE", self.trace.as_os_str()),
        ])
    }

    /// Does something while no recorded process is between a call and its record, such as killing
    /// one.
    ///
    /// # Errors
    ///
    /// When the processes cannot be held up.
    pub fn between_steps<T>(&self, work: impl FnOnce() -> T) -> Result<T, String> {
        let held = fs::File::open(&self.trace).and_then(|file| file.lock().map(|()| file));
        let held = held.map_err(|error| error.to_string())?;
        let done = work();
        drop(held);
        Ok(done)
    }

    /// Everything that has been recorded so far.
    ///
    /// # Errors
    ///
    /// When the trace is not sound.
    pub fn trace(&self) -> Result<Trace, String> {
        Trace::parse(fs::read(&self.trace).map_err(|error| error.to_string())?)
    }
}
