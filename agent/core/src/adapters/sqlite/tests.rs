use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::adapters::memory::MemoryStore;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn db(&self) -> PathBuf {
        self.0.path().join("agent.db")
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.db()).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn put(key: &[u8], value: &[u8]) -> Change {
    Change::Put(Table::Meta, key.to_vec(), value.to_vec())
}

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

/// Spoils pages in the middle of the file.
fn spoil(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let length = bytes.len();
    bytes[length / 3..length * 2 / 3].fill(0xa5);
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_was_committed_is_there_when_it_is_opened_again() {
    let home = Home::new();
    home.open()
        .apply(&[put(b"a", b"1"), put(b"b", b""), put(b"a", b"2")])
        .unwrap();
    let store = home.open();
    assert_eq!(store.get(Table::Meta, b"a").unwrap(), Some(b"2".to_vec()));
    assert_eq!(store.get(Table::Meta, b"b").unwrap(), Some(Vec::new()));
    assert_eq!(store.get(Table::Draft, b"a").unwrap(), None);
    assert_eq!(
        store.usage(Table::Meta).unwrap(),
        Usage { rows: 2, bytes: 1 }
    );
}

#[test]
fn the_settings_that_protect_a_commit_are_in_force() {
    let home = Home::new();
    let store = home.open();
    let setting = |name: &str| -> String {
        let sql = format!("PRAGMA {name}");
        store
            .connection
            .query_row(&sql, [], |row| row.get::<_, rusqlite::types::Value>(0))
            .map(|value| format!("{value:?}"))
            .unwrap()
    };
    assert_eq!(setting("journal_mode"), "Text(\"wal\")");
    assert_eq!(setting("synchronous"), "Integer(2)", "FULL");
    assert_eq!(setting("fullfsync"), "Integer(1)");
    assert_eq!(setting("checkpoint_fullfsync"), "Integer(1)");
    assert_eq!(setting("secure_delete"), "Integer(1)");
}

#[test]
fn the_file_belongs_to_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let mut store = home.open();
    store.apply(&[put(b"a", b"1")]).unwrap();
    for name in home.files() {
        let mode = fs::metadata(home.0.path().join(&name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}

#[test]
fn a_second_opener_is_told_that_it_is_in_use() {
    let home = Home::new();
    let _first = home.open();
    assert!(matches!(
        SqliteStore::open(&home.db()),
        Err(StoreError::Busy { .. })
    ));
}

#[test]
fn a_full_disk_refuses_the_commit_and_later_ones_work() {
    let home = Home::new();
    let mut store = home.open();
    store.apply(&[put(b"kept", b"1")]).unwrap();
    let pages: i64 = store
        .connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    let limit = |store: &SqliteStore, pages: i64| {
        store
            .connection
            .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
            .unwrap();
    };
    limit(&store, pages + 2);
    let changes = [
        put(b"small", b"2"),
        put(b"large", &[7; 100_000]),
        Change::Delete(Table::Meta, b"kept".to_vec()),
    ];
    assert!(matches!(store.apply(&changes), Err(StoreError::Full)));
    assert_eq!(store.get(Table::Meta, b"small").unwrap(), None);
    assert_eq!(
        store.get(Table::Meta, b"kept").unwrap(),
        Some(b"1".to_vec())
    );
    limit(&store, 1 << 20);
    store.apply(&changes).unwrap();
    assert_eq!(
        store
            .get(Table::Meta, b"large")
            .unwrap()
            .map(|value| value.len()),
        Some(100_000)
    );
}

#[test]
fn after_a_commit_that_failed_nothing_more_is_tried() {
    let home = Home::new();
    let mut store = home.open();
    // A constraint that is only looked at when the commit comes.
    store
        .connection
        .execute_batch(
            "PRAGMA foreign_keys = ON;
             CREATE TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER break_commit AFTER INSERT ON meta BEGIN INSERT INTO child VALUES (1); END;",
        )
        .unwrap();
    assert!(matches!(
        store.apply(&[put(b"a", b"1")]),
        Err(StoreError::Io(_))
    ));
    store
        .connection
        .execute_batch("DROP TRIGGER break_commit")
        .unwrap();
    assert!(matches!(
        store.apply(&[put(b"a", b"1")]),
        Err(StoreError::Io(_))
    ));
    assert!(matches!(
        store.get(Table::Meta, b"a"),
        Err(StoreError::Io(_))
    ));
    assert!(matches!(store.usage(Table::Meta), Err(StoreError::Io(_))));
    drop(store);
    let mut store = home.open();
    assert_eq!(store.get(Table::Meta, b"a").unwrap(), None);
    store.apply(&[put(b"a", b"1")]).unwrap();
}

#[test]
fn a_damaged_store_is_set_aside_and_a_new_one_begun() {
    let home = Home::new();
    let mut store = home.open();
    let rows: Vec<_> = (0..400_u16)
        .map(|n| put(&n.to_be_bytes(), &[1; 500]))
        .collect();
    store.apply(&rows).unwrap();
    drop(store);
    spoil(&home.db());
    let spoilt = fs::read(home.db()).unwrap();
    assert!(matches!(
        SqliteStore::open(&home.db()),
        Err(StoreError::Damaged)
    ));
    let (store, aside) = open_or_set_aside(&home.db(), false, now()).unwrap();
    assert_eq!(aside.as_deref(), Some("agent.db.damaged-20261122T100000Z"));
    assert_eq!(store.usage(Table::Meta).unwrap().rows, 0);
    drop(store);
    assert_eq!(
        fs::read(home.0.path().join(aside.unwrap())).unwrap(),
        spoilt
    );
    // A second time within the second.
    fs::write(home.db(), vec![b'x'; 5_000]).unwrap();
    let (store, aside) = open_or_set_aside(&home.db(), false, now()).unwrap();
    assert_eq!(
        aside.as_deref(),
        Some("agent.db.damaged-20261122T100000Z-2")
    );
    drop(store);
    let (_, aside) = open_or_set_aside(&home.db(), false, now()).unwrap();
    assert_eq!(aside, None, "a sound store stays");
}

#[test]
fn a_row_that_its_index_has_lost_is_found_again() {
    let home = Home::new();
    let keys: Vec<_> = (10..40_u8)
        .map(|n| [b"key-".as_slice(), &[n; 8]].concat())
        .collect();
    let rows: Vec<_> = keys.iter().map(|key| put(key, b"value")).collect();
    home.open().apply(&rows).unwrap();
    let sound = fs::read(home.db()).unwrap();
    // Once in the table and once in its index, in whatever order.
    let key = &keys[15];
    let places: Vec<_> = (0..sound.len() - key.len())
        .filter(|at| sound[*at..].starts_with(key))
        .collect();
    assert_eq!(places.len(), 2);
    let mut whole = 0;
    for place in places {
        let mut bytes = sound.clone();
        bytes[place] = b'z';
        fs::write(home.db(), bytes).unwrap();
        let (store, set_aside) = open_or_set_aside(&home.db(), false, now()).unwrap();
        assert_eq!(set_aside, None);
        let listed = store.scan(Table::Meta, &[], None, 100).unwrap();
        assert_eq!(listed.len(), keys.len());
        for (key, _) in &listed {
            assert!(store.get(Table::Meta, key).unwrap().is_some(), "{key:?}");
        }
        whole += usize::from(listed.iter().map(|(key, _)| key).eq(&keys));
    }
    assert_eq!(whole, 1, "what the index lost stands in the table");
}

#[test]
fn a_log_that_a_crash_left_without_its_file_is_set_aside_too() {
    let home = Home::new();
    let log = with_suffix(&home.db(), "-wal");
    fs::write(&log, b"commits of the damaged store").unwrap();
    let (store, aside) = open_or_set_aside(&home.db(), false, now()).unwrap();
    let kept = home.0.path().join(format!("{}-wal", aside.unwrap()));
    assert_eq!(fs::read(kept).unwrap(), b"commits of the damaged store");
    assert_eq!(store.usage(Table::Meta).unwrap().rows, 0);
}

#[test]
fn a_log_whose_file_was_emptied_is_set_aside_too() {
    let home = Home::new();
    let mut store = home.open();
    store.apply(&[put(b"a", b"1")]).unwrap();
    let log = with_suffix(&home.db(), "-wal");
    let commits = fs::read(&log).unwrap();
    drop(store);
    fs::write(home.db(), b"").unwrap();
    fs::write(&log, &commits).unwrap();
    let (store, aside) = open_or_set_aside(&home.db(), false, now()).unwrap();
    let kept = home.0.path().join(format!("{}-wal", aside.unwrap()));
    assert_eq!(fs::read(kept).unwrap(), commits);
    assert_eq!(store.get(Table::Meta, b"a").unwrap(), None);
}

#[test]
fn a_bit_that_flips_in_the_log_is_noticed_and_the_store_goes_on_with_what_is_left() {
    let home = Home::new();
    let mut store = home.open();
    for n in 0..10 {
        store.apply(&[put(&[n], &[n; 3000])]).unwrap();
    }
    let log = with_suffix(&home.db(), "-wal");
    let (database, mut bytes) = (fs::read(home.db()).unwrap(), fs::read(&log).unwrap());
    // Closing would empty the log.
    drop(store);
    let at = bytes.len() * 3 / 4;
    bytes[at] ^= 1;
    fs::write(home.db(), database).unwrap();
    fs::write(&log, &bytes).unwrap();

    let (mut store, aside) = open_or_set_aside(&home.db(), false, now()).unwrap();
    let aside = home.db().with_file_name(aside.unwrap());
    assert_eq!(fs::read(with_suffix(&aside, "-wal")).unwrap(), bytes);
    assert_eq!(store.get(Table::Meta, &[0]).unwrap().unwrap(), [0; 3000]);
    assert_eq!(store.get(Table::Meta, &[9]).unwrap(), None);
    store.apply(&[put(&[9], &[9; 10])]).unwrap();
    drop(store);
    let (store, again) = open_or_set_aside(&home.db(), false, now()).unwrap();
    assert_eq!(again, None, "told once");
    assert_eq!(store.get(Table::Meta, &[9]).unwrap().unwrap(), [9; 10]);
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let home = Home::new();
    let newer = migrations::VERSION + 1;
    home.open()
        .connection
        .pragma_update(None, "user_version", newer)
        .unwrap();
    match open_or_set_aside(&home.db(), false, now()) {
        Err(StoreError::Version { found, known }) => assert_eq!((found, known), (newer, newer - 1)),
        other => panic!("{other:?}"),
    }
    assert_eq!(home.files(), ["agent.db"]);
}

#[test]
fn a_store_of_the_first_version_is_brought_up_to_date_with_all_that_is_in_it() {
    let home = Home::new();
    let mut store = home.open();
    store.apply(&[put(b"a", b"1")]).unwrap();
    store
        .connection
        .execute_batch("DROP TABLE declared; PRAGMA user_version = 1;")
        .unwrap();
    drop(store);
    let store = home.open();
    assert_eq!(store.get(Table::Meta, b"a").unwrap(), Some(b"1".to_vec()));
    assert_eq!(store.usage(Table::Declared).unwrap(), Usage::default());
}

#[test]
fn version_2_of_the_schema_is_frozen() {
    let home = Home::new();
    let store = home.open();
    let mut statement = store
        .connection
        .prepare("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name")
        .unwrap();
    let schema: Vec<String> = statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let tables = [
        "declared",
        "draft",
        "epoch",
        "meta",
        "outbox",
        "quarantine",
        "receipt",
    ];
    let expected: Vec<String> = tables
        .map(|table| {
            format!(
                "CREATE TABLE {table} (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT"
            )
        })
        .into();
    assert_eq!(schema, expected, "a new format needs a new step");
    let mut names = Table::ALL.map(Table::as_str);
    names.sort_unstable();
    assert_eq!(names, tables);
}

#[test]
fn a_value_that_is_too_long_is_refused_and_not_read() {
    let home = Home::new();
    let mut store = home.open();
    let longest = usize::try_from(VALUE_MAX_BYTES).unwrap();
    assert!(store.apply(&[put(b"a", &vec![1; longest + 1])]).is_err());
}

#[test]
fn a_deleted_epoch_key_is_in_no_file_any_more() {
    let home = Home::new();
    let mut store = home.open();
    let wrapped = b"the wrapped key of epoch one, long enough to find".to_vec();
    store
        .apply(&[Change::Put(Table::Epoch, vec![1], wrapped.clone())])
        .unwrap();
    let holds = |home: &Home| {
        home.files().iter().any(|name| {
            let bytes = fs::read(home.0.path().join(name)).unwrap();
            bytes.windows(wrapped.len()).any(|part| part == wrapped)
        })
    };
    assert!(holds(&home));
    store
        .apply(&[Change::Delete(Table::Epoch, vec![1])])
        .unwrap();
    assert!(!holds(&home));
}

/// What both stores must agree on, step by step.
#[derive(Debug, Clone)]
enum Step {
    Apply(Vec<Change>),
    Scan(Table, Vec<u8>, Option<Vec<u8>>, usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let table = || prop::sample::select(Table::ALL.to_vec());
    // Few and awkward bytes, so that keys meet and prefixes end in the highest byte.
    let key = || prop::collection::vec(prop::sample::select(vec![0_u8, 1, 0xfe, 0xff]), 0..4);
    let change = prop_oneof![
        3 => (table(), key(), prop::collection::vec(any::<u8>(), 0..8)).prop_map(|(t, k, v)| Change::Put(t, k, v)),
        1 => (table(), key()).prop_map(|(t, k)| Change::Delete(t, k)),
    ];
    prop_oneof![
        4 => prop::collection::vec(change, 0..6).prop_map(Step::Apply),
        4 => (table(), key(), prop::option::of(key()), 0..5_usize).prop_map(|(t, p, a, l)| Step::Scan(t, p, a, l)),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_file_and_the_memory_store_agree(steps in prop::collection::vec(step(), 1..30)) {
        let home = Home::new();
        let mut memory = MemoryStore::new();
        let mut file = Some(home.open());
        for step in steps {
            let store = file.as_mut().unwrap();
            match step {
                Step::Apply(changes) => {
                    store.apply(&changes).unwrap();
                    memory.apply(&changes).unwrap();
                }
                Step::Scan(table, prefix, after, limit) => {
                    let found = store.scan(table, &prefix, after.as_deref(), limit).unwrap();
                    prop_assert_eq!(&found, &memory.scan(table, &prefix, after.as_deref(), limit).unwrap());
                    let lengths: BTreeMap<_, _> =
                        found.iter().map(|(key, value)| (key.clone(), value.len() as u64)).collect();
                    for store in [&*store as &dyn Store, &memory] {
                        let scanned = store.scan_lengths(table, &prefix, after.as_deref(), limit).unwrap();
                        prop_assert_eq!(&scanned.into_iter().collect::<BTreeMap<_, _>>(), &lengths);
                        for (key, value) in &found {
                            prop_assert_eq!(&store.get(table, key).unwrap().unwrap(), value);
                        }
                    }
                    prop_assert_eq!(store.usage(table).unwrap(), memory.usage(table).unwrap());
                }
                Step::Reopen => {
                    drop(file.take());
                    file = Some(home.open());
                }
            }
        }
    }
}
