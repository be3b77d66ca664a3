//! Decrypting a record's files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use candour_wire::content::Attachment;
use candour_wire::{Code, Digest, HandsetId, attachment};

use super::refused;
use crate::cli::{CliError, Context};
use crate::files::{self, FileError};
use crate::store::Store;

/// Decrypts each file into `dir` and returns the paths. A file comes to its name only once all
/// of it is authentic; one that is there already is not replaced.
pub(super) fn decrypt(
    context: &Context,
    store: &dyn Store,
    handset: &HandsetId,
    attachments: &[Attachment],
    dir: &Path,
) -> Result<Vec<PathBuf>, CliError> {
    files::create_dir(dir)?;
    let mut written = Vec::new();
    for (number, file) in attachments.iter().enumerate() {
        // EXPOSE: the name is made harmless and numbered, for the records officer's own disk.
        let path = dir.join(format!("{}-{}", number + 1, harmless(file.name.expose())));
        let sealed = Sealed {
            context,
            store,
            handset,
            sha256: file.sealed_sha256,
            offset: 0,
            piece: io::Cursor::default(),
        };
        decrypt_one(sealed, file, &path)?;
        written.push(path);
    }
    Ok(written)
}

fn decrypt_one(sealed: Sealed<'_>, file: &Attachment, path: &Path) -> Result<(), CliError> {
    let fail = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => CliError::File(FileError::Exists(path.to_owned())),
        _ => CliError::File(FileError::Write(path.to_owned(), error)),
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let mut out = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .map_err(fail)?;
    let outcome = attachment::decrypt(&file.key, sealed, &mut out)
        .map_err(|error| refused(Code::AttachmentUnreadable, crate::problem::chain(&error)))
        .and_then(|decrypted| {
            if decrypted.plaintext != file.sha256 {
                return Err(refused(
                    Code::AttachmentDigest,
                    "it is not the file that was declared",
                ));
            }
            out.sync_all().map_err(fail)?;
            fs::hard_link(&beside, path).map_err(fail)
        });
    // Plaintext that is not authentic, or the second name of a file that is.
    fs::remove_file(&beside).map_err(fail)?;
    outcome?;
    path.parent()
        .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
        .map_err(fail)
}

/// A file name of the same look that cannot leave its directory or fool a terminal.
fn harmless(name: &str) -> String {
    let fit = |c: char| {
        if c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ') {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(fit).take(NAME_MAX_CHARS).collect();
    let name = name.trim_matches(|c| matches!(c, '.' | ' '));
    if name.is_empty() {
        "file".to_owned()
    } else {
        name.to_owned()
    }
}

/// At four bytes a character this stays below the 255 bytes of most file systems.
const NAME_MAX_CHARS: usize = 60;

/// Reads a sealed file out of the store, piece by piece.
struct Sealed<'a> {
    context: &'a Context,
    store: &'a dyn Store,
    handset: &'a HandsetId,
    sha256: Digest,
    offset: u64,
    piece: io::Cursor<Vec<u8>>,
}

const PIECE_BYTES: usize = 1 << 20;

impl Read for Sealed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.piece.read(buffer)?;
        if read > 0 || buffer.is_empty() {
            return Ok(read);
        }
        let piece =
            self.store
                .read_attachment(self.handset, &self.sha256, self.offset, PIECE_BYTES);
        let piece = self.context.wait(piece).map_err(io::Error::other)?;
        let piece = piece.ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, "the file is not in the store")
        })?;
        self.offset = self.offset.saturating_add(piece.len() as u64);
        self.piece = io::Cursor::new(piece);
        self.piece.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_name_cannot_leave_its_directory() {
        assert_eq!(harmless("../../etc/passwd"), "_.._etc_passwd");
        assert_eq!(harmless("IMG 1.jpg"), "IMG 1.jpg");
        assert_eq!(harmless("a\u{1b}[2J\u{202e}gpj.exe"), "a__2J_gpj.exe");
        assert_eq!(harmless(".."), "file");
        assert_eq!(harmless(&"é".repeat(500)).chars().count(), 60);
    }
}
