//! Policies that change what phones are asked: a small catalogue, another records key.

use candour_wire::policy::{Catalogue, CatalogueApp, Category, Policy};
use candour_wire::seal::Suite;
use jiff::SignedDuration;

use super::server::{KEYS, department};

/// The apps of the catalogues: the first few are in all of them, the others come and go.
pub(super) const APPS: [&str; 6] = ["whatsapp", "signal", "telegram", "viber", "threema", "wire"];

const ALWAYS: usize = 3;

/// The catalogue after so many changes.
pub(super) fn catalogue(changes: u64) -> Catalogue {
    let in_it = |index: &usize| *index < ALWAYS || (changes >> (index - ALWAYS)) & 1 == 0;
    let mut apps: Vec<CatalogueApp> = (0..APPS.len())
        .filter(in_it)
        .map(|index| CatalogueApp {
            id: APPS[index].parse().expect("a valid id"),
            name: APPS[index].to_owned(),
            category: Category::Messaging,
            why: "It is used for messages".to_owned(),
            android: Vec::new(),
            ios_bundle: Vec::new(),
            ios_scheme: Vec::new(),
            linux: Default::default(),
        })
        .collect();
    apps.sort_by(|a, b| a.id.cmp(&b.id));
    Catalogue {
        // Above the bundled one's.
        version: 1_000_000 + changes,
        apps,
    }
}

/// The version after `last`, with what `draw` decides changed.
pub(super) fn next(last: &Policy, index: usize, rng: &mut fastrand::Rng) -> Policy {
    let mut next = last.clone();
    next.version += 1;
    if rng.bool() {
        let changes = last.catalogue.as_ref().map_or(0, |c| c.version - 1_000_000);
        next.catalogue = Some(catalogue(changes + 1));
    }
    if rng.bool() {
        let key = usize::from(rng.bool());
        next.records_key = KEYS.records[index][key].public_key(Suite::XWingAes256Gcm);
    }
    if rng.u8(0..4) == 0 {
        // Receipts leave the phones soon.
        next.retention.handset_receipt_days = if rng.bool() { 30 } else { 365 };
    }
    // However far the clocks have been put.
    next.expires = next.issued + SignedDuration::from_hours(24 * 365 * 20);
    next
}

/// A department's first policy, as the site issues it.
pub(super) fn first(index: usize, now: jiff::Timestamp) -> Policy {
    let key = KEYS.records[index][0].public_key(Suite::XWingAes256Gcm);
    let mut first = candour_server::policy::standard(&department(index), "A department", key, now);
    first.catalogue = Some(catalogue(0));
    first.expires = now + SignedDuration::from_hours(24 * 365 * 20);
    first
}
