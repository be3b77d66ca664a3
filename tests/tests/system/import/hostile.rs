//! Files and folders that were made to do harm.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use candour_tests::program::run;

#[test]
fn hostile_files_and_folders_are_refused_or_shown_and_never_obeyed() {
    let dir = tempfile::tempdir().unwrap();
    let import = |paths: &[&Path], form: &[&str]| {
        let mut command = crate::program().agent(["import"]);
        command
            .args(paths)
            .args(form)
            .arg("--home")
            .arg(dir.path().join("home"));
        run(&mut command, b"")
    };
    let refused = |path: &Path| import(&[path], &["--json"]).error_code();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    };
    assert_eq!(refused(&file("empty.txt", b"")), "import_unknown_format");
    assert_eq!(refused(&file("empty.zip", b"")), "import_unknown_format");
    assert_eq!(
        refused(&file("cut.zip", b"PK\x03\x04")),
        "import_archive_refused"
    );
    assert_eq!(refused(Path::new("/dev/null")), "attachment_unreadable");
    let empty = dir.path().join("nothing in it");
    fs::create_dir(&empty).unwrap();
    assert_eq!(refused(&empty), "import_unknown_format");

    let chat = b"13/02/2026, 09:05 - Al\x1b[2Jice: \x1b]0;owned\x07 \xe2\x80\xaeecilA\n";
    let named = file("\u{1b}[31m/WhatsApp Chat with \u{1b}[2J.txt", chat);
    let shown = import(&[named.parent().unwrap()], &[]).succeeded();
    assert!(
        !shown.stdout.contains(['\u{1b}', '\u{7}', '\u{202e}']),
        "{shown:?}"
    );
    assert!(shown.stdout.contains("\\u{1b}[2J"), "{shown:?}");
    let missing = import(&[&dir.path().join("\u{1b}[31m.txt")], &[]);
    assert!(!missing.stderr.contains('\u{1b}'), "{missing:?}");

    let linked = file("linked/_chat.txt", chat);
    symlink("/etc", linked.with_file_name("media")).unwrap();
    assert_eq!(refused(linked.parent().unwrap()), "import_archive_refused");

    let many = dir.path().join("many");
    fs::create_dir(&many).unwrap();
    let one = file("many/_chat.txt", chat);
    // Links of one file cost no room; an export has at most 60,000.
    for number in 0..60_000 {
        fs::hard_link(&one, many.join(number.to_string()))
            .or_else(|_| {
                // Some file systems allow one file few names.
                fs::write(many.join(number.to_string()), b"")
            })
            .unwrap();
    }
    assert_eq!(refused(&many), "import_archive_refused");
    assert!(
        !dir.path().join("home").exists(),
        "looking leaves nothing behind"
    );
}
