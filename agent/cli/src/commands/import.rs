//! `candour import`: list the messages of an exported chat, and pick some to declare.

use std::collections::BTreeSet;

use candour_core::config::Config;
use candour_import::{Conversation, DateOrder, ImportError, Message, OrderBasis, Stamp, Summary};
use candour_wire::ChannelId;
use candour_wire::attachment;
use candour_wire::time::UnknownZone;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::Context;
use super::declare::{self, Job, proceed};
use crate::args::Import;
use crate::chat::{self, Chat, Filter, PickedFile};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::out::Out;
use crate::{out, settings, text};

/// Message times without a zone, where there is no configuration that says otherwise.
const DEFAULT_ZONE: &str = "Europe/London";

/// How much of a message the list shows, in columns; the preview shows all of it.
const SHOWN_COLUMNS: usize = 160;

pub(super) fn import(context: &mut Context<'_>, args: &Import) -> Result<Exit, Failure> {
    // A chat can be looked at before enrolment, and without any configuration.
    let config = match (&args.pick, settings::config(&context.global)) {
        (None, Err(Failure::ConfigMissing(_))) => None,
        (_, config) => Some(config?),
    };
    let mut chat = Chat::open(&args.file)?;
    let Some(selection) = &args.pick else {
        match chat.index(&args.reading) {
            Err(Failure::Import(ImportError::NeedsConversation(_))) => {
                let found = chat.conversations(&args.reading)?;
                list_conversations(&mut context.out, &found, zone(args, config.as_ref()))?;
            }
            conversation => list(&mut context.out, &conversation?, args, config.as_ref())?,
        }
        return Ok(Exit::Done);
    };
    let agent = context.open()?;
    let zone = zone(args, config.as_ref());
    let channels: Vec<ChannelId> = agent
        .policy()
        .into_iter()
        .flat_map(|policy| policy.channels)
        .map(|channel| channel.id)
        .collect();
    let picked = {
        let conversation = chat.index(&args.reading)?;
        let places = selection.places(conversation.len())?;
        if let Some(me) = &args.me {
            chat::require_author(&conversation, me)?;
        }
        let me = args.me.as_deref().or_else(|| {
            agent
                .config()
                .holder_name
                .as_ref()
                // EXPOSE: it is looked for among the authors of the holder's own export.
                .map(|name| name.expose().as_str())
                .filter(|me| chat::writes(&conversation, me))
        });
        chat::pick(&conversation, &places, zone, me, &channels)?
    };
    let mut draft = picked.draft;
    let mut inputs = Inputs::default();
    declare::fill(&agent, &mut draft, &args.fields, &mut inputs)?;
    let mut left_out = BTreeSet::new();
    for PickedFile { name, path } in picked.files.iter().filter(|_| !args.no_files) {
        let sealed = chat.with_file(path, |reader| {
            if args.act.dry_run {
                return declare::summary_only(name, attachment::encrypt(reader, std::io::sink()));
            }
            Ok(agent.attach(name, reader)?)
        })?;
        match sealed {
            Some(file) => draft.attachments.push(file),
            None => {
                left_out.insert(name);
            }
        }
    }
    for name in left_out {
        out::note(&format!(
            "The export does not hold {}; attach it with --attach if you have it.",
            text::line(name)
        ));
    }
    let job = Job {
        draft,
        files: &args.fields.attach,
        act: args.act,
        stored: None,
        amends: None,
    };
    proceed(context, &agent, job)
}

/// The zone of the chat's times.
fn zone<'a>(args: &'a Import, config: Option<&'a Config>) -> &'a str {
    args.fields
        .zone
        .as_deref()
        .or(config.map(|config| config.time_zone.as_str()))
        .unwrap_or(DEFAULT_ZONE)
}

/// The conversations of an export that holds several, and nothing of what they say.
fn list_conversations(out: &mut Out, found: &[Summary], zone: &str) -> Result<(), Failure> {
    let tz = time_zone(zone)?;
    let day = |stamp: &Stamp| {
        let wall = stamp.wall_in(&tz);
        wall.map(|wall| wall.strftime("%-d %b %Y").to_string())
            .unwrap_or_default()
    };
    let rows = found.iter().map(|conversation| {
        vec![
            conversation.id.clone(),
            conversation
                .title
                .as_deref()
                .map(text::name)
                .unwrap_or_default(),
            conversation.messages.to_string(),
            day(&conversation.first),
            day(&conversation.last),
        ]
    });
    out.table(
        &["Id", "With or title", "Messages", "First", "Last"],
        rows.collect(),
    )?;
    out.line("To list one: add --conversation with its id. Nothing of the others is kept.")?;
    if out.is_json() {
        let conversations: Vec<Value> = found
            .iter()
            .map(|conversation| {
                json!({
                    "id": conversation.id,
                    "title": conversation.title,
                    "messages": conversation.messages,
                    "first": day(&conversation.first),
                    "last": day(&conversation.last),
                })
            })
            .collect();
        out.json(&json!({ "conversations": conversations }))?;
    }
    Ok(())
}

fn time_zone(zone: &str) -> Result<TimeZone, Failure> {
    TimeZone::get(zone).map_err(|_| Failure::Usage(format!("--zone {zone}: {UnknownZone}")))
}

fn list(
    out: &mut Out,
    chat: &Conversation<'_>,
    args: &Import,
    config: Option<&Config>,
) -> Result<(), Failure> {
    let zone = zone(args, config);
    let tz = time_zone(zone)?;
    let filter = Filter {
        from: args.from,
        to: args.to,
        author: args.author.clone(),
        text: args.text.clone(),
    };
    let listed: Vec<Message<'_>> = chat
        .messages()
        .filter(|message| filter.passes(message, &tz))
        .collect();
    out.table(
        &["No.", "When", "Who", "Message", "Remarks"],
        listed.iter().map(|message| row(message, &tz)).collect(),
    )?;
    let title = chat
        .title()
        .map(|title| format!(" of “{}”", text::line(title)))
        .unwrap_or_default();
    out.line(format!(
        "{} of {} messages{title}.",
        listed.len(),
        chat.len()
    ))?;
    if chat.order_basis() == Some(OrderBasis::Monotonic) {
        out.line("Day and month were told apart by the order of the messages; check that the dates are right.")?;
    }
    if chat.doubtful() > 0 {
        out.line(format!(
            "{} messages carry a remark; look at them before you declare them.",
            chat.doubtful()
        ))?;
    }
    out.line("To declare some: add --pick with their numbers, such as --pick 3-7,12.")?;
    if out.is_json() {
        let messages: Vec<Value> = listed
            .iter()
            .map(|message| to_json(message, zone))
            .collect();
        out.json(&json!({
            "title": chat.title(),
            "format": chat.format_name(),
            "date_order": chat.date_order().map(DateOrder::as_str),
            "date_order_basis": chat.order_basis().map(OrderBasis::as_str),
            "sha256": chat.digest(),
            "messages_in_all": chat.len(),
            "messages": messages,
        }))?;
    }
    Ok(())
}

/// A message as a row of the list.
pub(crate) fn row(message: &Message<'_>, zone: &TimeZone) -> Vec<String> {
    let mut remarks: Vec<String> = chat::flags(message)
        .iter()
        .map(|flag| flag.replace('_', " "))
        .collect();
    remarks.dedup();
    vec![
        (message.index() + 1).to_string(),
        message
            .stamp()
            .wall_in(zone)
            .map(|wall| wall.strftime("%-d %b %Y, %H:%M").to_string())
            .unwrap_or_default(),
        message
            .author()
            .map(|author| text::name(&author))
            .unwrap_or_default(),
        text::short(&message.text(), SHOWN_COLUMNS),
        remarks.join(", "),
    ]
}

fn to_json(message: &Message<'_>, zone: &str) -> Value {
    json!({
        "number": message.index() + 1,
        "at": message.time_in(zone).ok().flatten(),
        "author": message.author(),
        "kind": message.kind().as_str(),
        "text": message.text(),
        "file": message.attachment_name(),
        "flags": chat::flags(message),
        "sha256": message.digest(),
    })
}
