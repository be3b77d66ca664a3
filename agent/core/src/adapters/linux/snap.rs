//! Snap: `/snap`, or `/var/lib/snapd/snap` where a distribution has no `/snap`.

use super::{Answer, Roots, place};

/// Whether a snap is installed and enabled: `<name>/current` is the link that snapd keeps to the
/// revision that runs.
pub(super) fn ask(roots: &Roots, name: &str) -> Answer {
    if !place::is_plain(name) {
        return Answer::CannotTell;
    }
    Answer::over(roots.snap.iter().map(|mount| {
        match place::look(mount, format!("{name}/current")) {
            // Its directory alone: a snap that is disabled, or left over from one.
            Answer::NotFound if place::look(mount, name) == Answer::Found => Answer::CannotTell,
            answer => answer,
        }
    }))
}
