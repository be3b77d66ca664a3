//! The two chats that ship with Candour, from the archives that phones would make of them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use candour_import::{Archive, Export, Layout, Options};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn folder(platform: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/whatsapp")
        .join(platform)
}

/// Zips a fixture's files, flat, as WhatsApp does.
fn export(platform: &str) -> Export<Archive<Cursor<Vec<u8>>>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for file in fs::read_dir(folder(platform)).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        writer
            .start_file(name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(&fs::read(file.path()).unwrap()).unwrap();
    }
    Export::open(Archive::open(writer.finish().unwrap()).unwrap()).unwrap()
}

/// Reads a fixture; says its title, its rows by kind, its authors, and how many rows are doubtful
/// or edited, after fetching every file that a message names.
fn read(
    platform: &str,
) -> (
    Layout,
    String,
    BTreeMap<&'static str, usize>,
    Vec<String>,
    usize,
    usize,
) {
    let mut export = export(platform);
    let files = export.read(0).unwrap();
    let chat = export.import(0, &files, &Options::default()).unwrap();
    let mut kinds = BTreeMap::new();
    let mut authors = Vec::new();
    for message in chat.messages() {
        *kinds.entry(message.kind().as_str()).or_insert(0) += 1;
        authors.extend(message.author().map(|author| author.into_owned()));
        if let Some(name) = message.attachment_name() {
            let mut file = Vec::new();
            export
                .attachment(0, &name, 1_000)
                .unwrap()
                .read_to_end(&mut file)
                .unwrap();
            assert_eq!(file, fs::read(folder(platform).join(&*name)).unwrap());
        }
    }
    authors.sort();
    authors.dedup();
    let edited = chat
        .messages()
        .filter(|message| message.is_edited())
        .count();
    let title = chat.title().unwrap().to_owned();
    (
        chat.layout().unwrap(),
        title,
        kinds,
        authors,
        chat.doubtful(),
        edited,
    )
}

#[test]
fn the_android_fixture_is_read_whole_and_without_doubt() {
    let (layout, title, kinds, authors, doubtful, edited) = read("android");
    assert_eq!(layout, Layout::AndroidDash);
    assert_eq!(title, "Budget Bill core team");
    let expected = [
        ("deleted", 1),
        ("location", 1),
        ("media", 1),
        ("omitted", 1),
        ("system", 5),
        ("text", 20),
    ];
    assert_eq!(kinds, BTreeMap::from(expected));
    let people = [
        "Alice Example",
        "Chloë Ngata-Świątek",
        "Gareth Enghraifft",
        "Priya Sample",
        "Tom O'Specimen",
    ];
    assert_eq!(authors, people);
    assert_eq!((doubtful, edited), (0, 1));
}

#[test]
fn the_ios_fixture_is_read_whole_and_without_doubt() {
    let (layout, title, kinds, authors, doubtful, edited) = read("ios");
    assert_eq!(layout, Layout::IosBrackets);
    assert_eq!(title, "PS Minister duty");
    let expected = [
        ("deleted", 1),
        ("media", 1),
        ("notice", 1),
        ("omitted", 1),
        ("poll", 1),
        ("system", 4),
        ("text", 16),
    ];
    assert_eq!(kinds, BTreeMap::from(expected));
    let people = [
        "Gareth Enghraifft",
        "Priya Sample",
        "~\u{202f}Dev P",
        "\u{202a}+44\u{a0}7700\u{a0}900123\u{202c}",
    ];
    assert_eq!(authors, people);
    assert_eq!((doubtful, edited), (0, 1));
}
