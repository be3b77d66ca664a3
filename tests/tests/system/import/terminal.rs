//! The same by a person at a terminal.

use std::fs;
use std::process::Command;

use candour_tests::program::run;
use candour_tests::terminal::key;
use candour_tests::{AgentCli, Terminal};

use super::{REST, enrolled, shipped};
use crate::department;

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_chosen_redacted_and_confirmed_at_a_terminal() {
    let department = department();
    let cli = enrolled(&department);
    let account = shipped("signal");
    let plain = |args: &[&str]| Terminal::start(for_people(&cli, args));
    let mut args = vec!["import", &account, "--choose"];
    args.extend(&REST[..6]);
    args.extend(["--device", "government", "--disappearing", "off"]);
    let mut terminal = plain(&args);
    terminal.wait_for("Which conversation?");
    terminal.press("private office");
    terminal.wait_for("Budget Bill: private office");
    terminal.press(key::ENTER);
    terminal.wait_for("set to disappear");
    terminal.wait_for("Which messages are to be declared?");
    // Nothing is marked at first, and nothing goes on like that.
    terminal.press(key::ENTER);
    terminal.wait_for("Mark at least one");
    terminal.press("drafted");
    terminal.wait_for("Cleared");
    terminal.press(" ");
    terminal.wait_for("[x]");
    terminal.press(key::ENTER);
    terminal.wait_for("to be redacted?");
    terminal.press("y\r");
    terminal.wait_for("Which words");
    terminal.press("drafted\r");
    terminal.wait_for("Why is it redacted?");
    terminal.press("unrelated");
    terminal.wait_for("unrelated");
    terminal.press(key::ENTER);
    terminal.wait_for("Anything else?");
    terminal.press("n\r");
    terminal.wait_for("This will be declared:");
    terminal.wait_for("Sent");
    terminal.wait_for("[redacted]\"");
    terminal.wait_for("Declare this?");
    terminal.press("y\r");
    let (status, shown) = terminal.end();
    assert!(
        status.success() && shown.contains("Declared as record"),
        "{shown}"
    );

    let mut terminal = plain(&args);
    terminal.wait_for("Which conversation?");
    terminal.press(key::ESCAPE);
    let (status, shown) = terminal.end();
    assert_eq!(status.code(), Some(6), "{shown}");
    assert!(shown.contains("broken off"), "{shown}");
}

#[test]
fn an_order_of_dates_that_cannot_be_told_is_asked_for_at_a_terminal_and_refused_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let chat = dir.path().join("_chat.txt");
    fs::write(&chat, "03/02/2026, 09:05 - Alice: The annex is late.\n").unwrap();
    let command = || {
        let mut command = crate::program().agent(["import"]);
        command
            .arg(&chat)
            .arg("--home")
            .arg(dir.path().join("home"));
        command
    };
    let refused = run(command().arg("--json"), b"");
    assert_eq!(refused.error_code(), "import_needs_date_order");
    for (typed, date) in [("dmy", "3 Feb 2026"), ("mdy", "2 Mar 2026")] {
        let mut terminal = Terminal::start(command());
        terminal.wait_for("How did the phone write");
        terminal.press(typed);
        // The list has these letters too, but not behind the question.
        terminal.wait_for(&format!("? {typed}"));
        terminal.press(key::ENTER);
        let (status, shown) = terminal.end();
        assert!(
            status.success() && shown.contains(date),
            "{status}: {shown}"
        );
    }
}

/// A command that speaks to people.
fn for_people(cli: &AgentCli, args: &[&str]) -> Command {
    let mut command = crate::program().agent(args);
    command
        .arg("--home")
        .arg(cli.home())
        .arg("--config")
        .arg(cli.config());
    command
}
