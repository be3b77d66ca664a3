//! Where the phones' rows are: short ones in memory, long ones in one file for all.
//!
//! A phone at rest has to be small, or a hundred thousand of them do not fit into one process. Most
//! of what an agent keeps is one policy, sealed, and receipts. Nothing here is meant to survive the
//! process, so nothing is synced.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candour_core::ports::{Change, Row, Store, StoreError, Table, Usage};

/// Values that are longer go to the file.
const SHORT_MAX_BYTES: usize = 384;

/// Room in the file is given in steps of this, so that what is freed fits what comes.
const STEP_BYTES: u64 = 256;

/// The file, and which room in it is free.
pub(super) struct Shelves {
    file: File,
    room: Mutex<Room>,
}

#[derive(Default)]
struct Room {
    end: u64,
    /// Places by their number of steps.
    free: BTreeMap<u64, Vec<u64>>,
}

/// Where a long value is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    at: u64,
    len: u32,
}

impl Shelves {
    /// Begins the file.
    pub(super) fn make(path: &Path) -> io::Result<Arc<Self>> {
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        Ok(Arc::new(Self {
            file: options.open(path)?,
            room: Mutex::default(),
        }))
    }

    pub(super) fn put(&self, bytes: &[u8]) -> io::Result<Place> {
        let steps = steps(bytes.len() as u64);
        let at = {
            let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
            let freed = room.free.get_mut(&steps).and_then(Vec::pop);
            freed.unwrap_or_else(|| {
                let at = room.end;
                room.end += steps * STEP_BYTES;
                at
            })
        };
        self.file.write_all_at(bytes, at)?;
        let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        Ok(Place { at, len })
    }

    pub(super) fn read(&self, place: Place) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; place.len as usize];
        self.file.read_exact_at(&mut bytes, place.at)?;
        Ok(bytes)
    }

    pub(super) fn free(&self, place: Place) {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let freed = room.free.entry(steps(place.len.into())).or_default();
        freed.push(place.at);
    }
}

fn steps(bytes: u64) -> u64 {
    bytes.div_ceil(STEP_BYTES).max(1)
}

/// The store of one phone. Clones share it.
#[derive(Clone)]
pub(super) struct Drawer {
    shelves: Arc<Shelves>,
    /// In order.
    rows: Arc<Mutex<Vec<Kept>>>,
}

struct Kept {
    table: Table,
    key: Box<[u8]>,
    value: Value,
}

enum Value {
    Short(Box<[u8]>),
    Long(Place),
}

impl Drawer {
    pub(super) fn new(shelves: &Arc<Shelves>) -> Self {
        Self {
            shelves: Arc::clone(shelves),
            rows: Arc::default(),
        }
    }

    fn rows(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `visit` with rows in order until it has had `limit`.
    fn visit(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        mut visit: impl FnMut(&Kept) -> io::Result<()>,
    ) -> io::Result<()> {
        let rows = self.rows();
        let begin = match after {
            Some(after) if after >= prefix => {
                rows.partition_point(|row| (row.table, row.key.as_ref()) <= (table, after))
            }
            _ => rows.partition_point(|row| (row.table, row.key.as_ref()) < (table, prefix)),
        };
        rows.iter()
            .skip(begin)
            .take_while(|row| row.table == table && row.key.starts_with(prefix))
            .take(limit)
            .try_for_each(&mut visit)
    }

    fn value(&self, value: &Value) -> io::Result<Vec<u8>> {
        match value {
            Value::Short(bytes) => Ok(bytes.to_vec()),
            Value::Long(place) => self.shelves.read(*place),
        }
    }

    fn keep(&self, bytes: &[u8]) -> io::Result<Value> {
        if bytes.len() <= SHORT_MAX_BYTES {
            Ok(Value::Short(bytes.into()))
        } else {
            self.shelves.put(bytes).map(Value::Long)
        }
    }

    fn let_go(&self, value: &Value) {
        if let Value::Long(place) = value {
            self.shelves.free(*place);
        }
    }
}

impl Value {
    fn len(&self) -> u64 {
        match self {
            Self::Short(bytes) => bytes.len() as u64,
            Self::Long(place) => place.len.into(),
        }
    }
}

impl Store for Drawer {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self.rows();
        let found = rows.binary_search_by(|row| (row.table, row.key.as_ref()).cmp(&(table, key)));
        let row = found.ok().and_then(|at| rows.get(at));
        Ok(row.map(|row| self.value(&row.value)).transpose()?)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let mut found = Vec::new();
        self.visit(table, prefix, after, limit, |row| {
            found.push((row.key.to_vec(), self.value(&row.value)?));
            Ok(())
        })?;
        Ok(found)
    }

    fn scan_lengths(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, u64)>, StoreError> {
        let mut found = Vec::new();
        self.visit(table, prefix, after, limit, |row| {
            found.push((row.key.to_vec(), row.value.len()));
            Ok(())
        })?;
        Ok(found)
    }

    fn usage(&self, table: Table) -> Result<Usage, StoreError> {
        let mut usage = Usage::default();
        self.visit(table, &[], None, usize::MAX, |row| {
            usage.rows += 1;
            usage.bytes += row.value.len();
            Ok(())
        })?;
        Ok(usage)
    }

    /// What cannot be written is not taken: the values are on their shelves before the rows change.
    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let mut kept = Vec::with_capacity(changes.len());
        for change in changes {
            kept.push(match change {
                Change::Put(_, _, value) => Some(self.keep(value)?),
                Change::Delete(..) => None,
            });
        }
        let mut rows = self.rows();
        for (change, value) in changes.iter().zip(kept) {
            let (Change::Put(table, key, _) | Change::Delete(table, key)) = change;
            let place =
                rows.binary_search_by(|row| (row.table, row.key.as_ref()).cmp(&(*table, key)));
            match (place, value) {
                (Ok(at), None) => self.let_go(&rows.remove(at).value),
                (Ok(at), Some(value)) => {
                    if let Some(row) = rows.get_mut(at) {
                        self.let_go(&std::mem::replace(&mut row.value, value));
                    }
                }
                (Err(_), None) => {}
                (Err(at), Some(value)) => {
                    let (table, key) = (*table, key.as_slice().into());
                    rows.insert(at, Kept { table, key, value });
                }
            }
        }
        rows.shrink_to_fit();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candour_core::adapters::memory::MemoryStore;

    use super::*;

    /// The same changes in a drawer and in the core's own store in memory, and everything that can
    /// be asked of them.
    #[test]
    fn a_drawer_holds_what_any_store_holds() {
        let dir = tempfile::tempdir().unwrap();
        let shelves = Shelves::make(&dir.path().join("shelves")).unwrap();
        let (mut drawer, mut reference) = (Drawer::new(&shelves), MemoryStore::new());
        let other = Drawer::new(&shelves);
        let mut rng = fastrand::Rng::with_seed(1);
        for round in 0..400 {
            let changes: Vec<Change> = (0..rng.usize(1..4))
                .map(|_| {
                    let table = Table::ALL[rng.usize(..3)];
                    let key = vec![rng.u8(..4); rng.usize(..3)];
                    if rng.u8(..3) == 0 {
                        Change::Delete(table, key)
                    } else {
                        Change::Put(table, key, vec![rng.u8(..); rng.usize(..2_000)])
                    }
                })
                .collect();
            drawer.apply(&changes).unwrap();
            reference.apply(&changes).unwrap();
            other
                .clone()
                .apply(&[Change::Put(Table::Meta, vec![1], vec![7; round])])
                .unwrap();
            for table in Table::ALL {
                let (ours, theirs) = (
                    drawer.usage(table).unwrap(),
                    reference.usage(table).unwrap(),
                );
                assert_eq!((ours.rows, ours.bytes), (theirs.rows, theirs.bytes));
                for prefix in [&[][..], &[1], &[2, 2]] {
                    for after in [None, Some(&[1][..]), Some(&[2, 2])] {
                        assert_eq!(
                            drawer.scan(table, prefix, after, 5).unwrap(),
                            reference.scan(table, prefix, after, 5).unwrap()
                        );
                        assert_eq!(
                            drawer.scan_lengths(table, prefix, after, 2).unwrap(),
                            reference.scan_lengths(table, prefix, after, 2).unwrap()
                        );
                    }
                    assert_eq!(
                        drawer.get(table, prefix).unwrap(),
                        reference.get(table, prefix).unwrap()
                    );
                }
            }
            assert_eq!(
                other.get(Table::Meta, &[1]).unwrap(),
                Some(vec![7; round]),
                "another phone's rows stay its own"
            );
        }
        let room = shelves.room.lock().unwrap();
        assert!(room.end < 100 * 2_048, "what is freed is used again");
    }
}
