use candour_wire::Digest;
use candour_wire::content::Source;
use proptest::prelude::*;

use super::*;
use crate::declaration::Origins;

fn message(text: &str, flags: &[&str]) -> Message {
    Message {
        at: None,
        author: Some("Alice Example".into()),
        text: text.into(),
        source_sha256: Some(Digest::of(text.as_bytes())),
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        redactions: Vec::new(),
    }
}

fn draft(texts: &[&str]) -> Draft {
    Draft {
        messages: texts.iter().map(|text| message(text, &[])).collect(),
        source: Some(Source {
            format: "signal_jsonl".into(),
            sha256: Some(Digest::of(b"file")),
            messages: 9,
            date_order: "fixed".into(),
            date_order_basis: None,
        }),
        ..Draft::default()
    }
}

fn passage(range: Range<usize>) -> Passage {
    Passage {
        range,
        reason: RedactionReason::ThirdPartyPersonal,
        note: None,
    }
}

fn passages(message: &Message, text: &str) -> Vec<Passage> {
    occurrences(message, text)
        .into_iter()
        .map(passage)
        .collect()
}

fn text(message: &Message) -> &str {
    // EXPOSE: the test's own words.
    message.text.expose()
}

fn places(message: &Message) -> Vec<u32> {
    message.redactions.iter().map(|r| r.at).collect()
}

#[test]
fn every_occurrence_goes_and_the_record_says_where_and_why() {
    let mut draft = draft(&["£5 à Zoë: ring Zoë on 07700 900123."]);
    let zoe = passages(&draft.messages[0], "Zoë");
    assert_eq!(zoe.len(), 2);
    assert_eq!(draft.redact(0, &zoe), Ok(0));
    let number = passages(&draft.messages[0], "07700 900123");
    draft.redact(0, &number).unwrap();
    let after = &draft.messages[0];
    assert_eq!(
        text(after),
        "£5 à [redacted]: ring [redacted] on [redacted]."
    );
    assert_eq!(places(after), [5, 22, 36]);
    assert_eq!(after.redactions[0].reason, zoe[0].reason);
    assert_eq!(check(after), Ok(()));
}

#[test]
fn what_the_author_wrote_is_no_redaction_and_a_mark_is_not_redacted_again() {
    let mut draft = draft(&["[redacted] said Bob to Ann"]);
    let bob = passages(&draft.messages[0], "Bob");
    draft.redact(0, &bob).unwrap();
    let after = draft.messages[0].clone();
    assert_eq!(text(&after), "[redacted] said [redacted] to Ann");
    assert_eq!(places(&after), [16]);
    let found = occurrences(&after, "redacted");
    assert_eq!((found.len(), found[0].start), (1, 1), "the author's own");
    assert_eq!(
        draft.redact(0, &[passage(18..20)]),
        Err(RedactionError::Overlap)
    );
    assert_eq!(draft.messages[0], after);
}

#[test]
fn a_passage_that_cannot_be_taken_out_changes_nothing() {
    let before = draft(&["Zoë is ill", "ok"]);
    let mut draft = before.clone();
    let other = |note: Option<&str>| Passage {
        reason: RedactionReason::Other,
        note: note.map(Into::into),
        ..passage(0..1)
    };
    let long = "n".repeat(limits::SHORT_TEXT_MAX_CHARS + 1);
    let cases = [
        (2, passage(0..1), RedactionError::NoSuchMessage),
        (0, passage(0..3), RedactionError::NotThere),
        (0, passage(4..99), RedactionError::NotThere),
        (0, passage(1..1), RedactionError::NotThere),
        (0, other(None), RedactionError::NoteMissing),
        (0, other(Some("  ")), RedactionError::NoteMissing),
        (0, other(Some(&long)), RedactionError::NoteTooLong),
        (1, passage(0..2), RedactionError::NothingLeft),
    ];
    for (place, wrong, error) in cases {
        assert_eq!(draft.redact(place, &[wrong]), Err(error));
        assert_eq!(draft, before, "{error}");
    }
    for (asked, error) in [
        ([5..7, 3..4], RedactionError::NotThere),
        ([0..4, 1..6], RedactionError::Overlap),
    ] {
        // Not even the passage that could be.
        assert_eq!(draft.redact(0, &asked.map(passage)), Err(error));
        assert_eq!(draft, before, "{error}");
    }
}

#[test]
fn a_message_of_which_only_marks_and_punctuation_would_be_left_is_left_out_instead() {
    for text in ["Zoë", " Zoë. ", "\u{200e}(Zoë!)\n"] {
        let mut draft = draft(&[text]);
        let all = passages(&draft.messages[0], "Zoë");
        assert_eq!(draft.redact(0, &all), Err(RedactionError::NothingLeft));
    }
    let mut draft = draft(&["Zoë 👍"]);
    let all = passages(&draft.messages[0], "Zoë");
    assert_eq!(draft.redact(0, &all), Ok(0));
}

#[test]
fn no_digest_and_no_earlier_wording_is_left_to_guess_from() {
    let mut origins = Origins::default();
    let mut origin = |text: &[u8]| Some(origins.next(Digest::of(text)));
    let mut draft = Draft {
        messages: vec![
            message("Other", &[]),
            message("Ring Zoe", &[EARLIER_WORDING]),
            message("Ring Zoë", &[EARLIER_WORDING]),
            message("Ring Zoë now", &["edited"]),
            message("Next, before", &[EARLIER_WORDING]),
            message("Next", &[]),
        ],
        origins: vec![origin(b"o"), None, None, origin(b"r"), None, origin(b"n")],
        ..draft(&[])
    };
    let kept = [draft.origins[0], draft.origins[3], None, draft.origins[5]];
    let zoe = passages(&draft.messages[3], "Zoë");
    assert_eq!(draft.redact(3, &zoe), Ok(2));
    let left: Vec<&str> = draft.messages.iter().map(text).collect();
    assert_eq!(
        left,
        ["Other", "Ring [redacted] now", "Next, before", "Next"]
    );
    assert_eq!(draft.origins, kept);
    assert_eq!(draft.messages[1].flags, ["edited", EARLIER_LEFT_OUT]);
    let digests = |draft: &Draft| -> Vec<bool> {
        let digests = draft.messages.iter().map(|m| m.source_sha256.is_some());
        digests.collect()
    };
    assert_eq!(digests(&draft), [true, false, true, true]);

    let before = passages(&draft.messages[2], "before");
    assert_eq!(draft.redact(2, &before), Ok(0), "a wording by itself");
    assert_eq!(draft.messages.len(), 4);
    assert_eq!(digests(&draft), [true, false, false, false]);
}

#[test]
fn redactions_that_do_not_fit_their_text_are_refused() {
    let redaction = |at: u32| Redaction {
        at,
        reason: RedactionReason::UnrelatedPrivate,
        note: None,
    };
    let with = |text: &str, at: &[u32]| Message {
        redactions: at.iter().map(|at| redaction(*at)).collect(),
        ..message(text, &[])
    };
    let text = "é [redacted] and [redacted]";
    assert_eq!(check(&with(text, &[2, 17])), Ok(()));
    for wrong in [&[3][..], &[17, 2], &[2, 2], &[99], &[u32::MAX]] {
        assert_eq!(
            check(&with(text, wrong)),
            Err(RedactionError::MarkMissing),
            "{wrong:?}"
        );
    }
    assert_eq!(
        check(&with("[redacted].", &[0])),
        Err(RedactionError::NothingLeft)
    );
    let marks: Vec<u32> = (0..101).map(|n| n * 10 + 1).collect();
    let many = with(&format!("a{}", REDACTED.repeat(101)), &marks);
    assert_eq!(check(&many), Err(RedactionError::TooMany));
}

/// A text, and passages of it that do not overlap.
fn text_and_passages() -> impl Strategy<Value = (String, Vec<Range<usize>>)> {
    (
        "[a-c é👍\\[\\]]{1,40}",
        prop::collection::vec(0..41_usize, 0..8),
    )
        .prop_map(|(text, cuts)| {
            let mut cuts: Vec<usize> = cuts
                .into_iter()
                .map(|cut| text.floor_char_boundary(cut.min(text.len())))
                .collect();
            cuts.sort_unstable();
            cuts.dedup();
            let passages = cuts.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect();
            (text, passages)
        })
}

proptest! {
    #[test]
    fn what_is_left_is_the_rest_of_the_text_and_the_marks_at_their_places((text, ranges) in text_and_passages()) {
        let asked: Vec<Passage> = ranges.iter().cloned().map(passage).collect();
        let mut at_once = draft(&[&format!("{text}z")]);
        at_once.redact(0, &asked).unwrap();
        let after = &at_once.messages[0];
        let mut rest: Vec<char> = super::tests::text(after).chars().collect();
        for redaction in after.redactions.iter().rev() {
            let at = redaction.at as usize;
            let mark: String = rest.drain(at..at + REDACTED.len()).collect();
            prop_assert_eq!(mark, REDACTED);
        }
        let kept = |byte: usize| ranges.iter().all(|range| !range.contains(&byte));
        let expected: String = text.char_indices().filter(|(byte, _)| kept(*byte)).map(|(_, c)| c).chain(['z']).collect();
        prop_assert_eq!(String::from_iter(rest), expected);
        prop_assert_eq!(check(after), Ok(()));

        let mut one_by_one = draft(&[&format!("{text}z")]);
        // From the right, so that the places of the others stay what they are.
        for passage in asked.into_iter().rev() {
            one_by_one.redact(0, &[passage]).unwrap();
        }
        prop_assert_eq!(one_by_one, at_once);
    }
}
