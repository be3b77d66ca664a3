//! Which files of an export are chats?
//!
//! A chat is known by its content. Names only say where to look, which files belong together, and
//! which of several files that look like chats the app made and which somebody sent: apps give
//! their own files names of a known form, and put what people sent beside or below them.

mod sets;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use self::sets::{Lists, Set};
use crate::bundle::Entry;
use crate::limits::FILES_MAX;
use crate::{Format, ImportError, sniff, title_from_name};

/// The files of one chat.
#[derive(Clone, PartialEq, Eq)]
pub struct ChatFiles {
    /// Tells it from the others of the same export: its path, or that of its folder, without the
    /// folders that are above all chats.
    pub id: String,
    /// The name of its file, or of its folder where that holds one chat in several files.
    pub name: String,
    /// Which export it is.
    pub format: Format,
    /// How many bytes its files announce together.
    pub bytes: u64,
    /// What the paths of its attachments are counted from, with a last slash.
    pub(super) base: String,
    /// Where its files stand in the list of the export's.
    pub(super) files: Vec<usize>,
}

impl ChatFiles {
    /// Its title as far as the name of its file or folder says; a label, never evidence.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        match self.format {
            // The folder's; nothing else says which channel it is.
            Format::Slack if !self.base.is_empty() => Some(&self.name),
            _ => title_from_name(&self.name),
        }
    }

    /// How many files it is in.
    #[must_use]
    pub const fn files(&self) -> usize {
        self.files.len()
    }
}

impl fmt::Debug for ChatFiles {
    /// Without names, which are content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatFiles")
            .field("format", &self.format)
            .field("bytes", &self.bytes)
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

/// What ends the names of texts.
const TEXTS: [&str; 4] = [".txt", ".json", ".jsonl", ".xml"];

/// Finds the chats among `entries`; `start` gives the first bytes of one.
///
/// Looked into are, wherever they are, files with a name that an app gives and e-mails, and other
/// texts in the outermost folder that has any. What lies below a chat of the first kind was sent in
/// it, and so were e-mails and texts beside it. Where none of these is a chat, every file in the
/// outermost folder is looked into.
pub(super) fn find(
    entries: &[Entry],
    mut start: impl FnMut(usize, &Entry) -> Result<Vec<u8>, ImportError>,
) -> Result<Vec<ChatFiles>, ImportError> {
    let lists = sets::lists(entries);
    let mut sniffed = 0;
    let mut chat = |set: Option<Set>, files: &[(usize, &Entry)]| {
        let Some((place, entry)) = files
            .iter()
            .find(|(_, entry)| set.is_none_or(|set| set.is_full(entry)))
        else {
            return Ok(None);
        };
        sniffed += 1;
        if sniffed > FILES_MAX {
            return Err(ImportError::TooManyFiles);
        }
        Ok(match (sniff(&start(*place, entry)?), set) {
            (None | Some(Format::Zip), _) => None,
            (Some(format), None) => Some(one(*place, entry, format)),
            (Some(format), Some(set)) if set.is_of(format) => {
                Some(several(entries, &lists, files, set, format))
            }
            // The app would not have given this name.
            (Some(_), Some(_)) => None,
        })
    };

    let mut found = Vec::new();
    let mut bases: BTreeSet<&str> = BTreeSet::new();
    let mut last: Option<&str> = None;
    // What lies below a folder comes right after what lies in it.
    for ((folder, set, _), files) in sets(entries, is_given) {
        if last.is_some_and(|last| folder != last && folder.starts_with(last)) {
            continue;
        }
        if let Some(chat) = chat(set, &files)? {
            found.push(chat);
            bases.insert(folder);
            last = Some(folder);
        }
    }
    let is_sent = |folder: &str| folders(folder).any(|above| bases.contains(above));
    for ((folder, set, _), files) in sets(entries, sets::is_mail) {
        if !is_sent(folder) {
            found.extend(chat(set, &files)?);
        }
    }
    let others = places(entries).filter(|(_, entry)| is_other(entry.base()));
    let outermost = others.clone().map(|(_, entry)| depth(entry)).min();
    for (place, entry) in others {
        if Some(depth(entry)) == outermost && !is_sent(entry.folder()) {
            found.extend(chat(None, &[(place, entry)])?);
        }
    }
    if found.is_empty() {
        // Names do not say where to look, so content alone must.
        let outermost = places(entries).map(|(_, entry)| depth(entry)).min();
        for (place, entry) in places(entries) {
            if Some(depth(entry)) == outermost {
                found.extend(chat(None, &[(place, entry)])?);
            }
        }
    }
    name(&mut found);
    Ok(found)
}

fn places(entries: &[Entry]) -> impl Iterator<Item = (usize, &Entry)> + Clone {
    entries.iter().enumerate()
}

fn depth(entry: &Entry) -> usize {
    entry.name.matches('/').count()
}

/// A folder and those above it, from the outermost, each with its last slash.
fn folders(folder: &str) -> impl Iterator<Item = &str> {
    let ends = folder.match_indices('/').map(|(slash, _)| slash + 1);
    std::iter::once(0)
        .chain(ends)
        .filter_map(|end| folder.get(..end))
}

/// A folder, and in it a set of files or the name of one.
type Key<'e> = (&'e str, Option<Set>, &'e str);

/// Files whose names `wanted` takes, sorted by folder. Those of a set are in its order.
fn sets(
    entries: &[Entry],
    wanted: impl Fn(&str) -> bool,
) -> BTreeMap<Key<'_>, Vec<(usize, &Entry)>> {
    let mut sets: BTreeMap<Key<'_>, Vec<(usize, &Entry)>> = BTreeMap::new();
    for (place, entry) in places(entries).filter(|(_, entry)| wanted(entry.base())) {
        let set = Set::of(entry.base());
        let name = if set.is_some() { "" } else { entry.base() };
        sets.entry((entry.folder(), set, name))
            .or_default()
            .push((place, entry));
    }
    for ((_, set, _), files) in &mut sets {
        if let Some(set) = set {
            files.sort_by_cached_key(|(_, entry)| set.place(entry.base()));
        }
    }
    sets
}

/// Whether an app gives its export this name. A chat that somebody sent as a file has another.
fn is_given(base: &str) -> bool {
    matches!(base, "_chat.txt" | "main.jsonl" | "result.json")
        || title_from_name(base).is_some()
        || matches!(Set::of(base), Some(Set::Parts | Set::Days))
}

/// Whether a file may be a chat all the same.
fn is_other(base: &str) -> bool {
    let lower = base.to_ascii_lowercase();
    TEXTS.iter().any(|end| lower.ends_with(end)) && !is_given(base) && !sets::is_list(base)
}

/// A chat that is one file.
fn one(place: usize, entry: &Entry, format: Format) -> ChatFiles {
    ChatFiles {
        id: entry.name.clone(),
        name: entry.base().to_owned(),
        format,
        bytes: entry.bytes,
        base: entry.folder().to_owned(),
        files: vec![place],
    }
}

/// A chat that is a set of files in one folder.
fn several(
    entries: &[Entry],
    lists: &Lists<'_>,
    files: &[(usize, &Entry)],
    set: Set,
    format: Format,
) -> ChatFiles {
    let folder = files.first().map_or("", |(_, entry)| entry.folder());
    let path = folder.strip_suffix('/').unwrap_or(folder);
    let full = files.iter().filter(|(_, entry)| set.is_full(entry));
    let mut places = set.lists(lists, folder).to_vec();
    places.extend(full.map(|(place, _)| *place));
    let first = files.first().map_or("", |(_, entry)| entry.base());
    let id = if path.is_empty() { first } else { path };
    ChatFiles {
        id: id.to_owned(),
        name: id.rsplit('/').next().unwrap_or(id).to_owned(),
        format,
        bytes: places
            .iter()
            .filter_map(|place| entries.get(*place))
            .fold(0, |sum, entry| entry.bytes.saturating_add(sum)),
        base: set.base(folder).to_owned(),
        files: places,
    }
}

/// Takes the folders that are above all chats out of their ids, and sorts by these.
fn name(chats: &mut [ChatFiles]) {
    let above = |chat: &ChatFiles| {
        let end = chat.id.rfind('/').map_or(0, |slash| slash + 1);
        chat.id.get(..end).unwrap_or_default().to_owned()
    };
    let common = chats.iter().map(above).reduce(|common, folder| {
        let same = common
            .split_inclusive('/')
            .zip(folder.split_inclusive('/'))
            .take_while(|(a, b)| a == b);
        same.map(|(part, _)| part).collect()
    });
    let common = common.unwrap_or_default();
    for chat in chats.iter_mut() {
        if let Some(rest) = chat.id.strip_prefix(common.as_str()) {
            chat.id = rest.to_owned();
        }
    }
    chats.sort_by(|a, b| a.id.cmp(&b.id));
}
