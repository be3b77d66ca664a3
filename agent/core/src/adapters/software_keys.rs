//! Keys in files, for platforms without a hardware key store.
//!
//! `keys/signing.p8` is the P-256 key (PKCS#8), `keys/wrapping.key` 32 random bytes. Both belong
//! to their owner alone, and are refused where others could read them. Whoever has the owner's
//! account has the keys: that is what hardware stores are for.
//!
//! The pair is made in a directory beside its place, `keys.new/`, and moved there as a whole, so
//! that half of one always means loss, never a crash.

mod material;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use candour_wire::Sensitive;
use zeroize::Zeroizing;

pub(crate) use self::material::{KeyMaterial, WrappingKey, make_signing_key};
use super::files;
use crate::ports::{KeyError, KeyStore};

/// Longest key file that is read, in bytes; a PKCS#8 document of a P-256 key has 138.
const KEY_FILE_MAX_BYTES: u64 = 4 << 10;

/// The keys in one directory.
pub struct SoftwareKeys {
    dir: PathBuf,
    /// Read when first needed. The lock also keeps two threads from making keys at once.
    loaded: Mutex<Option<KeyMaterial>>,
}

impl SoftwareKeys {
    /// Names the directory. Nothing is read or made yet.
    #[must_use]
    pub fn open(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            loaded: Mutex::new(None),
        }
    }

    /// A pair is made whole or not at all, so half of one means that the other half was lost: with
    /// the wrapping key all that waits, with the signing key the enrolment. Making up for it would
    /// hide that, and keep a backup from mending it.
    fn refuse_half_a_pair(&self) -> Result<(), KeyError> {
        let [signing, wrapping] = pair(&self.dir);
        let missing = match (
            read_private(&signing)?.is_some(),
            read_private(&wrapping)?.is_some(),
        ) {
            (true, false) => wrapping,
            (false, true) => signing,
            _ => return Ok(()),
        };
        Err(KeyError::Unavailable {
            reason: format!(
                "{} is missing beside its other half: bring it back from a backup, or wipe and enrol anew",
                missing.display()
            ),
        })
    }

    /// Makes the pair beside its place and moves it there in one step.
    fn make_pair(&self) -> Result<(), KeyError> {
        self.destroy_unfinished()?;
        let unfinished = self.unfinished_dir();
        files::create_private_dir(&unfinished).map_err(|error| unavailable(&unfinished, &error))?;
        let [signing, wrapping] = pair(&unfinished);
        // EXPOSE: the key goes into its file.
        write_private(&signing, make_signing_key()?.expose())?;
        // EXPOSE: the key goes into its file.
        write_private(&wrapping, WrappingKey::make()?.bytes().expose())?;
        // An empty directory makes way; one with anything in it does not.
        fs::rename(&unfinished, &self.dir)
            .and_then(|()| files::sync_parent(&self.dir))
            .map_err(|error| unavailable(&self.dir, &error))
    }

    /// What a crash left of making a pair: it has been used for nothing.
    fn destroy_unfinished(&self) -> Result<(), KeyError> {
        let unfinished = self.unfinished_dir();
        if !unfinished.exists() {
            return Ok(());
        }
        destroy_pair(&unfinished)?;
        fs::remove_dir_all(&unfinished).map_err(|error| unavailable(&unfinished, &error))
    }

    fn unfinished_dir(&self) -> PathBuf {
        let mut name = self.dir.as_os_str().to_owned();
        name.push(".new");
        name.into()
    }

    fn lock(&self) -> MutexGuard<'_, Option<KeyMaterial>> {
        // A thread that panicked cannot have left half a key: it is set in one go.
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` unless both keys are there.
    fn load<'a>(
        &self,
        loaded: &'a mut Option<KeyMaterial>,
    ) -> Result<Option<&'a KeyMaterial>, KeyError> {
        if loaded.is_none() {
            let [signing, wrapping] = pair(&self.dir);
            let (signing, wrapping) = (read_private(&signing)?, read_private(&wrapping)?);
            let (Some(signing), Some(wrapping)) = (signing, wrapping) else {
                return Ok(None);
            };
            *loaded = Some(KeyMaterial::new(
                &signing,
                WrappingKey::from_bytes(&wrapping)?,
            )?);
        }
        Ok(loaded.as_ref())
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&KeyMaterial) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        let mut loaded = self.lock();
        work(self.load(&mut loaded)?.ok_or(KeyError::Missing)?)
    }
}

impl KeyStore for SoftwareKeys {
    fn public_key(&self) -> Result<Option<Vec<u8>>, KeyError> {
        let mut loaded = self.lock();
        Ok(self.load(&mut loaded)?.map(KeyMaterial::public_key))
    }

    fn create(&self) -> Result<Vec<u8>, KeyError> {
        let mut loaded = self.lock();
        if let Some(keys) = self.load(&mut loaded)? {
            return Ok(keys.public_key());
        }
        self.refuse_half_a_pair()?;
        self.make_pair()?;
        self.load(&mut loaded)?
            .map(KeyMaterial::public_key)
            .ok_or(KeyError::Missing)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.with(|keys| keys.sign(message))
    }

    fn wrap(&self, secret: &Sensitive<Vec<u8>>) -> Result<Vec<u8>, KeyError> {
        self.with(|keys| keys.wrapping().wrap(secret))
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Sensitive<Vec<u8>>, KeyError> {
        self.with(|keys| keys.wrapping().unwrap(wrapped))
    }

    fn destroy(&self) -> Result<(), KeyError> {
        let mut loaded = self.lock();
        *loaded = None;
        self.destroy_unfinished()?;
        destroy_pair(&self.dir)?;
        // Whatever else is in there is not this adapter's, and keeps the directory.
        match fs::remove_dir(&self.dir) {
            Ok(()) => files::sync_parent(&self.dir).map_err(|error| unavailable(&self.dir, &error)),
            Err(_) => Ok(()),
        }
    }
}

/// The two key files: signing, then wrapping.
fn pair(dir: &Path) -> [PathBuf; 2] {
    [dir.join("signing.p8"), dir.join("wrapping.key")]
}

fn destroy_pair(dir: &Path) -> Result<(), KeyError> {
    // The wrapping key first: without it nothing on the disk can be read.
    for path in pair(dir).iter().rev() {
        files::destroy(path).map_err(|error| unavailable(path, &error))?;
    }
    Ok(())
}

/// Reads a key file; `None` where there is none.
fn read_private(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    use io::Read as _;
    let unavailable = |error: io::Error| unavailable(path, &error);
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unavailable(error)),
    };
    let mode = file.metadata().map_err(unavailable)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let reason = format!(
            "others may read {} (mode {mode:03o}): run chmod 600 on it",
            path.display()
        );
        return Err(KeyError::Unavailable { reason });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(256));
    file.take(KEY_FILE_MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(unavailable)?;
    Ok(Some(bytes))
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    files::write_atomically(path, bytes).map_err(|error| unavailable(path, &error))
}

fn unavailable(path: &Path, error: &io::Error) -> KeyError {
    KeyError::Unavailable {
        reason: format!("{}: {error}", path.display()),
    }
}

#[cfg(test)]
mod tests;
