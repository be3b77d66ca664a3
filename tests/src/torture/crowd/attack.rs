//! The crowds.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::Args;
use crate::{Department, RawHandset};

/// What a crowd does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Attack {
    /// Connects to the handset listener and says nothing.
    Silent,
    /// Begins a handshake with the handset listener and goes on by a byte a second.
    SlowHandshake,
    /// Shakes hands with the public listener and says nothing.
    IdlePublic,
    /// Shakes hands with the public listener and sends a head by a byte a second.
    SlowHead,
    /// The same with 31 KiB of the head at once.
    LargeHead,
    /// Shakes hands with the handset listener without a certificate, as often as it can.
    Handshakes,
    /// Enrols with tokens that are none, as often as it can.
    Tokens,
    /// Enrolled handsets that connect and say nothing.
    IdleEnrolled,
    /// Enrolled handsets that send a body by a byte a second.
    SlowBody,
}

/// A crowd at its work. Dropping it ends it.
pub(super) struct Crowd {
    held: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Attack {
    pub(super) const ALL: [Self; 9] = [
        Self::Silent,
        Self::SlowHandshake,
        Self::IdlePublic,
        Self::SlowHead,
        Self::LargeHead,
        Self::Handshakes,
        Self::Tokens,
        Self::IdleEnrolled,
        Self::SlowBody,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent, handset listener",
            Self::SlowHandshake => "slow handshakes, handset listener",
            Self::IdlePublic => "idle, public listener",
            Self::SlowHead => "slow heads, public listener",
            Self::LargeHead => "slow heads of 31 KiB, public listener",
            Self::Handshakes => "64 at a time, handshakes without a certificate",
            Self::Tokens => "64 at a time, enrolments without a token",
            Self::IdleEnrolled => "idle, enrolled",
            Self::SlowBody => "slow bodies, enrolled",
        }
    }

    /// Whether what it does is over at once.
    pub(super) const fn is_brief(self) -> bool {
        matches!(self, Self::Handshakes | Self::Tokens)
    }

    /// How many at a time, of those that there are to be.
    fn size(self, connections: usize) -> usize {
        match self {
            Self::Handshakes | Self::Tokens => 64,
            _ => connections,
        }
    }
}

/// Who takes part, and how.
struct Plan {
    attack: Attack,
    handset: SocketAddr,
    public: SocketAddr,
    anonymous: Arc<ClientConfig>,
    enrolled: Arc<ClientConfig>,
    held: Arc<AtomicUsize>,
}

impl Crowd {
    /// Brings a crowd together: returns when it is as large as it gets.
    pub(super) async fn gather(
        department: &Department,
        at: [SocketAddr; 2],
        attack: Attack,
        args: &Args,
    ) -> Self {
        let accomplice = RawHandset::enrol(department).await;
        let held = Arc::new(AtomicUsize::new(0));
        let plan = Arc::new(Plan {
            attack,
            handset: at[0],
            public: at[1],
            anonymous: department.anonymous_tls(),
            enrolled: accomplice.tls(department),
            held: Arc::clone(&held),
        });
        let mut tasks = JoinSet::new();
        // Handsets come from the first.
        let first = Ipv4Addr::LOCALHOST.to_bits() + u32::from(!args.shared);
        for number in 0..attack.size(args.connections) {
            let plan = Arc::clone(&plan);
            let place = number % usize::from(args.addresses.max(1));
            let from = Ipv4Addr::from_bits(first + u32::try_from(place).unwrap_or_default());
            tasks.spawn(async move {
                loop {
                    // Whatever ends it, there is another after it.
                    let _ = plan.once(from).await;
                    tokio::time::sleep(plan.pause()).await;
                }
            });
        }
        // Ten thousand do not come in a moment; it has grown to its size when it grows no more.
        let mut before = 0;
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = held.load(Ordering::Relaxed);
            if now <= before + 10 {
                break;
            }
            before = now;
        }
        Self {
            held,
            _tasks: tasks,
        }
    }

    /// How many connections it holds now.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

/// Counts a connection for as long as it is held.
struct Held<'a>(&'a AtomicUsize);

impl<'a> Held<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Plan {
    /// Between one connection and the next, so that a crowd that is turned away is a crowd that
    /// comes back, and not one that only burns the processor that the gateway shares with it.
    fn pause(&self) -> Duration {
        match self.attack {
            Attack::Handshakes | Attack::Tokens => Duration::ZERO,
            _ => Duration::from_secs(5),
        }
    }

    async fn once(&self, from: Ipv4Addr) -> std::io::Result<()> {
        match self.attack {
            Attack::Silent => {
                let stream = connect(from, self.handset).await?;
                let _held = Held::new(&self.held);
                drip(stream, b"", b"").await
            }
            Attack::SlowHandshake => {
                let stream = connect(from, self.handset).await?;
                let _held = Held::new(&self.held);
                drip(stream, b"\x16\x03\x01\x02\x00\x01", b"\0").await
            }
            Attack::IdlePublic => self.tls(from, self.public, false, b"", b"").await,
            Attack::SlowHead => self.tls(from, self.public, false, HEAD, b"x").await,
            Attack::LargeHead => {
                let head = [HEAD, &[b'x'; 31 << 10]].concat();
                self.tls(from, self.public, false, &head, b"x").await
            }
            Attack::IdleEnrolled => self.tls(from, self.handset, true, b"", b"").await,
            Attack::SlowBody => self.tls(from, self.handset, true, BODY, b" ").await,
            Attack::Handshakes => {
                self.ask(from, self.handset, b"GET / HTTP/1.1\r\n\r\n")
                    .await
            }
            Attack::Tokens => self.ask(from, self.public, ENROL).await,
        }
    }

    /// Shakes hands, says `first`, and then `more` once a second until the server has had enough.
    async fn tls(
        &self,
        from: Ipv4Addr,
        to: SocketAddr,
        enrolled: bool,
        first: &[u8],
        more: &[u8],
    ) -> std::io::Result<()> {
        let config = if enrolled {
            &self.enrolled
        } else {
            &self.anonymous
        };
        let stream = connect(from, to).await?;
        let stream = TlsConnector::from(Arc::clone(config))
            .connect(to.ip().into(), stream)
            .await?;
        let _held = Held::new(&self.held);
        drip(stream, first, more).await
    }

    /// Shakes hands, asks, and reads what is answered.
    async fn ask(&self, from: Ipv4Addr, to: SocketAddr, request: &[u8]) -> std::io::Result<()> {
        let stream = connect(from, to).await?;
        let _held = Held::new(&self.held);
        let mut stream = TlsConnector::from(Arc::clone(&self.anonymous))
            .connect(to.ip().into(), stream)
            .await?;
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(())
    }
}

const HEAD: &[u8] = b"GET /log/checkpoint HTTP/1.1\r\nhost: x\r\nx-slow: ";

const BODY: &[u8] = b"POST /v1/records HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
    content-length: 4000000\r\n\r\n{";

const ENROL: &[u8] = b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nhost: x\r\n\
    authorization: Basic Y2FuZG91cjpndWVzcw==\r\ncontent-type: application/pkcs10\r\n\
    content-length: 4\r\nconnection: close\r\n\r\nAAAA";

/// Connects from a certain address.
pub(super) async fn connect(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    socket.connect(to).await
}

async fn drip<S>(stream: S, first: &[u8], more: &[u8]) -> std::io::Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite,
{
    let (mut read, mut write) = tokio::io::split(stream);
    write.write_all(first).await?;
    write.flush().await?;
    let speak = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            write.write_all(more).await?;
            write.flush().await?;
        }
    };
    let mut heard = [0; 256];
    let listen = async {
        while read.read(&mut heard).await? > 0 {}
        Ok(())
    };
    tokio::select! {
        ended = speak => ended,
        ended = listen => ended,
    }
}
