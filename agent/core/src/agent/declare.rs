//! Drafts and declarations: from what the holder enters to what waits in the outbox.

use std::io::{self, Read, Write};
use std::sync::PoisonError;

use candour_wire::attachment::{self, EncryptError};
use candour_wire::content::{Attachment, DeclarationContent, Person, Text, WithdrawalContent};
use candour_wire::policy::Policy;
use candour_wire::record::{Amendment, AttachmentRef, Body, Declaration, Kind, Withdrawal};
use candour_wire::seal::{self, SealContext, SealError};
use candour_wire::{RecordId, Sensitive, limits};
use serde::Serialize;

use super::{Agent, State, lock};
use crate::declaration::{self, Draft, Origin, Preview};
use crate::error::AgentError;
use crate::outbox::{Also, NewRecord, Summary};
use crate::policy::SignedPolicy;
use crate::ports::{SpoolFile, StoreError};
use crate::sync::SyncState;
use crate::wiped;

impl Agent {
    /// Keeps a draft, sealed, and returns its id. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When it is marked above OFFICIAL-SENSITIVE (nothing is stored then, and the files that were
    /// sealed for it are removed), or cannot be stored.
    pub fn save_draft(&self, id: Option<RecordId>, draft: &Draft) -> Result<RecordId, AgentError> {
        let mut state = lock(&self.state);
        self.refuse_above_official_sensitive(&mut state, draft)?;
        let id = id.unwrap_or_else(|| RecordId::make(self.now()));
        state.outbox.draft_put(id, &to_json(draft))?;
        Ok(id)
    }

    /// All drafts, oldest first. A draft that cannot be read comes as `None`; it can be deleted.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn drafts(&self) -> Result<Vec<(RecordId, Option<Draft>)>, AgentError> {
        let drafts = lock(&self.state).outbox.drafts()?;
        // EXPOSE: the draft goes back to the holder who wrote it.
        let read = |content: Sensitive<Vec<u8>>| serde_json::from_slice(content.expose()).ok();
        Ok(drafts
            .into_iter()
            .map(|stored| (stored.id, stored.content.and_then(read)))
            .collect())
    }

    /// One draft.
    ///
    /// # Errors
    ///
    /// When there is none with this id, or the store cannot be read.
    pub fn draft(&self, id: RecordId) -> Result<Draft, AgentError> {
        let content = lock(&self.state)
            .outbox
            .draft(id)?
            .ok_or(AgentError::DraftUnknown(id))?;
        // EXPOSE: the draft goes back to the holder who wrote it.
        serde_json::from_slice(content.expose()).map_err(|_| AgentError::DraftUnknown(id))
    }

    /// Deletes a draft and the files that were sealed for it, but for those that another draft or
    /// a record needs.
    ///
    /// # Errors
    ///
    /// When there is none with this id, or the store cannot be written.
    pub fn delete_draft(&self, id: RecordId) -> Result<(), AgentError> {
        let mut state = lock(&self.state);
        let content = state
            .outbox
            .draft(id)?
            .ok_or(AgentError::DraftUnknown(id))?;
        state.outbox.draft_delete(id)?;
        // EXPOSE: only the names of sealed files are looked at.
        let draft: Option<Draft> = serde_json::from_slice(content.expose()).ok();
        let files: Vec<_> = draft
            .iter()
            .flat_map(|draft| &draft.attachments)
            .map(|file| file.sealed_sha256)
            .collect();
        self.remove_unneeded(&mut state, &files)
    }

    /// Seals a file into the spool; what comes back goes into a draft. Nothing readable of the
    /// file stays. Blocks as long as the reader does; one file is sealed at a time.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is too large, or the files that wait would take more room
    /// than they may.
    pub fn attach(&self, name: &str, file: &mut dyn Read) -> Result<Attachment, AgentError> {
        let _alone = self.sealing.lock().unwrap_or_else(PoisonError::into_inner);
        let limit_bytes = self.config.outbox.spool_bytes;
        let mut bounded = Bounded {
            room: limit_bytes.saturating_sub(self.platform.home.spooled_bytes()?),
            file: self.platform.home.spool()?,
        };
        let summary = attachment::encrypt(file, &mut bounded).map_err(|error| match error {
            EncryptError::TooLong => AgentError::AttachmentTooLarge,
            EncryptError::Read(error) => AgentError::AttachmentUnreadable(error),
            EncryptError::Write(error) if NoRoom::is(&error) => {
                AgentError::SpoolFull { limit_bytes }
            }
            EncryptError::Write(error) => StoreError::from(error).into(),
        })?;
        bounded.file.finish(&summary.ciphertext)?;
        let shortened: String = name.chars().take(limits::SHORT_TEXT_MAX_CHARS).collect();
        Ok(Attachment {
            name: Sensitive::new(shortened),
            size: summary.plaintext_bytes,
            sha256: summary.plaintext,
            sealed_sha256: summary.ciphertext,
            sealed_size: summary.ciphertext_bytes,
            key: summary.key,
        })
    }

    /// Holds a draft against the policy and returns exactly what would be declared. Only what the
    /// holder has seen this way, and confirmed, may be given to [`Agent::declare`] (invariant I3).
    ///
    /// # Errors
    ///
    /// Names everything that is missing or against the rules. Where it is marked above
    /// OFFICIAL-SENSITIVE the files that were sealed for it are removed.
    pub fn preview(&self, draft: &Draft) -> Result<Preview, AgentError> {
        let mut state = lock(&self.state);
        self.refuse_above_official_sensitive(&mut state, draft)?;
        let present = self.present(&SyncState::load(&mut state.outbox)?);
        let policy = state
            .policy
            .as_ref()
            .ok_or(AgentError::PolicyMissing)?
            .policy();
        Ok(declaration::check(
            draft,
            policy,
            self.holder().as_ref(),
            present,
        )?)
    }

    /// A file is sealed before the holder has chosen the marking, so it goes as soon as the marking
    /// shows that it should never have come (invariant I7).
    fn refuse_above_official_sensitive(
        &self,
        state: &mut State,
        draft: &Draft,
    ) -> Result<(), AgentError> {
        let Err(refusal) = declaration::refuse_above_official_sensitive(draft) else {
            return Ok(());
        };
        let files: Vec<_> = draft
            .attachments
            .iter()
            .map(|file| file.sealed_sha256)
            .collect();
        if let Err(error) = self.remove_unneeded(state, &files) {
            // What no draft has goes when the agent is next opened, if not now.
            tracing::warn!(
                code = error.code().as_str(),
                "a sealed file that was refused could not be removed yet"
            );
        }
        Err(refusal.into())
    }

    /// Declares what the holder has confirmed, and deletes the draft that it came from in the
    /// same commit. When this returns, the record is on disk and signed (invariant I4). Blocks on
    /// the disk and on the handset's key.
    ///
    /// # Errors
    ///
    /// When the handset is not enrolled, the outbox is full, or the store or the key fails;
    /// nothing has changed then, and the draft is still there.
    pub fn declare(
        &self,
        preview: Preview,
        draft: Option<RecordId>,
    ) -> Result<RecordId, AgentError> {
        self.queue_content(preview, draft, None)
    }

    /// Replaces an earlier declaration by a corrected one. Both are kept.
    ///
    /// # Errors
    ///
    /// As [`Agent::declare`]; also when the declaration is not one of this handset's.
    pub fn amend(
        &self,
        amends: RecordId,
        preview: Preview,
        draft: Option<RecordId>,
    ) -> Result<RecordId, AgentError> {
        self.queue_content(preview, draft, Some(amends))
    }

    /// Takes an earlier declaration back. The department decides what happens to it.
    ///
    /// # Errors
    ///
    /// As [`Agent::declare`]; also when the declaration is not one of this handset's.
    pub fn withdraw(
        &self,
        withdraws: RecordId,
        reason: Text,
        by: Option<Person>,
    ) -> Result<RecordId, AgentError> {
        let mut state = lock(&self.state);
        self.require_declaration(&mut state, withdraws)?;
        let declared_by = by
            .or_else(|| self.holder())
            .ok_or_else(|| missing("declared_by"))?;
        // EXPOSE: only whether there is anything in it is looked at.
        if reason.expose().trim().is_empty() {
            return Err(missing("reason"));
        }
        let content = WithdrawalContent {
            reason,
            declared_by,
        };
        let id = RecordId::make(self.now());
        let sealed = self.seal(&state, id, Kind::Withdrawal, &content)?;
        let summary = Summary::new(&format!("withdraws {withdraws}"), "withdrawn by you");
        self.append(
            &mut state,
            id,
            Body::Withdrawal(Withdrawal { withdraws, sealed }),
            summary,
            &[],
        )
    }

    fn queue_content(
        &self,
        preview: Preview,
        draft: Option<RecordId>,
        amends: Option<RecordId>,
    ) -> Result<RecordId, AgentError> {
        let mut state = lock(&self.state);
        let policy = state
            .policy
            .as_ref()
            .ok_or(AgentError::PolicyMissing)?
            .policy();
        if policy.version != preview.policy() {
            return Err(AgentError::PreviewOutdated);
        }
        let (what, kind) = (
            describe(preview.content(), policy),
            amends.map_or(Kind::Declaration, |_| Kind::Amendment),
        );
        if let Some(amends) = amends {
            self.require_declaration(&mut state, amends)?;
        }
        // A draft keeps its id, so that a declaration repeated after a crash is refused as the
        // same record instead of being made twice.
        let id = draft.unwrap_or_else(|| RecordId::make(self.now()));
        let (content, origins) = preview.into_parts();
        let attachments = content
            .attachments
            .iter()
            .map(|file| self.attachment_ref(file))
            .collect::<Result<_, _>>()?;
        let sealed = self.seal(&state, id, kind, &content)?;
        let (body, why) = match amends {
            None => (
                Body::Declaration(Declaration {
                    sealed,
                    attachments,
                }),
                "declared by you",
            ),
            Some(amends) => (
                Body::Amendment(Amendment {
                    amends,
                    sealed,
                    attachments,
                }),
                "corrected by you",
            ),
        };
        let also: Vec<Also> = draft.map(Also::DeleteDraft).into_iter().collect();
        let summary = Summary::new(&what, why);
        self.append_declaring(&mut state, id, body, summary, origins, &also)
    }

    /// The sealed file as the gateway knows it. It must be in the spool: a declaration whose file
    /// is gone could never be delivered.
    fn attachment_ref(&self, file: &Attachment) -> Result<AttachmentRef, AgentError> {
        let size = file.sealed_size;
        let last =
            self.platform
                .home
                .read_spooled(&file.sealed_sha256, size.saturating_sub(1), 2)?;
        if last.len() == 1 {
            Ok(AttachmentRef {
                sha256: file.sealed_sha256,
                size,
            })
        } else {
            Err(AgentError::AttachmentUnreadable(
                std::io::ErrorKind::UnexpectedEof.into(),
            ))
        }
    }

    fn seal<T: Serialize>(
        &self,
        state: &State,
        id: RecordId,
        kind: Kind,
        content: &T,
    ) -> Result<seal::Sealed, AgentError> {
        let policy = state
            .policy
            .as_ref()
            .ok_or(AgentError::PolicyMissing)?
            .policy();
        let handset = state.handset().ok_or(AgentError::NotEnrolled)?;
        let plaintext = to_json(content);
        let context = SealContext { id, handset, kind };
        // EXPOSE: sealing is what the content is here for.
        seal::seal(&policy.records_key, &context, plaintext.expose()).map_err(|error| match error {
            SealError::TooLong => AgentError::TooLong,
            SealError::Key => AgentError::RecordsKey,
        })
    }

    pub(super) fn append(
        &self,
        state: &mut State,
        id: RecordId,
        body: Body,
        summary: Summary,
        also: &[Also],
    ) -> Result<RecordId, AgentError> {
        self.append_declaring(state, id, body, summary, Vec::new(), also)
    }

    /// Queues a record that declares the imported messages of these `origins`.
    fn append_declaring(
        &self,
        state: &mut State,
        id: RecordId,
        body: Body,
        summary: Summary,
        origins: Vec<Origin>,
        also: &[Also],
    ) -> Result<RecordId, AgentError> {
        let now = self.now();
        let policy = state.policy.as_ref().map(SignedPolicy::policy);
        let mut also = also.to_vec();
        let mut sync = SyncState::load(&mut state.outbox)?;
        if sync.bring_forward(
            now,
            policy.map(|policy| &policy.schedule),
            &mut self.jitter(),
        ) {
            also.push(sync.as_change());
        }
        let policy = policy.map_or(0, |policy| policy.version);
        let record = NewRecord {
            id,
            created: now,
            policy,
            body,
            summary,
            origins,
        };
        Ok(state.outbox.append(&record, &also)?)
    }

    /// What is corrected or taken back is a declaration: the server refuses a reference to anything
    /// else, and notes it against this phone. A second correction amends the same declaration.
    fn require_declaration(&self, state: &mut State, id: RecordId) -> Result<(), AgentError> {
        match state.outbox.kind_of(id)? {
            Some(Kind::Declaration) => Ok(()),
            _ => Err(AgentError::RecordUnknown(id)),
        }
    }

    fn holder(&self) -> Option<Person> {
        Some(Person {
            name: self.config.holder_name.clone()?,
            role: self.config.holder_role.clone(),
        })
    }
}

/// A spooled file that takes no more than there is room for.
struct Bounded {
    /// Bytes.
    room: u64,
    file: Box<dyn SpoolFile>,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.room {
            return Err(io::Error::other(NoRoom));
        }
        let written = self.file.write(bytes)?;
        self.room = self.room.saturating_sub(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The spool holds as much as it may, which is not the disk's doing.
#[derive(Debug, thiserror::Error)]
#[error("the spool holds as much as it may")]
struct NoRoom;

impl NoRoom {
    fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

fn missing(field: &'static str) -> AgentError {
    declaration::Violations(vec![declaration::Violation {
        field,
        code: candour_wire::Code::FieldMissing,
        detail: None,
    }])
    .into()
}

fn to_json<T: Serialize>(value: &T) -> Sensitive<Vec<u8>> {
    Sensitive::new(std::mem::take(&mut *wiped::to_json(value)))
}

/// A declaration in a few words for the holder's own list.
fn describe(content: &DeclarationContent, policy: &Policy) -> String {
    let channel = policy
        .channels
        .iter()
        .find(|c| c.id == content.channel)
        .map_or(content.channel.as_str(), |c| &c.name);
    let mut parts = vec![match (content.messages.len(), content.attachments.len()) {
        (0, 0) => "note".to_owned(),
        (0, files) => counted(files, "file"),
        (messages, 0) => counted(messages, "message"),
        (messages, files) => format!(
            "{} and {}",
            counted(messages, "message"),
            counted(files, "file")
        ),
    }];
    parts.push(channel.to_owned());
    parts.push(content.direction.label().to_lowercase());
    if let Some(days) = content.late_days {
        parts.push(format!("{} late", counted(days as usize, "day")));
    }
    parts.join(", ")
}

fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
