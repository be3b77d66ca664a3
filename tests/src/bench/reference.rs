//! What the gateway is compared with: rustls, hyper and SQLite with group commit, and nothing else.
//!
//! It asks for a client certificate of the department, keeps each body in a row of its own, syncs,
//! and answers with nothing. It verifies no record, knows no chain, no log and no receipt: it is
//! what the gateway would cost if it did only what any server must.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rusqlite::Connection;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;

use crate::department::Department;
use crate::pki::parse_certificates;
use crate::program::{Process, Program};

/// A running reference.
pub(super) struct Reference {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
}

/// The most bodies that are committed together, as in the gateway.
const GROUP: usize = 512;

impl Reference {
    /// Starts it in a process of its own, with the department's certificates.
    pub(super) fn start(program: &Program, department: &Department) -> Self {
        let mut command =
            program.reference([department.data(), department.scratch().join("reference.db")]);
        let log = department.scratch().join("reference.log");
        let (process, line) = Process::start(&mut command, &log);
        let address = line.trim().parse().expect("an address");
        Self { process, address }
    }
}

/// `candour-tests bench-reference DATA DATABASE`: serves until it is ended.
///
/// # Panics
///
/// When it cannot listen or store.
#[must_use]
pub fn serve(args: &[OsString]) -> ExitCode {
    let [data, database] = args else {
        return ExitCode::from(2);
    };
    let (bodies, queue) = mpsc::channel(4096);
    let database = PathBuf::from(database);
    std::thread::spawn(move || keep(&database, queue));
    let tls = TlsAcceptor::from(Arc::new(tls(Path::new(data))));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        writeln!(std::io::stdout(), "{address}").expect("somebody reads it");
        while let Ok((stream, _)) = listener.accept().await {
            // As the gateway does: small answers are not held back.
            stream.set_nodelay(true).expect("a socket");
            let (tls, bodies) = (tls.clone(), bodies.clone());
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(stream).await else {
                    return;
                };
                let service = service_fn(move |request| answer(request, bodies.clone()));
                // The client ends the connection when it has enough.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    ExitCode::SUCCESS
}

type Kept = (Bytes, oneshot::Sender<()>);

async fn answer(
    request: Request<Incoming>,
    bodies: mpsc::Sender<Kept>,
) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    let keeps = request.uri().path() == KEPT;
    let body = request.into_body().collect().await?.to_bytes();
    if keeps {
        let (sender, kept) = oneshot::channel();
        bodies.send((body, sender)).await.expect("the writer runs");
        kept.await.expect("the writer answers");
    }
    Ok(Response::new(Empty::new()))
}

/// Posting here is answered when the body is on disk.
pub(super) const KEPT: &str = "/kept";

/// Posting here is answered at once.
pub(super) const FORGOTTEN: &str = "/forgotten";

fn keep(path: &Path, mut queue: mpsc::Receiver<Kept>) {
    let mut db = open(path);
    let mut group = Vec::new();
    while queue.blocking_recv_many(&mut group, GROUP) > 0 {
        let tx = db.transaction().expect("a transaction");
        for (body, _) in &group {
            insert(&tx, body);
        }
        tx.commit().expect("a commit");
        for (_, sender) in group.drain(..) {
            // The client may be gone.
            let _ = sender.send(());
        }
    }
}

/// A database as durable as the product's: a write-ahead log, synced at each commit.
pub(super) fn open(path: &Path) -> Connection {
    let db = Connection::open(path).expect("a database");
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE body (n INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;",
    )
    .expect("a table");
    db
}

pub(super) fn insert(db: &Connection, body: &[u8]) {
    db.prepare_cached("INSERT INTO body (body) VALUES (?1)")
        .and_then(|mut insert| insert.execute([body]))
        .expect("a row");
}

fn tls(data: &Path) -> ServerConfig {
    let read = |name: &str| std::fs::read_to_string(data.join(name)).expect("the department's");
    let mut roots = RootCertStore::empty();
    for certificate in parse_certificates(&read("ca.pem")) {
        roots.add(certificate).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .expect("one root");
    let chain: Vec<CertificateDer<'static>> = parse_certificates(&read("server.pem"));
    let key = PrivateKeyDer::from_pem_slice(read("server.pem").as_bytes()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring has TLS 1.3")
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .expect("a certificate and its key");
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}
