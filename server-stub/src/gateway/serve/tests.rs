use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::*;
use crate::clock::{Clock as _, SystemClock};
use crate::config::Sources;
use crate::files;
use crate::gateway::testing::World;

fn config(more: &[(&str, &str)]) -> Config {
    let file = "public_url = \"https://localhost\"\nhandset_url = \"https://localhost\"\n\
        hosts = [\"localhost\"]\nlog_origin = \"x/log\"\npublic_listen = \"127.0.0.1:0\"\n\
        handset_listen = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\n";
    let flags: Vec<_> = more
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    Config::load(&Sources {
        file,
        environment: &[],
        flags: &flags,
    })
    .unwrap()
}

fn certificate(world: &World, dir: &tempfile::TempDir) -> Arc<ServerCertificate> {
    let path = dir.path().join("server.pem");
    let text = world
        .gateway
        .authority
        .issue_server(&["localhost".to_owned()], SystemClock.now())
        .unwrap();
    files::create_secret(&path, &text).unwrap();
    Arc::new(ServerCertificate::open(path).unwrap())
}

#[tokio::test]
async fn a_stop_closes_idle_connections_and_finishes_the_request_that_was_taken() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let (config, certificate) = (config(&[]), certificate(&world, &dir));
    let (tell_bound, bound) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let ready = |bound: &Bound| tell_bound.send(*bound).unwrap();
    let stopped = async { stopped.await.unwrap() };
    let served = serve(world.gateway.clone(), &config, certificate, ready, stopped);
    let client = async {
        let bound = bound.await.unwrap();
        let mut idle = TcpStream::connect(bound.ops).await.unwrap();
        idle.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut first = [0; 12];
        idle.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        // A handshake that never comes does not hold up the stop either.
        let mut silent = TcpStream::connect(bound.handset).await.unwrap();
        stop.send(()).unwrap();
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).await.unwrap();
        assert!(rest.ends_with(b"ok\n"));
        // It may end cleanly or be reset; it must end.
        let _ = silent.read_to_end(&mut rest).await;
        bound
    };
    let (served, bound) = tokio::join!(served, client);
    served.unwrap();
    assert!(
        TcpStream::connect(bound.ops).await.is_err(),
        "nobody listens any more"
    );
    assert!(
        world.gateway.store.figures().await.is_err(),
        "the store is closed"
    );
}

#[tokio::test]
async fn a_store_that_has_failed_ends_the_server_with_an_error() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let (config, certificate) = (config(&[]), certificate(&world, &dir));
    let (tell_bound, bound) = oneshot::channel();
    let ready = |bound: &Bound| tell_bound.send(*bound).unwrap();
    let never = std::future::pending();
    let served = serve(world.gateway.clone(), &config, certificate, ready, never);
    let failing = async {
        bound.await.unwrap();
        world.store.fail_a_sync().await;
    };
    let (served, ()) = tokio::join!(served, failing);
    assert!(matches!(served, Err(ServeError::Store(StoreError::Failed))));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = config(&[("handset_listen", &address)]);
    let outcome = serve(
        world.gateway.clone(),
        &config,
        certificate(&world, &dir),
        |_| {},
        async {},
    )
    .await;
    assert!(matches!(outcome, Err(ServeError::Bind(bound, _)) if bound.to_string() == address));
}
