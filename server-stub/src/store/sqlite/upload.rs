//! Taking pieces of sealed files: the row says what is awaited, the file takes the bytes, the
//! row says how far it has come.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use candour_wire::api::UploadStatus;
use candour_wire::limits::ATTACHMENT_PIECE_MAX_BYTES;
use candour_wire::{Digest, HandsetId};
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::tasks::{Fault, Task};
use super::uploads::{self, SIZE_MAX};
use super::{SqliteStore, answered};
use crate::store::attachments::{AttachmentDir, SpoolError, Written};
use crate::store::{Piece, StoreError, UploadError};

/// A file that only one piece is being written to.
pub(super) struct Hold {
    files: Arc<Mutex<HashSet<(HandsetId, Digest)>>>,
    file: (HandsetId, Digest),
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.file);
    }
}

impl SqliteStore {
    pub(super) async fn take_piece(&self, piece: Piece) -> Result<UploadStatus, UploadError> {
        if piece.total > SIZE_MAX || piece.bytes.len() > ATTACHMENT_PIECE_MAX_BYTES {
            return Err(UploadError::TooLarge);
        }
        let hold = self
            .hold(&piece.handset, &piece.sha256)
            .ok_or(StoreError::Busy)?;
        let piece = Arc::new(piece);
        let upload = {
            let piece = Arc::clone(&piece);
            self.write(move |db| uploads::begin(db, &piece)).await?
        };
        if upload.complete {
            return Ok(UploadStatus {
                offset: upload.size,
                complete: true,
            });
        }
        let end = piece.offset.checked_add(piece.bytes.len() as u64);
        if piece.offset != upload.arrived || end.is_none_or(|end| end > upload.size) {
            return Err(UploadError::Offset {
                expected: upload.arrived,
            });
        }
        // The caller may go away while the disk works; the hold goes with the work.
        let (written, hold) = self
            .on_files({
                let piece = Arc::clone(&piece);
                move |dir| {
                    let Piece {
                        handset,
                        sha256,
                        offset,
                        bytes,
                        total,
                        ..
                    } = &*piece;
                    Ok((dir.write(handset, sha256, *offset, bytes, *total)?, hold))
                }
            })
            .await?;
        let status = match written {
            Written::Partial(offset) => UploadStatus {
                offset,
                complete: false,
            },
            Written::Whole => UploadStatus {
                offset: piece.total,
                complete: true,
            },
            Written::Lost | Written::WrongDigest => {
                self.write::<_, StoreError, _>(move |db| {
                    Ok(uploads::forget(db, &piece.handset, &piece.sha256)?)
                })
                .await?;
                return Err(match written {
                    Written::WrongDigest => UploadError::Digest,
                    _ => UploadError::Offset { expected: 0 },
                });
            }
        };
        self.note_progress(piece, status, hold).await?;
        Ok(status)
    }

    /// Brings the row up to what is on disk; keeps the hold until that is done.
    async fn note_progress(
        &self,
        piece: Arc<Piece>,
        status: UploadStatus,
        hold: Hold,
    ) -> Result<(), UploadError> {
        let (task, answer): (_, oneshot::Receiver<Result<(), UploadError>>) =
            Task::new(move |db: &rusqlite::Connection| {
                let _held = &hold;
                let advanced: Result<(), Fault<UploadError>> =
                    uploads::advance(db, &piece, status.offset, status.complete);
                advanced
            });
        self.enqueue(task, 0)?;
        answered(answer).await
    }

    pub(super) async fn read_file(
        &self,
        handset: HandsetId,
        sha256: Digest,
        offset: u64,
        max_bytes: usize,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let of = handset.clone();
        let upload = self
            .readers
            .read(move |db| uploads::find(db, &of, &sha256))
            .await?;
        if !upload.is_some_and(|upload| upload.complete) {
            return Ok(None);
        }
        self.on_files(move |dir| dir.read(&handset, &sha256, offset, max_bytes))
            .await?
            .map(Some)
            .ok_or(StoreError::Damaged {
                what: "an attachment that had arrived is missing",
            })
    }

    pub(super) async fn discard_uploads(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut discarded = 0;
        for (handset, sha256) in self
            .readers
            .read(move |db| uploads::stale(db, before))
            .await?
        {
            let Some(hold) = self.hold(&handset, &sha256) else {
                continue;
            };
            let of = handset.clone();
            // The row first: a file that a row calls whole must be there.
            let forgotten = self
                .write::<_, StoreError, _>(move |db| {
                    Ok(uploads::forget_stale(db, &of, &sha256, before)?)
                })
                .await?;
            if forgotten {
                self.on_files(move |dir| {
                    let removed = dir.remove(&handset, &sha256);
                    drop(hold);
                    removed
                })
                .await?;
                discarded += 1;
            }
        }
        Ok(discarded)
    }

    fn hold(&self, handset: &HandsetId, sha256: &Digest) -> Option<Hold> {
        let file = (handset.clone(), *sha256);
        let mut files = self
            .uploading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        files.insert(file.clone()).then(|| Hold {
            files: Arc::clone(&self.uploading),
            file,
        })
    }

    /// Works on the files on a blocking thread.
    pub(super) async fn on_files<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&AttachmentDir) -> Result<T, SpoolError> + Send + 'static,
        T: Send + 'static,
    {
        let dir = self.attachments.clone();
        let done = tokio::task::spawn_blocking(move || work(&dir)).await;
        done.map_err(|_| StoreError::Failed)?
            .map_err(|error| match error {
                SpoolError::Full(_) => StoreError::Full,
                SpoolError::Io(error) => StoreError::Backend(Box::new(error)),
                SpoolError::Sync(_) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the store has failed"
                    );
                    self.health.fail();
                    StoreError::Failed
                }
            })
    }
}
