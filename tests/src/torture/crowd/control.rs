//! A listener that is broken on purpose: it lets so many in and makes the others wait, whoever
//! they are, for as long as those inside say nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::Department;

/// The listener. Dropping it ends it.
pub(super) struct Narrow {
    address: SocketAddr,
    task: JoinHandle<()>,
}

const PLACES: usize = 1_024;

const PATIENCE: Duration = Duration::from_secs(30);

impl Narrow {
    pub(super) async fn start(department: &Department) -> Self {
        let shown = department.server_certificate();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring has TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(shown.chain.clone(), shown.private_key())
            .expect("the server's certificate and key");
        let tls = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let places = Arc::new(Semaphore::new(PLACES));
        let task = tokio::spawn(async move {
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let tls = tls.clone();
                tokio::spawn(async move {
                    let served = async {
                        let mut stream = tls.accept(stream).await?;
                        let mut request = Vec::new();
                        while !request.ends_with(b"\r\n\r\n") {
                            request.push(stream.read_u8().await?);
                        }
                        stream.write_all(REPLY).await?;
                        stream.shutdown().await
                    };
                    // How it ended matters to nobody here.
                    let _ = timeout(PATIENCE, served).await;
                    drop(place);
                });
            }
        });
        Self { address, task }
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Narrow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
