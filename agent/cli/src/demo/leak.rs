//! Step 6: is any declared text on the gateway?
//!
//! Every file of the server's folder is read as bytes: database, write-ahead log, attachments,
//! keys, log. A text counts as found as it stands and in base64 at each of its three alignments,
//! since records travel in base64. So that a search that looks in the wrong place cannot pass,
//! it must also find something that is known to be there.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use candour_wire::content::Text;
use memchr::memmem;

use super::DemoError;
use crate::failure::Failure;

/// Shortest text that is searched for, in bytes: "yes" is found anywhere and proves nothing.
const NEEDLE_MIN_BYTES: usize = 12;

/// What was searched.
pub(super) struct Searched {
    /// Files read.
    pub(super) files: usize,
    /// Their bytes.
    pub(super) bytes: u64,
    /// How often what is known to be there was found.
    pub(super) control: usize,
}

/// Searches everything below `places` for `texts`, and for `control`, which must be there.
///
/// # Errors
///
/// [`DemoError::Leak`] when a text is found, [`DemoError::BlindSearch`] when `control` is not.
pub(super) fn search(places: &[&Path], texts: &[Text], control: &str) -> Result<Searched, Failure> {
    let needles: Vec<Vec<u8>> = texts
        .iter()
        // EXPOSE: compared with the bytes on disk; on a match only the file is named.
        .map(|text| text.expose().as_bytes())
        .filter(|text| text.len() >= NEEDLE_MIN_BYTES)
        .flat_map(forms)
        .collect();
    let mut searched = Searched {
        files: 0,
        bytes: 0,
        control: 0,
    };
    for path in files(places)? {
        let bytes = std::fs::read(&path).map_err(|source| Failure::File {
            path: path.clone(),
            source,
        })?;
        if needles
            .iter()
            .any(|needle| memmem::find(&bytes, needle).is_some())
        {
            return Err(DemoError::Leak(path).into());
        }
        searched.files += 1;
        searched.bytes += bytes.len() as u64;
        searched.control += memmem::find_iter(&bytes, control.as_bytes()).count();
    }
    if searched.control == 0 {
        return Err(DemoError::BlindSearch.into());
    }
    Ok(searched)
}

/// A text as it stands, and the part of its base64 that does not depend on its neighbours, for
/// each place in a group of three bytes that it may start at.
fn forms(text: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![text.to_vec()];
    for skip in 0..3 {
        let whole = text.get(skip..).unwrap_or_default();
        let inner = whole.get(..whole.len() / 3 * 3).unwrap_or_default();
        for encoded in [STANDARD_NO_PAD.encode(inner), URL_SAFE_NO_PAD.encode(inner)] {
            forms.push(encoded.into_bytes());
        }
    }
    forms
}

fn files(places: &[&Path]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = places.iter().map(|place| place.to_path_buf()).collect();
    while let Some(path) = open.pop() {
        let failed = |source| Failure::File {
            path: path.clone(),
            source,
        };
        let kind = std::fs::symlink_metadata(&path).map_err(failed)?;
        if kind.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(failed)? {
                open.push(entry.map_err(failed)?.path());
            }
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "The Minister has agreed clause 14.";

    fn searched(content: &[u8]) -> Result<Searched, Failure> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("deep")).unwrap();
        std::fs::write(dir.path().join("deep/file"), content).unwrap();
        search(&[dir.path()], &[TEXT.into(), "ok".into()], "handset-1")
    }

    #[test]
    fn a_text_is_found_as_it_stands_and_in_base64_at_any_alignment() {
        let leak = |content: Vec<u8>| matches!(searched(&content), Err(Failure::Demo(DemoError::Leak(path))) if path.ends_with("deep/file"));
        assert!(leak(format!("handset-1 xx{TEXT}xx").into_bytes()));
        for before in ["", "1", "22", "333"] {
            let json = format!("{before}{TEXT}\"}}");
            assert!(
                leak(format!("handset-1 {}", STANDARD_NO_PAD.encode(&json)).into_bytes()),
                "{before}"
            );
            assert!(
                leak(format!("handset-1 {}", URL_SAFE_NO_PAD.encode(&json)).into_bytes()),
                "{before}"
            );
        }
    }

    #[test]
    fn a_search_passes_only_when_it_finds_what_must_be_there() {
        let found = searched(b"handset-1, handset-1 and sealed bytes, ok").unwrap();
        assert_eq!((found.files, found.control), (1, 2));
        assert!(matches!(
            searched(b"nothing"),
            Err(Failure::Demo(DemoError::BlindSearch))
        ));
    }
}
