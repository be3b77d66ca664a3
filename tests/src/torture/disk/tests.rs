use std::fs;
use std::path::Path;

use fastrand::Rng;

use super::*;

fn trace(records: &[(u8, u64, u64, &str, &str)]) -> Trace {
    let mut bytes = Vec::new();
    for (kind, a, b, x, y) in records {
        bytes.push(*kind);
        bytes.extend_from_slice(&a.to_le_bytes());
        bytes.extend_from_slice(&b.to_le_bytes());
        for text in [x, y] {
            bytes.extend_from_slice(&u32::try_from(text.len()).unwrap().to_le_bytes());
        }
        bytes.extend_from_slice(x.as_bytes());
        bytes.extend_from_slice(y.as_bytes());
    }
    Trace::parse(bytes).unwrap()
}

fn image(trace: &Trace, heeds: Heeds, fate: Fate) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut disk = Disk::new(trace, heeds);
    trace.steps.iter().for_each(|step| disk.take(step));
    let mut rng = Rng::with_seed(1);
    disk.image(fate, &mut rng, &dir.path().join("d")).unwrap();
    dir
}

fn read(dir: &Path, name: &str) -> Option<String> {
    fs::read_to_string(dir.join("d").join(name)).ok()
}

const LOST: Fate = Fate {
    data: Data::Lost,
    names: Names::Lost,
    sector: 512,
    garbage: false,
};

#[test]
fn what_was_synced_stays_and_what_was_not_goes() {
    let begun = [
        (b'B', 1, 0, "", ""),
        (b'C', 2, 0, "a", ""),
        (b'W', 2, 0, "one", ""),
        (b'S', 2, 0, "", ""),
        (b'W', 2, 3, "two", ""),
    ];
    let trace = trace(&[&begun[..], &[(b'S', 1, 0, "", "")]].concat());
    let dir = image(&trace, Heeds::All, LOST);
    assert_eq!(read(dir.path(), "a").as_deref(), Some("one"));
    let dir = image(&trace, Heeds::All, Fate::KEEP);
    assert_eq!(read(dir.path(), "a").as_deref(), Some("onetwo"));
    let dir = image(&trace, Heeds::None, LOST);
    assert_eq!(read(dir.path(), "a"), None, "its name was not synced");
    let dir = image(&trace, Heeds::Files, LOST);
    assert_eq!(read(dir.path(), "a"), None, "its name was not synced");
    let later = Fate {
        data: Data::Newest,
        ..LOST
    };
    let dir = image(&trace, Heeds::All, later);
    assert_eq!(read(dir.path(), "a").as_deref(), Some("onetwo"));
}

#[test]
fn a_rename_that_was_not_synced_brings_the_earlier_file_back() {
    let trace = trace(&[
        (b'B', 1, 0, "", ""),
        (b'C', 2, 0, "a", ""),
        (b'W', 2, 0, "old", ""),
        (b'S', 2, 0, "", ""),
        (b'S', 1, 0, "", ""),
        (b'C', 3, 0, "a.new", ""),
        (b'W', 3, 0, "new", ""),
        (b'S', 3, 0, "", ""),
        (b'R', 0, 0, "a.new", "a"),
    ]);
    let dir = image(&trace, Heeds::All, LOST);
    assert_eq!(read(dir.path(), "a").as_deref(), Some("old"));
    assert_eq!(read(dir.path(), "a.new"), None);
    let dir = image(&trace, Heeds::All, Fate::KEEP);
    assert_eq!(read(dir.path(), "a").as_deref(), Some("new"));
}

#[test]
fn normal_leaves_out_the_syncs_of_commits_and_no_others() {
    let frame = "f".repeat(100);
    let trace = trace(&[
        (b'B', 1, 0, "", ""),
        (b'C', 2, 0, "x.db-wal", ""),
        (b'S', 1, 0, "", ""),
        (b'W', 2, 0, &"h".repeat(32), ""),
        (b'S', 2, 0, "", ""),
        (b'W', 2, 32, &frame, ""),
        (b'S', 2, 0, "", ""),
    ]);
    let length = |heeds| {
        let dir = image(&trace, heeds, LOST);
        read(dir.path(), "x.db-wal").map(|text| text.len())
    };
    assert_eq!(length(Heeds::All), Some(132));
    assert_eq!(length(Heeds::AllButCommits), Some(32), "the header was");
}

#[test]
fn the_sync_before_a_log_is_copied_counts_for_normal_too() {
    let trace = trace(&[
        (b'B', 1, 0, "", ""),
        (b'C', 2, 0, "x.db-wal", ""),
        (b'S', 1, 0, "", ""),
        (b'W', 2, 32, "frame", ""),
        (b'S', 2, 0, "", ""),
        (b'S', 2, 0, "", ""),
    ]);
    let dir = image(&trace, Heeds::AllButCommits, LOST);
    assert_eq!(
        read(dir.path(), "x.db-wal").map(|text| text.len()),
        Some(37)
    );
}

#[test]
fn a_torn_write_leaves_whole_sectors_and_touches_nothing_beside_it() {
    let trace = trace(&[
        (b'B', 1, 0, "", ""),
        (b'C', 2, 0, "a", ""),
        (b'W', 2, 0, &"-".repeat(3000), ""),
        (b'S', 2, 0, "", ""),
        (b'S', 1, 0, "", ""),
        (b'W', 2, 100, &"x".repeat(2500), ""),
    ]);
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = Disk::new(&trace, Heeds::All);
        trace.steps.iter().for_each(|step| disk.take(step));
        let fate = Fate {
            data: Data::Torn,
            ..LOST
        };
        let mut rng = Rng::with_seed(seed);
        disk.image(fate, &mut rng, &dir.path().join("d")).unwrap();
        let text = read(dir.path(), "a").unwrap();
        assert_eq!(
            (&text[..100], &text[2600..]),
            (&*"-".repeat(100), &*"-".repeat(400))
        );
        for sector in [
            100..512,
            512..1024,
            1024..1536,
            1536..2048,
            2048..2560,
            2560..2600,
        ] {
            let bytes: std::collections::BTreeSet<u8> =
                text.as_bytes()[sector].iter().copied().collect();
            assert_eq!(bytes.len(), 1, "a sector is whole");
        }
        seen.insert(text);
    }
    assert!(seen.len() > 20);
}

#[test]
fn a_trace_that_the_recorder_could_not_write_down_is_refused() {
    let raw = |kind: u8| {
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&[0; 24]);
        bytes
    };
    assert!(Trace::parse(raw(b'X')).is_err());
    assert!(Trace::parse(raw(b'W')).is_err(), "a file that nobody made");
    assert!(Trace::parse(raw(b'B')[..20].to_vec()).is_err());
}
