//! Ordinary work for the writer: a function of the transaction, with an answer.

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::writer::{Failure, Group, Undo, Work, failure};
use crate::store::StoreError;

/// How a function of a transaction fails.
#[derive(Debug)]
pub(super) enum Fault<E> {
    /// With the caller's own reason.
    Refused(E),
    /// In SQLite.
    Sqlite(rusqlite::Error),
}

impl<E> From<rusqlite::Error> for Fault<E> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Turns SQLite's error, met outside of a group or undone alone, into the store's.
pub(super) fn store_error(error: rusqlite::Error) -> StoreError {
    match failure(&error) {
        Some(Failure::Busy) => StoreError::Busy,
        Some(Failure::Full) => StoreError::Full,
        Some(Failure::Failed) | None => StoreError::Backend(Box::new(error)),
    }
}

/// A function, its outcome, and who waits for it.
pub(super) struct Task<F, T, E> {
    function: F,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Task<F, T, E>
where
    F: Fn(&Connection) -> Result<T, Fault<E>> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    pub(super) fn new(function: F) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (reply, answer) = oneshot::channel();
        (
            Self {
                function,
                outcome: None,
                reply,
            },
            answer,
        )
    }
}

impl<F, T, E> Work for Task<F, T, E>
where
    F: Fn(&Connection) -> Result<T, Fault<E>> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn apply(&mut self, group: &mut Group<'_>) -> Result<(), Undo> {
        let (outcome, undo) = split((self.function)(group.db));
        self.outcome = Some(outcome);
        undo
    }

    fn answer(self: Box<Self>, outcome: Result<(), Failure>) {
        let Self {
            function,
            outcome: own,
            reply,
        } = *self;
        // What it holds is free before anybody acts on the answer.
        drop(function);
        let answer = match (outcome, own) {
            (Err(failure), _) => Err(StoreError::from(failure).into()),
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(StoreError::Failed.into()),
        };
        // Whoever asked may have gone; what was done stays done.
        let _ = reply.send(answer);
    }
}

/// What the caller is told, and whether the work is undone.
pub(super) fn split<T, E: From<StoreError>>(
    outcome: Result<T, Fault<E>>,
) -> (Result<T, E>, Result<(), Undo>) {
    match outcome {
        Ok(done) => (Ok(done), Ok(())),
        Err(Fault::Refused(refusal)) => (Err(refusal), Err(Undo::Refused)),
        // The group decides whether this is about it all. If it is not, the caller is told that
        // the statement failed; the error itself goes where the group is logged.
        Err(Fault::Sqlite(error)) => {
            let told = match failure(&error) {
                Some(failure) => failure.into(),
                None => StoreError::Backend(error.to_string().into()),
            };
            (Err(told.into()), Err(Undo::Sqlite(error)))
        }
    }
}
