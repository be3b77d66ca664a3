//! What holds for exports of text messages, whatever their bytes are. The body of [`check`] is
//! what a fuzz target runs.

use candour_import::{
    Conversation, Format, ImportError, Options, conversations, import, limits, list_sms,
    select_sms, sniff,
};
use proptest::prelude::*;

const PHONE: &[u8] = include_bytes!("sms/sms-20240602101500.xml");

/// Lists and imports `bytes`, whole and tag by tag, and checks what must hold whatever they are.
fn check(bytes: &[u8]) {
    if sniff(bytes) != Some(Format::Sms) {
        return;
    }
    let listed = conversations(&[bytes], &Options::default()).ok();
    let in_parts = list_sms(bytes);
    // What is one tag or comment of that size is refused where it is not held whole.
    let is_long = matches!(in_parts, Err(ImportError::TooLarge { .. }));
    if is_long {
        assert!(bytes.len() > limits::SMS_TAG_MAX_BYTES);
    } else {
        assert_eq!(in_parts.ok(), listed);
    }
    match import(bytes, &Options::default()) {
        Ok(chat) => check_conversation(bytes, &chat),
        Err(ImportError::NeedsConversation(count)) => {
            assert_eq!(listed.as_ref().map(Vec::len), Some(count));
        }
        Err(_) => {}
    }
    for summary in listed.unwrap_or_default() {
        let options = Options {
            conversation: Some(&summary.id),
            ..Options::default()
        };
        let chat = import(bytes, &options).expect("what is listed can be chosen");
        assert_eq!(chat.len(), summary.messages, "all that was listed is taken");
        check_conversation(bytes, &chat);
        if is_long {
            continue;
        }
        let taken = select_sms(bytes, &summary.id).expect("it can be taken out");
        let part = import(&taken.text, &options).expect("it can be read again");
        check_same(&chat, &part);
    }
}

fn check_same(whole: &Conversation<'_>, part: &Conversation<'_>) {
    assert_eq!(part.title(), whole.title());
    assert_eq!(part.caveats(), whole.caveats());
    assert_eq!(part.len(), whole.len());
    for (part, whole) in part.messages().zip(whole.messages()) {
        assert_eq!(part.source(), whole.source());
        assert_eq!(part.fingerprint(), whole.fingerprint());
        assert_eq!(part.author(), whole.author());
        assert!(part.doubts().eq(whole.doubts()));
    }
}

fn check_conversation(bytes: &[u8], chat: &Conversation<'_>) {
    assert!(!chat.is_empty());
    let mut spans = Vec::new();
    for message in chat.messages() {
        let span = message.span();
        assert_eq!(message.source(), &bytes[span.clone()]);
        let source = message.source();
        assert!(source.starts_with(b"<sms") || source.starts_with(b"<mms"));
        assert!(source.ends_with(b">"));
        // The views decode whatever is there.
        let text = message.text();
        assert!(text.len() <= 3 * source.len(), "views are bounded");
        let _ = (message.author_id(), message.is_outgoing());
        let _ = message.time_in("Europe/London").expect("it is a zone");
        for file in message.attachments() {
            if let Ok(inside) = message.embedded(&file.place, 64) {
                assert!(inside.len() <= 64);
            }
        }
        spans.push(span);
    }
    spans.sort_by_key(|span| span.start);
    for pair in spans.windows(2) {
        assert!(pair[0].end <= pair[1].start, "messages do not overlap");
    }
}

/// Pieces that the importer looks for.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&'static str> = vec![
        "<sms ",
        "<mms ",
        "</sms>",
        "</mms>",
        "</smses>",
        "<parts>",
        "</parts>",
        "<part ct=\"text/plain\" text=\"a&#55357;&#56397;\" />",
        "<part ct=\"image/png\" cl=\"a\" data=\"QUJD\"/>",
        "<addr address=\"+44 7700 900121\" type=\"137\"/>",
        "<addr address=\"2\" type=\"151\"/>",
        "address=\"+447700900121\" ",
        "address=\"1~2\" ",
        "address='2' ",
        "contact_name=\"A &amp; B\" ",
        "date=\"1717232460000\" ",
        "date=\"1717232450000\" ",
        "type=\"1\" ",
        "type=\"2\" ",
        "msg_box=\"1\" ",
        "body=\"a&#10;&b;\" ",
        "<sms address=\"1\" date=\"1717232460000\" type=\"1\" contact_name=\"C\" body=\"b\" />",
        "<mms address=\"1~2\" date=\"1717232450000\" msg_box=\"1\"><addr address=\"1\" type=\"137\"/></mms>",
        "<?candour-contact address=\"2\" contact_name=\"D&gt;\"?>",
        "<!-- -- -->",
        "<![CDATA[",
        "]]>",
        "\"",
        "'",
        "<",
        ">",
        "/>",
        "\0",
        "\n",
    ];
    prop_oneof![
        8 => prop::sample::select(known).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_likely_pieces_are_read_or_refused(pieces in prop::collection::vec(piece(), 0..40)) {
        check(&[b"<smses count=\"2\">".to_vec(), pieces.concat()].concat());
    }

    #[test]
    fn any_damage_to_an_export_is_read_or_refused(
        at in 0_usize..12_000,
        damage in prop::collection::vec(any::<u8>(), 0..8),
        cut in 0_usize..12_000,
    ) {
        let mut bytes = PHONE.to_vec();
        bytes.truncate(cut.max(1));
        let at = at.min(bytes.len());
        let end = (at + damage.len()).min(bytes.len());
        bytes.splice(at..end, damage);
        check(&bytes);
    }

    #[test]
    fn any_text_is_read_as_it_was_written(text in "\\PC{0,40}", lines in "[\n\t&<>\"']{0,8}") {
        let said = format!("{text}{lines}");
        let written: String = said
            .encode_utf16()
            .map(|unit| format!("&#{unit};"))
            .collect();
        let source = format!("<smses><sms address=\"1\" type=\"1\" body=\"x{written}\"/></smses>");
        let chat = import(source.as_bytes(), &Options::default()).expect("it is an export");
        assert_eq!(chat.message(0).expect("there is one").text(), format!("x{said}"));
    }
}

#[test]
fn what_never_ends_costs_no_more_than_its_length() {
    let sms = "<sms address=\"1\" date=\"1717232460000\" type=\"1\" body=\"b\"/>";
    let many = |piece: &str| format!("<smses>{sms}{}", piece.repeat(20_000));
    for piece in [
        "<",
        "<sms ",
        "<sms a='",
        "<mms>",
        "<!--",
        "<?",
        "</",
        "<![CDATA[",
        "&",
        "\0",
        "a='b' ",
        "<parts>",
        "</parts>",
        "<sms/>",
        ">",
    ] {
        check(many(piece).as_bytes());
    }
    check(format!("<smses><sms body=\"{}", "&".repeat(200_000)).as_bytes());
}

#[test]
fn nesting_without_end_is_left_out_without_recursion() {
    let deep = "<parts>".repeat(20_000);
    let sms = "<sms address=\"1\" date=\"1717232460000\" type=\"1\" body=\"b\"/>";
    let source = format!("<smses><mms address=\"1\">{deep}{sms}</smses>");
    let chat = import(source.as_bytes(), &Options::default()).expect("one message is sound");
    assert_eq!(chat.len(), 1);
    check(source.as_bytes());
}

#[test]
fn a_message_of_a_million_parts_or_people_is_one_message() {
    let part = "<part ct=\"text/plain\" text=\"a\"/>".repeat(20_000);
    let person = "<addr address=\"7\" type=\"151\"/>".repeat(20_000);
    let source = format!(
        "<smses><mms date=\"1717232460000\" msg_box=\"1\"><parts>{part}</parts>{person}</mms></smses>"
    );
    check(source.as_bytes());
    let chat = import(source.as_bytes(), &Options::default()).expect("it is an export");
    assert_eq!(chat.message(0).expect("there is one").text().len(), 39_999);
}

#[test]
fn huge_values_count_as_none_where_they_name_somebody() {
    let huge = "9".repeat(2_000_000);
    let source = format!(
        "<smses><sms address=\"{huge}\" contact_name=\"{huge}\" date=\"{huge}\" type=\"{huge}\" body=\"a\"/></smses>"
    );
    check(source.as_bytes());
    let chat = import(source.as_bytes(), &Options::default()).expect("it is an export");
    assert_eq!(chat.title(), None);
}

#[test]
fn a_phone_of_strangers_costs_no_more_than_a_line_each() {
    let mut source = "<smses>".to_owned();
    for number in 0..10_000 {
        source.push_str(&format!(
            "<sms address=\"{number}\" date=\"1717232460000\" type=\"1\" body=\"x\"/>\n"
        ));
    }
    source.push_str("</smses>");
    let listed = conversations(&[source.as_bytes()], &Options::default()).expect("it is listed");
    assert_eq!(listed.len(), 10_000);
    let options = Options {
        conversation: Some("4711"),
        ..Options::default()
    };
    let chat = import(source.as_bytes(), &options).expect("it is taken");
    assert_eq!(chat.len(), 1);
}
