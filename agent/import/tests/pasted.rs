//! Text that was copied out of the apps.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use candour_import::{
    Conversation, DateOrder, Doubt, Format, ImportError, Options, OrderBasis, import,
    import_pasted, sniff,
};

fn paste(text: &str) -> Conversation<'_> {
    let options = Options {
        date_order: Some(DateOrder::DayMonthYear),
        ..Options::default()
    };
    import_pasted(text.as_bytes(), &options).unwrap()
}

/// Author, wall clock and text of every message.
fn rows(chat: &Conversation<'_>) -> Vec<(String, String, String)> {
    let rows = chat.messages().map(|message| {
        (
            message.author().unwrap_or_default().into_owned(),
            message
                .wall()
                .map(|wall| wall.to_string())
                .unwrap_or_default(),
            message.text().into_owned(),
        )
    });
    rows.collect()
}

fn row(author: &str, wall: &str, text: &str) -> (String, String, String) {
    (author.to_owned(), wall.to_owned(), text.to_owned())
}

fn assert_tiles(chat: &Conversation<'_>) {
    let tiles = chat.messages().fold(chat.preamble().to_vec(), |all, m| {
        [&all, m.source()].concat()
    });
    assert_eq!(tiles, chat.source());
}

#[test]
fn copies_of_every_app_are_read_with_author_and_time() {
    let wanted = [
        row("Alice B", "2024-02-13T09:05:00", "Hi\nthere"),
        row("Bob", "2024-02-13T09:06:00", "Yes"),
    ];
    for (channel, text) in [
        (
            Some("whatsapp"),
            "[13/02/2024, 09:05] Alice B: Hi\nthere\n[13/02/2024, 09:06] Bob: Yes",
        ),
        (
            Some("whatsapp"),
            "[09:05, 13/02/2024] Alice B: Hi\nthere\n[09:06, 13/02/2024] Bob: Yes\n",
        ),
        (
            Some("telegram"),
            "Alice B, [13.02.2024 09:05]\nHi\nthere\n\nBob, [13.02.2024 09:06]\nYes",
        ),
        (
            Some("microsoft-teams"),
            "[13/02/2024 09:05] Alice B\nHi\nthere\n\n[13/02/2024 09:06] Bob\nYes\n",
        ),
        (
            None,
            "[13/02/2024 09:05] Alice B: Hi\nthere\n[13/02/2024 09:06] Bob: Yes",
        ),
    ] {
        let chat = paste(text);
        assert_eq!(rows(&chat), wanted, "{text}");
        assert_eq!(chat.channel(), channel, "{text}");
        assert_eq!(chat.format(), Format::Pasted);
        assert_eq!(chat.format_name(), "pasted_text");
        assert_eq!(chat.date_order(), Some(DateOrder::DayMonthYear));
        assert_eq!(chat.doubtful(), 0, "{text}");
        assert_tiles(&chat);
    }
}

#[test]
fn the_order_of_day_and_month_is_decided_or_asked_for() {
    let ask = import_pasted(b"[09:05, 3/2/2024] Alice: Hi", &Options::default());
    assert!(matches!(ask, Err(ImportError::NeedsDateOrder)));
    let ask = import_pasted(b"[3/2/2024, 09:05] Alice: Hi", &Options::default());
    assert!(matches!(ask, Err(ImportError::NeedsDateOrder)));
    let known = import_pasted(b"[9:05 AM, 2/13/2024] Alice: Hi", &Options::default()).unwrap();
    assert_eq!(known.order_basis(), Some(OrderBasis::OverTwelve));
    assert_eq!(rows(&known), [row("Alice", "2024-02-13T09:05:00", "Hi")]);
    let impossible = Options {
        date_order: Some(DateOrder::DayMonthYear),
        ..Options::default()
    };
    let refused = import_pasted(b"[9:05 AM, 2/13/2024] Alice: Hi", &impossible);
    assert!(matches!(refused, Err(ImportError::DateOrderImpossible(_))));
}

#[test]
fn a_time_without_a_date_is_no_time_and_stays_to_be_seen() {
    let chat = paste("[13/02, 09:05] Alice: Hi\n[13/02, 09:06] Bob: Yes\n");
    assert_eq!(chat.channel(), Some("whatsapp"));
    assert_eq!(
        rows(&chat),
        [
            row("Alice", "", "[13/02, 09:05] Alice: Hi"),
            row("Bob", "", "[13/02, 09:06] Bob: Yes")
        ]
    );
    let doubts: Vec<_> = chat.message(0).unwrap().doubts().collect();
    assert_eq!(doubts, [Doubt::NoTime]);
    assert_eq!(chat.date_order(), None);
    assert_tiles(&chat);
}

#[test]
fn slack_names_a_person_once_for_several_messages() {
    let chat = paste("Alice B  \n  9:01 AM  \nHi\n\n\n  9:04\nStill there?\nBob  \n  9:05\nYes\n");
    assert_eq!(chat.channel(), Some("slack"));
    assert_eq!(
        rows(&chat),
        [
            row("Alice B", "", "Alice B  \n  9:01 AM  \nHi"),
            row("Alice B", "", "  9:04\nStill there?"),
            row("Bob", "", "Bob  \n  9:05\nYes")
        ]
    );
    assert_tiles(&chat);
}

#[test]
fn words_without_a_header_are_one_message_of_nobody_knows_whom() {
    for text in [
        "ok",
        "Lunch?\n12:30\n",
        "\u{feff}\n\n  From here on\n\nit is late.\n\n",
    ] {
        let chat = paste(text);
        assert_eq!(chat.len(), 1);
        let message = chat.message(0).unwrap();
        assert_eq!((message.author(), message.wall()), (None, None));
        let doubts: Vec<_> = message.doubts().collect();
        assert_eq!(doubts, [Doubt::NoTime, Doubt::AuthorUnknown]);
        assert_eq!(chat.channel(), None);
        assert_tiles(&chat);
    }
    assert_eq!(paste("\n  a\n b\n\n").message(0).unwrap().text(), "  a\n b");
    for nothing in ["", "\n", "\u{feff} \r\n"] {
        let refused = import_pasted(nothing.as_bytes(), &Options::default());
        assert!(matches!(refused, Err(ImportError::NoChat)));
    }
}

#[test]
fn words_before_the_first_header_are_a_message_of_their_own() {
    for text in [
        "end of a message\n[13/02/2024, 09:05] Alice: Hi",
        "end of a message\n[09:05, 13/02/2024] Alice: Hi",
        "end of a message\n\nAlice, [13.02.2024 09:05]\nHi",
    ] {
        let chat = paste(text);
        assert_eq!(
            rows(&chat),
            [
                row("", "", "end of a message"),
                row("Alice", "2024-02-13T09:05:00", "Hi")
            ],
            "{text}"
        );
        assert_tiles(&chat);
    }
}

#[test]
fn headers_in_another_form_stay_in_the_message_and_flag_it() {
    let chat = paste("[09:05, 13/02/2024] Alice: He wrote\n[13/02/2024, 08:00] Bob: No\nto me");
    assert_eq!(
        rows(&chat),
        [row(
            "Alice",
            "2024-02-13T09:05:00",
            "He wrote\n[13/02/2024, 08:00] Bob: No\nto me"
        )]
    );
    let doubts: Vec<_> = chat.message(0).unwrap().doubts().collect();
    assert_eq!(doubts, [Doubt::OtherHeaderInside]);
    let chat = paste("Alice, [13.02.2024 09:05]\nHi\nBob, [13.02.2024 09:06]\nYes");
    let doubts: Vec<_> = chat.message(0).unwrap().doubts().collect();
    assert_eq!(doubts, [Doubt::HeaderInside]);
    let chat = paste("[09:05, 13/02/2024] Alice: Hi\n[08:05, 13/02/2024] Bob: Yes");
    let doubts: Vec<_> = chat.message(1).unwrap().doubts().collect();
    assert_eq!(doubts, [Doubt::TimeRunsBack]);
}

#[test]
fn dates_that_cannot_be_are_no_time() {
    let chat = paste("[09:05, 13/13/2567] Alice: Hi");
    assert_eq!(
        rows(&chat),
        [row("Alice", "", "[09:05, 13/13/2567] Alice: Hi")]
    );
    let chat = paste("[13/02/2567, 09:05] Alice: Hi");
    assert_eq!(rows(&chat), [row("", "", "[13/02/2567, 09:05] Alice: Hi")]);
}

#[test]
fn pasted_text_is_never_taken_for_a_file() {
    for text in [
        "[09:05, 13/02/2024] Alice: Hi",
        "Alice, [13.02.2024 09:05]\nHi",
        "Alice B  \n  9:01 AM  \nHi",
        "ok",
    ] {
        assert_eq!(sniff(text.as_bytes()), None);
        assert!(import(text.as_bytes(), &Options::default()).is_err());
    }
}

#[test]
fn damaged_bytes_are_flagged() {
    let chat = import_pasted(b"caf\xe9", &Options::default()).unwrap();
    let message = chat.message(0).unwrap();
    assert_eq!(message.text(), "caf\u{fffd}");
    assert!(message.doubts().any(|doubt| doubt == Doubt::InvalidUtf8));
}
