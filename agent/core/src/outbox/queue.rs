//! Records go in, are handed out in order, and are chained anew where that is needed.

use candour_wire::RecordId;
use candour_wire::chain::Head;
use candour_wire::record::{Kind, Record, Stream, VERSION};

use super::format::{self, WaitingRow};
use super::index::WaitingKey;
use super::{Also, ChainState, NewRecord, Outbox, OutboxError, Pending, Queue, Waiting};
use crate::ports::{Change, Table};

/// Damaged rows that are set aside in one commit: enough to get through a spoilt outbox, few
/// enough for a phone's memory.
const DAMAGED_MAX: usize = 16;

impl Outbox {
    /// Chains, signs and stores a record, together with what else belongs to the same act. When
    /// it returns, all of it is on disk.
    ///
    /// Only the newest news is worth a place: a heartbeat that would follow a heartbeat which
    /// still waits is not stored. The waiting one's id comes back, and `also` is done.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Full`] and, for declarations, [`OutboxError::Stale`] when a sync is due
    /// first; [`OutboxError::TooLarge`], [`OutboxError::Duplicate`]; or when the key store or the
    /// store fails. Nothing has changed then, with the exception that `Store::apply` makes.
    pub fn append(&mut self, record: &NewRecord, also: &[Also]) -> Result<RecordId, OutboxError> {
        let kind = record.body.kind();
        if self.kind_of(record.id)?.is_some() {
            return Err(OutboxError::Duplicate(record.id));
        }
        if let Some(waiting) = self.waiting_heartbeat().filter(|_| kind == Kind::Heartbeat) {
            self.apply(also)?;
            return Ok(waiting);
        }
        self.check_room(0)?;
        if kind.stream() == Stream::Records {
            self.check_age()?;
        }
        let tip = self.tip(kind.stream())?;
        let signed = Record {
            v: VERSION,
            id: record.id,
            handset: self.handset()?,
            seq: tip.seq.saturating_add(1),
            prev: tip.digest,
            created: record.created,
            policy: record.policy,
            body: record.body.clone(),
        };
        let row = self.make_row(&signed, record.summary.clone())?;
        let (key, put) = self.put_at_end(&signed, &row)?;
        self.check_room(put.value_bytes())?;
        let mut changes = self.also_changes(also)?;
        changes.push(put);
        changes.extend(self.declared_changes(record)?);
        self.commit(&changes)?;
        self.tips.insert(key.stream(), row.head());
        Ok(record.id)
    }

    /// The first records of a stream, in order, as a valid chain; at most `limit`, and at most
    /// `max_bytes` of JWS but for the first one.
    ///
    /// Records that have to be chained anew are signed and stored here first, so this may block
    /// on the key store for each. While the chain is not anchored, the records come as they were
    /// last signed, up to where one does not follow the other.
    ///
    /// # Errors
    ///
    /// When the key store or the store fails.
    pub fn pending(
        &mut self,
        stream: Stream,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<Pending>, OutboxError> {
        loop {
            let Chunk { rows, damaged } = self.read_chunk(stream, limit, max_bytes)?;
            if damaged.is_empty() {
                return self.chained(stream, rows);
            }
            self.set_damaged_aside(stream, &damaged)?;
        }
    }

    /// Everything that waits, as the holder sees it: posture first, each in its order. Signs
    /// nothing. Rows that do not open are named, and set aside when their turn comes.
    ///
    /// # Errors
    ///
    /// When the key store or the store fails.
    pub fn waiting(&mut self, limit: usize) -> Result<Queue, OutboxError> {
        let keys: Vec<WaitingKey> = self.index.all().map(|(key, _)| *key).take(limit).collect();
        let mut queue = Queue::default();
        for key in keys {
            let Ok(row) = self.waiting_row(&key)? else {
                queue.damaged.push((key.id, key.kind));
                continue;
            };
            queue.waiting.push(Waiting {
                id: key.id,
                kind: key.kind,
                created: key.created,
                policy: row.policy,
                size: row.jws.len() as u64,
                attachments: row.attachments,
                summary: row.summary,
            });
        }
        Ok(queue)
    }

    /// The server has named the head of its chain: from now on the stream's waiting records
    /// follow from there.
    ///
    /// # Errors
    ///
    /// When the key store or the store fails.
    pub fn rechain(&mut self, stream: Stream, head: Head) -> Result<(), OutboxError> {
        self.after_refusals(stream, Some(head), &[])
    }

    /// Signs `record` as a row.
    pub(super) fn make_row(
        &mut self,
        record: &Record,
        summary: super::Summary,
    ) -> Result<WaitingRow, OutboxError> {
        let jws = self.sign(record)?;
        let attachments = record
            .body
            .sealed()
            .map_or_else(Vec::new, |(_, attachments)| attachments.to_vec());
        let Record {
            seq,
            prev,
            created,
            policy,
            ..
        } = *record;
        Ok(WaitingRow {
            seq,
            prev,
            created,
            policy,
            jws,
            attachments,
            summary,
        })
    }

    /// The change that puts a row at the end of its stream.
    pub(super) fn put_at_end(
        &mut self,
        record: &Record,
        row: &WaitingRow,
    ) -> Result<(WaitingKey, Change), OutboxError> {
        let kind = record.body.kind();
        let position = self.index.next_position(kind.stream());
        let key = WaitingKey {
            position,
            kind,
            created: record.created,
            id: record.id,
        };
        let change = self.put(Table::Outbox, key.encode(), &format::to_bytes(row))?;
        Ok((key, change))
    }

    /// Reads the first rows of a stream.
    fn read_chunk(
        &mut self,
        stream: Stream,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Chunk, OutboxError> {
        let visit = limit.saturating_add(DAMAGED_MAX);
        let keys: Vec<WaitingKey> = self
            .index
            .stream(stream)
            .map(|(key, _)| *key)
            .take(visit)
            .collect();
        let mut chunk = Chunk {
            rows: Vec::new(),
            damaged: Vec::new(),
        };
        let mut bytes = 0_usize;
        for key in keys {
            if chunk.rows.len() == limit || chunk.damaged.len() == DAMAGED_MAX {
                break;
            }
            match self.waiting_row(&key)? {
                Ok(row) => {
                    bytes = bytes.saturating_add(row.jws.len());
                    if bytes > max_bytes && !chunk.rows.is_empty() {
                        break;
                    }
                    chunk.rows.push((key, row));
                }
                Err(value) => chunk.damaged.push((key, value)),
            }
        }
        Ok(chunk)
    }

    /// Hands rows out as a chain, signing anew what does not follow from the server's head.
    fn chained(
        &mut self,
        stream: Stream,
        rows: Vec<(WaitingKey, WaitingRow)>,
    ) -> Result<Vec<Pending>, OutboxError> {
        let ChainState {
            acknowledged,
            anchored,
        } = self.chain_state(stream)?;
        let mut head = anchored.then_some(acknowledged);
        let mut changes = Vec::new();
        let mut damaged = Vec::new();
        let mut pending = Vec::with_capacity(rows.len());
        for (key, mut row) in rows {
            if let Some(head) = head.filter(|head| !row.follows(head)) {
                if !anchored {
                    break;
                }
                let Some(record) = self.unsigned(&row.jws)? else {
                    // It opened a moment ago, so it is not this handset's to send.
                    damaged.push((
                        key,
                        self.store
                            .get(Table::Outbox, &key.encode())?
                            .unwrap_or_default(),
                    ));
                    continue;
                };
                let record = Record {
                    seq: head.seq.saturating_add(1),
                    prev: head.digest,
                    ..record
                };
                row = self.make_row(&record, row.summary)?;
                changes.push(self.put(Table::Outbox, key.encode(), &format::to_bytes(&row))?);
            }
            head = Some(row.head());
            pending.push(row.into_pending(&key));
        }
        self.commit(&changes)?;
        if !damaged.is_empty() {
            self.set_damaged_aside(stream, &damaged)?;
        }
        Ok(pending)
    }

    /// The heartbeat behind which nothing but status waits.
    fn waiting_heartbeat(&self) -> Option<RecordId> {
        let newest = self
            .index
            .stream(Stream::Posture)
            .rev()
            .find(|(key, _)| key.kind != Kind::Status)?;
        (newest.0.kind == Kind::Heartbeat).then_some(newest.0.id)
    }

    fn check_room(&self, more_bytes: u64) -> Result<(), OutboxError> {
        let (records, bytes) = self.index.usage();
        let full =
            records >= self.limits.records || bytes.saturating_add(more_bytes) > self.limits.bytes;
        if full {
            Err(OutboxError::Full { records, bytes })
        } else {
            Ok(())
        }
    }

    fn check_age(&self) -> Result<(), OutboxError> {
        let Some(since) = self
            .index
            .stream(Stream::Records)
            .map(|(key, _)| key.created)
            .min()
        else {
            return Ok(());
        };
        let stale = self.clock.now().duration_since(since) > self.limits.age;
        if stale {
            Err(OutboxError::Stale { since })
        } else {
            Ok(())
        }
    }
}

/// The first rows of a stream, and those among them that do not open.
struct Chunk {
    rows: Vec<(WaitingKey, WaitingRow)>,
    damaged: Vec<(WaitingKey, Vec<u8>)>,
}

impl WaitingRow {
    fn into_pending(self, key: &WaitingKey) -> Pending {
        let Self {
            seq,
            created,
            policy,
            jws,
            attachments,
            summary,
            ..
        } = self;
        Pending {
            id: key.id,
            seq,
            kind: key.kind,
            created,
            policy,
            jws,
            attachments,
            summary,
        }
    }
}
