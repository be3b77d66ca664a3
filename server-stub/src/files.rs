//! The server's data directory: which file is where, and how files are written.
//!
//! ```text
//! config.toml                       settings
//! ca.pem, ca.key                    the department's certificate authority
//! server.pem                        the server's TLS key and certificate chain, in one file so
//!                                   that a renewal swaps both at once
//! policy.key, log.key               what signs policies and the log's checkpoints
//! policy/<department>/<version>.jws every policy that was issued
//! agent/<department>.toml           what a device management pushes to that department's phones
//! records-role/*.key                what opens declarations: to be moved off the gateway
//! server.db, attachments/           the store
//! serve.lock                        held by the process that serves from here
//! ```
//!
//! Files are written beside their place, synced, and moved into it, so that a reader sees the
//! old or the new one and a power cut leaves one of them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use candour_wire::{DepartmentId, Sensitive};

/// The data directory.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

/// A file of the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Reading failed.
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// Writing failed.
    #[error("{} cannot be written", .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// A key file that others may read.
    #[error("{} may be read by others; run `chmod 600` on it, and consider the key known", .0.display())]
    Exposed(PathBuf),
    /// Longer than any file of its kind.
    #[error("{} is longer than {MAX_BYTES} bytes", .0.display())]
    TooLong(PathBuf),
    /// Another process serves from the directory.
    #[error("another process serves from {}; stop it first", .0.display())]
    Taken(PathBuf),
    /// Something is there already, and nothing is overwritten.
    #[error("{} exists already; nothing was changed", .0.display())]
    Exists(PathBuf),
}

impl DataDir {
    /// Names the directory; it need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes the directory for serving, until the returned file is closed, however the process
    /// ends. Two servers would keep records right, but not uploads: they would write the same
    /// files.
    ///
    /// # Errors
    ///
    /// [`FileError::Taken`] where another process serves from it.
    pub fn take_for_serving(&self) -> Result<File, FileError> {
        let path = self.0.join("serve.lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| FileError::Write(path.clone(), error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(FileError::Taken(self.0.clone())),
            Err(TryLockError::Error(error)) => Err(FileError::Write(path, error)),
        }
    }

    /// Settings.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// The certificate authority's certificate, PEM.
    #[must_use]
    pub fn ca_path(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    /// The certificate authority's private key, PEM.
    #[must_use]
    pub fn ca_key_path(&self) -> PathBuf {
        self.0.join("ca.key")
    }

    /// The server's TLS key and chain, PEM.
    #[must_use]
    pub fn server_path(&self) -> PathBuf {
        self.0.join("server.pem")
    }

    /// The policy key, PEM.
    #[must_use]
    pub fn policy_key_path(&self) -> PathBuf {
        self.0.join("policy.key")
    }

    /// The log key.
    #[must_use]
    pub fn log_key_path(&self) -> PathBuf {
        self.0.join("log.key")
    }

    /// The database.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.0.join("server.db")
    }

    /// Sealed files.
    #[must_use]
    pub fn attachments_dir(&self) -> PathBuf {
        self.0.join("attachments")
    }

    /// Policies, by department.
    #[must_use]
    pub fn policy_dir(&self) -> PathBuf {
        self.0.join("policy")
    }

    /// The records role's private key for one department; `None` for the first department.
    #[must_use]
    pub fn records_key_path(&self, department: Option<&DepartmentId>) -> PathBuf {
        let name = department.map_or("records", DepartmentId::as_str);
        self.0.join("records-role").join(format!("{name}.key"))
    }

    /// The settings that a device management pushes to a department's phones.
    #[must_use]
    pub fn agent_config_path(&self, department: &DepartmentId) -> PathBuf {
        self.0.join("agent").join(format!("{department}.toml"))
    }
}

/// Reads a text file.
///
/// # Errors
///
/// When it cannot be read, is longer than 4 MiB or is not UTF-8.
pub fn read(path: &Path) -> Result<String, FileError> {
    let fail = |error| FileError::Read(path.to_owned(), error);
    let file = File::open(path).map_err(fail)?;
    if file.metadata().map_err(fail)?.len() > MAX_BYTES {
        return Err(FileError::TooLong(path.to_owned()));
    }
    io::read_to_string(io::Read::take(file, MAX_BYTES)).map_err(fail)
}

/// Reads a file that holds a secret.
///
/// # Errors
///
/// As [`read`], and when others than its owner may read the file.
pub fn read_secret(path: &Path) -> Result<Sensitive<String>, FileError> {
    let metadata = fs::metadata(path).map_err(|error| FileError::Read(path.to_owned(), error))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(FileError::Exposed(path.to_owned()));
    }
    read(path).map(Sensitive::new)
}

/// Writes a file that anybody may read, in place of the one that is there.
///
/// # Errors
///
/// When it cannot be written; the old file stays then.
pub fn write(path: &Path, text: &str) -> Result<(), FileError> {
    put(path, text.as_bytes(), 0o644, Place::Replace)
}

/// Writes a file that only its owner may read, in place of the one that is there.
///
/// # Errors
///
/// When it cannot be written; the old file stays then.
pub fn write_secret(path: &Path, text: &Sensitive<String>) -> Result<(), FileError> {
    // EXPOSE: the secret goes into its file, which only its owner may read.
    put(path, text.expose().as_bytes(), 0o600, Place::Replace)
}

/// Writes a new file that only its owner may read.
///
/// # Errors
///
/// When it exists already or cannot be written.
pub fn create_secret(path: &Path, text: &Sensitive<String>) -> Result<(), FileError> {
    // EXPOSE: the secret goes into its file, which only its owner may read.
    put(path, text.expose().as_bytes(), 0o600, Place::New)
}

/// Writes a new file that anybody may read.
///
/// # Errors
///
/// When it exists already or cannot be written.
pub fn create(path: &Path, text: &str) -> Result<(), FileError> {
    put(path, text.as_bytes(), 0o644, Place::New)
}

/// Makes a directory that only its owner may enter, and those above it. What is made lasts through
/// a power cut: a file that is synced is lost all the same where the directory above it is.
///
/// # Errors
///
/// When it cannot be made.
pub fn create_dir(path: &Path) -> Result<(), FileError> {
    make_dir(path).map_err(|error| FileError::Write(path.to_owned(), error))
}

fn make_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if path.is_dir() {
        return Ok(());
    }
    make_dir(dir_of(path))?;
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes what was created or renamed in the directory of `path` last through a power cut.
///
/// # Errors
///
/// When the directory cannot be synced.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(dir_of(path))?.sync_all()
}

/// Longest file that is read whole: a policy bundle is at most 1 MiB, and nothing else comes near.
const MAX_BYTES: u64 = 4 << 20;

#[derive(PartialEq, Eq)]
enum Place {
    New,
    Replace,
}

fn put(path: &Path, bytes: &[u8], mode: u32, place: Place) -> Result<(), FileError> {
    let fail = |error| FileError::Write(path.to_owned(), error);
    let dir = dir_of(path);
    create_dir(dir)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = dir.join(name);
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&beside)?;
        // The mode above is only for a new file, and this one may be a leftover.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        match place {
            Place::Replace => fs::rename(&beside, path)?,
            // A hard link fails where something is there already; a rename would replace it.
            Place::New => {
                fs::hard_link(&beside, path)?;
                fs::remove_file(&beside)?;
            }
        }
        File::open(dir)?.sync_all()
    })();
    written.map_err(|error| {
        // What matters is the first error; a leftover is overwritten the next time.
        let _ = fs::remove_file(&beside);
        match error.kind() {
            io::ErrorKind::AlreadyExists if place == Place::New => {
                FileError::Exists(path.to_owned())
            }
            _ => fail(error),
        }
    })
}

/// The directory that a file is in; of a bare name that is the current one.
fn dir_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_in_the_current_directory() {
        for (path, dir) in [("ready.json", "."), ("a/b", "a"), ("/a", "/")] {
            assert_eq!(dir_of(Path::new(path)), Path::new(dir), "{path}");
        }
    }

    #[test]
    fn a_secret_file_is_its_owners_alone_and_is_refused_when_it_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/a.key");
        create_secret(&path, &Sensitive::from("secret")).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(read_secret(&path).unwrap(), Sensitive::from("secret"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_secret(&path), Err(FileError::Exposed(_))));
    }

    #[test]
    fn a_new_file_never_replaces_one_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        create(&path, "first").unwrap();
        assert!(matches!(create(&path, "second"), Err(FileError::Exists(_))));
        assert_eq!(read(&path).unwrap(), "first");
        write(&path, "third").unwrap();
        assert_eq!(read(&path).unwrap(), "third");
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
    }
}
