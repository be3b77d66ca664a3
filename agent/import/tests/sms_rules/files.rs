//! The files of an MMS.

use candour_import::{ImportError, Place, RowKind};

use super::{ALICE, BOB, BOTH, PHONE, chosen, one, saying};

#[test]
fn files_are_decoded_when_they_are_asked_for() {
    let chat = chosen(PHONE, ALICE);
    let message = saying(&chat, "The signed page");
    let files = message.attachments();
    assert_eq!(files.len(), 2, "the layout and the text are no files");
    assert_eq!(files[0].name, "page 1.png");
    assert_eq!(files[0].media_type.as_deref(), Some("image/png"));
    assert!(matches!(files[0].place, Place::Embedded(_)));
    let bytes = message.embedded(&files[0].place, 1_000).unwrap();
    assert!(bytes.starts_with(b"\x89PNG") && bytes.ends_with(b"\xaeB`\x82"));
    assert_eq!(files[0].bytes, Some(bytes.len() as u64));
    assert!(matches!(
        message.embedded(&files[0].place, bytes.len() as u64 - 1),
        Err(ImportError::TooLarge { .. })
    ));
    assert_eq!(files[1].name, "film.3gp");
    assert_eq!(files[1].place, Place::LeftOut);
    assert!(matches!(
        message.embedded(&files[1].place, 1_000),
        Err(ImportError::NoSuchFile)
    ));
}

#[test]
fn a_card_without_padding_is_a_contact() {
    let chat = chosen(PHONE, BOTH);
    let message = chat.message(2).unwrap();
    assert_eq!(message.kind(), RowKind::Contact);
    let file = message.attachments().remove(0);
    let bytes = message.embedded(&file.place, 1_000).unwrap();
    assert_eq!(bytes, b"BEGIN:VCARD\r\nFN:Tom O'Specimen\r\nEND:VCARD\r\n");
    assert_eq!(file.bytes, Some(bytes.len() as u64));
}

#[test]
fn base64_in_lines_is_read_and_what_is_none_is_damaged() {
    let mms = |data: &str| {
        format!(
            "<mms address=\"1\" date=\"1717232460000\" msg_box=\"1\"><parts>\
             <part ct=\"image/gif\" data=\"{data}\"/></parts></mms>"
        )
    };
    for data in ["QUJD&#10;REVG", "QUJD\nREVG\n", "QUJDREVG"] {
        one(&mms(data), |message| {
            let file = message.attachments().remove(0);
            assert_eq!(file.name, "part 0");
            assert_eq!(message.embedded(&file.place, 6).unwrap(), b"ABCDEF");
            assert!(message.embedded(&file.place, 5).is_err());
        });
    }
    one(&mms("QUJD!"), |message| {
        let file = message.attachments().remove(0);
        assert!(matches!(
            message.embedded(&file.place, 100),
            Err(ImportError::Damaged(_))
        ));
    });
}

#[test]
fn an_mms_that_was_never_fetched_is_one_whose_content_is_left_out() {
    let chat = chosen(PHONE, BOB);
    let kinds: Vec<_> = chat.messages().map(|message| message.kind()).collect();
    assert_eq!(kinds, [RowKind::Blank, RowKind::Text, RowKind::Omitted]);
}
