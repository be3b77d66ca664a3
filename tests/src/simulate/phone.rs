//! A phone: its disk, keys and clock, and the agent while its process lives.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use candour_core::agent::{Enrolment, Tick};
use candour_core::identity::Identity;
use candour_core::outbox::Limits;
use candour_core::ports::{Document, Event, EventSink, Platform};
use candour_core::sync::SyncReport;
use candour_core::sync::backoff::Jitter;
use candour_core::{Agent, AgentError, Config};
use candour_wire::{HandsetId, Sensitive};

use super::clock::{Time, WallClock};
use super::control::Control;
use super::disk::{Disk, SimHome};
use super::forger::Forger;
use super::keys::SimKeys;
use super::network::{Mailbox, Outgoing, SimConnector};
use super::probe::Truth;
use super::server::{KEYS, department};

/// A phone and what is known of it.
pub(super) struct Phone {
    pub(super) department: usize,
    pub(super) disk: Disk,
    pub(super) keys: Arc<SimKeys>,
    pub(super) clock: Arc<WallClock>,
    pub(super) truth: Arc<Truth>,
    pub(super) agent: Option<Arc<Agent>>,
    pub(super) flight: Option<Flight>,
    /// What the device management pushed last.
    pub(super) token: Option<String>,
    /// How many of its records the gateway had when it was revoked.
    pub(super) rows_when_revoked: Option<u64>,
    /// Version of the policy that it had last.
    pub(super) policy: u64,
    config: Config,
    mailbox: Mailbox,
    running: Option<Running>,
}

/// A request under way, and its reply once there is one.
pub(super) struct Flight {
    pub(super) outgoing: Outgoing,
    pub(super) reply:
        Option<Result<candour_core::ports::Response, candour_core::ports::TransportError>>,
}

type Running = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What a call that takes time came to.
pub(super) enum Done {
    Enrol(Result<Enrolment, AgentError>),
    Sync(Result<SyncReport, AgentError>),
    Tick(Result<Tick, AgentError>),
}

/// How far a call has come.
pub(super) enum Driven {
    /// It waits for the network.
    Waits,
    /// It is done.
    Done(Box<Done>),
    /// Nothing happened for a minute of real time.
    Stuck,
}

struct Silent;

impl EventSink for Silent {
    fn emit(&self, _event: Event) {}
}

impl Phone {
    pub(super) fn new(
        slot: usize,
        time: &Time,
        small: bool,
        control: Option<Control>,
        forger: &Forger,
    ) -> Self {
        let mut outbox = Limits::default();
        if small {
            outbox.records = 8;
        }
        let log_key = match control {
            Some(Control::ReceiptsForged) => forger.verifier().clone(),
            _ => KEYS.log_verifier.clone(),
        };
        let config = Config {
            server_url: "https://gateway.example:8443".to_owned(),
            enrol_url: "https://gateway.example:8444".to_owned(),
            department: department(slot),
            ca_pins: vec![KEYS.pin],
            policy_key: KEYS.policy.verifying_key().clone(),
            log_key,
            proxy: None,
            holder_name: Some("Sam Example".into()),
            holder_role: None,
            time_zone: "Europe/London".to_owned(),
            outbox,
        };
        Self {
            department: slot % super::server::DEPARTMENTS,
            disk: Disk::new(control == Some(Control::AgentForgets)),
            keys: SimKeys::new(slot, time),
            clock: WallClock::new(time),
            truth: Arc::new(Truth::new(control == Some(Control::ProbeFrozen))),
            agent: None,
            flight: None,
            token: None,
            rows_when_revoked: None,
            policy: 0,
            config,
            mailbox: Mailbox::default(),
            running: None,
        }
    }

    pub(super) fn handset(&self) -> HandsetId {
        self.keys.handset()
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        let json = self.disk.document(Document::Identity)?;
        Identity::from_json(&json).ok()
    }

    /// Starts the agent's process on what is on the disk.
    pub(super) fn open(&mut self, jitter: u64) -> Result<(), AgentError> {
        let platform = Platform {
            home: Arc::new(SimHome::open(&self.disk)),
            clock: self.clock.clone(),
            keys: self.keys.clone(),
            probe: self.truth.clone(),
            connector: Arc::new(SimConnector {
                mailbox: self.mailbox.clone(),
                keys: Arc::clone(&self.keys),
            }),
            events: Arc::new(Silent),
        };
        let agent = Agent::open(self.config.clone(), platform)?;
        self.agent = Some(Arc::new(agent.with_jitter(Jitter::seeded(jitter))));
        Ok(())
    }

    pub(super) fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn begin_sync(&mut self) {
        self.begin(|agent| Box::pin(async move { Done::Sync(agent.sync().await) }));
    }

    pub(super) fn begin_tick(&mut self) {
        self.begin(|agent| Box::pin(async move { Done::Tick(agent.tick(None).await) }));
    }

    pub(super) fn begin_enrol(&mut self, token: &str) {
        let token: Sensitive<String> = token.into();
        self.begin(|agent| Box::pin(async move { Done::Enrol(agent.enrol(token).await) }));
    }

    fn begin(&mut self, call: impl FnOnce(Arc<Agent>) -> Running) {
        if let Some(agent) = &self.agent
            && self.running.is_none()
        {
            self.running = Some(call(Arc::clone(agent)));
        }
    }

    /// Lets what is under way go on until it waits for the network or is done.
    pub(super) async fn drive(&mut self) -> Driven {
        let Self {
            running: Some(running),
            mailbox,
            flight,
            ..
        } = self
        else {
            return Driven::Waits;
        };
        let driven = poll_fn(|context| match running.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => match mailbox.take() {
                Some(outgoing) => Poll::Ready(Err(outgoing)),
                None => Poll::Pending,
            },
        });
        match tokio::time::timeout(Duration::from_secs(60), driven).await {
            Ok(Ok(done)) => {
                self.running = None;
                Driven::Done(Box::new(done))
            }
            Ok(Err(outgoing)) => {
                *flight = Some(Flight {
                    outgoing,
                    reply: None,
                });
                Driven::Waits
            }
            Err(_) => Driven::Stuck,
        }
    }

    /// The process ends. What it had under way is dropped where it stands; a request that was on
    /// its way comes back.
    pub(super) fn end(&mut self) -> Option<Flight> {
        self.running = None;
        self.agent = None;
        let _ = self.mailbox.take();
        self.disk.end_life();
        self.flight.take()
    }
}
