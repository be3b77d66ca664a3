//! What begins a message, and what only looks like it.

use candour_import::{Caveat, Doubt, EmbeddedHeaders, ImportError, Options, import, sniff};

use super::{authors, doubts, read, some, walls};

#[test]
fn headers_of_many_languages_are_read() {
    let day_13 = "2024-02-13T17:46:00";
    for line in [
        "13/02/2024, 17:46 - A: x",
        "13/02/24, 17:46 - A: x",
        "13/2/2024 17:46 - A: x",
        "13-02-2024 17:46 - A: x",
        "13-02-24 17:46 - A: x",
        "13.02.24, 17:46 - A: x",
        "13. 2. 2024 17:46 - A: x",
        "13.2.2024 klo 17.46 - A: x",
        "13.02.2024 kl. 17.46 - A: x",
        "13.02.2024 г., 17:46 ч. - A: x",
        "13.02.2024, 17:46 Uhr - A: x",
        "2024-02-13 17:46 - A: x",
        "2024-02-13, 17 h 46 - A: x",
        "2024/02/13, 5:46 pm - A: x",
        "2024/2/13 下午5:46 - A: x",
        "2024年2月13日 下午5:46 - A: x",
        "2024/2/13 午後5:46 - A: x",
        "2024. 2. 13. 오후 5:46 - A: x",
        "2024. 02. 13. du. 5:46 - A: x",
        "2/13/24, 5:46 PM - A: x",
        "2/13/24, 5:46\u{202f}PM - A: x",
        "2/13/24, 5:46\u{a0}PM - A: x",
        "13/2/24, 5:46 p. m. - A: x",
        "13/2/24, 5:46\u{202f}p.\u{a0}m. - A: x",
        "13/2/24 5:46 p.m. - A: x",
        "13/2/24, 5:46 μ.μ. - A: x",
        "\u{200f}١٣/٢/٢٠٢٤، ٥:٤٦ م - A: x",
        "١٣\u{200f}/٢\u{200f}/٢٠٢٤، ٥:٤٦ م - A: x",
        "۱۳/۲/۲۰۲۴، ۱۷:۴۶ - A: x",
        "१३/२/२४, ५:४६ अपराह्न - A: x",
        "[13/02/2024, 17:46:00] A: x",
        "[13/02/2024, 5:46:00\u{202f}PM] A: x",
        "\u{200e}[13.02.24, 17:46:00] A: x",
        "[2024/2/13 下午5:46:00] A: x",
        "[2024-02-13, 17 h 46 min 00 s] A: x",
        "[2024-02-13 17.46.00] A: x",
        "13/02/2024 17:46:00: A: x",
        "\u{feff}13/02/2024, 17:46 - A: x",
    ] {
        let text = format!("{line}\n");
        assert!(sniff(text.as_bytes()).is_some(), "{line}");
        let chat = import(text.as_bytes(), &Options::default())
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(walls(&chat), [day_13], "{line}");
        assert_eq!(authors(&chat), some(&["A"]), "{line}");
        assert_eq!(chat.message(0).unwrap().text(), "x", "{line}");
    }
}

#[test]
fn what_is_no_header_is_not_read_as_one() {
    for line in [
        "",
        "hello",
        "14/02/2024 budget",
        "2016-04-29 10:30:00",
        "13/02/2024, 25:05 - A: x",
        "13/02/2024, 12:60 - A: x",
        "13/02/2024, 13:05 PM - A: x",
        "13/02/2024, 9:05 xm - A: x",
        "13/02/2024, 09:05 – ",
        "13/02/2024,09:05-A: x",
        "[13/02/2024, 09:05:01 A: x",
        "1/2/3/4, 09:05 - A: x",
        "13/٠٢/2024, 09:05 - A: x",
        "{\"type\":\"message\"}",
        "PK\u{5}",
    ] {
        let refused = import(line.as_bytes(), &Options::default()).err();
        let known = matches!(refused, Some(ImportError::UnknownFormat));
        // An en dash with nothing after it is a header without a message.
        assert_eq!(known, !line.ends_with("– "), "{line:?}: {refused:?}");
    }
}

#[test]
fn another_calendar_is_refused_and_never_misread() {
    for line in ["20/12/2566, 09:05 - A: x", "1402/09/29, 09:05 - A: x"] {
        let refused = import(line.as_bytes(), &Options::default());
        assert!(
            matches!(refused, Err(ImportError::UnknownCalendar)),
            "{line}"
        );
    }
}

#[test]
fn a_pasted_header_with_another_padding_stays_in_its_message() {
    let chat = read(
        "13/02/2024, 09:05 - A: a\n03/03/2024, 09:06 - B: he wrote\n3/3/2024, 09:06 - C: forged\n\
         04/03/2024, 09:07 - A: b\n05/03/2024, 09:08 - B: c\n",
    );
    assert_eq!(chat.len(), 4);
    assert_eq!(
        chat.message(1).unwrap().text(),
        "he wrote\n3/3/2024, 09:06 - C: forged"
    );
    assert_eq!(doubts(&chat, 1), [Doubt::HeaderInside]);
}

#[test]
fn a_pasted_header_from_the_future_stays_in_its_message() {
    let chat = read(
        "13/02/2024, 09:05 - A: a\n14/02/2024, 09:05 - A: he will write\n\
         25/03/2024, 09:05 - B: forged\n14/02/2024, 09:06 - B: b\n15/02/2024, 09:06 - A: c\n",
    );
    assert_eq!(chat.len(), 4);
    assert_eq!(doubts(&chat, 1), [Doubt::HeaderInside]);
    assert_eq!(chat.doubtful(), 1);
}

#[test]
fn the_holder_may_have_doubtful_headers_read_as_messages() {
    let text = "13/02/2024, 09:05 - A: x\n01/02/2024, 10:00 - B: y\n13/02/2024, 09:06 - B: z\n";
    let options = Options {
        embedded: EmbeddedHeaders::ReadAsMessages,
        ..Options::default()
    };
    let chat = import(text.as_bytes(), &options).unwrap();
    assert_eq!(authors(&chat), some(&["A", "B", "B"]));
    assert_eq!(doubts(&chat, 1), [Doubt::TimeRunsBack]);
    assert!(doubts(&chat, 2).is_empty());
}

#[test]
fn a_header_whose_time_cannot_be_is_pointed_out_where_it_stands() {
    for (header, time, next) in [
        (
            "14/02/2024, 24:05 - ",
            "13/02/2024, 21:05 - ",
            "15/02/2024, 21:05 - ",
        ),
        (
            "14/02/2024, 21:65 - ",
            "13/02/2024, 21:05 - ",
            "15/02/2024, 21:05 - ",
        ),
        (
            "[14/02/2024, 21:05:61] ",
            "[13/02/2024, 21:05:01] ",
            "[15/02/2024, 21:05:01] ",
        ),
        (
            "2/14/24, 13:05 PM - ",
            "2/13/24, 9:05 PM - ",
            "2/15/24, 9:05 PM - ",
        ),
    ] {
        let text = format!("{time}Alice: a\n{header}Bob: b\n{next}Carol: c\n");
        let chat = read(&text);
        assert_eq!(authors(&chat), some(&["Alice", "Carol"]), "{header}");
        assert_eq!(doubts(&chat, 0), [Doubt::HeaderInside], "{header}");
        assert!(doubts(&chat, 1).is_empty(), "{header}");
    }
}

#[test]
fn words_above_the_first_message_are_said_to_be_there() {
    let message = "13/02/2024, 09:05 - Alice: Yes\n14/02/2024, 09:05 - Bob: No\n";
    let caveats = |text: &str| {
        let chat = candour_import::import(text.as_bytes(), &Options::default()).unwrap();
        chat.caveats().to_vec()
    };
    assert_eq!(caveats(message), []);
    assert_eq!(caveats(&format!("\u{feff}{message}")), []);
    let broken = format!("13/02/2024, 24:05 - Alice: lost\n{message}");
    assert_eq!(caveats(&broken), [Caveat::WordsBefore]);
}
