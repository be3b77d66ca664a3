use proptest::prelude::*;

use super::*;
use crate::sensitive::Sensitive;

const ORIGIN: &str = "candour.hm-treasury.example/log";

fn signer() -> LogSigner {
    LogSigner::new(ORIGIN, &Sensitive::new([1; 32])).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        origin: ORIGIN.into(),
        size: 20_852_163,
        root: Digest::of(b"root"),
        time: "2026-11-22T10:00:00Z".parse().unwrap(),
    }
}

/// Opens a note with this text, which the log's key did sign.
fn open_text(text: &str) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::open(&signer().sign(text).unwrap(), signer().verifier())
}

#[test]
fn a_signed_checkpoint_has_the_documented_lines_and_opens() {
    let note = checkpoint().sign(&signer()).unwrap();
    let lines: Vec<&str> = note.lines().take(5).collect();
    let root = STANDARD.encode(Digest::of(b"root").0);
    assert_eq!(
        lines,
        [
            ORIGIN,
            "20852163",
            root.as_str(),
            "time 2026-11-22T10:00:00Z",
            ""
        ]
    );
    assert_eq!(
        Checkpoint::open(&note, signer().verifier()),
        Ok(checkpoint())
    );
}

#[test]
fn another_logs_key_or_name_is_refused() {
    let note = checkpoint().sign(&signer()).unwrap();
    let stranger = LogSigner::new(ORIGIN, &Sensitive::new([2; 32])).unwrap();
    assert_eq!(
        Checkpoint::open(&note, stranger.verifier()),
        Err(CheckpointError::Note(NoteError::Unsigned))
    );
    let elsewhere = Checkpoint {
        origin: "other.example/log".into(),
        ..checkpoint()
    };
    assert_eq!(elsewhere.sign(&signer()), Err(CheckpointError::Origin));
    assert_eq!(
        open_text(&elsewhere.to_text()),
        Err(CheckpointError::Origin)
    );
}

#[test]
fn unknown_extension_lines_are_ignored() {
    let text = checkpoint().to_text() + "colour blue\n";
    assert_eq!(open_text(&text), Ok(checkpoint()));
}

#[test]
fn signed_texts_in_another_form_are_refused() {
    let good = checkpoint().to_text();
    assert_eq!(open_text(&good), Ok(checkpoint()));
    let root = STANDARD.encode(Digest::of(b"root").0);
    for (from, to) in [
        ("20852163", "020852163"),
        ("20852163", "+20852163"),
        ("20852163", "-1"),
        ("20852163", ""),
        ("20852163", "9223372036854775808"),
        ("20852163", "18446744073709551616"),
        (root.as_str(), "AAAA"),
        (&root[42..], "J="),
        ("time 2026-11-22T10:00:00Z\n", ""),
        ("10:00:00Z", "10:00:00.5Z"),
        ("10:00:00Z", "10:00:00+00:00"),
        ("10:00:00Z", "25:00:00Z"),
        ("10:00:00Z\n", "10:00:00Z\ntime 2026-11-22T10:00:01Z\n"),
        ("10:00:00Z\n", "10:00:00Z\n\n"),
        ("\ntime", "\n\ntime"),
    ] {
        assert!(good.contains(from), "{from:?}");
        let text = good.replacen(from, to, 1);
        assert_eq!(
            open_text(&text),
            Err(CheckpointError::Malformed),
            "{from:?} -> {to:?}"
        );
    }
    assert_eq!(open_text("\n"), Err(CheckpointError::Malformed));
}

#[test]
fn nothing_is_signed_that_would_not_open() {
    let huge = Checkpoint {
        size: MAX_SIZE + 1,
        ..checkpoint()
    };
    assert_eq!(huge.sign(&signer()), Err(CheckpointError::Malformed));
    let ancient = Checkpoint {
        time: Timestamp::MIN,
        ..checkpoint()
    };
    assert_eq!(ancient.sign(&signer()), Err(CheckpointError::Malformed));
}

proptest! {
    #[test]
    fn the_other_implementation_reads_the_same(
        size in 0..=MAX_SIZE, root in any::<[u8; 32]>(), second in 0..4_000_000_000_i64,
    ) {
        let time = Timestamp::from_second(second).unwrap();
        let ours = Checkpoint { origin: ORIGIN.into(), size, root: Digest(root), time };
        let theirs = tlog_tiles::Checkpoint::from_bytes(ours.to_text().as_bytes()).unwrap();
        prop_assert_eq!(theirs.origin(), ORIGIN);
        prop_assert_eq!(theirs.size(), size);
        prop_assert_eq!(theirs.hash().0, root);
        prop_assert_eq!(open_text(&ours.to_text()), Ok(ours));
    }

    #[test]
    fn reading_never_panics(text in "(\\PC{0,20}\n){0,6}") {
        prop_assert_eq!(Checkpoint::from_text(&text), None);
    }
}
