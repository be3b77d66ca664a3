//! Records that were set aside: refused by the server, or damaged on this phone.

use candour_wire::chain::Head;
use candour_wire::record::{Kind, Record, Stream};
use candour_wire::{Code, Digest, RecordId};

use super::format::{self, Kept, QuarantineRow, WaitingRow};
use super::index::{self, WaitingKey};
use super::{ChainState, Outbox, OutboxError, Quarantined, Refused};
use crate::ports::{Change, Table};

impl Outbox {
    /// Sets aside what the server refused for good and, where it named one, takes the head of its
    /// chain; the rest follows from there. All in one commit. Ids that do not wait in this
    /// stream are passed over.
    ///
    /// # Errors
    ///
    /// When the key store or the store fails.
    pub fn after_refusals(
        &mut self,
        stream: Stream,
        head: Option<Head>,
        refused: &[Refused],
    ) -> Result<(), OutboxError> {
        let mut changes = self.quarantine_changes(stream, refused)?;
        if let Some(acknowledged) = head {
            changes.push(self.put_chain_state(
                stream,
                &ChainState {
                    acknowledged,
                    anchored: true,
                },
            )?);
        }
        self.commit(&changes)
    }

    /// Sets aside what this side will not send, such as a record whose file is gone. The records
    /// after it are sent as they are until the server has said where its chain stands.
    ///
    /// # Errors
    ///
    /// When the key store or the store fails.
    pub fn set_aside(&mut self, stream: Stream, refused: &[Refused]) -> Result<(), OutboxError> {
        let mut changes = self.quarantine_changes(stream, refused)?;
        if !changes.is_empty() {
            changes.push(self.unanchored(stream)?);
        }
        self.commit(&changes)
    }

    /// What is set aside, by id, which is nearly by age. A row that does not open is listed with
    /// what its key says.
    ///
    /// # Errors
    ///
    /// When the key store or the store fails.
    pub fn quarantined(&mut self) -> Result<Vec<Quarantined>, OutboxError> {
        let ids: Vec<_> = self.index.set_aside().collect();
        let mut quarantined = Vec::with_capacity(ids.len());
        for (id, kind) in ids {
            let row = self.quarantine_row(id, kind)?;
            quarantined.push(row.map_or_else(
                || Quarantined::unreadable(id, kind),
                |row| row.shown(id, kind),
            ));
        }
        Ok(quarantined)
    }

    /// The files of what is set aside; `None` where that cannot be told, since one of the records
    /// is damaged.
    ///
    /// # Errors
    ///
    /// When the key store or the store fails.
    pub fn files_set_aside(&mut self) -> Result<Option<Vec<Digest>>, OutboxError> {
        let ids: Vec<_> = self.index.set_aside().collect();
        let mut files = Vec::new();
        for (id, kind) in ids {
            let Some(QuarantineRow {
                kept: Kept::Jws(jws),
                ..
            }) = self.quarantine_row(id, kind)?
            else {
                return Ok(None);
            };
            let Some(record) = self.unsigned(&jws)? else {
                return Ok(None);
            };
            if let Some((_, attachments)) = record.body.sealed() {
                files.extend(attachments.iter().map(|file| file.sha256));
            }
        }
        Ok(Some(files))
    }

    /// Sends a record again that was set aside: it goes to the end of its chain, with its id,
    /// its time and its content.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Unknown`] where it is not set aside; [`OutboxError::Damaged`] where its
    /// stored bytes are; or when the key store or the store fails.
    pub fn requeue(&mut self, id: RecordId) -> Result<(), OutboxError> {
        let kind = self
            .index
            .set_aside_kind(id)
            .ok_or(OutboxError::Unknown(id))?;
        let row = self
            .quarantine_row(id, kind)?
            .ok_or(OutboxError::Damaged(id))?;
        let (Kept::Jws(jws), Some(summary)) = (row.kept, row.summary) else {
            return Err(OutboxError::Damaged(id));
        };
        let record = self.unsigned(&jws)?.ok_or(OutboxError::Damaged(id))?;
        let tip = self.tip(kind.stream())?;
        let record = Record {
            seq: tip.seq.saturating_add(1),
            prev: tip.digest,
            ..record
        };
        let row = self.make_row(&record, summary)?;
        let (_, put) = self.put_at_end(&record, &row)?;
        self.commit(&[
            put,
            Change::Delete(Table::Quarantine, index::quarantine_key(id, kind)),
        ])
    }

    /// The holder gives up a record that was set aside. It is deleted, and the messages that it
    /// would have declared count as not declared.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Unknown`] where it is not set aside, or when the store fails.
    pub fn discard(&mut self, id: RecordId) -> Result<(), OutboxError> {
        let kind = self
            .index
            .set_aside_kind(id)
            .ok_or(OutboxError::Unknown(id))?;
        self.commit(&[
            Change::Delete(Table::Quarantine, index::quarantine_key(id, kind)),
            Self::forget(id),
        ])
    }

    /// Sets rows of the outbox aside that do not open, with their values as they stand.
    pub(super) fn set_damaged_aside(
        &mut self,
        stream: Stream,
        rows: &[(WaitingKey, Vec<u8>)],
    ) -> Result<(), OutboxError> {
        let mut changes = vec![self.unanchored(stream)?];
        for (key, value) in rows {
            tracing::warn!(kind = key.kind.as_str(), id = %key.id, "a stored record is damaged and was set aside");
            changes.extend(self.damaged_changes(key, value)?);
        }
        self.commit(&changes)
    }

    /// What was handed out may be with the server, and a record that is gone here leaves a gap:
    /// only the server can say where to go on.
    fn unanchored(&mut self, stream: Stream) -> Result<Change, OutboxError> {
        let state = self.chain_state(stream)?;
        self.put_chain_state(
            stream,
            &ChainState {
                anchored: false,
                ..state
            },
        )
    }

    fn quarantine_changes(
        &mut self,
        stream: Stream,
        refused: &[Refused],
    ) -> Result<Vec<Change>, OutboxError> {
        let mut changes = Vec::new();
        for Refused { id, code, detail } in refused {
            let Some(key) = self.index.waiting(*id).filter(|key| key.stream() == stream) else {
                continue;
            };
            match self.waiting_row(&key)? {
                Ok(row) => {
                    let WaitingRow {
                        created,
                        policy,
                        jws,
                        summary,
                        ..
                    } = row;
                    let row = QuarantineRow {
                        created,
                        policy,
                        code: code.clone(),
                        detail: detail.clone(),
                        at: self.clock.now(),
                        summary: Some(summary),
                        kept: Kept::Jws(jws),
                    };
                    changes.extend(self.move_changes(&key, &row)?);
                }
                Err(value) => changes.extend(self.damaged_changes(&key, &value)?),
            }
        }
        Ok(changes)
    }

    fn damaged_changes(
        &mut self,
        key: &WaitingKey,
        value: &[u8],
    ) -> Result<[Change; 2], OutboxError> {
        let row = QuarantineRow {
            created: key.created,
            policy: 0,
            code: Code::StoreDamaged.as_str().to_owned(),
            detail: None,
            at: self.clock.now(),
            summary: None,
            kept: Kept::damaged(&key.encode(), value),
        };
        self.move_changes(key, &row)
    }

    fn move_changes(
        &mut self,
        key: &WaitingKey,
        row: &QuarantineRow,
    ) -> Result<[Change; 2], OutboxError> {
        let to = index::quarantine_key(key.id, key.kind);
        let put = self.put(Table::Quarantine, to, &format::to_bytes(row))?;
        Ok([put, Change::Delete(Table::Outbox, key.encode())])
    }

    /// `None` where the row does not open.
    fn quarantine_row(
        &mut self,
        id: RecordId,
        kind: Kind,
    ) -> Result<Option<QuarantineRow>, OutboxError> {
        Ok(self
            .read_indexed(Table::Quarantine, &index::quarantine_key(id, kind))?
            .ok())
    }
}

impl QuarantineRow {
    fn shown(self, id: RecordId, kind: Kind) -> Quarantined {
        let Self {
            created,
            policy,
            code,
            detail,
            at,
            summary,
            kept,
        } = self;
        let can_requeue = matches!(kept, Kept::Jws(_));
        Quarantined {
            id,
            kind,
            created: Some(created),
            policy,
            code,
            detail,
            at: Some(at),
            summary,
            can_requeue,
        }
    }
}

impl Quarantined {
    fn unreadable(id: RecordId, kind: Kind) -> Self {
        let code = Code::StoreDamaged.as_str().to_owned();
        Self {
            id,
            kind,
            created: None,
            policy: 0,
            code,
            detail: None,
            at: None,
            summary: None,
            can_requeue: false,
        }
    }
}
