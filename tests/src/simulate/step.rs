//! What happens next.

use candour_server::gateway::token_digest;
use candour_server::store::{NewToken, Reason, ReinstateOutcome, RevokeOutcome, Store as _};
use candour_wire::posture::Presence;
use jiff::SignedDuration;

use super::disk::DiskFault;
use super::policies::APPS;
use super::server::department;
use super::store::ServerFault;
use super::world::World;

/// Something that may happen.
#[derive(Debug, Clone, Copy)]
enum Next {
    Deliver,
    Stray,
    Holder,
    Tick,
    Sync,
    Scan,
    Apps,
    Wait,
    AgentCrash,
    AgentDisk,
    AgentFull,
    FileLost,
    Key,
    HandsetClock,
    ServerClock,
    ServerCrash,
    ServerRestart,
    ServerFault,
    ServerFull,
    Standing,
    Policy,
    Follow,
    Uploads,
}

const DAY_MS: i64 = 24 * 3600 * 1000;

impl World {
    pub(super) async fn step(&mut self) {
        self.time.advance(i64::from(self.rng.u16(1..400)));
        let p = self.draw(self.phones.len());
        match self.next() {
            Next::Deliver => self.deliver_any().await,
            Next::Stray => self.deliver_stray().await,
            Next::Holder => self.holder_acts(p),
            Next::Tick => self.tick(p).await,
            Next::Sync => self.sync(p).await,
            Next::Scan => self.scan(p),
            Next::Apps => self.change_apps(p),
            Next::Wait => self.wait(),
            Next::AgentCrash => self.crash_agent(p),
            Next::AgentDisk => self.arm_disk(p),
            Next::AgentFull => {
                let full = !self.phones[p].disk.is_full();
                self.say(format_args!("phone {p}: disk full: {full}"));
                self.phones[p].disk.set_full(full);
            }
            Next::FileLost => self.lose_file(p),
            Next::Key => self.change_key(p),
            Next::HandsetClock => self.put_handset_clock(p),
            Next::ServerClock => self.put_server_clock(),
            Next::ServerCrash => {
                self.met.add(
                    "server: crash between requests",
                    self.site.is_running().into(),
                );
                self.say(format_args!("server: killed"));
                self.crash_server();
            }
            Next::ServerRestart => self.restart_server().await,
            Next::ServerFault => self.arm_server(),
            Next::ServerFull => {
                let full = self.rng.bool();
                self.say(format_args!("server: disk full: {full}"));
                self.site.hooks.set_full(full);
            }
            Next::Standing => self.change_standing(p).await,
            Next::Policy => self.issue_policy(p),
            Next::Follow => {
                self.site.follow_enrolment().await;
                self.site.follow_policies();
            }
            Next::Uploads => self.discard_uploads().await,
        }
    }

    fn next(&mut self) -> Next {
        let on = |is: bool, weight: usize| if is { weight } else { 0 };
        let flights = self
            .phones
            .iter()
            .filter(|phone| phone.flight.is_some())
            .count();
        let profile = &self.profile;
        let weighted = [
            (Next::Deliver, 40 * flights),
            (Next::Stray, on(!self.strays.is_empty(), 10)),
            (Next::Holder, 30),
            (Next::Tick, 14),
            (Next::Sync, 10),
            (Next::Scan, 3),
            (Next::Apps, 4),
            (Next::Wait, 8),
            (Next::AgentCrash, on(profile.agent_crashes, 4)),
            (
                Next::AgentDisk,
                on(profile.agent_crashes || profile.agent_disk, 10),
            ),
            (Next::AgentFull, on(profile.agent_disk, 3)),
            (Next::FileLost, on(profile.files_lost, 3)),
            (Next::Key, on(profile.keys, 4)),
            (Next::HandsetClock, on(profile.clocks, 3)),
            (Next::ServerClock, on(profile.clocks, 2)),
            (Next::ServerCrash, on(profile.server_crashes, 3)),
            (
                Next::ServerRestart,
                on(profile.server_crashes || !self.site.is_running(), 6),
            ),
            (
                Next::ServerFault,
                on(profile.server_crashes || profile.server_store, 8),
            ),
            (Next::ServerFull, on(profile.server_store, 2)),
            (Next::Standing, on(profile.operator, 3)),
            (Next::Policy, on(profile.operator, 2)),
            (Next::Follow, 4),
            (Next::Uploads, 1),
        ];
        let all: usize = weighted.iter().map(|(_, weight)| weight).sum();
        let mut at = self.draw(all);
        for (next, weight) in weighted {
            if at < weight {
                return next;
            }
            at -= weight;
        }
        Next::Wait
    }

    pub(super) async fn tick(&mut self, p: usize) {
        if self.phones[p].is_busy() || !self.be_open(p) || self.enrol_if_needed(p).await {
            return;
        }
        self.phones[p].begin_tick();
        self.drive(p).await;
    }

    async fn sync(&mut self, p: usize) {
        if self.phones[p].is_busy() || !self.be_open(p) || self.enrol_if_needed(p).await {
            return;
        }
        self.phones[p].begin_sync();
        self.drive(p).await;
    }

    /// Begins an enrolment where the phone has no certificate that works; the device management
    /// pushes another token where the last one is of no use.
    pub(super) async fn enrol_if_needed(&mut self, p: usize) -> bool {
        let now = self.site.clock.shows();
        let phone = &self.phones[p];
        // What the phone itself has found out: the people who push tokens know no more.
        let status = phone.agent.as_ref().and_then(|agent| agent.status().ok());
        let refused = status
            .and_then(|status| status.last_failure)
            .is_some_and(|failure| {
                matches!(
                    failure.code.as_str(),
                    "certificate_expired" | "certificate_refused"
                )
            });
        if phone.identity().is_some() && !refused || phone.rows_when_revoked.is_some() {
            return false;
        }
        if phone.identity().is_some() {
            self.met.hit("operator: token for another enrolment");
        }
        let Some(store) = self.site.store().cloned() else {
            return false;
        };
        let token = format!("token-{p}-{}", self.rng.u64(..));
        let new = NewToken {
            hash: token_digest(&token.as_str().into()),
            department: department(self.phones[p].department),
            label: None,
            created: now,
            expires: now + SignedDuration::from_hours(7 * 24),
        };
        let reused = match &self.phones[p].token {
            // The same token, as long as it may do.
            Some(token) if self.rng.bool() => Some(token.clone()),
            _ => None,
        };
        let token = match reused {
            Some(token) => token,
            None => {
                store.put_token(new).await.expect("the store takes a token");
                token
            }
        };
        self.phones[p].token = Some(token.clone());
        self.say(format_args!("phone {p}: begins to enrol"));
        self.phones[p].begin_enrol(&token);
        self.drive(p).await;
        true
    }

    fn change_apps(&mut self, p: usize) {
        let app = APPS[self.draw(APPS.len())];
        let states = [
            Presence::Installed,
            Presence::Installed,
            Presence::Absent,
            Presence::Unknown,
        ];
        let state = states[self.draw(states.len())];
        self.say(format_args!("phone {p}: {app} is {}", state.as_str()));
        self.phones[p]
            .truth
            .set(app.parse().expect("a valid id"), state);
        if self.percent(20) {
            self.phones[p].truth.update_system();
        }
    }

    fn wait(&mut self) {
        let seconds = match self.rng.u8(0..10) {
            0..4 => self.rng.i64(1..120),
            4..8 => self.rng.i64(120..8 * 3600),
            8 => self.rng.i64(8 * 3600..4 * 86_400),
            // Past the renewal of every certificate, or past its end.
            _ => [24 * 86_400, 40 * 86_400][self.draw(2)],
        };
        self.say(format_args!("{seconds} s pass"));
        self.time.advance(seconds * 1000);
    }

    fn crash_agent(&mut self, p: usize) {
        if self.phones[p].agent.is_none() {
            return;
        }
        let under_way = self.phones[p].flight.is_some();
        self.met.hit(if under_way {
            "agent: crash with a request under way"
        } else {
            "agent: crash between steps"
        });
        self.phones[p].disk.kill();
        self.end_process(p, "killed");
    }

    fn arm_disk(&mut self, p: usize) {
        let mut faults = Vec::new();
        if self.profile.agent_crashes {
            faults.extend([DiskFault::CrashBefore, DiskFault::CrashAfter]);
        }
        if self.profile.agent_disk {
            faults.extend([DiskFault::Full, DiskFault::FailBefore, DiskFault::FailAfter]);
        }
        let (fault, after) = (faults[self.draw(faults.len())], self.rng.u64(0..8));
        self.say(format_args!(
            "phone {p}: {fault:?} at write {after} from now"
        ));
        self.phones[p].disk.arm(after, fault);
    }

    fn lose_file(&mut self, p: usize) {
        let at = self.draw(3);
        if self.phones[p].disk.lose_file(at) {
            self.met.hit("agent: a sealed file lost");
            self.say(format_args!("phone {p}: a sealed file is lost"));
            self.files_lost = true;
        }
    }

    fn change_key(&mut self, p: usize) {
        if self.rng.bool() {
            let locked = !self.phones[p].keys.is_locked();
            self.say(format_args!("phone {p}: key locked: {locked}"));
            self.phones[p].keys.set_locked(locked);
            if locked {
                self.met.hit("agent: key locked");
            }
        } else {
            let ms = [0, 300, 5_000, 90_000][self.draw(4)];
            self.say(format_args!("phone {p}: a signature takes {ms} ms"));
            self.phones[p].keys.set_slow_ms(ms);
        }
    }

    fn put_handset_clock(&mut self, p: usize) {
        let (what, most) = [
            ("clock: handset by minutes", 3600 * 1000),
            ("clock: handset by days", 40 * DAY_MS),
            ("clock: handset by years", 3650 * DAY_MS),
        ][self.draw(3)];
        self.met.hit(what);
        let offset = if self.percent(40) {
            0
        } else {
            self.rng.i64(-most..most)
        };
        self.say(format_args!(
            "phone {p}: its clock is {} s off",
            offset / 1000
        ));
        self.phones[p].clock.set_offset_ms(offset);
    }

    fn put_server_clock(&mut self) {
        self.met.hit("clock: server");
        let most = [60_000, 3600 * 1000, 40 * DAY_MS][self.draw(3)];
        let offset = if self.percent(40) {
            0
        } else {
            self.rng.i64(-most..most)
        };
        if offset < self.site.clock.offset_ms() {
            self.server_went_back = true;
        }
        self.server_clock_put = true;
        self.say(format_args!("server: its clock is {} s off", offset / 1000));
        self.site.clock.set_offset_ms(offset);
    }

    async fn restart_server(&mut self) {
        if self.site.is_running() {
            self.met.hit("server: stopped and started");
            self.site.stop().await;
        }
        self.say(format_args!("server: starts"));
        self.site.start().await;
    }

    fn arm_server(&mut self) {
        let mut faults = Vec::new();
        if self.profile.server_crashes {
            faults.extend([ServerFault::CrashBefore, ServerFault::CrashAfter]);
        }
        if self.profile.server_store {
            faults.extend([ServerFault::FailAfter, ServerFault::Busy, ServerFault::Full]);
        }
        let (fault, after) = (faults[self.draw(faults.len())], self.rng.u64(0..4));
        self.say(format_args!("server: {fault:?} at write {after} from now"));
        self.site.hooks.arm(after, fault);
    }

    pub(super) async fn change_standing(&mut self, p: usize) {
        let (now, handset) = (self.site.clock.shows(), self.phones[p].handset());
        let Some(store) = self.site.store().cloned() else {
            return;
        };
        let reason = Reason::new("the simulation").expect("a reason");
        if let Some(rows) = self.phones[p].rows_when_revoked {
            self.check_standing(p, rows);
            let done = store.reinstate(&handset, reason, now).await;
            if done.expect("the store can be written") == ReinstateOutcome::Reinstated {
                self.met.hit("operator: reinstated");
                self.say(format_args!("phone {p}: reinstated"));
            }
            self.phones[p].rows_when_revoked = None;
        } else {
            let done = store.revoke(&handset, reason, now).await;
            if done.expect("the store can be written") == RevokeOutcome::Revoked {
                self.met.hit("operator: revoked");
                self.say(format_args!("phone {p}: revoked"));
                self.phones[p].rows_when_revoked = Some(self.rows_of(p));
            }
        }
        // Within a second the gateway follows; or not yet.
        if self.calm || self.rng.bool() {
            self.site.follow_enrolment().await;
        }
    }

    fn issue_policy(&mut self, p: usize) {
        let index = self.phones[p].department;
        let next = super::policies::next(&self.policies[index], index, &mut self.rng);
        self.site.issue(&next);
        self.met.hit("operator: policy issued");
        self.say(format_args!(
            "operator: policy {} of department {index}",
            next.version
        ));
        self.policies[index] = next;
        if self.rng.bool() {
            self.site.follow_policies();
        }
    }

    async fn discard_uploads(&mut self) {
        let before = self.site.clock.shows() - SignedDuration::from_hours(24);
        if let Some(store) = self.site.store() {
            let done = store.discard_stale_uploads(before).await;
            self.met
                .add("operator: uploads discarded", done.unwrap_or(0));
        }
    }
}
