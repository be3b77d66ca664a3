//! The port to the department's servers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use candour_wire::{Code, Digest, Sensitive};
use jiff::Timestamp;

use super::KeyStore;

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
