//! Twenty-three exports with a quirk each, and what is right.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::Path;

use candour_import::{Conversation, Doubt, Options, import};
use serde_json::Value;

fn cases() -> (std::path::PathBuf, Value) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let expected = fs::read_to_string(dir.join("expected.json")).unwrap();
    (dir, serde_json::from_str(&expected).unwrap())
}

fn source(name: &str) -> Vec<u8> {
    fs::read(cases().0.join(format!("{name}.txt"))).unwrap()
}

fn as_json(chat: &Conversation<'_>) -> Value {
    chat.messages()
        .map(|message| {
            serde_json::json!({
                "t": message.wall().unwrap().to_string(),
                "author": message.author(),
                "text": message.text(),
            })
        })
        .collect()
}

#[test]
fn every_case_is_read_as_expected() {
    let (dir, expected) = cases();
    let expected = expected.as_object().unwrap();
    assert_eq!(expected.len(), 23);
    for (name, case) in expected {
        let bytes = fs::read(dir.join(format!("{name}.txt"))).unwrap();
        let chat = import(&bytes, &Options::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(as_json(&chat), case["expect"], "{name}");
        let tiles: Vec<u8> = chat.messages().fold(chat.preamble().to_vec(), |all, m| {
            [&all, m.source()].concat()
        });
        assert_eq!(tiles, bytes, "{name}");
    }
}

#[test]
fn a_pasted_header_out_of_time_is_kept_and_flagged() {
    let bytes = source("body_forged_same_style");
    let chat = import(&bytes, &Options::default()).unwrap();
    let doubts = |index: usize| chat.message(index).unwrap().doubts().collect::<Vec<_>>();
    assert!(doubts(0).contains(&Doubt::HeaderInside));
    assert!(doubts(1).is_empty());
}

#[test]
fn a_pasted_header_of_another_phone_is_kept_and_flagged() {
    let bytes = source("body_date_other_style");
    let chat = import(&bytes, &Options::default()).unwrap();
    let doubts: Vec<_> = chat.message(0).unwrap().doubts().collect();
    assert_eq!(doubts, [Doubt::OtherHeaderInside]);
}

#[test]
fn ordinary_cases_raise_no_doubt() {
    let (_, expected) = cases();
    for name in expected.as_object().unwrap().keys() {
        // The first two hold pasted headers; the times of the third run back.
        if [
            "body_forged_same_style",
            "body_date_other_style",
            "android_enUS_12h_nnbsp",
        ]
        .contains(&name.as_str())
        {
            continue;
        }
        let bytes = source(name);
        let chat = import(&bytes, &Options::default()).unwrap();
        assert_eq!(chat.doubtful(), 0, "{name}");
    }
}
