//! Waiting for what takes its time.

use std::future::Future;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long anything may take on a busy machine before a test gives up.
pub const DEADLINE: Duration = Duration::from_secs(60);

const BETWEEN: Duration = Duration::from_millis(20);

/// Asks again until there is an answer, and returns it.
///
/// # Panics
///
/// When there is none within [`DEADLINE`]; `what` says what was waited for.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        let mut ticks = interval(BETWEEN);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    within(what, asking).await
}

/// Waits for a future.
///
/// # Panics
///
/// When it is not done within [`DEADLINE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(DEADLINE, future).await {
        Ok(answer) => answer,
        Err(_) => panic!("{what}: not within {} s", DEADLINE.as_secs()),
    }
}
