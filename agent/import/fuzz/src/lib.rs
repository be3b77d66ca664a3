//! What must hold for any bytes at all.

use std::io::{Cursor, Read as _};

use candour_import::{
    Archive, ChatStream, Conversation, DateOrder, EmbeddedHeaders, Export, Format, Options,
    conversations, import, import_files, import_pasted, list_sms, select_sms, sniff,
};

/// Most conversations of one input that are looked into, so that one input does not take minutes.
const CHOSEN_MAX: usize = 4;

/// How headers inside messages and the numbers of dates are read.
const WAYS: [(EmbeddedHeaders, Option<DateOrder>); 3] = [
    (EmbeddedHeaders::KeepInMessage, None),
    (
        EmbeddedHeaders::KeepInMessage,
        Some(DateOrder::DayMonthYear),
    ),
    (
        EmbeddedHeaders::ReadAsMessages,
        Some(DateOrder::MonthDayYear),
    ),
];

/// Most bytes of an attachment that are decoded or inflated.
const ATTACHMENT_MAX_BYTES: u64 = 1 << 20;

/// A target's body. Says whether the bytes were of its kind, so that others are not kept.
pub type Body = fn(&[u8]) -> bool;

/// Every target.
pub const TARGETS: [(&str, Body); 11] = [
    ("any", any),
    ("mail", mail),
    ("meta", meta),
    ("pasted", pasted),
    ("signal", signal),
    ("slack", slack),
    ("sms", sms),
    ("teams", teams),
    ("telegram", telegram),
    ("whatsapp", whatsapp),
    ("zip", zip),
];

/// WhatsApp's text export.
pub fn whatsapp(bytes: &[u8]) -> bool {
    single(bytes, Format::WhatsAppText)
}

/// Signal's own export.
pub fn signal(bytes: &[u8]) -> bool {
    single(bytes, Format::Signal)
}

/// Telegram Desktop's export.
pub fn telegram(bytes: &[u8]) -> bool {
    single(bytes, Format::Telegram)
}

/// The `messages.json` of Skype and Teams.
pub fn teams(bytes: &[u8]) -> bool {
    single(bytes, Format::Teams)
}

/// Text messages, whole and tag by tag.
pub fn sms(bytes: &[u8]) -> bool {
    let are = single(bytes, Format::Sms);
    if are {
        sms_in_parts(bytes);
    }
    are
}

/// Downloads of Messenger and Instagram, in several files.
pub fn meta(bytes: &[u8]) -> bool {
    several(bytes, &[Format::Meta, Format::MessengerEncrypted])
}

/// A Slack export, in several files.
pub fn slack(bytes: &[u8]) -> bool {
    several(bytes, &[Format::Slack])
}

/// Reads `bytes` in every way that their format has, if it is `format`. Says whether it was.
fn single(bytes: &[u8], format: Format) -> bool {
    if sniff(bytes) != Some(format) {
        return false;
    }
    any(bytes);
    true
}

/// Reads the files in `bytes`, which a NUL separates, together if the first is `formats`' and says
/// whether it was.
fn several(bytes: &[u8], formats: &[Format]) -> bool {
    let files: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    if !sniff(files[0]).is_some_and(|format| formats.contains(&format)) {
        return false;
    }
    let whole = files.concat();
    let listed = conversations(&files, &Options::default());
    let ids = listed.iter().flatten().map(|one| Some(one.id.as_str()));
    for conversation in std::iter::once(None).chain(ids).take(CHOSEN_MAX) {
        let options = Options {
            conversation,
            ..Options::default()
        };
        if let Ok(chat) = import_files(&files, &options) {
            check(&whole, &chat);
        }
    }
    true
}

/// Reads `bytes`, whatever they are.
pub fn any(bytes: &[u8]) -> bool {
    let listed = conversations(&[bytes], &Options::default());
    let ids: Vec<Option<&str>> = match &listed {
        Ok(list) => list.iter().map(|one| Some(one.id.as_str())).collect(),
        Err(_) => vec![None],
    };
    let ways = match sniff(bytes) {
        Some(Format::WhatsAppText | Format::Eml | Format::Mbox) => &WAYS[..],
        // No other reads these options.
        _ => &WAYS[..1],
    };
    for conversation in ids.into_iter().take(CHOSEN_MAX) {
        for (embedded, date_order) in ways.iter().copied() {
            let options = Options {
                conversation,
                embedded,
                date_order,
                ..Options::default()
            };
            let chat = import(bytes, &options);
            if let Ok(chat) = &chat {
                check(bytes, chat);
            }
            if sniff(bytes) == Some(Format::WhatsAppText) {
                in_parts(bytes, options, chat.ok().as_ref());
            }
        }
    }
    true
}

fn check(bytes: &[u8], chat: &Conversation<'_>) {
    assert!(chat.sources().flatten().eq(bytes));
    let mut spans = Vec::new();
    for message in chat.messages() {
        let span = message.span();
        assert_eq!(message.source(), &bytes[span.clone()]);
        // The views decode whatever is there.
        let _ = (message.author(), message.author_id(), message.label());
        let _ = (message.text(), message.body(), message.revisions());
        let _ = (message.time_in("Europe/London"), message.fingerprint());
        for file in message.attachments() {
            if let Ok(inside) = message.embedded(&file.place, ATTACHMENT_MAX_BYTES) {
                assert!(inside.len() as u64 <= ATTACHMENT_MAX_BYTES);
            }
        }
        spans.push(span);
    }
    spans.sort_by_key(|span| span.start);
    for pair in spans.windows(2) {
        assert!(pair[0].end <= pair[1].start, "messages do not overlap");
    }
    if matches!(chat.format(), Format::WhatsAppText | Format::Pasted) {
        tiles(bytes, chat);
    }
}

fn tiles(bytes: &[u8], chat: &Conversation<'_>) {
    let starts = chat.messages().map(|message| message.span().start).min();
    assert_eq!(starts.unwrap_or(bytes.len()), chat.preamble().len());
    let together: usize = chat.messages().map(|message| message.span().len()).sum();
    assert_eq!(
        chat.preamble().len() + together,
        bytes.len(),
        "messages tile the source"
    );
}

/// Reads `bytes` as e-mail, if they are. Says whether they were.
pub fn mail(bytes: &[u8]) -> bool {
    if !matches!(sniff(bytes), Some(Format::Eml | Format::Mbox)) {
        return false;
    }
    any(bytes);
    for embedded in [
        EmbeddedHeaders::KeepInMessage,
        EmbeddedHeaders::ReadAsMessages,
    ] {
        let options = Options {
            embedded,
            ..Options::default()
        };
        let chat = import(bytes, &options).expect("it was recognised");
        check(bytes, &chat);
        tiles(bytes, &chat);
    }
    true
}

/// Reads `bytes` as text that was pasted.
pub fn pasted(bytes: &[u8]) -> bool {
    for date_order in [None, Some(DateOrder::DayMonthYear)] {
        let options = Options {
            date_order,
            ..Options::default()
        };
        if let Ok(chat) = import_pasted(bytes, &options) {
            assert!(!chat.is_empty());
            let _ = (chat.channel(), chat.format_name());
            check(bytes, &chat);
        }
    }
    true
}

/// Reads a chat text in parts, which must give what reading it whole gives.
fn in_parts(bytes: &[u8], options: Options<'_>, whole: Option<&Conversation<'_>>) {
    let stream = ChatStream::open(Cursor::new(bytes), options);
    let (Some(whole), Ok(mut stream)) = (whole, stream) else {
        return;
    };
    assert_eq!(stream.len(), whole.len() as u64);
    let mut expected = whole.messages();
    while let Some(part) = stream.next_part().expect("the bytes do not change") {
        for message in part.conversation().messages() {
            let same = expected.next().expect("as many messages");
            assert_eq!(message.source(), same.source());
            assert_eq!(message.kind(), same.kind());
            assert_eq!(message.author(), same.author());
            assert_eq!(message.stamp(), same.stamp());
            assert!(message.doubts().eq(same.doubts()));
        }
    }
    assert!(expected.next().is_none());
}

/// Reads an export of text messages tag by tag, which must give what reading it whole gives.
fn sms_in_parts(bytes: &[u8]) {
    let whole = conversations(&[bytes], &Options::default()).ok();
    assert_eq!(list_sms(bytes).ok(), whole);
    for one in whole.iter().flatten().take(CHOSEN_MAX) {
        let options = Options {
            conversation: Some(&one.id),
            ..Options::default()
        };
        let taken = select_sms(bytes, &one.id).expect("what is listed can be taken out");
        let part = import(&taken.text, &options).expect("it can be read again");
        let whole = import(bytes, &options).expect("what is listed can be chosen");
        assert_eq!(part.title(), whole.title());
        assert_eq!(part.caveats(), whole.caveats());
        assert_eq!(part.len(), whole.len());
        for (part, whole) in part.messages().zip(whole.messages()) {
            assert_eq!(part.source(), whole.source());
            assert_eq!(part.fingerprint(), whole.fingerprint());
            assert!(part.doubts().eq(whole.doubts()));
        }
    }
}

/// Opens `bytes` as an archive, reads its chats and inflates its files.
pub fn zip(bytes: &[u8]) -> bool {
    let Ok(mut export) = Archive::open(Cursor::new(bytes)).and_then(Export::open) else {
        return true;
    };
    let names: Vec<String> = export.entries().iter().map(|e| e.name.clone()).collect();
    let chats = export.chats().len();
    assert!(chats > 0);
    for chat in 0..chats.min(CHOSEN_MAX) {
        for name in names.iter().take(CHOSEN_MAX) {
            if let Ok(mut reader) = export.attachment(chat, name, ATTACHMENT_MAX_BYTES) {
                let mut sink = Vec::new();
                let _ = reader
                    .by_ref()
                    .take(ATTACHMENT_MAX_BYTES)
                    .read_to_end(&mut sink);
            }
        }
        if let Ok(files) = export.read(chat) {
            let _ = export.import(chat, &files, &Options::default());
            for file in &files {
                any(file);
            }
        }
    }
    true
}
