//! Who wrote a message.

use candour_import::Doubt;

use super::{ALICE, BOTH, NOBODY, OWNER, PHONE, chosen, doubts, export, one};

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
