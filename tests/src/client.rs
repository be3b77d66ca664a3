//! An HTTPS client that shows what other clients hide: TLS alerts, single connections, tickets.

use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::wait;

/// One connection, kept alive for as long as both sides like.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<hyper::Result<()>>,
    host: SocketAddr,
    port: u16,
    read: Arc<AtomicU64>,
}

/// A TCP stream that counts the bytes that it has read.
pub struct Counted {
    stream: TcpStream,
    read: Arc<AtomicU64>,
}

/// A whole reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// There was no reply.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The TLS alert that the server sent.
    pub alert: Option<AlertDescription>,
    /// Everything that is known about it.
    pub text: String,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is not.
    #[must_use]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The stable code of a problem document.
    ///
    /// # Panics
    ///
    /// When the reply is not one, or its media type is not a problem's.
    #[must_use]
    pub fn problem(&self) -> String {
        let media_type = self.header("content-type").unwrap_or_default();
        assert_eq!(
            media_type,
            "application/problem+json",
            "{} {}",
            self.status,
            self.text()
        );
        let problem: candour_wire::Problem = self.json();
        assert_eq!(problem.status, self.status.as_u16(), "{problem:?}");
        assert!(problem.advice.ends_with('.'), "no sentence: {problem:?}");
        problem.code
    }

    /// A header, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Makes a TLS connection, as far as a client can tell: in TLS 1.3 the server judges the client's
/// certificate after the client is done.
///
/// # Errors
///
/// When the server is not there or ends the handshake.
pub async fn connect_tls(
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> Result<TlsStream<Counted>, Failure> {
    let connecting = async {
        let stream = Counted {
            stream: TcpStream::connect(address).await?,
            read: Arc::default(),
        };
        let name = ServerName::from(address.ip());
        TlsConnector::from(config).connect(name, stream).await
    };
    wait::within("a TLS connection", connecting)
        .await
        .map_err(|error| Failure::of(&error))
}

/// The alert by which the server ends a connection on which nothing has been asked yet; `None`
/// where it ends it without one.
///
/// A client that writes at once may never read the alert, because its write fails first.
///
/// # Panics
///
/// When the server lets the client in.
pub async fn alert_at_the_door(
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> Option<AlertDescription> {
    let mut stream = match connect_tls(address, config).await {
        Ok(stream) => stream,
        Err(failure) => return failure.alert,
    };
    let read = wait::within("the server's verdict", stream.read_u8()).await;
    read.map_or_else(
        |error| Failure::of(&error).alert,
        |byte| panic!("let in: the server said {byte}"),
    )
}

/// Sends the head of a request whose body never comes, and returns the status of the reply.
///
/// A server that refuses a body for its length closes the connection, and a client that is still
/// writing then may never read why.
///
/// # Panics
///
/// When there is no reply.
pub async fn status_of_head(address: SocketAddr, config: Arc<ClientConfig>, head: &str) -> u16 {
    let mut stream = connect_tls(address, config).await.expect("a connection");
    let head = format!("{head}\r\nhost: {address}\r\n\r\n");
    stream
        .write_all(head.as_bytes())
        .await
        .expect("a request is sent");
    let mut line = [0; "HTTP/1.1 200".len()];
    wait::within("a reply", stream.read_exact(&mut line))
        .await
        .expect("a reply");
    let line = std::str::from_utf8(&line).expect("ASCII");
    line.rsplit(' ')
        .next()
        .and_then(|status| status.parse().ok())
        .expect("a status")
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// As [`connect_tls`].
    pub async fn open(address: SocketAddr, config: Arc<ClientConfig>) -> Result<Self, Failure> {
        let stream = connect_tls(address, config).await?;
        let Counted { stream: tcp, read } = stream.get_ref().0;
        let port = tcp
            .local_addr()
            .map_err(|error| Failure::of(&error))?
            .port();
        let read = Arc::clone(read);
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Failure::of(&error))?;
        Ok(Self {
            sender,
            driver: tokio::spawn(connection),
            host: address,
            port,
            read,
        })
    }

    /// The server's port and this side's.
    #[must_use]
    pub const fn ports(&self) -> (u16, u16) {
        (self.host.port(), self.port)
    }

    /// Bytes that have come from the server on this connection, as they are on the wire.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::SeqCst)
    }

    /// Sends a request and reads the whole reply.
    ///
    /// # Errors
    ///
    /// When the server ends the connection instead.
    pub async fn send(
        &mut self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Result<Reply, Failure> {
        let request: Request<Full<Bytes>> = request
            .header("host", self.host.to_string())
            .body(Full::new(body.into()))
            .map_err(|error| Failure::of(&error))?;
        let exchange = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, hyper::Error>(Reply {
                status: parts.status,
                headers: parts.headers,
                body,
            })
        };
        match wait::within("a reply", exchange).await {
            Ok(reply) => Ok(reply),
            Err(error) => {
                let failure = Failure::of(&error);
                if failure.alert.is_some() || !self.driver.is_finished() {
                    return Err(failure);
                }
                // The alert may have reached the connection rather than the request.
                match (&mut self.driver).await {
                    Ok(Err(error)) => Err(Failure::of(&error)),
                    _ => Err(failure),
                }
            }
        }
    }

    /// `GET`s a path.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    pub async fn get(&mut self, path: &str) -> Result<Reply, Failure> {
        self.send(Request::get(path), Bytes::new()).await
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, into);
        let read = into.filled().len() - before;
        this.read.fetch_add(read as u64, Ordering::SeqCst);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Failure {
    fn of(error: &(dyn Error + 'static)) -> Self {
        let mut alert = None;
        let mut text = Vec::new();
        let mut next = Some(error);
        while let Some(error) = next {
            text.push(error.to_string());
            let tls = error.downcast_ref::<rustls::Error>();
            // An I/O error hides what it wraps from `source`.
            let wrapped = error
                .downcast_ref::<std::io::Error>()
                .and_then(|io| io.get_ref())
                .and_then(|inner| inner.downcast_ref::<rustls::Error>());
            if let Some(rustls::Error::AlertReceived(description)) = tls.or(wrapped) {
                alert = Some(*description);
            }
            next = error.source();
        }
        Self {
            alert,
            text: text.join(": "),
        }
    }
}
