//! From flags to a draft. What flags say replaces what the draft said.

use candour_core::declaration::{Draft, refuse_above_official_sensitive};
use candour_wire::content::{Message, Participant, Person, Text};
use candour_wire::time::MessageTime;
use candour_wire::{Code, Sensitive};

use crate::args::{Fields, Source};
use crate::failure::Failure;
use crate::inputs::Inputs;

/// Reads the draft that `--draft-file` names, or begins an empty one, and adds the pasted text.
///
/// # Errors
///
/// When a file cannot be read or is not a draft.
pub(crate) fn begin(source: &Source, base: Draft, inputs: &mut Inputs) -> Result<Draft, Failure> {
    let mut draft = match &source.draft_file {
        None => base,
        Some(path) => {
            let json = inputs.file(path)?;
            // EXPOSE: read into the type that keeps it.
            serde_json::from_str(json.expose()).map_err(|error| Failure::Found {
                code: Code::UsageInvalid,
                detail: format!(
                    "{} is not a draft (line {}, column {})",
                    path.display(),
                    error.line(),
                    error.column()
                ),
            })?
        }
    };
    if let Some(path) = &source.text_file {
        draft.messages.push(pasted(inputs.file(path)?));
    }
    Ok(draft)
}

/// Pasted text as a message: nobody knows who wrote which part of it.
pub(crate) fn pasted(text: Text) -> Message {
    Message {
        at: None,
        author: None,
        text,
        source_sha256: None,
        flags: Vec::new(),
        redactions: Vec::new(),
    }
}

/// Puts what the flags say into the draft. Nothing is stored; the marking is looked at first
/// (invariant I7).
///
/// # Errors
///
/// When a text cannot be read, a time or zone is not valid, or the marking is too high.
pub(crate) fn fill(
    draft: &mut Draft,
    fields: &Fields,
    zone: &str,
    inputs: &mut Inputs,
) -> Result<(), Failure> {
    set(&mut draft.marking, fields.marking.clone());
    set(
        &mut draft.handling,
        text(fields.handling.as_deref(), inputs)?,
    );
    refuse_above_official_sensitive(draft)?;

    set(&mut draft.channel, fields.channel.clone());
    set(&mut draft.direction, fields.direction);
    set(&mut draft.significance, fields.significance);
    set(&mut draft.device, fields.device);
    set(&mut draft.disappearing, fields.disappearing);
    set(&mut draft.extent, fields.extent);
    set(&mut draft.capture, fields.capture);
    set(&mut draft.reason, text(fields.reason.as_deref(), inputs)?);
    set(
        &mut draft.exceptional_circumstances,
        text(fields.exception.as_deref(), inputs)?,
    );
    if let Some(wall) = fields.occurred {
        draft.occurred = Some(given_time(wall, fields.zone.as_deref().unwrap_or(zone))?);
    }
    for name in &fields.with {
        let Person { name, role } = person(inputs.flag(name)?);
        draft.participants.push(Participant { name, role });
    }
    if let Some(by) = &fields.by {
        draft.declared_by = Some(person(inputs.flag(by)?));
    }
    if let Some(whom) = &fields.on_behalf_of {
        draft.on_behalf_of = Some(person(inputs.flag(whom)?));
    }
    if let Some(path) = &fields.note_file {
        draft.substance = Some(inputs.file(path)?);
    }
    Ok(())
}

/// A time that the holder gave. It stays marked as such, unless the clocks themselves make it
/// ambiguous or nonexistent, which says more.
///
/// # Errors
///
/// When the zone is unknown.
pub(crate) fn given_time(wall: jiff::civil::DateTime, zone: &str) -> Result<MessageTime, Failure> {
    use candour_wire::time::TimeConfidence;
    let mut time = MessageTime::at(wall, zone).map_err(|unknown| Failure::Found {
        code: Code::TimeInvalid,
        detail: format!("--zone {zone}: {unknown}"),
    })?;
    if time.confidence == TimeConfidence::Exact {
        time.confidence = TimeConfidence::Inferred;
    }
    Ok(time)
}

/// Reads `Name (Role)`.
pub(crate) fn person(text: Text) -> Person {
    // EXPOSE: split into the two texts that keep it.
    let text = text.expose().trim();
    let split = text
        .strip_suffix(')')
        .and_then(|rest| rest.rsplit_once(" ("));
    match split {
        Some((name, role)) if !name.trim().is_empty() && !role.trim().is_empty() => Person {
            name: name.trim().into(),
            role: Some(role.trim().into()),
        },
        _ => Person {
            name: text.into(),
            role: None,
        },
    }
}

/// Name and role as [`person`] reads them.
pub(crate) fn shown_person(name: &Text, role: Option<&Text>) -> Sensitive<String> {
    // EXPOSE: shown to the holder, who gave it.
    let name = name.expose();
    match role {
        // EXPOSE: likewise.
        Some(role) => Sensitive::new(format!("{name} ({})", role.expose())),
        None => Sensitive::new(name.clone()),
    }
}

fn set<T>(field: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *field = value;
    }
}

fn text(value: Option<&str>, inputs: &mut Inputs) -> Result<Option<Text>, Failure> {
    value.map(|value| inputs.flag(value)).transpose()
}

#[cfg(test)]
mod tests {
    use candour_wire::content::Direction;
    use candour_wire::time::TimeConfidence;

    use super::*;

    fn filled(fields: Fields) -> Result<Draft, Failure> {
        let mut draft = Draft {
            direction: Some(Direction::Sent),
            ..Draft::default()
        };
        fill(&mut draft, &fields, "Europe/London", &mut Inputs::default()).map(|()| draft)
    }

    #[test]
    fn a_person_is_a_name_and_perhaps_a_role() {
        let read = |text: &str| {
            let person = person(text.into());
            // EXPOSE: the test's own name and role.
            let role = person.role.map(|role| role.expose().clone());
            // EXPOSE: likewise.
            (person.name.expose().clone(), role)
        };
        assert_eq!(
            read("Priya Patel (Special adviser)"),
            ("Priya Patel".into(), Some("Special adviser".into()))
        );
        assert_eq!(read(" Priya Patel "), ("Priya Patel".into(), None));
        assert_eq!(
            read("(Special adviser)"),
            ("(Special adviser)".into(), None)
        );
        assert_eq!(read("A (b) (C d)"), ("A (b)".into(), Some("C d".into())));
    }

    #[test]
    fn flags_replace_what_the_draft_said_and_leave_the_rest() {
        let fields = Fields {
            marking: Some("official".into()),
            with: vec!["Bob (Adviser)".into()],
            ..Fields::default()
        };
        let draft = filled(fields).unwrap();
        assert_eq!(draft.direction, Some(Direction::Sent));
        assert_eq!(draft.marking.as_deref(), Some("official"));
        assert_eq!(draft.participants.len(), 1);
        let draft = filled(Fields {
            direction: Some(Direction::Both),
            ..Fields::default()
        })
        .unwrap();
        assert_eq!(draft.direction, Some(Direction::Both));
    }

    #[test]
    fn a_marking_that_is_too_high_is_refused_before_any_file_is_read() {
        let fields = Fields {
            marking: Some("UK SECRET".into()),
            reason: Some("@/nowhere/at/all".into()),
            ..Fields::default()
        };
        assert_eq!(
            filled(fields).expect_err("it is too high").code(),
            Code::MarkingTooHigh
        );
    }

    #[test]
    fn a_time_that_the_holder_gives_stays_marked_as_given() {
        let occurred = |wall: &str, zone: Option<&str>| {
            let fields = Fields {
                occurred: Some(wall.parse().unwrap()),
                zone: zone.map(str::to_owned),
                ..Fields::default()
            };
            filled(fields).map(|draft| draft.occurred.unwrap())
        };
        assert_eq!(
            occurred("2026-11-20T14:30", None).unwrap().confidence,
            TimeConfidence::Inferred
        );
        assert_eq!(
            occurred("2026-10-25T01:30", None).unwrap().confidence,
            TimeConfidence::Ambiguous
        );
        let unknown =
            occurred("2026-11-20T14:30", Some("Europe/Atlantis")).expect_err("no such zone");
        assert_eq!(unknown.code(), Code::TimeInvalid);
    }

    #[test]
    fn a_draft_file_that_is_no_draft_is_placed_without_quoting_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("draft.json");
        std::fs::write(&path, "{\n  \"direction\": \"the minister said\" }").unwrap();
        let source = Source {
            draft_file: Some(path),
            ..Source::default()
        };
        let told = begin(&source, Draft::default(), &mut Inputs::default())
            .expect_err("no draft")
            .to_string();
        assert!(
            told.contains("line 2") && !told.contains("minister"),
            "{told}"
        );
    }
}
