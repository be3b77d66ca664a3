//! The port to the agent's directory: its store, its documents and the spool.

use candour_wire::Digest;
use jiff::Timestamp;

use super::{Store, StoreError};

/// The agent's own directory, which one process has at a time.
///
/// Identity and policy are documents of their own, outside the store, so that a damaged store
/// does not un-enrol the handset. Calls block on the disk.
pub trait Home: Send + Sync {
    /// Opens the store, or sets a damaged one aside under a new name, which comes back, and
    /// begins another. Nothing is deleted.
    ///
    /// # Errors
    ///
    /// When the store can neither be opened nor begun.
    fn open_store(&self, now: Timestamp) -> Result<(Box<dyn Store>, Option<String>), StoreError>;

    /// The names of the stores that were set aside, now or earlier, in the order of their names.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    fn set_aside_stores(&self) -> Result<Vec<String>, StoreError>;

    /// Reads a document; `None` where there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn read(&self, document: Document) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces a document, all or nothing; on disk when it returns.
    ///
    /// # Errors
    ///
    /// When it cannot be written. The old one stays then, unless the new one is in its place and
    /// only might not survive a power cut.
    fn write(&self, document: Document, bytes: &[u8]) -> Result<(), StoreError>;

    /// Begins a file of the spool, where sealed attachments wait.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    fn spool(&self) -> Result<Box<dyn SpoolFile>, StoreError>;

    /// Reads up to `max` bytes of a spooled file from `offset`; fewer only at its end.
    ///
    /// # Errors
    ///
    /// When there is no such file, or it cannot be read.
    fn read_spooled(&self, name: &Digest, offset: u64, max: usize) -> Result<Vec<u8>, StoreError>;

    /// The names of all spooled files.
    ///
    /// # Errors
    ///
    /// When the spool cannot be read.
    fn spooled(&self) -> Result<Vec<Digest>, StoreError>;

    /// What the spool takes on the disk, half-written files included, in bytes.
    ///
    /// # Errors
    ///
    /// When the spool cannot be read.
    fn spooled_bytes(&self) -> Result<u64, StoreError>;

    /// Removes a spooled file, if it is there.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    fn remove_spooled(&self, name: &Digest) -> Result<(), StoreError>;

    /// Removes everything that this port keeps, stores that were set aside included. The last
    /// call that is made.
    ///
    /// # Errors
    ///
    /// When something cannot be removed; the rest has been.
    fn destroy(&self) -> Result<(), StoreError>;
}

/// A document of the [`Home`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Document {
    /// Who this handset is: certificates and where they came from.
    Identity,
    /// The signed policy in force.
    Policy,
}

/// A file of the spool that is being written.
pub trait SpoolFile: std::io::Write + Send {
    /// Gives the file its name, the digest of what was written; on disk when it returns. A file
    /// that is dropped without a name is gone.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn finish(self: Box<Self>, name: &Digest) -> Result<(), StoreError>;
}
