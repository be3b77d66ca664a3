//! `candour run`: stay up, scan and send when due.
//!
//! The agent is opened for each turn and let go between them, so that the holder can declare
//! while this runs. A turn that fails is told and tried again; only a wrong configuration ends it.

use std::sync::Arc;
use std::time::Duration;

use candour_core::{Agent, AgentError};
use candour_wire::Code;
use jiff::{SignedDuration, Timestamp};
use tokio::signal::unix::{SignalKind, signal};

use super::{Context, block_on};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out;
use crate::progress::Quiet;

/// Shortest pause between turns: a fault that repeats at once must not spin.
const PAUSE_MIN: Duration = Duration::from_secs(30);

/// Longest pause: what was declared meanwhile goes out within this time, and a clock that was set
/// forward does not delay it by more.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);

/// Pause when another process has the store.
const PAUSE_BUSY: Duration = Duration::from_secs(5);

pub(super) fn run(context: &mut Context<'_>) -> Result<Exit, Failure> {
    // A wrong configuration will not mend itself: say so at once.
    drop(crate::settings::config(&context.global)?);
    block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        loop {
            let turn = turn(context);
            let pause = tokio::select! {
                // A turn is not cut short where it has begun to send; dropping it repeats work at
                // the next start and loses nothing (invariant I4).
                pause = turn => pause?,
                _ = terminate.recv() => return Ok(Exit::Done),
                _ = interrupt.recv() => return Ok(Exit::Done),
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = terminate.recv() => return Ok(Exit::Done),
                _ = interrupt.recv() => return Ok(Exit::Done),
            }
        }
    })
}

async fn turn(context: &Context<'_>) -> Result<Duration, Failure> {
    match take_turn(context).await {
        Ok(pause) => Ok(pause),
        Err(failure) if failure.code() == Code::StoreBusy => Ok(PAUSE_BUSY),
        Err(failure) if failure.code() == Code::ConfigInvalid => Err(failure),
        Err(failure) => {
            for line in failure.lines() {
                out::note(&line);
            }
            Ok(PAUSE_MAX)
        }
    }
}

async fn take_turn(context: &Context<'_>) -> Result<Duration, Failure> {
    let config = crate::settings::config(&context.global)?;
    let home = crate::settings::home(&context.global)?;
    let platform = (context.platform)(&home, Arc::new(Quiet)).map_err(AgentError::from)?;
    let clock = Arc::clone(&platform.clock);
    let tick = Agent::open(config, platform)?.tick(None).await?;
    Ok(pause_until(clock.now(), tick.next))
}

fn pause_until(now: Timestamp, due: Timestamp) -> Duration {
    let wait: SignedDuration = due.duration_since(now);
    Duration::try_from(wait)
        .unwrap_or(PAUSE_MIN)
        .clamp(PAUSE_MIN, PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_is_never_so_short_as_to_spin_or_so_long_as_to_forget() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let after = |seconds: i64| pause_until(now, now + SignedDuration::from_secs(seconds));
        assert_eq!(after(-3_600), PAUSE_MIN);
        assert_eq!(after(0), PAUSE_MIN);
        assert_eq!(after(60), Duration::from_secs(60));
        assert_eq!(after(86_400), PAUSE_MAX);
    }
}
