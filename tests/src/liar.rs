//! A server with the department's own certificate that answers with whatever bytes a test likes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::department::Department;
use crate::interceptor::server_config;
use crate::pki::ClientCertificate;

/// How a connection ends after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As it should: TLS says goodbye.
    Close,
    /// TCP closes in the middle of TLS.
    Truncate,
    /// The same answer again and again, for as long as the client listens.
    Repeat,
}

/// A running liar. Dropping it ends it.
pub struct Liar {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Liar {
    /// Answers every request with `answer`.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub async fn start(department: &Department, answer: Vec<u8>, end: End) -> Self {
        Self::start_as(&department.server_certificate(), answer, end).await
    }

    /// As [`Liar::start`], with another certificate.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub async fn start_as(shown: &ClientCertificate, answer: Vec<u8>, end: End) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let tls = TlsAcceptor::from(Arc::new(server_config(shown)));
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        let answer = Arc::new(answer);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, answer) = (tls.clone(), Arc::clone(&answer));
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    // A client that does not like the certificate ends it here, which is its right.
                    let Ok(stream) = tls.accept(stream).await else {
                        return;
                    };
                    // Nor does it matter how far the client listens.
                    let _ = answer_all(stream, &answer, end, &counter).await;
                });
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    /// Where the handset finds it.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests have come.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer_all(
    mut stream: TlsStream<TcpStream>,
    answer: &[u8],
    end: End,
    counter: &AtomicUsize,
) -> std::io::Result<()> {
    let mut read = Vec::new();
    while !has_whole_request(&read) {
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
    }
    counter.fetch_add(1, Ordering::SeqCst);
    stream.write_all(answer).await?;
    if end == End::Repeat {
        loop {
            stream.write_all(answer).await?;
        }
    }
    stream.flush().await?;
    match end {
        End::Truncate => stream.get_mut().0.shutdown().await,
        End::Close | End::Repeat => stream.shutdown().await,
    }?;
    // Closing with unread bytes would reset the connection, and the answer with it.
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(())
}

/// Whether head and body are there. The product always says how long its bodies are.
fn has_whole_request(read: &[u8]) -> bool {
    let Some(head) = memchr::memmem::find(read, b"\r\n\r\n") else {
        return false;
    };
    let (head, body) = read.split_at(head + 4);
    let head = String::from_utf8_lossy(head).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
