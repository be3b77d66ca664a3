//! Facebook's and Instagram's downloads: an invented group in two files, a chat, and one that was
//! end-to-end encrypted.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use candour_import::{
    Attachment, Caveat, Conversation, Doubt, Format, ImportError, Message, Options, Place, RowKind,
    Stamp, conversations, import, import_files, sniff,
};

const NEWER: &[u8] = include_bytes!("meta/message_1.json");
const OLDER: &[u8] = include_bytes!("meta/message_2.json");
const INSTAGRAM: &[u8] = include_bytes!("meta/instagram.json");
const ENCRYPTED: &[u8] = include_bytes!("meta/encrypted.json");

const THREAD: &str = "inbox/budgetbill_7290";

fn group() -> Conversation<'static> {
    import_files(&[NEWER, OLDER], &Options::default()).unwrap()
}

fn encrypted() -> Conversation<'static> {
    import(ENCRYPTED, &Options::default()).unwrap()
}

fn doubts(message: &Message<'_>) -> Vec<Doubt> {
    message.doubts().collect()
}

fn places(message: &Message<'_>) -> Vec<Option<String>> {
    let path = |file: &Attachment<'_>| match &file.place {
        Place::Beside(path) => Some(path.to_string()),
        _ => None,
    };
    message.attachments().iter().map(path).collect()
}

/// A file of the older form with these messages.
fn file(messages: &str) -> String {
    format!(
        r#"{{"participants":[{{"name":"A"}}],"messages":[{messages}],"title":"T","thread_path":"inbox/t_1"}}"#
    )
}

/// The first message of a file that has only that one.
fn only(message: &str, check: impl FnOnce(&Message<'_>)) {
    let source = file(message);
    let chat = import(source.as_bytes(), &Options::default()).unwrap();
    assert_eq!(chat.len(), 1);
    check(&chat.message(0).unwrap());
}

#[test]
fn both_forms_are_recognised_and_telegrams_is_not_taken_for_one() {
    for meta in [NEWER, OLDER, INSTAGRAM] {
        assert_eq!(sniff(meta), Some(Format::Meta));
    }
    assert_eq!(sniff(ENCRYPTED), Some(Format::MessengerEncrypted));
    let order =
        br#"{"messages":[{"sender_name":"A","timestamp_ms":1717236000000,"type":"Generic"}]"#;
    assert_eq!(sniff(order), Some(Format::Meta));
    let many = format!(r#"{{"participants":[{}"#, r#"{"name":"A"},"#.repeat(10_000));
    assert_eq!(sniff(many.as_bytes()), Some(Format::Meta));
    for other in [
        &br#"{"participants":[],"messages":[]}"#[..],
        br#"{"messages":[{"sender_name":"A"}]}"#,
        br#"{"messages":7}"#,
        br#"{"type":"personal_chat","messages":[]}"#,
        b"{",
    ] {
        assert!(!matches!(
            sniff(other),
            Some(Format::Meta | Format::MessengerEncrypted)
        ));
    }
}

#[test]
fn a_chat_in_several_files_comes_oldest_first_whatever_their_order() {
    let turned = import_files(&[OLDER, NEWER], &Options::default()).unwrap();
    let group = group();
    assert_eq!(group.len(), 18);
    let mut last = None;
    for (one, other) in group.messages().zip(turned.messages()) {
        assert_eq!(one.source(), other.source());
        assert_eq!(one.fingerprint(), other.fingerprint());
        let Stamp::Instant(at) = one.stamp() else {
            panic!("all have a time");
        };
        assert!(last <= Some(at));
        last = Some(at);
    }
    let first = group.message(0).unwrap();
    assert_eq!(
        first.stamp(),
        Stamp::Instant("2024-06-01T10:00:00Z".parse().unwrap())
    );
    assert_eq!(group.title(), Some("Budget Bill ✅"));
    assert_eq!(group.channel(), Some("messenger"));
    assert_eq!(
        group.caveats(),
        [
            Caveat::DisappearingLeftOut,
            Caveat::DeletedLeftOut,
            Caveat::EarlierWordingsLeftOut
        ]
    );
}

#[test]
fn rows_are_what_the_app_says_they_are() {
    use RowKind::*;
    let kinds: Vec<_> = group().messages().map(|message| message.kind()).collect();
    let expected = [
        Notice, Text, Text, Media, Media, Media, Text, Text, Deleted, Notice, Notice, Location,
        Blank, Text, Text, Omitted, Media, Text,
    ];
    assert_eq!(kinds, expected);
    let kinds: Vec<_> = encrypted()
        .messages()
        .map(|message| message.kind())
        .collect();
    assert_eq!(kinds, [Text, Media, Omitted, Deleted, Text, Notice]);
}

#[test]
fn words_are_those_that_were_written() {
    let chat = group();
    let text = |index: usize| chat.message(index).unwrap().text().into_owned();
    assert_eq!(
        text(1),
        "Clause 14 must go to the Minister today.\nCan you clear it? 😀"
    );
    assert_eq!(text(2), r"Cleared “as drafted” – see C:\notes");
    assert_eq!(text(3), "The signed page");
    assert_eq!(text(4), "");
    assert_eq!(
        text(6),
        "Tom O'Specimen sent an attachment.\nThe note\nhttps://example.org/note"
    );
    assert_eq!(text(7), "https://example.org/b", "the link stands once");
    assert_eq!(text(9), "The video call ended.\ncall: call duration 35");
    assert_eq!(text(12), "");
    let chat = encrypted();
    assert_eq!(
        chat.message(0).unwrap().text(),
        "Only between us: Ã« is not ë 😀"
    );
    assert_eq!(chat.title(), Some("Chloë Ngata-Świątek"));
    assert_eq!(chat.channel(), Some("messenger"));
}

#[test]
fn authors_are_named_and_those_whose_accounts_are_gone_are_doubted() {
    let chat = group();
    let author = |index: usize| chat.message(index).unwrap().author().unwrap().into_owned();
    assert_eq!(author(2), "Chloë Ngata-Świątek");
    assert_eq!(author(13), "Facebook user");
    let of = |index: usize| doubts(&chat.message(index).unwrap());
    assert_eq!(of(1), []);
    assert_eq!(of(12), [Doubt::NotShown]);
    assert_eq!(of(13), [Doubt::AuthorUnknown]);
    assert_eq!(of(14), [Doubt::PerhapsNotice]);
    assert_eq!(chat.doubtful(), 3);
    assert_eq!(chat.message(1).unwrap().is_outgoing(), None);
    only(
        r#"{"timestamp_ms":1717236000000,"content":"x"}"#,
        |message| {
            assert_eq!(message.author(), None);
            assert_eq!(doubts(message), [Doubt::AuthorUnknown]);
        },
    );
}

#[test]
fn files_are_named_from_the_root_of_the_download() {
    let chat = group();
    let at = |index: usize| places(&chat.message(index).unwrap());
    let root = format!("your_facebook_activity/messages/{THREAD}");
    assert_eq!(
        at(3),
        [
            Some(format!("{root}/photos/11_n.jpg")),
            Some(format!("{root}/photos/12_n.jpg"))
        ]
    );
    assert_eq!(
        at(5),
        [Some(
            "your_facebook_activity/messages/stickers_used/39178562.png".to_owned()
        )]
    );
    assert_eq!(at(15), [None], "an address in the web");
    assert_eq!(chat.message(15).unwrap().attachments()[0].name, "t42.mp4");
    assert_eq!(
        chat.message(4).unwrap().attachments()[0].name,
        "annex_b_77.docx"
    );
    let chat = encrypted();
    assert_eq!(
        places(&chat.message(1).unwrap()),
        [Some(
            "media/0b1c2d3e-0000-4000-8000-123456789abc.jpeg".to_owned()
        )]
    );
    assert_eq!(places(&chat.message(2).unwrap()), [None]);
}

#[test]
fn an_odd_message_is_doubted_and_never_hidden() {
    let cases: [(&str, RowKind, &[Doubt]); 8] = [
        (
            r#"{"sender_name":"A","timestamp_ms":1717236000000,"content":"\u00f0\u009f cut"}"#,
            RowKind::Text,
            &[Doubt::InvalidUtf8],
        ),
        (
            r#"{"sender_name":"A","content":"x"}"#,
            RowKind::Text,
            &[Doubt::NoTime],
        ),
        (
            r#"{"sender_name":"A","timestamp_ms":0,"content":"x"}"#,
            RowKind::Text,
            &[Doubt::NoTime, Doubt::Malformed],
        ),
        (
            r#"{"sender_name":"A","timestamp_ms":"soon","content":"x"}"#,
            RowKind::Text,
            &[Doubt::NoTime, Doubt::Malformed],
        ),
        (
            r#"{"sender_name":["A"],"timestamp_ms":1717236000000,"content":{"a":[]}}"#,
            RowKind::Blank,
            &[Doubt::AuthorUnknown, Doubt::Malformed, Doubt::NotShown],
        ),
        (
            r#"{"sender_name":"A","timestamp_ms":1717236000000,"content":"x","content":"y"}"#,
            RowKind::Text,
            &[Doubt::RepeatedPart],
        ),
        (
            r#"{"sender_name":"A","timestamp_ms":1717236000000,"photos":7,"share":[],"sticker":null}"#,
            RowKind::Blank,
            &[Doubt::NotShown],
        ),
        (
            r#"{"sender_name":"A","timestamp_ms":1717236000000,"type":"Subscribe","users":[{"name":"B"}]}"#,
            RowKind::System,
            &[],
        ),
    ];
    for (message, kind, expected) in cases {
        only(message, |read| {
            assert_eq!(read.kind(), kind, "{message}");
            assert_eq!(doubts(read), expected, "{message}");
            let _ = (read.text(), read.attachments(), read.fingerprint());
        });
    }
}

#[test]
fn the_app_is_known_by_the_paths_of_files_alone() {
    let channel = |photo: &str, content: &str| {
        let source = file(&format!(
            r#"{{"sender_name":"A","timestamp_ms":1717236000000,"photos":[{{"uri":"{photo}"}}],"content":"{content}"}}"#
        ));
        import(source.as_bytes(), &Options::default())
            .unwrap()
            .channel()
    };
    let instagram = "your_instagram_activity/messages/inbox/t_1/photos/1.jpg";
    assert_eq!(channel(instagram, ""), Some("instagram"));
    assert_eq!(
        channel(&instagram.replace('/', "\\/"), ""),
        Some("instagram")
    );
    assert_eq!(
        channel("your_activity_across_facebook/messages/1.jpg", ""),
        Some("messenger")
    );
    assert_eq!(channel("messages/inbox/t_1/photos/1.jpg", ""), None);
    let quoted = format!(r#"see \"{instagram}\""#);
    assert_eq!(channel("photos/1.jpg", &quoted), None);
}

#[test]
fn long_lists_take_no_longer_than_their_length() {
    let files = vec![r#"{"uri":"a/b.jpg"}"#; 50_000].join(",");
    let source = file(&format!(
        r#"{{"sender_name":"{}","timestamp_ms":1717236000000,"photos":[{files}],"videos":[{files}]}}"#,
        "A".repeat(1 << 20)
    ));
    let chat = import(source.as_bytes(), &Options::default()).unwrap();
    assert_eq!(chat.message(0).unwrap().attachments().len(), 100_000);
}

#[test]
fn a_message_out_of_time_is_put_in_its_place_and_doubted() {
    let message = |minute: u32, words: &str| {
        format!(
            r#"{{"sender_name":"A","timestamp_ms":{},"content":"{words}"}}"#,
            1_717_236_000_000_u64 + u64::from(minute) * 60_000
        )
    };
    let none = r#"{"sender_name":"A","content":"no time"}"#.to_owned();
    let source = file(
        &[
            message(9, "d"),
            message(1, "out of time"),
            none,
            message(5, "c"),
            message(3, "b"),
            message(0, "a"),
        ]
        .join(","),
    );
    let chat = import(source.as_bytes(), &Options::default()).unwrap();
    let said: Vec<_> = chat.messages().map(|message| message.text()).collect();
    assert_eq!(said, ["a", "out of time", "b", "c", "no time", "d"]);
    let doubted: Vec<_> = chat
        .messages()
        .map(|message| doubts(&message).first().copied())
        .collect();
    let back = Some(Doubt::TimeRunsBack);
    assert_eq!(doubted, [None, back, None, None, Some(Doubt::NoTime), None]);
}

#[test]
fn messages_are_exactly_their_objects() {
    let chat = group();
    let whole = [NEWER, OLDER].concat();
    let mut spans: Vec<_> = chat.messages().map(|message| message.span()).collect();
    for (message, span) in chat.messages().zip(&spans) {
        assert_eq!(message.source(), &whole[span.clone()]);
        assert!(message.source().starts_with(b"{") && message.source().ends_with(b"}"));
    }
    spans.sort_by_key(|span| span.start);
    for pair in spans.windows(2) {
        assert!(pair[0].end <= pair[1].start);
    }
}

#[test]
fn files_of_two_chats_are_listed_and_one_is_taken() {
    let files = [NEWER, INSTAGRAM, OLDER];
    let listed = conversations(&files, &Options::default()).unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|chat| (chat.id.as_str(), chat.title.as_deref(), chat.messages))
        .collect();
    assert_eq!(
        listed,
        [
            (THREAD, Some("Budget Bill ✅"), 18),
            ("inbox/priya_55", Some("Priya Sample"), 3)
        ]
    );
    assert!(matches!(
        import_files(&files, &Options::default()),
        Err(ImportError::NeedsConversation(2))
    ));
    let chosen = |id| {
        let options = Options {
            conversation: Some(id),
            ..Options::default()
        };
        import_files(&files, &options)
    };
    let chat = chosen("inbox/priya_55").unwrap();
    assert_eq!(chat.message(0).unwrap().text(), "The minister’s line 👍🏽");
    assert_eq!(chat.message(2).unwrap().kind(), RowKind::Notice);
    assert!(matches!(
        chosen("inbox/nobody_1"),
        Err(ImportError::NoSuchConversation)
    ));
    assert!(matches!(
        import_files(&[NEWER, ENCRYPTED], &Options::default()),
        Err(ImportError::FilesDiffer)
    ));
}

#[test]
fn what_was_written_after_a_chat_became_encrypted_is_said_to_be_elsewhere() {
    let source =
        String::from_utf8_lossy(INSTAGRAM).replace("inbox/priya_55\"", "e2ee_cutover/priya_55\"");
    let chat = import(source.as_bytes(), &Options::default()).unwrap();
    assert!(chat.caveats().contains(&Caveat::EncryptedLeftOut));
}

#[test]
fn a_download_that_was_cut_keeps_what_came_before() {
    let mut most = 0;
    for cut in 0..OLDER.len() - 2 {
        match import(&OLDER[..cut], &Options::default()) {
            Ok(chat) => {
                assert!(chat.caveats().contains(&Caveat::CutOff), "{cut}");
                most = most.max(chat.len());
            }
            Err(error) => assert!(
                matches!(error, ImportError::NoChat | ImportError::UnknownFormat),
                "{cut}: {error}"
            ),
        }
    }
    assert_eq!(most, 6);
    let nested = format!("{}7{}", "[".repeat(100), "]".repeat(100));
    let deep = file(&format!(
        r#"{{"sender_name":"A","timestamp_ms":1717236000000,"content":"x"}},{{"sender_name":{nested}}}"#
    ));
    let chat = import(deep.as_bytes(), &Options::default()).unwrap();
    assert_eq!(chat.len(), 1);
    assert!(chat.caveats().contains(&Caveat::Unreadable));
}
