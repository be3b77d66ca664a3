use candour_wire::seal::{RecordsPrivateKey, Suite};
use jiff::Timestamp;

use super::*;

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn policy(records_key: &RecordsPrivateKey) -> Policy {
    standard(
        &department(),
        "HM Treasury",
        records_key.public_key(Suite::XWingAes256Gcm),
        now(),
    )
}

fn department() -> DepartmentId {
    "hm-treasury".parse().unwrap()
}

#[test]
fn the_standard_policy_keeps_every_rule_and_lists_the_bundled_catalogue() {
    let policy = policy(&RecordsPrivateKey::generate());
    policy.check().unwrap();
    assert!(
        policy
            .catalogue
            .unwrap()
            .contains(&"whatsapp".parse().unwrap())
    );
    for channel in ["whatsapp", "sms", "other"] {
        assert!(
            policy.channels.iter().any(|c| c.id.as_str() == channel),
            "{channel}"
        );
    }
}

#[test]
fn the_channels_that_staff_use_most_stand_first_and_the_others_last() {
    let policy = policy(&RecordsPrivateKey::generate());
    let channels: Vec<&str> = policy.channels.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(channels[..3], ["whatsapp", "signal", "sms"]);
    assert_eq!(channels[channels.len() - 2..], ["voice-call", "other"]);
    assert!(channels.contains(&"telegram"));
}

#[test]
fn a_newer_policy_takes_over_and_what_the_older_allowed_is_still_known() {
    let dir = tempfile::tempdir().unwrap();
    let key = PolicyKey::make().unwrap();
    let (old_key, new_key) = (RecordsPrivateKey::generate(), RecordsPrivateKey::generate());
    issue(dir.path(), &key, &policy(&old_key)).unwrap();
    let policies = Policies::open(dir.path().to_owned(), key.verifying_key().clone()).unwrap();
    assert!(!policies.refresh().unwrap(), "nothing has changed");
    let before = policies.of(&department()).unwrap();

    let mut newer = policy(&new_key);
    newer.version = 2;
    let whatsapp: AppId = "whatsapp".parse().unwrap();
    let catalogue = newer.catalogue.as_mut().unwrap();
    catalogue.version += 1;
    catalogue.apps.retain(|app| app.id != whatsapp);
    let (first, second) = (BUNDLED_CATALOGUE.version, catalogue.version);
    issue(dir.path(), &key, &newer).unwrap();
    assert!(policies.refresh().unwrap());
    let after = policies.of(&department()).unwrap();
    assert_eq!(after.current.policy.version, 2);
    assert_ne!(after.current.etag, before.current.etag);
    assert!(after.seals_to(old_key.id()) && after.seals_to(new_key.id()));
    assert!(!after.seals_to(RecordsPrivateKey::generate().id()));
    assert!(after.lists(first, &whatsapp) && !after.lists(second, &whatsapp));
    assert!(after.ever_listed(&whatsapp) && !after.lists(99, &whatsapp));
}

#[test]
fn a_version_that_does_not_go_up_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let key = PolicyKey::make().unwrap();
    let policy = policy(&RecordsPrivateKey::generate());
    issue(dir.path(), &key, &policy).unwrap();
    assert!(matches!(
        issue(dir.path(), &key, &policy),
        Err(PolicyFileError::Version(1))
    ));
    let mut broken = policy;
    broken.version = 2;
    broken.markings.clear();
    assert!(matches!(
        issue(dir.path(), &key, &broken),
        Err(PolicyFileError::Rule(_))
    ));
}

#[test]
fn a_bundle_of_another_key_or_in_anothers_place_is_not_served() {
    let dir = tempfile::tempdir().unwrap();
    let (key, other) = (PolicyKey::make().unwrap(), PolicyKey::make().unwrap());
    let policy = policy(&RecordsPrivateKey::generate());
    issue(dir.path(), &key, &policy).unwrap();
    let open = |key: &PolicyKey| Policies::open(dir.path().to_owned(), key.verifying_key().clone());
    assert!(matches!(open(&other), Err(PolicyFileError::Bundle(..))));
    fs::rename(
        dir.path().join("hm-treasury"),
        dir.path().join("home-office"),
    )
    .unwrap();
    assert!(matches!(open(&key), Err(PolicyFileError::Misplaced(_))));
}

#[test]
fn a_member_that_no_policy_has_is_named_with_the_nearest_one() {
    let mut policy = policy(&RecordsPrivateKey::generate());
    let text = serde_json::to_string_pretty(&policy).unwrap();
    assert_eq!(unknown_members(&text, &policy), <[&str; 0]>::default());
    let text = text
        .replacen("\"catalogue\"", "\"catalog\"", 1)
        .replacen("\"incident_route\"", "\"incident_rout\"", 1)
        .replacen("\"version\"", "\"zzz\": {\"version\": 1}, \"version\"", 1);
    policy.catalogue = None;
    assert_eq!(
        unknown_members(&text, &policy),
        [
            "there is no member `catalog`; did you mean `catalogue`?",
            "there is no member `wording.incident_rout`; did you mean `incident_route`?",
            "there is no member `zzz`",
        ]
    );
}

#[test]
fn every_way_to_write_an_identifier_is_known() {
    let policy = policy(&RecordsPrivateKey::generate());
    let mut written = serde_json::to_value(&policy).unwrap();
    let app = &mut written["catalogue"]["apps"][0];
    for list in ["android", "ios_bundle", "ios_scheme"] {
        app[list] = serde_json::json!([{ "id": "a", "unverified": false }, "b"]);
    }
    app["linux"] =
        serde_json::json!({ "process": [{ "id": "a", "unverified": true }], "snaps": [] });
    let policy: Policy = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(
        unknown_members(&written.to_string(), &policy),
        ["there is no member `catalogue.apps.linux.snaps`; did you mean `snap`?"]
    );
}
