use std::path::Path;
use std::sync::Arc;

use candour_wire::Sensitive;
use candour_wire::log::Checkpoint;
use candour_wire::record::Stream;
use rusqlite::ffi;

use super::*;
use crate::store::conformance::{Backend, DEPARTMENT, Phone, at, conformance, signer, verifier};
use crate::store::conformance::{declaration, new_token, receipts};

struct Sqlite(tempfile::TempDir);

impl Sqlite {
    fn path(&self) -> PathBuf {
        self.0.path().join("store.db")
    }

    fn settings(&self, signer: Option<LogSigner>) -> Settings {
        Settings {
            attachments: self.0.path().join("attachments"),
            signer,
            now: at(0),
        }
    }

    fn open_as_is(&self) -> Result<Arc<SqliteStore>, OpenError> {
        SqliteStore::open(&self.path(), self.settings(Some(signer())))
    }

    /// A store with `leaves` records, closed.
    async fn with_records(leaves: usize) -> Self {
        let backend = Self::empty();
        let store = backend.open();
        let mut phone = Phone::enrolled(&*store, "a").await;
        let records: Vec<_> = (0..leaves).map(|_| phone.next(declaration())).collect();
        phone
            .send(&*store, Stream::Records, &records)
            .await
            .unwrap();
        store.close().await;
        backend
    }

    fn by_hand(&self, sql: &str) {
        Connection::open(self.path())
            .unwrap()
            .execute_batch(sql)
            .unwrap();
    }
}

impl Backend for Sqlite {
    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Arc<dyn Store> {
        let settings = self.settings(Some(signer()));
        let path = self.path();
        let store = match SqliteStore::create(&path, settings) {
            Err(OpenError::Exists { .. }) => self.open_as_is(),
            created => created,
        };
        store.unwrap()
    }
}

conformance!(Sqlite);

#[tokio::test]
async fn what_waits_together_is_committed_together() {
    let backend = Sqlite::empty();
    let store = backend.open();
    let mut phones = Vec::new();
    for name in ["a", "b", "c", "d"] {
        phones.push(Phone::enrolled(&*store, name).await);
    }
    // While another process holds the file, all four come to wait.
    let other = Connection::open(backend.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut tasks = Vec::new();
    for mut phone in phones {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            let records = [phone.next(declaration())];
            let reply = phone
                .send(&*store, Stream::Records, &records)
                .await
                .unwrap();
            (receipts(&reply, &records).remove(0).index, reply.checkpoint)
        }));
        tokio::task::yield_now().await;
    }
    other.execute_batch("COMMIT").unwrap();
    let mut replies = Vec::new();
    for task in tasks {
        replies.push(task.await.unwrap());
    }
    let indices: Vec<_> = replies.iter().map(|(index, _)| *index).collect();
    assert_eq!(indices, [0, 1, 2, 3]);
    // The writer had taken one or more when the lock stopped it; the rest came to wait together.
    let checkpoints: HashSet<_> = replies.iter().map(|(_, checkpoint)| checkpoint).collect();
    assert!(checkpoints.len() <= 2, "{checkpoints:?}");
    let last = Checkpoint::open(&replies[3].1, &verifier()).unwrap();
    assert_eq!(last.size, 4);
}

#[tokio::test]
async fn work_that_fails_is_undone_alone() {
    let backend = Sqlite::empty();
    backend.open().close().await;
    let store = backend.open_as_is().unwrap();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let before = phone.next(declaration());
    let after = phone.next(declaration());
    let (first, failed, second) = tokio::join!(
        phone.send(&*store, Stream::Records, std::slice::from_ref(&before)),
        store.write::<(), StoreError, _>(|db| {
            db.execute_batch("DELETE FROM token; INSERT INTO nowhere VALUES (1)")?;
            Ok(())
        }),
        phone.send(&*store, Stream::Records, std::slice::from_ref(&after)),
    );
    assert!(matches!(failed, Err(StoreError::Backend(_))));
    receipts(&first.unwrap(), &[before]);
    receipts(&second.unwrap(), &[after]);
    assert!(store.healthy());
    // The token is still there.
    let again = store
        .enrol(phone.asks(Digest::of(b"token of a")))
        .await
        .unwrap();
    assert_eq!(again.id, phone.id);
}

#[tokio::test]
async fn a_full_disk_keeps_nothing_is_told_and_is_over_when_there_is_room() {
    let backend = Sqlite::empty();
    backend.open().close().await;
    let store = backend.open_as_is().unwrap();
    let mut phone = Phone::enrolled(&*store, "a").await;
    phone.sent(&*store, declaration()).await;
    // SQLite reports a file that may not grow exactly as it does a full disk.
    let limit = async |pages: u32| {
        store
            .write::<(), StoreError, _>(move |db| {
                let sql = format!("PRAGMA max_page_count = {pages}");
                Ok(db.query_row(&sql, (), |_| Ok(()))?)
            })
            .await
            .unwrap();
    };
    limit(1).await;
    let records: Vec<_> = (0..60).map(|_| phone.next(declaration())).collect();
    let refused = phone.send(&*store, Stream::Records, &records).await;
    assert!(
        matches!(refused, Err(AppendError::Store(StoreError::Full))),
        "{refused:?}"
    );
    assert!(store.healthy());
    assert_eq!(store.figures().await.unwrap().log_size, 1);
    limit(1_000_000).await;
    let reply = phone
        .send(&*store, Stream::Records, &records)
        .await
        .unwrap();
    assert!(
        receipts(&reply, &records)
            .iter()
            .all(|receipt| !receipt.duplicate)
    );
}

impl SqliteStore {
    /// Makes a commit fail as it does when the disk does not take a sync.
    pub(crate) async fn fail_a_sync(&self) {
        let failed = self
            .write::<(), StoreError, _>(|_| {
                let error = ffi::Error::new(ffi::SQLITE_IOERR_FSYNC);
                Err(Fault::Sqlite(rusqlite::Error::SqliteFailure(error, None)))
            })
            .await;
        assert!(matches!(failed, Err(StoreError::Failed)));
    }
}

#[tokio::test]
async fn a_failed_sync_stops_everything_until_a_restart() {
    let backend = Sqlite::empty();
    backend.open().close().await;
    let store = backend.open_as_is().unwrap();
    let mut phone = Phone::enrolled(&*store, "a").await;
    store.fail_a_sync().await;
    assert!(!store.healthy());
    let record = phone.next(declaration());
    let refused = phone
        .send(&*store, Stream::Records, std::slice::from_ref(&record))
        .await;
    assert!(matches!(
        refused,
        Err(AppendError::Store(StoreError::Failed))
    ));
    store.close().await;
    let store = backend.open();
    phone
        .send(&*store, Stream::Records, &[record])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_panic_in_the_writer_leaves_nobody_waiting() {
    let backend = Sqlite::empty();
    backend.open().close().await;
    let store = backend.open_as_is().unwrap();
    let (panicked, queued) = tokio::join!(
        store.write::<(), StoreError, _>(|_| panic!("on purpose")),
        store.write::<(), StoreError, _>(|_| Ok(())),
    );
    assert!(matches!(panicked, Err(StoreError::Failed)));
    assert!(matches!(queued, Err(StoreError::Failed)));
    store.close().await;
    assert!(!store.healthy());
}

#[tokio::test]
async fn a_queue_that_is_full_refuses_at_once_and_works_again() {
    let backend = Sqlite::empty();
    backend.open().close().await;
    let store = backend.open_as_is().unwrap();
    let other = Connection::open(backend.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut waiting = Vec::new();
    let refused = loop {
        let (task, answer) = Task::new(|_: &Connection| Ok::<_, Fault<StoreError>>(()));
        match store.enqueue(task, 0) {
            Ok(()) => waiting.push(answer),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Busy));
    assert!(waiting.len() >= QUEUE_MAX);
    other.execute_batch("COMMIT").unwrap();
    for answer in waiting {
        answered(answer).await.unwrap();
    }
    store
        .put_token(new_token(Digest::of(b"t"), DEPARTMENT))
        .await
        .unwrap();
}

#[tokio::test]
async fn too_many_bytes_at_once_are_refused() {
    let backend = Sqlite::empty();
    backend.open().close().await;
    let store = backend.open_as_is().unwrap();
    let (task, _answer) = Task::new(|_: &Connection| Ok::<_, Fault<StoreError>>(()));
    assert!(matches!(
        store.enqueue(task, QUEUE_MAX_KIB * 1024),
        Err(StoreError::Busy)
    ));
}

#[tokio::test]
async fn two_processes_share_a_store() {
    let backend = Sqlite::empty();
    let gateway = backend.open();
    let tool = SqliteStore::open(&backend.path(), backend.settings(None)).unwrap();
    let mut phone = Phone::enrolled(&*tool, "a").await;
    let version = gateway.enrolment_changes(0).await.unwrap().version;
    phone.sent(&*gateway, declaration()).await;
    // A tool has no log key and takes no records.
    let record = phone.next(declaration());
    let refused = phone
        .send(&*tool, Stream::Records, std::slice::from_ref(&record))
        .await;
    assert!(matches!(
        refused,
        Err(AppendError::Store(StoreError::NoLogKey))
    ));
    // A second gateway appends; the first sees that its edge is old.
    let second = backend.open();
    phone
        .send(&*second, Stream::Records, std::slice::from_ref(&record))
        .await
        .unwrap();
    phone.sent(&*gateway, declaration()).await;
    assert_eq!(second.figures().await.unwrap().log_size, 3);
    tool.revoke(&phone.id, Reason::new("lost").unwrap(), at(1))
        .await
        .unwrap();
    assert_eq!(
        gateway
            .enrolment_changes(version)
            .await
            .unwrap()
            .revoked
            .len(),
        1
    );
    let refused = phone.send(&*gateway, Stream::Records, &[record]).await;
    assert!(matches!(refused, Err(AppendError::Revoked)));
}

#[test]
fn a_missing_a_second_and_a_foreign_file_are_told_apart() {
    let backend = Sqlite::empty();
    assert!(matches!(
        backend.open_as_is(),
        Err(OpenError::Missing { .. })
    ));
    drop(backend.open());
    let again = SqliteStore::create(&backend.path(), backend.settings(None));
    assert!(matches!(again, Err(OpenError::Exists { .. })));

    let foreign = Sqlite::empty();
    foreign.by_hand("CREATE TABLE bookmarks (url TEXT)");
    assert!(matches!(
        foreign.open_as_is(),
        Err(OpenError::NotOurs { .. })
    ));
    std::fs::write(
        foreign.path(),
        "This is not a database, although it is long enough. ".repeat(99),
    )
    .unwrap();
    let error = foreign.open_as_is().unwrap_err();
    assert!(matches!(error, OpenError::NotOurs { .. }));
    assert!(error.to_string().contains("store.db"), "{error}");
}

#[tokio::test]
async fn a_newer_format_is_left_alone() {
    let backend = Sqlite::with_records(1).await;
    backend.by_hand("PRAGMA user_version = 99");
    assert!(matches!(
        backend.open_as_is(),
        Err(OpenError::Newer { version: 99, .. })
    ));
}

#[tokio::test]
async fn a_log_that_was_changed_or_cut_is_not_continued() {
    for sql in [
        "UPDATE log_tile SET hashes = zeroblob(length(hashes)) WHERE level = -1",
        "DELETE FROM log_tile WHERE level = -1",
        "UPDATE log SET size = 2",
        "UPDATE log SET checkpoint = NULL",
    ] {
        let backend = Sqlite::with_records(3).await;
        backend.by_hand(sql);
        let error = backend.open_as_is().unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{sql}: {error}");
        assert!(error.to_string().contains("store.db"));
    }
}

#[tokio::test]
async fn a_store_of_the_format_before_keeps_what_it_knows_and_its_log_goes_on() {
    let backend = Sqlite::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let first = [phone.next(declaration())];
    phone.send(&*store, Stream::Records, &first).await.unwrap();
    store.close().await;
    // As format 2 had it.
    for sql in [
        "ALTER TABLE handset ADD COLUMN last_seen INTEGER",
        "UPDATE handset SET last_seen = 86400000",
        "ALTER TABLE chain DROP COLUMN last_seen",
        "INSERT INTO log_tile VALUES (0, 0, zeroblob(32))",
        "CREATE TABLE before (
           handset INTEGER NOT NULL REFERENCES handset, stream TEXT NOT NULL, seq INTEGER NOT NULL,
           id BLOB NOT NULL, kind TEXT NOT NULL, sha256 BLOB NOT NULL, created INTEGER NOT NULL,
           received INTEGER NOT NULL, policy INTEGER NOT NULL, refers_to BLOB,
           leaf INTEGER NOT NULL, PRIMARY KEY (handset, stream, seq)
         ) STRICT, WITHOUT ROWID",
        "INSERT INTO before SELECT handset, stream, seq, id, kind, sha256, created, received,
           policy, refers_to, leaf FROM record",
        "DROP TABLE record",
        "ALTER TABLE before RENAME TO record",
        "CREATE UNIQUE INDEX record_id ON record (id)",
        "PRAGMA user_version = 2",
    ] {
        backend.by_hand(sql);
    }
    let store = backend.open();
    let row = store.handset(&phone.id).await.unwrap().unwrap();
    assert_eq!(row.last_seen, Timestamp::from_second(86_400).ok());
    assert_eq!(row.records_head.seq, 1);
    let again = phone.send(&*store, Stream::Records, &first).await.unwrap();
    assert!(receipts(&again, &first)[0].duplicate);
    let second = [phone.next(declaration())];
    let reply = phone.send(&*store, Stream::Records, &second).await;
    assert_eq!(receipts(&reply.unwrap(), &second)[0].index, 1);
}

#[tokio::test]
async fn another_log_key_is_refused() {
    let backend = Sqlite::with_records(1).await;
    let other = LogSigner::new(signer().verifier().name(), &Sensitive::new([8; 32])).unwrap();
    let error = SqliteStore::open(&backend.path(), backend.settings(Some(other))).unwrap_err();
    assert!(matches!(error, OpenError::OtherLog { .. }));
}

#[tokio::test]
async fn a_page_that_was_overwritten_is_reported_with_the_files_name() {
    let backend = Sqlite::with_records(60).await;
    let mut bytes = std::fs::read(backend.path()).unwrap();
    bytes[4096..].fill(0xa5);
    std::fs::write(backend.path(), bytes).unwrap();
    let error = backend.open_as_is().unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_that_was_emptied_or_is_gone_beside_its_write_ahead_log_is_reported_and_the_log_stays()
 {
    let backend = Sqlite::empty();
    let store = backend.open();
    let _ = Phone::enrolled(&*store, "a").await;
    let log = backend.path().with_extension("db-wal");
    let commits = std::fs::read(&log).unwrap();
    assert!(!commits.is_empty());
    store.close().await;
    std::fs::write(&log, &commits).unwrap();
    for harm in [
        |store: &Path| std::fs::write(store, b""),
        |store: &Path| std::fs::remove_file(store),
    ] {
        harm(&backend.path()).unwrap();
        let error = backend.open_as_is().unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
        assert_eq!(std::fs::read(&log).unwrap(), commits);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_this_account_may_read_the_store() {
    use std::os::unix::fs::PermissionsExt as _;
    let backend = Sqlite::empty();
    let store = backend.open();
    Phone::enrolled(&*store, "a").await;
    for (name, mode) in [
        ("store.db", 0o600),
        ("store.db-wal", 0o600),
        ("attachments", 0o700),
    ] {
        let metadata = std::fs::metadata(backend.0.path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
    }
}

#[tokio::test]
async fn the_write_ahead_log_stays_short() {
    let backend = Sqlite::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    for _ in 0..120 {
        let records: Vec<_> = (0..60).map(|_| phone.next(declaration())).collect();
        phone
            .send(&*store, Stream::Records, &records)
            .await
            .unwrap();
    }
    let length = std::fs::metadata(backend.0.path().join("store.db-wal"))
        .unwrap()
        .len();
    // Some 25 MiB were written.
    assert!(length < 20 << 20, "{length}");
    store.close().await;
    let wal = std::fs::metadata(backend.0.path().join("store.db-wal"));
    assert!(wal.map_or(0, |metadata| metadata.len()) == 0);
}
