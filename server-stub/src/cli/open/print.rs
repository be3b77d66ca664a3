//! Showing an opened record.

use candour_wire::content::{DeclarationContent, Message, Person, Text};
use candour_wire::record::Record;
use candour_wire::time::{MessageTime, TimeConfidence};
use serde_json::{Value, json};

use super::Content;
use crate::cli::output;
use crate::store::StoredRecord;

/// Everything, for programs.
pub(super) fn as_json(stored: &StoredRecord, record: &Record, content: &Content) -> Value {
    let content = match content {
        Content::Declared(declared) => serde_json::to_value(declared),
        Content::Withdrawn(withdrawn) => serde_json::to_value(withdrawn),
    };
    json!({
        "id": stored.id,
        "kind": stored.kind,
        "department": stored.department,
        "handset": stored.handset,
        "seq": stored.seq,
        "created": record.created,
        "received": stored.received,
        "policy": record.policy,
        "log_index": stored.index,
        "refers_to": record.body.refers_to(),
        "signature": "verified",
        "content": content.expect("content is plain data"),
    })
}

/// What a person reads.
pub(super) fn as_text(stored: &StoredRecord, record: &Record, content: &Content) -> String {
    let mut page = Page::default();
    page.row("Record", stored.id.to_string());
    page.row("Kind", stored.kind.as_str().to_owned());
    page.row("Department", stored.department.to_string());
    page.row(
        "Handset",
        format!("{}, number {} of its records", stored.handset, stored.seq),
    );
    page.row("Signature", "verified with the handset's key".to_owned());
    page.row("Made", output::time(record.created));
    page.row("Received", output::time(stored.received));
    page.row("Log index", stored.index.to_string());
    if let Some(id) = record.body.refers_to() {
        page.row("About", id.to_string());
    }
    match content {
        Content::Declared(declared) => declaration(&mut page, declared),
        Content::Withdrawn(withdrawn) => {
            page.row("Withdrawn by", person(&withdrawn.declared_by));
            page.text("Reason", Some(&withdrawn.reason));
        }
    }
    output::clean(page.0.trim_end())
}

fn declaration(page: &mut Page, content: &DeclarationContent) {
    page.row("Channel", content.channel.to_string());
    page.row("Direction", content.direction.label().to_owned());
    page.row("Took place", time(&content.occurred));
    page.row("Marking", content.marking.to_uppercase());
    page.text("Handling", content.handling.as_ref());
    page.row("Significance", content.significance.label().to_owned());
    page.row("Device", content.device.label().to_owned());
    page.row("Captured as", content.capture.label().to_owned());
    page.row("Extent", content.extent.label().to_owned());
    page.row("Disappearing", content.disappearing.label().to_owned());
    page.row("Declared by", person(&content.declared_by));
    if let Some(principal) = &content.on_behalf_of {
        page.row("On behalf of", person(principal));
    }
    if let Some(days) = content.late_days {
        page.row("Late", format!("by {days} days"));
    }
    page.text("Reason", content.reason.as_ref());
    page.text("Exception", content.exceptional_circumstances.as_ref());
    for participant in &content.participants {
        page.row(
            "Participant",
            named(&participant.name, participant.role.as_ref()),
        );
    }
    page.text("Substance", content.substance.as_ref());
    for file in &content.attachments {
        // EXPOSE: shown to the records officer, whose reason has been audited.
        page.row(
            "File",
            format!("{} ({} bytes)", file.name.expose(), file.size),
        );
    }
    if !content.messages.is_empty() {
        page.0.push('\n');
    }
    for message in &content.messages {
        page.message(message);
    }
}

fn person(person: &Person) -> String {
    named(&person.name, person.role.as_ref())
}

fn named(name: &Text, role: Option<&Text>) -> String {
    // EXPOSE: shown to the records officer, whose reason has been audited.
    let role = role
        .map(|role| format!(", {}", role.expose()))
        .unwrap_or_default();
    // EXPOSE: as above.
    format!("{}{role}", name.expose())
}

fn time(time: &MessageTime) -> String {
    let doubt = match time.confidence {
        TimeConfidence::Exact => "",
        TimeConfidence::Ambiguous => " (the hour that came twice)",
        TimeConfidence::Nonexistent => " (an hour that did not exist)",
        TimeConfidence::Inferred => " (inferred)",
    };
    format!(
        "{} {}{doubt}",
        time.wall.strftime("%Y-%m-%d %H:%M"),
        time.zone
    )
}

/// Lines with a label each; text of several lines is indented under it.
#[derive(Default)]
struct Page(String);

impl Page {
    fn row(&mut self, label: &str, value: String) {
        let value = value.replace('\n', "\n              ");
        self.0.push_str(&format!("{label:<13} {value}\n"));
    }

    fn text(&mut self, label: &str, text: Option<&Text>) {
        if let Some(text) = text {
            // EXPOSE: shown to the records officer, whose reason has been audited.
            self.row(label, text.expose().clone());
        }
    }

    fn message(&mut self, message: &Message) {
        let at = message.at.as_ref().map_or_else(String::new, time);
        // EXPOSE: shown to the records officer, whose reason has been audited.
        let author = message
            .author
            .as_ref()
            .map_or("(the app)", |author| author.expose().as_str());
        // EXPOSE: as above.
        let text = message.text.expose().replace('\n', "\n  ");
        self.0.push_str(&format!("[{at}] {author}:\n  {text}\n"));
        if !message.flags.is_empty() {
            let flags = message.flags.join(", ").replace('_', " ");
            self.0.push_str(&format!("  (remarks: {flags})\n"));
        }
        for (redaction, number) in message.redactions.iter().zip(1_usize..) {
            // EXPOSE: as above.
            let note = redaction.note.as_ref().map(|note| note.expose().as_str());
            let why = redaction.reason.label();
            let note = note.map(|note| format!(": {note}")).unwrap_or_default();
            self.0
                .push_str(&format!("  (redaction {number}, {why}{note})\n"));
        }
    }
}
