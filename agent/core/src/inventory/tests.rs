use std::sync::Mutex;

use candour_wire::policy::Catalogue;
use candour_wire::posture::Evidence::{
    self, DesktopEntry, Mdm, PackageDatabase, PackageManager, Process, UrlScheme,
};
use candour_wire::posture::Presence::{self, Absent, Installed, Unknown};
use proptest::prelude::*;

use super::*;
use crate::catalogue;

/// Answers as it is told and counts what it is asked.
struct FakeProbe {
    platform: &'static str,
    answers: Vec<AppPresence>,
    asked: Mutex<Vec<String>>,
}

impl AppProbe for FakeProbe {
    fn probe(&self, catalogue: &Catalogue) -> Vec<AppPresence> {
        self.asked
            .lock()
            .unwrap()
            .extend(catalogue.apps.iter().map(|app| app.id.to_string()));
        self.answers.clone()
    }

    fn handset_facts(&self) -> HandsetFacts {
        HandsetFacts {
            platform: self.platform.into(),
            os_version: Some("15".into()),
            model: None,
            agent_version: "0.1.0".into(),
        }
    }
}

fn answer(app: &str, state: Presence, evidence: &[Evidence]) -> AppPresence {
    AppPresence {
        app: app.parse().unwrap(),
        state,
        evidence: evidence.to_vec(),
    }
}

fn probe(answers: &[AppPresence]) -> FakeProbe {
    FakeProbe {
        platform: "linux",
        answers: answers.to_vec(),
        asked: Mutex::default(),
    }
}

/// The bundled catalogue cut down to these apps.
fn catalogue_of(apps: &[&str]) -> Catalogue {
    let mut catalogue = catalogue::bundled().clone();
    catalogue.apps.retain(|app| apps.contains(&app.id.as_str()));
    assert_eq!(catalogue.apps.len(), apps.len());
    catalogue
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn days(n: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * n)
}

const NOON: &str = "2026-11-22T12:00:00Z";

fn found(outcome: &ScanOutcome, app: &str) -> (Presence, Vec<Evidence>) {
    let answer = outcome
        .inventory
        .apps
        .iter()
        .find(|answer| answer.app.as_str() == app)
        .unwrap();
    (answer.state, answer.evidence.clone())
}

fn kind(outcome: &ScanOutcome) -> Option<&'static str> {
    outcome.record.as_ref().map(|body| body.kind().as_str())
}

#[test]
fn the_first_scan_reports_the_whole_list_and_the_next_nothing() {
    let catalogue = catalogue_of(&["signal", "telegram"]);
    let probe = probe(&[answer("signal", Installed, &[PackageDatabase])]);
    let first = scan(&probe, &catalogue, &ScanMemory::default(), at(NOON), false);
    assert_eq!(first.record, Some(Body::Inventory(first.inventory.clone())));
    assert_eq!(found(&first, "signal"), (Installed, vec![PackageDatabase]));
    assert_eq!(
        found(&first, "telegram"),
        (Unknown, vec![]),
        "the probe did not answer"
    );

    let second = scan(
        &probe,
        &catalogue,
        &first.memory,
        at(NOON) + SignedDuration::from_hours(23),
        false,
    );
    assert_eq!(second.record, None);
    assert_eq!(second.memory, first.memory);
    assert_eq!(
        *probe.asked.lock().unwrap(),
        ["signal", "telegram", "signal", "telegram"]
    );
}

#[test]
fn a_change_travels_as_a_difference_that_leads_to_the_new_list() {
    let catalogue = catalogue_of(&["signal", "telegram"]);
    let before = probe(&[
        answer("signal", Absent, &[PackageDatabase]),
        answer("telegram", Absent, &[PackageDatabase]),
    ]);
    let after = probe(&[
        answer("signal", Installed, &[DesktopEntry]),
        answer("telegram", Absent, &[PackageDatabase]),
    ]);
    let first = scan(&before, &catalogue, &ScanMemory::default(), at(NOON), false);
    let second = scan(&after, &catalogue, &first.memory, at(NOON), false);
    let Some(Body::InventoryChange(change)) = &second.record else {
        panic!("{:?}", second.record)
    };
    assert_eq!(
        change.changed,
        [answer("signal", Installed, &[DesktopEntry])]
    );
    assert_eq!(first.inventory.apply(change).unwrap(), second.inventory);
    assert_eq!(second.memory.reported.as_ref(), Some(&second.inventory));
    assert_eq!(
        scan(&after, &catalogue, &second.memory, at(NOON), false).record,
        None
    );
}

#[test]
fn a_day_without_a_record_makes_a_heartbeat_with_the_lists_hash() {
    let catalogue = catalogue_of(&["signal"]);
    let probe = probe(&[answer("signal", Absent, &[PackageDatabase])]);
    let first = scan(&probe, &catalogue, &ScanMemory::default(), at(NOON), false);
    let next_day = at(NOON) + days(1);
    let second = scan(&probe, &catalogue, &first.memory, next_day, false);
    assert_eq!(
        second.record,
        Some(Body::Heartbeat(Heartbeat {
            inventory: first.inventory.hash()
        }))
    );
    assert_eq!(
        scan(
            &probe,
            &catalogue,
            &second.memory,
            next_day + SignedDuration::from_hours(1),
            false
        )
        .record,
        None
    );
}

#[test]
fn the_whole_list_comes_again_when_asked_for_and_before_the_department_forgets_it() {
    let catalogue = catalogue_of(&["signal"]);
    let probe = probe(&[]);
    let first = scan(&probe, &catalogue, &ScanMemory::default(), at(NOON), false);
    assert_eq!(
        kind(&scan(&probe, &catalogue, &first.memory, at(NOON), true)),
        Some("inventory")
    );

    let mut memory = first.memory;
    for day in 1..=30 {
        let outcome = scan(&probe, &catalogue, &memory, at(NOON) + days(day), false);
        assert_eq!(
            kind(&outcome),
            Some(if day < FULL_INTERVAL_DAYS {
                "heartbeat"
            } else {
                "inventory"
            }),
            "{day}"
        );
        memory = outcome.memory;
    }
}

#[test]
fn a_clock_that_stood_in_the_future_does_not_silence_the_handset() {
    let catalogue = catalogue_of(&["signal"]);
    let probe = probe(&[]);
    let future = scan(
        &probe,
        &catalogue,
        &ScanMemory::default(),
        at("2036-01-01T00:00:00Z"),
        false,
    );
    let mended = scan(&probe, &catalogue, &future.memory, at(NOON), false);
    assert_eq!(kind(&mended), Some("inventory"));
    let corrected = scan(
        &probe,
        &catalogue,
        &mended.memory,
        at(NOON) - SignedDuration::from_mins(5),
        false,
    );
    assert_eq!(kind(&corrected), None, "a small correction makes no record");
}

#[test]
fn a_new_catalogue_is_a_change() {
    let probe = probe(&[answer("signal", Absent, &[PackageDatabase])]);
    let first = scan(
        &probe,
        &catalogue_of(&["signal", "telegram"]),
        &ScanMemory::default(),
        at(NOON),
        false,
    );
    let mut newer = catalogue_of(&["signal", "wire"]);
    newer.version += 1;
    let second = scan(&probe, &newer, &first.memory, at(NOON), false);
    let Some(Body::InventoryChange(change)) = &second.record else {
        panic!("{:?}", second.record)
    };
    assert_eq!(change.catalogue, newer.version);
    assert_eq!(change.removed, ["telegram".parse().unwrap()]);
    assert_eq!(change.changed, [answer("wire", Unknown, &[])]);
}

#[test]
fn an_answer_about_another_app_goes_no_further() {
    let catalogue = catalogue_of(&["signal"]);
    let probe = probe(&[
        answer("chess-club", Installed, &[PackageDatabase]),
        answer("signal", Absent, &[PackageDatabase]),
    ]);
    let outcome = scan(&probe, &catalogue, &ScanMemory::default(), at(NOON), false);
    assert_eq!(
        outcome.inventory.apps,
        [answer("signal", Absent, &[PackageDatabase])]
    );
    assert!(
        !serde_json::to_string(&outcome.memory)
            .unwrap()
            .contains("chess-club")
    );
}

#[test]
fn absent_needs_a_place_that_was_asked_and_agreement() {
    let catalogue = catalogue_of(&["signal"]);
    let outcome = |answers: &[AppPresence]| {
        let outcome = scan(
            &probe(answers),
            &catalogue,
            &ScanMemory::default(),
            at(NOON),
            false,
        );
        found(&outcome, "signal")
    };
    assert_eq!(outcome(&[answer("signal", Absent, &[])]), (Unknown, vec![]));
    assert_eq!(
        outcome(&[answer("signal", Absent, &[Process])]),
        (Unknown, vec![])
    );
    let disagree = [
        answer("signal", Absent, &[DesktopEntry]),
        answer("signal", Unknown, &[PackageDatabase]),
    ];
    assert_eq!(outcome(&disagree), (Unknown, vec![]));
    let disagree = [
        answer("signal", Absent, &[DesktopEntry]),
        answer("signal", Installed, &[PackageDatabase]),
    ];
    assert_eq!(outcome(&disagree), (Installed, vec![PackageDatabase]));
    let twice = [
        answer("signal", Absent, &[DesktopEntry]),
        answer("signal", Absent, &[PackageDatabase]),
    ];
    assert_eq!(
        outcome(&twice),
        (Absent, vec![PackageDatabase, DesktopEntry])
    );
}

#[test]
fn on_a_phone_an_app_that_the_build_cannot_see_is_unknown_unless_the_device_management_says_so() {
    let mut newer = catalogue_of(&["signal", "whatsapp"]);
    newer.version += 1;
    let signal = newer
        .apps
        .iter_mut()
        .find(|app| app.id.as_str() == "signal")
        .unwrap();
    signal.android[0].id = "org.signal.new".into();
    signal.ios_scheme[0].id = "signal-new".into();

    for (platform, evidence) in [("android", PackageManager), ("ios", UrlScheme)] {
        let answers = vec![
            answer("signal", Absent, &[evidence]),
            answer("whatsapp", Absent, &[evidence]),
        ];
        let phone = FakeProbe {
            platform,
            answers,
            asked: Mutex::default(),
        };
        let outcome = scan(&phone, &newer, &ScanMemory::default(), at(NOON), false);
        assert_eq!(found(&outcome, "signal"), (Unknown, vec![]), "{platform}");
        assert_eq!(
            found(&outcome, "whatsapp"),
            (Absent, vec![evidence]),
            "{platform}"
        );

        let answers = vec![answer("signal", Absent, &[Mdm])];
        let managed = FakeProbe {
            platform,
            answers,
            asked: Mutex::default(),
        };
        let outcome = scan(&managed, &newer, &ScanMemory::default(), at(NOON), false);
        assert_eq!(found(&outcome, "signal"), (Absent, vec![Mdm]), "{platform}");
    }
}

#[test]
fn opening_and_closing_an_app_is_not_reported() {
    let catalogue = catalogue_of(&["zoom"]);
    let open = probe(&[answer("zoom", Installed, &[Process])]);
    let closed = probe(&[answer("zoom", Absent, &[PackageDatabase])]);

    let first = scan(&open, &catalogue, &ScanMemory::default(), at(NOON), false);
    let mut memory = first.memory;
    for day in 1..=SIGHTING_KEPT_DAYS {
        let outcome = scan(&closed, &catalogue, &memory, at(NOON) + days(day), false);
        assert_eq!(found(&outcome, "zoom"), (Installed, vec![Process]), "{day}");
        assert_ne!(kind(&outcome), Some("inventory_change"), "{day}");
        memory = outcome.memory;
    }
    let forgotten = scan(
        &closed,
        &catalogue,
        &memory,
        at(NOON) + days(SIGHTING_KEPT_DAYS + 1),
        false,
    );
    assert_eq!(found(&forgotten, "zoom"), (Absent, vec![PackageDatabase]));
    assert_eq!(kind(&forgotten), Some("inventory_change"));
    assert!(forgotten.memory.sightings.is_empty());

    // Seen again before it is forgotten, it is kept from then on.
    let again = scan(&open, &catalogue, &memory, at(NOON) + days(30), false);
    let later = scan(
        &closed,
        &catalogue,
        &again.memory,
        at(NOON) + days(59),
        false,
    );
    assert_eq!(found(&later, "zoom"), (Installed, vec![Process]));
}

#[test]
fn a_sighting_ends_when_a_package_shows_the_app_or_the_catalogue_drops_it() {
    let catalogue = catalogue_of(&["signal", "zoom"]);
    let running = [
        answer("signal", Installed, &[Process]),
        answer("zoom", Installed, &[Process]),
    ];
    let first = scan(
        &probe(&running),
        &catalogue,
        &ScanMemory::default(),
        at(NOON),
        false,
    );
    assert_eq!(first.memory.sightings.len(), 2);

    let packaged = probe(&[answer("zoom", Installed, &[PackageDatabase, Process])]);
    let second = scan(
        &packaged,
        &catalogue_of(&["zoom"]),
        &first.memory,
        at(NOON),
        false,
    );
    assert_eq!(
        found(&second, "zoom"),
        (Installed, vec![PackageDatabase]),
        "that it runs is not said"
    );
    assert!(second.memory.sightings.is_empty());

    let removed = probe(&[answer("zoom", Absent, &[PackageDatabase])]);
    let third = scan(
        &removed,
        &catalogue_of(&["zoom"]),
        &second.memory,
        at(NOON),
        false,
    );
    assert_eq!(found(&third, "zoom").0, Absent, "its removal shows at once");
}

#[test]
fn a_sighting_says_the_day_and_not_the_hour() {
    let catalogue = catalogue_of(&["zoom"]);
    let open = probe(&[answer("zoom", Installed, &[Process])]);
    let first = scan(
        &open,
        &catalogue,
        &ScanMemory::default(),
        at("2026-11-22T23:59:59Z"),
        false,
    );
    let json = serde_json::to_value(&first.memory).unwrap();
    assert_eq!(
        json["sightings"],
        serde_json::json!({ "zoom": "2026-11-22" })
    );
    assert_eq!(
        serde_json::from_value::<ScanMemory>(json).unwrap(),
        first.memory
    );
    assert_eq!(
        serde_json::from_str::<ScanMemory>("{}").unwrap(),
        ScanMemory::default()
    );
}

#[test]
fn facts_are_made_fit_for_a_table() {
    let facts = tidy_facts(HandsetFacts {
        platform: "linux".into(),
        os_version: Some(" 12\u{1b}[31m \n(bookworm)\0".into()),
        model: Some("\t\n".into()),
        agent_version: "9".repeat(5_000),
    });
    assert_eq!(facts.os_version.as_deref(), Some("12 [31m (bookworm)"));
    assert_eq!(facts.model, None);
    assert_eq!(facts.agent_version.len(), limits::SHORT_TEXT_MAX_CHARS);
}

fn any_answer() -> impl Strategy<Value = AppPresence> {
    let app = prop::sample::select(vec!["signal", "telegram", "wire", "zoom", "not-listed"]);
    let state = prop::sample::select(vec![Installed, Absent, Unknown]);
    let evidence = prop::sample::subsequence(
        vec![PackageManager, PackageDatabase, DesktopEntry, Process],
        0..=4,
    );
    (app, state, evidence).prop_map(|(app, state, evidence)| answer(app, state, &evidence))
}

proptest! {
    /// Whatever probes answer and whenever, the department's list (the last whole list with the
    /// differences applied) is the handset's own, and heartbeats name it.
    #[test]
    fn the_department_can_always_rebuild_the_list(
        steps in prop::collection::vec((prop::collection::vec(any_answer(), 0..8), -40_i64..80, any::<bool>()), 1..20)
    ) {
        let catalogue = catalogue_of(&["signal", "telegram", "wire", "zoom"]);
        let mut memory = ScanMemory::default();
        let mut department: Option<Inventory> = None;
        let mut now = at(NOON);
        for (answers, hours, force) in steps {
            now += SignedDuration::from_hours(hours);
            let outcome = scan(&probe(&answers), &catalogue, &memory, now, force);
            match &outcome.record {
                Some(Body::Inventory(list)) => department = Some(list.clone()),
                Some(Body::InventoryChange(change)) => {
                    department = department.and_then(|list| list.apply(change));
                    prop_assert!(department.is_some());
                }
                Some(Body::Heartbeat(heartbeat)) => {
                    prop_assert_eq!(department.as_ref().map(Inventory::hash), Some(heartbeat.inventory));
                }
                other => prop_assert!(other.is_none() && !force),
            }
            prop_assert_eq!(department.as_ref().map(Inventory::hash), Some(outcome.inventory.hash()));
            prop_assert!(outcome.inventory.apps.iter().map(|a| &a.app).eq(catalogue.apps.iter().map(|a| &a.id)));
            for answer in &outcome.inventory.apps {
                prop_assert_eq!(answer.state == Unknown, answer.evidence.is_empty() && answer.state != Installed);
            }
            memory = outcome.memory;
        }
    }
}
