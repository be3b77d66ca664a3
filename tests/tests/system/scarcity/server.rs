//! A server that lacks something.

use std::path::Path;
use std::process::Command;

use candour_core::Agent;
use candour_core::agent::Finding;
use candour_tests::handset::declare;
use candour_tests::preload::set_clock_wrong;
use candour_tests::program::run;
use candour_tests::raw::{batch, receipts};
use candour_tests::torture::phone_check::Findings;
use candour_tests::{Department, Handset, RawHandset, SmallDisk};
use candour_wire::record::Stream;
use candour_wire::{Code, Sensitive};
use http::StatusCode;
use jiff::SignedDuration;

use super::{INSTEAD_OF, LOST, STARTS, is_noticed, limited};
use crate::damage::copy;
use crate::department;

/// Which server is tried.
#[derive(Clone, Copy)]
enum Build {
    Product,
    /// Broken on purpose: it takes everything, whatever its disk says, gives signed receipts, and
    /// has kept nothing once it has ended.
    KeepsNothing,
}

/// A server that is in need, a phone that comes to it, and what is wrong.
struct Trial {
    department: Department,
    handset: Handset,
    build: Build,
    /// Where the server's data is, if not on the machine's own disk.
    disk: Option<SmallDisk>,
    wrong: Findings,
}

impl Trial {
    async fn new(build: Build) -> Self {
        let department = department();
        let handset = Handset::enrolled(&department).await;
        Self {
            department,
            handset,
            build,
            disk: None,
            wrong: Findings::new(),
        }
    }

    /// Stops the server and gives it a disk of its own.
    fn move_to(&mut self, mount: impl Fn(&Path) -> SmallDisk) {
        assert_eq!(self.department.stop().code(), Some(0));
        let data = self.department.data();
        let disk = mount(&data);
        disk.take_in(&data);
        self.disk = Some(disk);
    }

    fn disk(&self) -> &SmallDisk {
        self.disk.as_ref().expect("it was moved to one")
    }

    /// A command of the product where its disk is to be seen.
    fn inside(&self, command: Command) -> Command {
        match &self.disk {
            Some(disk) => disk.inside(&command),
            None => command,
        }
    }

    /// How the product is started. The reserve on its disk is another trial's.
    fn serve_the_product(&self) -> Command {
        let mut serve = self.department.serve_command();
        serve.env("CANDOUR_SERVER_DISK_RESERVE_MIB", "0");
        self.inside(serve)
    }

    /// How the server that is tried is started.
    fn serve(&self) -> Command {
        match self.build {
            Build::Product => self.serve_the_product(),
            Build::KeepsNothing => {
                let data = match &self.disk {
                    Some(disk) => disk.seen_from_outside(),
                    None => self.department.data(),
                };
                let beside = tempfile::tempdir_in(self.department.scratch());
                let beside = beside.unwrap().keep();
                copy(&data, &beside);
                self.department.serve_command_on(&beside)
            }
        }
    }

    /// Starts the server. It may refuse to, and says why, or be ended by the system.
    fn starts(&mut self, serve: &mut Command) -> bool {
        let before = self.department.process().log().len();
        let Err(ended) = self.department.try_restart_with(serve) else {
            return true;
        };
        if ended.code().is_some() && self.department.process().log().len() == before {
            self.wrong
                .push(format!("{ended} without a word: {serve:?}"));
        }
        false
    }

    fn open(&self) -> Agent {
        self.handset.open(self.department.config())
    }

    /// Declares, and syncs; with what code that fails.
    async fn declares(&self, text: &str) -> Option<Code> {
        let agent = self.open();
        declare(&agent, text);
        let report = agent.sync().await.unwrap();
        report.failure.map(|failure| failure.code)
    }

    /// As [`Trial::declares`], where nothing but one of these codes is right.
    async fn is_refused(&mut self, codes: &[Code]) {
        let code = self.declares("meanwhile").await;
        if !code.is_some_and(|code| codes.contains(&code)) {
            self.wrong.push(format!("{code:?}{INSTEAD_OF}{codes:?}"));
        }
    }

    /// Starts the product with enough of everything on what the server has left. What is wrong
    /// in the end, where `others` records are not the phone's and `declared` are.
    async fn settles(mut self, others: u64, declared: u64) -> Findings {
        self.department.kill();
        let mut serve = self.serve_the_product();
        self.department.restart_with(&mut serve);
        let agent = self.open();
        let report = agent.sync().await.unwrap();
        if report.failure.is_some() {
            self.wrong.push(format!("{report:?}"));
        }
        let size = self.department.checkpoint().await.size;
        if size < others + declared {
            let missing = others + declared - size;
            self.wrong.push(format!("{LOST}{missing} records"));
        } else if size > others + declared {
            self.wrong.push(format!("there are {size} records"));
        }
        let checked = agent.verify(None).unwrap();
        let verified = checked
            .iter()
            .filter(|one| one.finding == Finding::Verified);
        let verified = verified.count() as u64;
        if verified != declared || checked.len() as u64 != declared {
            self.wrong.push(format!("receipts: {checked:?}"));
        }
        let mut check = self.department.program().server(["check", "--data"]);
        check.arg(self.department.data());
        let check = run(&mut self.inside(check), b"");
        if !check.status.success() {
            self.wrong.push(format!("check: {check:?}"));
        }
        self.wrong
    }
}

async fn full_disk(build: Build) -> Findings {
    let mut trial = Trial::new(build).await;
    let raw = RawHandset::enrol(&trial.department).await;
    let mut connection = raw.connect(&trial.department).await;
    let key = connection.policy(&trial.department).await.records_key;
    trial.move_to(|data| SmallDisk::mount(data, 64 << 10));
    let mut serve = trial.serve();
    trial.department.restart_with(&mut serve);
    trial.disk().fill_up_to(512);

    let mut connection = raw.connect(&trial.department).await;
    let records = raw.declarations(raw.genesis(Stream::Records), &key, 16 * 60);
    let most = records.len() - 60;
    let mut taken = 0;
    // What a large batch could not use of the journal is still there for a smaller one.
    for size in [60, 8, 1] {
        while taken + size <= most {
            let some = batch(&records[taken..taken + size]);
            let reply = connection.post(Stream::Records, some).await.unwrap();
            if reply.status == StatusCode::OK {
                taken += size;
                continue;
            }
            let told = (reply.status.as_u16(), reply.problem());
            if told != (507, "storage_full".to_owned()) {
                trial.wrong.push(format!("{told:?}"));
            }
            break;
        }
    }
    let size = trial.department.checkpoint().await.size;
    if size != taken as u64 {
        trial.wrong.push(format!("it reads {size} of {taken}"));
    }
    trial.is_refused(&[Code::StorageFull]).await;

    // Room comes back, and the same process goes on.
    trial.disk().free();
    let reply = connection.deliver(&records[taken..taken + 60]).await;
    taken += receipts(&reply).len();
    if let Some(code) = trial.declares("when there is room").await {
        trial.wrong.push(format!("{code:?} when there is room"));
    }
    trial.settles(taken as u64, 2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_at_the_server_is_told_loses_nothing_and_passes() {
    assert_eq!(full_disk(Build::Product).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_on_a_full_disk_that_signs_and_keeps_nothing_is_noticed() {
    is_noticed(&full_disk(Build::KeepsNothing).await, &[INSTEAD_OF]);
}

async fn only_read(build: Build) -> Findings {
    let mut trial = Trial::new(build).await;
    assert_eq!(trial.declares("before").await, None);
    trial.move_to(|data| SmallDisk::mount(data, 32 << 10));
    // What is open for writing keeps a disk from being made read-only, so it is made so while the
    // server does not run.
    trial.disk().remount(true);
    let mut serve = trial.serve();
    if trial.starts(&mut serve) {
        trial.wrong.push(STARTS.into());
    }
    trial.is_refused(&[Code::Unreachable]).await;
    trial.disk().remount(false);
    trial.settles(0, 2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_disk_can_only_be_read_gives_no_receipt_until_it_is_started_again() {
    assert_eq!(only_read(Build::Product).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_on_a_disk_that_can_only_be_read_and_that_signs_is_noticed() {
    is_noticed(&only_read(Build::KeepsNothing).await, &[STARTS, INSTEAD_OF]);
}

async fn disk_fails(build: Build) -> Findings {
    let mut trial = Trial::new(build).await;
    trial.move_to(|data| SmallDisk::mount_on_a_device(data, 64 << 10));
    let mut serve = trial.serve();
    trial.department.restart_with(&mut serve);
    assert_eq!(trial.declares("before").await, None);

    trial.disk().fail();
    trial.is_refused(&[Code::Unavailable]).await;
    match build {
        Build::Product => {
            let ended = trial.department.process().wait();
            if ended.code() != Some(1) {
                trial.wrong.push(format!("it ends with {ended}"));
            }
        }
        // It does not end by itself.
        Build::KeepsNothing => trial.department.kill(),
    }
    let mut serve = trial.serve();
    if trial.starts(&mut serve) {
        trial.wrong.push(STARTS.into());
        trial.department.kill();
    }
    trial.disk().repair();
    trial.settles(0, 2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_disk_fails_while_it_runs_gives_no_receipt_and_ends() {
    assert_eq!(disk_fails(Build::Product).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_signs_although_its_disk_fails_while_it_runs_is_noticed() {
    is_noticed(
        &disk_fails(Build::KeepsNothing).await,
        &[STARTS, INSTEAD_OF],
    );
}

/// Starts the server under each limit, and lets the phone come.
async fn under(build: Build, limits: &[String]) -> Findings {
    let mut trial = Trial::new(build).await;
    let (mut started, mut received) = (0, 0);
    for limit in limits {
        // It may have ended already.
        trial.department.stop();
        let mut serve = limited(limit, &trial.serve());
        started += usize::from(trial.starts(&mut serve));
        received += usize::from(trial.declares(limit).await.is_none());
    }
    if started == limits.len() {
        trial.wrong.push("with too little it starts too".into());
    }
    if received == 0 {
        trial.wrong.push("with enough it does not serve".into());
    }
    trial.settles(0, limits.len() as u64).await
}

fn few_files(files: impl Iterator<Item = u32>) -> Vec<String> {
    files.map(|files| format!("-n {files}")).collect()
}

fn little_memory(steps: impl Iterator<Item = u32>) -> Vec<String> {
    steps.map(|step| format!("-v {}", step * 40_000)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_may_open_few_files_says_so_or_serves_and_loses_nothing() {
    let limits = few_files((4..44).step_by(3));
    assert_eq!(under(Build::Product, &limits).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_few_files_that_signs_and_keeps_nothing_is_noticed() {
    let limits = few_files([4, 43].into_iter());
    is_noticed(&under(Build::KeepsNothing, &limits).await, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_little_memory_says_so_or_serves_and_loses_nothing() {
    let limits = little_memory(1..=12);
    assert_eq!(under(Build::Product, &limits).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_little_memory_that_signs_and_keeps_nothing_is_noticed() {
    let limits = little_memory([1, 12].into_iter());
    is_noticed(&under(Build::KeepsNothing, &limits).await, &[]);
}

/// A server whose clock is wrong makes itself a certificate of its own time, or takes the phone's
/// for expired.
async fn wrong_clock(build: Build, years: i64) -> Findings {
    let mut trial = Trial::new(build).await;
    assert_eq!(trial.department.stop().code(), Some(0));
    let mut serve = trial.serve();
    trial.department.restart_with(&mut serve);
    assert_eq!(trial.declares("before").await, None);

    let shift = SignedDuration::from_hours(years * 24 * 365);
    assert_eq!(trial.department.stop().code(), Some(0));
    let mut serve = trial.serve();
    set_clock_wrong(&mut serve, shift, trial.department.scratch()).unwrap();
    trial.department.restart_with(&mut serve);
    let told = [Code::ServerCertificateExpired, Code::CertificateExpired];
    trial.is_refused(&told).await;
    let newcomer = Handset::new();
    let enrol = async |department: &Department| {
        let agent = newcomer.open(department.config());
        agent.enrol(Sensitive::new(department.token())).await
    };
    if enrol(&trial.department).await.is_ok() {
        trial.wrong.push("a newcomer enrols".into());
    }

    assert_eq!(trial.department.stop().code(), Some(0));
    trial.department.restart();
    if let Err(error) = enrol(&trial.department).await {
        trial.wrong.push(format!("a newcomer: {error:?}"));
    }
    trial.settles(0, 2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_clock_that_is_ten_years_wrong_costs_time_and_no_record() {
    for years in [-10, 10] {
        let wrong = wrong_clock(Build::Product, years).await;
        assert_eq!(wrong, [""; 0], "{years}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_wrong_clock_that_signs_and_keeps_nothing_is_noticed() {
    is_noticed(&wrong_clock(Build::KeepsNothing, 10).await, &[]);
}
