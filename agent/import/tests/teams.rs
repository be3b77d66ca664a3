//! The export of Skype and of the free Teams: an invented account.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::Read;

use candour_import::{
    Bundle, Caveat, Conversation, Doubt, Entry, Export, Format, ImportError, Message, Options,
    Place, RowKind, Stamp, conversations, import, sniff,
};
use proptest::prelude::*;

const ACCOUNT: &[u8] = include_bytes!("teams/messages.json");

const ALICE: &str = "8:live:alice";
const BILL: &str = "19:abc@thread.v2";

fn chosen<'a>(source: &'a [u8], id: &str) -> Conversation<'a> {
    let options = Options {
        conversation: Some(id),
        ..Options::default()
    };
    import(source, &options).unwrap()
}

fn doubts(message: &Message<'_>) -> Vec<Doubt> {
    message.doubts().collect()
}

fn instant(text: &str) -> Stamp {
    Stamp::Instant(text.parse().unwrap())
}

#[test]
fn an_account_is_listed_by_its_conversations_and_one_must_be_chosen() {
    assert_eq!(sniff(ACCOUNT), Some(Format::Teams));
    assert_eq!(
        Format::Teams.channel(),
        None,
        "it does not say of which app it is"
    );
    let chats = conversations(&[ACCOUNT], &Options::default()).unwrap();
    let listed: Vec<_> = chats
        .iter()
        .map(|chat| (chat.id.as_str(), chat.title.as_deref(), chat.messages))
        .collect();
    let expected = [
        (ALICE, Some("Alice Example"), 5),
        (BILL, Some("Budget Bill"), 3),
    ];
    assert_eq!(listed, expected);
    assert_eq!(chats[0].first, instant("2024-06-01T09:01:00Z"));
    assert_eq!(chats[0].last, instant("2024-06-01T09:05:00Z"));
    assert!(matches!(
        import(ACCOUNT, &Options::default()),
        Err(ImportError::NeedsConversation(2))
    ));
    let options = Options {
        conversation: Some("48:calllogs"),
        ..Options::default()
    };
    assert!(matches!(
        import(ACCOUNT, &options),
        Err(ImportError::NoSuchConversation)
    ));
}

#[test]
fn messages_stand_in_the_order_of_their_times_with_their_authors() {
    let chat = chosen(ACCOUNT, ALICE);
    assert_eq!(chat.title(), Some("Alice Example"));
    let rows: Vec<_> = chat
        .messages()
        .map(|message| {
            let author = message.author().unwrap().into_owned();
            (message.kind(), author, message.is_outgoing())
        })
        .collect();
    let alice = |kind| (kind, "Alice Example".to_owned(), Some(false));
    let expected = [
        alice(RowKind::Text),
        (RowKind::Text, "Priya Sample".to_owned(), Some(true)),
        alice(RowKind::Media),
        alice(RowKind::Notice),
        alice(RowKind::Deleted),
    ];
    assert_eq!(rows, expected);
    assert_eq!(chat.message(0).unwrap().author_id(), Some(ALICE));
    assert_eq!(chat.caveats(), [Caveat::EarlierWordingsLeftOut]);
}

#[test]
fn a_message_is_its_object() {
    for id in [ALICE, BILL] {
        for message in chosen(ACCOUNT, id).messages() {
            assert_eq!(message.source(), &ACCOUNT[message.span()]);
            let value: serde_json::Value = serde_json::from_slice(message.source()).unwrap();
            assert_eq!(value["conversationid"], id);
        }
    }
}

#[test]
fn words_are_shown_without_markup_and_quotes_are_doubted() {
    let chat = chosen(ACCOUNT, ALICE);
    let reply = chat.message(1).unwrap();
    assert_eq!(
        reply.text(),
        "[1717232460] Alice Example: Clause 14 must go today\n\n<<< Cleared 👍🏽 & signed"
    );
    assert_eq!(doubts(&reply), [Doubt::Forwarded]);
    assert!(reply.is_edited() && !chat.message(0).unwrap().is_edited());
    assert_eq!(reply.stamp(), instant("2024-06-01T09:02:00.123Z"));
    let group = chosen(ACCOUNT, BILL);
    let html = group
        .messages()
        .find(|message| message.text().contains("page"));
    assert_eq!(
        html.unwrap().text(),
        "See the page <https://example.org/a>\nAlice Example agreed"
    );
}

#[test]
fn files_are_named_and_left_out() {
    let chat = chosen(ACCOUNT, ALICE);
    let files = chat.message(2).unwrap().attachments();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].name, "annex & B.docx");
    assert_eq!(files[0].bytes, Some(447));
    assert_eq!(files[0].place, Place::LeftOut);
}

#[test]
fn what_is_not_known_is_said() {
    let chat = chosen(ACCOUNT, BILL);
    let unknown = chat
        .messages()
        .find(|message| message.text() == "x")
        .unwrap();
    assert_eq!(unknown.stamp(), Stamp::None);
    assert_eq!(unknown.kind(), RowKind::Notice);
    assert_eq!(
        unknown.author().unwrap(),
        "Bob O'Neil",
        "the number before an account's name makes no difference"
    );
    assert_eq!(
        doubts(&unknown),
        [Doubt::NoTime, Doubt::Malformed, Doubt::NotShown]
    );
    let system = chat
        .messages()
        .find(|message| message.kind() == RowKind::System);
    assert_eq!(system.unwrap().author(), None);
}

#[test]
fn a_file_that_is_cut_off_keeps_what_came_before() {
    let text = std::str::from_utf8(ACCOUNT).unwrap();
    let cut = &text[..text.find("Clause 14 must go today\",\"conv").unwrap()];
    let chat = chosen(cut.as_bytes(), ALICE);
    assert_eq!(chat.len(), 4);
    assert_eq!(
        chat.caveats(),
        [Caveat::EarlierWordingsLeftOut, Caveat::CutOff]
    );
}

#[test]
fn a_tar_archive_is_refused_with_what_to_do() {
    let mut tar = vec![0_u8; 1_024];
    tar[..13].copy_from_slice(b"messages.json");
    tar[257..262].copy_from_slice(b"ustar");
    let error = import(&tar, &Options::default()).unwrap_err();
    assert!(matches!(error, ImportError::Tar));
    assert!(error.to_string().contains("unpack"));
    assert!(matches!(Export::open(One(tar)), Err(ImportError::Tar)));
    assert!(matches!(
        Export::open(One(vec![0; 1_024])),
        Err(ImportError::NoChat)
    ));
}

/// A file that is held in memory.
struct One(Vec<u8>);

impl Bundle for One {
    fn entries(&mut self) -> Result<Vec<Entry>, ImportError> {
        Ok(vec![Entry::file(
            "8_live_priya.tar".to_owned(),
            self.0.len() as u64,
        )])
    }

    fn open(&mut self, _place: usize) -> Result<Box<dyn Read + '_>, ImportError> {
        Ok(Box::new(self.0.as_slice()))
    }
}

#[test]
fn an_export_that_says_ustar_where_a_tar_archive_does_is_none() {
    let start = "<smses><sms address=\"1\" type=\"1\" body=\"";
    let body = format!("{}ustar", "x".repeat(257 - start.len()));
    let source = format!("{start}{body}\"/></smses>");
    assert_eq!(source.find("ustar"), Some(257));
    let chat = import(source.as_bytes(), &Options::default()).unwrap();
    assert_eq!(chat.message(0).unwrap().text(), body);
}

#[test]
fn other_files_with_such_keys_are_not_taken_for_one() {
    for other in [
        "{\"userId\":\"1\",\"conversations\":5}",
        "{\"conversations\":[{\"MessageList\":[]}]}",
        "{\"userId\":\"1\",\"conversations\":[{\"messages\":[]}]}",
        "[]",
    ] {
        assert_eq!(sniff(other.as_bytes()), None, "{other}");
    }
    let bare = "\u{feff}{\"userId\":\"1\",\"conversations\":[{\"id\":\"a\",\"MessageList\":[]}]}";
    assert_eq!(sniff(bare.as_bytes()), Some(Format::Teams));
    assert!(matches!(
        import(bare.as_bytes(), &Options::default()),
        Err(ImportError::NoChat)
    ));
}

/// Lists and imports `bytes` and checks what must hold whatever they are.
fn check(bytes: &[u8]) {
    if sniff(bytes) != Some(Format::Teams) {
        return;
    }
    let listed = conversations(&[bytes], &Options::default()).unwrap_or_default();
    if let Err(ImportError::NeedsConversation(count)) = import(bytes, &Options::default()) {
        assert_eq!(listed.len(), count);
    }
    for summary in listed {
        let options = Options {
            conversation: Some(&summary.id),
            ..Options::default()
        };
        let chat = import(bytes, &options).expect("what is listed can be chosen");
        assert_eq!(chat.len(), summary.messages, "all that was listed is taken");
        let mut spans = Vec::new();
        for message in chat.messages() {
            assert_eq!(message.source(), &bytes[message.span()]);
            assert!(
                message.text().len() <= 4 * message.source().len() + 8,
                "views are bounded"
            );
            let _ = (
                message.author(),
                message.attachments(),
                message.fingerprint(),
            );
            spans.push(message.span());
        }
        spans.sort_by_key(|span| span.start);
        for pair in spans.windows(2) {
            assert!(pair[0].end <= pair[1].start, "messages do not overlap");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_damage_to_an_export_is_read_or_refused(
        at in 0_usize..5_000,
        damage in prop::collection::vec(any::<u8>(), 0..8),
        cut in 0_usize..5_000,
    ) {
        let mut bytes = ACCOUNT.to_vec();
        bytes.truncate(cut.max(1));
        let at = at.min(bytes.len());
        let end = (at + damage.len()).min(bytes.len());
        bytes.splice(at..end, damage);
        check(&bytes);
    }
}

#[test]
fn markup_without_end_costs_no_more_than_its_length() {
    for piece in [
        "<",
        "<a href=",
        "<p>",
        "<a href='x'>",
        "&",
        "</a>",
        "<OriginalName v='",
    ] {
        let content = piece.repeat(50_000);
        let source = format!(
            "{{\"userId\":\"1\",\"exportDate\":\"\",\"conversations\":[{{\"id\":\"a\",\"MessageList\":[\
             {{\"messagetype\":\"RichText/Media_Album\",\"from\":\"b\",\"content\":\"{content}\"}}]}}]}}"
        );
        check(source.as_bytes());
    }
}
