//! What the holder sees before confirming: everything that would leave this machine.

use std::collections::BTreeSet;

use candour_core::chat::meaning;
use candour_core::declaration::Draft;
use candour_wire::content::{Attachment, DeclarationContent, Message, Text};
use candour_wire::policy::Policy;
use candour_wire::time::{MessageTime, TimeConfidence};
use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::form::shown_person;
use crate::out::Out;
use crate::text;

/// Shows the exact content that would be declared, under the policy's names.
///
/// # Errors
///
/// When the output cannot be written.
pub(crate) fn show(
    out: &mut Out,
    content: &DeclarationContent,
    policy: Option<&Policy>,
) -> Result<(), Failure> {
    let channel = policy
        .and_then(|p| p.channels.iter().find(|c| c.id == content.channel))
        .map(|c| text::line(&c.name));
    let marking = policy
        .and_then(|p| p.markings.iter().find(|m| m.id == content.marking))
        .map(|m| text::line(&m.name));
    let mut pairs = vec![
        (
            "Channel",
            channel.unwrap_or_else(|| content.channel.to_string()),
        ),
        ("Direction", content.direction.label().to_owned()),
        ("When", time(&content.occurred)),
        (
            "Kind of information",
            content.significance.label().to_owned(),
        ),
        (
            "Marking",
            marking.unwrap_or_else(|| text::line(&content.marking)),
        ),
        ("Device", content.device.label().to_owned()),
        ("How it came here", content.capture.label().to_owned()),
        (
            "Disappearing messages",
            content.disappearing.label().to_owned(),
        ),
        ("Extent", content.extent.label().to_owned()),
    ];
    let declared_by = shown_person(&content.declared_by.name, content.declared_by.role.as_ref());
    // EXPOSE: the holder's preview.
    pairs.push(("Declared by", text::line(declared_by.expose())));
    if let Some(whom) = &content.on_behalf_of {
        // EXPOSE: the holder's preview.
        pairs.push((
            "On behalf of",
            text::line(shown_person(&whom.name, whom.role.as_ref()).expose()),
        ));
    }
    let people: Vec<String> = content
        .participants
        .iter()
        // EXPOSE: the holder's preview.
        .map(|p| text::line(shown_person(&p.name, p.role.as_ref()).expose()))
        .collect();
    if !people.is_empty() {
        pairs.push(("With", people.join(", ")));
    }
    push(&mut pairs, "Handling", content.handling.as_ref());
    push(&mut pairs, "Why this channel", content.reason.as_ref());
    push(
        &mut pairs,
        "Exceptional circumstances",
        content.exceptional_circumstances.as_ref(),
    );
    push(
        &mut pairs,
        "Note of the substance",
        content.substance.as_ref(),
    );
    if let Some(days) = content.late_days {
        pairs.push((
            "Late",
            format!("{days} days past the deadline; flagged, not refused"),
        ));
    }
    out.pairs(pairs)?;
    messages(out, &content.messages, Some(&content.occurred))?;
    files(out, &content.attachments)
}

/// Shows a draft as it stands, gaps and all.
///
/// # Errors
///
/// When the output cannot be written.
pub(crate) fn show_draft(out: &mut Out, draft: &Draft) -> Result<(), Failure> {
    let mut pairs = Vec::new();
    let mut word =
        |name, value: Option<String>| pairs.push((name, value.unwrap_or_else(|| "–".to_owned())));
    word("Channel", draft.channel.as_ref().map(ToString::to_string));
    word("Direction", draft.direction.map(|w| w.label().to_owned()));
    let first = draft.messages.iter().find_map(|m| m.at.as_ref());
    let occurred = draft.occurred.as_ref().or(first);
    word("When", occurred.map(time));
    word(
        "Kind of information",
        draft.significance.map(|w| w.label().to_owned()),
    );
    word("Marking", draft.marking.as_deref().map(text::line));
    word("Device", draft.device.map(|w| w.label().to_owned()));
    word(
        "Disappearing messages",
        draft.disappearing.map(|w| w.label().to_owned()),
    );
    word("Extent", draft.extent.map(|w| w.label().to_owned()));
    let people: Vec<String> = draft
        .participants
        .iter()
        // EXPOSE: the holder's own draft.
        .map(|p| text::line(shown_person(&p.name, p.role.as_ref()).expose()))
        .collect();
    word("With", (!people.is_empty()).then(|| people.join(", ")));
    push(&mut pairs, "Why this channel", draft.reason.as_ref());
    push(
        &mut pairs,
        "Exceptional circumstances",
        draft.exceptional_circumstances.as_ref(),
    );
    push(
        &mut pairs,
        "Note of the substance",
        draft.substance.as_ref(),
    );
    out.pairs(pairs)?;
    messages(out, &draft.messages, occurred)?;
    files(out, &draft.attachments)
}

/// The JSON of a content or a draft for programs, without the keys that open its files and the
/// digests that its messages are known by: a script that shows or logs it must not give them away.
pub(crate) fn to_json(content: &impl Serialize) -> Value {
    let mut json = serde_json::to_value(content).expect("texts, numbers and lists serialise");
    if let Some(members) = json.as_object_mut() {
        members.remove("origins");
    }
    let files = json.get_mut("attachments").and_then(Value::as_array_mut);
    for file in files.into_iter().flatten() {
        if let Some(file) = file.as_object_mut() {
            file.remove("key");
        }
    }
    json
}

/// A message's time as a person writes it, with what is doubtful about it.
pub(crate) fn time(time: &MessageTime) -> String {
    let doubt = doubt(time.confidence)
        .map(|doubt| format!(" ({doubt})"))
        .unwrap_or_default();
    format!(
        "{} {}{doubt}",
        time.wall.strftime("%-d %b %Y, %H:%M"),
        text::line(&time.zone)
    )
}

/// What is doubtful about a time, where it is one that the clocks had twice or never.
pub(crate) fn doubt(confidence: TimeConfidence) -> Option<&'static str> {
    match confidence {
        TimeConfidence::Exact | TimeConfidence::Inferred => None,
        TimeConfidence::Ambiguous => Some("the clocks went back: one of two"),
        TimeConfidence::Nonexistent => Some("the clocks went forward: no such time"),
    }
}

fn push(pairs: &mut Vec<(&'static str, String)>, name: &'static str, value: Option<&Text>) {
    if let Some(value) = value {
        // EXPOSE: the holder's preview.
        pairs.push((name, text::block(value.expose())));
    }
}

/// Shows messages, with the zone of those whose time is in another than that of `occurred`.
fn messages(
    out: &mut Out,
    messages: &[Message],
    occurred: Option<&MessageTime>,
) -> Result<(), Failure> {
    if messages.is_empty() {
        return Ok(());
    }
    let rows = messages
        .iter()
        .map(|message| {
            vec![
                message
                    .at
                    .as_ref()
                    .map(|at| when(at, occurred))
                    .unwrap_or_default(),
                // EXPOSE: the holder's preview.
                message
                    .author
                    .as_ref()
                    .map(|author| text::name(author.expose()))
                    .unwrap_or_default(),
                // EXPOSE: likewise.
                text::block(message.text.expose()),
                remarks(message).join(", "),
            ]
        })
        .collect();
    out.line("")?;
    out.table(&["When", "Who", "Message", "Remarks"], rows)?;
    let remarks: BTreeSet<&str> = messages
        .iter()
        .flat_map(|message| message.flags.iter().map(String::as_str))
        .collect();
    explain(out, remarks.into_iter())
}

/// When a message was sent. A message of the hour that came twice can be in UTC among others that
/// are not.
fn when(at: &MessageTime, occurred: Option<&MessageTime>) -> String {
    let wall = at.wall.strftime("%-d %b %Y, %H:%M");
    match occurred {
        Some(occurred) if occurred.zone == at.zone => wall.to_string(),
        _ => format!("{wall} {}", text::line(&at.zone)),
    }
}

/// What the import found about a message, and why passages of it were redacted.
fn remarks(message: &Message) -> Vec<String> {
    let flags = message
        .flags
        .iter()
        .map(|flag| text::line(flag).replace('_', " "));
    let redactions = message.redactions.iter().map(|redaction| {
        let why = redaction.reason.label().to_lowercase();
        // EXPOSE: the holder's preview.
        let note = redaction
            .note
            .as_ref()
            .map(|note| text::line(note.expose()));
        match note {
            Some(note) => format!("redacted: {why} ({note})"),
            None => format!("redacted: {why}"),
        }
    });
    let doubt = message.at.as_ref().and_then(|at| doubt(at.confidence));
    flags
        .chain(doubt.map(str::to_owned))
        .chain(redactions)
        .collect()
}

/// Says what remarks on messages mean.
///
/// # Errors
///
/// When the output cannot be written.
pub(crate) fn explain<'r>(
    out: &mut Out,
    remarks: impl Iterator<Item = &'r str>,
) -> Result<(), Failure> {
    let told: Vec<Vec<String>> = remarks
        .filter_map(|remark| Some(vec![remark.replace('_', " "), meaning(remark)?.to_owned()]))
        .collect();
    if told.is_empty() {
        return Ok(());
    }
    out.line("What the remarks mean:")?;
    out.table(&[], told)
}

fn files(out: &mut Out, files: &[Attachment]) -> Result<(), Failure> {
    if files.is_empty() {
        return Ok(());
    }
    let rows = files
        .iter()
        .map(|file| {
            // EXPOSE: the holder's preview.
            vec![
                text::line(file.name.expose()),
                file.size.to_string(),
                file.sha256.to_string(),
            ]
        })
        .collect();
    out.line("")?;
    out.table(&["File", "Bytes", "SHA-256"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_another_zone_than_the_rest_is_shown_with_it() {
        let at = |wall: &str, zone| MessageTime::at(wall.parse().unwrap(), zone).unwrap();
        let first = at("2024-10-27T00:10", "Europe/London");
        let second = at("2024-10-27T00:30", "Etc/UTC");
        assert_eq!(when(&first, Some(&first)), "27 Oct 2024, 00:10");
        assert_eq!(when(&second, Some(&first)), "27 Oct 2024, 00:30 Etc/UTC");
    }
}
