//! How far something is that takes long.

use indicatif::{ProgressBar, ProgressStyle};

/// Progress on standard error, where somebody looks; nothing where that is no terminal.
#[must_use]
pub fn bar(what: &'static str, of: usize) -> ProgressBar {
    let bar = ProgressBar::new(of as u64);
    if let Ok(style) = ProgressStyle::with_template("{msg:>12} {wide_bar} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}
