use std::fs;

use candour_core::chat::{Known, pick};
use candour_wire::Code;

use super::*;

const TEXT: &str = "13/02/2024, 09:05 - Messages and calls are end-to-end encrypted.\n\
    13/02/2024, 09:06 - Alice Example: The annex is late.\n\
    13/02/2024, 09:07 - Bob Example: Then it goes without it.\n\
    14/02/2024, 10:00 - Alice Example: IMG-1.jpg (file attached)\n";

/// Two chats of a Signal account.
const SIGNAL: &str = r#"{"version":"1","backupTimeMs":"1717242000000"}
{"account":{"givenName":"Priya","familyName":"Sample"}}
{"recipient":{"id":"1","self":{}}}
{"recipient":{"id":"2","contact":{"e164":"447700900121","profileGivenName":"Alice"}}}
{"recipient":{"id":"3","contact":{"e164":"447700900122","profileGivenName":"Bob"}}}
{"chat":{"id":"2","recipientId":"2"}}
{"chat":{"id":"3","recipientId":"3"}}
{"chatItem":{"chatId":"2","authorId":"2","dateSent":"1717232400000","incoming":{"dateReceived":"1717232400900"},"standardMessage":{"text":{"body":"Is it agreed?"}}}}
{"chatItem":{"chatId":"3","authorId":"3","dateSent":"1717232700000","incoming":{"dateReceived":"1717232700900"},"standardMessage":{"text":{"body":"Dinner?"}}}}
"#;

fn opened(files: &[(&str, &str)]) -> (tempfile::TempDir, Chat) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let chat = Chat::open(&[dir.path().to_owned()], false).unwrap();
    (dir, chat)
}

fn loaded(chat: &mut Chat, reading: &Reading) -> Loaded {
    match chat.load(reading).unwrap() {
        Loading::One(loaded) => loaded,
        Loading::Several(found) => panic!("{} chats", found.len()),
    }
}

#[test]
fn a_picked_file_is_lent_and_one_that_was_left_out_is_not_there() {
    let (_dir, mut chat) = opened(&[
        ("WhatsApp Chat with Annex team.txt", TEXT),
        ("IMG-1.jpg", "a picture"),
    ]);
    let read = loaded(&mut chat, &Reading::default());
    let index = chat.index(&read, &Reading::default()).unwrap();
    assert_eq!(index.title(), Some("Annex team"));
    let known = Known {
        zone: "Europe/London",
        me: None,
        holder: None,
        channels: &[],
    };
    let files = pick(&index, &[3], &known).unwrap().files;
    let mut lend = |file: &PickedFile| {
        chat.with_file(&read, &index, file, |reader| {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            Ok(bytes)
        })
        .unwrap()
    };
    assert_eq!(lend(&files[0]).as_deref(), Some(b"a picture".as_slice()));
    let missing = PickedFile {
        name: "IMG-2.jpg".into(),
        place: FilePlace::Beside("IMG-2.jpg".into()),
    };
    assert_eq!(lend(&missing), None);
}

#[test]
fn a_holder_who_has_not_written_is_refused_with_the_names_of_those_who_have() {
    let (_dir, mut chat) = opened(&[("_chat.txt", TEXT)]);
    let read = loaded(&mut chat, &Reading::default());
    let index = chat.index(&read, &Reading::default()).unwrap();
    let refused = require_author(&index, "Nobody Here").unwrap_err();
    assert_eq!(refused.code(), Code::UsageInvalid);
    assert_eq!(
        refused.to_string(),
        "--me Nobody Here: nobody of that name has written in this chat, but “Alice Example”, “Bob Example”"
    );
    for me in ["Alice Example", "~ Bob Example"] {
        require_author(&index, me).unwrap();
    }
}

#[test]
fn of_an_account_one_chat_is_held_and_known_by_the_file_that_it_was_taken_from() {
    let (_dir, mut chat) = opened(&[("main.jsonl", SIGNAL)]);
    let Loading::Several(found) = chat.load(&Reading::default()).unwrap() else {
        panic!("there are two chats");
    };
    let found: Vec<_> = found
        .iter()
        .map(|offer| (offer.id.as_str(), offer.title.as_deref(), offer.messages))
        .collect();
    assert_eq!(
        found,
        [("2", Some("Alice"), Some(1)), ("3", Some("Bob"), Some(1))]
    );
    let reading = Reading {
        conversation: Some("2".into()),
        ..Reading::default()
    };
    let read = loaded(&mut chat, &reading);
    assert!(!String::from_utf8_lossy(&read.files[0]).contains("Dinner?"));
    let index = chat.index(&read, &reading).unwrap();
    assert_eq!(index.message(0).unwrap().text(), "Is it agreed?");
    assert_eq!(read.digest(&index), Digest::of(SIGNAL.as_bytes()));
    let missing = Reading {
        conversation: Some("9".into()),
        ..Reading::default()
    };
    let refused = chat.load(&missing).err().unwrap();
    assert_eq!(refused.code(), Code::ImportNeedsConversation);
}

#[test]
fn files_that_are_no_chat_are_refused_with_their_code() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("notes.txt", "Dear diary"), ("empty.txt", "")] {
        fs::write(dir.path().join(name), text).unwrap();
        let refused = Chat::open(&[dir.path().join(name)], false).err().unwrap();
        assert_eq!(refused.code(), Code::ImportUnknownFormat, "{name}");
    }
    let refused = Chat::open(&[dir.path().to_owned()], false).err().unwrap();
    assert_eq!(refused.code(), Code::ImportUnknownFormat);
    let refused = Chat::open(&[dir.path().join("nowhere.txt")], false)
        .err()
        .unwrap();
    assert_eq!(refused.code(), Code::AttachmentUnreadable);
}

#[test]
fn a_conversation_that_a_chat_is_not_is_refused_and_never_another_taken_for_it() {
    let (_dir, mut chat) = opened(&[("WhatsApp Chat with Annex team.txt", TEXT)]);
    let mut reading = Reading {
        conversation: Some("WhatsApp Chat with Bob.txt".into()),
        ..Reading::default()
    };
    let Err(failure) = chat.load(&reading) else {
        panic!("another chat is read");
    };
    assert_eq!(failure.code(), Code::ImportNeedsConversation);
    reading.conversation = Some("WhatsApp Chat with Annex team.txt".into());
    assert!(matches!(chat.load(&reading), Ok(Loading::One(_))));
}
