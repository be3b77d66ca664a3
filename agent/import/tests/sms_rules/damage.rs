//! What is cut off, damaged or missing, and what is refused.

use candour_import::{
    Caveat, Doubt, Format, ImportError, Options, conversations, import, list_sms, select_sms, sniff,
};

use super::{ALICE, PHONE, chosen, doubts, export, one, sms};

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
