//! All that is in a server's database, cell by cell, to say what damage has altered.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;

/// The rows of each table, in the order in which the table has them.
#[derive(Debug, PartialEq)]
pub(super) struct Dump(Vec<Table>);

#[derive(Debug, PartialEq)]
struct Table {
    name: String,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

/// What no other part of the store says: a bit that flips there cannot be told from what was
/// written. `x.*` are all columns, and whether a row is there at all.
const UNSAID: [&str; 18] = [
    "anomaly.*",
    "attachment.updated",
    "audit.*",
    "enrolment.version",
    "handset.certificate_not_after",
    "handset.certificate_serial",
    "handset.changed",
    "handset.department",
    "handset.enrolled",
    "handset.label",
    "handset.last_seen",
    "handset.revoked",
    "handset.revoked_reason",
    "inventory.confirmed",
    "record.received",
    "reinstatement.*",
    "status.received",
    "token.*",
];

impl Dump {
    /// Reads everything. The tables are taken from `like` where there is one, since the schema may
    /// be damaged too.
    pub(super) fn read(path: &Path, like: Option<&Self>) -> rusqlite::Result<Self> {
        let db = Connection::open(path)?;
        let names: Vec<String> = match like {
            Some(Self(tables)) => tables.iter().map(|table| table.name.clone()).collect(),
            None => db
                .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?
                .query_map((), |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?,
        };
        let tables = names.into_iter().map(|name| {
            // Without an index: what an index says is not what is there.
            let mut statement = db.prepare(&format!("SELECT * FROM {name} NOT INDEXED"))?;
            let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
            let count = columns.len();
            let rows = statement
                .query_map((), |row| (0..count).map(|column| row.get(column)).collect())?;
            Ok(Table {
                rows: rows.collect::<rusqlite::Result<_>>()?,
                name,
                columns,
            })
        });
        Ok(Self(tables.collect::<rusqlite::Result<_>>()?))
    }

    /// The columns in which another dump of the same database has other values; `x.*` where it has
    /// other rows.
    pub(super) fn differences(&self, other: &Self) -> BTreeSet<String> {
        let mut different = BTreeSet::new();
        for (table, other) in self.0.iter().zip(&other.0) {
            if table.rows.len() != other.rows.len() || table.columns != other.columns {
                different.insert(format!("{}.*", table.name));
                continue;
            }
            for (row, other) in table.rows.iter().zip(&other.rows) {
                for ((value, other), column) in row.iter().zip(other).zip(&table.columns) {
                    if value != other {
                        different.insert(format!("{}.{column}", table.name));
                    }
                }
            }
        }
        different
    }
}

/// Whether nothing else in the store says what a column of [`Dump::differences`] should hold.
pub(super) fn is_unsaid(column: &str) -> bool {
    let table = column.split('.').next().unwrap_or_default();
    UNSAID.contains(&column) || UNSAID.contains(&format!("{table}.*").as_str())
}
