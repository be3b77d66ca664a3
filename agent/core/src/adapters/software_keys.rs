//! Keys in files, for platforms without a hardware key store.
//!
//! `keys/signing.p8` is the P-256 key (PKCS#8), `keys/wrapping.key` 32 random bytes. Both belong
//! to their owner alone, and are refused where others could read them. Whoever has the owner's
//! account has the keys: that is what hardware stores are for.

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

    fn signing_path(&self) -> PathBuf {
        self.dir.join("signing.p8")
    }

    fn wrapping_path(&self) -> PathBuf {
        self.dir.join("wrapping.key")
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
            let signing = read_private(&self.signing_path())?;
            let wrapping = read_private(&self.wrapping_path())?;
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
        files::create_private_dir(&self.dir).map_err(|error| unavailable(&self.dir, &error))?;
        // A crash between the two leaves one, which is kept: it has been used for nothing yet.
        let (signing, wrapping) = (self.signing_path(), self.wrapping_path());
        if read_private(&signing)?.is_none() {
            // EXPOSE: the key goes into its file.
            write_private(&signing, make_signing_key()?.expose())?;
        }
        if read_private(&wrapping)?.is_none() {
            // EXPOSE: the key goes into its file.
            write_private(&wrapping, WrappingKey::make()?.bytes().expose())?;
        }
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
        for path in [self.wrapping_path(), self.signing_path()] {
            files::destroy(&path).map_err(|error| unavailable(&path, &error))?;
        }
        Ok(())
    }
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
