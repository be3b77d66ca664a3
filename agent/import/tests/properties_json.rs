//! What holds for Signal's and Telegram's exports, whatever their bytes are. The body of [`check`]
//! is what a fuzz target runs.

use candour_import::{
    Conversation, Format, ImportError, Options, conversations, import, list_signal, select_signal,
    sniff,
};
use proptest::prelude::*;

const SIGNAL: &[u8] = include_bytes!("signal/main.jsonl");
const SINGLE: &[u8] = include_bytes!("telegram/single.json");
const ACCOUNT: &[u8] = include_bytes!("telegram/account.json");

/// Lists and imports `bytes` and checks what must hold whatever they are.
fn check(bytes: &[u8]) {
    let _ = sniff(bytes);
    let listed = conversations(&[bytes], &Options::default());
    if sniff(bytes) == Some(Format::Signal) {
        assert_eq!(list_signal(bytes).ok(), listed.as_ref().ok().cloned());
    }
    match import(bytes, &Options::default()) {
        Ok(chat) => check_conversation(bytes, &chat),
        Err(ImportError::NeedsConversation(count)) => {
            assert_eq!(listed.as_ref().map(Vec::len).ok(), Some(count));
        }
        Err(_) => {}
    }
    for summary in listed.unwrap_or_default() {
        if sniff(bytes) == Some(Format::WhatsAppText) {
            continue;
        }
        let options = Options {
            conversation: Some(&summary.id),
            ..Options::default()
        };
        match import(bytes, &options) {
            Ok(chat) => {
                assert_eq!(chat.len(), summary.messages, "all that was listed is taken");
                check_conversation(bytes, &chat);
                if chat.format() == Format::Signal {
                    check_taken(bytes, &chat, &options);
                }
            }
            // An id that is not UTF-8 cannot be given back.
            Err(error) => assert!(summary.id.contains('\u{fffd}'), "{error}"),
        }
    }
}

/// Taken out line by line, a chat is the same.
fn check_taken(bytes: &[u8], whole: &Conversation<'_>, options: &Options<'_>) {
    let taken = select_signal(bytes, options.conversation.expect("one is chosen"))
        .expect("it can be taken whole");
    let part = import(&taken.text, options).expect("it can be read again");
    assert_eq!(part.title(), whole.title());
    assert_eq!(part.caveats(), whole.caveats());
    assert_eq!(part.len(), whole.len());
    for (part, whole) in part.messages().zip(whole.messages()) {
        assert_eq!(part.source(), whole.source());
        assert_eq!(part.fingerprint(), whole.fingerprint());
        assert!(part.doubts().eq(whole.doubts()));
    }
}

fn check_conversation(bytes: &[u8], chat: &Conversation<'_>) {
    assert!(!chat.is_empty());
    let tiles = chat.format() == Format::WhatsAppText;
    let mut end = chat.preamble().len();
    for message in chat.messages() {
        let span = message.span();
        assert!(span.start >= end, "messages do not overlap");
        assert!(span.end > span.start);
        assert_eq!(message.source(), &bytes[span.clone()]);
        if !tiles {
            assert!(message.source().starts_with(b"{") && message.source().ends_with(b"}"));
        }
        // The views decode whatever is there.
        let text = message.text();
        assert!(text.len() <= 8 * bytes.len() + 1_000, "views are bounded");
        let _ = (
            message.author(),
            message.author_id(),
            message.fingerprint(),
            message.is_outgoing(),
            message.attachments(),
            message.revisions(),
            message.time_in("Europe/London").expect("it is a zone"),
        );
        end = span.end;
    }
    assert!(end <= bytes.len());
}

/// Pieces that the importers look for.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&'static str> = vec![
        r#"{"chatItem":{"chatId":"1","authorId":"2","dateSent":"1717232400000","incoming":{"dateServerSent":"1"},"#,
        r#""standardMessage":{"text":{"body":"x ￼","bodyRanges":[{"mentionAci":"QQ==","start":2}]}}}}"#,
        r#"{"chatItem":{"chatId":"2","authorId":1}}"#,
        r#"{"recipient":{"id":"2","contact":{"aci":"QQ==","e164":"447700900121"}}}"#,
        r#"{"chat":{"id":"1","recipientId":"2"}}"#,
        r#"{"backupTimeMs":"1","mediaRootBackupKey":"QQ=="}"#,
        r#""revisions":[{"dateSent":"5"}],"#,
        r#"{"name":"A","type":"personal_chat","id":1,"messages":["#,
        r#"{"about":"x","chats":{"list":["#,
        r#"{"id":1,"type":"message","date":"2024-06-01T10:20:00","date_unixtime":"1717232400","from":"A","from_id":"user1","text":"x"}"#,
        r#"{"id":2,"type":"service","action":"phone_call","actor":"B"}"#,
        r#""text":["a",{"text":"b","href":"c"}],"#,
        r#""photo":"photos/a.jpg","#,
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u",
        "\\x1",
        "\n",
        "null",
        "\u{feff}",
    ];
    prop_oneof![
        8 => prop::sample::select(known).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_likely_pieces_are_read_or_refused(pieces in prop::collection::vec(piece(), 0..40)) {
        check(&pieces.concat());
    }

    #[test]
    fn any_damage_to_an_export_is_read_or_refused(
        source in prop::sample::select(vec![SIGNAL, SINGLE, ACCOUNT]),
        at in 0_usize..8_000,
        damage in prop::collection::vec(any::<u8>(), 0..8),
        cut in 0_usize..8_000,
    ) {
        let mut bytes = source.to_vec();
        bytes.truncate(cut.max(1));
        let at = at.min(bytes.len());
        let end = (at + damage.len()).min(bytes.len());
        bytes.splice(at..end, damage);
        check(&bytes);
    }
}

#[test]
fn nesting_without_end_is_refused_without_recursion() {
    let deep = "[".repeat(1_000_000);
    check(format!("{{\"type\":\"personal_chat\",\"id\":1,\"messages\":{deep}").as_bytes());
    check(format!("{{\"type\":\"a\",\"id\":1,\"messages\":[{{\"text\":{deep}").as_bytes());
    check(format!("{{\"chatItem\":{{\"chatId\":\"1\",\"x\":{deep}").as_bytes());
}

#[test]
fn a_message_of_a_million_mentions_names_as_many_as_a_group_has() {
    let name = "N".repeat(1_000);
    let range = r#"{"start":0,"mentionAci":"QQ=="}"#;
    let ranges = vec![range; 100_000].join(",");
    let body = "\u{fffc}".repeat(1_000);
    let source = format!(
        "{{\"recipient\":{{\"id\":\"2\",\"contact\":{{\"aci\":\"QQ==\",\"username\":\"{name}\"}}}}}}\n\
         {{\"chatItem\":{{\"chatId\":\"1\",\"authorId\":\"2\",\"dateSent\":\"1717232400000\",\
         \"standardMessage\":{{\"text\":{{\"body\":\"{body}\",\"bodyRanges\":[{ranges}]}}}}}}}}\n"
    );
    check(source.as_bytes());
}

#[test]
fn a_chat_of_strangers_costs_no_more_than_a_line_each() {
    let mut source = String::new();
    for number in 0..50_000 {
        source.push_str(&format!(
            "{{\"chatItem\":{{\"chatId\":\"{}\",\"authorId\":\"{number}\",\"dateSent\":\"1\",\"poll\":{{}}}}}}\n",
            number % 7
        ));
    }
    let listed = conversations(&[source.as_bytes()], &Options::default()).expect("it is listed");
    assert_eq!(listed.len(), 7);
    let options = Options {
        conversation: Some("3"),
        ..Options::default()
    };
    let chat = import(source.as_bytes(), &options).expect("it is taken");
    assert_eq!(chat.doubtful(), chat.len());
}
