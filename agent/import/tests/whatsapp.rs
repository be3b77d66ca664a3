//! The rules for WhatsApp texts, each with the case that it is for.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use candour_import::{
    Caveat, Conversation, DateOrder, Doubt, EmbeddedHeaders, ImportError, Layout, Options,
    OrderBasis, RowKind, import, sniff,
};
use candour_wire::time::TimeConfidence;

fn read(text: &str) -> Conversation<'_> {
    import(text.as_bytes(), &Options::default()).unwrap()
}

fn walls(chat: &Conversation<'_>) -> Vec<String> {
    chat.messages()
        .map(|message| message.wall().unwrap().to_string())
        .collect()
}

fn authors(chat: &Conversation<'_>) -> Vec<Option<String>> {
    chat.messages()
        .map(|message| message.author().map(|author| author.into_owned()))
        .collect()
}

fn kinds(chat: &Conversation<'_>) -> Vec<RowKind> {
    chat.messages().map(|message| message.kind()).collect()
}

fn doubts(chat: &Conversation<'_>, index: usize) -> Vec<Doubt> {
    chat.message(index).unwrap().doubts().collect()
}

fn some(names: &[&str]) -> Vec<Option<String>> {
    names.iter().map(|name| Some((*name).to_owned())).collect()
}

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
fn day_and_month_are_asked_for_when_nothing_tells_them_apart() {
    let text = "05/03/2024, 09:05 - A: x\n05/03/2024, 09:06 - B: y\n";
    let refused = import(text.as_bytes(), &Options::default());
    assert!(matches!(refused, Err(ImportError::NeedsDateOrder)));

    let given = |order| {
        let options = Options {
            date_order: Some(order),
            ..Options::default()
        };
        import(text.as_bytes(), &options)
    };
    let british = given(DateOrder::DayMonthYear).unwrap();
    assert_eq!(walls(&british)[0], "2024-03-05T09:05:00");
    assert_eq!(british.order_basis(), Some(OrderBasis::Given));
    let american = given(DateOrder::MonthDayYear).unwrap();
    assert_eq!(walls(&american)[0], "2024-05-03T09:05:00");
}

#[test]
fn an_order_that_the_first_date_forbids_is_refused() {
    let options = Options {
        date_order: Some(DateOrder::MonthDayYear),
        ..Options::default()
    };
    let refused = import(b"13/02/2024, 09:05 - A: x\n", &options);
    assert!(matches!(refused, Err(ImportError::DateOrderImpossible(_))));
}

#[test]
fn dates_that_mean_the_same_either_way_need_no_answer() {
    let chat = read("05/05/2024, 09:05 - A: x\n06/06/2024, 09:06 - B: y\n");
    assert_eq!(chat.order_basis(), Some(OrderBasis::SameEitherWay));
    assert_eq!(walls(&chat), ["2024-05-05T09:05:00", "2024-06-06T09:06:00"]);
}

#[test]
fn one_pasted_date_over_twelve_does_not_turn_every_other_date_round() {
    // An American chat, 5 January to 9 March, with a British header pasted into it.
    let text = "01/05/2024, 09:05 - A: a\n01/09/2024, 09:05 - B: b\n01/12/2024, 09:05 - A: c\n\
                13/02/2024, 09:05 - C: pasted\n02/03/2024, 09:05 - B: d\n02/11/2024, 09:05 - A: e\n\
                03/09/2024, 09:05 - B: f\n";
    let chat = read(text);
    assert_eq!(chat.date_order(), Some(DateOrder::MonthDayYear));
    assert_eq!(walls(&chat).last().unwrap(), "2024-03-09T09:05:00");
    assert_eq!(chat.len(), 6);
    assert!(doubts(&chat, 2).contains(&Doubt::HeaderInside));
}

#[test]
fn two_digit_years_may_lead_where_nothing_else_fits() {
    let chat = read("23/12/30, 09:05 - A: a\n23/12/31, 09:05 - A: b\n24/1/2, 09:05 - A: c\n");
    assert_eq!(chat.date_order(), Some(DateOrder::YearMonthDay));
    assert_eq!(walls(&chat)[2], "2024-01-02T09:05:00");
    // Nothing here says whether 2023 or the 23rd comes first.
    let text = "23/12/20, 09:05 - A: a\n23/12/21, 09:05 - A: b\n";
    assert!(matches!(
        import(text.as_bytes(), &Options::default()),
        Err(ImportError::NeedsDateOrder)
    ));
}

#[test]
fn an_inferred_order_makes_times_inferred_and_clock_changes_show() {
    let confidence = |text: &str| {
        read(text)
            .messages()
            .last()
            .unwrap()
            .time_in("Europe/London")
            .unwrap()
            .unwrap()
            .confidence
    };
    let october = "26/10/2024, 09:00 - A: x\n27/10/2024, 01:30 - A: y\n";
    assert_eq!(confidence(october), TimeConfidence::Ambiguous);
    let march = "30/03/2024, 09:00 - A: x\n31/03/2024, 01:30 - A: y\n";
    assert_eq!(confidence(march), TimeConfidence::Nonexistent);
    assert_eq!(
        confidence("30/03/2024, 09:00 - A: x\n"),
        TimeConfidence::Exact
    );
    let monotone = "05/01/2024, 09:05 - A: a\n09/01/2024, 09:05 - A: b\n03/02/2024, 09:05 - A: c\n";
    assert_eq!(confidence(monotone), TimeConfidence::Inferred);
}

#[test]
fn a_name_may_hold_a_colon() {
    // A colon without a space never ends a name.
    let chat = read("13/02/2024, 09:05 - Team:Lead: hello\n");
    assert_eq!(authors(&chat), some(&["Team:Lead"]));
    // The app's own words fix the end of the name.
    let chat =
        read("13/02/2024, 09:05 - PS: Duty: <Media omitted>\n13/02/2024, 09:06 - PS: Duty: ok\n");
    assert_eq!(authors(&chat), some(&["PS: Duty", "PS: Duty"]));
    assert_eq!(chat.message(1).unwrap().text(), "ok");
    assert_eq!(chat.doubtful(), 0);
    let chat = read("[13/02/2024, 09:05:01] PS: Duty: \u{200e}<attached: 1.jpg>\r\n");
    assert_eq!(authors(&chat), some(&["PS: Duty"]));
    // So does the title of a chat of two.
    let text = "13/02/2024, 09:05 - PS: Duty: hello\n";
    let options = Options {
        title: Some("PS_ Duty"),
        ..Options::default()
    };
    let chat = import(text.as_bytes(), &options).unwrap();
    assert_eq!(authors(&chat), some(&["PS: Duty"]));
}

#[test]
fn where_a_name_ends_is_flagged_when_it_is_a_guess() {
    let always = "13/02/2024, 09:05 - PS: Duty: a\n13/02/2024, 09:06 - PS: Duty: b\n13/02/2024, 09:07 - PS: Duty: c\n";
    let chat = read(always);
    assert_eq!(authors(&chat), some(&["PS: Duty"; 3]));
    assert_eq!(doubts(&chat, 0), [Doubt::AuthorUnsure]);
    let once = "13/02/2024, 09:05 - Alice: FYI: a\n13/02/2024, 09:06 - Bob: b\n";
    let chat = read(once);
    assert_eq!(authors(&chat), some(&["Alice", "Bob"]));
    assert_eq!(doubts(&chat, 0), [Doubt::AuthorUnsure]);
    assert!(doubts(&chat, 1).is_empty());
    let habit = "13/02/2024, 09:05 - Alice: FYI: a\n13/02/2024, 09:06 - Alice: b\n";
    assert_eq!(read(habit).doubtful(), 0);
}

#[test]
fn a_colon_inside_a_quoted_title_makes_no_author() {
    let chat = read(
        "13/02/2024, 09:05 - Alice changed the group name from “Bill” to “Bill: final”\n\
         13/02/2024, 09:06 - Alice: ok\n",
    );
    assert_eq!(authors(&chat), [None, Some("Alice".to_owned())]);
    assert_eq!(
        chat.message(0).unwrap().text(),
        "Alice changed the group name from “Bill” to “Bill: final”"
    );
    assert_eq!(doubts(&chat, 0), [Doubt::AuthorUnsure]);
}

#[test]
fn media_are_known_by_their_structure_in_any_language() {
    let chat = read(
        "13/02/2024, 09:05 - A: IMG-20240213-WA0001.jpg (fichier joint)\n\
         13/02/2024, 09:05 - A: IMG-20240213-WA0002.jpg (něco přiloženo)\nwith a caption\n\
         13/02/2024, 09:06 - A: Minute.pdf (Datei angehängt)\n\
         13/02/2024, 09:07 - A: Bob.vcf (file attached)\n\
         13/02/2024, 09:08 - A: <Medien ausgeschlossen>\n\
         13/02/2024, 09:09 - A: the annex.pdf (second draft)\n\
         13/02/2024, 09:10 - A: location: https://maps.google.com/?q=51.5,-0.12\n\
         13/02/2024, 09:11 - A: \n",
    );
    use RowKind::{Blank, Contact, Location, Media, Omitted, Text};
    assert_eq!(
        kinds(&chat),
        [Media, Media, Media, Contact, Omitted, Text, Location, Blank]
    );
    let name = |index: usize| {
        chat.message(index)
            .unwrap()
            .attachment_name()
            .map(|n| n.into_owned())
    };
    assert_eq!(name(1).as_deref(), Some("IMG-20240213-WA0002.jpg"));
    assert_eq!(name(2).as_deref(), Some("Minute.pdf"));
    assert_eq!(name(5), None);

    let chat = read(
        "[13/02/2024, 09:05:01] A: \u{200e}<Anhang: 00000001-PHOTO.jpg>\r\n\
         [13/02/2024, 09:05:02] A: Report.pdf • \u{200e}4 pages \u{200e}<pièce jointe\u{a0}: 2-Report.pdf>\r\n\
         [13/02/2024, 09:05:03] A: \u{200e}image omitted\r\n\
         [13/02/2024, 09:05:04] A: \u{200e}Video weggelassen\r\n\
         [13/02/2024, 09:05:05] A: \u{200e}Missed voice call\r\n\
         [13/02/2024, 09:05:06] A: see <b: c.txt> there\r\n",
    );
    use RowKind::Notice;
    assert_eq!(kinds(&chat), [Media, Media, Omitted, Omitted, Notice, Text]);
    assert_eq!(
        chat.message(1).unwrap().attachment_name().unwrap(),
        "2-Report.pdf"
    );
}

#[test]
fn a_file_that_came_with_the_text_is_media_whatever_its_name() {
    let text = "13/02/2024, 09:05 - A: holiday.png (liitetty tiedosto)\n";
    assert_eq!(kinds(&read(text)), [RowKind::Text]);
    let files = ["holiday.png".to_owned()].into();
    let options = Options {
        attachments: Some(&files),
        ..Options::default()
    };
    assert_eq!(
        kinds(&import(text.as_bytes(), &options).unwrap()),
        [RowKind::Media]
    );
}

#[test]
fn edited_and_deleted_messages_say_so() {
    let chat = read(
        "13/02/2024, 09:05 - A: v2 <This message was edited>\n\
         13/02/2024, 09:06 - A: This message was deleted\n\
         13/02/2024, 09:07 - A: Diese Nachricht wurde gelöscht.\n\
         13/02/2024, 09:08 - A: He wrote: This message was deleted\n",
    );
    assert!(chat.message(0).unwrap().is_edited());
    assert_eq!(
        chat.message(0).unwrap().text(),
        "v2 <This message was edited>"
    );
    use RowKind::{Deleted, Text};
    assert_eq!(kinds(&chat), [Text, Deleted, Deleted, Text]);
    let chat = read("[13/02/2024, 09:05:01] A: v2 \u{200e}<Tämä viesti muokattiin>\r\n");
    assert!(chat.message(0).unwrap().is_edited(), "by the app's mark");
}

#[test]
fn on_ios_the_group_is_no_author() {
    let chat = read(
        "[13/02/2024, 09:05:01] Bill team: \u{200e}Messages and calls are end-to-end encrypted.\r\n\
         [13/02/2024, 09:05:02] Alice: hello\r\n\
         [13/02/2024, 09:05:03] Alice: \u{200e}Missed voice call\r\n\
         [13/02/2024, 09:05:04] Bill team: \u{200e}Bob left\r\n",
    );
    let alice = Some("Alice".to_owned());
    assert_eq!(authors(&chat), [None, alice.clone(), alice, None]);
    assert_eq!(chat.title(), Some("Bill team"));
    assert_eq!(chat.message(0).unwrap().label().unwrap(), "Bill team");
    assert_eq!(chat.layout(), Some(Layout::IosBrackets));
}

#[test]
fn in_a_chat_of_two_the_opening_notice_is_nobodys() {
    let chat = read(
        "[13/02/2024, 09:05:01] Alice: \u{200e}Messages and calls are end-to-end encrypted.\r\n\
         [13/02/2024, 09:05:02] Alice: hello\r\n",
    );
    assert_eq!(authors(&chat), [None, Some("Alice".to_owned())]);
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
fn the_hour_that_the_clocks_give_back_is_no_forgery() {
    let chat = read(
        "27/10/2024, 00:30 - A: a\n27/10/2024, 01:50 - A: b\n27/10/2024, 01:05 - B: c\n\
         27/10/2024, 02:10 - A: d\n",
    );
    assert_eq!(chat.len(), 4);
    assert_eq!(doubts(&chat, 2), [Doubt::TimeRunsBack]);
}

#[test]
fn two_exports_in_one_file_are_not_merged_but_flagged() {
    let one: String = (1..=28)
        .map(|day| format!("{day:02}/02/2024, 09:05 - A: a\n{day:02}/02/2024, 10:05 - B: b\n"))
        .collect();
    let text = one.repeat(2);
    let chat = read(&text);
    assert_eq!(chat.len(), 112);
    assert!((0..56).all(|index| doubts(&chat, index).is_empty()));
    assert!((56..110).all(|index| doubts(&chat, index) == [Doubt::TimeRunsBack]));
}

#[test]
fn a_person_who_appears_once_is_pointed_out_in_a_long_chat() {
    let mut text: String = (1..=28)
        .map(|day| format!("{day:02}/02/2024, 09:05 - A: a\n"))
        .collect();
    text.push_str("28/02/2024, 09:06 - Stranger: b\n");
    let chat = read(&text);
    assert_eq!(doubts(&chat, 28), [Doubt::OneOffAuthor]);
    assert_eq!(chat.doubtful(), 1);
}

#[test]
fn the_same_message_in_two_exports_has_the_same_digest() {
    let short = "13/02/2024, 09:05 - A: a\n13/02/2024, 09:06 - B: b\n";
    let long = format!("12/02/2024, 09:05 - A: before\n{short}14/02/2024, 09:05 - A: after\n");
    let digest = |chat: &Conversation<'_>, index: usize| chat.message(index).unwrap().digest();
    assert_eq!(digest(&read(short), 1), digest(&read(&long), 2));
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
fn debug_shows_no_content() {
    let chat = read("13/02/2024, 09:05 - Alice: secret\n");
    let shown = format!("{chat:?} {:?}", chat.message(0).unwrap());
    assert!(
        !shown.contains("Alice") && !shown.contains("secret"),
        "{shown}"
    );
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
