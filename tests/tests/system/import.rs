//! Exported chats by the command line: looked at, picked from, declared.

mod hostile;
mod terminal;

use std::fs;
use std::path::Path;

use candour_tests::{AgentCli, Department, Outcome};
use candour_wire::Digest;
use serde_json::Value;

use crate::department;

/// An export that is shipped for the demo.
fn fixture(path: &str) -> String {
    format!("{}/fixtures/whatsapp/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// An export that the importers are tested with.
fn shipped(path: &str) -> String {
    format!(
        "{}/../agent/import/tests/{path}",
        env!("CARGO_MANIFEST_DIR")
    )
}

/// What a complete declaration needs besides its messages.
const REST: [&str; 8] = [
    "--significance",
    "logistical",
    "--marking",
    "official",
    "--by",
    "Ada Lovell (Private Secretary)",
    "--direction",
    "both",
];

fn enrolled(department: &Department) -> AgentCli {
    let cli = AgentCli::new(department, "phone");
    cli.enrol(department);
    cli
}

/// Picks messages with `more` arguments and declares them, or shows them with `--dry-run`.
fn pick(cli: &AgentCli, export: &[&str], more: &[&str]) -> Outcome {
    let args: Vec<&str> = ["import"]
        .iter()
        .chain(export)
        .chain(&REST)
        .chain(more)
        .copied()
        .collect();
    cli.run(&args, "")
}

fn texts(messages: &Value) -> Vec<&str> {
    let messages = messages.as_array().unwrap().iter();
    messages.map(|m| m["text"].as_str().unwrap()).collect()
}

/// What the records office reads.
fn opened(department: &Department, id: &str) -> Value {
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
    department.command(&open).succeeded().json()
}

#[tokio::test(flavor = "multi_thread")]
async fn picked_messages_of_an_exported_chat_are_declared_with_their_source() {
    let department = department();
    let cli = AgentCli::new(&department, "phone");
    cli.enrol(&department);
    let chat = &fixture("ios/_chat.txt");
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
    let opened = opened(&department, id);
    let messages = &opened["content"]["messages"];
    assert_eq!(messages.as_array().map(Vec::len), Some(3), "{opened}");
    assert!(messages[0]["source_sha256"].is_string(), "{messages}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_wide_export_is_listed_and_one_chat_of_it_is_chosen() {
    let department = department();
    let cli = AgentCli::new(&department, "phone");
    let account = &shipped("telegram/account.json");
    let listed = cli.run(&["import", account], "").succeeded().json();
    let conversations = listed["conversations"].as_array().unwrap();
    assert!(conversations.len() > 1, "{listed}");
    for conversation in conversations {
        let id = conversation["id"].as_str().unwrap();
        let chosen = cli.run(&["import", account, "--conversation", id], "");
        let chosen = chosen.succeeded().json();
        assert_eq!(chosen["messages_in_all"], conversation["messages"], "{id}");
        assert_eq!(conversation["first"], "2024-06-01", "{id}");
    }
    let refused = cli.run(&["import", account, "--conversation", "nobody"], "");
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert_eq!(refused.error_code(), "import_needs_conversation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_and_a_set_of_files_are_read_alike_and_their_files_are_sealed() {
    let department = department();
    let cli = enrolled(&department);
    let folder = fixture("android");
    let text = fixture("android/WhatsApp Chat with Budget Bill core team.txt");
    let file = fixture("android/clause-14-options.txt");
    let listed = |export: &[&str]| {
        let args: Vec<&str> = ["import"].iter().chain(export).copied().collect();
        cli.run(&args, "").succeeded().json()
    };
    let of_folder = listed(&[&folder]);
    assert_eq!(of_folder["title"], "Budget Bill core team");
    assert_eq!(of_folder["messages_in_all"], 29);
    // Android hands the files over in any order.
    assert_eq!(listed(&[&file, &text]), of_folder);
    for export in [&[folder.as_str()][..], &[&file, &text]] {
        let shown = pick(&cli, export, &["--pick", "10", "--dry-run"]);
        let shown = shown.succeeded().json();
        let sealed = shown["preview"]["attachments"].as_array().unwrap();
        assert_eq!(sealed.len(), 1, "{shown}");
        assert_eq!(sealed[0]["name"], "clause-14-options.txt");
        assert_eq!(
            sealed[0]["sha256"],
            Digest::of(&fs::read(&file).unwrap()).to_string()
        );
    }
    // What it is says its content, not its name.
    let dir = tempfile::tempdir().unwrap();
    let unnamed = dir.path().join("backup");
    fs::copy(&text, &unnamed).unwrap();
    let of_unnamed = listed(&[unnamed.to_str().unwrap()]);
    assert_eq!(of_unnamed["sha256"], of_folder["sha256"]);
    let refused = cli.run(&["import", &folder, &text], "");
    assert_eq!(refused.error_code(), "usage_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_files_than_a_declaration_may_have_are_refused_before_one_is_sealed() {
    let department = department();
    let cli = enrolled(&department);
    let folder = tempfile::tempdir().unwrap();
    let mut chat = String::new();
    for number in 1..=66 {
        let name = format!("note-{number}.txt");
        chat += &format!("23/02/2026, 08:33 - Gareth: {name} (file attached)\n");
        // One that is not there does not count.
        if number != 66 {
            fs::write(folder.path().join(name), number.to_string()).unwrap();
        }
    }
    let name = "WhatsApp Chat with Gareth.txt";
    fs::write(folder.path().join(name), chat).unwrap();
    let export = folder.path().to_str().unwrap();
    let refused = pick(&cli, &[export], &["--pick", "1-66", "--yes"]);
    assert_eq!(refused.error_code(), "field_too_long");
    let spool = fs::read_dir(cli.home().join("attachments")).unwrap();
    assert_eq!(spool.count(), 0);
    for few in [&["--pick", "2-66"][..], &["--pick", "1-66", "--no-files"]] {
        let few: Vec<&str> = few.iter().chain(&["--dry-run"]).copied().collect();
        let _ = pick(&cli, &[export], &few).succeeded();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_says_what_it_leaves_out_which_way_messages_went_and_what_they_said_before() {
    let department = department();
    let cli = enrolled(&department);
    let account = shipped("signal");
    let several = cli.run(&["import", &account], "").succeeded().json();
    assert!(
        several["conversations"].as_array().unwrap().len() > 1,
        "{several}"
    );
    let unchosen = pick(&cli, &[&account], &["--pick", "1", "--dry-run"]);
    assert_eq!(unchosen.error_code(), "import_needs_conversation");

    let chosen = [account.as_str(), "--conversation", "1"];
    let listed = cli.run(&["import", chosen[0], chosen[1], chosen[2]], "");
    let listed = listed.succeeded().json();
    let caveats = listed["caveats"].as_array().unwrap();
    assert!(
        caveats.contains(&"disappearing_left_out".into()),
        "{listed}"
    );
    let messages = listed["messages"].as_array().unwrap();
    assert_eq!(
        (&messages[1]["outgoing"], &messages[2]["outgoing"]),
        (&Value::Bool(false), &Value::Bool(true))
    );
    let edited = messages.iter().find(|m| m["flags"][0] == "edited").unwrap();
    let before = edited["earlier_wordings"][0]["text"].as_str().unwrap();

    // Nobody is asked who the holder is: the export knows.
    let number = edited["number"].to_string();
    let mut args = vec!["import", chosen[0], chosen[1], chosen[2], "--dry-run"];
    args.extend(&REST[..6]);
    args.extend(["--pick", &number]);
    let shown = cli.run(&args, "").succeeded().json();
    assert_eq!(shown["preview"]["direction"], "received", "{shown}");
    let said = texts(&shown["preview"]["messages"]);
    assert_eq!(said, [before, edited["text"].as_str().unwrap()]);
    assert_eq!(
        shown["preview"]["messages"][0]["flags"][0],
        "earlier_wording"
    );
    let whole = fs::read(Path::new(&account).join("main.jsonl")).unwrap();
    let digest = Digest::of(&whole).to_string();
    assert_eq!(shown["preview"]["source"]["sha256"], digest);
    assert_eq!(listed["sha256"], digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_picks_what_it_lists_and_a_range_what_is_listed_within_it() {
    let department = department();
    let cli = enrolled(&department);
    let chat = fixture("android");
    let picked = |more: &[&str]| {
        let more: Vec<&str> = more
            .iter()
            .chain(&["--no-files", "--dry-run"])
            .copied()
            .collect();
        pick(&cli, &[&chat], &more)
    };
    let shown = picked(&[
        "--author", "priya", "--text", "decision", "--pick", "listed",
    ]);
    let shown = shown.succeeded().json();
    assert_eq!(
        texts(&shown["preview"]["messages"]),
        ["A decision. Please treat it as approval to instruct counsel."]
    );
    let shown = picked(&["--author", "Priya", "--pick", "10-13"])
        .succeeded()
        .json();
    assert_eq!(shown["preview"]["messages"].as_array().unwrap().len(), 2);
    for wrong in [
        &["--author", "Priya", "--pick", "12"][..],
        &["--text", "no such words", "--pick", "listed"],
        &["--pick", "30"],
        &["--pick", "everything"],
    ] {
        let refused = picked(wrong);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_declared_is_marked_and_not_offered_again_unless_it_is_asked_for() {
    let department = department();
    let cli = enrolled(&department);
    let dir = tempfile::tempdir().unwrap();
    let chat = dir
        .path()
        .join("WhatsApp Chat with Budget Bill core team.txt");
    fs::copy(
        fixture("android/WhatsApp Chat with Budget Bill core team.txt"),
        &chat,
    )
    .unwrap();
    let export = [chat.to_str().unwrap()];
    let declared = pick(&cli, &export, &["--no-files", "--pick", "12-13", "--yes"]);
    let record = declared.succeeded().json()["record"].clone();

    // The chat has gone on since, and is exported once more.
    let mut text = fs::read_to_string(&chat).unwrap();
    text.push_str("17/02/2026, 09:00 - Priya Sample: One thing more.\n");
    fs::write(&chat, text).unwrap();
    let listed = cli.run(&["import", export[0]], "").succeeded().json();
    let known: Vec<u64> = listed["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| !message["declared"].is_null())
        .map(|message| message["number"].as_u64().unwrap())
        .collect();
    assert_eq!(known, [12, 13]);
    assert_eq!(listed["messages"][11]["declared"]["record"], record);

    let shown = pick(&cli, &export, &["--pick", "12-14", "--dry-run"]);
    assert!(shown.stderr.contains("--again"), "{shown:?}");
    let shown = shown.succeeded().json();
    assert_eq!(
        texts(&shown["preview"]["messages"]),
        ["Instructing counsel now"]
    );
    let refused = pick(&cli, &export, &["--pick", "12", "--dry-run"]);
    assert_eq!(refused.error_code(), "selection_invalid");
    let again = pick(&cli, &export, &["--pick", "12", "--again", "--dry-run"]);
    let again = again.succeeded().json();
    assert_eq!(again["preview"]["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redacted_passage_is_nowhere_and_the_record_says_that_it_was_there() {
    let department = department();
    let cli = enrolled(&department);
    let dir = tempfile::tempdir().unwrap();
    let chat = dir.path().join("_chat.txt");
    fs::write(
        &chat,
        "[13/02/2026, 09:05:00] Alice: The annex is agreed. Zo\u{eb} is at marmalade 946 0000.\n\
         [13/02/2026, 09:06:00] Bob: Calling marmalade 946 0000 now.\n",
    )
    .unwrap();
    let export = [chat.to_str().unwrap()];
    let passages = dir.path().join("passages");
    fs::write(&passages, "1:marmalade 946 0000\n1:Zo\u{eb}\n").unwrap();
    let from_file = format!("@{}", passages.display());
    let why = ["--redact-why", "third_party_personal"];
    let args = [
        "--pick", "1", "--redact", &from_file, why[0], why[1], "--yes",
    ];
    let declared = pick(&cli, &export, &args).succeeded().json();
    let id = declared["record"].as_str().unwrap();
    assert!(!crate::privacy::contains(cli.home(), "marmalade"));
    assert!(!declared.to_string().contains("marmalade"), "{declared}");
    assert_eq!(cli.run(&["sync"], "").succeeded().json()["received"], 1);
    let content = opened(&department, id)["content"].clone();
    assert_eq!(
        texts(&content["messages"]),
        ["The annex is agreed. [redacted] is at [redacted]."]
    );
    let redactions = content["messages"][0]["redactions"].as_array().unwrap();
    assert_eq!(redactions.len(), 2, "{content}");
    assert_eq!(redactions[0]["reason"], "third_party_personal");
    assert!(content["messages"][0]["source_sha256"].is_null());

    // Known by what it said, redacted or not.
    let listed = cli.run(&["import", export[0]], "").succeeded().json();
    assert_eq!(listed["messages"][0]["declared"]["record"], id);

    let dry = |more: &[&str]| {
        let more: Vec<&str> = more.iter().chain(&["--dry-run"]).copied().collect();
        pick(&cli, &export, &more)
    };
    let both = dry(&[
        "--pick",
        "1-2",
        "--again",
        "--redact",
        "2:marmalade",
        why[0],
        why[1],
    ]);
    assert!(both.stderr.contains("stands in 1 too"), "{both:?}");
    let with_file = [
        "--pick",
        "10",
        "--redact",
        "10:night",
        why[0],
        why[1],
        "--dry-run",
    ];
    let with_file = pick(&cli, &[&fixture("android")], &with_file).succeeded();
    assert!(with_file.stderr.contains("--no-files"), "{with_file:?}");
    for (more, code) in [
        (
            &["--redact", "2:Marmalade", why[0], why[1]][..],
            "redaction_invalid",
        ),
        (
            &["--redact", "1:marmalade", why[0], why[1]],
            "redaction_invalid",
        ),
        (
            &["--redact", "2:marmalade", why[0], "other"],
            "redaction_invalid",
        ),
        (&["--redact", "2:marmalade"], "usage_invalid"),
        (&["--redact", "marmalade", why[0], why[1]], "usage_invalid"),
    ] {
        let more: Vec<&str> = ["--pick", "2"].iter().chain(more).copied().collect();
        let refused = dry(&more);
        assert_eq!(refused.error_code(), code, "{more:?}");
        let told = format!("{}{}", refused.stdout, refused.stderr).to_lowercase();
        assert!(!told.contains("marmalade"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_were_copied_out_of_an_app_are_pasted_and_declared() {
    let department = department();
    let cli = enrolled(&department);
    let copied = "[13/02/2026, 09:05] Alice Example: The annex is agreed.\n\
                  [13/02/2026, 09:06] Bob Example: Then it goes today.\n";
    let mut args = vec!["import", "--paste", "--pick", "listed", "--dry-run"];
    args.extend(&REST);
    let shown = cli.run(&args, copied).succeeded().json();
    assert_eq!(
        texts(&shown["preview"]["messages"]),
        ["The annex is agreed.", "Then it goes today."]
    );
    assert_eq!(shown["preview"]["capture"], "paste");
    let listed = cli
        .run(&["import", "--paste"], "Agreed at 1.2m.")
        .succeeded();
    assert_eq!(texts(&listed.json()["messages"]), ["Agreed at 1.2m."]);
    let nothing = cli.run(&["import", "--paste"], " \n");
    assert_eq!(nothing.error_code(), "import_unknown_format");
    let both = cli.run(&["import", "--paste", "chat.txt"], copied);
    assert_eq!(both.error_code(), "usage_invalid");
}
