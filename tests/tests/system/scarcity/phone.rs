//! An agent that lacks something.

use std::collections::BTreeSet;
use std::process::Command;

use candour_tests::cli::DECLARE;
use candour_tests::department::now;
use candour_tests::program::{run, run_by};
use candour_tests::torture::phone_check::Findings;
use candour_tests::{AgentCli, Department, Outcome, SmallDisk};
use candour_wire::RecordId;

use super::{INSTEAD_OF, LOST, is_noticed, limited};
use crate::department;

/// Which agent is tried.
#[derive(Clone, Copy)]
enum Build {
    Product,
    /// Broken on purpose: where the product refuses, it says yes, and has kept nothing.
    SaysYes,
}

/// A phone with an agent, and what has come of it.
struct Phone {
    department: Department,
    cli: AgentCli,
    build: Build,
    /// Where its home is, if not on the machine's own disk.
    disk: Option<SmallDisk>,
    acknowledged: BTreeSet<String>,
    /// Declarations of which nobody said what became of them, because the process ended.
    unsaid: usize,
    wrong: Findings,
}

impl Phone {
    /// Enrols, and declares something while there is enough.
    fn new(build: Build) -> Self {
        let department = department();
        let cli = AgentCli::new(&department, "phone");
        cli.enrol(&department);
        let acknowledged = BTreeSet::from([cli.declare("while there was enough")]);
        Self {
            department,
            cli,
            build,
            disk: None,
            acknowledged,
            unsaid: 0,
            wrong: Findings::new(),
        }
    }

    fn move_to_a_small_disk(&mut self) -> &SmallDisk {
        let disk = SmallDisk::mount(self.cli.home(), 32 << 10);
        disk.take_in(self.cli.home());
        self.disk.insert(disk)
    }

    fn disk(&self) -> &SmallDisk {
        self.disk.as_ref().expect("it was moved to one")
    }

    fn command(&self, args: &[&str]) -> Command {
        let command = self.cli.command(args);
        match &self.disk {
            Some(disk) => disk.inside(&command),
            None => command,
        }
    }

    /// How it declares, where the agent lacks nothing but what its disk lacks.
    fn declare(&self) -> Command {
        self.command(&DECLARE)
    }

    /// Declares by a command that lacks something, and returns the code with which it is refused.
    /// The process may also end as one does that cannot even be loaded or gets no memory.
    fn declares(&mut self, text: &str, mut command: Command) -> Option<String> {
        if matches!(self.build, Build::SaysYes) {
            command = says_yes(&command);
        }
        let outcome: Outcome = run(&mut command, text.as_bytes());
        if outcome.status.success() {
            let record = outcome.json()["record"].as_str().unwrap().to_owned();
            self.acknowledged.insert(record);
            return None;
        }
        if !outcome.stdout.is_empty() {
            return Some(outcome.error_code());
        }
        if outcome.status.code().is_some() && outcome.stderr.is_empty() {
            self.wrong
                .push(format!("it ends without a word: {command:?}"));
        }
        self.unsaid += 1;
        None
    }

    /// As [`Phone::declares`], where nothing but a refusal with this code is right.
    fn is_refused(&mut self, text: &str, code: &str, command: Command) {
        let said = self.declares(text, command);
        if said.as_deref() != Some(code) {
            self.wrong.push(format!("{said:?}{INSTEAD_OF}{code}"));
        }
    }

    /// Syncs with enough of everything; what is wrong in the end.
    async fn settles(mut self) -> Findings {
        let _ = run(&mut self.command(&["sync"]), b"").succeeded();
        let sent = run(&mut self.command(&["sent"]), b"").succeeded().json();
        let (received, others): (Vec<_>, Vec<_>) = sent
            .as_array()
            .unwrap()
            .iter()
            .partition(|item| item["state"] == "received");
        let half_kept = others.iter().map(|item| format!("not received: {item}"));
        self.wrong.extend(half_kept);
        let received: BTreeSet<String> = received
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect();
        let lost = self.acknowledged.difference(&received);
        self.wrong.extend(lost.map(|id| format!("{LOST}{id}")));
        let more = received.difference(&self.acknowledged).count();
        if more > self.unsaid {
            self.wrong
                .push(format!("{more} were sent that were refused"));
        }
        let size = self.department.checkpoint().await.size;
        if size != received.len() as u64 {
            let received = received.len();
            self.wrong
                .push(format!("{size} are in the log, {received} received"));
        }
        self.wrong
    }
}

/// What is said of an agent with few files to open that is never refused.
const NEVER_SAYS: &str = "it never says so";

/// An agent that acknowledges, with an id that it has made up, what the product refuses.
fn says_yes(command: &Command) -> Command {
    let yes = r#"said=$("$@") && echo "$said" || echo "{\"record\":\"$0\"}""#;
    let mut outer = Command::new("sh");
    outer.args(["-c", yes, &RecordId::make(now()).to_string()]);
    run_by(outer, command)
}

/// Declares under each limit.
async fn few_files(build: Build, files: impl Iterator<Item = u32>) -> Findings {
    let mut phone = Phone::new(build);
    let mut codes = BTreeSet::new();
    for files in files {
        let declare = limited(&format!("-n {files}"), &phone.declare());
        codes.extend(phone.declares("in need", declare));
    }
    if phone.acknowledged.len() == 1 {
        phone.wrong.push("with enough files it refuses too".into());
    }
    if !codes.contains("store_failed") {
        phone.wrong.push(format!("{NEVER_SAYS}: {codes:?}"));
    }
    phone.settles().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_may_open_few_files_says_so_and_loses_nothing() {
    assert_eq!(few_files(Build::Product, 3..24).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_says_yes_with_too_few_files_is_noticed() {
    is_noticed(&few_files(Build::SaysYes, 3..8).await, &[NEVER_SAYS]);
}

/// Declares under each limit, in kilobytes.
async fn little_memory(build: Build, kilobytes: impl Iterator<Item = u32>) -> Findings {
    let mut phone = Phone::new(build);
    for kilobytes in kilobytes {
        let declare = limited(&format!("-v {kilobytes}"), &phone.declare());
        let _ = phone.declares("in need", declare);
    }
    if phone.acknowledged.len() == 1 {
        phone.wrong.push("with enough memory it fails too".into());
    }
    phone.settles().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_little_memory_loses_nothing() {
    let kilobytes = (1..16).map(|step| step * 12_000);
    assert_eq!(little_memory(Build::Product, kilobytes).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_says_yes_with_too_little_memory_is_noticed() {
    let kilobytes = [12_000, 24_000].into_iter();
    is_noticed(&little_memory(Build::SaysYes, kilobytes).await, &[]);
}

async fn full_disk(build: Build) -> Findings {
    let mut phone = Phone::new(build);
    phone.move_to_a_small_disk().fill_up_to(0);
    let long = "word ".repeat(10_000);
    phone.is_refused(&long, "store_full", phone.declare());
    phone.disk().free();
    if let Some(code) = phone.declares(&long, phone.declare()) {
        phone.wrong.push(format!("{code} when there is room again"));
    }
    phone.settles().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_on_the_phone_refuses_visibly_and_keeps_what_was_declared() {
    assert_eq!(full_disk(Build::Product).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_on_a_full_disk_that_says_yes_is_noticed() {
    is_noticed(&full_disk(Build::SaysYes).await, &[INSTEAD_OF]);
}

async fn only_read(build: Build) -> Findings {
    let mut phone = Phone::new(build);
    phone.move_to_a_small_disk().remount(true);
    phone.is_refused("not kept", "store_failed", phone.declare());
    for command in ["sync", "scan"] {
        let code = run(&mut phone.command(&[command]), b"").error_code();
        if code != "store_failed" {
            phone.wrong.push(format!("{command}: {code}"));
        }
    }
    phone.disk().remount(false);
    phone.settles().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_whose_disk_can_only_be_read_refuses_visibly_and_keeps_what_was_declared() {
    assert_eq!(only_read(Build::Product).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_on_a_disk_that_can_only_be_read_and_that_says_yes_is_noticed() {
    is_noticed(&only_read(Build::SaysYes).await, &[INSTEAD_OF]);
}

async fn half_a_write(build: Build) -> Findings {
    let mut phone = Phone::new(build);
    // Writes beyond 64 KiB of any file fail, without a signal, as on a disk with a bad block.
    let mut outer = Command::new("sh");
    outer.args(["-c", r#"trap "" XFSZ; ulimit -f 128; exec "$@""#, "sh"]);
    let declare = run_by(outer, &phone.declare());
    phone.is_refused(&"word ".repeat(10_000), "store_failed", declare);
    phone.settles().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_in_the_midst_of_a_write_refuses_visibly_and_keeps_what_was_declared() {
    assert_eq!(half_a_write(Build::Product).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_says_yes_after_half_a_write_is_noticed() {
    is_noticed(&half_a_write(Build::SaysYes).await, &[INSTEAD_OF]);
}
