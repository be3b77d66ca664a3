//! What holds for any bytes at all. The body of [`check`] is what a fuzz target runs.

use candour_import::{
    Archive, Conversation, DateOrder, EmbeddedHeaders, Export, ImportError, Options, import,
    limits, sniff,
};
use proptest::prelude::*;

/// Imports `bytes` in every way and checks what must hold whatever they are.
fn check(bytes: &[u8]) {
    let _ = sniff(bytes);
    for embedded in [
        EmbeddedHeaders::KeepInMessage,
        EmbeddedHeaders::ReadAsMessages,
    ] {
        for date_order in [
            None,
            Some(DateOrder::DayMonthYear),
            Some(DateOrder::MonthDayYear),
        ] {
            let options = Options {
                date_order,
                embedded,
                ..Options::default()
            };
            if let Ok(chat) = import(bytes, &options) {
                check_conversation(bytes, &chat);
            }
        }
    }
    let _ = Archive::open(std::io::Cursor::new(bytes)).and_then(Export::open);
}

fn check_conversation(bytes: &[u8], chat: &Conversation<'_>) {
    assert!(!chat.is_empty());
    assert_eq!(chat.source(), bytes);
    let mut at = chat.preamble().len();
    for message in chat.messages() {
        let span = message.span();
        assert_eq!(span.start, at, "messages tile the source");
        assert!(span.end > span.start);
        assert_eq!(message.source(), &bytes[span.clone()]);
        assert!(message.source().len() >= message.body().len());
        // The views decode whatever is there.
        let _ = (
            message.text(),
            message.author(),
            message.label(),
            message.attachment_name(),
        );
        assert!((1970..=2099).contains(&message.wall().expect("chat texts show one").year()));
        at = span.end;
    }
    assert_eq!(
        at,
        bytes.len(),
        "every byte belongs to a message or to the preamble"
    );
}

/// Lines and pieces of lines that the importer looks for.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&'static str> = vec![
        "13/02/2024, 09:05 - Alice: hi\n",
        "[13/02/2024, 09:05:01] Alice: hi\r\n",
        "[12/02/2024, 09:05:01] Bob: ",
        "2/13/24, 7:02\u{202f}PM - ",
        "3/2/24, 07:02\u{202f}pm - a: b: c: d\n",
        "[2023/12/20 上午9:05:01] 王: 好\n",
        "\u{200f}١٣/٢/٢٠٢٤، ٩:٠٥ ص - عمر: نعم\n",
        "\u{200e}[",
        "\u{feff}",
        "\u{200e}<attached: a.jpg>",
        "IMG-20240213-WA0001.jpg (file attached)",
        "\u{200e}POLL:\r\nLunch?\r\n\u{200e}OPTION: 12:30",
        " \u{200e}<This message was edited>",
        "This message was deleted",
        "changed the subject to “",
        ": ",
        ":",
        "<",
        ">",
        "(",
        ")",
        "\n",
        "\r\n",
        "\u{200e}",
        "13.6.2018 klo 21.25 - ",
        "99/99/9999, 99:99 - ",
        "0/0/00, 0:00 - ",
    ];
    prop_oneof![
        8 => prop::sample::select(known).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..12),
        1 => "[0-9]{1,3}[/.-][0-9]{1,3}[/.-][0-9]{1,5},? [0-9]{1,2}[:.][0-9]{2} - [a-c]{1,2}: "
            .prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        check(&bytes);
    }

    #[test]
    fn any_likely_pieces_are_read_or_refused(pieces in prop::collection::vec(piece(), 0..60)) {
        check(&pieces.concat());
    }

    #[test]
    fn any_damage_to_a_chat_is_read_or_refused(
        at in 0_usize..2_000,
        damage in prop::collection::vec(any::<u8>(), 0..8),
        cut in 0_usize..2_000,
    ) {
        let mut bytes = include_bytes!("cases/ios_group_system_author.txt").repeat(3);
        bytes.truncate(bytes.len().min(cut.max(1)));
        let at = at.min(bytes.len());
        let end = (at + damage.len()).min(bytes.len());
        bytes.splice(at..end, damage);
        check(&bytes);
    }

    #[test]
    fn invalid_utf8_spoils_the_message_that_holds_it_and_no_other(byte in 0x80_u8..=0xff) {
        let mut bytes = b"13/02/2024, 09:05 - Alice: one\n13/02/2024, 09:06 - Bob: t".to_vec();
        bytes.push(byte);
        bytes.extend(b"o\n13/02/2024, 09:07 - Alice: three\n");
        let chat = import(&bytes, &Options::default()).unwrap();
        let spoilt: Vec<bool> = chat.messages().map(|m| m.is_suspect()).collect();
        prop_assert_eq!(spoilt, [false, true, false]);
    }
}

#[test]
fn a_million_lines_without_a_header_are_one_message_that_is_flagged() {
    let mut bytes = b"13/02/2024, 09:05 - Alice: start\n".to_vec();
    bytes.extend(b"x\n".repeat(1_000_000));
    let chat = import(&bytes, &Options::default()).unwrap();
    assert_eq!(chat.len(), 1);
    assert!(chat.message(0).unwrap().is_suspect());
}

#[test]
fn a_text_without_a_header_at_its_start_is_refused() {
    let mut bytes = b"x\n".repeat(limits::PREAMBLE_MAX_BYTES);
    bytes.extend(b"13/02/2024, 09:05 - Alice: late\n");
    assert!(matches!(
        import(&bytes, &Options::default()),
        Err(ImportError::UnknownFormat)
    ));
}

#[test]
fn time_that_runs_back_everywhere_costs_no_more_than_a_line_each() {
    let bytes: Vec<u8> = (0..200_000_u32)
        .flat_map(|n| {
            let day = 28 - n % 28;
            format!("{day:02}/02/2024, 09:05 - A{}: x\n", n % 977).into_bytes()
        })
        .collect();
    let chat = import(&bytes, &Options::default()).unwrap();
    assert_eq!(
        chat.len(),
        200_000,
        "where time runs back everywhere, nothing is folded"
    );
    assert!(chat.doubtful() > 100_000);
}
