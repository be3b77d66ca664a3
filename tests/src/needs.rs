//! What a machine has to have for a test.

/// Fails a test that cannot be run here: one that is passed over in silence has shown nothing, and
/// looks as if it had.
///
/// # Panics
///
/// Always, with the reason, what the test needs, and what to do where that cannot be had.
#[track_caller]
pub fn cannot_run(reason: &str, needs: &str) -> ! {
    panic!(
        "this test cannot be run here: {reason}. It needs {needs}. \
         Where that cannot be had, leave it out by hand, with `-- --skip` and its name."
    )
}
