//! Passages that are taken out of picked messages before anything is declared or kept.

use candour_core::chat::Picked;
use candour_core::declaration::RedactionError;
use candour_wire::Code;
use candour_wire::content::{RedactionReason, Text};

use crate::args::Picking;
use crate::ask;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::{out, text};

/// Takes out what `--redact` names.
///
/// # Errors
///
/// When a passage cannot be read or taken out, or nobody says why it goes.
pub(super) fn asked(
    picked: &mut Picked,
    places: &[usize],
    picking: &Picking,
    inputs: &mut Inputs,
    may_ask: bool,
) -> Result<(), Failure> {
    if picking.redact.is_empty() {
        return Ok(());
    }
    let mut wanted = Vec::new();
    for value in &picking.redact {
        let text = inputs.flag(value)?;
        // EXPOSE: split into the texts that keep it.
        for line in text.expose().lines().filter(|line| !line.is_empty()) {
            wanted.push(wanted_of(line)?);
        }
    }
    let why = match picking.redact_why {
        Some(why) => why,
        None if may_ask => reason()?,
        None => {
            return Err(Failure::Usage(
                "say with --redact-why why passages are redacted".into(),
            ));
        }
    };
    let note = picking
        .redact_note
        .as_deref()
        .map(|note| inputs.flag(note))
        .transpose()?;
    for (place, passage) in &wanted {
        let left_out = picked
            .redact(*place, passage, why, note.as_ref())
            .map_err(|error| refused(*place, error))?;
        tell(*place, left_out);
    }
    for (place, passage) in &wanted {
        tell_elsewhere(picked, places, *place, passage);
    }
    Ok(())
}

/// Asks at the terminal what is to be taken out.
///
/// # Errors
///
/// When the holder breaks off.
pub(super) fn by_hand(picked: &mut Picked, places: &[usize]) -> Result<(), Failure> {
    let mut question = "Is anything of somebody else's to be redacted?";
    while ask::confirm(question)? {
        question = "Anything else?";
        let place = match places {
            [only] => *only,
            _ => {
                let items = places.iter().filter_map(|place| {
                    // EXPOSE: the holder's own export, shown to the holder.
                    let said = picked.text(*place)?.expose();
                    Some(ask::Item {
                        line: format!("{}  {said}", place + 1),
                        words: said.clone(),
                        value: *place,
                    })
                });
                ask::one_of("In which message?", items.collect())?
            }
        };
        // EXPOSE: likewise; the list shows its beginning, and all of it is needed to quote from.
        if let Some(said) = picked.text(place) {
            out::note(&text::block(said.expose()));
        }
        let Some(passage) = ask::answer("Which words, exactly as they stand there?")? else {
            continue;
        };
        let why = reason()?;
        let note = match why {
            RedactionReason::Other => ask::answer("Which reason, in a few words?")?,
            _ => None,
        };
        match picked.redact(place, &passage, why, note.as_ref()) {
            Ok(left_out) => {
                tell(place, left_out);
                tell_elsewhere(picked, places, place, &passage);
            }
            Err(error) => out::note(&format!("Not redacted: {error}.")),
        }
    }
    Ok(())
}

/// Reads `12:PASSAGE`. What it says is not repeated in an error.
fn wanted_of(line: &str) -> Result<(usize, Text), Failure> {
    let read = line.split_once(':').and_then(|(number, passage)| {
        let place = number.trim().parse::<usize>().ok()?.checked_sub(1)?;
        (!passage.is_empty()).then(|| (place, Text::from(passage)))
    });
    read.ok_or_else(|| {
        Failure::Usage(
            "--redact: write it as 12:PASSAGE, with the number that the list gives the message"
                .into(),
        )
    })
}

fn reason() -> Result<RedactionReason, Failure> {
    let items = RedactionReason::ALL.iter().map(|why| ask::Item {
        line: why.label().to_owned(),
        words: String::new(),
        value: *why,
    });
    ask::one_of("Why is it redacted?", items.collect())
}

fn refused(place: usize, error: RedactionError) -> Failure {
    let hint = match error {
        RedactionError::NotThere => " exactly so, capitals and blanks included",
        RedactionError::NoSuchMessage => "; only picked messages can be redacted",
        _ => "",
    };
    Failure::Found {
        code: Code::RedactionInvalid,
        detail: format!("message {}: {error}{hint}", place.saturating_add(1)),
    }
}

fn tell(place: usize, left_out: usize) {
    if left_out > 0 {
        out::note(&format!(
            "Message {}: {} left out, which would show what is redacted.",
            place + 1,
            text::count(
                left_out as u64,
                "earlier wording is",
                "earlier wordings are"
            ),
        ));
    }
}

/// Says where else the passage stands: one that is taken out of one message only says little.
fn tell_elsewhere(picked: &Picked, places: &[usize], place: usize, passage: &Text) {
    let others: Vec<String> = places
        .iter()
        .filter(|other| **other != place)
        .filter(|other| {
            let said = picked.text(**other);
            // EXPOSE: looked for in the holder's own draft.
            said.is_some_and(|said| said.expose().contains(passage.expose().as_str()))
        })
        .map(|other| (other + 1).to_string())
        .collect();
    if !others.is_empty() {
        out::note(&format!(
            "What is redacted in message {} stands in {} too.",
            place + 1,
            others.join(", ")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_is_named_with_its_message_and_never_repeated_in_an_error() {
        let (place, passage) = wanted_of("12:0207 946 0000: ask for Zoë").unwrap();
        // EXPOSE: the test's own words.
        assert_eq!(
            (place, passage.expose().as_str()),
            (11, "0207 946 0000: ask for Zoë")
        );
        for bad in [
            "0207 946 0000",
            "0:x",
            "12:",
            ":x",
            "-1:x",
            "99999999999999999999:x",
        ] {
            let told = wanted_of(bad).unwrap_err().to_string();
            assert!(
                !told.contains("0207") && told.contains("12:PASSAGE"),
                "{told}"
            );
        }
    }
}
