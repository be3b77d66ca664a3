//! Step 7: simulated handsets. Each has keys of its own, enrols over EST and delivers over mutual
//! TLS like any other; only its store is in memory and its answers about apps are made up.

use std::path::Path;
use std::sync::Arc;

use candour_core::adapters::clock::SystemClock;
use candour_core::adapters::https::HttpsConnector;
use candour_core::adapters::memory::MemoryKeys;
use candour_core::adapters::memory_home::MemoryHome;
use candour_core::agent::Agent;
use candour_core::config::Config;
use candour_core::ports::Clock;
use candour_core::ports::Platform;
use candour_wire::Code;
use candour_wire::content::Text;
use futures_util::StreamExt as _;

use super::fleet_probe::SimulatedProbe;
use super::server::Server;
use super::{DemoError, shares};
use crate::failure::Failure;
use crate::progress::{Quiet, bar};

/// Handsets at work at the same time: enough to keep a few cores busy with handshakes.
const AT_ONCE: usize = 16;

/// Enrols `total` simulated handsets and has each scan and deliver.
///
/// # Errors
///
/// When one of them fails.
pub(super) async fn enrol(
    server: &Server,
    data: &Path,
    config: &Config,
    total: u32,
) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut work = Vec::new();
    for (department, (id, share)) in shares(total).into_iter().enumerate() {
        let tokens = server.tokens(data, id.as_str(), share)?;
        // This machine is the first department's further handset.
        let of = if department == 0 { share + 1 } else { share };
        for (place, token) in (0_u32..).zip(tokens) {
            let config = Config {
                department: id.clone(),
                ..config.clone()
            };
            let probe = SimulatedProbe {
                department,
                place,
                simulated: share,
                of,
            };
            work.push(handset(config, probe, token, Arc::clone(&clock)));
        }
    }
    let handsets = work.len();
    let progress = bar("Enrolling and reporting", handsets as u64);
    let mut failures = Vec::new();
    let mut outcomes =
        futures_util::stream::iter(work.into_iter().map(tokio::spawn)).buffer_unordered(AT_ONCE);
    while let Some(outcome) = outcomes.next().await {
        progress.inc(1);
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(code)) => failures.push(code),
            Err(_) => failures.push(Code::Internal),
        }
    }
    progress.finish_and_clear();
    match failures.first() {
        None => Ok(()),
        Some(first) => Err(DemoError::Fleet {
            failed: failures.len(),
            handsets,
            first: *first,
        }
        .into()),
    }
}

async fn handset(
    config: Config,
    probe: SimulatedProbe,
    token: Text,
    clock: Arc<dyn Clock>,
) -> Result<(), Code> {
    let platform = Platform {
        home: Arc::new(MemoryHome::new()),
        clock: Arc::clone(&clock),
        keys: Arc::new(MemoryKeys::new()),
        probe: Arc::new(probe),
        connector: Arc::new(HttpsConnector::new(clock)),
        events: Arc::new(Quiet),
    };
    let agent = Agent::open(config, platform).map_err(|error| error.code())?;
    agent.enrol(token).await.map_err(|error| error.code())?;
    agent.scan().map_err(|error| error.code())?;
    let report = agent.sync().await.map_err(|error| error.code())?;
    match (report.failure, report.received) {
        (Some(failure), _) => Err(failure.code),
        (None, 0) => Err(Code::BadReply),
        (None, _) => Ok(()),
    }
}
