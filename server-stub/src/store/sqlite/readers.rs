//! Connections that only read, a few of them, used from blocking threads.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::schema;
use super::tasks::store_error;
use crate::store::StoreError;

/// Readers at once. SQLite reads a cached page in microseconds; more would only wait for the same
/// cores and disk.
const CONNECTIONS: usize = 4;

/// A pool of read connections. Each call sees one state of the database from start to end.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    free: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(CONNECTIONS));
        Arc::new(Self {
            path,
            idle: Mutex::default(),
            free,
        })
    }

    /// Calls `read` on a blocking thread, in a read transaction.
    pub(super) async fn read<T, F>(self: &Arc<Self>, read: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let place = Arc::clone(&self.free).acquire_owned().await;
        let place = place.map_err(|_| StoreError::Closed)?;
        let readers = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            let result = readers.read_now(read);
            drop(place);
            result
        });
        // A panic in `read` cost its connection; the next caller opens another.
        reading.await.unwrap_or(Err(StoreError::Failed))
    }

    /// Refuses further calls and closes what is idle.
    pub(super) fn close(&self) {
        self.free.close();
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn read_now<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let connection = match idle {
            Some(connection) => connection,
            None => schema::open_reader(&self.path).map_err(store_error)?,
        };
        let outcome = (|| {
            let tx = connection.unchecked_transaction()?;
            let value = read(&tx)?;
            tx.commit()?;
            Ok(value)
        })();
        if outcome.is_ok() && !self.free.is_closed() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }
        outcome.map_err(store_error)
    }
}
