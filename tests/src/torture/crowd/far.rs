//! A slow network between the handsets and the gateway.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Passes on what handsets and gateway say to each other, a while later. Dropping it ends it.
pub(super) struct Far {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Far {
    /// A network on which everything takes so long, in each direction. The gateway sees each
    /// connection come `from` one of so many addresses.
    pub(super) async fn start(
        to: SocketAddr,
        takes: Duration,
        (from, addresses): (Ipv4Addr, u32),
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            for number in (0..addresses).cycle() {
                let Ok((near, _)) = listener.accept().await else {
                    break;
                };
                let from = Ipv4Addr::from_bits(from.to_bits() + number);
                // A connection that breaks is the business of those who speak through it.
                tokio::spawn(async move { between(near, from, to, takes).await.ok() });
            }
        });
        Ok(Self { address, task })
    }

    /// Where the gateway seems to be.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn between(
    near: TcpStream,
    from: Ipv4Addr,
    to: SocketAddr,
    takes: Duration,
) -> std::io::Result<()> {
    let far = super::attack::connect(from, to).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    // Whoever is cut off hears it, whatever the other side still says.
    tokio::select! {
        ended = pass(near_read, far_write, takes) => ended,
        ended = pass(far_read, near_write, takes) => ended,
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    takes: Duration,
) -> std::io::Result<()> {
    let mut heard = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut heard).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        sleep(takes).await;
        to.write_all(&heard[..length]).await?;
    }
}
