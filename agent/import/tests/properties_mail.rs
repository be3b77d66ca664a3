//! What holds for e-mail and for pasted text, whatever their bytes are.

use candour_import::{
    Conversation, DateOrder, EmbeddedHeaders, Format, Options, import, import_pasted, sniff,
};
use proptest::prelude::*;

const SEEDS: [&[u8]; 7] = [
    include_bytes!("mail/plain.eml"),
    include_bytes!("mail/attached.eml"),
    include_bytes!("mail/html.eml"),
    include_bytes!("mail/encrypted.eml"),
    include_bytes!("mail/quoted.mbox"),
    include_bytes!("mail/counted.mbox"),
    include_bytes!("mail/takeout.mbox"),
];

/// Imports `bytes` in every way and checks what must hold whatever they are.
fn check(bytes: &[u8]) {
    for embedded in [
        EmbeddedHeaders::KeepInMessage,
        EmbeddedHeaders::ReadAsMessages,
    ] {
        let options = Options {
            embedded,
            ..Options::default()
        };
        if matches!(sniff(bytes), Some(Format::Eml | Format::Mbox)) {
            check_chat(bytes, &import(bytes, &options).expect("it was recognised"));
        }
    }
    for date_order in [None, Some(DateOrder::DayMonthYear)] {
        let options = Options {
            date_order,
            ..Options::default()
        };
        if let Ok(chat) = import_pasted(bytes, &options) {
            assert_eq!(chat.format(), Format::Pasted);
            check_chat(bytes, &chat);
        }
    }
}

/// The messages tile the bytes, and everything of them can be looked at.
fn check_chat(bytes: &[u8], chat: &Conversation<'_>) {
    let mut messages: Vec<_> = chat.messages().collect();
    messages.sort_by_key(|message| message.span().start);
    let mut at = chat.preamble().len();
    assert_eq!(chat.preamble(), &bytes[..at]);
    for message in messages {
        assert_eq!(message.span().start, at);
        at = message.span().end;
        assert_eq!(message.source(), &bytes[message.span()]);
        let shown = message.text().len();
        assert!(shown <= 8 * message.source().len() + 1_000, "{shown}");
        let _ = (message.author(), message.author_id(), message.stamp());
        for file in message.attachments() {
            if let Ok(inside) = message.embedded(&file.place, 1_000) {
                assert!(inside.len() <= 1_000);
            }
        }
    }
    assert_eq!(at, bytes.len());
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("From a@example.org Tue Feb 13 09:05:01 2024\n".to_owned()),
        Just("From: Alice <a@example.org>\n".to_owned()),
        Just("Date: Tue, 13 Feb 2024 09:05:01 +0000\n".to_owned()),
        Just("Content-Type: multipart/mixed; boundary=b\n".to_owned()),
        Just("Content-Type: multipart/alternative; boundary=\"b\"\n".to_owned()),
        Just("Content-Type: text/html; charset=utf-7\n".to_owned()),
        Just("Content-Type: message/rfc822\n".to_owned()),
        Just("Content-Transfer-Encoding: base64\n".to_owned()),
        Just("Content-Transfer-Encoding: quoted-printable\n".to_owned()),
        (0_usize..200).prop_map(|length| format!("Content-Length: {length}\n")),
        Just("--b\n".to_owned()),
        Just("--b--\r\n".to_owned()),
        Just(">From here\n".to_owned()),
        Just("\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("SGVsbG8=\n".to_owned()),
        Just("<p>caf&eacute;<br></p>\n".to_owned()),
        Just("[13/02/2024, 09:05] Alice: Hi\n".to_owned()),
        Just("[09:05, 13/02/2024] Alice: Hi\n".to_owned()),
        Just("[13/02, 09:05] Alice: Hi\n".to_owned()),
        Just("Alice, [13.02.2024 09:05]\n".to_owned()),
        Just("[13/02/2024 09:05] Alice\n".to_owned()),
        Just("Alice\n  9:05 AM\n".to_owned()),
        "[ -~]{0,40}\n?",
        "\\PC{0,20}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn likely_pieces_are_tiled_exactly(pieces in prop::collection::vec(piece(), 0..40)) {
        check(pieces.concat().as_bytes());
    }

    #[test]
    fn any_damage_to_a_mail_is_read(
        seed in 0..SEEDS.len(),
        cut in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        piece in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut bytes = SEEDS[seed].to_vec();
        let place = at.index(bytes.len());
        bytes.splice(place..place, piece);
        bytes.truncate(cut.index(bytes.len()).max(bytes.len() / 2));
        check(&bytes);
    }

    #[test]
    fn any_bytes_are_pasted_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes);
    }

    #[test]
    fn a_mailbox_of_quoted_mails_has_as_many_messages(bodies in prop::collection::vec("[a-zA-Z :\n]{0,80}", 1..20)) {
        let mut file = String::new();
        for body in &bodies {
            file.push_str("From a@example.org Tue Feb 13 09:05:01 2024\nFrom: a@example.org\n\n");
            file.push_str(&body.replace("From ", ">From "));
            file.push_str("\n\n");
        }
        let chat = import(file.as_bytes(), &Options::default()).expect("it is a mailbox");
        prop_assert_eq!(chat.len(), bodies.len());
        check(file.as_bytes());
    }
}
