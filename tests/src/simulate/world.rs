//! The simulation of one seed: what happens next, and to whom.
//!
//! One thing happens at a time. A call of an agent goes on until it waits for the network; then
//! something else may come first, drawn by the seed. So there are no races to lose a failure in:
//! the same seed takes the same course.

use std::fmt::Arguments;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use candour_core::ports::{Request, Response, TransportError};
use candour_wire::policy::Policy;

use super::clock::Time;
use super::control::{Control, Rule};
use super::coverage::Coverage;
use super::disk::Condition;
use super::forger::Forger;
use super::history::History;
use super::item::Item;
use super::keys::PHONES_MAX;
use super::network::{Door, Outgoing};
use super::phone::{Done, Driven, Phone};
use super::profile::Profile;
use super::server::{DEPARTMENTS, Served, Site};
use super::{Outcome, Violation};

/// Everything there is in one seed.
pub(super) struct World {
    pub(super) rng: fastrand::Rng,
    pub(super) profile: Profile,
    pub(super) control: Option<Control>,
    pub(super) time: Time,
    pub(super) site: Site,
    pub(super) phones: Vec<Phone>,
    pub(super) items: Vec<Item>,
    pub(super) policies: Vec<Policy>,
    pub(super) strays: Vec<Stray>,
    pub(super) history: History,
    pub(super) met: Coverage,
    pub(super) calm: bool,
    /// The server's clock has gone back by more than a phone's log check tolerates.
    pub(super) server_went_back: bool,
    /// A phone's disk has lost a sealed file.
    pub(super) files_lost: bool,
    /// Somebody has put the server's clock.
    pub(super) server_clock_put: bool,
    pub(super) stray_batches: u64,
    pub(super) forger: Forger,
    seed: u64,
    trace: Vec<String>,
    pub(super) violations: Vec<Violation>,
}

/// A copy of a request that is still on its way, though nobody waits for its reply.
pub(super) struct Stray {
    outgoing: Outgoing,
    from: usize,
}

impl World {
    pub(super) async fn new(seed: u64, control: Option<Control>) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15);
        let profile = Profile::draw(&mut rng, control);
        let time = Time::begin();
        let forger = Forger::new();
        let site = Site::new(&time, control).await;
        let now = site.clock.shows();
        let count = profile.phones.min(PHONES_MAX);
        let phone = |slot| Phone::new(slot, &time, profile.small_outbox, control, &forger);
        let phones = (0..count).map(phone).collect();
        let policies = (0..DEPARTMENTS).map(|index| super::policies::first(index, now));
        Self {
            rng,
            control,
            policies: policies.collect(),
            phones,
            items: Vec::new(),
            strays: Vec::new(),
            history: History::default(),
            met: Coverage::default(),
            calm: false,
            server_went_back: false,
            server_clock_put: false,
            files_lost: false,
            stray_batches: 0,
            forger,
            seed,
            trace: Vec::new(),
            violations: Vec::new(),
            profile,
            time,
            site,
        }
    }

    /// Runs the seed to its end.
    pub(super) async fn run(mut self) -> Outcome {
        let profile = format!("{:?}", self.profile);
        self.say(format_args!("{profile}"));
        for _ in 0..self.profile.steps {
            self.step().await;
            if self.violations.len() > VIOLATIONS_MAX {
                break;
            }
        }
        self.settle_down().await;
        self.check().await;
        Outcome {
            seed: self.seed,
            violations: self.violations,
            trace: self.trace,
            coverage: self.met,
        }
    }

    /// Notes something for whoever reads the trace.
    pub(super) fn say(&mut self, what: Arguments<'_>) {
        let ms = self.time.ms() - Time::begin().ms();
        let line = format!("{:>12}.{:03} s  {what}", ms / 1000, ms % 1000);
        self.trace.push(line);
    }

    /// Notes that a rule is broken.
    pub(super) fn accuse(&mut self, rule: Rule, detail: String) {
        self.say(format_args!("!! {rule:?}: {detail}"));
        self.violations.push(Violation { rule, detail });
    }

    /// A text that is nowhere else.
    pub(super) fn label(&mut self) -> String {
        let number = self.items.len();
        format!("{}{:x}-{number}", super::history::PLANTED, self.seed)
    }

    pub(super) fn draw(&mut self, below: usize) -> usize {
        self.rng.usize(0..below.max(1))
    }

    pub(super) fn percent(&mut self, chance: u8) -> bool {
        self.rng.u8(0..100) < chance
    }

    /// Lets a phone's call go on until it waits again.
    pub(super) async fn drive(&mut self, p: usize) {
        match self.phones[p].drive().await {
            Driven::Waits => {}
            Driven::Stuck => self.accuse(Rule::ErrorsAreExplained, format!("phone {p} is stuck")),
            Driven::Done(done) => self.done(p, *done),
        }
        let slow = self.phones[p].keys.take_slow_signatures();
        self.met.add("agent: key slow", slow);
        self.look_after(p);
    }

    fn done(&mut self, p: usize, done: Done) {
        let failed = self.phones[p].disk.condition() != Condition::Well;
        let result = match done {
            Done::Enrol(Ok(enrolment)) => {
                self.phones[p].token = None;
                Ok(format!("enrolled, policy {:?}", enrolment.policy))
            }
            Done::Sync(Ok(report)) => Ok(self.note_sync(&report)),
            Done::Tick(Ok(tick)) => {
                let scan = tick.scan.and_then(|scan| scan.queued);
                let sync = tick.sync.map(|report| self.note_sync(&report));
                Ok(format!("tick: scan {scan:?}, {}", sync.unwrap_or_default()))
            }
            Done::Enrol(Err(error)) | Done::Sync(Err(error)) | Done::Tick(Err(error)) => Err(error),
        };
        match result {
            Ok(what) => self.say(format_args!("phone {p}: {what}")),
            Err(error) => {
                let code = error.code();
                self.say(format_args!("phone {p}: failed with {code}"));
                if !failed && !super::item::explained(code) {
                    let detail = format!("phone {p}: {code}: {error}");
                    self.accuse(Rule::ErrorsAreExplained, detail);
                }
            }
        }
        let version = self.phones[p]
            .agent
            .as_ref()
            .and_then(|agent| agent.policy());
        let version = version.map_or(0, |policy| policy.version);
        let before = std::mem::replace(&mut self.phones[p].policy, version);
        if version < before {
            let detail = format!("phone {p}: policy {version} after {before}");
            self.accuse(Rule::ErrorsAreExplained, detail);
        }
    }

    fn note_sync(&mut self, report: &candour_core::sync::SyncReport) -> String {
        if matches!(
            report.renewal,
            candour_core::sync::RenewalOutcome::Renewed(_)
        ) {
            self.met.hit("path: certificate renewed");
        }
        let failure = report.failure.as_ref().map(|failure| failure.code);
        if failure == Some(candour_wire::Code::CertificateExpired) {
            self.met.hit("path: certificate expired");
        }
        let set_aside: Vec<&str> = report.quarantined.iter().map(|r| r.code.as_str()).collect();
        let failure = failure.map_or("all done", candour_wire::Code::as_str);
        format!(
            "synced {} ({failure}), set aside {set_aside:?}",
            report.received
        )
    }

    /// Ends the process whose disk has failed or that has died at a write.
    pub(super) fn look_after(&mut self, p: usize) {
        match self.phones[p].disk.condition() {
            Condition::Well => {}
            // The app shows that it failed, and is started again.
            Condition::StoreFailed if self.phones[p].is_busy() => {}
            Condition::StoreFailed => self.end_process(p, "its store failed"),
            Condition::Dead => self.end_process(p, "it died at a write"),
        }
        let met = self.phones[p].disk.take_met();
        self.met.merge(&met);
    }

    pub(super) fn end_process(&mut self, p: usize, why: &str) {
        self.say(format_args!("phone {p}: the process ends: {why}"));
        let under_way = self.phones[p].end();
        if let Some(flight) = under_way
            && flight.reply.is_none()
            && self.profile.late
            && self.rng.bool()
        {
            self.stray(p, &flight.outgoing);
        }
        self.holder_wonders(p);
    }

    /// Leaves a copy of a request on its way.
    pub(super) fn stray(&mut self, from: usize, outgoing: &Outgoing) {
        let (answer, _nobody) = tokio::sync::oneshot::channel();
        let outgoing = Outgoing {
            door: outgoing.door.clone(),
            request: outgoing.request.clone(),
            connection: Arc::new(AtomicU64::new(outgoing.connection.load(Ordering::SeqCst))),
            answer,
        };
        self.strays.push(Stray { outgoing, from });
    }

    /// Delivers a request that nobody waits for any more.
    pub(super) async fn deliver_stray(&mut self) {
        if self.strays.is_empty() {
            return;
        }
        let chosen = self.draw(self.strays.len());
        let Stray { outgoing, from } = self.strays.swap_remove(chosen);
        if !self.site.can_deliver(&outgoing) {
            return;
        }
        let path = outgoing.request.path.clone();
        self.say(format_args!(
            "a late copy arrives of phone {from}'s {}",
            Self::name(&outgoing)
        ));
        self.stray_batches += u64::from(path == "/v1/records" || path == "/v1/posture");
        let _ = self.serve(&outgoing, None).await;
    }

    /// Lets the gateway answer, writes down what passed, and buries it if it died.
    pub(super) async fn serve(
        &mut self,
        outgoing: &Outgoing,
        cut: Option<usize>,
    ) -> Result<Response, TransportError> {
        if let Some(forged) = self.forged(&outgoing.request) {
            return Ok(forged);
        }
        let served = self.site.serve(outgoing, cut).await;
        let met = self.site.hooks.take_met();
        self.met.merge(&met);
        match served {
            Served::Reply(mut reply) => {
                if cut.is_none() {
                    self.history.note(&outgoing.request, &reply, &mut self.met);
                }
                // The gateway draws it by itself; drawn here the seed takes the same course.
                let asked = self.rng.u8(15..79).to_string();
                for (name, value) in &mut reply.headers {
                    if name == "retry-after" {
                        value.clone_from(&asked);
                    }
                }
                if self.site.hooks.has_failed() {
                    self.say(format_args!("server: its store has failed, so it ends"));
                    self.crash_server();
                }
                Ok(reply)
            }
            Served::Died => {
                self.say(format_args!(
                    "server: it died over {}",
                    Self::name(outgoing)
                ));
                self.crash_server();
                Err(TransportError::Unreachable("cut off".to_owned()))
            }
            Served::Refused(error) => {
                if matches!(error, TransportError::ClientCertificateRevoked) {
                    self.met.hit("path: refused by standing");
                }
                Err(error)
            }
        }
    }

    /// The gateway's machine loses everything that was not committed.
    pub(super) fn crash_server(&mut self) {
        let torn = self.rng.bool();
        let torn = self.site.crash(torn);
        self.met
            .add("server: a piece half written at a crash", torn);
    }

    fn forged(&mut self, request: &Request) -> Option<Response> {
        if self.control != Some(Control::ReceiptsForged) {
            return None;
        }
        self.forger.answer(request, self.site.clock.shows())
    }

    /// A request's name, for the trace.
    pub(super) fn name(outgoing: &Outgoing) -> String {
        let door = match outgoing.door {
            Door::Public => "public ",
            Door::Handset(_) => "",
        };
        let path = match outgoing.request.path.strip_prefix("/v1/attachments/") {
            // The name of a file is a digest of what a random key has sealed.
            Some(_) => "/v1/attachments/…",
            None => &outgoing.request.path,
        };
        format!("{:?} {door}{path}", outgoing.request.method)
    }
}

/// After so many the rest follows from the first.
const VIOLATIONS_MAX: usize = 5;
