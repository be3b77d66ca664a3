//! What one sync costs: bytes both ways, handshake included, and processor time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use candour_core::{Agent, Config};
use jiff::SignedDuration;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Scale;
use super::ingest::to_f64;
use super::report::Report;
use super::usage::{Stretch, Watched};
use crate::department::Department;
use crate::handset::{Handset, declare};
use crate::program::Program;
use crate::wait;

/// Passes bytes on and counts them.
pub(crate) struct Counter {
    /// Where clients find it.
    pub(crate) address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    bytes: AtomicU64,
    connections: AtomicU64,
    /// Connections that neither side has ended yet.
    open: AtomicU64,
}

impl Counter {
    /// One that stands before a server.
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let counts = Arc::new(Counts::default());
        let counting = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                counting.connections.fetch_add(1, Ordering::SeqCst);
                counting.open.fetch_add(1, Ordering::SeqCst);
                let counting = Arc::clone(&counting);
                tokio::spawn(async move {
                    let far = TcpStream::connect(server).await.expect("the server");
                    let (from_near, to_near) = near.into_split();
                    let (from_far, to_far) = far.into_split();
                    tokio::join!(
                        pass(from_near, to_far, &counting),
                        pass(from_far, to_near, &counting)
                    );
                    counting.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, counts }
    }

    /// Waits until both sides have ended all connections, so that their goodbyes are counted.
    pub(crate) async fn all_closed(&self) {
        wait::until("no connection is open", || async {
            (self.counts.open.load(Ordering::SeqCst) == 0).then_some(())
        })
        .await;
    }

    /// Bytes and connections since this was last asked.
    pub(crate) fn take(&self) -> (f64, f64) {
        let take = |count: &AtomicU64| {
            to_f64(usize::try_from(count.swap(0, Ordering::SeqCst)).unwrap_or(0))
        };
        (take(&self.counts.bytes), take(&self.counts.connections))
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, counts: &Counts) {
    let mut buffer = vec![0; 64 << 10];
    // Either side may end the connection at any time.
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        counts.bytes.fetch_add(read as u64, Ordering::SeqCst);
        let Some(bytes) = buffer.get(..read) else {
            break;
        };
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

pub(super) fn measure(program: &Program, scale: Scale, report: &mut Report) {
    // One thread, so that the agent's processor time is not mixed with the counter's by chance.
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let department = Department::start(program);
    let handset = runtime.block_on(Handset::enrolled(&department));
    let counter = runtime.block_on(Counter::before(department.handset_address()));
    let mut settings = department.settings();
    settings.insert(
        "server_url".into(),
        Value::from(format!("https://{}", counter.address)),
    );
    let config = Config::from_object(&settings).expect("valid settings");
    let agent = handset.open(config);
    let sync = |agent: &Agent| runtime.block_on(agent.sync()).expect("a sync");
    agent.scan().expect("a scan");
    sync(&agent);
    counter.take();

    let count = scale.of(100);
    let (mut bytes, mut connections, mut processor) = (0.0, 0.0, 0.0);
    for number in 0..count {
        // A change: an app comes or goes.
        handset.install(if number % 2 == 0 { &["signal"] } else { &[] });
        let stretch = Stretch::begin(Watched::this());
        agent.scan().expect("a scan");
        sync(&agent);
        processor += stretch.processor_seconds();
        let (sent, opened) = counter.take();
        bytes += sent;
        connections += opened;
    }
    let each = to_f64(count);
    report.figure(
        "sync of one changed app: bytes both ways",
        bytes / each,
        "B",
        "< 6,000",
    );
    report.figure("… connections", connections / each, "", "1");
    report.figure(
        "… processor time, agent and counter",
        processor / each * 1e3,
        "ms",
        "< 5",
    );
    let (mut bytes, mut processor) = (0.0, 0.0);
    for number in 0..count {
        declare(&agent, &format!("Message {number}: the annex is agreed."));
        let stretch = Stretch::begin(Watched::this());
        sync(&agent);
        processor += stretch.processor_seconds();
        bytes += counter.take().0;
    }
    report.figure(
        "sync of one declaration: bytes both ways",
        bytes / each,
        "B",
        "",
    );
    report.figure(
        "… processor time, agent and counter",
        processor / each * 1e3,
        "ms",
        "",
    );
    // A day without a change.
    handset.set_clock_wrong_by(SignedDuration::from_hours(25));
    agent.scan().expect("a scan");
    sync(&agent);
    report.figure(
        "heartbeat: bytes both ways",
        counter.take().0,
        "B",
        "< 3,000",
    );
}
