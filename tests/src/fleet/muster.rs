//! Getting a fleet ready: a department, phones that are enrolled and have been in use for a while.
//!
//! A few phones enrol by EST over TLS, as real ones do. The others get their certificates from the
//! department's own authority and their places in its own store, in this process: a hundred thousand
//! handshakes and command lines would measure nothing but enrolment. Then every phone lives through
//! its first sync: it fetches the policy, sends its whole app list, and has its receipt.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candour_wire::{Digest, Sensitive};
use futures_util::{StreamExt as _, stream};
use indicatif::ProgressBar;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::clock::FleetClock;
use super::office::Office;
use super::phone::Phone;
use super::shelves::Shelves;
use super::tally::Tally;
use super::wake::Call;
use super::world::{Counted, Way, World};
use super::{Common, Problem};
use crate::bench::exchange::Counter;
use crate::department::{self, Department};
use crate::progress::bar;

/// A department and its phones.
pub(super) struct Fleet {
    pub(super) department: Department,
    pub(super) world: Arc<World>,
    pub(super) phones: Vec<Arc<Phone>>,
    pub(super) wire: Wire,
    /// How many phones may be awake at once.
    pub(super) awake: usize,
    seed: u64,
    /// Holds the shelves.
    _dir: TempDir,
}

/// What a connection costs beside its HTTP, both ways, in bytes. Measured.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub(super) struct Wire {
    /// TCP payload of the handshake with certificates on both sides, and of the goodbye.
    pub(super) handshake: f64,
    /// What TLS and the headers that are always the same add to a request and its reply.
    pub(super) exchange: f64,
}

impl Wire {
    /// What passed on the wire, both ways, in bytes of TCP's payload.
    pub(super) fn bytes(self, passed: Counted) -> f64 {
        to_f64(passed.http_bytes())
            + to_f64(passed.connections) * self.handshake
            + to_f64(passed.requests) * self.exchange
    }
}

/// Phones that are at work at once while the fleet is got ready.
const AT_ONCE: usize = 64;

/// Phones whose first sync comes at the same time.
const PLATOON: usize = 512;

impl Fleet {
    /// Sets up the department, with no phone enrolled. Its server runs.
    pub(super) fn found(common: &Common) -> Result<Self, Problem> {
        let dir = scratch(common.dir.as_deref())?;
        // All phones have one address here, and a limit for each address would be the only one
        // that they meet.
        let program = common.program()?.with_env([(
            "CANDOUR_SERVER_STRANGERS_PER_ADDRESS",
            std::ffi::OsStr::new(STRANGERS_MAX),
        )]);
        let department = Department::start_in(&program, scratch(common.dir.as_deref())?);
        let shelves = Shelves::make(&dir.path().join("shelves"))?;
        let world = World::new(department.config(), FleetClock::new(), shelves);
        let new = |number| Arc::new(Phone::new(common.seed, number, &world.shelves));
        Ok(Self {
            phones: (0..usize::try_from(common.handsets)?).map(new).collect(),
            department,
            world,
            wire: Wire::default(),
            awake: common.awake.into(),
            seed: common.seed,
            _dir: dir,
        })
    }

    /// How many phones enrol by EST.
    fn by_est(&self) -> usize {
        BY_EST.min(self.phones.len())
    }

    /// Enrols some phones over TLS at the server, which runs, and measures what a connection costs.
    pub(super) fn enrol_by_est(&mut self, runtime: &Runtime, tally: &Tally) -> Result<(), Problem> {
        self.world.clock.follow_system();
        self.world.set_way(Way::Https);
        for phone in self.phones.iter().take(self.by_est()) {
            let token = Sensitive::new(self.department.token());
            let agent = phone.open(&self.world)?;
            runtime.block_on(async { Box::pin(agent.enrol(token)).await })?;
            agent.scan()?;
            drop(agent);
            let woken = runtime.block_on(phone.wake(&self.world, Call::Holder, tally));
            if !woken.delivered {
                return Err("a phone that was enrolled by EST could not sync".into());
            }
        }
        self.wire = self.measure_wire(runtime, tally)?;
        Ok(())
    }

    /// Lets a phone sync twice through something that counts, once with nothing to send and once
    /// with records of both streams, and compares with what it has counted itself.
    fn measure_wire(&self, runtime: &Runtime, tally: &Tally) -> Result<Wire, Problem> {
        let counter = runtime.block_on(Counter::before(self.department.handset_address()));
        let settings = self.department.settings();
        let url = settings.get("server_url").and_then(Value::as_str);
        let url = url.ok_or("the settings name no server")?;
        self.world
            .set_server_url(format!("https://{}", counter.address));
        let idle = self.measure_sync(runtime, &counter, false, tally);
        let busy = self.measure_sync(runtime, &counter, true, tally);
        self.world.set_server_url(url.to_owned());
        let ((few, idle), (more, busy)) = (idle?, busy?);
        if more <= few {
            return Err("a sync with records asked no more than one without".into());
        }
        let exchange = (busy - idle) / (more - few);
        Ok(Wire {
            handshake: idle - few * exchange,
            exchange,
        })
    }

    /// Requests of one sync over one connection, and its bytes beside what was counted as HTTP.
    fn measure_sync(
        &self,
        runtime: &Runtime,
        counter: &Counter,
        busy: bool,
        tally: &Tally,
    ) -> Result<(f64, f64), Problem> {
        let phone = self.phones.first().ok_or("there is no phone")?;
        for _ in 0..TRIES {
            if busy {
                phone.change_an_app();
                let agent = phone.open(&self.world)?;
                Phone::notice(&agent)?;
                phone.declare(&agent)?;
            }
            let before = self.world.traffic.counted();
            let woken = runtime.block_on(phone.wake(&self.world, Call::Holder, tally));
            let http = self.world.traffic.counted().since(before);
            if !woken.delivered {
                return Err("the phone that was to be measured could not sync".into());
            }
            // The counter learns of the goodbye after the phone is done.
            runtime.block_on(counter.all_closed());
            let (bytes, connections) = counter.take();
            // On a busy machine a client may begin a second one and leave it.
            if connections <= 1.0 {
                return Ok((to_f64(http.requests), bytes - to_f64(http.http_bytes())));
            }
        }
        Err("no sync that was to be measured had one connection only".into())
    }

    /// Enrols all other phones in bulk and lets them live through their first sync, evenly spread
    /// from one time to another; the clock stands at the second when it returns. The server has
    /// been stopped.
    pub(super) fn enrol_in_bulk(
        &self,
        runtime: &Runtime,
        (from, to): (Timestamp, Timestamp),
        tally: &Arc<Tally>,
    ) -> Result<(), Problem> {
        let rest = self.phones.get(self.by_est()..).unwrap_or_default();
        let clock = &self.world.clock;
        clock.stand_at(from);
        let office = Arc::new(Office::open(&self.department.data(), clock)?);
        let bar = bar("enrolled", self.phones.len());
        runtime.block_on(async {
            self.enrol_all(&office, rest, from, &bar).await?;
            office.follow_enrolment().await?;
            self.world.set_way(Way::Office(Arc::clone(&office)));
            bar.set_message("first sync");
            bar.set_position(0);
            for (number, platoon) in rest.chunks(PLATOON).enumerate() {
                let share = to_f64((number * PLATOON) as u64) / to_f64(rest.len() as u64);
                clock.stand_at(between(from, to, share));
                let woken = self.each(platoon, AT_ONCE, &bar, {
                    let (world, tally) = (Arc::clone(&self.world), Arc::clone(tally));
                    move |phone| {
                        let (world, tally) = (Arc::clone(&world), Arc::clone(&tally));
                        async move { Ok(phone.wake(&world, Call::Due, &tally).await.delivered) }
                    }
                });
                if woken.await?.contains(&false) {
                    let why = tally.sums().findings().join("; ");
                    return Err(format!("a phone's first sync did not go through: {why}").into());
                }
            }
            self.world.set_way(Way::Cut);
            office.close().await;
            Ok::<_, Problem>(())
        })?;
        bar.finish_and_clear();
        clock.stand_at(to);
        Ok(())
    }

    async fn enrol_all(
        &self,
        office: &Arc<Office>,
        phones: &[Arc<Phone>],
        now: Timestamp,
        bar: &ProgressBar,
    ) -> Result<(), Problem> {
        let seed = self.seed;
        let world = Arc::clone(&self.world);
        let office = Arc::clone(office);
        let enrolled = self.each(phones, AT_ONCE * 8, bar, move |phone| {
            let (world, office) = (Arc::clone(&world), Arc::clone(&office));
            async move {
                let token = Digest::of(format!("{seed}/{}", phone.number).as_bytes());
                let id = department::id();
                let identity = office.enrol(&phone.keys, &id, token, now).await?;
                Ok(phone.take_identity(&world, &identity)?)
            }
        });
        enrolled.await.map(|_| ())
    }

    /// Does something with each of these phones, so many at once.
    pub(super) async fn each<T, F>(
        &self,
        phones: &[Arc<Phone>],
        at_once: usize,
        bar: &ProgressBar,
        work: impl Fn(Arc<Phone>) -> F,
    ) -> Result<Vec<T>, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        let mut tasks = stream::iter(phones)
            .map(|phone| tokio::spawn(work(Arc::clone(phone))))
            .buffered(at_once);
        let mut done = Vec::with_capacity(phones.len());
        while let Some(task) = tasks.next().await {
            done.push(task??);
            bar.inc(1);
        }
        Ok(done)
    }

    /// Bytes of the department's database.
    pub(super) fn database_bytes(&self) -> u64 {
        let path = self.database();
        let log = path.with_extension("db-wal");
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        size(&path) + size(&log)
    }

    /// The department's database.
    pub(super) fn database(&self) -> PathBuf {
        candour_server::files::DataDir::new(self.department.data()).store_path()
    }
}

/// Phones that enrol by EST; each costs a command that makes its token.
const BY_EST: usize = 16;

/// How often a sync is measured until it has one connection only.
const TRIES: usize = 20;

/// `strangers_max` of the server's settings, which is what limits each address here.
const STRANGERS_MAX: &str = "2048";

fn scratch(dir: Option<&Path>) -> std::io::Result<TempDir> {
    match dir {
        Some(dir) => TempDir::with_prefix_in("candour-fleet-", dir),
        None => TempDir::with_prefix("candour-fleet-"),
    }
}

fn between(from: Timestamp, to: Timestamp, share: f64) -> Timestamp {
    let span = to.duration_since(from).as_secs_f64() * share;
    let span = SignedDuration::try_from_secs_f64(span).unwrap_or_default();
    from.saturating_add(span).unwrap_or(to)
}

/// A count as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(super) const fn to_f64(count: u64) -> f64 {
    count as f64
}
