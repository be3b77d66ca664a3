//! The port to the store: ordered tables of bytes.

use candour_wire::Code;

/// The tables of the agent's store. All values that carry content are sealed before they get
/// here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Settings and heads, by name.
    Meta,
    /// Wrapped epoch keys, by epoch number.
    Epoch,
    /// Declarations that are not declared yet, by draft id.
    Draft,
    /// Records that wait, by stream and place in the queue.
    Outbox,
    /// Records that were refused, by record id.
    Quarantine,
    /// Receipts and what is known of the record, by record id.
    Receipt,
    /// Which imported messages were declared, by record id.
    Declared,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 7] = [
        Self::Meta,
        Self::Epoch,
        Self::Draft,
        Self::Outbox,
        Self::Quarantine,
        Self::Receipt,
        Self::Declared,
    ];

    /// The table's name on disk. Rows are sealed to it, so it never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Epoch => "epoch",
            Self::Draft => "draft",
            Self::Outbox => "outbox",
            Self::Quarantine => "quarantine",
            Self::Receipt => "receipt",
            Self::Declared => "declared",
        }
    }
}

/// One change of a [`Store`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Inserts or replaces a row.
    Put(Table, Vec<u8>, Vec<u8>),
    /// Removes a row, if it is there.
    Delete(Table, Vec<u8>),
}

impl Change {
    /// Length of the value that is put, in bytes; 0 where a row is removed.
    #[must_use]
    pub const fn value_bytes(&self) -> u64 {
        match self {
            Self::Put(_, _, value) => value.len() as u64,
            Self::Delete(..) => 0,
        }
    }
}

/// The store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room is left.
    #[error("no space is left on the device")]
    Full,
    /// Another process has the store.
    #[error("another process has the store{}", .holder.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Busy {
        /// Its process id, where known.
        holder: Option<u32>,
    },
    /// The file is damaged.
    #[error("the store is damaged")]
    Damaged,
    /// The file was written by a newer version.
    #[error("the store has format {found}, this version knows up to {known}")]
    Version {
        /// In the file.
        found: u32,
        /// The newest that this version reads.
        known: u32,
    },
    /// Reading or writing failed. After a failed write nothing more is tried: the kernel may have
    /// dropped the pages.
    #[error("the store could not be read or written")]
    Io(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// The stable code; the only place that decides it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Busy { .. } => Code::StoreBusy,
            Self::Damaged => Code::StoreDamaged,
            Self::Version { .. } => Code::StoreVersion,
            Self::Full => Code::StoreFull,
            Self::Io(_) => Code::StoreFailed,
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(Box::new(error)),
        }
    }
}

/// A row's key and value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Ordered tables of bytes, changed all or nothing. Calls block on the disk.
pub trait Store: Send {
    /// Reads a row.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Reads up to `limit` rows whose keys start with `prefix` and come after `after` (where
    /// given), in the order of their keys.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// Like [`Store::scan`], with the length of each value in bytes in place of the value.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn scan_lengths(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, u64)>, StoreError>;

    /// Number of rows and sum of the lengths of their values.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn usage(&self, table: Table) -> Result<Usage, StoreError>;

    /// Makes all changes or none. When it returns `Ok` they are on disk and survive a power cut
    /// (invariant I4).
    ///
    /// # Errors
    ///
    /// When the store cannot be written. Nothing has changed then, with one exception: after
    /// [`StoreError::Io`] every later call fails too, and whether the changes were made shows
    /// once the store is opened again.
    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError>;
}

/// How much a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Rows.
    pub rows: u64,
    /// Sum of the lengths of their values, in bytes.
    pub bytes: u64,
}
