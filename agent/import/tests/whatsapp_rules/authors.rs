//! Who wrote a message.

use candour_import::{Doubt, Layout, Options, import};

use super::{authors, doubts, read, some};

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
fn a_person_who_appears_once_is_pointed_out_in_a_long_chat() {
    let mut text: String = (1..=28)
        .map(|day| format!("{day:02}/02/2024, 09:05 - A: a\n"))
        .collect();
    text.push_str("28/02/2024, 09:06 - Stranger: b\n");
    let chat = read(&text);
    assert_eq!(doubts(&chat, 28), [Doubt::OneOffAuthor]);
    assert_eq!(chat.doubtful(), 1);
}
