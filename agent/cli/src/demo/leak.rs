//! Step 6: is any declared text on the gateway?
//!
//! Every file of the server's folder is read as bytes: database, write-ahead log, attachments,
//! keys, log. A text counts as found as it stands and in base64 at each of its three alignments,
//! since records travel in base64; it is cut where JSON would escape a character, so that JSON in
//! clear does not hide it.
//!
//! A search that looks in the wrong place finds nothing either. So it must also find something
//! that every record has in clear, both as it stands and in base64, or it proves nothing.

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
    /// Texts that were searched for.
    pub(super) texts: usize,
    /// Texts that are too short to be searched for.
    pub(super) too_short: usize,
    /// How often what is known to be there was found: as it stands, and in base64.
    pub(super) control: (usize, usize),
}

/// Searches everything below `places` for `texts`, and for `control`, which must be there.
///
/// # Errors
///
/// [`DemoError::Leak`] when a text is found, [`DemoError::BlindSearch`] when `control` is not.
pub(super) fn search(places: &[&Path], texts: &[Text], control: &str) -> Result<Searched, Failure> {
    // EXPOSE: compared with the bytes on disk; on a match only the file is named.
    let pieces: Vec<Vec<&str>> = texts.iter().map(|text| pieces(text.expose())).collect();
    let needles: Vec<Vec<u8>> = pieces
        .iter()
        .flatten()
        .flat_map(|piece| forms(piece))
        .collect();
    let too_short = pieces.iter().filter(|pieces| pieces.is_empty()).count();
    let control = forms(control);
    let mut searched = Searched {
        files: 0,
        bytes: 0,
        texts: texts.len() - too_short,
        too_short,
        control: (0, 0),
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
        for (place, form) in control.iter().enumerate() {
            let found = memmem::find_iter(&bytes, form).count();
            let count = if place == 0 {
                &mut searched.control.0
            } else {
                &mut searched.control.1
            };
            *count += found;
        }
    }
    if searched.control.0 == 0 || searched.control.1 == 0 {
        return Err(DemoError::BlindSearch.into());
    }
    Ok(searched)
}

/// The parts of a text that JSON shows as they are and that are long enough.
fn pieces(text: &str) -> Vec<&str> {
    let escaped = |c: char| c.is_control() || c == '"' || c == '\\';
    text.split(escaped)
        .map(str::trim)
        .filter(|piece| piece.len() >= NEEDLE_MIN_BYTES)
        .collect()
}

/// A text as it stands, and the part of its base64 that does not depend on its neighbours, for
/// each place in a group of three bytes that it may start at.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let text = text.as_bytes();
    let mut forms = vec![text.to_vec()];
    for skip in 0..3 {
        let whole = text.get(skip..).unwrap_or_default();
        let inner = whole.get(..whole.len() / 3 * 3).unwrap_or_default();
        let (standard, url_safe) = (STANDARD_NO_PAD.encode(inner), URL_SAFE_NO_PAD.encode(inner));
        if url_safe != standard {
            forms.push(url_safe.into_bytes());
        }
        forms.push(standard.into_bytes());
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

    fn searched(content: &str) -> Result<Searched, Failure> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("deep")).unwrap();
        std::fs::write(dir.path().join("deep/file"), content).unwrap();
        let quoted = Text::from("She said:\n\"it goes ahead on Monday\"");
        search(
            &[dir.path()],
            &[TEXT.into(), "ok".into(), quoted],
            "handset-number-1",
        )
    }

    fn in_clear(content: &str) -> String {
        format!(
            "handset-number-1 {} {content}",
            STANDARD_NO_PAD.encode("{handset-number-1}")
        )
    }

    #[test]
    fn a_text_is_found_as_it_stands_and_in_base64_at_any_alignment() {
        let leak = |content: &str| {
            let path = match searched(&in_clear(content)) {
                Err(Failure::Demo(DemoError::Leak(path))) => path,
                _ => return false,
            };
            path.ends_with("deep/file")
        };
        assert!(leak(&format!("xx{TEXT}xx")));
        for before in ["", "1", "22", "333"] {
            let json = format!("{before}{TEXT}\"}}");
            assert!(leak(&STANDARD_NO_PAD.encode(&json)), "{before}");
            assert!(leak(&URL_SAFE_NO_PAD.encode(&json)), "{before}");
        }
        assert!(
            leak(r#"{"text":"She said:\n\"it goes ahead on Monday\""}"#),
            "escaped in JSON"
        );
    }

    #[test]
    fn a_search_passes_only_when_it_finds_what_must_be_there() {
        let found = searched(&in_clear("sealed bytes, ok")).unwrap();
        assert_eq!(
            (found.files, found.texts, found.too_short, found.control),
            (1, 2, 1, (1, 1))
        );
        for blind in ["nothing", "handset-number-1 but nothing in base64"] {
            assert!(
                matches!(searched(blind), Err(Failure::Demo(DemoError::BlindSearch))),
                "{blind}"
            );
        }
    }
}
