//! From a probe's answers to a record: what changed since the list that was reported last.
//!
//! [`scan`] is pure but for the probe. It settles the answers ([`settle`]), compares them with the
//! list that the last record led to, and says which record, if any, must be made:
//!
//! - the whole list ([`Body::Inventory`]) the first time, when it is asked for, and every
//!   [`FULL_INTERVAL_DAYS`];
//! - a difference ([`Body::InventoryChange`]) when an answer changed;
//! - a [`Body::Heartbeat`] when a day passed without either;
//! - nothing otherwise.
//!
//! What the next scan needs to know is in [`ScanMemory`], plain data that the caller stores **in
//! the same commit as the record**: were it stored before, a crash in between would lose the
//! record; were it stored after, the same change would be reported twice.

mod settle;

use std::collections::BTreeMap;

use candour_wire::AppId;
use candour_wire::limits;
use candour_wire::policy::Catalogue;
use candour_wire::posture::{AppPresence, HandsetFacts, Heartbeat, Inventory};
use candour_wire::record::Body;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ports::AppProbe;

/// Days after which the whole list is reported again, though nothing changed.
///
/// A department disposes of posture rows when their retention ends. Differences and heartbeats
/// mean nothing without the list that they start from, so that it must be renewed well before; 30
/// days is a third of a short retention of 90.
pub const FULL_INTERVAL_DAYS: i64 = 30;

/// Days for which an app counts as installed that was seen by its running program alone.
///
/// Without this the answer would follow the program being started and closed, and so tell when
/// an app is used (invariant I2).
pub const SIGHTING_KEPT_DAYS: i64 = 30;

const HEARTBEAT_INTERVAL_HOURS: i64 = 24;

/// What one scan leaves for the next. Plain data, safe to store as JSON; it says which apps are
/// on the phone, so the store seals it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ScanMemory {
    /// The list that the last record leads to; `None` before the first.
    pub reported: Option<Inventory>,
    /// When the whole list was last put in a record.
    pub last_full: Option<Timestamp>,
    /// When a list, a difference or a heartbeat was last put in a record.
    pub last_record: Option<Timestamp>,
    /// The last day (UTC) on which an app was seen by its running program alone. Only the day is
    /// kept: the hour would be usage.
    pub sightings: BTreeMap<AppId, Date>,
}

/// What a scan found and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanOutcome {
    /// The present list, one answer for each app of the catalogue, sorted by app id.
    pub inventory: Inventory,
    /// The record to append, if one is due.
    pub record: Option<Body>,
    /// To be stored in the same commit as the record, and also when there is none.
    pub memory: ScanMemory,
}

/// Asks the probe about the apps of `catalogue` and decides which record is due at `now`.
///
/// `force_full` makes it the whole list, whatever was reported before. Blocks as long as the
/// probe does, which may be seconds.
#[must_use]
pub fn scan(
    probe: &dyn AppProbe,
    catalogue: &Catalogue,
    memory: &ScanMemory,
    now: Timestamp,
    force_full: bool,
) -> ScanOutcome {
    let handset = tidy_facts(probe.handset_facts());
    let answers = settle::settle(catalogue, &handset.platform, probe.probe(catalogue));
    let (apps, sightings) = remember(answers, &memory.sightings, day_of(now));
    let inventory = Inventory {
        catalogue: catalogue.version,
        handset,
        apps,
    };

    let record = due_record(memory, &inventory, now, force_full);
    let memory = ScanMemory {
        reported: record
            .as_ref()
            .map_or_else(|| memory.reported.clone(), |_| Some(inventory.clone())),
        last_full: if matches!(record, Some(Body::Inventory(_))) {
            Some(now)
        } else {
            memory.last_full
        },
        last_record: if record.is_some() {
            Some(now)
        } else {
            memory.last_record
        },
        sightings,
    };
    ScanOutcome {
        inventory,
        record,
        memory,
    }
}

fn due_record(
    memory: &ScanMemory,
    inventory: &Inventory,
    now: Timestamp,
    force_full: bool,
) -> Option<Body> {
    let full_due = passed(
        memory.last_full,
        now,
        SignedDuration::from_hours(24 * FULL_INTERVAL_DAYS),
    );
    let Some(reported) = memory
        .reported
        .as_ref()
        .filter(|_| !force_full && !full_due)
    else {
        return Some(Body::Inventory(inventory.clone()));
    };
    if let Some(change) = reported.change_to(inventory) {
        return Some(Body::InventoryChange(change));
    }
    passed(
        memory.last_record,
        now,
        SignedDuration::from_hours(HEARTBEAT_INTERVAL_HOURS),
    )
    .then(|| {
        Body::Heartbeat(Heartbeat {
            inventory: inventory.hash(),
        })
    })
}

/// Whether at least `interval` lies between the two times, whichever is first: a clock that once
/// stood far in the future must not silence the handset until then.
fn passed(last: Option<Timestamp>, now: Timestamp, interval: SignedDuration) -> bool {
    last.is_none_or(|last| now.duration_since(last).abs() >= interval)
}

/// Keeps apps installed that were seen by their running program alone within
/// [`SIGHTING_KEPT_DAYS`], and notes today's sightings. Sightings of apps that have left the
/// catalogue, or that better evidence has shown since, are forgotten.
fn remember(
    mut answers: Vec<AppPresence>,
    before: &BTreeMap<AppId, Date>,
    today: Date,
) -> (Vec<AppPresence>, BTreeMap<AppId, Date>) {
    let mut sightings = BTreeMap::new();
    for answer in &mut answers {
        if settle::seen_running_only(answer) {
            sightings.insert(answer.app.clone(), today);
        } else if !settle::is_installed(answer)
            && let Some(seen) = before.get(&answer.app)
            && days_between(*seen, today) <= SIGHTING_KEPT_DAYS
        {
            sightings.insert(answer.app.clone(), *seen);
            settle::set_seen_running(answer);
        }
    }
    (answers, sightings)
}

fn day_of(now: Timestamp) -> Date {
    now.to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn days_between(a: Date, b: Date) -> i64 {
    b.duration_since(a).abs().as_hours() / 24
}

/// Facts come from makers and users of the phone: what cannot be shown in a table is taken out,
/// and the length is bounded as for every short text.
fn tidy_facts(facts: HandsetFacts) -> HandsetFacts {
    let tidy = |text: String| {
        let words: Vec<_> = text
            .split(|c: char| c.is_whitespace() || c.is_control())
            .collect();
        let spaced = words
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        spaced
            .chars()
            .take(limits::SHORT_TEXT_MAX_CHARS)
            .collect::<String>()
    };
    let tidy_some = |text: Option<String>| text.map(tidy).filter(|text| !text.is_empty());
    HandsetFacts {
        platform: tidy(facts.platform),
        os_version: tidy_some(facts.os_version),
        model: tidy_some(facts.model),
        agent_version: tidy(facts.agent_version),
    }
}

#[cfg(test)]
mod tests;
