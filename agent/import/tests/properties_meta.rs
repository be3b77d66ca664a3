//! What holds for the downloads of Messenger and Instagram, whatever their bytes are.

use candour_import::{
    Conversation, Doubt, Format, ImportError, Options, Stamp, conversations, import_files, sniff,
};
use proptest::prelude::*;

const NEWER: &[u8] = include_bytes!("meta/message_1.json");
const OLDER: &[u8] = include_bytes!("meta/message_2.json");
const INSTAGRAM: &[u8] = include_bytes!("meta/instagram.json");
const ENCRYPTED: &[u8] = include_bytes!("meta/encrypted.json");

/// Lists and imports `files` and checks what must hold whatever they are.
fn check(files: &[&[u8]]) {
    let listed = conversations(files, &Options::default());
    match import_files(files, &Options::default()) {
        Ok(chat) => check_conversation(files, &chat),
        Err(ImportError::NeedsConversation(count)) => {
            assert_eq!(listed.as_ref().map(Vec::len).ok(), Some(count));
        }
        Err(_) => {}
    }
    for summary in listed.unwrap_or_default() {
        if sniff(files[0]) == Some(Format::WhatsAppText) {
            continue;
        }
        let options = Options {
            conversation: Some(&summary.id),
            ..Options::default()
        };
        let chat = import_files(files, &options).expect("what is listed can be taken");
        assert_eq!(chat.len(), summary.messages, "all that was listed is taken");
        check_conversation(files, &chat);
    }
}

fn check_conversation(files: &[&[u8]], chat: &Conversation<'_>) {
    let whole = files.concat();
    let mut spans = Vec::new();
    let mut last = Stamp::None;
    for message in chat.messages() {
        let span = message.span();
        assert_eq!(message.source(), &whole[span.clone()]);
        spans.push(span);
        if let (Stamp::Instant(last), Stamp::Instant(at)) = (last, message.stamp()) {
            assert!(last <= at, "they are in the order of time");
        }
        if message.stamp() == Stamp::None {
            let untimed = message.doubts().any(|doubt| doubt == Doubt::NoTime);
            assert!(untimed || chat.format() == Format::WhatsAppText);
        } else {
            last = message.stamp();
        }
        // The views decode whatever is there.
        let text = message.text();
        assert!(text.len() <= 8 * whole.len() + 1_000, "views are bounded");
        let _ = (
            message.author(),
            message.fingerprint(),
            message.attachments(),
            message.time_in("Europe/London").expect("it is a zone"),
        );
    }
    spans.sort_by_key(|span| span.start);
    for pair in spans.windows(2) {
        assert!(pair[0].end <= pair[1].start, "messages do not overlap");
    }
}

fn changed(source: &[u8], changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = source.to_vec();
    for (index, byte) in changes {
        let at = index.index(bytes.len());
        bytes[at] = *byte;
    }
    bytes
}

proptest! {
    #[test]
    fn a_damaged_download_is_read_or_refused(
        which in 0..4_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let source = [NEWER, OLDER, INSTAGRAM, ENCRYPTED][which];
        let bytes = changed(source, &changes);
        check(&[&bytes]);
        check(&[&bytes, OLDER]);
        check(&[OLDER, &bytes]);
    }

    #[test]
    fn values_of_other_kinds_are_read_or_refused(
        which in 0..4_usize,
        place in any::<prop::sample::Index>(),
        value in prop::sample::select(vec![
            "null", "true", "[]", "{}", "\"\"", "7", "-1e9", "[[[[]]]]", "{\"uri\":{\"uri\":[]}}",
            "\"\\u00ff\\ud800\"", "99999999999999999999",
        ]),
    ) {
        let source = [NEWER, OLDER, INSTAGRAM, ENCRYPTED][which];
        let text = String::from_utf8_lossy(source).into_owned();
        // The value after one of the colons becomes another.
        let colons: Vec<usize> = text.match_indices("\": ").map(|(at, _)| at + 3).collect();
        let at = colons[place.index(colons.len())];
        let end = text[at..].find([',', '\n']).map_or(text.len(), |end| at + end);
        let bytes = format!("{}{value}{}", &text[..at], &text[end..]);
        check(&[bytes.as_bytes()]);
    }

    #[test]
    fn a_text_comes_back_as_it_was_written(text in "\\PC{0,40}") {
        let escaped: String = text.bytes().map(|byte| match byte {
            b'"' | b'\\' => format!("\\{}", char::from(byte)),
            0x20..=0x7e => char::from(byte).to_string(),
            _ => format!("\\u{byte:04x}"),
        }).collect();
        let source = format!(
            r#"{{"participants":[{{"name":"A"}}],"messages":[{{"sender_name":"A","timestamp_ms":1717236000000,"content":"{escaped}"}}],"thread_path":"inbox/a_1"}}"#
        );
        let files = [source.as_bytes()];
        let chat = import_files(&files, &Options::default()).expect("it is one");
        let message = chat.message(0).expect("there is one");
        prop_assert_eq!(message.text(), text.as_str());
        prop_assert!(!message.doubts().any(|doubt| doubt == Doubt::InvalidUtf8));
    }
}
