//! Too few files, too little memory, a disk that can only be read or fails, a clock that is years
//! wrong: everything is refused with a code or goes through, and what was acknowledged stays.

use std::collections::BTreeSet;
use std::process::Command;

use candour_core::agent::Finding;
use candour_tests::cli::DECLARE;
use candour_tests::handset::declare;
use candour_tests::preload::set_clock_wrong;
use candour_tests::program::run;
use candour_tests::{AgentCli, Department, Handset, Outcome, SmallDisk};
use candour_wire::{Code, Sensitive};
use jiff::SignedDuration;

use crate::department;

/// A command under a limit of the shell's `ulimit`.
fn limited(limit: &str, command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit {limit}; exec \"$@\""), "sh"]);
    limited.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

/// Declares under each limit. It works, or the agent says why not, or the process ends as one does
/// that cannot even be loaded or gets no memory; nothing that was acknowledged is missing then.
fn declares_under(limits: impl IntoIterator<Item = String>) -> (usize, BTreeSet<String>) {
    let department = department();
    let cli = AgentCli::new(&department, "phone");
    cli.enrol(&department);
    let mut acknowledged = BTreeSet::from([cli.declare("while there was enough")]);
    let mut codes = BTreeSet::new();
    for limit in limits {
        let outcome: Outcome = run(&mut limited(&limit, &cli.command(&DECLARE)), b"in need");
        if outcome.status.success() {
            acknowledged.insert(outcome.json()["record"].as_str().unwrap().to_owned());
        } else if !outcome.stdout.is_empty() {
            codes.insert(outcome.error_code());
        } else {
            let word = outcome.status.code().is_none() || !outcome.stderr.is_empty();
            assert!(word, "{limit}: it ends as if nothing had been: {outcome:?}");
        }
    }
    let _ = cli.run(&["sync"], "").succeeded();
    let sent = cli.run(&["sent"], "").succeeded().json();
    let sent: BTreeSet<String> = sent
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["state"] == "received")
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        acknowledged.is_subset(&sent),
        "lost: {:?}",
        acknowledged.difference(&sent)
    );
    (acknowledged.len(), codes)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_may_open_few_files_says_so_and_loses_nothing() {
    let (kept, codes) = declares_under((3..24).map(|files| format!("-n {files}")));
    assert!(kept > 1, "with enough files it goes through");
    assert!(
        codes.iter().any(|code| code == "store_failed"),
        "{codes:?}: with too few it says so"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_little_memory_loses_nothing() {
    let (kept, _) = declares_under((1..16).map(|step| format!("-v {}", step * 12_000)));
    assert!(kept > 1, "with enough memory it goes through");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_whose_disk_can_only_be_read_refuses_visibly_and_keeps_what_was_declared() {
    let department = department();
    let cli = AgentCli::new(&department, "phone");
    cli.enrol(&department);
    let kept = cli.declare("while it could be written");
    let disk = SmallDisk::mount(cli.home(), 32 << 10);
    disk.take_in(cli.home());
    let inside =
        |args: &[&str], input: &str| run(&mut disk.inside(&cli.command(args)), input.as_bytes());
    disk.remount(true);
    for (args, input) in [(&DECLARE[..], "not kept"), (&["sync"], ""), (&["scan"], "")] {
        assert_eq!(inside(args, input).error_code(), "store_failed", "{args:?}");
    }
    disk.remount(false);
    let _ = inside(&["sync"], "").succeeded();
    let sent = inside(&["sent"], "").succeeded().json();
    assert_eq!(sent.as_array().unwrap().len(), 1, "{sent}");
    assert_eq!(
        (&sent[0]["id"], &sent[0]["state"]),
        (&kept.into(), &"received".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_disk_can_only_be_read_gives_no_receipt_until_it_is_started_again() {
    let mut department = department();
    let handset = Handset::enrolled(&department).await;
    let agent = handset.open(department.config());
    declare(&agent, "before");
    assert_eq!(agent.sync().await.unwrap().received, 1);
    drop(agent);
    assert_eq!(department.stop().code(), Some(0));
    let disk = SmallDisk::mount(&department.data(), 32 << 10);
    disk.take_in(&department.data());
    let serve = |department: &candour_tests::Department| {
        let mut serve = disk.inside(&department.serve_command());
        serve.env("CANDOUR_SERVER_DISK_RESERVE_MIB", "0");
        serve
    };
    department.restart_with(&mut serve(&department));
    // What is open for writing keeps a disk from being made read-only, so it is made so between
    // two runs: the second does not come up, and says why.
    assert_eq!(department.stop().code(), Some(0));
    disk.remount(true);
    let refused = run(&mut serve(&department), b"");
    assert!(
        !refused.status.success() && !refused.stderr.is_empty(),
        "{refused:?}"
    );
    {
        let agent = handset.open(department.config());
        declare(&agent, "meanwhile");
        let report = agent.sync().await.unwrap();
        assert_eq!(report.failure.unwrap().code, Code::Unreachable);
    }
    disk.remount(false);
    department.restart_with(&mut serve(&department));
    let agent = handset.open(department.config());
    assert_eq!(agent.sync().await.unwrap().received, 1);
    assert_eq!(department.checkpoint().await.size, 2);
}

/// Starts the server under each limit, and lets a phone come. The server says why it does not start,
/// or works, or ends; nothing that was acknowledged is missing then. Returns under which limits it
/// started, and under which it gave a receipt.
async fn serves_under(limits: &[String]) -> (Vec<String>, Vec<String>) {
    let mut department = department();
    let handset = Handset::enrolled(&department).await;
    let (mut started, mut received) = (Vec::new(), Vec::new());
    for limit in limits {
        let _ = department.stop();
        let before = department.process().log().len();
        let mut command = limited(limit, &department.serve_command());
        match department.try_restart_with(&mut command) {
            Ok(()) => started.push(limit.clone()),
            Err(ended) => {
                let word = ended.code().is_none() || department.process().log().len() > before;
                assert!(word, "{limit}: it ends as if nothing had been: {ended}");
            }
        }
        let agent = handset.open(department.config());
        declare(&agent, limit);
        let report = agent.sync().await.unwrap();
        if report.failure.is_none() {
            received.push(limit.clone());
        }
    }
    department.kill();
    department.restart();
    holds_everything(&department, &handset, limits.len() as u64).await;
    (started, received)
}

/// Everything that the phone has declared arrives, once, and every receipt holds.
async fn holds_everything(department: &Department, handset: &Handset, declared: u64) {
    let agent = handset.open(department.config());
    let report = agent.sync().await.unwrap();
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(department.checkpoint().await.size, declared);
    let verified = agent.verify(None).unwrap();
    assert_eq!(verified.len() as u64, declared);
    let all = verified.iter().all(|one| one.finding == Finding::Verified);
    assert!(all, "{verified:?}");
    let _ = department.command(&["check"]).succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_may_open_few_files_says_so_or_serves_and_loses_nothing() {
    let limits: Vec<String> = (4..44)
        .step_by(3)
        .map(|files| format!("-n {files}"))
        .collect();
    let (started, received) = serves_under(&limits).await;
    assert!(
        started.len() < limits.len(),
        "with too few it does not start"
    );
    assert!(!received.is_empty(), "with enough it serves: {started:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_little_memory_says_so_or_serves_and_loses_nothing() {
    let limits: Vec<String> = (1..=12)
        .map(|step| format!("-v {}", step * 40_000))
        .collect();
    let (started, received) = serves_under(&limits).await;
    assert!(
        started.len() < limits.len(),
        "with too little it does not start"
    );
    assert!(!received.is_empty(), "with enough it serves: {started:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_disk_fails_while_it_runs_gives_no_receipt_and_ends() {
    let mut department = department();
    let handset = Handset::enrolled(&department).await;
    assert_eq!(department.stop().code(), Some(0));
    let disk = SmallDisk::mount_on_a_device(&department.data(), 64 << 10);
    disk.take_in(&department.data());
    let serve = |department: &Department| {
        let mut serve = disk.inside(&department.serve_command());
        serve.env("CANDOUR_SERVER_DISK_RESERVE_MIB", "0");
        serve
    };
    department.restart_with(&mut serve(&department));
    let agent = handset.open(department.config());
    declare(&agent, "before");
    assert_eq!(agent.sync().await.unwrap().received, 1);

    disk.fail();
    declare(&agent, "meanwhile");
    let report = agent.sync().await.unwrap();
    assert_eq!(
        (report.received, report.failure.is_some()),
        (0, true),
        "{report:?}"
    );
    let ended = department.process().wait();
    let log = department.process().log();
    assert_eq!(ended.code(), Some(1), "{ended}: {log}");
    let refused = run(&mut serve(&department), b"");
    assert!(
        !refused.status.success() && !refused.stderr.is_empty(),
        "{refused:?}"
    );

    disk.repair();
    department.restart_with(&mut serve(&department));
    drop(agent);
    let agent = handset.open(department.config());
    assert_eq!(agent.sync().await.unwrap().received, 1);
    assert_eq!(department.checkpoint().await.size, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_clock_that_is_ten_years_wrong_costs_time_and_no_record() {
    for years in [-10, 10] {
        let mut department = department();
        let handset = Handset::enrolled(&department).await;
        let agent = handset.open(department.config());
        declare(&agent, "before");
        assert_eq!(agent.sync().await.unwrap().received, 1);
        drop(agent);

        let shift = SignedDuration::from_hours(years * 24 * 365);
        let mut serve = department.serve_command();
        set_clock_wrong(&mut serve, shift, department.scratch()).unwrap();
        assert_eq!(department.stop().code(), Some(0));
        department.restart_with(&mut serve);
        let agent = handset.open(department.config());
        declare(&agent, "meanwhile");
        let report = agent.sync().await.unwrap();
        let code = report.failure.map(|failure| failure.code);
        // It makes itself a certificate of its own time, or takes the phone's for expired.
        let told = [Code::ServerCertificateExpired, Code::CertificateExpired];
        assert!(
            code.is_some_and(|code| told.contains(&code)),
            "{years}: {code:?}"
        );
        drop(agent);
        let newcomer = Handset::new();
        let agent = newcomer.open(department.config());
        assert!(
            agent
                .enrol(Sensitive::new(department.token()))
                .await
                .is_err()
        );
        drop(agent);

        assert_eq!(department.stop().code(), Some(0));
        department.restart();
        holds_everything(&department, &handset, 2).await;
        let agent = newcomer.open(department.config());
        agent
            .enrol(Sensitive::new(department.token()))
            .await
            .unwrap();
    }
}
