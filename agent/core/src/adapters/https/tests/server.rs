//! A TLS server and a proxy on loopback that answer every request alike.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::identity::testing::Authority;

/// A page with a length.
pub(super) fn page(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nx-reply: yes\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// How a server is to be.
pub(super) struct Setup {
    pub(super) host: String,
    /// Year, month and day on which its certificate expires.
    pub(super) not_after: (i32, u8, u8),
    pub(super) only_tls12: bool,
    /// Ask for a client's certificate, and judge it so.
    pub(super) ask_for_client: Option<Result<(), CertificateError>>,
    /// Sent to every request.
    pub(super) reply: Vec<u8>,
    /// The connection goes on after a reply.
    pub(super) stays: bool,
}

/// What a server saw of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Connection {
    pub(super) client: Vec<Vec<u8>>,
    pub(super) resumed: bool,
    pub(super) version: Option<rustls::ProtocolVersion>,
    /// The head of each request.
    pub(super) requests: Vec<String>,
}

pub(super) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Connection>>>,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(authority: &Authority, change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup {
            host: "127.0.0.1".into(),
            not_after: (2027, 1, 30),
            only_tls12: false,
            ask_for_client: None,
            reply: page(200, "hello").into_bytes(),
            stays: false,
        };
        change(&mut setup);
        let acceptor = TlsAcceptor::from(Arc::new(config(authority, &setup)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let accepted = Arc::new(AtomicUsize::new(0));
        let (log, count, setup) = (Arc::clone(&seen), Arc::clone(&accepted), Arc::new(setup));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (acceptor, log, setup) =
                    (acceptor.clone(), Arc::clone(&log), Arc::clone(&setup));
                tokio::spawn(async move {
                    match acceptor.accept(stream).into_fallible().await {
                        Ok(stream) => serve(stream, &setup, &log).await,
                        Err((_, stream)) => linger(stream).await,
                    }
                });
            }
        });
        Self {
            address,
            seen,
            accepted,
            task,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub(super) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Connections that were begun, whether or not hands were shaken.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(super) fn seen(&self) -> Vec<Connection> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes in what the client still sends: closing with unread bytes would reset the connection and
/// lose the alert that is on its way.
async fn linger(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

fn config(authority: &Authority, setup: &Setup) -> ServerConfig {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let (year, month, day) = setup.not_after;
    let leaf = authority.server(&setup.host, &key, |params| {
        params.not_after = date_time_ymd(year, month, day)
    });
    let chain = [leaf, authority.der.clone()]
        .map(CertificateDer::from)
        .to_vec();
    let versions: &[&rustls::SupportedProtocolVersion] = if setup.only_tls12 {
        &[&rustls::version::TLS12]
    } else {
        rustls::ALL_VERSIONS
    };
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap();
    let builder = match setup.ask_for_client.clone() {
        Some(verdict) => builder.with_client_cert_verifier(Arc::new(Judge(verdict))),
        None => builder.with_no_client_auth(),
    };
    builder
        .with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap()
}

/// Answers requests until the client leaves.
async fn serve(mut stream: TlsStream<TcpStream>, setup: &Setup, log: &Mutex<Vec<Connection>>) {
    let (_, tls) = stream.get_ref();
    let client = tls
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .map(|certificate| certificate.to_vec())
        .collect();
    let resumed = tls.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
    let version = tls.protocol_version();
    let place = {
        let mut log = log.lock().unwrap();
        log.push(Connection {
            client,
            resumed,
            version,
            requests: Vec::new(),
        });
        log.len() - 1
    };
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        log.lock().unwrap()[place]
            .requests
            .push(String::from_utf8(head).unwrap());
        let _ = stream.write_all(&setup.reply).await;
        if !setup.stays {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// Says the same of every client certificate.
#[derive(Debug)]
struct Judge(Result<(), CertificateError>);

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0
            .clone()
            .map(|()| ClientCertVerified::assertion())
            .map_err(Error::InvalidCertificate)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("the test server asks for TLS 1.3".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A web proxy that tunnels everything, or nothing.
pub(super) struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<String>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn start(willing: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(String::new()));
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let target = head.split(' ').nth(1).unwrap().to_owned();
                *log.lock().unwrap() = head;
                if willing {
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                    let mut target = TcpStream::connect(target).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut target).await;
                } else {
                    stream
                        .write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
                        .await
                        .unwrap();
                }
            }
        });
        Self {
            address,
            asked,
            task,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn asked(&self) -> String {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
