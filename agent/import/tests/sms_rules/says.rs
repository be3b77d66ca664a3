//! What a message says, and when it was sent.

use candour_import::{Doubt, Options, RowKind, Stamp, import};

use super::{ALICE, BOB, BOTH, PHONE, chosen, doubts, export, instant, one, saying, sms};

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
fn an_attribute_that_comes_twice_is_doubted_and_the_first_counts() {
    one(&sms("body=\"a\" body=\"b\""), |message| {
        assert_eq!(message.text(), "a");
        assert_eq!(doubts(&message), [Doubt::RepeatedPart]);
    });
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
