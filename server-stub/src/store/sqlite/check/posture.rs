//! What a handset reported, as its records lead to it and as the tables have it.

use candour_wire::Digest;
use candour_wire::posture::{Inventory, Status};
use candour_wire::record::Body;
use rusqlite::{Connection, OptionalExtension as _};

use crate::store::sqlite::values::{digest, json};

/// The list and the status that the records so far lead to.
#[derive(Debug, Default)]
pub(super) struct Reported {
    list: Option<Inventory>,
    status: Option<Status>,
}

impl Reported {
    /// Takes the next record of the chain.
    pub(super) fn take(&mut self, body: &Body) {
        match body {
            Body::Inventory(list) => self.list = Some(list.clone()),
            Body::InventoryChange(change) => {
                self.list = self.list.take().and_then(|list| list.apply(change));
            }
            Body::Status(status) => self.status = Some(status.clone()),
            _ => {}
        }
    }

    /// Where the tables say something else.
    pub(super) fn faults(
        &self,
        db: &Connection,
        handset: i64,
    ) -> rusqlite::Result<Vec<&'static str>> {
        let mut faults = Vec::new();
        let kept: Option<(Digest, Inventory)> = db
            .query_row(
                "SELECT hash, list FROM inventory WHERE handset = ?1",
                [handset],
                |row| Ok((digest(row, 0)?, json(row, 1)?)),
            )
            .optional()?;
        let own = self.list.as_ref().map(|list| (list.hash(), list.clone()));
        if kept != own {
            faults.push("its list of apps is not what its records lead to");
        }
        let mut counted: Vec<(String, String)> = db
            .prepare("SELECT app, state FROM presence WHERE handset = ?1")?
            .query_map([handset], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let apps = self.list.iter().flat_map(|list| &list.apps);
        let mut listed: Vec<_> = apps
            .map(|app| (app.app.to_string(), app.state.as_str().to_owned()))
            .collect();
        counted.sort();
        listed.sort();
        if counted != listed {
            faults.push("its apps are counted otherwise than its list has them");
        }
        let kept: Option<Status> = db
            .query_row(
                "SELECT status FROM status WHERE handset = ?1",
                [handset],
                |row| json(row, 0),
            )
            .optional()?;
        if kept != self.status {
            faults.push("its status is not what it reported last");
        }
        Ok(faults)
    }
}
