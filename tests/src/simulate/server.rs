//! The gateway: the product's own routes, layers, policies, authority and SQLite store, started
//! and ended as the simulation wants.
//!
//! A crash takes the store's files as they are at that instant and opens a copy of them, so that
//! what SQLite recovers is what was committed and no more.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};

use axum::Router;
use candour_core::ports::{Response, TransportError};
use candour_server::gateway::{Gateway, Limits, Metrics, Parts};
use candour_server::identity::ca::Authority;
use candour_server::identity::enrolled::{EnrolledKeys, Standing};
use candour_server::identity::{HandsetIdentity, profile};
use candour_server::keys::{LogKey, PolicyKey};
use candour_server::policy::{self, Policies};
use candour_server::store::Store as _;
use candour_server::store::sqlite::{Settings, SqliteStore};
use candour_wire::policy::Policy;
use candour_wire::seal::RecordsPrivateKey;
use candour_wire::{DepartmentId, Digest, Sensitive};
use http_body_util::BodyExt as _;
use jiff::SignedDuration;
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::bridge::{core_response, http_request};
use super::clock::{Time, WallClock};
use super::control::Control;
use super::network::{Door, Outgoing};
use super::store::{FaultyStore, Hooks};

/// The departments on the server.
pub(super) const DEPARTMENTS: usize = 2;

/// A department's id.
pub(super) fn department(index: usize) -> DepartmentId {
    let ids = ["hm-treasury", "cabinet-office"];
    ids[index % DEPARTMENTS].parse().expect("a valid id")
}

/// The name of the log.
pub(super) const ORIGIN: &str = "candour.example/log";

/// Keys that all seeds share: making them takes longer than a seed.
pub(super) struct Keys {
    authority: String,
    authority_key: Sensitive<String>,
    pub(super) pin: Digest,
    log: Sensitive<String>,
    pub(super) log_verifier: candour_wire::log::LogVerifier,
    pub(super) policy: PolicyKey,
    /// Two for each department: the second is what a policy changes to.
    pub(super) records: Vec<[RecordsPrivateKey; 2]>,
}

pub(super) static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let now = WallClock::new(&Time::begin()).shows();
    let authority = Authority::make("Two departments", now).expect("there is randomness");
    let log = LogKey::make(ORIGIN).expect("there is randomness");
    let two = || [RecordsPrivateKey::generate(), RecordsPrivateKey::generate()];
    Keys {
        authority: authority.pem().to_owned(),
        authority_key: authority.key_pem(),
        pin: authority.pin(),
        log: log.to_text().clone(),
        log_verifier: log.verifier().clone(),
        policy: PolicyKey::make().expect("there is randomness"),
        records: (0..DEPARTMENTS).map(|_| two()).collect(),
    }
});

/// The server's machine: its directory, its clock, and the gateway while it runs.
pub(super) struct Site {
    pub(super) clock: Arc<WallClock>,
    pub(super) hooks: Arc<Hooks>,
    dir: TempDir,
    control: Option<Control>,
    /// Goes up with each crash: each has its own copy of the store.
    life: u64,
    /// Goes up with each start: no connection outlives the gateway.
    starts: u64,
    running: Option<Running>,
}

struct Running {
    gateway: Gateway,
    public: Router,
    handset: Router,
    store: Arc<SqliteStore>,
}

/// What came of a request.
pub(super) enum Served {
    Reply(Response),
    /// The gateway died over it.
    Died,
    /// The handshake failed, or nobody listens.
    Refused(TransportError),
}

impl Site {
    /// A machine with an empty store and each department's first policy.
    pub(super) async fn new(time: &Time, control: Option<Control>) -> Self {
        // Memory, where there is such a file system: the disk is not what is tried here.
        let memory = Path::new("/dev/shm");
        let mut dir = tempfile::Builder::new();
        let dir = dir.prefix("candour-simulate-");
        let dir = if memory.is_dir() {
            dir.tempdir_in(memory)
        } else {
            dir.tempdir()
        };
        let mut site = Self {
            clock: WallClock::new(time),
            hooks: Arc::default(),
            dir: dir.expect("a temporary directory"),
            control,
            life: 0,
            starts: 0,
            running: None,
        };
        for index in 0..DEPARTMENTS {
            site.issue(&super::policies::first(index, site.clock.shows()));
        }
        let settings = site.settings();
        let store = SqliteStore::create(&site.database(), settings).expect("an empty store");
        site.run(store).await;
        site
    }

    fn settings(&self) -> Settings {
        let log = LogKey::from_text(&KEYS.log).expect("it was made here");
        Settings {
            attachments: self.attachments(),
            signer: Some(log.into_signer()),
            now: self.clock.shows(),
        }
    }

    /// Where the sealed files are.
    pub(super) fn attachments(&self) -> PathBuf {
        self.dir.path().join("attachments")
    }

    /// The store's file in this life.
    pub(super) fn database(&self) -> PathBuf {
        self.dir.path().join(format!("server-{}.db", self.life))
    }

    fn policies(&self) -> PathBuf {
        self.dir.path().join("policy")
    }

    /// Signs a policy, as the operator's command does.
    pub(super) fn issue(&self, policy: &Policy) {
        policy::issue(&self.policies(), &KEYS.policy, policy).expect("a policy that follows");
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether a connection still leads to this gateway, or has yet to be made.
    pub(super) fn can_deliver(&self, outgoing: &Outgoing) -> bool {
        let made = outgoing.connection.load(Ordering::SeqCst);
        self.is_running() && (made == 0 || made == self.starts)
    }

    /// The store itself, for the operator's commands.
    pub(super) fn store(&self) -> Option<&Arc<SqliteStore>> {
        self.running.as_ref().map(|running| &running.store)
    }

    /// Starts the gateway on what is there.
    pub(super) async fn start(&mut self) {
        if self.is_running() {
            return;
        }
        let store = SqliteStore::open(&self.database(), self.settings())
            .expect("a store that opens after whatever happened");
        self.run(store).await;
    }

    async fn run(&mut self, store: Arc<SqliteStore>) {
        self.hooks.begin_life();
        self.starts += 1;
        let pretended = match self.control {
            Some(Control::ServerPretends) => Some(self.pretended()),
            _ => None,
        };
        let faulty = FaultyStore {
            inner: Arc::clone(&store),
            hooks: Arc::clone(&self.hooks),
            control: self.control,
            pretended,
        };
        let authority = Authority::open(&KEYS.authority, &KEYS.authority_key);
        let policies = Policies::open(self.policies(), KEYS.policy.verifying_key().clone());
        let gateway = Gateway::new(Parts {
            store: Arc::new(faulty),
            clock: self.clock.clone(),
            authority: authority.expect("it was made here"),
            enrolled: Arc::new(EnrolledKeys::default()),
            policies: Arc::new(policies.expect("they were issued here")),
            metrics: Arc::new(Metrics::default()),
            limits: Limits::default(),
        });
        self.running = Some(Running {
            public: gateway.public_routes(),
            handset: gateway.handset_routes(),
            gateway,
            store,
        });
        self.follow_enrolment().await;
    }

    /// A store with the same content, in which nothing counts. Each has a file of its own: the one
    /// before may still be closing.
    fn pretended(&self) -> Arc<SqliteStore> {
        let path = self
            .dir
            .path()
            .join(format!("pretended-{}.db", self.starts));
        copy_database(&self.database(), &path);
        SqliteStore::open(&path, self.settings()).expect("a copy opens as well")
    }

    /// Stops in good order.
    pub(super) async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.store.close().await;
        }
    }

    /// Ends at once. What was committed is what the next start finds, and behind what has arrived
    /// of sealed files there may be some bytes of a piece that was being written.
    ///
    /// Returns how many files were left like that.
    pub(super) fn crash(&mut self, torn: bool) -> u64 {
        let Some(running) = self.running.take() else {
            return 0;
        };
        let before = match self.control {
            Some(Control::ServerForgets) => self.earlier(),
            _ => self.database(),
        };
        self.life += 1;
        let after = self.database();
        copy_database(&before, &after);
        drop(running);
        if torn { self.tear_files() } else { 0 }
    }

    fn tear_files(&self) -> u64 {
        let parts = fs::read_dir(self.attachments())
            .into_iter()
            .flatten()
            .flatten();
        let parts = parts.flat_map(|dir| fs::read_dir(dir.path()).into_iter().flatten().flatten());
        let mut torn = 0;
        for part in parts.map(|file| file.path()) {
            if part
                .extension()
                .is_some_and(|extension| extension == "part")
            {
                let file = fs::OpenOptions::new().append(true).open(part);
                let written = file.and_then(|mut file| file.write_all(&[0xaa; 4_321]));
                torn += u64::from(written.is_ok());
            }
        }
        torn
    }

    fn earlier(&self) -> PathBuf {
        let earlier = self.dir.path().join("earlier.db");
        if earlier.exists() {
            earlier
        } else {
            self.database()
        }
    }

    /// Keeps the files as they are, for a store that forgets its last commit when it crashes.
    pub(super) fn keep_earlier(&self) {
        if self.control == Some(Control::ServerForgets) {
            copy_database(&self.database(), &self.dir.path().join("earlier.db"));
        }
    }

    /// What the gateway does every second: enrolments that another process changed.
    pub(super) async fn follow_enrolment(&self) {
        if let Some(running) = &self.running {
            let gateway = &running.gateway;
            let refreshed = gateway.enrolled.refresh(gateway.store.as_ref()).await;
            refreshed.expect("the store can be read");
        }
    }

    /// The same for policies.
    pub(super) fn follow_policies(&self) {
        if let Some(running) = &self.running {
            running
                .gateway
                .policies
                .refresh()
                .expect("they were issued here");
        }
    }

    /// What TLS decides before the first request of a connection.
    fn handshake(&self, running: &Running, leaf: &[u8]) -> Result<HandsetIdentity, TransportError> {
        let identity =
            profile::check(leaf).map_err(|_| TransportError::ClientCertificateRefused)?;
        let now = self.clock.shows();
        let life = SignedDuration::from_hours(24 * profile::LIFETIME_DAYS + 48);
        if now > identity.not_after || now < identity.not_after - life {
            return Err(TransportError::ClientCertificateExpired);
        }
        match running.gateway.enrolled.standing(&identity.key.key_id()) {
            Standing::Enrolled => Ok(identity),
            Standing::Revoked => Err(TransportError::ClientCertificateRevoked),
            Standing::Unknown => Err(TransportError::ClientCertificateRefused),
        }
    }

    /// Lets the gateway answer. `cut` gives it so many bytes of the body and then the end of the
    /// connection.
    pub(super) async fn serve(&self, outgoing: &Outgoing, cut: Option<usize>) -> Served {
        let Some(running) = &self.running else {
            return Served::Refused(TransportError::Unreachable("nobody listens".to_owned()));
        };
        self.keep_earlier();
        let mut request = http_request(&outgoing.request, cut);
        let routes = match &outgoing.door {
            Door::Public => &running.public,
            Door::Handset(leaf) => {
                // A connection that is kept alive is not asked again.
                let alive = outgoing.connection.load(Ordering::SeqCst) == self.starts;
                let identity = if alive {
                    profile::check(leaf).map_err(|_| TransportError::ClientCertificateRefused)
                } else {
                    self.handshake(running, leaf)
                };
                match identity {
                    Ok(identity) => request.extensions_mut().insert(identity),
                    Err(refused) => return Served::Refused(refused),
                };
                outgoing.connection.store(self.starts, Ordering::SeqCst);
                &running.handset
            }
        };
        let reply = async {
            let response = routes.clone().oneshot(request).await;
            let (head, body) = response.unwrap_or_else(|never| match never {}).into_parts();
            let body = body.collect().await.map(|body| body.to_bytes());
            (head, body.unwrap_or_default())
        };
        tokio::select! {
            biased;
            () = self.hooks.death.notified() => Served::Died,
            (head, body) = reply => Served::Reply(core_response(&head, &body)),
        }
    }
}

/// Copies the database and its write-ahead log as they are now. The writer is idle.
fn copy_database(from: &Path, to: &Path) {
    let log = |path: &Path| path.with_extension("db-wal");
    fs::copy(from, to).expect("the store's file can be copied");
    if log(from).exists() {
        fs::copy(log(from), log(to)).expect("the write-ahead log can be copied");
    } else {
        let _ = fs::remove_file(log(to));
    }
}
