//! Whole downloads of Facebook's, Instagram's and Messenger's, with an invented group, a chat, and one
//! that was end-to-end encrypted.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{Cursor, Read as _, Write as _};

use candour_import::{Archive, Attachment, Export, ImportError, Message, Options, Place};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const NEWER: &[u8] = include_bytes!("meta/message_1.json");
const OLDER: &[u8] = include_bytes!("meta/message_2.json");
const INSTAGRAM: &[u8] = include_bytes!("meta/instagram.json");
const ENCRYPTED: &[u8] = include_bytes!("meta/encrypted.json");

const THREAD: &str = "inbox/budgetbill_7290";

fn places(message: &Message<'_>) -> Vec<Option<String>> {
    let path = |file: &Attachment<'_>| match &file.place {
        Place::Beside(path) => Some(path.to_string()),
        _ => None,
    };
    message.attachments().iter().map(path).collect()
}

fn zipped(files: &[(&str, &[u8])]) -> Export<Archive<Cursor<Vec<u8>>>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    Export::open(Archive::open(writer.finish().unwrap()).unwrap()).unwrap()
}

#[test]
fn a_whole_download_is_listed_by_folders_and_one_chat_is_taken() {
    let root = "facebook-alice-01_06_2024-x1/your_facebook_activity/messages";
    let group = format!("{root}/{THREAD}");
    let photo = format!("{group}/photos/11_n.jpg");
    let sticker = format!("{root}/stickers_used/39178562.png");
    let mut export = zipped(&[
        (&format!("{group}/message_1.json"), NEWER),
        (&format!("{group}/message_2.json"), OLDER),
        (&format!("{group}/files/message_1.json"), INSTAGRAM),
        (&photo, b"a photograph"),
        (&sticker, b"a sticker"),
        (
            &format!("{root}/archived_threads/priya_55/message_1.json"),
            INSTAGRAM,
        ),
        (&format!("{root}/autofill_information.json"), b"{}"),
    ]);
    let found: Vec<_> = export
        .chats()
        .iter()
        .map(|chat| (chat.id.as_str(), chat.name.as_str(), chat.files()))
        .collect();
    assert_eq!(
        found,
        [
            ("archived_threads/priya_55", "priya_55", 1),
            (THREAD, "budgetbill_7290", 2)
        ]
    );
    assert!(matches!(
        export.find(None),
        Err(ImportError::NeedsConversation(2))
    ));
    let options = Options {
        conversation: Some(THREAD),
        ..Options::default()
    };
    let chosen = export.find(options.conversation).unwrap();
    let files = export.read(chosen).unwrap();
    assert_eq!(files, [NEWER, OLDER]);
    let chat = export.import(chosen, &files, &options).unwrap();
    assert_eq!(chat.len(), 18);
    let at = |index: usize| places(&chat.message(index).unwrap());
    let here = "your_facebook_activity/messages";
    assert_eq!(
        at(3),
        [Some(format!("{here}/{THREAD}/photos/11_n.jpg")), None]
    );
    assert_eq!(at(4), [None]);
    let sticker = at(5)[0].clone().unwrap();
    assert_eq!(sticker, format!("{here}/stickers_used/39178562.png"));
    let mut bytes = Vec::new();
    export
        .attachment(chosen, &sticker, 100)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    assert_eq!(bytes, b"a sticker");
}

#[test]
fn the_folder_of_one_chat_is_enough() {
    let mut export = zipped(&[
        ("budgetbill_7290/message_10.json", OLDER),
        ("budgetbill_7290/message_9.json", NEWER),
        ("budgetbill_7290/photos/12_n.jpg", b"a photograph"),
    ]);
    let files = export.read(0).unwrap();
    assert_eq!(files, [NEWER, OLDER], "by number");
    let chat = export.import(0, &files, &Options::default()).unwrap();
    let photo = chat.message(3).unwrap();
    assert_eq!(places(&photo), [None, Some("photos/12_n.jpg".to_owned())]);
    assert!(export.attachment(0, "photos/12_n.jpg", 100).is_ok());
}

#[test]
fn a_download_of_encrypted_chats_has_a_file_for_each() {
    let photo = "media/0b1c2d3e-0000-4000-8000-123456789abc.jpeg";
    let other = br#"{"participants":["Alice Example","Tom"],"threadName":"Tom_2","messages":[]}"#;
    let mut export = zipped(&[
        ("messages/Tom_2.json", other),
        ("messages/Chloë Ngata-Świątek_40.json", ENCRYPTED),
        (&format!("messages/{photo}"), b"a photograph"),
    ]);
    let found: Vec<_> = export.chats().iter().map(|chat| chat.id.clone()).collect();
    assert_eq!(found, ["Chloë Ngata-Świątek_40.json", "Tom_2.json"]);
    let files = export.read(0).unwrap();
    let chat = export.import(0, &files, &Options::default()).unwrap();
    assert_eq!(places(&chat.message(1).unwrap()), [Some(photo.to_owned())]);
    assert!(export.attachment(0, photo, 100).is_ok());
    let files = export.read(1).unwrap();
    assert!(matches!(
        export.import(1, &files, &Options::default()),
        Err(ImportError::NoChat)
    ));
}
