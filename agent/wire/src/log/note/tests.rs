use proptest::prelude::*;
use signed_note::{Note, Signature, StandardSigner, StandardVerifier, VerifierList};

use super::*;

const NAME: &str = "example.com/log";

fn signer(seed: u8) -> NoteSigner {
    NoteSigner::new(NAME, &Sensitive::new([seed; 32])).unwrap()
}

/// The example of golang.org/x/mod/sumdb/note, which C2SP signed-note describes.
const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\u{2014} PeterNeumann \
    x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

#[test]
fn the_published_example_opens() {
    let verifier: NoteVerifier = VKEY.parse().unwrap();
    assert_eq!(verifier.to_string(), VKEY);
    assert_eq!(verifier.open(NOTE), Ok(TEXT));
}

#[test]
fn the_examples_of_the_specification_have_the_right_form() {
    // C2SP signed-note, first page. Its public key is not published, so only the form can be read.
    let note = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\n\
        ed \u{e8} subito sera.\n\n\u{2014} quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO\
        /5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";
    let (text, signatures) = split(note).unwrap();
    assert!(
        text.ends_with("sole:\n\ned \u{e8} subito sera.\n"),
        "a text may have empty lines"
    );
    let (name, id, signature) = parse_signature(signatures).unwrap();
    assert_eq!(
        (name, id),
        ("quasimodo.example/salvatore", [0x36, 0x7b, 0xa0, 0x4b])
    );
    assert_eq!(signature.len(), 64);
    assert_eq!(signer(1).verifier().open(note), Err(NoteError::Unsigned));
}

#[test]
fn a_signature_has_a_name_and_something_behind_its_id() {
    let line = |name: &str, bytes: &[u8]| format!("{MARK}{name} {}", STANDARD.encode(bytes));
    assert!(parse_signature(&line("witness.example", &[1, 2, 3, 4, 5])).is_some());
    assert!(parse_signature(&line("witness.example", &[1, 2, 3, 4])).is_none());
    assert!(parse_signature(&line("", &[1, 2, 3, 4, 5])).is_none());
}

#[test]
fn a_note_may_be_as_long_as_the_limit_and_no_longer() {
    let signer = signer(1);
    let around = signer.sign("\n").unwrap().len() - 1;
    let of = |bytes: usize| "x".repeat(bytes - around - 1) + "\n";
    let note = signer.sign(&of(CHECKPOINT_MAX_BYTES)).unwrap();
    assert_eq!(note.len(), CHECKPOINT_MAX_BYTES);
    assert!(signer.verifier().open(&note).is_ok());
    let longer = note.replacen('x', "xx", 1);
    assert_eq!(signer.verifier().open(&longer), Err(NoteError::TooLong));
}

#[test]
fn a_signer_shows_its_public_half_only() {
    let shown = format!("{:?}", signer(1));
    assert!(shown.contains(NAME), "{shown}");
    assert!(
        !shown.contains("1, 1, 1") && !shown.contains("010101"),
        "{shown}"
    );
}

#[test]
fn signatures_by_others_are_ignored_even_with_the_same_name() {
    let (ours, stranger) = (signer(1), signer(2));
    let note = ours.sign("text\n").unwrap();
    let line = |note: &str| note.lines().last().unwrap().to_owned() + "\n";
    let witness = "\u{2014} witness.example AAAAAAAAAAAA\n";
    let others = line(&stranger.sign("another text\n").unwrap()) + witness;
    assert_eq!(
        ours.verifier().open(&(note.clone() + &others)),
        Ok("text\n")
    );
    let before = note.replace(&line(&note), &(others + &line(&note)));
    assert_eq!(ours.verifier().open(&before), Ok("text\n"));
    assert_eq!(stranger.verifier().open(&note), Err(NoteError::Unsigned));
}

#[test]
fn one_bad_signature_in_our_name_spoils_the_note() {
    let ours = signer(1);
    let (note, other) = (ours.sign("text\n").unwrap(), ours.sign("other\n").unwrap());
    let replayed = note.clone() + other.lines().last().unwrap() + "\n";
    assert_eq!(ours.verifier().open(&replayed), Err(NoteError::Signature));
    let altered = note.replacen("text", "test", 1);
    assert_eq!(ours.verifier().open(&altered), Err(NoteError::Signature));
}

#[test]
fn a_note_in_another_form_is_refused() {
    let ours = signer(1);
    let note = ours.sign("text\n").unwrap();
    let line = note.lines().last().unwrap();
    for bad in [
        String::new(),
        "\n".into(),
        "text\n".into(),
        format!("text\n{line}\n"),
        format!("text\n\n{line}"),
        format!("text\n\n{line}\n\n"),
        format!("text\n\n{line}\nmore\n"),
        format!("text\n\n{line} \n"),
        format!("text\r\n\n{line}\n"),
        format!("text\n\n{}\n", line.replace('\u{2014}', "-")),
        format!("text\n\n{}\n", line.trim_end_matches('=')),
        "text\n\n\u{2014} name AAAA\n".into(),
        "text\n\n\u{2014}  AAAAAAAA\n".into(),
    ] {
        let refusal = ours.verifier().open(&bad);
        assert!(
            matches!(refusal, Err(NoteError::Malformed | NoteError::Unsigned)),
            "{bad:?}"
        );
    }
}

#[test]
fn too_many_signatures_or_bytes_are_not_looked_at() {
    let ours = signer(1);
    let note = ours.sign("text\n").unwrap();
    let witnesses = |count: usize| note.clone() + &"\u{2014} witness AAAAAAAA\n".repeat(count);
    assert_eq!(
        ours.verifier().open(&witnesses(MAX_SIGNATURES - 1)),
        Ok("text\n")
    );
    assert_eq!(
        ours.verifier().open(&witnesses(MAX_SIGNATURES)),
        Err(NoteError::TooLong)
    );
    let long = "x".repeat(CHECKPOINT_MAX_BYTES) + "\n";
    assert_eq!(ours.sign(&long), Err(NoteError::TooLong));
}

#[test]
fn nothing_is_signed_that_would_read_back_as_another_text() {
    let ours = signer(1);
    let line = ours
        .sign("text\n")
        .unwrap()
        .lines()
        .last()
        .unwrap()
        .to_owned();
    for bad in ["", "no newline", "tab\there\n", &format!("text\n\n{line}")] {
        assert!(ours.sign(bad).is_err(), "{bad:?}");
    }
    assert!(ours.sign("two\n\nparagraphs\n").is_ok());
}

#[test]
fn names_and_keys_that_cannot_be_told_apart_in_text_are_refused() {
    for bad in [
        "",
        "a b",
        "a+b",
        "a\nb",
        "a\u{a0}b",
        "a\u{7f}",
        &"a".repeat(256),
    ] {
        assert_eq!(
            NoteVerifier::new(bad, [0; 32]),
            Err(InvalidNoteKey::Name),
            "{bad:?}"
        );
    }
    for (bad, why) in [
        ("", InvalidNoteKey::Malformed),
        ("name+c74f20a3", InvalidNoteKey::Malformed),
        ("name+c74f20a3+!", InvalidNoteKey::Malformed),
        ("name+c74f20a3+AQ==", InvalidNoteKey::Malformed),
        (&VKEY.replace("+ARpc", "+BRpc"), InvalidNoteKey::Malformed),
        (&VKEY.replace("Peter", "Petra"), InvalidNoteKey::Id),
        (&VKEY.replace("c74f", "C74F"), InvalidNoteKey::Id),
        (&VKEY.replace("Peter", "Peter "), InvalidNoteKey::Name),
    ] {
        assert_eq!(bad.parse::<NoteVerifier>(), Err(why), "{bad}");
    }
    let json = serde_json::to_string(signer(1).verifier()).unwrap();
    assert_eq!(
        serde_json::from_str::<NoteVerifier>(&json).unwrap(),
        *signer(1).verifier()
    );
    assert!(
        !format!("{:?}", signer(0xab)).contains("171, 171"),
        "a seed never shows"
    );
}

fn theirs(vkey: &str) -> VerifierList {
    VerifierList::new(vec![Box::new(StandardVerifier::new(vkey).unwrap())])
}

proptest! {
    #[test]
    fn the_other_implementation_opens_and_makes_the_same_notes(
        seed in any::<[u8; 32]>(), name in "[a-z./]{1,20}", text in "([ -~\u{e8}\u{2014}]{0,30}\n){1,4}",
    ) {
        let ours = NoteSigner::new(&name, &Sensitive::new(seed)).unwrap();
        let note = ours.sign(&text).unwrap();
        let read = Note::from_bytes(note.as_bytes()).unwrap();
        prop_assert_eq!(read.text(), text.as_bytes());
        let (verified, unverified) = read.verify(&theirs(&ours.verifier().to_string())).unwrap();
        prop_assert_eq!((verified.len(), unverified.len()), (1, 0));

        let key = STANDARD.encode([&[ED25519_TYPE], seed.as_slice()].concat());
        let id = hex_id(ours.verifier().id());
        let their_signer = StandardSigner::new(&format!("PRIVATE+KEY+{name}+{id}+{key}")).unwrap();
        let mut made = Note::new(text.as_bytes(), &[] as &[Signature]).unwrap();
        made.add_sigs(&[&their_signer]).unwrap();
        prop_assert_eq!(made.to_bytes(), note.into_bytes());
    }

    #[test]
    fn opening_never_panics_and_never_accepts_what_the_other_implementation_refuses(
        head in "\\PC{0,20}\n{0,3}", at in any::<prop::sample::Index>(), byte in "[\\PC\n]{0,3}",
    ) {
        let ours = signer(1);
        let mut note = ours.sign("text\n\nmore\n").unwrap();
        let positions: Vec<usize> =
            note.char_indices().map(|(at, _)| at).chain([note.len()]).collect();
        note.insert_str(positions[at.index(positions.len())], &byte);
        for note in [&note, &format!("{head}{note}"), &head] {
            if let Ok(text) = ours.verifier().open(note) {
                let read = Note::from_bytes(note.as_bytes()).unwrap();
                prop_assert_eq!(read.text(), text.as_bytes());
                prop_assert!(read.verify(&theirs(&ours.verifier().to_string())).is_ok());
            }
        }
    }
}
