//! Flatpak: the system's installation and the holder's own.

use std::fs;
use std::io;
use std::path::Path;

use super::{Answer, Roots, place};

/// Whether a flatpak app is deployed: `app/<id>/current` is the link that flatpak keeps to the
/// branch that runs.
pub(super) fn ask(roots: &Roots, id: &str) -> Answer {
    if !place::is_plain(id) {
        return Answer::CannotTell;
    }
    let own = roots.user_data.as_ref().map(|data| data.join("flatpak"));
    let own_answer = own
        .as_ref()
        .map_or(Answer::CannotTell, |base| in_installation(base, id));
    let shared = roots.flatpak.iter().map(|base| in_installation(base, id));
    Answer::over(shared.chain([own_answer, further_installations(roots)]))
}

fn in_installation(base: &Path, id: &str) -> Answer {
    match place::look(base, format!("app/{id}/current")) {
        // The app's directory without a current branch: half installed or half removed.
        Answer::NotFound if place::look(base, format!("app/{id}")) == Answer::Found => {
            Answer::CannotTell
        }
        answer => answer,
    }
}

/// An administrator can add installations anywhere, on another disk for example. They are rare:
/// where there are any, nothing is absent, rather than that we follow them.
fn further_installations(roots: &Roots) -> Answer {
    match fs::read_dir(&roots.flatpak_further) {
        Ok(mut entries) => entries
            .next()
            .map_or(Answer::NotFound, |_| Answer::CannotTell),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Answer::NotFound,
        Err(_) => Answer::CannotTell,
    }
}
