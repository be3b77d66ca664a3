//! `candour import`: list the messages of an exported chat, and pick some to declare.

mod declared;
mod list;
mod redact;

use std::collections::BTreeSet;

use candour_core::agent::Agent;
use candour_core::chat::{self, Filter, Known, PickedFile};
use candour_core::config::Config;
use candour_import::{Conversation, ImportError, Message};
use candour_wire::content::Attachment;
use candour_wire::time::UnknownZone;
use candour_wire::{ChannelId, Code, attachment};
use jiff::tz::TimeZone;

use self::declared::Declared;
use self::list::Listing;
use super::Context;
use super::declare::{self, Job, proceed};
use crate::args::{Import, Picking, Reading};
use crate::chat::{Chat, Loaded, Loading, Offer, require_author};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::{ask, out, settings, text};

pub(crate) use list::row;

/// Message times without a zone, where there is no configuration that says otherwise.
const DEFAULT_ZONE: &str = "Europe/London";

/// Most messages that are shown to be marked at the terminal: more are not looked through, and
/// each costs memory.
const CHOICES_MAX: usize = 50_000;

pub(super) fn import(context: &mut Context<'_>, args: &Import) -> Result<Exit, Failure> {
    let picks = args.picking.pick.is_some() || args.picking.choose;
    let may_ask = out::can_ask() && !context.out.is_json();
    if args.picking.choose && !may_ask {
        return Err(Failure::Usage(
            "--choose asks at a terminal, and there is none; give the numbers with --pick".into(),
        ));
    }
    // A chat can be looked at before enrolment, and without any configuration.
    let config = match settings::config(&context.global) {
        Err(Failure::ConfigMissing(_)) if !picks => None,
        config => Some(config?),
    };
    let zone = zone(args, config.as_ref());
    let tz =
        TimeZone::get(zone).map_err(|_| Failure::Usage(format!("--zone {zone}: {UnknownZone}")))?;
    let mut export = Chat::open(&args.paths, !context.out.is_json())?;
    let mut reading = args.reading.clone();
    let loaded = match export.load(&reading)? {
        Loading::One(loaded) => loaded,
        Loading::Several(found) if !picks => {
            list::offers(&mut context.out, &found, &tz)?;
            return Ok(Exit::Done);
        }
        Loading::Several(found) if may_ask => chosen(&mut export, &mut reading, found, &tz)?,
        Loading::Several(found) => return Err(ImportError::NeedsConversation(found.len()).into()),
    };
    let conversation = export.index(&loaded, &reading)?;
    let filter = Filter {
        from: args.listing.from,
        to: args.listing.to,
        author: args.listing.author.clone(),
        text: args.listing.text.clone(),
    };
    let listed: Vec<usize> = conversation
        .messages()
        .filter(|message| filter.passes(message, &tz))
        .map(|message| message.index())
        .collect();
    if !picks {
        let declared = declared_if_at_hand(context, config.is_some(), &conversation, &tz);
        Listing {
            chat: &conversation,
            places: &listed,
            declared: &declared,
            zone,
            tz: &tz,
            digest: loaded.digest(&conversation),
        }
        .print(&mut context.out)?;
        return Ok(Exit::Done);
    }
    let agent = context.open()?;
    let declared = Declared::of(&agent, &conversation, &tz)?;
    let places = picked(&conversation, listed, &declared, &args.picking, &tz)?;
    list::said_before_picking(&mut context.out, &conversation)?;
    let files = (&mut export, &loaded);
    declare_picked(context, &agent, args, &conversation, &places, zone, files)
}

/// The zone of the chat's times.
fn zone<'a>(args: &'a Import, config: Option<&'a Config>) -> &'a str {
    args.fields
        .zone
        .as_deref()
        .or(config.map(|config| config.time_zone.as_str()))
        .unwrap_or(DEFAULT_ZONE)
}

/// Lets the holder choose one of several conversations, and reads it.
fn chosen(
    export: &mut Chat,
    reading: &mut Reading,
    found: Vec<Offer>,
    tz: &TimeZone,
) -> Result<Loaded, Failure> {
    let items = found.into_iter().map(|offer| {
        let title = offer
            .title
            .as_deref()
            .map_or(offer.id.as_str(), |title| title);
        let messages = offer
            .messages
            .map(|number| format!(", {}", text::count(number as u64, "message", "messages")))
            .unwrap_or_default();
        let days = [offer.first, offer.last].map(|stamp| list::day(stamp, tz));
        let days = match days {
            [first, _] if first.is_empty() => String::new(),
            [first, last] => format!(", {first} to {last}"),
        };
        ask::Item {
            line: format!("{}{messages}{days}", text::name(title)),
            words: offer.id.clone(),
            value: offer.id,
        }
    });
    let id = ask::one_of("Which conversation?", items.collect())?;
    reading.conversation = Some(id);
    match export.load(reading)? {
        Loading::One(loaded) => Ok(loaded),
        Loading::Several(found) => Err(ImportError::NeedsConversation(found.len()).into()),
    }
}

/// What was declared before, where this machine has an agent that can tell. A chat can be looked
/// at without one.
fn declared_if_at_hand(
    context: &Context<'_>,
    is_configured: bool,
    conversation: &Conversation<'_>,
    tz: &TimeZone,
) -> Declared {
    let home = settings::home(&context.global).ok();
    // Opening an agent makes its home, which looking at a chat must not.
    if !is_configured || home.is_none_or(|home| !home.join("agent.db").exists()) {
        return Declared::default();
    }
    let declared = context
        .open()
        .and_then(|agent| Declared::of(&agent, conversation, tz));
    declared.unwrap_or_else(|failure| {
        out::note(&format!(
            "What has been declared before cannot be told now [{}].",
            failure.code()
        ));
        Declared::default()
    })
}

/// The places of what the holder picks, without what was declared before.
fn picked(
    conversation: &Conversation<'_>,
    mut listed: Vec<usize>,
    declared: &Declared,
    picking: &Picking,
    tz: &TimeZone,
) -> Result<Vec<usize>, Failure> {
    let Some(selection) = &picking.pick else {
        if !picking.again {
            tell_left_out(declared.leave_out(&mut listed), listed.len())?;
        }
        return marked(conversation, &listed, declared, tz);
    };
    let mut places = selection.places(&listed, conversation.len())?;
    if !picking.again {
        tell_left_out(declared.leave_out(&mut places), places.len())?;
    }
    Ok(places)
}

fn tell_left_out(number: usize, left: usize) -> Result<(), Failure> {
    if number == 0 {
        return Ok(());
    }
    if left == 0 {
        return Err(Failure::Found {
            code: Code::SelectionInvalid,
            detail: "all of them have been declared before; --again declares them once more".into(),
        });
    }
    out::note(&format!(
        "{} left out: declared before. --again takes them in.",
        text::count(number as u64, "message is", "messages are")
    ));
    Ok(())
}

/// What the holder marks in the list, at the terminal.
fn marked(
    conversation: &Conversation<'_>,
    listed: &[usize],
    declared: &Declared,
    tz: &TimeZone,
) -> Result<Vec<usize>, Failure> {
    if listed.is_empty() {
        return Err(crate::selection::SelectionError::Nothing.into());
    }
    if listed.len() > CHOICES_MAX {
        return Err(Failure::Usage(format!(
            "{} messages are too many to choose from; list fewer with --from, --to, --author or --text",
            listed.len()
        )));
    }
    for caveat in conversation.caveats() {
        out::note(caveat.reason());
    }
    let width = listed.last().map_or(1, |last| (last + 1).to_string().len());
    let mut remarks = BTreeSet::new();
    let items = listed
        .iter()
        .filter_map(|place| conversation.message(*place))
        .map(|message| {
            remarks.extend(chat::flags(&message));
            let declared = declared.day(message.index());
            item(&message, declared.as_deref(), tz, width)
        })
        .collect();
    for remark in &remarks {
        if let Some(meaning) = chat::meaning(remark) {
            out::note(&format!("{}: {meaning}", remark.replace('_', " ")));
        }
    }
    let mut places = ask::some_of("Which messages are to be declared?", items)?;
    places.sort_unstable();
    Ok(places)
}

/// A message to be marked. Remarks stand before its words, where they are not cut off.
fn item(
    message: &Message<'_>,
    declared: Option<&str>,
    tz: &TimeZone,
    width: usize,
) -> ask::Item<usize> {
    let [number, when, who, said, remarks] = row(message, tz);
    let declared = declared.map(|day| format!("declared {day}"));
    let remarks: Vec<String> = declared
        .into_iter()
        .chain([remarks])
        .filter(|remark| !remark.is_empty())
        .collect();
    let mut line = format!("{number:>width$}  {when}  {who}");
    if !remarks.is_empty() {
        line.push_str(&format!(" ({})", remarks.join(", ")));
    }
    ask::Item {
        line: format!("{line}: {said}"),
        words: message.text().into_owned(),
        value: message.index(),
    }
}

/// Makes a draft of the picked messages and goes on as `candour declare` does.
fn declare_picked(
    context: &mut Context<'_>,
    agent: &Agent,
    args: &Import,
    conversation: &Conversation<'_>,
    places: &[usize],
    zone: &str,
    (export, loaded): (&mut Chat, &Loaded),
) -> Result<Exit, Failure> {
    let me = args.picking.me.as_deref();
    if let Some(me) = me {
        require_author(conversation, me)?;
    }
    let channels: Vec<ChannelId> = agent
        .policy()
        .into_iter()
        .flat_map(|policy| policy.channels)
        .map(|channel| channel.id)
        .collect();
    let holder = agent.config().holder_name.as_ref();
    let known = Known {
        zone,
        me,
        // EXPOSE: it is looked for among the authors of the holder's own export.
        holder: holder.map(|name| name.expose().as_str()),
        channels: &channels,
    };
    let mut picked = chat::pick(conversation, places, &known)?;
    let mut inputs = Inputs::default();
    let may_ask = out::can_ask() && !context.out.is_json();
    redact::asked(&mut picked, places, &args.picking, &mut inputs, may_ask)?;
    if args.picking.choose {
        redact::by_hand(&mut picked, places)?;
    }
    let mut draft = picked.draft;
    if let Some(source) = &mut draft.source {
        source.sha256 = Some(loaded.digest(conversation));
    }
    declare::fill(agent, &mut draft, &args.fields, &mut inputs)?;
    if !args.picking.no_files {
        for file in &picked.files {
            let sealed = export.with_file(loaded, conversation, file, |reader| {
                seal(agent, file, args.act.dry_run, reader)
            })?;
            match sealed {
                Some(sealed) => draft.attachments.push(sealed),
                None => out::note(&format!(
                    "The export does not hold {}; attach it with --attach if you have it.",
                    text::line(&file.name)
                )),
            }
        }
    }
    let job = Job {
        draft,
        files: &args.fields.attach,
        act: args.act,
        stored: None,
        amends: None,
    };
    proceed(context, agent, job)
}

/// Seals a file of the export into the spool; for a dry run nowhere.
fn seal(
    agent: &Agent,
    file: &PickedFile,
    dry_run: bool,
    reader: &mut dyn std::io::Read,
) -> Result<Attachment, Failure> {
    if dry_run {
        let summary = attachment::encrypt(reader, std::io::sink());
        return declare::summary_only(&file.name, summary);
    }
    Ok(agent.attach(&file.name, reader)?)
}
