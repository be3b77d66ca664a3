//! Something between a handset and the server that has the server's own key: it passes, alters,
//! loses or answers requests by itself.
//!
//! It shows the handset the server's certificate and the server the handset's, so that both sides
//! run as they always do.

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use candour_wire::api::BatchRequest;
use candour_wire::limits::BATCH_MAX_BYTES;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::client::Connection;
use crate::department::Department;
use crate::pki::ClientCertificate;

/// A running interceptor. Dropping it ends it.
pub struct Interceptor {
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// A request on its way to the server.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A reply on its way to the handset.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers, without those that describe the transfer.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// What becomes of a request.
pub enum Fate {
    /// It reaches the server, and the reply the handset.
    Pass,
    /// It does not reach the server; this is the reply.
    Answer(Answer),
    /// It does not reach the server; the connection ends.
    Cut,
    /// It reaches the server; the reply is this function's.
    Alter(Box<dyn FnOnce(Answer) -> Answer + Send>),
    /// It reaches the server; the reply is this function's, and comes so much later.
    Late(Duration, Box<dyn FnOnce(Answer) -> Answer + Send>),
    /// It reaches the server; the reply is lost and the connection ends.
    Swallow(Box<dyn FnOnce(Answer) + Send>),
}

impl Asked {
    /// The batch in the body.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn batch(&self) -> BatchRequest {
        let mut json = Vec::new();
        if self
            .headers
            .get(CONTENT_ENCODING)
            .is_some_and(|encoding| encoding == "zstd")
        {
            let decoder = zstd::stream::read::Decoder::new(self.body.as_ref()).expect("zstd");
            decoder
                .take(BATCH_MAX_BYTES as u64)
                .read_to_end(&mut json)
                .expect("a whole stream");
        } else {
            json.extend_from_slice(&self.body);
        }
        serde_json::from_slice(&json).expect("a batch")
    }
}

type Rule = dyn Fn(&Asked) -> Fate + Send + Sync;

impl Answer {
    /// A reply of that type.
    ///
    /// # Panics
    ///
    /// When the media type cannot stand in a header.
    #[must_use]
    pub fn new(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = [(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static(media_type),
        )];
        Self {
            status,
            headers: headers.into_iter().collect(),
            body: body.into(),
        }
    }

    /// Alters the body as JSON.
    ///
    /// # Panics
    ///
    /// When it is not JSON.
    #[must_use]
    pub fn with_json(mut self, alter: impl FnOnce(&mut serde_json::Value)) -> Self {
        let mut json = serde_json::from_slice(&self.body).expect("JSON");
        alter(&mut json);
        self.body = json.to_string().into();
        self
    }
}

impl Interceptor {
    /// Stands before the handset listener of `department`. `upstream` are the TLS settings by
    /// which it shows itself as the handset; `rule` decides about each request.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub async fn start(
        department: &Department,
        upstream: Arc<ClientConfig>,
        rule: impl Fn(&Asked) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let shown = department.server_certificate();
        Self::start_as(&shown, department.handset_address(), upstream, rule).await
    }

    /// As [`Interceptor::start`], with another certificate than the server's.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub async fn start_as(
        shown: &ClientCertificate,
        to: SocketAddr,
        upstream: Arc<ClientConfig>,
        rule: impl Fn(&Asked) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let tls = TlsAcceptor::from(Arc::new(server_config(shown)));
        let rule: Arc<Rule> = Arc::new(rule);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, upstream, rule) = (tls.clone(), Arc::clone(&upstream), Arc::clone(&rule));
                tokio::spawn(async move { intercept(stream, tls, to, upstream, rule).await });
            }
        });
        Self { address, task }
    }

    /// Where the handset finds it.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Interceptor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The request or the reply was lost on purpose.
#[derive(Debug)]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("lost on purpose")
    }
}

impl std::error::Error for Lost {}

async fn intercept(
    stream: TcpStream,
    tls: TlsAcceptor,
    to: SocketAddr,
    upstream: Arc<ClientConfig>,
    rule: Arc<Rule>,
) {
    // A handset that does not like what it sees ends the handshake, which is its right.
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    let service = service_fn(move |request: Request<Incoming>| {
        let (upstream, rule) = (Arc::clone(&upstream), Arc::clone(&rule));
        async move {
            let answer = exchange(request, to, upstream, &*rule).await?;
            let mut response = Response::new(Full::new(answer.body));
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            Ok::<_, Lost>(response)
        }
    });
    // An error here is a request that was lost on purpose, or a handset that went away.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn exchange(
    request: Request<Incoming>,
    to: SocketAddr,
    upstream: Arc<ClientConfig>,
    rule: &Rule,
) -> Result<Answer, Lost> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    let asked = Asked {
        method: parts.method,
        path: parts.uri.to_string(),
        headers: parts.headers,
        body,
    };
    match rule(&asked) {
        Fate::Pass => forward(asked, to, upstream).await,
        Fate::Answer(answer) => Ok(answer),
        Fate::Cut => Err(Lost),
        Fate::Alter(alter) => forward(asked, to, upstream).await.map(alter),
        Fate::Late(after, alter) => {
            let answer = forward(asked, to, upstream).await?;
            tokio::time::sleep(after).await;
            Ok(alter(answer))
        }
        Fate::Swallow(swallow) => {
            swallow(forward(asked, to, upstream).await?);
            Err(Lost)
        }
    }
}

async fn forward(
    asked: Asked,
    to: SocketAddr,
    upstream: Arc<ClientConfig>,
) -> Result<Answer, Lost> {
    let mut connection = Connection::open(to, upstream).await.map_err(|_| Lost)?;
    let mut request = Request::builder().method(asked.method).uri(asked.path);
    for (name, value) in asked
        .headers
        .iter()
        .filter(|(name, _)| !describes_transfer(name))
    {
        request = request.header(name, value);
    }
    let reply = connection
        .send(request, asked.body)
        .await
        .map_err(|_| Lost)?;
    let mut headers = reply.headers;
    let transfer: Vec<_> = headers
        .keys()
        .filter(|name| describes_transfer(name))
        .cloned()
        .collect();
    for name in transfer {
        headers.remove(name);
    }
    Ok(Answer {
        status: reply.status,
        headers,
        body: reply.body,
    })
}

fn describes_transfer(name: &http::HeaderName) -> bool {
    use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
    [CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING].contains(name)
}

pub(crate) fn server_config(shown: &ClientCertificate) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring has TLS 1.3")
        .with_client_cert_verifier(Arc::new(AnyHandset(algorithms)))
        .with_single_cert(shown.chain.clone(), shown.private_key())
        .expect("the server's certificate and key");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// Lets in whoever has the key of the certificate that it shows.
#[derive(Debug)]
struct AnyHandset(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyHandset {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not offered".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
