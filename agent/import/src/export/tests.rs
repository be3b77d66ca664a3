use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::{
    Archive, Bundle, Entry, Export, Format, ImportError, Options, Refusal, RowKind, limits,
};

const CHAT: &str = "\u{200e}[13/02/2024, 09:05:01] Bill: \u{200e}Messages are end-to-end encrypted.\r\n\
    [13/02/2024, 09:05:02] Alice: the draft\r\n\
    [13/02/2024, 09:05:03] Bob: \u{200e}<attached: 00000002-draft.txt>\r\n";

type File<'a> = (&'a str, &'a [u8]);

fn archive(files: &[File<'_>]) -> Vec<u8> {
    archive_with(files, SimpleFileOptions::default())
}

fn archive_with(files: &[File<'_>], options: SimpleFileOptions) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn open(bytes: &[u8]) -> Result<Export<Archive<Cursor<&[u8]>>>, ImportError> {
    Export::open(Archive::open(Cursor::new(bytes))?)
}

fn refusal(bytes: &[u8]) -> Refusal {
    match open(bytes) {
        Err(ImportError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// Replaces every `from` by `to`, of the same length: names stand in two places.
fn forge(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = memchr::memmem::find_iter(&bytes, from).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

#[test]
fn an_export_gives_its_chat_and_its_files() {
    let bytes = archive(&[
        ("00000002-draft.txt", b"Clause 1"),
        ("_chat.txt", CHAT.as_bytes()),
        ("notes.txt", b"not a chat"),
    ]);
    let mut export = open(&bytes).unwrap();
    assert_eq!(export.chats()[0].id, "_chat.txt");
    let files = export.read(0).unwrap();
    assert_eq!(files, [CHAT.as_bytes()]);
    let chat = export.import(0, &files, &Options::default()).unwrap();
    let message = chat.message(2).unwrap();
    assert_eq!(message.kind(), RowKind::Media);
    let name = message.attachment_name().unwrap().into_owned();
    let mut file = Vec::new();
    export
        .attachment(0, &name, 100)
        .unwrap()
        .read_to_end(&mut file)
        .unwrap();
    assert_eq!(file, b"Clause 1");
    assert!(matches!(
        export.attachment(0, &name, 7),
        Err(ImportError::TooLarge { bytes: 8, max: 7 })
    ));
    assert!(matches!(
        export.attachment(0, "gone.jpg", 7),
        Err(ImportError::NoSuchFile)
    ));
    assert!(matches!(
        export.attachment(0, "_chat.txt", 7),
        Err(ImportError::NoSuchFile)
    ));
}

fn ids(bytes: &[u8]) -> Vec<String> {
    let export = open(bytes).unwrap();
    export.chats().iter().map(|chat| chat.id.clone()).collect()
}

#[test]
fn the_chat_is_found_by_content_and_a_forwarded_chat_is_not_taken_for_it() {
    let android = "13/02/2024, 09:05 - Alice: hello\n";
    let bytes = archive(&[("something.txt", android.as_bytes()), ("a.txt", b"none")]);
    assert_eq!(ids(&bytes), ["something.txt"]);

    let chat = ("WhatsApp Chat with Bill.txt", android.as_bytes());
    let bytes = archive(&[("old chat.txt", android.as_bytes()), chat]);
    assert_eq!(ids(&bytes), ["WhatsApp Chat with Bill.txt"]);
    assert_eq!(open(&bytes).unwrap().chats()[0].title(), Some("Bill"));

    let bytes = archive(&[
        ("_chat.txt", android.as_bytes()),
        ("sent/_chat.txt", android.as_bytes()),
        ("sent.txt", android.as_bytes()),
    ]);
    assert_eq!(ids(&bytes), ["_chat.txt"]);
    // Where names say nothing, content does.
    for name in ["chat", "chat.log", "CHAT.TXT.1"] {
        let bytes = archive(&[(name, android.as_bytes()), ("a.jpg", b"x")]);
        assert_eq!(ids(&bytes), [name]);
    }
    for none in [&[("a.jpg", b"x".as_slice())][..], &[]] {
        assert!(matches!(open(&archive(none)), Err(ImportError::NoChat)));
    }
}

#[test]
fn of_several_chats_one_is_chosen() {
    let text = |name: &str| format!("13/02/2024, 09:05 - {name}: hello\n");
    let (alice, bob) = (text("Alice"), text("Bob"));
    let bytes = archive(&[
        ("all/b/_chat.txt", bob.as_bytes()),
        ("all/a/_chat.txt", alice.as_bytes()),
        ("all/a/x.jpg", b"of Alice"),
    ]);
    let mut export = open(&bytes).unwrap();
    let ids: Vec<&str> = export.chats().iter().map(|chat| chat.id.as_str()).collect();
    assert_eq!(ids, ["a/_chat.txt", "b/_chat.txt"]);
    assert!(matches!(
        export.find(None),
        Err(ImportError::NeedsConversation(2))
    ));
    assert!(matches!(
        export.find(Some("c")),
        Err(ImportError::NoSuchConversation)
    ));
    let wanted = Some("b/_chat.txt");
    let chat = export.find(wanted).unwrap();
    let files = export.read(chat).unwrap();
    let options = Options {
        conversation: wanted,
        ..Options::default()
    };
    let read = export.import(chat, &files, &options).unwrap();
    assert_eq!(read.message(0).unwrap().author().unwrap(), "Bob");
    assert!(export.attachment(0, "x.jpg", 100).is_ok());
    assert!(matches!(
        export.attachment(chat, "x.jpg", 100),
        Err(ImportError::NoSuchFile)
    ));
    assert!(matches!(
        export.read(2),
        Err(ImportError::NoSuchConversation)
    ));

    let bytes = archive(&[("a.txt", alice.as_bytes()), ("b.txt", bob.as_bytes())]);
    assert_eq!(open(&bytes).unwrap().chats().len(), 2);
}

const LETTER: &[u8] = b"From: Alice Example <alice@example.org>\r\nTo: bob@example.org\r\n\
    Date: Sat, 01 Jun 2024 10:00:00 +0000\r\nSubject: Annex\r\nMessage-ID: <1@example.org>\r\n\r\nLate.\r\n";

#[test]
fn the_letters_of_a_folder_are_one_source_and_those_sent_in_a_chat_are_files() {
    let bytes = archive(&[
        ("mail/b.eml", LETTER),
        ("mail/a.EML", LETTER),
        ("mail/older/c.eml", LETTER),
        ("mail/readme.txt", b"none"),
    ]);
    let mut export = open(&bytes).unwrap();
    let found: Vec<_> = export
        .chats()
        .iter()
        .map(|chat| (chat.id.as_str(), chat.format, chat.files()))
        .collect();
    assert_eq!(
        found,
        [("mail", Format::Eml, 2), ("mail/older", Format::Eml, 1)]
    );
    let files = export.read(0).unwrap();
    let chat = export.import(0, &files, &Options::default()).unwrap();
    assert_eq!(chat.len(), 2);

    let bytes = archive(&[
        ("_chat.txt", CHAT.as_bytes()),
        ("offer.eml", LETTER),
        ("sent/offer.eml", LETTER),
    ]);
    assert_eq!(ids(&bytes), ["_chat.txt"]);
}

/// Files that are held in memory, as a caller lists those of a folder.
struct Held(Vec<(Entry, &'static [u8])>);

impl Held {
    fn of(files: &[(&str, &'static [u8])]) -> Self {
        let file = |(name, bytes): &(&str, &'static [u8])| {
            (Entry::file((*name).to_owned(), bytes.len() as u64), *bytes)
        };
        Self(files.iter().map(file).collect())
    }
}

impl Bundle for Held {
    fn entries(&mut self) -> Result<Vec<Entry>, ImportError> {
        Ok(self.0.iter().map(|(entry, _)| entry.clone()).collect())
    }

    fn open(&mut self, place: usize) -> Result<Box<dyn Read + '_>, ImportError> {
        Ok(Box::new(self.0[place].1))
    }
}

#[test]
fn a_folder_is_checked_as_an_archive_is() {
    let chat = ("_chat.txt", CHAT.as_bytes());
    let refusal = |bundle: Held| match Export::open(bundle) {
        Err(ImportError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    };
    for (name, expected) in [
        ("../evil.txt", Refusal::PathTraversal),
        ("/etc/passwd", Refusal::PathTraversal),
        ("a\\b", Refusal::PathTraversal),
        ("1/2/3/4/5/6/7/8/9/file", Refusal::TooDeep),
        ("_CHAT.txt", Refusal::DuplicateName),
        ("_chat.txt", Refusal::DuplicateName),
    ] {
        assert_eq!(refusal(Held::of(&[chat, (name, b"z")])), expected, "{name}");
    }
    let mut linked = Held::of(&[chat, ("a.txt", b"z")]);
    linked.0[1].0.is_link = true;
    assert_eq!(refusal(linked), Refusal::Symlink);
    let mut large = Held::of(&[chat, ("a.txt", b"z")]);
    large.0[1].0.bytes = limits::ENTRY_MAX_BYTES + 1;
    assert_eq!(refusal(large), Refusal::EntryTooLarge);
    let many: Vec<String> = (0..limits::ENTRIES_MAX).map(|n| n.to_string()).collect();
    let mut many: Vec<(&str, &'static [u8])> =
        many.iter().map(|name| (name.as_str(), &b""[..])).collect();
    many.push(chat);
    assert_eq!(refusal(Held::of(&many)), Refusal::TooManyEntries);
    many.pop();
    many[0] = chat;
    assert!(Export::open(Held::of(&many)).is_ok());
}

#[test]
fn a_file_that_changes_its_size_is_not_read() {
    for wrong in [CHAT.len() as u64 - 1, CHAT.len() as u64 + 1] {
        let mut held = Held::of(&[("_chat.txt", CHAT.as_bytes()), ("a", b"z")]);
        held.0[0].0.bytes = wrong;
        let read = Export::open(held).and_then(|mut export| export.read(0));
        assert!(matches!(read, Err(ImportError::Damaged(_))));
    }
}

#[test]
fn names_that_lead_out_of_the_archive_are_refused() {
    let chat = ("_chat.txt", CHAT.as_bytes());
    for name in [
        "../evil.txt",
        "/etc/passwd",
        "a/../../b",
        "a\\b.txt",
        "C:/b.txt",
        "a//b",
    ] {
        let placeholder = "x".repeat(name.len());
        let bytes = forge(
            archive(&[chat, (&placeholder, b"z")]),
            placeholder.as_bytes(),
            name.as_bytes(),
        );
        assert_eq!(refusal(&bytes), Refusal::PathTraversal, "{name}");
    }
    let deep = archive(&[chat, ("a/b/c/d/e/f/g/h/i/j.txt", b"z")]);
    assert_eq!(refusal(&deep), Refusal::TooDeep);
    let long = archive(&[chat, (&"n".repeat(300), b"z")]);
    assert_eq!(refusal(&long), Refusal::NameUnreadable);
}

#[test]
fn two_entries_of_one_name_are_refused() {
    let chat = ("_chat.txt", CHAT.as_bytes());
    let same = forge(
        archive(&[chat, ("aa.jpg", b"1"), ("bb.jpg", b"2")]),
        b"bb.jpg",
        b"aa.jpg",
    );
    assert_eq!(refusal(&same), Refusal::DuplicateName);
    let by_case = archive(&[chat, ("aa.jpg", b"1"), ("AA.jpg", b"2")]);
    assert_eq!(refusal(&by_case), Refusal::DuplicateName);
}

#[test]
fn symbolic_links_are_refused() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer
        .add_symlink("link", "/etc/passwd", SimpleFileOptions::default())
        .unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    assert_eq!(refusal(&bytes), Refusal::Symlink);
}

#[test]
fn encrypted_entries_and_unknown_methods_are_refused() {
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let bytes = archive_with(&[("_chat.txt", CHAT.as_bytes())], stored);
    // The directory entry: signature, versions (4 bytes), flags (2), method (2).
    let entry = memchr::memmem::find(&bytes, b"PK\x01\x02").unwrap();
    let mut encrypted = bytes.clone();
    encrypted[entry + 8] |= 1;
    assert_eq!(refusal(&encrypted), Refusal::Encrypted);
    let mut bzip2 = bytes;
    bzip2[entry + 10] = 12;
    assert_eq!(refusal(&bzip2), Refusal::Method);
}

#[test]
fn a_bomb_is_refused_by_its_announced_ratio_and_by_what_it_really_holds() {
    let blanks = vec![b' '; usize::try_from(limits::RATIO_FREE_BYTES).unwrap() + 1];
    let bytes = archive(&[("_chat.txt", CHAT.as_bytes()), ("a.bin", &blanks)]);
    assert_eq!(refusal(&bytes), Refusal::Ratio);

    // An entry that holds more than it announces: its sizes are forged in both headers.
    let honest = archive(&[("_chat.txt", CHAT.as_bytes()), ("a.bin", &blanks[..70_000])]);
    let lying = forge(honest, &70_000_u32.to_le_bytes(), &10_u32.to_le_bytes());
    let mut export = open(&lying).unwrap();
    let mut out = Vec::new();
    assert!(
        export
            .attachment(0, "a.bin", 1_000)
            .unwrap()
            .read_to_end(&mut out)
            .is_err()
    );
    assert!(out.len() <= 10);
}

#[test]
fn entries_that_share_bytes_are_refused() {
    let chat = ("_chat.txt", CHAT.as_bytes());
    let mut bytes = archive(&[chat, ("aa.jpg", b"11111111"), ("bb.jpg", b"22222222")]);
    // Points the third directory entry at the second file (offset at 42 of the entry).
    let entries: Vec<usize> = memchr::memmem::find_iter(&bytes, b"PK\x01\x02").collect();
    let second: Vec<u8> = bytes[entries[1] + 42..entries[1] + 46].to_vec();
    bytes[entries[2] + 42..entries[2] + 46].copy_from_slice(&second);
    assert_eq!(refusal(&bytes), Refusal::Overlap);
}

#[test]
fn more_entries_than_any_export_has_are_refused_before_the_directory_is_read() {
    let mut bytes = archive(&[("_chat.txt", CHAT.as_bytes())]);
    let most = u16::try_from(limits::ENTRIES_MAX + 1)
        .unwrap()
        .to_le_bytes();
    let end = memchr::memmem::rfind(&bytes, b"PK\x05\x06").unwrap();
    bytes[end + 8..end + 12].copy_from_slice(&[most, most].concat());
    assert_eq!(refusal(&bytes), Refusal::TooManyEntries);
}

#[test]
fn a_cut_archive_is_refused_and_a_damaged_file_fails_its_checksum() {
    let bytes = archive(&[("_chat.txt", CHAT.as_bytes())]);
    for cut in 0..bytes.len() {
        assert!(open(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let bytes = archive_with(
        &[("_chat.txt", CHAT.as_bytes()), ("a.bin", b"content")],
        stored,
    );
    let mut export =
        Export::open(Archive::open(Cursor::new(forge(bytes, b"content", b"CONTENT"))).unwrap())
            .unwrap();
    let mut out = Vec::new();
    assert!(
        export
            .attachment(0, "a.bin", 100)
            .unwrap()
            .read_to_end(&mut out)
            .is_err()
    );
}

#[test]
fn an_archive_inside_an_archive_is_only_a_file() {
    let inner = archive(&[("_chat.txt", CHAT.as_bytes())]);
    assert!(matches!(
        open(&archive(&[("inner.zip", &inner)])),
        Err(ImportError::NoChat)
    ));
}

proptest::proptest! {
    #[test]
    fn a_tampered_archive_is_read_or_refused(
        changes in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), proptest::prelude::any::<u8>()), 1..6),
    ) {
        let mut bytes = archive(&[("_chat.txt", CHAT.as_bytes()), ("a/b.bin", b"content content")]);
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(mut export) = open(&bytes) {
            for (name, announced) in export.entries().to_vec().into_iter().map(|e| (e.name, e.bytes)) {
                let mut out = Vec::new();
                let read = export.attachment(0, &name, 1_000).map(|mut file| file.read_to_end(&mut out));
                proptest::prop_assert!(out.len() as u64 <= announced, "{read:?}");
            }
            if let Ok(files) = export.read(0) {
                let _ = export.import(0, &files, &Options::default());
            }
        }
    }
}
