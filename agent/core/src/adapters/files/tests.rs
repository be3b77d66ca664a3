use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_file_is_replaced_as_a_whole_and_nothing_else_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity.json");
    write_atomically(&path, b"one").unwrap();
    write_atomically(&path, b"two").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_write_that_fails_leaves_the_earlier_file_and_no_half_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("taken");
    // A file cannot be renamed over a directory that is not empty.
    fs::create_dir(&path).unwrap();
    fs::write(path.join("inside"), b"kept").unwrap();
    assert!(write_atomically(&path, b"new").is_err());
    assert_eq!(fs::read(path.join("inside")).unwrap(), b"kept");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(write_atomically(&dir.path().join("missing/file"), b"new").is_err());
}

#[test]
fn a_destroyed_file_is_gone_and_destroying_nothing_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let link = dir.path().join("second name of the same file");
    write_atomically(&path, &[7; 10_000]).unwrap();
    fs::hard_link(&path, &link).unwrap();
    destroy(&path).unwrap();
    destroy(&path).unwrap();
    assert!(!path.exists());
    assert_eq!(fs::read(link).unwrap(), [0; 10_000]);
}

#[test]
fn a_home_has_one_holder_and_the_second_is_told_who() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("candour");
    let lock = HomeLock::acquire(&home).unwrap();
    assert_eq!(mode(&home), 0o700);
    let second = HomeLock::acquire(&home).unwrap_err();
    assert!(matches!(second, StoreError::Busy { holder: Some(pid) } if pid == std::process::id()));
    drop(lock);
    HomeLock::acquire(&home).unwrap();
}

#[test]
fn a_lock_file_with_nonsense_in_it_names_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let _lock = HomeLock::acquire(dir.path()).unwrap();
    for nonsense in ["", "who?", "99999999999999999999999999"] {
        fs::write(dir.path().join("agent.lock"), nonsense).unwrap();
        assert!(matches!(
            HomeLock::acquire(dir.path()),
            Err(StoreError::Busy { holder: None })
        ));
    }
}

#[test]
fn a_full_disk_and_a_failing_one_are_told_apart() {
    use candour_wire::Code;
    use std::io::ErrorKind;

    for (kind, code) in [
        (ErrorKind::StorageFull, Code::StoreFull),
        (ErrorKind::QuotaExceeded, Code::StoreFull),
        (ErrorKind::PermissionDenied, Code::StoreFailed),
        (ErrorKind::Other, Code::StoreFailed),
    ] {
        let error = StoreError::from(io::Error::from(kind));
        assert_eq!(error.code(), code, "{kind}");
    }
}
