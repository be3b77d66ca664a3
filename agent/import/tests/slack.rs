//! Slack's export: an invented channel of two days, a conversation of two, and the lists.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use candour_import::{
    Archive, Caveat, Conversation, Doubt, Export, Format, ImportError, Options, Place, RowKind,
    Stamp, conversations, import, import_files, sniff,
};
use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const USERS: &[u8] = include_bytes!("slack/users.json");
const CHANNELS: &[u8] = include_bytes!("slack/channels.json");
const DMS: &[u8] = include_bytes!("slack/dms.json");
const FIRST: &[u8] = include_bytes!("slack/budget-bill/2024-06-01.json");
const SECOND: &[u8] = include_bytes!("slack/budget-bill/2024-06-02.json");
const DIRECT: &[u8] = include_bytes!("slack/D024BE91L/2024-06-01.json");

fn channel() -> Conversation<'static> {
    let files = [USERS, CHANNELS, DMS, FIRST, SECOND];
    import_files(&files, &Options::default()).unwrap()
}

fn doubts(chat: &Conversation<'_>, index: usize) -> Vec<Doubt> {
    chat.message(index).unwrap().doubts().collect()
}

#[test]
fn days_and_lists_are_recognised() {
    for file in [USERS, CHANNELS, DMS, FIRST, SECOND, DIRECT] {
        assert_eq!(sniff(file), Some(Format::Slack));
    }
    for other in [
        &b"[]"[..],
        br#"[{"ts":"soon","text":"x"}]"#,
        br#"[{"id":"U1","name":"x"}]"#,
        br#"[{"id":7,"team_id":"T","deleted":false}]"#,
        br#"{"ts":"1717236000.000007","text":"x"}"#,
    ] {
        assert_eq!(sniff(other), None, "{}", String::from_utf8_lossy(other));
    }
}

#[test]
fn rows_are_what_the_app_says_they_are() {
    use RowKind::*;
    let chat = channel();
    let kinds: Vec<_> = chat.messages().map(|message| message.kind()).collect();
    let expected = [
        System, Text, Text, Omitted, Text, Text, Text, Deleted, Text, Text, Notice, Blank,
    ];
    assert_eq!(kinds, expected);
    assert_eq!(
        chat.caveats(),
        [
            Caveat::DeletedLeftOut,
            Caveat::EarlierWordingsLeftOut,
            Caveat::FilesLeftOut
        ]
    );
    assert_eq!(
        chat.message(1).unwrap().stamp(),
        Stamp::Instant("2024-06-01T10:01:00.006Z".parse().unwrap())
    );
    assert!(chat.message(1).unwrap().is_edited());
    assert_eq!(chat.channel(), Some("slack"));
}

#[test]
fn words_are_those_that_were_written_with_names_for_ids() {
    let chat = channel();
    let text = |index: usize| chat.message(index).unwrap().text().into_owned();
    assert_eq!(text(0), "@Alice Example has joined the channel");
    assert_eq!(
        text(1),
        "Clause 14 & annex: see the note <https://example.org/a?x=1&y=2>, @Chloë @here"
    );
    assert_eq!(
        text(2),
        "Cleared in #budget-bill, a <b> ok ✅ a@example.org https://example.org/b"
    );
    assert_eq!(text(4), "*Third reading* at 14:00");
    assert_eq!(text(9), "See what was said\nOnly between us");
}

#[test]
fn authors_are_named_by_the_lists_or_by_the_message() {
    let chat = channel();
    let author = |index: usize| chat.message(index).unwrap().author().unwrap().into_owned();
    assert_eq!(author(1), "Alice Example");
    assert_eq!(author(2), "Chloë");
    assert_eq!(author(4), "Order Paper");
    assert_eq!(author(6), "Tom O'Specimen");
    assert_eq!(author(8), "U4D");
    assert_eq!(chat.message(1).unwrap().author_id(), Some("U1A"));
    assert_eq!(doubts(&chat, 1), []);
    assert_eq!(doubts(&chat, 6), []);
    assert_eq!(doubts(&chat, 8), [Doubt::AuthorUnknown]);
    assert_eq!(doubts(&chat, 9), [Doubt::Forwarded]);
    assert_eq!(doubts(&chat, 11), [Doubt::NotShown]);
    let alone = import(DIRECT, &Options::default()).unwrap();
    assert_eq!(doubts(&alone, 0), [Doubt::AuthorUnknown], "without a list");
}

#[test]
fn files_are_links_only() {
    let chat = channel();
    let message = chat.message(3).unwrap();
    let files = message.attachments();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].name, "page.pdf");
    assert_eq!(files[0].bytes, Some(23));
    assert_eq!(files[0].place, Place::LeftOut);
    assert_eq!(message.text(), "The signed page");
}

fn zipped(root: &str) -> Export<Archive<Cursor<Vec<u8>>>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [
        ("users.json", USERS),
        ("channels.json", CHANNELS),
        ("groups.json", b"[]"),
        ("dms.json", DMS),
        ("integration_logs.json", b"[]"),
        ("budget-bill/2024-06-02.json", SECOND),
        ("budget-bill/2024-06-01.json", FIRST),
        ("budget-bill/2024-05-31.json", b"[]\n"),
        ("D024BE91L/2024-06-01.json", DIRECT),
    ] {
        writer
            .start_file(format!("{root}{name}"), SimpleFileOptions::default())
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    Export::open(Archive::open(writer.finish().unwrap()).unwrap()).unwrap()
}

#[test]
fn an_export_is_listed_by_channels_and_one_is_taken() {
    for root in ["", "Team Slack export Jun 1 2024 - Jun 3 2024/"] {
        let mut export = zipped(root);
        let ids: Vec<_> = export.chats().iter().map(|chat| chat.id.clone()).collect();
        assert_eq!(ids, ["D024BE91L", "budget-bill"]);
        let titles: BTreeMap<_, _> = ids
            .iter()
            .map(|id| {
                let options = Options {
                    conversation: Some(id),
                    ..Options::default()
                };
                let chat = export.find(Some(id)).unwrap();
                let files = export.read(chat).unwrap();
                let chat = export.import(chat, &files, &options).unwrap();
                (chat.title().unwrap().to_owned(), chat.len())
            })
            .collect();
        let expected = [
            ("Alice Example, Chloë".to_owned(), 1),
            ("budget-bill".to_owned(), 12),
        ];
        assert_eq!(titles, BTreeMap::from(expected));
    }
}

#[test]
fn an_odd_message_is_doubted_and_never_hidden() {
    let cases: [(&str, RowKind, &[Doubt]); 6] = [
        (r#""text":"y""#, RowKind::Text, &[Doubt::RepeatedPart]),
        (r#""ts":"1.000000""#, RowKind::Text, &[Doubt::RepeatedPart]),
        (r#""files":7,"attachments":{}"#, RowKind::Text, &[]),
        (r#""subtype":"channel_topic""#, RowKind::System, &[]),
        (r#""subtype":"of_next_year""#, RowKind::Notice, &[]),
        (r#""edited":null,"subtype":["x"]"#, RowKind::Text, &[]),
    ];
    for (more, kind, expected) in cases {
        let day = format!(
            r#"[{{"type":"message","user":"U1A","text":"x","ts":"1717236000.000007",{more}}}]"#
        );
        let chat = import_files(&[USERS, day.as_bytes()], &Options::default()).unwrap();
        assert_eq!(chat.message(0).unwrap().kind(), kind, "{more}");
        assert_eq!(doubts(&chat, 0), expected, "{more}");
        let _ = chat.message(0).unwrap().text();
    }
    assert!(matches!(
        import(USERS, &Options::default()),
        Err(ImportError::NoChat)
    ));
}

#[test]
fn marks_that_never_end_take_no_longer_than_others() {
    let day = format!(
        r#"[{{"user":"U1A","ts":"1717236000.000007","text":"{}"}}]"#,
        "&<|".repeat(1 << 20)
    );
    let chat = import(day.as_bytes(), &Options::default()).unwrap();
    assert_eq!(chat.message(0).unwrap().text().len(), 3 << 20);
}

fn check(files: &[&[u8]]) {
    let listed = conversations(files, &Options::default()).map(|listed| listed.len());
    let Ok(chat) = import_files(files, &Options::default()) else {
        return;
    };
    assert_eq!(listed.ok(), Some(1));
    let whole = files.concat();
    let mut spans = Vec::new();
    for message in chat.messages() {
        let span = message.span();
        assert_eq!(message.source(), &whole[span.clone()]);
        let _ = (message.text(), message.author(), message.attachments());
        let _ = message.fingerprint();
        spans.push(span);
    }
    spans.sort_by_key(|span| span.start);
    for pair in spans.windows(2) {
        assert!(pair[0].end <= pair[1].start, "messages do not overlap");
    }
}

proptest! {
    #[test]
    fn a_damaged_export_is_read_or_refused(
        which in 0..4_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = [USERS, CHANNELS, FIRST, SECOND][which].to_vec();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        check(&[&bytes, FIRST]);
        check(&[USERS, SECOND, &bytes]);
        check(&[&bytes[..cut.index(bytes.len())]]);
    }

    #[test]
    fn any_text_is_shown(text in "[<>@#!|&;a-z ^]{0,40}") {
        let day = format!(r#"[{{"user":"U1A","text":"{text}","ts":"1717236000.000007"}}]"#);
        check(&[USERS, CHANNELS, day.as_bytes()]);
    }
}
