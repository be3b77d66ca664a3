//! Text messages and MMS as SMS Backup & Restore writes them: an invented phone.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use candour_import::{
    Caveat, Conversation, Doubt, Format, ImportError, Message, Options, Place, RowKind, Stamp,
    conversations, import, limits, list_sms, select_sms, sniff,
};
use candour_wire::Digest;

const PHONE: &str = include_str!("sms/sms-20240602101500.xml");

const ALICE: &str = "+447700900121";
const BOB: &str = "+447700900122";
const BOTH: &str = "+447700900121~+447700900122";
const NOBODY: &str = "~";
const OWNER: &str = "(owner of the phone)";

fn chosen<'a>(source: &'a str, id: &str) -> Conversation<'a> {
    let options = Options {
        conversation: Some(id),
        ..Options::default()
    };
    import(source.as_bytes(), &options).unwrap()
}

/// An export of the elements `inside`.
fn export(inside: &str) -> String {
    format!("<?xml version='1.0' encoding='UTF-8'?>\n<smses>\n{inside}\n</smses>\n")
}

fn sms(attributes: &str) -> String {
    format!("<sms address=\"1\" date=\"1717232460000\" type=\"1\" {attributes}/>")
}

/// The only message of an export of one.
fn one<T>(inside: &str, look: impl FnOnce(Message<'_>) -> T) -> T {
    let source = export(inside);
    let chat = import(source.as_bytes(), &Options::default()).unwrap();
    assert_eq!(chat.len(), 1);
    look(chat.message(0).unwrap())
}

fn saying<'c>(chat: &'c Conversation<'_>, part: &str) -> Message<'c> {
    chat.messages()
        .find(|message| message.text().contains(part))
        .unwrap()
}

fn doubts(message: &Message<'_>) -> Vec<Doubt> {
    message.doubts().collect()
}

fn instant(text: &str) -> Stamp {
    Stamp::Instant(text.parse().unwrap())
}

#[test]
fn a_phone_is_listed_by_its_chats_and_one_must_be_chosen() {
    assert_eq!(sniff(PHONE.as_bytes()), Some(Format::Sms));
    assert_eq!(Format::Sms.channel(), Some("sms"));
    let chats = conversations(&[PHONE.as_bytes()], &Options::default()).unwrap();
    let listed: Vec<_> = chats
        .iter()
        .map(|chat| (chat.id.as_str(), chat.title.as_deref(), chat.messages))
        .collect();
    let expected = [
        (ALICE, Some("Alice Example"), 6),
        ("07700900121", Some("07700900121"), 1),
        ("HMRC", Some("HMRC"), 1),
        (BOB, Some("Bob O'Neil"), 3),
        (NOBODY, None, 1),
        (BOTH, Some("Bob O'Neil, Alice Example"), 3),
    ];
    assert_eq!(listed, expected);
    assert_eq!(chats[0].first, instant("2024-06-01T09:01:00Z"));
    assert_eq!(chats[0].last, instant("2024-06-01T09:05:00Z"));
    assert!(matches!(
        import(PHONE.as_bytes(), &Options::default()),
        Err(ImportError::NeedsConversation(6))
    ));
    let options = Options {
        conversation: Some("07700 900 121"),
        ..Options::default()
    };
    assert!(matches!(
        import(PHONE.as_bytes(), &options),
        Err(ImportError::NoSuchConversation)
    ));
}

#[test]
fn the_chosen_chat_holds_its_own_messages_in_the_order_of_their_times() {
    let chat = chosen(PHONE, ALICE);
    assert_eq!(chat.title(), Some("Alice Example"));
    let read: Vec<_> = chat
        .messages()
        .map(|message| {
            let author = message.author().unwrap().into_owned();
            (author, message.is_outgoing().unwrap(), message.kind())
        })
        .collect();
    let alice = |kind| ("Alice Example".to_owned(), false, kind);
    let owner = || (OWNER.to_owned(), true, RowKind::Text);
    let expected = [
        alice(RowKind::Text),
        // It stands behind all text messages in the file.
        alice(RowKind::Media),
        owner(),
        alice(RowKind::Text),
        owner(),
        owner(),
    ];
    assert_eq!(read, expected);
    assert_eq!(chat.caveats(), [Caveat::DeletedLeftOut]);
    assert_eq!(chat.message(0).unwrap().author_id(), Some(ALICE));
    assert_eq!(chat.message(2).unwrap().author_id(), None);
}

#[test]
fn a_message_is_its_element() {
    for (id, count) in [(ALICE, 6), (BOTH, 3), (BOB, 3)] {
        let chat = chosen(PHONE, id);
        assert_eq!(chat.len(), count);
        for message in chat.messages() {
            let source = std::str::from_utf8(message.source()).unwrap();
            assert_eq!(source, &PHONE[message.span()]);
            assert_eq!(message.digest(), Digest::of(source.as_bytes()));
            let sms = source.starts_with("<sms ") && source.ends_with("/>");
            let mms = source.starts_with("<mms ") && source.ends_with("</mms>");
            assert!(sms || mms, "{source}");
            assert_eq!(
                source.matches("<sms ").count() + source.matches("<mms ").count(),
                1
            );
        }
    }
}

#[test]
fn texts_are_those_that_were_sent() {
    let chat = chosen(PHONE, ALICE);
    let text = |index: usize| chat.message(index).unwrap().text().into_owned();
    assert_eq!(
        text(0),
        "Clause 14 must go to the Minister today.\nCan you clear it?"
    );
    assert_eq!(text(1), "Résumé of the meeting\nThe signed page");
    assert_eq!(text(2), "Cleared 👍🏽 \"as drafted\" & signed, isn't it");
    assert_eq!(
        chat.message(2).unwrap().stamp(),
        instant("2024-06-01T09:02:00.123Z")
    );
    let both = chosen(PHONE, BOTH);
    assert_eq!(
        both.message(0).unwrap().text(),
        "Both of you: Tuesday?\nOr Wednesday."
    );
}

#[test]
fn half_of_a_pair_is_shown_as_such_and_doubted() {
    let chat = chosen(PHONE, ALICE);
    let half = saying(&chat, "Half");
    assert_eq!(half.text(), "Half an emoji: \u{fffd} end");
    assert_eq!(doubts(&half), [Doubt::Malformed]);
}

#[test]
fn what_was_not_sent_is_not_taken_for_sent() {
    let chat = chosen(PHONE, ALICE);
    for text in ["Do not tell", "Ring me"] {
        assert_eq!(doubts(&saying(&chat, text)), [Doubt::NotSent]);
    }
    assert_eq!(chat.doubtful(), 3);
    assert_eq!(doubts(&saying(&chosen(PHONE, BOTH), "Tuesday")), []);
}

#[test]
fn entities_of_others_are_not_expanded() {
    let chat = chosen(PHONE, "HMRC");
    let message = chat.message(0).unwrap();
    assert_eq!(message.text(), "Your code is &nbsp;000000");
    assert_eq!(
        message.author().unwrap(),
        "HMRC",
        "an unknown contact has no name"
    );
    assert_eq!(doubts(&message), [Doubt::TimesDisagree, Doubt::Malformed]);
}

#[test]
fn a_date_that_cannot_be_milliseconds_is_no_date() {
    let chat = chosen(PHONE, BOB);
    let message = saying(&chat, "Dated in seconds");
    assert_eq!(message.stamp(), Stamp::None);
    assert_eq!(doubts(&message), [Doubt::NoTime, Doubt::Malformed]);
    for date in [
        "",
        "null",
        "0",
        "-1",
        "17172324600000000",
        "x",
        "1 717232460000",
    ] {
        let element = format!("<sms address=\"1\" type=\"1\" body=\"a\" date=\"{date}\"/>");
        one(&element, |message| {
            assert_eq!(message.stamp(), Stamp::None, "{date}");
            assert_eq!(doubts(&message), [Doubt::NoTime, Doubt::Malformed]);
        });
    }
    one("<sms address=\"1\" type=\"1\" body=\"a\"/>", |message| {
        assert_eq!(doubts(&message), [Doubt::NoTime]);
    });
}

#[test]
fn null_is_nothing() {
    let chat = chosen(PHONE, BOB);
    let message = chat.message(0).unwrap();
    assert_eq!(message.text(), "");
    assert_eq!(message.kind(), RowKind::Blank);
    assert_eq!(doubts(&message), [Doubt::NotShown]);
    assert_eq!(message.author().unwrap(), "Bob O'Neil");
}

#[test]
fn without_an_address_nobody_is_the_author() {
    let message_of = |id| chosen(PHONE, id);
    let chat = message_of(NOBODY);
    let message = chat.message(0).unwrap();
    assert_eq!(message.author(), None);
    assert_eq!(doubts(&message), [Doubt::AuthorUnknown]);
}

#[test]
fn the_author_in_a_group_is_the_one_whom_the_mms_names() {
    let chat = chosen(PHONE, BOTH);
    let authors: Vec<_> = chat
        .messages()
        .map(|message| {
            (
                message.author().unwrap().into_owned(),
                message.is_outgoing(),
            )
        })
        .collect();
    // By the name that the address has in its own chat: the names of a group stand in one list.
    let expected = [
        ("Alice Example".to_owned(), Some(false)),
        (OWNER.to_owned(), Some(true)),
        ("Bob O'Neil".to_owned(), Some(false)),
    ];
    assert_eq!(authors, expected);
    assert_eq!(chat.message(0).unwrap().author_id(), Some(ALICE));
    let alone = export(
        "<mms date=\"1717232460000\" msg_box=\"1\" address=\"1~2\" contact_name=\"A, B\">\
         <parts><part ct=\"text/plain\" text=\"x\"/></parts>\
         <addrs><addr address=\"2\" type=\"137\"/></addrs></mms>\
         <mms date=\"1717232460000\" msg_box=\"1\" address=\"1~2\" contact_name=\"A, B\">\
         <parts><part ct=\"text/plain\" text=\"y\"/></parts></mms>",
    );
    let chat = chosen(&alone, "1~2");
    assert_eq!(chat.title(), Some("A, B"));
    assert_eq!(chat.message(0).unwrap().author().unwrap(), "2");
    let unsigned = chat.message(1).unwrap();
    assert_eq!(unsigned.author(), None);
    assert_eq!(doubts(&unsigned), [Doubt::AuthorUnknown]);
}

#[test]
fn files_are_decoded_when_they_are_asked_for() {
    let chat = chosen(PHONE, ALICE);
    let message = saying(&chat, "The signed page");
    let files = message.attachments();
    assert_eq!(files.len(), 2, "the layout and the text are no files");
    assert_eq!(files[0].name, "page 1.png");
    assert_eq!(files[0].media_type.as_deref(), Some("image/png"));
    assert_eq!(files[0].place, Place::Embedded(1));
    let bytes = message.embedded(&files[0], 1_000).unwrap();
    assert!(bytes.starts_with(b"\x89PNG") && bytes.ends_with(b"\xaeB`\x82"));
    assert_eq!(files[0].bytes, Some(bytes.len() as u64));
    assert!(matches!(
        message.embedded(&files[0], bytes.len() as u64 - 1),
        Err(ImportError::TooLarge { .. })
    ));
    assert_eq!(files[1].name, "film.3gp");
    assert_eq!(files[1].place, Place::LeftOut);
    assert!(matches!(
        message.embedded(&files[1], 1_000),
        Err(ImportError::NoSuchFile)
    ));
}

#[test]
fn a_card_without_padding_is_a_contact() {
    let chat = chosen(PHONE, BOTH);
    let message = chat.message(2).unwrap();
    assert_eq!(message.kind(), RowKind::Contact);
    let file = message.attachments().remove(0);
    let bytes = message.embedded(&file, 1_000).unwrap();
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
            assert_eq!(message.embedded(&file, 6).unwrap(), b"ABCDEF");
            assert!(message.embedded(&file, 5).is_err());
        });
    }
    one(&mms("QUJD!"), |message| {
        let file = message.attachments().remove(0);
        assert!(matches!(
            message.embedded(&file, 100),
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

#[test]
fn an_attribute_that_comes_twice_is_doubted_and_the_first_counts() {
    one(&sms("body=\"a\" body=\"b\""), |message| {
        assert_eq!(message.text(), "a");
        assert_eq!(doubts(&message), [Doubt::RepeatedPart]);
    });
}

#[test]
fn which_way_a_message_went_is_never_guessed() {
    one(
        "<sms address=\"1\" date=\"1717232460000\" body=\"a\" type=\"9\"/>",
        |message| {
            assert_eq!(message.is_outgoing(), None);
            assert_eq!(message.author(), None);
            assert_eq!(doubts(&message), [Doubt::AuthorUnknown, Doubt::Malformed]);
        },
    );
}

#[test]
fn damaged_bytes_are_doubted() {
    let mut source = export(&sms("body=\"a#b\"")).into_bytes();
    let at = source.iter().position(|byte| *byte == b'#').unwrap();
    source[at] = 0xff;
    let chat = import(&source, &Options::default()).unwrap();
    let message = chat.message(0).unwrap();
    assert_eq!(message.text(), "a\u{fffd}b");
    assert_eq!(doubts(&message), [Doubt::InvalidUtf8]);
}

#[test]
fn a_file_that_is_cut_off_keeps_what_came_before() {
    for (end, count) in [("Do not tell", 3), ("signed page", 5), ("</smses>", 6)] {
        let cut = &PHONE[..PHONE.find(end).unwrap()];
        let chat = chosen(cut, ALICE);
        assert_eq!(chat.len(), count, "{end}");
        assert_eq!(chat.caveats(), [Caveat::DeletedLeftOut, Caveat::CutOff]);
    }
}

#[test]
fn a_damaged_element_is_said_and_spoils_no_other() {
    for (good, bad) in [
        ("body=\"Clause", "body=Clause"),
        ("Can you clear it?\"", "Can you clear it?"),
        (
            "subject=\"null\" body=\"Clause",
            "subject=\"null body=\"Clause",
        ),
    ] {
        let damaged = PHONE.replacen(good, bad, 1);
        let chat = chosen(&damaged, ALICE);
        assert_eq!(chat.len(), 5, "{bad}");
        assert_eq!(
            chat.message(1).unwrap().text(),
            "Cleared 👍🏽 \"as drafted\" & signed, isn't it"
        );
        assert_eq!(chat.caveats(), [Caveat::DeletedLeftOut, Caveat::Unreadable]);
    }
}

#[test]
fn an_mms_that_never_ends_does_not_swallow_the_next_message() {
    let source = export(&format!(
        "<mms address=\"1\" date=\"1717232460000\" msg_box=\"1\"><parts>{}",
        sms("body=\"a\"")
    ));
    let chat = import(source.as_bytes(), &Options::default()).unwrap();
    assert_eq!(chat.len(), 1);
    assert_eq!(
        chat.message(0).unwrap().source(),
        sms("body=\"a\"").as_bytes()
    );
    assert!(chat.caveats().contains(&Caveat::Unreadable));
}

#[test]
fn what_the_app_does_not_write_is_not_shown_and_said() {
    let inside = "<sms address=\"1\" date=\"1717232460000\" type=\"1\" body=\"a\">b</sms>";
    one(inside, |message| {
        assert_eq!(message.source(), inside.as_bytes());
        assert_eq!(doubts(&message), [Doubt::NotShown]);
    });
    for stray in ["<![CDATA[<sms/>]]>", "text", "<call number=\"1\"/>"] {
        let source = export(&format!("{stray}{}", sms("body=\"a\"")));
        let chat = import(source.as_bytes(), &Options::default()).unwrap();
        assert_eq!(chat.len(), 1);
        assert!(chat.caveats().contains(&Caveat::Unreadable), "{stray}");
    }
    let comment = format!("<!-- {} -- -->{}", sms("body=\"b\""), sms("body=\"a\""));
    let source = export(&comment);
    let chat = import(source.as_bytes(), &Options::default()).unwrap();
    assert_eq!(chat.len(), 1, "a comment is not read");
    assert_eq!(chat.caveats(), [Caveat::DeletedLeftOut]);
}

#[test]
fn a_file_from_which_a_message_was_taken_says_so() {
    let start = PHONE.find("  <sms protocol").unwrap();
    let end = start + PHONE[start..].find('\n').unwrap() + 1;
    let shorter = format!("{}{}", &PHONE[..start], &PHONE[end..]);
    let chat = chosen(&shorter, ALICE);
    assert_eq!(
        chat.caveats(),
        [Caveat::DeletedLeftOut, Caveat::CountDiffers]
    );
}

#[test]
fn headers_marks_and_blanks_before_the_export_are_gone_past() {
    let plain = export(&sms("body=\"a\""));
    let root = &plain[plain.find("<smses").unwrap()..];
    for start in [
        "\u{feff}",
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n",
        "<?xml version='1.0'?><?xml-stylesheet type=\"text/xsl\" href=\"sms.xsl\"?><!-- & -->",
        "\n\t ",
        "",
    ] {
        let source = format!("{start}{root}");
        assert_eq!(sniff(source.as_bytes()), Some(Format::Sms), "{start}");
        let chat = import(source.as_bytes(), &Options::default()).unwrap();
        assert_eq!(chat.message(0).unwrap().text(), "a");
        assert_eq!(chat.caveats(), [Caveat::DeletedLeftOut]);
    }
    for other in [
        "<calls count=\"1\"><call number=\"1\"/></calls>",
        "<smsesx/>",
        "<?xml version='1.0'?><html><smses/></html>",
        "x<smses/>",
    ] {
        assert_eq!(sniff(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn a_document_type_is_refused_before_anything_is_expanded() {
    let bomb = "<?xml version='1.0'?><!DOCTYPE smses [<!ENTITY a \"aaaaaaaa\">\
                <!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>\
                <smses count=\"1\"><sms address=\"1\" date=\"1717232460000\" type=\"1\" body=\"&b;\"/></smses>";
    assert_eq!(sniff(bomb.as_bytes()), Some(Format::Sms));
    for result in [
        import(bomb.as_bytes(), &Options::default()).map(drop),
        conversations(&[bomb.as_bytes()], &Options::default()).map(drop),
        list_sms(bomb.as_bytes()).map(drop),
        select_sms(bomb.as_bytes(), "1").map(drop),
    ] {
        assert!(matches!(result, Err(ImportError::Doctype)));
    }
}

#[test]
fn another_encoding_is_refused() {
    let latin = export(&sms("body=\"a\"")).replace("UTF-8", "ISO-8859-1");
    let wide = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let text = export(&sms("body=\"a\""));
        "\u{feff}"
            .encode_utf16()
            .chain(text.encode_utf16())
            .flat_map(bytes)
            .collect()
    };
    for source in [
        latin.into_bytes(),
        wide(u16::to_le_bytes),
        wide(u16::to_be_bytes),
        wide(u16::to_le_bytes).split_off(2),
    ] {
        assert_eq!(sniff(&source), Some(Format::Sms));
        for result in [
            import(&source, &Options::default()).map(drop),
            list_sms(source.as_slice()).map(drop),
        ] {
            assert!(matches!(result, Err(ImportError::UnknownEncoding)));
        }
    }
}

#[test]
fn an_export_without_messages_holds_no_chat() {
    for source in ["<smses count=\"0\" />", "<smses>\n</smses>"] {
        assert!(
            conversations(&[source.as_bytes()], &Options::default())
                .unwrap()
                .is_empty()
        );
        assert!(matches!(
            import(source.as_bytes(), &Options::default()),
            Err(ImportError::NoChat)
        ));
    }
}

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
        assert_eq!(message.embedded(&file, 1_000_000).unwrap().len(), 600_000);
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
