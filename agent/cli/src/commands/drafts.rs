//! `candour drafts`.

use candour_core::declaration::Draft;
use candour_wire::RecordId;
use jiff::Timestamp;
use serde_json::json;

use super::declare::{Job, fill, proceed};
use super::{Context, when};
use crate::args::{Drafts, DraftsCommand, DraftsDeclare};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::{form, preview, text};

pub(super) fn drafts(context: &mut Context<'_>, args: Drafts) -> Result<Exit, Failure> {
    match args.command.unwrap_or(DraftsCommand::List) {
        DraftsCommand::List => list(context),
        DraftsCommand::Show { draft } => show(context, draft),
        DraftsCommand::Delete { draft } => {
            context.open()?.delete_draft(draft)?;
            context.out.line(format!("Draft {draft} is deleted."))?;
            context.out.json(&json!({ "deleted": draft }))?;
            Ok(Exit::Done)
        }
        DraftsCommand::Declare(args) => declare(context, &args),
    }
}

fn list(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let agent = context.open()?;
    let drafts = agent.drafts()?;
    super::tell_set_aside(&agent)?;
    if drafts.is_empty() {
        context.out.line("There are no drafts.")?;
    } else {
        let config = agent.config();
        let rows = drafts
            .iter()
            .map(|(id, draft)| {
                let begun = begun(*id).map(|at| when(at, config)).unwrap_or_default();
                vec![
                    id.to_string(),
                    begun,
                    draft
                        .as_ref()
                        .map_or_else(|| "cannot be read".to_owned(), describe),
                ]
            })
            .collect();
        context.out.table(&["Draft", "Begun", "What"], rows)?;
    }
    let listed: Vec<_> = drafts
        .iter()
        .map(|(id, draft)| json!({ "id": id, "draft": draft.as_ref().map(preview::to_json) }))
        .collect();
    context.out.json(&listed)?;
    Ok(Exit::Done)
}

fn show(context: &mut Context<'_>, id: RecordId) -> Result<Exit, Failure> {
    let draft = context.open()?.draft(id)?;
    preview::show_draft(&mut context.out, &draft)?;
    context.out.json(&preview::to_json(&draft))?;
    Ok(Exit::Done)
}

fn declare(context: &mut Context<'_>, args: &DraftsDeclare) -> Result<Exit, Failure> {
    let agent = context.open()?;
    let mut inputs = Inputs::default();
    let mut draft = form::begin(&args.source, agent.draft(args.draft)?, &mut inputs)?;
    fill(&agent, &mut draft, &args.fields, &mut inputs)?;
    let job = Job {
        draft,
        files: &args.fields.attach,
        act: args.act,
        stored: Some(args.draft),
        amends: None,
    };
    proceed(context, &agent, job)
}

/// When a draft was begun: the first 48 bits of its id are milliseconds (RFC 9562, section 5.7).
fn begun(id: RecordId) -> Option<Timestamp> {
    let millis = id
        .as_bytes()
        .iter()
        .take(6)
        .fold(0_i64, |millis, byte| (millis << 8) | i64::from(*byte));
    Timestamp::from_millisecond(millis).ok()
}

fn describe(draft: &Draft) -> String {
    let mut parts = Vec::new();
    if !draft.messages.is_empty() {
        parts.push(text::count(
            draft.messages.len() as u64,
            "message",
            "messages",
        ));
    }
    if !draft.attachments.is_empty() {
        parts.push(text::count(draft.attachments.len() as u64, "file", "files"));
    }
    if draft.substance.is_some() {
        parts.push("a note".to_owned());
    }
    parts.extend(draft.channel.as_ref().map(ToString::to_string));
    // EXPOSE: the holder's own list of drafts.
    parts.extend(
        draft
            .participants
            .first()
            .map(|person| text::line(person.name.expose())),
    );
    if parts.is_empty() {
        "empty".to_owned()
    } else {
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_says_when_it_was_begun() {
        let at: Timestamp = "2026-11-22T10:00:00.125Z".parse().unwrap();
        assert_eq!(begun(RecordId::make(at)), Some(at));
    }
}
