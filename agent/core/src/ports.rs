//! What the core needs from the world, as traits. Only adapters implement them with real I/O.
//!
//! All are called from any thread. Those that may block for long say so.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use candour_wire::policy::Catalogue;
use candour_wire::posture::{AppPresence, HandsetFacts};
use candour_wire::{Code, Digest, Sensitive};
use jiff::Timestamp;

/// The clock on the wall. It may be wrong: nothing that protects a record relies on it.
pub trait Clock: Send + Sync {
    /// The present time as the platform has it. Never blocks.
    fn now(&self) -> Timestamp;
}

/// Asks the platform about catalogue apps, and about no others (invariant I1).
pub trait AppProbe: Send + Sync {
    /// Answers for each app of `catalogue`, sorted by app id. May block for seconds.
    ///
    /// A platform that cannot tell answers `unknown` (invariant I2).
    fn probe(&self, catalogue: &Catalogue) -> Vec<AppPresence>;

    /// What the handset is. May block for a moment.
    fn handset_facts(&self) -> HandsetFacts;
}

/// A key operation failed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no key yet, or it has been destroyed.
    #[error("there is no key")]
    Missing,
    /// The platform refuses for now: locked, busy, or the user has not agreed.
    #[error("the key cannot be used now: {reason}")]
    Unavailable {
        /// The platform's own words; never key material.
        reason: String,
    },
    /// What was to be unwrapped was not wrapped by this key.
    #[error("the wrapped key is damaged or of another phone")]
    Unwrap,
}

impl KeyError {
    /// The stable code; the only place that decides it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Missing => Code::NotEnrolled,
            Self::Unavailable { .. } | Self::Unwrap => Code::KeyUnavailable,
        }
    }
}

/// The handset's keys. The private keys never leave the implementation.
///
/// Each call may block on hardware for hundreds of milliseconds, and none may be made on an
/// async runtime that has only one thread.
pub trait KeyStore: Send + Sync {
    /// The DER `SubjectPublicKeyInfo` of the P-256 signing key; `None` where there is none yet.
    ///
    /// # Errors
    ///
    /// When the platform does not give access.
    fn public_key(&self) -> Result<Option<Vec<u8>>, KeyError>;

    /// Makes the signing key and the wrapping key, unless they are there already, and returns
    /// the DER `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    ///
    /// When the platform cannot make or keep them.
    fn create(&self) -> Result<Vec<u8>, KeyError>;

    /// Signs `message` (not a digest of it) with ECDSA P-256 and SHA-256; returns ASN.1 DER.
    ///
    /// # Errors
    ///
    /// When there is no key, or the platform does not let it be used.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;

    /// Encrypts a short secret under a key that this port holds.
    ///
    /// # Errors
    ///
    /// When there is no key, or the platform does not let it be used.
    fn wrap(&self, secret: &Sensitive<Vec<u8>>) -> Result<Vec<u8>, KeyError>;

    /// Decrypts what [`KeyStore::wrap`] made.
    ///
    /// # Errors
    ///
    /// When there is no key, it may not be used, or the bytes are not its own.
    fn unwrap(&self, wrapped: &[u8]) -> Result<Sensitive<Vec<u8>>, KeyError>;

    /// Destroys all keys. What they wrapped cannot be read again. Does nothing where there are
    /// none.
    ///
    /// # Errors
    ///
    /// When the platform cannot remove them.
    fn destroy(&self) -> Result<(), KeyError>;
}

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
    /// Records that wait, by stream and sequence number.
    Outbox,
    /// Records that were refused, by record id.
    Quarantine,
    /// Receipts and what is known of the record, by record id.
    Receipt,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 6] = [
        Self::Meta,
        Self::Epoch,
        Self::Draft,
        Self::Outbox,
        Self::Quarantine,
        Self::Receipt,
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

/// An HTTP request of the agent.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `HEAD`, `POST` or `PUT`.
    pub method: Method,
    /// Path from the root of the server, such as `/v1/policy`.
    pub path: String,
    /// Headers beside those that the transport adds itself.
    pub headers: Vec<(&'static str, String)>,
    /// User and password for HTTP Basic, over a verified connection only.
    pub basic: Option<(String, Sensitive<String>)>,
    /// The body.
    pub body: Vec<u8>,
    /// Longest reply body to read, in bytes; a longer one is [`TransportError::TooLarge`].
    pub reply_max_bytes: usize,
}

/// The methods that the agent uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are HTTP's own")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
}

/// An HTTP reply. Redirects are never followed: they arrive here as they are.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header names in lower case, and values that are valid text.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A request got no usable reply. Which kind decides what is done about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection: no network, name not found, refused, cut off.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// The proxy refused.
    #[error("the proxy refused: {0}")]
    Proxy(String),
    /// It took too long.
    #[error("it took longer than {0:?}")]
    TimedOut(Duration),
    /// TLS: the server's certificate does not lead to a pinned authority, or is for another name.
    #[error("the server's certificate is not the department's: {0}")]
    ServerNotTrusted(String),
    /// TLS: the server's certificate has expired or is not valid yet, by every clock there is.
    #[error("the server's certificate is out of date")]
    ServerCertificateExpired,
    /// TLS: the server said that this handset's certificate has expired.
    #[error("the server says that this phone's certificate has expired")]
    ClientCertificateExpired,
    /// TLS: the server said that this handset is revoked.
    #[error("the server says that this phone's certificate is revoked")]
    ClientCertificateRevoked,
    /// TLS: the server does not accept this handset's certificate.
    #[error("the server does not accept this phone's certificate")]
    ClientCertificateRefused,
    /// The handset's key could not be used.
    #[error("the phone's key could not be used: {0}")]
    Key(String),
    /// The reply is longer than the request allows.
    #[error("the reply is longer than {0} bytes")]
    TooLarge(usize),
    /// The reply is not HTTP that can be understood.
    #[error("the reply cannot be understood: {0}")]
    Malformed(String),
}

impl TransportError {
    /// The stable code; the only place that decides it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unreachable(_) => Code::Unreachable,
            Self::Proxy(_) => Code::ProxyFailed,
            Self::TimedOut(_) => Code::TimedOut,
            Self::ServerNotTrusted(_) => Code::ServerNotTrusted,
            Self::ServerCertificateExpired => Code::ServerCertificateExpired,
            Self::ClientCertificateExpired => Code::CertificateExpired,
            Self::ClientCertificateRevoked => Code::HandsetRevoked,
            Self::ClientCertificateRefused => Code::CertificateRefused,
            Self::Key(_) => Code::KeyUnavailable,
            Self::TooLarge(_) | Self::Malformed(_) => Code::BadReply,
        }
    }
}

/// Sends requests to one server.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a request and reads the whole reply.
    ///
    /// # Errors
    ///
    /// When there is no usable reply. The request may have been carried out all the same.
    async fn send(&self, request: Request) -> Result<Response, TransportError>;

    /// Whether the server's certificate could only be accepted by setting the handset's clock
    /// aside (see `identity::trust`): the clock is wrong, or the server's certificate is.
    fn clock_suspect(&self) -> bool {
        false
    }
}

/// Where to connect, whom to trust there, and as whom.
#[derive(Clone)]
pub struct Endpoint {
    /// Base URL, `https://host:port`.
    pub url: String,
    /// SHA-256 of the `SubjectPublicKeyInfo` of the department's certificate authority and of
    /// its backup.
    pub ca_pins: Vec<Digest>,
    /// The handset's certificate chain (DER, leaf first) and the key behind it; `None` for
    /// enrolment.
    pub client: Option<ClientIdentity>,
    /// `http://host:port` of a web proxy.
    pub proxy: Option<String>,
    /// A time that is known to have passed: the later of the build time and the last time that
    /// the department signed. See `identity` for how certificates are judged by it.
    pub not_before: Timestamp,
}

/// A certificate whose key stays behind the port.
#[derive(Clone)]
pub struct ClientIdentity {
    /// DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// Holds the leaf's key.
    pub keys: Arc<dyn KeyStore>,
}

/// Makes a [`Transport`] for an [`Endpoint`].
pub trait Connector: Send + Sync {
    /// Prepares a connection; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When the endpoint's certificate, key or proxy cannot be used.
    fn connect(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError>;
}

/// What a holder or a log may learn while the agent works. Never content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A damaged store was set aside under this name and a new one begun.
    StoreSetAside {
        /// File name, in the agent's home.
        file: String,
    },
    /// A step of a sync is under way.
    SyncProgress {
        /// Records that have their receipts in this sync.
        done: u64,
        /// Records that there are to send, as known now.
        total: u64,
    },
    /// Bytes of a file are on the server.
    UploadProgress {
        /// Bytes sent.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
}

/// Receives [`Event`]s. Must not block, and must not call the agent.
pub trait EventSink: Send + Sync {
    /// Takes an event.
    fn emit(&self, event: Event);
}

/// What the platform brings: one of each port.
#[derive(Clone)]
pub struct Platform {
    /// The agent's directory.
    pub home: Arc<dyn Home>,
    /// The clock on the wall.
    pub clock: Arc<dyn Clock>,
    /// The handset's keys.
    pub keys: Arc<dyn KeyStore>,
    /// Asks about catalogue apps.
    pub probe: Arc<dyn AppProbe>,
    /// Connects to the department.
    pub connector: Arc<dyn Connector>,
    /// Hears of progress.
    pub events: Arc<dyn EventSink>,
}
