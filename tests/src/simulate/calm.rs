//! The faults stop, and everything comes to rest.

use jiff::Timestamp;

use super::control::{Control, Rule};
use super::world::World;

/// Rounds in which every phone is woken as often as it asks to be. With waits of up to six hours
/// after failures this is more than a week.
const ROUNDS_MAX: usize = 80;

const HOUR_MS: i64 = 3600 * 1000;

impl World {
    pub(super) async fn settle_down(&mut self) {
        self.say(format_args!("--- the faults stop"));
        self.calm = true;
        self.site.hooks.calm();
        for p in 0..self.phones.len() {
            self.phones[p].disk.calm();
            self.phones[p].keys.set_locked(false);
            self.phones[p].keys.set_slow_ms(0);
            if self.rng.bool() {
                self.phones[p].clock.set_offset_ms(0);
            }
        }
        if self.site.hooks.has_failed() || self.site.hooks.is_dead() {
            self.crash_server();
        }
        self.site.start().await;
        self.site.follow_enrolment().await;
        self.site.follow_policies();
        for p in 0..self.phones.len() {
            if self.phones[p].rows_when_revoked.is_some() && self.percent(70) {
                self.change_standing(p).await;
            }
        }
        for round in 0..ROUNDS_MAX {
            self.deliver_stray().await;
            let mut wake = self.time.ms() + 12 * HOUR_MS;
            for p in 0..self.phones.len() {
                self.finish_what_is_under_way(p).await;
                wake = wake.min(self.round(p, round).await);
            }
            if self.strays.is_empty() && round > 2 && self.all_at_rest() {
                self.say(format_args!("--- at rest after {round} rounds"));
                return;
            }
            let now = self.time.ms();
            self.time.advance((wake - now).clamp(1_000, 12 * HOUR_MS));
        }
        for p in 0..self.phones.len() {
            if let Some((rule, why)) = self.restless(p) {
                self.accuse(rule, format!("phone {p}: {why}"));
            }
        }
    }

    async fn finish_what_is_under_way(&mut self, p: usize) {
        while self.phones[p].is_busy() {
            if self.phones[p].flight.is_some() {
                self.deliver(p).await;
            } else {
                self.drive(p).await;
            }
        }
    }

    /// Wakes a phone once; says when it wants to be woken again, in true time.
    async fn round(&mut self, p: usize, round: usize) -> i64 {
        let soon = self.time.ms() + 60_000;
        if !self.be_open(p) {
            return soon;
        }
        let revoked = self.phones[p].rows_when_revoked.is_some();
        if revoked && self.phones[p].identity().is_none() {
            return self.time.ms() + 12 * HOUR_MS;
        }
        self.holder_looks(p);
        if round == 0 {
            // What cannot be sent must not be sent again for ever.
            self.requeue(p);
        }
        if self.control == Some(Control::NeverConnected) {
            return soon;
        }
        if !self.enrol_if_needed(p).await {
            self.tick(p).await;
        }
        self.finish_what_is_under_way(p).await;
        let next = self.phones[p].agent.as_ref().and_then(|agent| {
            let status = agent.status().ok()?;
            status.next_sync
        });
        next.map_or(soon, |next| {
            let shown = self.phones[p].clock.shows();
            self.time.ms() + ms(next) - ms(shown)
        })
    }

    fn all_at_rest(&self) -> bool {
        (0..self.phones.len()).all(|p| self.restless(p).is_none())
    }

    /// Why a phone is not at rest.
    fn restless(&self, p: usize) -> Option<(Rule, String)> {
        let phone = &self.phones[p];
        if phone.rows_when_revoked.is_some() {
            return None;
        }
        let drains = |why: String| Some((Rule::QueueDrains, why));
        let Some(agent) = &phone.agent else {
            return drains("it does not open".to_owned());
        };
        let status = match agent.status() {
            Ok(status) => status,
            Err(error) => return drains(format!("no status: {error}")),
        };
        let waits = status.pending_posture + status.pending_records;
        let newest = self.policies[phone.department].version;
        if status.handset.is_none() {
            drains("it is not enrolled".to_owned())
        } else if waits > 0 {
            let why = status.last_failure.map(|failure| failure.code);
            drains(format!("{waits} records wait: {why:?}"))
        } else if status.policy != Some(newest) {
            drains(format!("policy {:?} instead of {newest}", status.policy))
        } else if let Some(failure) = status.last_failure {
            drains(format!("the last sync failed: {}", failure.code))
        } else {
            let unlike = self.unlike_the_truth(p)?;
            Some((Rule::PostureConverges, unlike))
        }
    }
}

fn ms(time: Timestamp) -> i64 {
    time.as_millisecond()
}
