use base64::Engine as _;
use serde_json::json;

use super::*;
use crate::testing;

fn valid() -> Map<String, Value> {
    let policy_key = testing::TestKey::generate();
    let log = testing::log_signer();
    let object = json!({
        "server_url": "https://gateway.example:8443",
        "enrol_url": "https://gateway.example:8444/",
        "department": "hm-treasury",
        "ca_pins": [Digest::of(b"ca").to_string(), Digest::of(b"backup").to_string()],
        "policy_key": base64::engine::general_purpose::STANDARD.encode(policy_key.verifying().spki_der()),
        "log_key": log.verifier().to_string(),
    });
    object.as_object().unwrap().clone()
}

fn problems(change: impl FnOnce(&mut Map<String, Value>)) -> Vec<(String, String)> {
    let mut object = valid();
    change(&mut object);
    let ConfigError(problems) = Config::from_object(&object).unwrap_err();
    problems.into_iter().map(|p| (p.key, p.problem)).collect()
}

#[test]
fn a_full_configuration_is_taken_and_blank_keys_count_as_absent() {
    let mut object = valid();
    object.insert("proxy".into(), json!(""));
    object.insert("holder_name".into(), json!("  Sam Example "));
    object.insert("outbox_max_records".into(), json!("500"));
    object.insert("attachments_max_mib".into(), json!(128));
    let config = Config::from_object(&object).unwrap();
    assert_eq!(config.enrol_url, "https://gateway.example:8444");
    assert_eq!(config.proxy, None);
    assert_eq!(config.holder_name, Some("Sam Example".into()));
    assert_eq!(config.outbox.records, 500);
    assert_eq!(config.outbox.spool_bytes, 128 << 20);
    assert_eq!(config.time_zone, "Europe/London");
    assert_eq!(config.ca_pins.len(), 2);
}

#[test]
fn who_holds_the_phone_is_not_in_a_configuration_that_is_printed() {
    let mut object = valid();
    object.insert("holder_name".into(), json!("Sam Example"));
    object.insert("holder_role".into(), json!("Private secretary"));
    let printed = format!("{:?}", Config::from_object(&object).unwrap());
    assert!(printed.contains("hm-treasury"));
    assert!(!printed.contains("Sam") && !printed.contains("secretary"));
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let found = problems(|object| {
        object.insert("ca_pin".into(), json!("x"));
    });
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "ca_pin");
    assert!(
        found[0].1.contains("did you mean `ca_pins`?"),
        "{}",
        found[0].1
    );
}

#[test]
fn every_problem_is_named_at_once_and_no_value_is_repeated() {
    let found = problems(|object| {
        object.insert("server_url".into(), json!("http://plain.example"));
        object.insert("ca_pins".into(), json!("hunter2"));
        object.insert("time_zone".into(), json!("Europe/Atlantis"));
        object.insert("outbox_max_mib".into(), json!(1));
        object.remove("department");
    });
    let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "server_url",
            "department",
            "ca_pins",
            "time_zone",
            "outbox_max_mib"
        ]
    );
    assert!(
        found
            .iter()
            .all(|(_, problem)| !problem.contains("hunter2") && !problem.contains("Atlantis"))
    );
}

#[test]
fn a_list_of_pins_is_refused_whole_when_one_of_them_is_no_text() {
    let found = problems(|object| {
        object.insert("ca_pins".into(), json!([Digest::of(b"ca").to_string(), 7]));
    });
    assert_eq!(found[0].0, "ca_pins");
}

#[test]
fn an_address_is_a_host_and_a_port_and_nothing_else() {
    for bad in [
        "https://",
        "https://host/path",
        "https://user@host",
        "https://host:0",
        "https://host:99999",
        "ftp://host",
    ] {
        let found = problems(|object| {
            object.insert("server_url".into(), json!(bad));
        });
        assert_eq!(found.len(), 1, "{bad}");
    }
    for good in [
        "https://host",
        "https://127.0.0.1:8443",
        "https://[::1]:8443",
    ] {
        let mut object = valid();
        object.insert("server_url".into(), json!(good));
        assert!(Config::from_object(&object).is_ok(), "{good}");
    }
}
