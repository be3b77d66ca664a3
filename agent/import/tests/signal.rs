//! Signal's export: an invented account of three chats.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::path::{Path, PathBuf};

use candour_import::{
    Archive, Caveat, Conversation, Doubt, Export, Format, ImportError, Message, Options, Place,
    RowKind, Stamp, conversations, import, list_signal, select_signal, sniff,
};
use candour_wire::Digest;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signal")
}

fn main_jsonl() -> Vec<u8> {
    fs::read(folder().join("main.jsonl")).unwrap()
}

/// The paths of the files beside `main.jsonl`.
fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for two in fs::read_dir(folder().join("files")).unwrap() {
        for file in fs::read_dir(two.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let path = path.strip_prefix(folder()).unwrap();
            names.insert(path.to_str().unwrap().to_owned());
        }
    }
    names
}

fn chosen<'a>(source: &'a [u8], id: &str) -> Conversation<'a> {
    let names = names();
    let options = Options {
        conversation: Some(id),
        attachments: Some(&names),
        ..Options::default()
    };
    import(source, &options).unwrap()
}

/// The message whose text starts so.
fn saying<'c>(chat: &'c Conversation<'_>, start: &str) -> Message<'c> {
    chat.messages()
        .find(|message| message.text().starts_with(start))
        .unwrap()
}

fn doubts(message: &Message<'_>) -> Vec<Doubt> {
    message.doubts().collect()
}

#[test]
fn an_account_is_listed_by_its_chats_and_one_must_be_chosen() {
    let source = main_jsonl();
    assert_eq!(sniff(&source), Some(Format::Signal));
    let chats = conversations(&[&source], &Options::default()).unwrap();
    let listed: Vec<_> = chats
        .iter()
        .map(|chat| (chat.id.as_str(), chat.title.as_deref(), chat.messages))
        .collect();
    let expected = [
        ("1", Some("Budget Bill: private office"), 17),
        ("2", Some("Alice Example"), 1),
        ("3", Some("Note to Self"), 1),
    ];
    assert_eq!(listed, expected);
    let first: Stamp = chats[0].first;
    assert_eq!(
        first,
        Stamp::Instant("2024-06-01T09:00:00Z".parse().unwrap())
    );
    assert!(matches!(
        import(&source, &Options::default()),
        Err(ImportError::NeedsConversation(3))
    ));
    let options = Options {
        conversation: Some("4"),
        ..Options::default()
    };
    assert!(matches!(
        import(&source, &options),
        Err(ImportError::NoSuchConversation)
    ));
}

#[test]
fn the_chosen_chat_holds_its_own_messages_and_no_others() {
    let source = main_jsonl();
    let chat = chosen(&source, "1");
    assert_eq!(chat.title(), Some("Budget Bill: private office"));
    assert_eq!(chat.len(), 17);
    assert!(
        chat.messages()
            .all(|message| !message.text().contains("milk"))
    );
    let kinds: Vec<_> = chat.messages().map(|message| message.kind()).collect();
    use RowKind::*;
    let expected = [
        System, Text, Text, Text, Media, Text, Deleted, Blank, Notice, Poll, Contact, Media, Text,
        Text, Text, Text, Blank,
    ];
    assert_eq!(kinds, expected);
    assert_eq!(
        chat.caveats(),
        [Caveat::DisappearingLeftOut, Caveat::ViewOnceLeftOut]
    );
}

#[test]
fn a_message_is_the_object_of_its_line() {
    let source = main_jsonl();
    let chat = chosen(&source, "1");
    let mut end = 0;
    for message in chat.messages() {
        let span = message.span();
        assert!(span.start >= end, "messages do not overlap");
        end = span.end;
        assert_eq!(message.source(), &source[span]);
        let line: serde_json::Value = serde_json::from_slice(message.source()).unwrap();
        assert_eq!(line["chatItem"]["chatId"], "1");
        assert_eq!(message.digest(), Digest::of(message.source()));
    }
}

#[test]
fn authors_are_named_as_the_app_names_them() {
    let source = main_jsonl();
    let chat = chosen(&source, "1");
    let who = |start: &str| {
        let message = saying(&chat, start);
        (
            message.author().unwrap().into_owned(),
            message.author_id().map(str::to_owned),
            message.is_outgoing(),
        )
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        who("Clause"),
        ("Alice Example".into(), some("+447700900121"), Some(false))
    );
    assert_eq!(
        who("Cleared"),
        ("Priya Sample".into(), some("priya.07"), Some(true))
    );
    assert_eq!(who("@Alice").0, "Gaz", "a nickname comes first");
    assert_eq!(
        who("Who am I"),
        ("quiet.12".into(), some("quiet.12"), Some(false))
    );
    let unknown = saying(&chat, "Nobody");
    assert_eq!(unknown.author(), None);
    assert_eq!(doubts(&unknown), [Doubt::AuthorUnknown]);
    assert_eq!(chat.message(0).unwrap().author(), None, "nobody wrote it");
}

#[test]
fn words_are_those_of_the_app() {
    let source = main_jsonl();
    let chat = chosen(&source, "1");
    let text = |index: usize| chat.message(index).unwrap().text().into_owned();
    assert_eq!(
        text(0),
        "group name update: new group name Budget Bill: private office"
    );
    assert_eq!(
        text(1),
        "Clause 14 must go to the Minister today.\nCan you clear it?"
    );
    assert_eq!(text(2), "Cleared 👍🏽 \"as drafted\"");
    assert_eq!(text(3), "@Alice Example @Gaz please file");
    assert_eq!(
        text(8),
        "individual call: type video call, direction incoming, state missed"
    );
    assert_eq!(text(9), "Table it on Thursday?\n- Yes (1)\n- No (0)");
    assert_eq!(text(10), "Tom O'Specimen\n+44 7700 900123\ntom@example.org");
    assert_eq!(text(11), "🎉");
}

#[test]
fn times_are_instants() {
    let source = main_jsonl();
    let chat = chosen(&source, "1");
    let message = saying(&chat, "Clause");
    assert_eq!(
        message.stamp(),
        Stamp::Instant("2024-06-01T09:01:00Z".parse().unwrap())
    );
    assert_eq!(message.wall(), None);
    let time = message.time_in("Europe/London").unwrap().unwrap();
    assert_eq!(time.wall.to_string(), "2024-06-01T10:01:00");
}

#[test]
fn a_senders_clock_that_is_ahead_of_the_servers_is_doubted() {
    let source = main_jsonl();
    let chat = chosen(&source, "1");
    assert_eq!(doubts(&saying(&chat, "My clock")), [Doubt::TimesDisagree]);
    let after = chat.message(16).unwrap();
    assert_eq!(doubts(&after), [Doubt::TimeRunsBack, Doubt::NotShown]);
    assert_eq!(chat.doubtful(), 4);
}

#[test]
fn files_are_found_by_their_hashes() {
    let source = main_jsonl();
    let chat = chosen(&source, "1");
    let files = saying(&chat, "The signed page").attachments();
    assert_eq!(files.len(), 2);
    assert_eq!(files[0].name, "page 1.jpeg");
    assert_eq!(files[0].media_type.as_deref(), Some("image/jpeg"));
    let Place::Beside(path) = &files[0].place else {
        panic!("it is in the export");
    };
    let bytes = fs::read(folder().join(&**path)).unwrap();
    assert_eq!(files[0].bytes, Some(bytes.len() as u64));
    assert_eq!(files[0].sha256, Some(Digest::of(&bytes)));
    assert_eq!(files[1].place, Place::LeftOut);
    assert_eq!(files[1].name, "file.pdf");
}

#[test]
fn without_a_list_of_files_the_path_is_the_one_that_the_app_would_give() {
    let source = main_jsonl();
    let options = Options {
        conversation: Some("1"),
        ..Options::default()
    };
    let chat = import(&source, &options).unwrap();
    for start in ["The signed page", "The long text"] {
        let Place::Beside(path) = saying(&chat, start).attachments()[0].place.clone() else {
            panic!("the app would have put it there");
        };
        assert!(names().contains(&*path), "{path}");
    }
}

#[test]
fn a_text_that_goes_on_in_a_file_says_so() {
    let source = main_jsonl();
    let chat = chosen(&source, "1");
    let message = saying(&chat, "The long text");
    assert_eq!(doubts(&message), [Doubt::TextContinues]);
    assert!(matches!(message.attachments()[0].place, Place::Beside(_)));
}

#[test]
fn an_edited_message_keeps_its_earlier_wording() {
    let source = main_jsonl();
    let chat = chosen(&source, "1");
    let message = saying(&chat, "We go ahead on Tuesday.");
    assert!(message.is_edited());
    let revisions = message.revisions();
    assert_eq!(revisions.len(), 1);
    assert_eq!(revisions[0].text, "We go ahead on Monday.");
    assert_eq!(
        revisions[0].at,
        Stamp::Instant("2024-06-01T09:04:50Z".parse().unwrap())
    );
}

#[test]
fn a_fingerprint_outlives_new_receipts_and_numbers() {
    let source = main_jsonl();
    let again = String::from_utf8(source.clone())
        .unwrap()
        .replace("\"sealedSender\":true", "\"sealedSender\":false")
        .replace("\"chatId\":\"1\"", "\"chatId\":\"71\"")
        .replace("\"chat\":{\"id\":\"1\"", "\"chat\":{\"id\":\"71\"");
    let (first, second) = (chosen(&source, "1"), chosen(again.as_bytes(), "71"));
    for (first, second) in first.messages().zip(second.messages()) {
        assert_eq!(first.fingerprint(), second.fingerprint());
        assert_ne!(first.digest(), second.digest());
    }
    assert_ne!(
        first.message(1).unwrap().fingerprint(),
        first.message(2).unwrap().fingerprint()
    );
}

#[test]
fn keys_are_part_of_no_message_and_of_nothing_that_is_printed() {
    let source = main_jsonl();
    let chat = chosen(&source, "1");
    let key = "S0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0s=";
    assert!(String::from_utf8_lossy(&source).contains(key));
    for message in chat.messages() {
        let held = String::from_utf8_lossy(message.source());
        assert!(!held.contains(key) && !held.contains("profileKey"));
    }
    assert!(!format!("{chat:?} {:?}", chat.message(1)).contains("Clause"));
}

#[test]
fn a_file_that_is_cut_off_keeps_what_came_before() {
    let source = main_jsonl();
    let at = String::from_utf8_lossy(&source)
        .find("please file")
        .unwrap();
    let chat = import(
        &source[..at],
        &Options {
            conversation: Some("1"),
            ..Options::default()
        },
    )
    .unwrap();
    assert_eq!(chat.len(), 3);
    assert!(chat.caveats().contains(&Caveat::CutOff));
}

#[test]
fn a_damaged_line_is_said_and_spoils_no_other() {
    let source = main_jsonl();
    let damaged = String::from_utf8(source).unwrap().replacen(
        "\"chatItem\":{\"chatId\":\"1\",\"authorId\":\"3\"",
        "\"chatItem\"{",
        1,
    );
    let chat = chosen(damaged.as_bytes(), "1");
    assert_eq!(chat.len(), 16);
    assert!(chat.caveats().contains(&Caveat::Unreadable));
}

#[test]
fn a_field_that_comes_twice_is_doubted() {
    let line = r#"{"chatItem":{"chatId":"1","authorId":"2","authorId":"3","dateSent":"1717232400000","incoming":{},"standardMessage":{"text":{"body":"a"}},"standardMessage":{"text":{"body":"b"}}}}"#;
    let source = format!(
        "{{\"recipient\":{{\"id\":\"2\",\"contact\":{{\"e164\":\"447700900121\"}}}}}}\n{line}\n"
    );
    let chat = import(source.as_bytes(), &Options::default()).unwrap();
    let message = chat.message(0).unwrap();
    assert_eq!(message.text(), "a");
    assert_eq!(message.author().unwrap(), "+447700900121");
    assert_eq!(doubts(&message), [Doubt::RepeatedPart]);
}

/// Zips the fixture under `prefix`, as a phone's file manager would.
fn zipped(prefix: &str) -> Export<Archive<Cursor<Vec<u8>>>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let mut paths = names();
    paths.extend(["main.jsonl".to_owned(), "metadata.json".to_owned()]);
    for path in paths {
        writer
            .start_file(format!("{prefix}{path}"), SimpleFileOptions::default())
            .unwrap();
        writer
            .write_all(&fs::read(folder().join(path)).unwrap())
            .unwrap();
    }
    Export::open(Archive::open(writer.finish().unwrap()).unwrap()).unwrap()
}

#[test]
fn a_zip_of_the_folder_is_read_whether_or_not_the_folder_is_in_it() {
    for prefix in ["", "signal-export-2024-06-01/"] {
        let mut export = zipped(prefix);
        let [found] = export.chats() else {
            panic!("there is one");
        };
        assert_eq!(found.format, Format::Signal);
        assert_eq!(found.id, "main.jsonl");
        let files = export.read(0).unwrap();
        let options = Options {
            conversation: Some("1"),
            ..Options::default()
        };
        let chat = export.import(0, &files, &options).unwrap();
        let file = saying(&chat, "The signed page").attachments()[0].clone();
        let Place::Beside(path) = &file.place else {
            panic!("it is in the export");
        };
        let mut bytes = Vec::new();
        export
            .attachment(0, path, 1_000)
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        assert_eq!(Some(Digest::of(&bytes)), file.sha256);
    }
}

#[test]
fn a_chat_taken_out_line_by_line_is_the_same_chat() {
    let source = main_jsonl();
    let listed = list_signal(source.as_slice()).unwrap();
    assert_eq!(
        listed,
        conversations(&[&source], &Options::default()).unwrap()
    );
    let taken = select_signal(source.as_slice(), "1").unwrap();
    assert_eq!(taken.sha256, Digest::of(&source));
    assert_eq!(taken.bytes, source.len() as u64);
    let (whole, part) = (chosen(&source, "1"), chosen(&taken.text, "1"));
    assert_eq!(whole.title(), part.title());
    assert_eq!(whole.caveats(), part.caveats());
    assert_eq!(whole.len(), part.len());
    for (whole, part) in whole.messages().zip(part.messages()) {
        assert_eq!(whole.source(), part.source());
        assert_eq!(whole.fingerprint(), part.fingerprint());
        assert_eq!(whole.author(), part.author());
        assert_eq!(whole.text(), part.text());
        assert_eq!(doubts(&whole), doubts(&part));
    }
    assert!(matches!(
        select_signal(source.as_slice(), "4"),
        Err(ImportError::NoSuchConversation)
    ));
}

#[test]
fn what_is_taken_out_holds_no_other_chat_and_no_key() {
    let source = main_jsonl();
    let taken = select_signal(source.as_slice(), "1").unwrap();
    let text = String::from_utf8(taken.text).unwrap();
    for gone in [
        "milk",
        "another chat",
        "Key",
        "svrPin",
        "backupTimeMs",
        "S0tLS0tL",
    ] {
        // Messages name their files by keys; those open nothing here.
        let others = text
            .lines()
            .filter(|line| !line.contains("\"attachments\"") && !line.contains("\"longText\""));
        assert!(!others.collect::<String>().contains(gone), "{gone}");
    }
}

#[test]
fn damage_in_an_export_that_is_read_line_by_line_is_said() {
    let source = main_jsonl();
    let text = String::from_utf8(source.clone()).unwrap();
    let damaged = text.replacen("\"chatItem\":{\"chatId\":\"2\"", "\"chatItem\"{", 1);
    let cut = text.find("please file").unwrap();
    for (source, caveat) in [
        (damaged.as_bytes(), Caveat::Unreadable),
        (&source[..cut], Caveat::CutOff),
    ] {
        let taken = select_signal(source, "1").unwrap();
        assert!(chosen(&taken.text, "1").caveats().contains(&caveat));
        assert!(chosen(source, "1").caveats().contains(&caveat));
    }
}

#[test]
fn a_line_longer_than_any_is_refused_before_it_is_held() {
    let endless = std::io::BufReader::new(std::io::repeat(b'x'));
    assert!(matches!(
        list_signal(endless),
        Err(ImportError::TooLarge { .. })
    ));
}
