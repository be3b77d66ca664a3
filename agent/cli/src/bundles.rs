//! What the command line names as an export: a file, several files together, or a folder.
//!
//! Only listing and opening happen here. What makes a list of files safe to read is decided by
//! `candour-import`, for every kind alike.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use candour_import::{Archive, Bundle, Entry, Format, ImportError, limits, sniff};
use indicatif::ProgressBar;

use crate::failure::Failure;

/// Opens what the paths name: one folder, one archive, or files that belong together. Blocks on
/// the disk.
///
/// # Errors
///
/// When one cannot be read or is neither file nor folder, or a folder comes with other paths.
pub(crate) fn open(paths: &[PathBuf]) -> Result<Box<dyn Bundle>, Failure> {
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let metadata = fs::metadata(path).map_err(|source| failed(path, source))?;
        if metadata.is_dir() {
            if paths.len() > 1 {
                let detail = format!("{} is a folder; import it by itself", path.display());
                return Err(Failure::Usage(detail));
            }
            return Ok(Box::new(Files(folder(path)?)));
        }
        // A pipe or a device would block, or never end.
        if !metadata.is_file() {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it is not a file");
            return Err(failed(path, source));
        }
        let name = name_of(path);
        files.push((Entry::file(name, metadata.len()), path.clone()));
    }
    if let [(_, path)] = files.as_slice() {
        let mut file = File::open(path).map_err(|source| failed(path, source))?;
        let mut start = Vec::new();
        file.by_ref()
            .take(limits::PREAMBLE_MAX_BYTES as u64)
            .read_to_end(&mut start)
            .map_err(|source| failed(path, source))?;
        if sniff(&start) == Some(Format::Zip) {
            return Ok(Box::new(Archive::open(file)?));
        }
    }
    Ok(Box::new(Files(files)))
}

/// Lists a folder and what is below it, as far as an export goes. A link is listed and not
/// followed; what is neither file nor folder is not part of an export.
fn folder(root: &Path) -> Result<Vec<(Entry, PathBuf)>, Failure> {
    let mut files = Vec::new();
    let mut folders = vec![(root.to_owned(), String::new(), 0_usize)];
    let mut seen = 0_usize;
    while let Some((folder, prefix, depth)) = folders.pop() {
        let read = |source| failed(&folder, source);
        for item in fs::read_dir(&folder).map_err(read)? {
            let item = item.map_err(read)?;
            // One more than an export may have is enough to have it refused. Folders count, so
            // that a tree of empty ones ends too.
            seen += 1;
            if seen > limits::ENTRIES_MAX {
                return Err(ImportError::Refused(candour_import::Refusal::TooManyEntries).into());
            }
            let path = item.path();
            let kind = item.file_type().map_err(|source| failed(&path, source))?;
            let name = format!("{prefix}{}", item.file_name().to_string_lossy());
            if kind.is_dir() {
                if depth == limits::ENTRY_DEPTH_MAX {
                    return Err(ImportError::Refused(candour_import::Refusal::TooDeep).into());
                }
                folders.push((path, format!("{name}/"), depth + 1));
            } else if kind.is_symlink() {
                let mut link = Entry::file(name, 0);
                link.is_link = true;
                files.push((link, path));
            } else if kind.is_file() {
                let metadata = item.metadata().map_err(|source| failed(&path, source))?;
                files.push((Entry::file(name, metadata.len()), path));
            }
        }
    }
    // The file system's order is any order.
    files.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    Ok(files)
}

/// The last part of a path.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn failed(path: &Path, source: io::Error) -> Failure {
    Failure::File {
        path: path.to_owned(),
        source,
    }
}

/// Files on disk.
struct Files(Vec<(Entry, PathBuf)>);

impl Bundle for Files {
    fn entries(&mut self) -> Result<Vec<Entry>, ImportError> {
        Ok(self.0.iter().map(|(entry, _)| entry.clone()).collect())
    }

    fn open(&mut self, place: usize) -> Result<Box<dyn Read + '_>, ImportError> {
        let (_, path) = self.0.get(place).ok_or(ImportError::NoSuchFile)?;
        let file = File::open(path).map_err(|source| {
            let told = format!("{}: {source}", path.display());
            ImportError::Damaged(io::Error::new(source.kind(), told))
        })?;
        Ok(Box::new(file))
    }
}

/// A bundle whose reading moves a bar.
pub(crate) struct Watched {
    bundle: Box<dyn Bundle>,
    bar: ProgressBar,
}

impl Watched {
    /// Moves `bar` by every byte that is read.
    pub(crate) const fn new(bundle: Box<dyn Bundle>, bar: ProgressBar) -> Self {
        Self { bundle, bar }
    }
}

impl Bundle for Watched {
    fn entries(&mut self) -> Result<Vec<Entry>, ImportError> {
        self.bundle.entries()
    }

    fn open(&mut self, place: usize) -> Result<Box<dyn Read + '_>, ImportError> {
        let reader = self.bundle.open(place)?;
        Ok(Box::new(self.bar.wrap_read(reader)))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use candour_import::{Export, Refusal};
    use candour_wire::Code;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut bundle = open(&[dir.to_owned()]).unwrap();
        let entries = bundle.entries().unwrap();
        entries.into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn a_folder_is_listed_in_one_order_with_what_is_below_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("files/aa")).unwrap();
        for name in ["main.jsonl", "files/aa/1.jpg", "files/0.jpg"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        assert_eq!(
            names(dir.path()),
            ["files/0.jpg", "files/aa/1.jpg", "main.jsonl"]
        );
        let mut bundle = open(&[dir.path().to_owned()]).unwrap();
        let _ = bundle.entries().unwrap();
        let mut text = String::new();
        bundle.open(1).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "files/aa/1.jpg");
    }

    #[test]
    fn a_link_in_a_folder_is_refused_and_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("_chat.txt"), "text").unwrap();
        symlink("/", dir.path().join("everything")).unwrap();
        let mut bundle = open(&[dir.path().to_owned()]).unwrap();
        let links = bundle.entries().unwrap();
        assert_eq!(links.iter().filter(|entry| entry.is_link).count(), 1);
        assert_eq!(links.len(), 2, "nothing behind the link is listed");
        let refused = Export::open(bundle).unwrap_err();
        assert!(matches!(refused, ImportError::Refused(Refusal::Symlink)));
    }

    #[test]
    fn a_folder_that_is_too_deep_or_comes_with_other_paths_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let deep: PathBuf = ["d"].repeat(limits::ENTRY_DEPTH_MAX + 1).iter().collect();
        fs::create_dir_all(dir.path().join(deep)).unwrap();
        let refused = |paths: &[PathBuf]| open(paths).err().map(|failure| failure.code());
        assert_eq!(
            refused(&[dir.path().to_owned()]),
            Some(Code::ImportArchiveRefused)
        );
        let both = [dir.path().to_owned(), dir.path().to_owned()];
        assert_eq!(refused(&both), Some(Code::UsageInvalid));
        assert_eq!(
            refused(&["/dev/null".into()]),
            Some(Code::AttachmentUnreadable)
        );
    }
}
