//! Which chats an export holds, and which messages a chat.

use candour_import::{Caveat, Format, ImportError, Options, RowKind, conversations, import, sniff};
use candour_wire::Digest;

use super::{ALICE, BOB, BOTH, NOBODY, OWNER, PHONE, chosen, instant};

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
