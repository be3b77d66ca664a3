//! Between the contract's types and what SQLite holds.

use std::str::FromStr;

use candour_wire::log::LeafSalt;
use candour_wire::{Digest, RecordId};
use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::Type;

type Boxed = Box<dyn std::error::Error + Send + Sync>;

/// A value on disk that this code never writes.
#[derive(Debug, thiserror::Error)]
#[error("a value is out of range")]
struct OutOfRange;

/// Cuts a time to the millisecond, as it is kept, so that what is answered now and what is read
/// back later are the same.
pub(super) fn whole_ms(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// A number that is known to be far below 2^63, as SQLite holds it.
pub(super) fn int(number: u64) -> rusqlite::Result<i64> {
    i64::try_from(number).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

pub(super) fn uint(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|error| unreadable(column, Type::Integer, error))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(row.get(column)?)
        .map_err(|error| unreadable(column, Type::Integer, error))
}

pub(super) fn time_or_null(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get::<_, Option<i64>>(column)? {
        None => Ok(None),
        Some(_) => time(row, column).map(Some),
    }
}

pub(super) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    row.get(column).map(Digest)
}

pub(super) fn salt(row: &Row<'_>, column: usize) -> rusqlite::Result<LeafSalt> {
    row.get(column).map(LeafSalt)
}

pub(super) fn record_id(row: &Row<'_>, column: usize) -> rusqlite::Result<RecordId> {
    let bytes: [u8; 16] = row.get(column)?;
    RecordId::from_slice(&bytes).map_err(|error| unreadable(column, Type::Blob, error))
}

/// A text that is one of the contract's ids.
pub(super) fn id<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr<Err: Into<Boxed>>,
{
    let text: String = row.get(column)?;
    text.parse()
        .map_err(|error: T::Err| unreadable(column, Type::Text, error))
}

/// A text that names one of a closed list of things.
pub(super) fn word<T>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| unreadable(column, Type::Text, OutOfRange))
}

/// A text that is JSON.
pub(super) fn json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(column, Type::Text, error))
}

pub(super) fn to_json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn unreadable(column: usize, kind: Type, error: impl Into<Boxed>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, error.into())
}
