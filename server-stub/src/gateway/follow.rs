//! Following what other processes and time itself change: enrolments, policies, certificates,
//! stale uploads.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::Gateway;
use super::tls::{self, ServerCertificate};
use crate::problem::chain;

/// How soon a revocation on the command line shuts the door.
const EVERY: Duration = Duration::from_secs(1);

/// Rounds between looks at the server certificate's age: an hour.
const RENEWAL_ROUNDS: u64 = 3_600;

/// Rounds between discards of stale uploads: a day.
const DISCARD_ROUNDS: u64 = 86_400;

/// A phone that has not gone on with an upload for this long has forgotten it, or is gone.
const STALE: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Follows until `stop` turns true. What fails is logged once, and tried again each second.
pub(super) async fn follow(
    gateway: Gateway,
    certificate: Arc<ServerCertificate>,
    hosts: Vec<String>,
    mut stop: watch::Receiver<bool>,
) {
    let mut rounds: u64 = 0;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = Trouble::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let enrolments = gateway.enrolled.refresh(gateway.store.as_ref()).await;
        trouble.note("enrolments", enrolments.map_err(|error| chain(&error)));
        let renew = rounds.is_multiple_of(RENEWAL_ROUNDS);
        let (shared, files, hosts) = (gateway.clone(), Arc::clone(&certificate), hosts.clone());
        let followed = tokio::task::spawn_blocking(move || {
            follow_files(&shared, &files, renew.then_some(&hosts))
        });
        match followed.await {
            Ok([policies, certificate, disk]) => {
                trouble.note("policies", policies);
                trouble.note("certificate", certificate);
                trouble.note("disk", disk);
            }
            Err(error) => trouble.note("files", Err(error.to_string())),
        }
        if rounds.is_multiple_of(DISCARD_ROUNDS) {
            let before = gateway
                .clock
                .now()
                .checked_sub(STALE)
                .unwrap_or(jiff::Timestamp::MIN);
            let discarded = gateway.store.discard_stale_uploads(before).await;
            trouble.note(
                "uploads",
                discarded.map(drop).map_err(|error| chain(&error)),
            );
        }
        rounds = rounds.wrapping_add(1);
    }
}

fn follow_files(
    gateway: &Gateway,
    certificate: &ServerCertificate,
    hosts: Option<&Vec<String>>,
) -> [Result<(), String>; 3] {
    let policies = gateway.policies.refresh().map(|changed| {
        if changed {
            tracing::info!("the policies were taken over");
        }
    });
    let now = gateway.clock.now();
    let renewed = hosts.map_or(Ok(false), |hosts| {
        certificate.renew_if_due(&gateway.authority, hosts, now)
    });
    if hosts.is_some() && tls::ends_soon(certificate.not_after(), now) {
        tracing::warn!(not_after = %certificate.not_after(), "the server's certificate ends soon");
    }
    let certificate = renewed
        .and_then(|renewed| Ok(certificate.reload()? || renewed))
        .map(|changed| {
            if changed {
                tracing::info!("the server's new certificate was taken over");
            }
        });
    [
        policies.map_err(|error| chain(&error)),
        certificate.map_err(|error| chain(&error)),
        look_at_disk(gateway).map_err(|error| chain(&error)),
    ]
}

/// Looks how much room the disk has; says so when the reserve is reached and when it is left.
fn look_at_disk(gateway: &Gateway) -> std::io::Result<()> {
    let reserve = &gateway.limits.reserve;
    let had_room = reserve.has_room();
    let free = reserve.look()?;
    gateway.metrics.disk_free(free);
    match (had_room, reserve.has_room()) {
        (true, false) => tracing::error!(
            free_mib = free >> 20,
            "the disk's reserve is reached: no records and files are taken until there is room"
        ),
        (false, true) => tracing::info!("the disk has room again"),
        _ => {}
    }
    Ok(())
}

/// What is wrong at present, so that each trouble is logged when it comes and when it goes.
#[derive(Default)]
struct Trouble(std::collections::HashMap<&'static str, String>);

impl Trouble {
    fn note(&mut self, what: &'static str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => {
                if self.0.remove(what).is_some() {
                    tracing::info!(what, "can be followed again");
                }
            }
            Err(error) => {
                if self.0.insert(what, error.clone()).as_ref() != Some(&error) {
                    tracing::error!(
                        what,
                        error,
                        "cannot be followed; what was known stays in force"
                    );
                }
            }
        }
    }
}
