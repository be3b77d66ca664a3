use candour_import::{Options, import};
use candour_wire::content::Direction;

use super::*;
use crate::declaration::RedactionError;

const TEXT: &str = "13/02/2024, 09:05 - Messages and calls are end-to-end encrypted.\n\
    13/02/2024, 09:06 - Alice Example: The annex is late.\n\
    13/02/2024, 09:07 - Bob Example: Then it goes without it.\n\
    14/02/2024, 10:00 - Alice Example: IMG-1.jpg (file attached)\n";

/// One Signal chat: received, then sent and edited.
const SIGNAL: &str = r#"{"version":"1","backupTimeMs":"1717242000000"}
{"account":{"givenName":"Priya","familyName":"Sample"}}
{"recipient":{"id":"1","self":{}}}
{"recipient":{"id":"2","contact":{"e164":"447700900121","profileGivenName":"Alice"}}}
{"chat":{"id":"2","recipientId":"2"}}
{"chatItem":{"chatId":"2","authorId":"2","dateSent":"1717232400000","incoming":{"dateReceived":"1717232400900"},"standardMessage":{"text":{"body":"Is it agreed?"}}}}
{"chatItem":{"chatId":"2","authorId":"1","dateSent":"1717232700000","outgoing":{"sendStatus":[]},"standardMessage":{"text":{"body":"The vote is at 16:00."}},"revisions":[{"chatId":"2","authorId":"1","dateSent":"1717232690000","outgoing":{"sendStatus":[]},"standardMessage":{"text":{"body":"The vote is at 15:00."}}}]}}
"#;

fn whatsapp() -> Vec<ChannelId> {
    vec!["whatsapp".parse().unwrap()]
}

fn chat(text: &str) -> Conversation<'_> {
    import(text.as_bytes(), &Options::default()).unwrap()
}

fn picked(text: &str, places: &[usize], me: Option<&str>, holder: Option<&str>) -> Picked {
    let channels = whatsapp();
    let known = Known {
        zone: "Europe/London",
        me,
        holder,
        channels: &channels,
    };
    pick(&chat(text), places, &known).unwrap()
}

fn texts(draft: &Draft) -> Vec<&str> {
    // EXPOSE: the test's own words.
    let texts = draft.messages.iter().map(|message| message.text.expose());
    texts.map(String::as_str).collect()
}

#[test]
fn picked_messages_become_a_draft_with_their_times_authors_and_files() {
    let picked = picked(TEXT, &[1, 2, 3], Some("Bob Example"), None);
    let draft = &picked.draft;
    assert_eq!(texts(draft)[0], "The annex is late.");
    assert_eq!(
        draft.messages[0].at.as_ref().unwrap().wall.to_string(),
        "2024-02-13T09:06:00"
    );
    assert_eq!(draft.direction, Some(Direction::Both));
    assert_eq!(draft.participants.len(), 1);
    assert_eq!(
        draft.extent,
        Some(Extent::Complete),
        "only the app's own row is left out"
    );
    assert_eq!(draft.channel, Some("whatsapp".parse().unwrap()));
    assert_eq!(draft.source.as_ref().unwrap().messages, 4);
    let file = PickedFile {
        name: "IMG-1.jpg".into(),
        place: FilePlace::Beside("IMG-1.jpg".into()),
    };
    assert_eq!(picked.files, [file]);
}

#[test]
fn without_knowing_the_holder_the_direction_is_left_open() {
    let open = picked(TEXT, &[1], None, None).draft;
    assert_eq!((open.direction, open.extent), (None, Some(Extent::Extract)));
    let sent = picked(TEXT, &[1], Some("~ Alice Example"), None).draft;
    assert_eq!(sent.direction, Some(Direction::Sent));
    assert!(sent.participants.is_empty());
    let configured = picked(TEXT, &[1], None, Some("Bob Example")).draft;
    assert_eq!(configured.direction, Some(Direction::Received));
    let stranger = picked(TEXT, &[1], None, Some("Priya Sample")).draft;
    assert_eq!(stranger.direction, None, "nobody of that name has written");
}

#[test]
fn an_export_that_knows_who_sent_what_decides_unless_the_holder_says_otherwise() {
    let direction = |places: &[usize], me: Option<&str>, holder: Option<&str>| {
        let draft = picked(SIGNAL, places, me, holder).draft;
        (draft.direction, draft.participants.len())
    };
    assert_eq!(direction(&[0], None, None), (Some(Direction::Received), 1));
    assert_eq!(direction(&[1], None, None), (Some(Direction::Sent), 0));
    assert_eq!(direction(&[0, 1], None, None), (Some(Direction::Both), 1));
    assert_eq!(
        direction(&[0], None, Some("Alice")),
        (Some(Direction::Received), 1),
        "a name in the configuration does not turn the export round"
    );
    assert_eq!(
        direction(&[0], Some("Alice"), None),
        (Some(Direction::Sent), 0),
        "the export is another person's"
    );
}

#[test]
fn an_earlier_wording_goes_before_the_message_and_says_what_it_is() {
    let draft = picked(SIGNAL, &[1], None, None).draft;
    assert_eq!(
        texts(&draft),
        ["The vote is at 15:00.", "The vote is at 16:00."]
    );
    assert_eq!(draft.messages[0].flags, [EARLIER_WORDING]);
    assert_eq!(draft.messages[1].flags, [EDITED]);
    assert_eq!(
        draft.messages[0].source_sha256,
        draft.messages[1].source_sha256
    );
    let at = |place: usize| draft.messages[place].at.as_ref().unwrap().wall;
    assert!(at(0) < at(1));
}

#[test]
fn picked_messages_keep_the_origin_that_they_have_in_a_longer_export() {
    let yes = "14/02/2024, 10:01 - Bob Example: Yes\n".repeat(2);
    let twice = format!("{TEXT}{yes}");
    let longer = format!("{twice}14/02/2024, 10:09 - Bob Example: Good\n");
    let origins_of = |text: &str| origins(&chat(text)).collect::<Vec<_>>();
    let (all, more) = (origins_of(&twice), origins_of(&longer));
    assert_eq!(more[..all.len()], all);
    let distinct: BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "said twice in one minute");
    let draft = picked(&longer, &[5, 2], None, None).draft;
    assert_eq!(draft.origins, [Some(all[5]), Some(all[2])]);
    let edited = picked(SIGNAL, &[1], None, None).draft;
    assert_eq!(
        edited.origins,
        [None, origins(&chat(SIGNAL)).nth(1)],
        "an earlier wording is not a message of the chat"
    );
}

#[test]
fn filters_narrow_the_list_by_time_author_and_words() {
    let chat = chat(TEXT);
    let listed = |filter: &Filter| {
        let listed = chat
            .messages()
            .filter(|message| filter.passes(message, &TimeZone::UTC));
        listed.map(|message| message.index()).collect::<Vec<_>>()
    };
    assert_eq!(listed(&Filter::default()), [0, 1, 2, 3]);
    let filter = Filter {
        author: Some("alice".into()),
        ..Filter::default()
    };
    assert_eq!(listed(&filter), [1, 3]);
    let filter = Filter {
        text: Some("ANNEX".into()),
        ..Filter::default()
    };
    assert_eq!(listed(&filter), [1]);
    let filter = Filter {
        from: Some("2024-02-13T09:07:00".parse().unwrap()),
        to: Some("2024-02-13T23:59:59".parse().unwrap()),
        ..Filter::default()
    };
    assert_eq!(listed(&filter), [2]);
}

#[test]
fn what_one_declaration_cannot_hold_or_no_clock_knows_is_refused() {
    let chat = chat(TEXT);
    let known = |zone| Known {
        zone,
        me: None,
        holder: None,
        channels: &[],
    };
    let error = pick(&chat, &[1], &known("Europe/Atlantis")).unwrap_err();
    assert_eq!(error, PickError::Zone(UnknownZone));
    let many = vec![1; MESSAGES_MAX + 1];
    let error = pick(&chat, &many, &known("Europe/London")).unwrap_err();
    assert_eq!(error, PickError::TooMany(MESSAGES_MAX + 1));
}

#[test]
fn authors_are_named_once_and_without_what_apps_put_around_names() {
    let chat = chat(TEXT);
    assert_eq!(authors(&chat), ["Alice Example", "Bob Example"]);
    assert!(writes(&chat, "~ Bob Example") && !writes(&chat, "Bob"));
    assert_eq!(bare("\u{202a}+44 7700 900123\u{202c}"), "+44 7700 900123");
}

#[test]
fn every_doubt_has_a_sentence_and_a_plain_word_has_none() {
    for doubt in Doubt::ALL {
        assert_eq!(meaning(doubt.as_str()), Some(doubt.reason()));
    }
    assert!(meaning(EARLIER_WORDING).is_some());
    assert_eq!(meaning("media"), None);
}

#[test]
fn the_rules_know_what_the_import_calls_too_long() {
    assert_eq!(Doubt::TooLong.as_str(), content::flag::TOO_LONG);
}

#[test]
fn a_picked_message_is_redacted_by_its_place_in_the_chat() {
    let personal = content::RedactionReason::ThirdPartyPersonal;
    let mut picked = picked(SIGNAL, &[0, 1], None, None);
    assert_eq!(picked.draft.messages.len(), 3, "one is an earlier wording");
    let redact = |picked: &mut Picked, place, passage: &str| {
        picked.redact(place, &passage.into(), personal, None)
    };
    assert_eq!(redact(&mut picked, 1, "16:00"), Ok(1));
    assert_eq!(
        texts(&picked.draft),
        ["Is it agreed?", "The vote is at [redacted]."]
    );
    assert_eq!(redact(&mut picked, 1, "vote"), Ok(0), "once more");
    assert_eq!(redact(&mut picked, 0, "agreed"), Ok(0));
    // EXPOSE: the test's own words.
    let text = picked.text(1).map(|text| text.expose().as_str());
    assert_eq!(text, Some("The [redacted] is at [redacted]."));
    for (place, passage, error) in [
        (1, "15:00", RedactionError::NotThere),
        (1, "", RedactionError::NotThere),
        (7, "agreed", RedactionError::NoSuchMessage),
    ] {
        assert_eq!(redact(&mut picked, place, passage), Err(error));
    }
    assert!(picked.text(7).is_none());
}

/// Phones have them stored: were they made otherwise, everything would be offered again.
#[test]
fn origins_of_messages_are_what_they_were() {
    let of = |text: &str| {
        let origin = origins(&chat(text)).nth(1);
        serde_json::to_string(&origin).unwrap()
    };
    assert_eq!(of(TEXT), "\"E1S8MGRGNCMiPnq1i1ssG2Vd1BQthdZjaFNB2HmFbyc\"");
    assert_eq!(
        of(SIGNAL),
        "\"2zbVRy7F_BpvXv6rW87rXqed2CGk_PozAyBPXS55VWU\""
    );
}
