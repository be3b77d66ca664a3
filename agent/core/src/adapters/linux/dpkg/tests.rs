use std::fs;
use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// A dpkg directory with that status file and a trace of each of the packages.
fn database(status: &str, traces: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("info")).unwrap();
    for package in traces {
        fs::write(dir.path().join(format!("info/{package}.list")), "/.\n").unwrap();
    }
    fs::write(dir.path().join("status"), status).unwrap();
    dir
}

fn ask_one(dir: &Path, package: &'static str) -> Answer {
    ask(dir, &BTreeSet::from([package]))[package]
}

fn stanza(package: &str, status: &str) -> String {
    format!("Package: {package}\nStatus: {status}\nDescription: a program\n that does things\n\n")
}

#[test]
fn the_third_word_of_the_status_decides() {
    for (status, answer) in [
        ("install ok installed", Answer::Found),
        ("hold ok installed", Answer::Found),
        ("deinstall ok installed", Answer::Found),
        ("install reinstreq unpacked", Answer::Found),
        ("install ok half-configured", Answer::Found),
        ("install ok triggers-pending", Answer::Found),
        ("deinstall ok config-files", Answer::NotFound),
        ("unknown ok not-installed", Answer::NotFound),
        ("install ok half-installed", Answer::CannotTell),
        ("install ok", Answer::CannotTell),
        ("nonsense", Answer::CannotTell),
    ] {
        let dir = database(
            &(stanza("bash", "install ok installed") + &stanza("pidgin", status)),
            &["pidgin"],
        );
        assert_eq!(ask_one(dir.path(), "pidgin"), answer, "{status}");
    }
}

#[test]
fn a_package_without_a_trace_is_not_there_and_the_status_file_is_not_opened() {
    let dir = database("", &["bash"]);
    fs::remove_file(dir.path().join("status")).unwrap();
    // Reading a directory as a file would fail, and the answer would be another.
    fs::create_dir(dir.path().join("status")).unwrap();
    assert_eq!(ask_one(dir.path(), "pidgin"), Answer::NotFound);
    assert_eq!(
        ask_one(dir.path(), "bash"),
        Answer::CannotTell,
        "had it been asked, it would have failed"
    );
}

#[test]
fn a_machine_without_dpkg_cannot_tell() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        ask_one(&dir.path().join("no-such-place"), "pidgin"),
        Answer::CannotTell
    );
    fs::write(
        dir.path().join("info"),
        "a file where a directory should be",
    )
    .unwrap();
    assert_eq!(ask_one(dir.path(), "pidgin"), Answer::CannotTell);
}

#[test]
fn a_trace_without_a_state_cannot_tell() {
    let dir = database(&stanza("bash", "install ok installed"), &["pidgin"]);
    assert_eq!(ask_one(dir.path(), "pidgin"), Answer::CannotTell);
    let dir = database("Package: pidgin\nVersion: 1\n", &["pidgin"]);
    assert_eq!(ask_one(dir.path(), "pidgin"), Answer::CannotTell);
}

#[test]
fn a_name_that_leads_out_of_the_place_is_not_looked_for() {
    let dir = database("", &[]);
    fs::write(dir.path().join("secret.list"), "").unwrap();
    for name in [
        "../secret",
        "",
        ".",
        "/etc/passwd",
        "a/b",
        "a\0b",
        "-x",
        "päckchen",
    ] {
        assert_eq!(ask_one(dir.path(), name), Answer::CannotTell, "{name:?}");
    }
}

#[test]
fn a_package_of_two_architectures_is_there_when_either_is() {
    let gone = stanza("pidgin", "deinstall ok config-files");
    let here = stanza("pidgin", "install ok installed");
    for status in [format!("{gone}{here}"), format!("{here}{gone}")] {
        let dir = database(&status, &["pidgin"]);
        assert_eq!(ask_one(dir.path(), "pidgin"), Answer::Found);
    }
}

#[test]
fn the_state_of_a_neighbour_is_not_taken_for_its_own() {
    let status = "Package: pidgin\nStatus: deinstall ok config-files\n\nPackage: pidgin-data\nStatus: install ok installed\n";
    let dir = database(status, &["pidgin"]);
    assert_eq!(ask_one(dir.path(), "pidgin"), Answer::NotFound);
    // A value's further line that looks like a field.
    let status = "Package: pidgin\nStatus: deinstall ok config-files\nDescription: x\n Status: install ok installed\n";
    let dir = database(status, &["pidgin"]);
    assert_eq!(ask_one(dir.path(), "pidgin"), Answer::NotFound);
}

#[test]
fn ten_megabytes_without_a_line_feed_are_read_in_bounded_memory() {
    let mut status = stanza("bash", "install ok installed").into_bytes();
    status.extend(b"Package: ");
    status.resize(status.len() + (10 << 20), b'a');
    status.extend(b"\n\n");
    status.extend(stanza("pidgin", "install ok installed").into_bytes());
    let wanted = BTreeSet::from(["pidgin"]);

    let mut line = Vec::new();
    let mut reader = Cursor::new(&status);
    while read_line(&mut reader, &mut line).unwrap() {
        assert!(line.len() <= LINE_MAX_BYTES && line.capacity() <= 2 * LINE_MAX_BYTES);
    }
    assert_eq!(
        read_states(Cursor::new(&status), &wanted).unwrap()["pidgin"],
        Answer::Found
    );
}

#[test]
fn a_status_file_beyond_the_limit_is_refused_unread() {
    let dir = database("", &["pidgin"]);
    // Sparse: it takes no room on the disk.
    let file = File::options()
        .write(true)
        .open(dir.path().join("status"))
        .unwrap();
    file.set_len(STATUS_MAX_BYTES + 1).unwrap();
    assert_eq!(ask_one(dir.path(), "pidgin"), Answer::CannotTell);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic_or_name_another_package(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let states = read_states(Cursor::new(bytes), &BTreeSet::from(["pidgin"])).unwrap();
        prop_assert!(states.keys().all(|package| *package == "pidgin"));
    }

    #[test]
    fn what_stands_around_a_stanza_does_not_change_its_state(
        before in "([A-Za-z-]{1,12}: [a-z ]{0,30}\n){0,8}",
        buffer in 1_usize..64,
    ) {
        let status = format!("{before}\n{}", stanza("pidgin", "install ok installed"));
        let reader = BufReader::with_capacity(buffer, Cursor::new(status));
        let states = read_states(reader, &BTreeSet::from(["pidgin"])).unwrap();
        prop_assert_eq!(states.get("pidgin"), Some(&Answer::Found));
    }
}
