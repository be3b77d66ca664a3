//! Progress bars on standard error, for what takes longer than a second.

use std::sync::Arc;
use std::time::Duration;

use candour_core::ports::{Event, EventSink};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::text;

/// How often a bar moves by itself, so that a slow step does not look dead.
const TICK: Duration = Duration::from_millis(120);

/// A bar that counts to `total`. It is not drawn where standard error is no terminal.
pub(crate) fn bar(what: &'static str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed}")
        .expect("the template is constant and well formed");
    let bar =
        ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_style(style);
    bar.set_message(what);
    bar.enable_steady_tick(TICK);
    bar
}

/// Files that are smaller than this are read before a bar would be seen, in bytes.
const SHOWN_FROM_BYTES: u64 = 8 << 20;

/// Shows `bar`, which so far counts unseen, while `total` bytes are read; until the guard goes.
pub(crate) fn reading(bar: &ProgressBar, total: u64) -> impl Drop + use<> {
    bar.set_position(0);
    bar.set_length(total);
    if total >= SHOWN_FROM_BYTES {
        let style = ProgressStyle::with_template(
            "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {elapsed}",
        )
        .expect("the template is constant and well formed");
        bar.set_style(style);
        bar.set_message("Reading");
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
    Reading(bar.clone())
}

/// Shows that the messages of `bytes` of text are being told apart; until the guard goes.
pub(crate) fn indexing(bytes: u64) -> impl Drop {
    Reading(if bytes >= SHOWN_FROM_BYTES {
        spinner("Telling the messages apart")
    } else {
        ProgressBar::hidden()
    })
}

struct Reading(ProgressBar);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.finish_and_clear();
        self.0.set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// A spinner for a step of unknown length.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}")
        .expect("the template is constant and well formed");
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
    bar.set_message(what);
    bar.enable_steady_tick(TICK);
    bar
}

/// Shows the agent's progress as a bar.
pub(crate) struct SyncBar {
    bar: ProgressBar,
}

impl SyncBar {
    /// A bar, and the sink that moves it.
    pub(crate) fn new() -> (Arc<Self>, ProgressBar) {
        let bar = bar("Sending", 0);
        (Arc::new(Self { bar: bar.clone() }), bar)
    }
}

impl EventSink for SyncBar {
    fn emit(&self, event: Event) {
        match event {
            Event::SyncProgress { done, total } => {
                self.bar.set_message("Sending records");
                self.bar.set_length(total);
                self.bar.set_position(done);
            }
            Event::UploadProgress { done, total } => {
                self.bar.set_message("Sending a file");
                self.bar.set_length(total);
                self.bar.set_position(done);
            }
            Event::StoreSetAside { file } => {
                self.bar.suspend(|| crate::out::note(&set_aside(&file)));
            }
        }
    }
}

/// Says on standard error what the holder must not miss, and drops the rest.
pub(crate) struct Quiet;

impl EventSink for Quiet {
    fn emit(&self, event: Event) {
        if let Event::StoreSetAside { file } = event {
            crate::out::note(&set_aside(&file));
        }
    }
}

fn set_aside(file: &str) -> String {
    format!(
        "The store was damaged and has been set aside as {}; a new one was begun.",
        text::line(file)
    )
}
