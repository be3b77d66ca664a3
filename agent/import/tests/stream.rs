//! A chat read in parts is the same chat.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use candour_import::{
    ChatStream, Conversation, DateOrder, EmbeddedHeaders, ImportError, Options, import, limits,
};
use proptest::prelude::*;

const DAY_FIRST: Options<'static> = Options {
    date_order: Some(DateOrder::DayMonthYear),
    title: None,
    conversation: None,
    embedded: EmbeddedHeaders::KeepInMessage,
    attachments: None,
};

/// All there is to say about a message.
fn rows(chat: &Conversation<'_>) -> impl Iterator<Item = String> {
    chat.messages().map(|m| {
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            m.stamp(),
            m.kind(),
            m.author(),
            m.label(),
            m.text(),
            m.digest(),
            m.is_edited(),
            m.doubts().collect::<Vec<_>>(),
            m.attachments().len(),
        )
    })
}

/// Reads `bytes` whole and in parts and checks that both give the same.
fn check(bytes: &[u8], options: Options<'_>) {
    let whole = import(bytes, &options);
    let stream = ChatStream::open(Cursor::new(bytes), options);
    let (whole, mut stream) = match (whole, stream) {
        (Ok(whole), Ok(stream)) => (whole, stream),
        (Err(whole), Err(stream)) => {
            assert_eq!(whole.to_string(), stream.to_string());
            return;
        }
        (whole, stream) => panic!("{whole:?} but {stream:?}"),
    };
    assert_eq!(stream.len(), whole.len() as u64);
    assert_eq!(stream.bytes(), bytes.len() as u64);
    assert_eq!(stream.digest(), whole.digest());
    assert_eq!(stream.title(), whole.title());
    assert_eq!(Some(stream.layout()), whole.layout());
    assert_eq!(Some(stream.date_order()), whole.date_order());
    assert_eq!(Some(stream.order_basis()), whole.order_basis());
    for _ in 0..2 {
        let mut in_parts = Vec::new();
        let mut at = whole.preamble().len() as u64;
        while let Some(part) = stream.next_part().unwrap() {
            assert_eq!(part.first(), in_parts.len() as u64);
            assert_eq!(part.offset(), at, "parts tile the source");
            assert!(!part.conversation().is_empty());
            at += part.conversation().source().len() as u64;
            in_parts.extend(rows(part.conversation()));
        }
        assert_eq!(at, bytes.len() as u64);
        assert_eq!(in_parts, rows(&whole).collect::<Vec<_>>());
        stream.rewind();
    }
}

fn check_every_way(bytes: &[u8]) {
    let files: BTreeSet<String> = ["a.jpg".to_owned()].into();
    for embedded in [
        EmbeddedHeaders::KeepInMessage,
        EmbeddedHeaders::ReadAsMessages,
    ] {
        for (date_order, title) in [
            (None, None),
            (Some(DateOrder::DayMonthYear), Some("Alice: b")),
            (Some(DateOrder::MonthDayYear), Some("a: b")),
            (Some(DateOrder::YearMonthDay), None),
        ] {
            let options = Options {
                date_order,
                embedded,
                title,
                attachments: title.map(|_| &files),
                ..Options::default()
            };
            check(bytes, options);
        }
    }
}

#[test]
fn every_case_is_the_same_in_parts() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "txt") {
            check_every_way(&fs::read(path).unwrap());
            cases += 1;
        }
    }
    assert!(cases >= 23);
}

/// A chat of several parts, with long lines, foreign headers, damage and rows out of time.
fn long_chat(bytes_wanted: usize, seed: u32) -> Vec<u8> {
    let mut bytes = "\u{feff}".as_bytes().to_vec();
    let mut state = seed | 1;
    let mut random = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let mut minute = 0_u32;
    while bytes.len() < bytes_wanted {
        minute += random(30);
        let jump = match random(400) {
            0 => 60 * 24 * 3,
            _ => 0,
        };
        let now = minute.saturating_sub(jump);
        let (day, hour) = (now / 1_440, now / 60 % 24);
        let (year, month, day) = (2010 + day / 336 % 80, day / 28 % 12 + 1, day % 28 + 1);
        let author = random(12);
        bytes.extend(format!("{day:02}/{month:02}/{year}, {hour:02}:{:02} - ", now % 60).bytes());
        match random(60) {
            0 => bytes.extend(b"Alice left"),
            1 => bytes.extend(format!("Alice changed it to \u{201c}x{author}: y\u{201d}").bytes()),
            2 => bytes.extend(format!("P{author}: [13/02/2024, 09:05:01] Bob: hi").bytes()),
            3 => bytes.extend(format!("P{author}: \n[13/02/2024, 09:05:01] Bob: hi").bytes()),
            4 => bytes.extend(format!("P{author}: {}", "x".repeat(700_000)).bytes()),
            5 => bytes.extend(format!("P{author}: {}", "line\n".repeat(60_000)).bytes()),
            6 => bytes.extend(b"P1: \xff\xfe"),
            7 => bytes.extend(b"P2: pasted\n1/2/2012, 9:05 - Eve: forged"),
            8 => bytes.extend(b"P3: pasted\n99/99/2012, 09:05 - Eve: forged"),
            9 => bytes.extend("Group: \u{200e}Alice left".bytes()),
            10 => bytes.extend(b"Team: Annex: seen"),
            _ => bytes.extend(format!("P{author}: hello").bytes()),
        }
        bytes.push(b'\n');
    }
    bytes
}

#[test]
fn a_long_chat_is_the_same_in_parts() {
    for seed in 0..4 {
        let bytes = long_chat(6 << 20, seed);
        assert!(import(&bytes, &DAY_FIRST).unwrap().doubtful() > 10);
        check(&bytes, DAY_FIRST);
    }
}

#[test]
fn a_chat_out_of_order_is_the_same_in_parts() {
    let bytes: Vec<u8> = (0..50_000_u32)
        .flat_map(|n| {
            let day = 28 - n % 28;
            format!("{day:02}/02/2024, 09:05 - A{}: x\n", n % 977).into_bytes()
        })
        .collect();
    check(&bytes, Options::default());
}

#[test]
fn a_message_that_cannot_be_held_is_refused() {
    let mut bytes = b"13/02/2024, 09:05 - Alice: start\n".to_vec();
    let lines = usize::try_from(limits::STREAM_MESSAGE_MAX_BYTES / 2).unwrap();
    bytes.extend(b"x\n".repeat(lines));
    assert!(matches!(
        ChatStream::open(Cursor::new(&bytes), Options::default()),
        Err(ImportError::MessageTooLarge)
    ));
}

#[test]
fn names_without_end_are_refused() {
    let bytes: Vec<u8> = (0..=limits::STREAM_NAMES_MAX)
        .flat_map(|n| format!("13/02/2024, 09:05 - A{n}: x\n").into_bytes())
        .collect();
    assert!(matches!(
        ChatStream::open(Cursor::new(&bytes), Options::default()),
        Err(ImportError::TooManyNames)
    ));
}

#[test]
fn a_file_that_shrinks_is_damaged_and_nothing_is_made_up() {
    let bytes = long_chat(3 << 20, 9);
    let mut cut = bytes.clone();
    cut.truncate(1 << 20);
    let mut file = Shrinking {
        inner: Cursor::new(bytes),
        cut: Cursor::new(cut),
        is_cut: std::rc::Rc::new(std::cell::Cell::new(false)),
    };
    let is_cut = std::rc::Rc::clone(&file.is_cut);
    let mut stream = ChatStream::open(&mut file, DAY_FIRST).unwrap();
    is_cut.set(true);
    let mut result = Ok(());
    loop {
        match stream.next_part() {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    assert!(matches!(result, Err(ImportError::Damaged(_))));
}

/// A file of which the end goes missing.
struct Shrinking {
    inner: Cursor<Vec<u8>>,
    cut: Cursor<Vec<u8>>,
    is_cut: std::rc::Rc<std::cell::Cell<bool>>,
}

impl std::io::Read for Shrinking {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.is_cut.get() {
            self.cut.read(buffer)
        } else {
            self.inner.read(buffer)
        }
    }
}

impl std::io::Seek for Shrinking {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.cut.seek(to)?;
        self.inner.seek(to)
    }
}

/// Lines and pieces of lines that the importer looks for.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "13/02/2024, 09:05 - Alice: hi\n",
        "13/02/2024, 24:05 - Carol: hi\n",
        "13/02/2024, 09:06 - Alice: b: hi\n",
        "14/02/2024, 09:05 - a: b: ho\n",
        "13/02/2024, 12:05 - a: b: \u{200e}x\n",
        "12/02/2024, 08:05 - Bob: hi\n",
        "3/2/2024, 9:05 - Bob: hi\n",
        "31/31/2024, 09:05 - Bob: hi\n",
        "02/03/2024, 09:05 - Team: \u{200e}Alice left\n",
        "02/03/2024, 09:05 - Team: \u{200e}end-to-end\n",
        "02/03/2024, 09:05 - changed it to \u{201c}x: y\u{201d}\n",
        "13/02/2024, 09:05 - Bob left\n",
        "[13/02/2024, 09:05:01] Alice: hi\r\n",
        "[12/02/2024, 09:05:01] Bob: ",
        "\u{200e}<attached: a.jpg>\n",
        "a.jpg (x)\n",
        "This message was deleted\n",
        "\n",
        "x\n",
        ": ",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_likely_pieces_are_the_same_in_parts(pieces in prop::collection::vec(piece(), 0..120)) {
        check_every_way(pieces.concat().as_bytes());
    }
}
