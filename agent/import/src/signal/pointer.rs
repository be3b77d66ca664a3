//! Where the files of a Signal export are.
//!
//! A message names a file by hashes and keys; the app stores it as `files/ab/ab….ext`, where `ab…`
//! is SHA-256 of the file's own SHA-256 and the key of its copy on the device.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candour_wire::Digest;

use crate::json::Value;
use crate::{Attachment, Place};

/// The folder of the files.
const FOLDER: &str = "files/";

/// The files that came with the export: path by name without extension.
pub(super) struct Paths(Option<BTreeMap<String, String>>);

impl Paths {
    /// `names` are the paths of all files of the export, when known.
    pub(super) fn of(names: Option<&BTreeSet<String>>) -> Self {
        Self(names.map(|names| {
            names
                .iter()
                .filter(|path| path.starts_with(FOLDER))
                .filter_map(|path| {
                    let name = path.rsplit('/').next()?;
                    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
                    Some((stem.to_owned(), path.clone()))
                })
                .collect()
        }))
    }

    fn find(&self, stems: &[String], extension: Option<&str>) -> Place<'static> {
        match &self.0 {
            Some(paths) => stems
                .iter()
                .find_map(|stem| paths.get(stem))
                .map_or(Place::LeftOut, |path| {
                    Place::Beside(Cow::Owned(path.clone()))
                }),
            None => match stems.first() {
                Some(stem) => {
                    let folder = stem.get(..2).unwrap_or_default();
                    let dot = if extension.is_some() { "." } else { "" };
                    let extension = extension.unwrap_or_default();
                    Place::beside(Cow::Owned(format!(
                        "{FOLDER}{folder}/{stem}{dot}{extension}"
                    )))
                }
                None => Place::LeftOut,
            },
        }
    }
}

/// The file that a `FilePointer` stands for.
pub(super) fn attachment<'s>(pointer: Value<'s>, paths: &Paths) -> Attachment<'s> {
    let locator = pointer.get("locatorInfo");
    let bytes = |key: &str| -> Option<Vec<u8>> {
        let text = locator?.get(key)?.full()?;
        STANDARD.decode(text.as_bytes()).ok()
    };
    let hash = bytes("plaintextHash");
    let mut stems = Vec::new();
    if let Some(hash) = &hash {
        if let Some(key) = bytes("localKey") {
            stems.push(Digest::of_parts(&[hash, &key]).to_hex());
        }
        stems.push(hex(hash));
        if let Some(key) = bytes("key") {
            stems.push(hex(&[hash.as_slice(), &key].concat()));
        }
    }
    let media_type = pointer.get("contentType").and_then(Value::full);
    let given = pointer.get("fileName").and_then(Value::full);
    let extension = given
        .as_deref()
        .and_then(|name| name.rsplit_once('.'))
        .map(|(_, extension)| extension.to_owned())
        .filter(|extension| !extension.is_empty() && !extension.contains(['/', '\\']))
        .or_else(|| media_type.as_deref().and_then(extension));
    let place = paths.find(&stems, extension.as_deref());
    let name = given.unwrap_or_else(|| match &place {
        Place::Beside(path) => Cow::Owned(path.rsplit('/').next().unwrap_or_default().to_owned()),
        _ => Cow::Owned(format!("file.{}", extension.as_deref().unwrap_or("bin"))),
    });
    Attachment {
        name,
        media_type,
        bytes: locator
            .and_then(|locator| locator.get("size"))
            .and_then(Value::integer)
            .and_then(|size| u64::try_from(size).ok()),
        sha256: hash.and_then(|hash| hash.try_into().ok()).map(Digest),
        place,
    }
}

/// The extension that the app gives a file of this type.
fn extension(media_type: &str) -> Option<String> {
    if media_type == "text/x-signal-plain" {
        return Some("txt".to_owned());
    }
    let (kind, rest) = media_type.split_once('/')?;
    let rest = match kind {
        "application" => rest.strip_prefix("x-").unwrap_or(rest),
        "text" => rest.strip_prefix("x-")?,
        "audio" | "image" | "video" => rest,
        _ => return None,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.');
    (!rest.is_empty() && rest.chars().all(plain)).then(|| rest.to_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
