//! What tells a message from others, and what is shown of it in a log.

use candour_import::Conversation;

use super::read;

#[test]
fn the_same_message_in_two_exports_has_the_same_digest() {
    let short = "13/02/2024, 09:05 - A: a\n13/02/2024, 09:06 - B: b\n";
    let long = format!("12/02/2024, 09:05 - A: before\n{short}14/02/2024, 09:05 - A: after\n");
    let digest = |chat: &Conversation<'_>, index: usize| chat.message(index).unwrap().digest();
    assert_eq!(digest(&read(short), 1), digest(&read(&long), 2));
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
