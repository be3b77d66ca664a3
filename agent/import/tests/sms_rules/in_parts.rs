//! Exports of any size, read tag by tag.

use candour_import::{ImportError, Options, conversations, import, limits, list_sms, select_sms};
use candour_wire::Digest;

use super::{BOTH, PHONE, chosen, doubts, export, sms};

#[test]
fn a_chat_taken_out_tag_by_tag_is_the_same_chat() {
    let listed = list_sms(PHONE.as_bytes()).unwrap();
    assert_eq!(
        listed,
        conversations(&[PHONE.as_bytes()], &Options::default()).unwrap()
    );
    for summary in listed {
        let taken = select_sms(PHONE.as_bytes(), &summary.id).unwrap();
        assert_eq!(taken.sha256, Digest::of(PHONE.as_bytes()));
        assert_eq!(taken.bytes, PHONE.len() as u64);
        let text = String::from_utf8(taken.text).unwrap();
        let (whole, part) = (chosen(PHONE, &summary.id), chosen(&text, &summary.id));
        assert_eq!(whole.title(), part.title());
        assert_eq!(whole.caveats(), part.caveats());
        assert_eq!(whole.len(), part.len());
        for (whole, part) in whole.messages().zip(part.messages()) {
            assert_eq!(whole.source(), part.source());
            assert_eq!(whole.fingerprint(), part.fingerprint());
            assert_eq!(whole.author(), part.author());
            assert_eq!(doubts(&whole), doubts(&part));
        }
    }
    assert!(matches!(
        select_sms(PHONE.as_bytes(), "4"),
        Err(ImportError::NoSuchConversation)
    ));
}

#[test]
fn what_is_taken_out_holds_no_other_chat() {
    let taken = select_sms(PHONE.as_bytes(), BOTH).unwrap();
    let text = String::from_utf8(taken.text).unwrap();
    for gone in [
        "Clause",
        "HMRC",
        "Dated in seconds",
        "From nobody",
        "signed page",
        "07700900121\"",
    ] {
        assert!(!text.contains(gone), "{gone}");
    }
    assert!(text.contains("Both of you") && text.contains("Alice Example"));
}

#[test]
fn files_of_any_size_are_passed_over_and_taken_whole() {
    let mms = |number: u32, data: &str| {
        format!(
            "<mms date=\"1717232460000\" msg_box=\"1\" address=\"{number}\"><parts>\
             <part ct=\"image/gif\" cl=\"a.gif\" data=\"{data}\"/></parts></mms>\n"
        )
    };
    let large = "QUJD".repeat(200_000);
    let source = export(&format!(
        "{}{}{}{}",
        mms(1, &large),
        mms(2, &large),
        sms(&format!("body=\"{}\"", "b".repeat(700_000))),
        mms(2, "QUJD"),
    ));
    let listed = list_sms(source.as_bytes()).unwrap();
    assert_eq!(
        listed,
        conversations(&[source.as_bytes()], &Options::default()).unwrap()
    );
    for id in ["1", "2"] {
        let taken = select_sms(source.as_bytes(), id).unwrap();
        assert_eq!(taken.sha256, Digest::of(source.as_bytes()));
        let text = String::from_utf8(taken.text).unwrap();
        let (whole, part) = (chosen(&source, id), chosen(&text, id));
        assert_eq!(whole.len(), 2);
        for (whole, part) in whole.messages().zip(part.messages()) {
            assert!(whole.source() == part.source(), "they are the same bytes");
        }
        let message = part.message(0).unwrap();
        let file = message.attachments().remove(0);
        assert_eq!(
            message.embedded(&file.place, 1_000_000).unwrap().len(),
            600_000
        );
    }
}

#[test]
fn a_tag_without_end_is_refused_where_it_is_not_held_whole() {
    let source = export(&format!(
        "<!-- {} -->{}",
        "x".repeat(2 * limits::SMS_TAG_MAX_BYTES),
        sms("body=\"a\"")
    ));
    assert!(matches!(
        list_sms(source.as_bytes()),
        Err(ImportError::TooLarge { .. })
    ));
    let chat = import(source.as_bytes(), &Options::default()).unwrap();
    assert_eq!(chat.len(), 1);
}
