use std::io::{Cursor, Write as _};

use super::*;

const TEXT: &str = "13/02/2024, 09:05 - Messages and calls are end-to-end encrypted.\n\
    13/02/2024, 09:06 - Alice Example: The annex is late.\n\
    13/02/2024, 09:07 - Bob Example: Then it goes without it.\n\
    14/02/2024, 10:00 - Alice Example: IMG-1.jpg (file attached)\n";

fn archive() -> Chat {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("WhatsApp Chat with Annex team.txt", stored)
        .unwrap();
    zip.write_all(TEXT.as_bytes()).unwrap();
    zip.start_file("IMG-1.jpg", stored).unwrap();
    zip.write_all(b"a picture").unwrap();
    let bytes = zip.finish().unwrap().into_inner();
    Chat::read("export.zip", Box::new(Cursor::new(bytes))).unwrap()
}

fn whatsapp() -> Vec<ChannelId> {
    vec!["whatsapp".parse().unwrap()]
}

#[test]
fn picked_messages_become_a_draft_with_their_times_authors_and_files() {
    let mut chat = archive();
    let index = chat.index(&Reading::default()).unwrap();
    assert_eq!(index.title(), Some("Annex team"));
    let picked = pick(
        &index,
        &[1, 2, 3],
        "Europe/London",
        Some("Bob Example"),
        &whatsapp(),
    )
    .unwrap();
    let draft = &picked.draft;
    assert_eq!(draft.messages.len(), 3);
    // EXPOSE: the test's own words.
    assert_eq!(draft.messages[0].text.expose(), "The annex is late.");
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
    assert_eq!(picked.files.len(), 1);
    assert_eq!(picked.files[0].path, "IMG-1.jpg");
    drop(index);
    let read = chat
        .with_file("IMG-1.jpg", |reader| {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            Ok(bytes)
        })
        .unwrap();
    assert_eq!(read.as_deref(), Some(b"a picture".as_slice()));
    assert_eq!(chat.with_file("IMG-2.jpg", |_| Ok(())).unwrap(), None);
}

#[test]
fn without_knowing_the_holder_the_direction_is_left_open() {
    let chat = archive();
    let index = chat.index(&Reading::default()).unwrap();
    let open = pick(&index, &[1], "Europe/London", None, &whatsapp())
        .unwrap()
        .draft;
    assert_eq!((open.direction, open.extent), (None, Some(Extent::Extract)));
    let sent = pick(
        &index,
        &[1],
        "Europe/London",
        Some("~ Alice Example"),
        &whatsapp(),
    )
    .unwrap()
    .draft;
    assert_eq!(sent.direction, Some(Direction::Sent));
    assert!(sent.participants.is_empty());
    assert!(pick(&index, &[1], "Europe/Atlantis", None, &whatsapp()).is_err());
}

#[test]
fn a_holder_who_has_not_written_is_refused_with_the_names_of_those_who_have() {
    let chat = archive();
    let index = chat.index(&Reading::default()).unwrap();
    let refused = require_author(&index, "Nobody Here").unwrap_err();
    assert_eq!(refused.code(), candour_wire::Code::UsageInvalid);
    assert_eq!(
        refused.to_string(),
        "--me Nobody Here: nobody of that name has written in this chat, but “Alice Example”, “Bob Example”"
    );
    for me in ["Alice Example", "~ Bob Example"] {
        require_author(&index, me).unwrap();
    }
}

#[test]
fn filters_narrow_the_list_by_time_author_and_words() {
    let chat = archive();
    let index = chat.index(&Reading::default()).unwrap();
    let listed = |filter: &Filter| {
        index
            .messages()
            .filter(|m| filter.passes(m, &TimeZone::UTC))
            .map(|m| m.index())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(&Filter::default()), [0, 1, 2, 3]);
    assert_eq!(
        listed(&Filter {
            author: Some("alice".into()),
            ..Filter::default()
        }),
        [1, 3]
    );
    assert_eq!(
        listed(&Filter {
            text: Some("ANNEX".into()),
            ..Filter::default()
        }),
        [1]
    );
    let from = Some("2024-02-13T09:07:00".parse().unwrap());
    let to = Some("2024-02-13T23:59:59".parse().unwrap());
    assert_eq!(
        listed(&Filter {
            from,
            to,
            ..Filter::default()
        }),
        [2]
    );
}

#[test]
fn a_file_that_is_no_chat_is_refused_with_its_code() {
    let refused = Chat::read("notes.txt", Box::new(Cursor::new(b"Dear diary".to_vec()))).unwrap();
    let error = refused
        .index(&Reading::default())
        .expect_err("it is no chat");
    assert_eq!(error.code(), candour_wire::Code::ImportUnknownFormat);
}
