//! Looks for one thing by name.

use std::io;
use std::path::Path;

use super::Answer;

/// Longest file name on Linux's file systems, in bytes (`NAME_MAX`).
const NAME_MAX_BYTES: usize = 255;

/// Whether `name` is a plain file name such as packages and apps have, so that it cannot lead
/// out of the place that is asked. Names come from a signed policy, which is no reason to let
/// them name `../../etc/shadow`.
pub(super) fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte);
    name.len() < NAME_MAX_BYTES - ".desktop".len()
        && name.bytes().all(plain)
        && name
            .as_bytes()
            .first()
            .is_some_and(u8::is_ascii_alphanumeric)
}

/// Whether there is anything at `base/relative`. Symbolic links count as they are, and are not
/// followed at the end.
///
/// A `base` that does not exist holds nothing. One that leads nowhere, or that is no directory,
/// cannot be asked.
pub(super) fn look(base: &Path, relative: impl AsRef<Path>) -> Answer {
    match base.join(relative).symlink_metadata() {
        Ok(_) => Answer::Found,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !leads_nowhere(base) => {
            Answer::NotFound
        }
        Err(_) => Answer::CannotTell,
    }
}

fn leads_nowhere(base: &Path) -> bool {
    base.symlink_metadata().is_ok() && base.metadata().is_err()
}
