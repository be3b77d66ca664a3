//! Too few files, too little memory, a disk that can only be read: everything is refused with a
//! code or goes through, and what was acknowledged stays.

use std::collections::BTreeSet;
use std::process::Command;

use candour_tests::cli::DECLARE;
use candour_tests::handset::declare;
use candour_tests::program::run;
use candour_tests::{AgentCli, Handset, Outcome, SmallDisk};
use candour_wire::Code;

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
    let disk = match SmallDisk::mount(cli.home(), 32 << 10) {
        Ok(disk) => disk,
        Err(reason) => return println!("skipped: no disk can be mounted here: {reason}"),
    };
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
    let disk = match SmallDisk::mount(&department.data(), 32 << 10) {
        Ok(disk) => disk,
        Err(reason) => return println!("skipped: no disk can be mounted here: {reason}"),
    };
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
