//! The first thing that a new user runs.

use candour_tests::program::run;

use crate::program;

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
