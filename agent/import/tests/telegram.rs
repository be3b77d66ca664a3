//! Telegram Desktop's export: an invented chat, and an invented account.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::io::{Cursor, Read as _, Write as _};

use candour_import::{
    Archive, Caveat, Conversation, Doubt, Export, Format, ImportError, Message, Options, Place,
    RowKind, Stamp, conversations, import, sniff,
};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const SINGLE: &[u8] = include_bytes!("telegram/single.json");
const ACCOUNT: &[u8] = include_bytes!("telegram/account.json");

fn single() -> Conversation<'static> {
    import(SINGLE, &Options::default()).unwrap()
}

fn chosen(id: &str) -> Result<Conversation<'static>, ImportError> {
    let options = Options {
        conversation: Some(id),
        ..Options::default()
    };
    import(ACCOUNT, &options)
}

fn doubts(message: &Message<'_>) -> Vec<Doubt> {
    message.doubts().collect()
}

#[test]
fn a_chat_and_an_account_are_recognised() {
    assert_eq!(sniff(SINGLE), Some(Format::Telegram));
    assert_eq!(sniff(ACCOUNT), Some(Format::Telegram));
    assert_eq!(
        sniff(br#"{"messages":[{"id":1,"type":"message"}],"type":"personal_chat""#),
        Some(Format::Telegram)
    );
    assert_eq!(
        sniff(br#"{"participants":[{"name":"A"}],"messages":[{"sender_name":"A","type":"Generic","id":1}]}"#),
        Some(Format::Meta),
        "that is Messenger's"
    );
    assert_eq!(sniff(br#"{"version":1}"#), None);
}

#[test]
fn rows_are_what_the_app_says_they_are() {
    let chat = single();
    assert_eq!(chat.title(), Some("Budget Bill"));
    use RowKind::*;
    let kinds: Vec<_> = chat.messages().map(|message| message.kind()).collect();
    let expected = [
        System, Text, Text, Text, Text, Media, Omitted, Text, Blank, Poll, Location, Contact,
        Notice, Text, Blank, Text, Text, Text,
    ];
    assert_eq!(kinds, expected);
    assert_eq!(
        chat.caveats(),
        [Caveat::DeletedLeftOut, Caveat::EarlierWordingsLeftOut]
    );
}

#[test]
fn words_are_those_that_were_written() {
    let chat = single();
    let text = |index: usize| chat.message(index).unwrap().text().into_owned();
    assert_eq!(
        text(0),
        "create group: title Budget Bill, members Alice Example, Priya Sample"
    );
    assert_eq!(
        text(1),
        "Clause 14 must go to the Minister today.\nCan you clear it?"
    );
    assert_eq!(text(2), "Cleared 👍🏽 \"as drafted\" \\o/");
    assert_eq!(
        text(3),
        "See the note <https://example.org/note> and https://example.org/b"
    );
    assert_eq!(text(4), "odd \u{1b}[31m bell\u{7} line\u{2028}end");
    assert_eq!(text(5), "The signed page");
    assert_eq!(text(6), "");
    assert_eq!(text(8), "");
    assert_eq!(text(9), "Table it on Thursday?\n- Yes (1)\n- No (0)");
    assert_eq!(
        text(10),
        "HM Treasury\n1 Horse Guards Road\n51.5023, -0.1295"
    );
    assert_eq!(text(11), "Tom O'Specimen\n+44 7700 900123");
    assert_eq!(
        text(12),
        "phone call: duration seconds 35, discard reason hangup"
    );
}

#[test]
fn authors_are_told_apart_by_their_ids() {
    let chat = single();
    let message = chat.message(1).unwrap();
    assert_eq!(message.author().unwrap(), "Alice Example");
    assert_eq!(message.author_id(), Some("user11"));
    assert_eq!(message.is_outgoing(), None);
    assert_eq!(chat.message(0).unwrap().author(), None);
    assert_eq!(chat.message(0).unwrap().label().unwrap(), "Alice Example");
    assert_eq!(chat.message(12).unwrap().author().unwrap(), "Priya Sample");
    let gone = chat.message(13).unwrap();
    assert_eq!(gone.author().unwrap(), "user13");
    assert_eq!(doubts(&gone), [Doubt::AuthorUnknown]);
}

#[test]
fn times_are_instants_or_where_there_is_none_the_wall_of_the_exporting_machine() {
    let chat = single();
    let stamp = |index: usize| chat.message(index).unwrap().stamp();
    assert_eq!(
        stamp(1),
        Stamp::Instant("2024-06-01T09:01:00Z".parse().unwrap())
    );
    assert_eq!(stamp(8), Stamp::None);
    assert_eq!(
        stamp(16),
        Stamp::Wall("2024-06-01T10:20:00".parse().unwrap())
    );
    let none = chat.message(8).unwrap();
    assert_eq!(none.time_in("Europe/London").unwrap(), None);
}

#[test]
fn what_does_not_fit_is_doubted() {
    let chat = single();
    let of = |index: usize| doubts(&chat.message(index).unwrap());
    assert_eq!(of(1), []);
    assert_eq!(of(7), [Doubt::Forwarded]);
    assert_eq!(
        of(8),
        [Doubt::NoTime, Doubt::AuthorUnknown, Doubt::NotShown]
    );
    assert_eq!(of(14), [Doubt::NotShown]);
    assert_eq!(of(15), [Doubt::TimesDisagree]);
    assert_eq!(of(17), [Doubt::TimeRunsBack]);
    assert!(chat.message(2).unwrap().is_edited());
}

#[test]
fn files_are_named_and_those_left_out_are_said() {
    let photo = |names: Option<&BTreeSet<String>>| {
        let options = Options {
            attachments: names,
            ..Options::default()
        };
        let chat = import(SINGLE, &options).unwrap();
        let files = chat.message(5).unwrap().attachments();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].name, "photo_1.jpg");
        assert_eq!(files[0].bytes, Some(23));
        match &files[0].place {
            Place::Beside(path) => Some(path.to_string()),
            _ => None,
        }
    };
    let path = Some("photos/photo_1.jpg".to_owned());
    assert_eq!(photo(None), path);
    assert_eq!(photo(Some(&BTreeSet::new())), None);
    assert_eq!(photo(Some(&path.iter().cloned().collect())), path);
    let chat = single();
    let left_out = &chat.message(6).unwrap().attachments()[0];
    assert_eq!(left_out.name, "Annex B.pdf");
    assert_eq!(left_out.place, Place::LeftOut);
    assert_eq!(left_out.media_type.as_deref(), Some("application/pdf"));
}

#[test]
fn a_path_out_of_the_export_is_no_path() {
    for path in ["../../etc/passwd", "/etc/passwd", "C:\\\\x", "a/./b"] {
        let source = format!(
            r#"{{"type":"personal_chat","id":1,"messages":[{{"id":1,"type":"message","from":"A","file":"{path}","text":""}}]}}"#
        );
        let chat = import(source.as_bytes(), &Options::default()).unwrap();
        assert_eq!(
            chat.message(0).unwrap().attachments()[0].place,
            Place::LeftOut,
            "{path}"
        );
    }
}

#[test]
fn messages_are_exactly_their_objects() {
    for (source, chat) in [
        (SINGLE, single()),
        (ACCOUNT, chosen("personal_chat-11").unwrap()),
    ] {
        let mut end = 0;
        for message in chat.messages() {
            let span = message.span();
            assert!(span.start >= end);
            assert!(message.source().starts_with(b"{") && message.source().ends_with(b"}"));
            assert_eq!(message.source(), &source[span.clone()]);
            // Between them stand commas, brackets and white space, and before them other chats.
            let between = &source[end..span.start];
            assert!(
                end == 0 || between.iter().all(|b| b", \n".contains(b)),
                "{}",
                String::from_utf8_lossy(between)
            );
            end = span.end;
        }
    }
}

#[test]
fn an_account_is_listed_and_one_chat_is_taken() {
    let listed = conversations(&[ACCOUNT], &Options::default()).unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|chat| (chat.id.as_str(), chat.title.as_deref(), chat.messages))
        .collect();
    let expected = [
        ("private_group-4001", Some("Budget Bill"), 4),
        ("personal_chat-11", Some("Alice Example"), 2),
        ("saved_messages-12", Some("Saved Messages"), 1),
        ("private_group-4001-2", Some("Budget Bill"), 1),
    ];
    assert_eq!(listed, expected);
    assert!(matches!(
        import(ACCOUNT, &Options::default()),
        Err(ImportError::NeedsConversation(4))
    ));
    let chat = chosen("personal_chat-11").unwrap();
    let texts: Vec<_> = chat.messages().map(|message| message.text()).collect();
    assert_eq!(texts, ["Only between us.", "Quite."]);
    let outgoing: Vec<_> = chat
        .messages()
        .map(|message| message.is_outgoing())
        .collect();
    assert_eq!(
        outgoing,
        [Some(false), Some(true)],
        "the account says whose it is"
    );
    assert_eq!(chosen("private_group-4001-2").unwrap().len(), 1);
    assert!(matches!(
        chosen("personal_chat-77"),
        Err(ImportError::NoSuchConversation)
    ));
}

#[test]
fn messages_that_come_before_what_the_chat_is_belong_to_it() {
    let source = br#"{"messages":[{"id":1,"type":"message","date":"2024-06-01T10:20:00","from":"A","from_id":"user1","text":"x"}],"id":7,"type":"personal_chat","name":"A"}"#;
    let chat = import(source, &Options::default()).unwrap();
    assert_eq!((chat.len(), chat.title()), (1, Some("A")));
}

#[test]
fn an_export_that_was_stopped_keeps_what_came_before() {
    let whole = single().len();
    let mut lens = BTreeSet::new();
    for cut in 0..SINGLE.len() - 2 {
        match import(&SINGLE[..cut], &Options::default()) {
            Ok(chat) => {
                assert!(chat.caveats().contains(&Caveat::CutOff), "{cut}");
                lens.insert(chat.len());
            }
            Err(error) => assert!(
                matches!(error, ImportError::NoChat | ImportError::UnknownFormat),
                "{cut}: {error}"
            ),
        }
    }
    assert_eq!(lens, (1..=whole).collect());
}

#[test]
fn damage_ends_the_reading_and_is_said() {
    let at = String::from_utf8_lossy(SINGLE).find("\"id\": 4,").unwrap();
    let mut bytes = SINGLE.to_vec();
    bytes[at + 4] = b';';
    let chat = import(&bytes, &Options::default()).unwrap();
    assert_eq!(chat.len(), 3);
    assert!(chat.caveats().contains(&Caveat::Unreadable));
}

#[test]
fn invalid_utf8_spoils_one_message() {
    let at = String::from_utf8_lossy(SINGLE).find("clear it?").unwrap();
    let mut bytes = SINGLE.to_vec();
    bytes[at] = 0xff;
    let chat = import(&bytes, &Options::default()).unwrap();
    let spoilt: Vec<usize> = chat
        .messages()
        .filter(|message| message.doubts().any(|doubt| doubt == Doubt::InvalidUtf8))
        .map(|message| message.index())
        .collect();
    assert_eq!(spoilt, [1]);
}

#[test]
fn a_zip_of_the_folder_is_read_even_when_somebody_sent_an_export_as_a_file() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [
        ("ChatExport_2024-06-01/files/result.json", ACCOUNT),
        (
            "ChatExport_2024-06-01/photos/photo_1.jpg",
            b"not really a photograph",
        ),
        ("ChatExport_2024-06-01/result.json", SINGLE),
    ] {
        writer
            .start_file(name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    let archive = Archive::open(writer.finish().unwrap()).unwrap();
    let mut export = Export::open(archive).unwrap();
    assert_eq!(export.chats().len(), 1);
    assert_eq!(export.chats()[0].format, Format::Telegram);
    let files = export.read(0).unwrap();
    assert_eq!(files, [SINGLE]);
    let chat = export.import(0, &files, &Options::default()).unwrap();
    let file = chat.message(5).unwrap().attachments()[0].clone();
    let Place::Beside(path) = &file.place else {
        panic!("it is in the export");
    };
    let mut bytes = Vec::new();
    export
        .attachment(0, path, 100)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    assert_eq!(Some(bytes.len() as u64), file.bytes);
}
