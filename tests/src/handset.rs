//! The product as a handset has it: the agent's core on its real adapters, in a directory of its
//! own. Only the clock and the list of installed apps are a test's.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use candour_core::adapters::clock::SystemClock;
use candour_core::adapters::home::HomeDir;
use candour_core::adapters::https::HttpsConnector;
use candour_core::adapters::software_keys::SoftwareKeys;
use candour_core::declaration::Draft;
use candour_core::identity::Identity;
use candour_core::ports::{AppProbe, Clock, Event, EventSink, Platform, StoreError};
use candour_core::{Agent, AgentError, Config};
use candour_wire::content::{Direction, Message, Participant, Significance};
use candour_wire::policy::Catalogue;
use candour_wire::posture::{AppPresence, Evidence, HandsetFacts, Presence};
use candour_wire::time::MessageTime;
use candour_wire::{RecordId, Sensitive};
use jiff::{SignedDuration, Timestamp};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use tempfile::TempDir;

use crate::department::Department;
use crate::interceptor::Interceptor;
use crate::pki::{ClientCertificate, client_config};

/// A handset's files, and what it believes of the world.
pub struct Handset {
    home: PathBuf,
    /// Removes the home when the handset goes.
    ours: Option<TempDir>,
    clock: Arc<ShiftedClock>,
    probe: Arc<FixedProbe>,
}

/// The system's clock, set wrong.
#[derive(Default)]
struct ShiftedClock(Mutex<SignedDuration>);

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        let shift = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        SystemClock
            .now()
            .saturating_add(shift)
            .expect("within the calendar")
    }
}

/// Apps as a test says.
#[derive(Default)]
struct FixedProbe {
    installed: Mutex<Vec<String>>,
}

impl AppProbe for FixedProbe {
    fn probe(&self, catalogue: &Catalogue) -> Vec<AppPresence> {
        let installed = self
            .installed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let answer = |id: &str| {
            if installed.iter().any(|app| app == id) {
                Presence::Installed
            } else {
                Presence::Absent
            }
        };
        let apps = catalogue.apps.iter().map(|app| AppPresence {
            app: app.id.clone(),
            state: answer(app.id.as_str()),
            evidence: vec![Evidence::PackageManager],
        });
        apps.collect()
    }

    fn handset_facts(&self) -> HandsetFacts {
        HandsetFacts {
            platform: "linux".into(),
            os_version: Some("12 (bookworm)".into()),
            model: None,
            agent_version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

struct NobodyListens;

impl EventSink for NobodyListens {
    fn emit(&self, _: Event) {}
}

impl Default for Handset {
    fn default() -> Self {
        Self::new()
    }
}

impl Handset {
    /// A handset that is fresh from the box.
    ///
    /// # Panics
    ///
    /// When there is no room for its files.
    #[must_use]
    pub fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut this = Self::at(home.path());
        this.ours = Some(home);
        this
    }

    /// A handset whose files are in this directory, and stay there.
    #[must_use]
    pub fn at(home: &Path) -> Self {
        Self {
            home: home.to_owned(),
            ours: None,
            clock: Arc::default(),
            probe: Arc::default(),
        }
    }

    /// A handset that is enrolled with this department.
    ///
    /// # Panics
    ///
    /// When it cannot be enrolled.
    pub async fn enrolled(department: &Department) -> Self {
        let handset = Self::new();
        let agent = handset.open(department.config());
        agent
            .enrol(Sensitive::new(department.token()))
            .await
            .expect("an enrolment");
        handset
    }

    /// The agent's directory.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Sets the handset's clock wrong.
    pub fn set_clock_wrong_by(&self, shift: SignedDuration) {
        *self.clock.0.lock().unwrap_or_else(PoisonError::into_inner) = shift;
    }

    /// Installs these apps, and removes all others.
    pub fn install(&self, apps: &[&str]) {
        let apps = apps.iter().map(|&app| app.to_owned()).collect();
        *self
            .probe
            .installed
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = apps;
    }

    /// Opens the agent.
    ///
    /// # Panics
    ///
    /// When it cannot be opened.
    #[must_use]
    pub fn open(&self, config: Config) -> Agent {
        self.try_open(config).expect("the agent opens")
    }

    /// As [`Handset::open`].
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn try_open(&self, config: Config) -> Result<Agent, AgentError> {
        Agent::open(config, self.platform()?)
    }

    /// What the agent is opened with.
    ///
    /// # Errors
    ///
    /// When another process has the home.
    pub fn platform(&self) -> Result<Platform, StoreError> {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        Ok(Platform {
            home: Arc::new(open_home(self.home())?),
            clock: Arc::clone(&clock),
            keys: Arc::new(SoftwareKeys::open(&self.home().join("keys"))),
            probe: Arc::clone(&self.probe) as _,
            connector: Arc::new(HttpsConnector::new(clock)),
            events: Arc::new(NobodyListens),
        })
    }

    /// Who this handset is.
    ///
    /// # Panics
    ///
    /// When it is not enrolled.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let json = std::fs::read(self.home().join("identity.json")).expect("an enrolled handset");
        Identity::from_json(&json).expect("an identity")
    }

    /// TLS settings by which somebody else can show himself as this handset.
    ///
    /// # Panics
    ///
    /// When it is not enrolled.
    #[must_use]
    pub fn tls(&self, department: &Department) -> Arc<ClientConfig> {
        let identity = self.identity();
        let chain = identity
            .chain
            .into_iter()
            .map(|certificate| CertificateDer::from(certificate.0))
            .collect();
        let key = std::fs::read(self.home().join("keys/signing.p8")).expect("an enrolled handset");
        client_config(
            &department.authority_certificate(),
            Some(&ClientCertificate { chain, key }),
        )
    }
}

/// Takes the home. A child that another test is starting has every open file, and so the lock,
/// until it becomes another program; that takes a moment.
fn open_home(dir: &Path) -> Result<HomeDir, StoreError> {
    let mut attempts = 0;
    loop {
        match HomeDir::open(dir) {
            Err(StoreError::Busy { .. }) if attempts < 1_000_000 => attempts += 1,
            opened => return opened,
        }
        std::thread::yield_now();
    }
}

/// The department's settings, with an interceptor before its server.
///
/// # Panics
///
/// When they are not valid.
#[must_use]
pub fn config_through(department: &Department, interceptor: &Interceptor) -> Config {
    let mut settings = department.settings();
    settings.insert(
        "server_url".into(),
        Value::from(format!("https://{}", interceptor.address())),
    );
    Config::from_object(&settings).expect("valid settings")
}

/// A complete declaration of one message.
///
/// # Panics
///
/// Never: what it fills in is valid.
#[must_use]
pub fn draft(text: &str) -> Draft {
    let yesterday = SystemClock
        .now()
        .saturating_sub(SignedDuration::from_hours(24))
        .expect("within the calendar");
    let at = yesterday
        .strftime("%Y-%m-%dT%H:%M:%S")
        .to_string()
        .parse()
        .expect("a time");
    Draft {
        channel: Some("whatsapp".parse().expect("a channel")),
        direction: Some(Direction::Received),
        participants: vec![Participant {
            name: "Bob O'Neil".into(),
            role: None,
        }],
        significance: Some(Significance::Significant),
        reason: Some("The Minister was travelling".into()),
        declared_by: Some(candour_wire::content::Person {
            name: "Ada Lovell".into(),
            role: Some("Private Secretary".into()),
        }),
        messages: vec![Message {
            at: Some(MessageTime::at(at, "Europe/London").expect("a time in London")),
            author: Some("Bob O'Neil".into()),
            text: text.into(),
            source_sha256: None,
            flags: vec![],
            redactions: Vec::new(),
        }],
        ..Draft::default()
    }
}

/// Previews and confirms a declaration of one message.
///
/// # Panics
///
/// When it is refused.
pub fn declare(agent: &Agent, text: &str) -> RecordId {
    let preview = agent.preview(&draft(text)).expect("a complete declaration");
    agent.declare(preview, None).expect("a declaration")
}
