//! The first thing that a new user runs, and imports by the command line.

use std::path::{Path, PathBuf};

use candour_tests::AgentCli;
use candour_tests::program::run;

use crate::{department, program};

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/whatsapp")
        .join(path)
}

#[test]
fn the_demo_runs_from_beginning_to_end() {
    let dir = tempfile::tempdir().unwrap();
    let keep = dir.path().join("demo");
    let mut demo = program().demo(["--once", "--handsets", "12", "--keep"]);
    demo.arg(&keep);
    let shown = run(&mut demo, b"").succeeded().stdout;
    let lines: Vec<&str> = shown.lines().collect();
    for step in 1..=8 {
        let begins = format!("{step}. ");
        assert!(
            lines.iter().any(|line| line.starts_with(&begins)),
            "no step {step}: {shown}"
        );
    }
    assert!(shown.contains("have WhatsApp"), "{shown}");

    // The commands that it says to try next are ones that work.
    let next = shown
        .lines()
        .map(str::trim)
        .find(|line| line.ends_with(" verify"))
        .expect("a command to try");
    let mut next = next.split(' ');
    let mut verify = std::process::Command::new(next.next().unwrap());
    verify.args(next);
    let verified = run(&mut verify, b"").succeeded().stdout;
    assert!(verified.contains("receipts prove"), "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn picked_messages_of_an_exported_chat_are_declared_with_their_source() {
    let department = department();
    let cli = AgentCli::new(&department, "phone");
    cli.enrol(&department);
    let chat = fixture("ios/_chat.txt");
    let chat = chat.to_str().unwrap();
    let listed = cli.run(&["import", chat], "").succeeded().json();
    assert!(listed.to_string().len() > 500, "{listed}");
    let pick = [
        "import",
        chat,
        "--pick",
        "3-5",
        "--no-files",
        "--significance",
        "significant",
        "--direction",
        "both",
        "--reason",
        "The Minister was travelling",
        "--by",
        "Ada Lovell (Private Secretary)",
        "--yes",
    ];
    let declared = cli.run(&pick, "").succeeded().json();
    let id = declared["record"].as_str().unwrap();
    assert_eq!(cli.run(&["sync"], "").succeeded().json()["received"], 1);
    let key = department.data().join("records-role/records.key");
    let open = [
        "open",
        id,
        "--key",
        key.to_str().unwrap(),
        "--reason",
        "FOI",
        "--who",
        "Rita",
        "--json",
    ];
    let opened = department.command(&open).succeeded().json();
    let messages = &opened["content"]["messages"];
    assert_eq!(messages.as_array().map(Vec::len), Some(3), "{opened}");
    assert!(messages[0]["source_sha256"].is_string(), "{messages}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_wide_export_is_listed_and_one_chat_of_it_is_chosen() {
    let department = department();
    let cli = AgentCli::new(&department, "phone");
    let account = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../agent/import/tests/telegram/account.json"
    );
    let listed = cli.run(&["import", account], "").succeeded().json();
    let conversations = listed["conversations"].as_array().unwrap();
    assert!(conversations.len() > 1, "{listed}");
    for conversation in conversations {
        let id = conversation["id"].as_str().unwrap();
        let chosen = cli.run(&["import", account, "--conversation", id], "");
        let chosen = chosen.succeeded().json();
        assert_eq!(chosen["messages_in_all"], conversation["messages"], "{id}");
    }
    let refused = cli.run(&["import", account, "--conversation", "nobody"], "");
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert_eq!(refused.error_code(), "import_needs_conversation");
}
