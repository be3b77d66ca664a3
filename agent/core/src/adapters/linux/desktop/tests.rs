use std::fs::{self, Permissions};

use proptest::prelude::*;

use super::*;

const PLAIN: &str = "[Desktop Entry]\nType=Application\nName=Signal\nExec=signal-desktop %U\n";

/// Writes a system-wide entry and asks for it.
fn ask_for(entry: &[u8]) -> Answer {
    let machine = tempfile::tempdir().unwrap();
    let roots = Roots::under(machine.path());
    let directory = machine.path().join("usr/share/applications");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("signal-desktop.desktop"), entry).unwrap();
    ask(&roots, "signal-desktop")
}

#[test]
fn an_applications_entry_counts_and_others_do_not() {
    assert_eq!(ask_for(PLAIN.as_bytes()), Answer::Found);
    assert_eq!(
        ask_for(format!("# a comment\n\n{PLAIN}NoDisplay=true\n").as_bytes()),
        Answer::Found
    );
    assert_eq!(
        ask_for(format!("{PLAIN}\n[Desktop Action new]\nName=x\nHidden=true\n").as_bytes()),
        Answer::Found
    );
    assert_eq!(
        ask_for(format!("{PLAIN}Hidden=true\n").as_bytes()),
        Answer::NotFound
    );
    assert_eq!(
        ask_for(b"[Desktop Entry]\nType=Link\nURL=https://signal.org\n"),
        Answer::NotFound
    );
    assert_eq!(
        ask_for(format!("{PLAIN}TryExec=/no/such/program\n").as_bytes()),
        Answer::NotFound
    );
    assert_eq!(
        ask_for(format!("{PLAIN}TryExec=no-such-program\n").as_bytes()),
        Answer::NotFound
    );
}

#[test]
fn a_broken_entry_cannot_tell() {
    let long = format!("{PLAIN}Comment={}\n", "x".repeat(128 << 10));
    for entry in [
        &b""[..],
        b"\0\0\0\0",
        b"Type=Application\n",
        b"[Desktop Entry]\nName=no type\n",
        b"[Another Group]\nType=Application\n",
        b"[Desktop Entry\nType=Application\n",
        &[0xff; 100],
        long.as_bytes(),
    ] {
        assert_eq!(
            ask_for(entry),
            Answer::CannotTell,
            "{:?}",
            entry.get(..entry.len().min(30))
        );
    }
}

#[test]
fn a_condition_holds_when_its_program_can_be_run() {
    let machine = tempfile::tempdir().unwrap();
    let roots = Roots::under(machine.path());
    let directory = machine.path().join("usr/share/applications");
    let programs = machine.path().join("usr/bin");
    fs::create_dir_all(&directory).unwrap();
    fs::create_dir_all(&programs).unwrap();
    fs::write(
        directory.join("signal-desktop.desktop"),
        format!("{PLAIN}TryExec=signal-desktop\n"),
    )
    .unwrap();
    assert_eq!(ask(&roots, "signal-desktop"), Answer::NotFound);

    let program = programs.join("signal-desktop");
    fs::write(&program, "").unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        ask(&roots, "signal-desktop"),
        Answer::NotFound,
        "it cannot be run"
    );
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(ask(&roots, "signal-desktop"), Answer::Found);
}

#[test]
fn an_entry_that_is_no_file_is_not_opened() {
    let machine = tempfile::tempdir().unwrap();
    let roots = Roots::under(machine.path());
    let directory = machine.path().join("usr/share/applications");
    fs::create_dir_all(directory.join("signal-desktop.desktop")).unwrap();
    assert_eq!(ask(&roots, "signal-desktop"), Answer::CannotTell);
    std::os::unix::fs::symlink("/no/such/app", directory.join("pidgin.desktop")).unwrap();
    assert_eq!(
        ask(&roots, "pidgin"),
        Answer::NotFound,
        "a link to an app that has gone"
    );
    std::os::unix::fs::symlink("nheko.desktop", directory.join("nheko.desktop")).unwrap();
    assert_eq!(ask(&roots, "nheko"), Answer::CannotTell, "a link to itself");
    // Opening an endless device would never come back.
    std::os::unix::fs::symlink("/dev/zero", directory.join("gajim.desktop")).unwrap();
    assert_eq!(ask(&roots, "gajim"), Answer::CannotTell);
}

#[test]
fn hiding_an_entry_in_ones_own_directory_does_not_hide_the_app() {
    let machine = tempfile::tempdir().unwrap();
    let roots = Roots::under(machine.path());
    let system = machine.path().join("usr/share/applications");
    let own = machine.path().join("home/holder/.local/share/applications");
    for (directory, entry) in [
        (&system, PLAIN.to_owned()),
        (&own, format!("{PLAIN}Hidden=true\n")),
    ] {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join("signal-desktop.desktop"), entry).unwrap();
    }
    assert_eq!(ask(&roots, "signal-desktop"), Answer::Found);
    fs::remove_file(system.join("signal-desktop.desktop")).unwrap();
    assert_eq!(ask(&roots, "signal-desktop"), Answer::NotFound);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        // What is asked is that it comes back at all; an entry of chance may be anything.
        let _ = ask_for(&bytes);
        let _ = ask_for(&[PLAIN.as_bytes(), &bytes].concat());
    }
}
