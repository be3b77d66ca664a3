//! `candour import`: list the messages of an exported chat, and pick some to declare.

mod choose;
mod declared;
mod list;
mod redact;

use std::path::Path;

use candour_core::agent::Agent;
use candour_core::chat::{self, FilePlace, Filter, Known, PickedFile};
use candour_core::config::Config;
use candour_import::{Conversation, ImportError, Options, import_pasted};
use candour_wire::content::{Attachment, Capture};
use candour_wire::time::UnknownZone;
use candour_wire::{ChannelId, Code, Digest, attachment, limits};
use jiff::tz::TimeZone;

use self::declared::Declared;
use self::list::Listing;
use super::Context;
use super::declare::{self, Job, proceed};
use crate::args::{Import, Picking, Reading};
use crate::chat::{Chat, Loaded, Loading, require_author};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::{ask, out, settings, text};

pub(crate) use list::row;

/// Message times without a zone, where there is no configuration that says otherwise.
const DEFAULT_ZONE: &str = "Europe/London";

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
    let job = Read {
        args,
        zone,
        tz: &tz,
        is_configured: config.is_some(),
        may_ask,
    };
    if args.paste {
        let mut inputs = Inputs::default();
        let text = if may_ask {
            // EXPOSE: its messages are listed for the holder who pasted it.
            ask::paste()?.expose().as_bytes().to_vec()
        } else {
            // As it is: a byte that is not UTF-8 spoils one message, not the text.
            inputs.bytes(Path::new("-"))?
        };
        let conversation = import_pasted(&text, &options(&args.reading))?;
        let source = Source {
            digest: conversation.digest(),
            inputs,
            files: None,
        };
        return job.go_on(context, &conversation, source);
    }
    let mut export = Chat::open(&args.paths, !context.out.is_json())?;
    let mut reading = args.reading.clone();
    let loaded = match export.load(&reading)? {
        Loading::One(loaded) => loaded,
        Loading::Several(found) if !picks => {
            list::offers(&mut context.out, &found, &tz)?;
            return Ok(Exit::Done);
        }
        Loading::Several(found) if may_ask => {
            choose::conversation(&mut export, &mut reading, found, &tz)?
        }
        Loading::Several(found) => return Err(ImportError::NeedsConversation(found.len()).into()),
    };
    let conversation = match export.index(&loaded, &reading) {
        Err(Failure::Import(ImportError::NeedsDateOrder)) if may_ask => {
            reading.date_order = Some(choose::date_order()?);
            export.index(&loaded, &reading)?
        }
        conversation => conversation?,
    };
    let source = Source {
        digest: loaded.digest(&conversation),
        inputs: Inputs::default(),
        files: Some((&mut export, &loaded)),
    };
    job.go_on(context, &conversation, source)
}

fn options(reading: &Reading) -> Options<'_> {
    Options {
        date_order: reading.date_order,
        conversation: reading.conversation.as_deref(),
        ..Options::default()
    }
}

/// Where a chat comes from, besides its messages.
struct Source<'s> {
    /// SHA-256 of the file, or the files, or the pasted text.
    digest: Digest,
    inputs: Inputs,
    /// The export, which holds the files that belong to messages.
    files: Option<(&'s mut Chat, &'s Loaded)>,
}

/// What is to be done with a chat.
struct Read<'r> {
    args: &'r Import,
    zone: &'r str,
    tz: &'r TimeZone,
    is_configured: bool,
    /// Whether a person can be asked.
    may_ask: bool,
}

impl Read<'_> {
    /// Lists the chat, or declares what is picked of it.
    fn go_on(
        &self,
        context: &mut Context<'_>,
        conversation: &Conversation<'_>,
        source: Source<'_>,
    ) -> Result<Exit, Failure> {
        let (listing, picking) = (&self.args.listing, &self.args.picking);
        let filter = Filter {
            from: listing.from,
            to: listing.to,
            author: listing.author.clone(),
            text: listing.text.clone(),
        };
        let listed: Vec<usize> = conversation
            .messages()
            .filter(|message| filter.passes(message, self.tz))
            .map(|message| message.index())
            .collect();
        if picking.pick.is_none() && !picking.choose {
            let declared = self.declared_if_at_hand(context, conversation);
            Listing {
                chat: conversation,
                places: &listed,
                declared: &declared,
                zone: self.zone,
                tz: self.tz,
                digest: source.digest,
            }
            .print(&mut context.out)?;
            return Ok(Exit::Done);
        }
        let agent = context.open()?;
        let declared = Declared::of(&agent, conversation, self.tz)?;
        let places = picked(conversation, listed, &declared, picking, self.tz)?;
        list::said_before_picking(&mut context.out, conversation)?;
        self.declare(context, &agent, conversation, &places, source)
    }

    /// What was declared before, where this machine has an agent that can tell. A chat can be
    /// looked at without one.
    fn declared_if_at_hand(
        &self,
        context: &Context<'_>,
        conversation: &Conversation<'_>,
    ) -> Declared {
        let home = settings::home(&context.global).ok();
        // Opening an agent makes its home, which looking at a chat must not.
        if !self.is_configured || home.is_none_or(|home| !home.join("agent.db").exists()) {
            return Declared::default();
        }
        let declared = context
            .open()
            .and_then(|agent| Declared::of(&agent, conversation, self.tz));
        declared.unwrap_or_else(|failure| {
            out::note(&format!(
                "What has been declared before cannot be told now [{}].",
                failure.code()
            ));
            Declared::default()
        })
    }

    /// Makes a draft of the picked messages and goes on as `candour declare` does.
    fn declare(
        &self,
        context: &mut Context<'_>,
        agent: &Agent,
        conversation: &Conversation<'_>,
        places: &[usize],
        source: Source<'_>,
    ) -> Result<Exit, Failure> {
        let Source {
            digest,
            mut inputs,
            files,
        } = source;
        let mut files = files.filter(|_| !self.args.picking.no_files);
        let (args, picking) = (self.args, &self.args.picking);
        let me = picking.me.as_deref();
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
            zone: self.zone,
            me,
            // EXPOSE: it is looked for among the authors of the holder's own export.
            holder: holder.map(|name| name.expose().as_str()),
            channels: &channels,
        };
        let mut picked = chat::pick(conversation, places, &known)?;
        if let Some((export, loaded)) = &mut files {
            let attached = args.fields.attach.len();
            require_few_files(export, loaded, conversation, &picked.files, attached)?;
        }
        redact::asked(&mut picked, places, picking, &mut inputs, self.may_ask)?;
        if picking.choose {
            redact::by_hand(&mut picked, places)?;
        }
        let is_redacted = picked
            .draft
            .messages
            .iter()
            .any(|message| !message.redactions.is_empty());
        if is_redacted && files.is_some() && !picked.files.is_empty() {
            out::note(
                "Files are declared as they are, whatever is redacted in their messages; \
                 --no-files leaves them out.",
            );
        }
        let mut draft = picked.draft;
        if let Some(source) = &mut draft.source {
            source.sha256 = Some(digest);
        }
        if args.paste {
            draft.capture = Some(Capture::Paste);
        }
        declare::fill(agent, &mut draft, &args.fields, &mut inputs)?;
        if let Some((export, loaded)) = files {
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
}

/// The zone of the chat's times.
fn zone<'a>(args: &'a Import, config: Option<&'a Config>) -> &'a str {
    args.fields
        .zone
        .as_deref()
        .or(config.map(|config| config.time_zone.as_str()))
        .unwrap_or(DEFAULT_ZONE)
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
        return choose::messages(conversation, &listed, declared, tz);
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

/// Checks that the picked messages, with what is attached besides, have no more files than one
/// declaration may have, before anything is redacted and any of them is sealed. What the export does
/// not hold does not count.
fn require_few_files(
    export: &mut Chat,
    loaded: &Loaded,
    conversation: &Conversation<'_>,
    files: &[PickedFile],
    attached: usize,
) -> Result<(), Failure> {
    let most = limits::ATTACHMENTS_MAX;
    if files.len() + attached <= most {
        return Ok(());
    }
    let mut held = attached;
    for file in files {
        let is_there = match &file.place {
            FilePlace::LeftOut => false,
            FilePlace::Embedded(..) => true,
            FilePlace::Beside(_) => export
                .with_file(loaded, conversation, file, |_| Ok(()))?
                .is_some(),
        };
        held += usize::from(is_there);
        if held > most {
            return Err(Failure::Found {
                code: Code::FieldTooLong,
                detail: format!(
                    "there are more than {most} files; pick fewer messages, or leave their files \
                     out with --no-files"
                ),
            });
        }
    }
    Ok(())
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
