use candour_wire::content::{
    DeviceOwnership, Direction, Message, Participant, Person, Significance, flag,
};
use candour_wire::policy::Policy;
use candour_wire::time::MessageTime;
use candour_wire::{Code, limits};
use jiff::Timestamp;

use super::*;
use crate::testing;

fn policy() -> Policy {
    testing::policy(1)
}

fn now() -> Present {
    Present {
        likely: instant(),
        latest: instant(),
    }
}

fn instant() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn at(text: &str) -> Option<MessageTime> {
    Some(MessageTime::at(text.parse().unwrap(), "Europe/London").unwrap())
}

fn holder() -> Person {
    Person {
        name: "Sam Example".into(),
        role: None,
    }
}

/// A draft that may be declared as it is.
fn complete() -> Draft {
    Draft {
        channel: Some("whatsapp".parse().unwrap()),
        direction: Some(Direction::Received),
        participants: vec![Participant {
            name: "Bob O'Neil".into(),
            role: None,
        }],
        significance: Some(Significance::Significant),
        reason: Some("The Minister was travelling".into()),
        messages: vec![Message {
            at: at("2026-11-20T09:05:00"),
            author: Some("Bob O'Neil".into()),
            text: "Agreed at £1.2m".into(),
            source_sha256: None,
            flags: vec![],
            redactions: Vec::new(),
        }],
        ..Draft::default()
    }
}

fn violations(draft: &Draft) -> Vec<(&'static str, Code)> {
    let Violations(found) = check(draft, &policy(), Some(&holder()), now()).unwrap_err();
    found.into_iter().map(|v| (v.field, v.code)).collect()
}

#[test]
fn a_complete_draft_becomes_a_preview_with_the_defaults_filled_in() {
    let preview = check(&complete(), &policy(), Some(&holder()), now()).unwrap();
    let content = preview.content();
    assert_eq!(content.marking, "official");
    assert_eq!(content.device, DeviceOwnership::Government);
    assert_eq!(content.capture, Capture::Paste);
    assert_eq!(content.declared_by, holder());
    assert_eq!(content.occurred, at("2026-11-20T09:05:00").unwrap());
    assert_eq!(preview.late_days(), None);
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    let Violations(found) = check(&Draft::default(), &policy(), None, now()).unwrap_err();
    let fields: Vec<_> = found.iter().map(|v| v.field).collect();
    assert_eq!(
        fields,
        [
            "significance",
            "channel",
            "direction",
            "declared_by",
            "occurred"
        ]
    );
}

#[test]
fn secret_is_refused_before_anything_else_is_looked_at() {
    for marking in ["SECRET", "Top Secret", "official / UK SECRET"] {
        let draft = Draft {
            marking: Some(marking.to_owned()),
            ..Draft::default()
        };
        let refused = refuse_above_official_sensitive(&draft).unwrap_err();
        assert_eq!(refused.code(), Code::MarkingTooHigh, "{marking}");
        assert_eq!(violations(&draft), [("marking", Code::MarkingTooHigh)]);
    }
    let draft = Draft {
        handling: Some("Treat as SECRET".into()),
        ..complete()
    };
    assert_eq!(violations(&draft), [("handling", Code::MarkingTooHigh)]);
}

#[test]
fn significant_or_sensitive_business_on_a_private_device_needs_its_circumstances() {
    let private = Draft {
        device: Some(DeviceOwnership::Private),
        ..complete()
    };
    assert_eq!(
        violations(&private),
        [("exceptional_circumstances", Code::ExceptionRequired)]
    );
    let blank = Draft {
        exceptional_circumstances: Some("  ".into()),
        ..private.clone()
    };
    assert_eq!(
        violations(&blank),
        [("exceptional_circumstances", Code::ExceptionRequired)]
    );
    let said = Draft {
        exceptional_circumstances: Some("The work phone had no signal".into()),
        ..private.clone()
    };
    assert!(check(&said, &policy(), Some(&holder()), now()).is_ok());
    let logistical = Draft {
        significance: Some(Significance::Logistical),
        ..private.clone()
    };
    assert!(check(&logistical, &policy(), Some(&holder()), now()).is_ok());
    let sensitive = Draft {
        marking: Some("OFFICIAL-SENSITIVE".into()),
        ..logistical
    };
    assert_eq!(
        violations(&sensitive),
        [("exceptional_circumstances", Code::ExceptionRequired)]
    );
}

#[test]
fn logistics_need_no_content_and_no_reason() {
    let draft = Draft {
        significance: Some(Significance::Logistical),
        messages: vec![],
        reason: None,
        participants: vec![],
        occurred: at("2026-11-20T09:05:00"),
        ..complete()
    };
    let preview = check(&draft, &policy(), Some(&holder()), now()).unwrap();
    assert_eq!(preview.content().capture, Capture::Note);
}

#[test]
fn significant_business_needs_content_people_and_a_reason() {
    let draft = Draft {
        messages: vec![],
        participants: vec![],
        reason: None,
        occurred: at("2026-11-20T09:05:00"),
        ..complete()
    };
    assert_eq!(
        violations(&draft),
        [
            ("reason", Code::ReasonRequired),
            ("messages", Code::ContentRequired),
            ("participants", Code::ParticipantsRequired),
        ]
    );
}

#[test]
fn lateness_is_flagged_and_never_refused() {
    let on = |day: &str| Draft {
        occurred: at(day),
        ..complete()
    };
    let late = |day| {
        check(&on(day), &policy(), Some(&holder()), now())
            .unwrap()
            .late_days()
    };
    assert_eq!(late("2026-11-02T12:00:00"), None, "twenty days are in time");
    assert_eq!(late("2026-11-01T12:00:00"), Some(1));
    assert_eq!(late("2020-01-01T12:00:00"), Some(2497));
}

#[test]
fn a_time_in_the_future_or_a_zone_that_nobody_knows_is_refused() {
    let future = Draft {
        occurred: at("2026-11-25T12:00:00"),
        ..complete()
    };
    assert_eq!(violations(&future), [("occurred", Code::TimeInFuture)]);
    let mut nowhere = at("2026-11-20T12:00:00").unwrap();
    nowhere.zone = "Europe/Atlantis".into();
    assert_eq!(
        violations(&Draft {
            occurred: Some(nowhere),
            ..complete()
        }),
        [("occurred", Code::TimeInvalid)]
    );
}

#[test]
fn channels_and_markings_come_from_the_policy() {
    let draft = Draft {
        channel: Some("carrier-pigeon".parse().unwrap()),
        marking: Some("PRIVATE".into()),
        ..complete()
    };
    assert_eq!(
        violations(&draft),
        [
            ("channel", Code::ChannelUnknown),
            ("marking", Code::MarkingUnknown)
        ]
    );
}

#[test]
fn fields_that_are_too_long_are_named() {
    let draft = Draft {
        reason: Some("r".repeat(limits::LONG_TEXT_MAX_CHARS + 1).into()),
        on_behalf_of: Some(Person {
            name: "n".repeat(limits::SHORT_TEXT_MAX_CHARS + 1).into(),
            role: None,
        }),
        ..complete()
    };
    assert_eq!(
        violations(&draft),
        [
            ("on_behalf_of", Code::FieldTooLong),
            ("reason", Code::FieldTooLong)
        ]
    );
}

#[test]
fn a_draft_survives_storage() {
    let json = serde_json::to_vec(&complete()).unwrap();
    assert_eq!(serde_json::from_slice::<Draft>(&json).unwrap(), complete());
}

#[test]
fn a_clock_that_is_known_to_be_ahead_calls_nothing_late_and_nothing_future() {
    let present = Present {
        likely: instant(),
        latest: "2036-11-22T00:00:00Z".parse().unwrap(),
    };
    let preview = check(&complete(), &policy(), Some(&holder()), present).unwrap();
    assert_eq!(preview.late_days(), None);
    let ahead = Draft {
        occurred: Some(at("2030-01-01T12:00:00").unwrap()),
        ..complete()
    };
    assert!(check(&ahead, &policy(), Some(&holder()), present).is_ok());
}

#[test]
fn a_preview_shows_redactions_as_they_will_be_declared() {
    let mut draft = complete();
    draft.messages[0].source_sha256 = Some(candour_wire::Digest::of(b"line"));
    draft.messages.push(Message {
        text: "Unchanged".into(),
        source_sha256: Some(candour_wire::Digest::of(b"other line")),
        ..draft.messages[0].clone()
    });
    draft.source = Some(Source {
        format: "whatsapp_text".into(),
        sha256: Some(candour_wire::Digest::of(b"file")),
        messages: 3,
        date_order: "dmy".into(),
        date_order_basis: Some("over_twelve".into()),
    });
    let untouched = check(&draft, &policy(), Some(&holder()), now()).unwrap();
    let source = |preview: &Preview| preview.content().source.clone().unwrap();
    assert!(source(&untouched).sha256.is_some());

    let passage = Passage {
        range: occurrences(&draft.messages[0], "£1.2m").remove(0),
        reason: candour_wire::content::RedactionReason::UnrelatedPrivate,
        note: None,
    };
    draft.redact(0, &[passage]).unwrap();
    let preview = check(&draft, &policy(), Some(&holder()), now()).unwrap();
    let messages = &preview.content().messages;
    assert_eq!(messages, &draft.messages);
    // EXPOSE: the test's own words.
    assert_eq!(messages[0].text.expose(), "Agreed at [redacted]");
    assert_eq!(messages[0].source_sha256, None);
    assert!(messages[1].source_sha256.is_some());
    assert_eq!(source(&preview).sha256, None);
    assert_eq!(source(&preview).messages, 3);
    let json = serde_json::to_string(preview.content()).unwrap();
    assert!(!json.contains("1.2m"), "{json}");

    draft.messages[0].source_sha256 = Some(candour_wire::Digest::of(b"line"));
    let preview = check(&draft, &policy(), Some(&holder()), now()).unwrap();
    assert_eq!(preview.content().messages[0].source_sha256, None);

    draft.messages[0].text = "Agreed at £1.2m".into();
    assert_eq!(violations(&draft), [("messages", Code::RedactionInvalid)]);
}

#[test]
fn what_is_too_long_to_be_one_message_is_not_declared() {
    let mut draft = complete();
    draft.messages[0].flags = vec!["one_off_author".into(), flag::TOO_LONG.into()];
    assert_eq!(violations(&draft), [("messages", Code::MessageTooLong)]);
    draft.messages[0].flags.pop();
    assert!(check(&draft, &policy(), Some(&holder()), now()).is_ok());
}
