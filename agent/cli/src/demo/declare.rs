//! Step 4: exported chats, and declarations of some of their messages.

use std::io::{Cursor, Write as _};
use std::path::Path;

use candour_core::agent::Agent;
use candour_core::chat::{Known, pick};
use candour_core::declaration::Draft;
use candour_import::{Archive, Conversation, ImportError, Layout};
use candour_wire::content::{
    Capture, DeviceOwnership, Direction, Disappearing, Participant, Person, Significance, Text,
};
use candour_wire::time::MessageTime;
use candour_wire::{ChannelId, RecordId};
use jiff::tz::TimeZone;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use super::HOLDER;
use crate::args::{Demo, Reading};
use crate::chat::{Chat, Loaded, Loading};
use crate::commands::{Context, message_row};
use crate::failure::Failure;
use crate::selection::Selection;
use crate::{ask, preview, text};

/// The shipped exports: file name of the zip, and the files in it.
const ANDROID: (&str, [(&str, &[u8]); 2]) = (
    "WhatsApp Chat with Budget Bill core team.zip",
    [
        (
            "WhatsApp Chat with Budget Bill core team.txt",
            include_bytes!(
                "../../../../tests/fixtures/whatsapp/android/WhatsApp Chat with Budget Bill core team.txt"
            ),
        ),
        (
            "clause-14-options.txt",
            include_bytes!("../../../../tests/fixtures/whatsapp/android/clause-14-options.txt"),
        ),
    ],
);
const IOS: (&str, [(&str, &[u8]); 2]) = (
    "WhatsApp Chat - PS Minister duty.zip",
    [
        (
            "_chat.txt",
            include_bytes!("../../../../tests/fixtures/whatsapp/ios/_chat.txt"),
        ),
        (
            "00000009-PHOTO-2026-03-03-08-20-45.png",
            include_bytes!(
                "../../../../tests/fixtures/whatsapp/ios/00000009-PHOTO-2026-03-03-08-20-45.png"
            ),
        ),
    ],
);

/// What was declared.
pub(super) struct Declared {
    /// The records.
    pub(super) records: Vec<RecordId>,
    /// Messages, reasons and notes in them, in their order.
    pub(super) texts: Vec<Text>,
    /// What else they hold: names, and texts of files.
    others: Vec<Text>,
}

impl Declared {
    /// Everything that must not be on the gateway.
    pub(super) fn secrets(&self) -> Vec<Text> {
        self.texts.iter().chain(&self.others).cloned().collect()
    }
}

/// Lists the chats and declares some of their messages, each after its preview.
pub(super) fn declare(
    context: &mut Context<'_>,
    agent: &Agent,
    args: &Demo,
) -> Result<Declared, Failure> {
    let mut declared = Declared {
        records: Vec::new(),
        texts: Vec::new(),
        others: Vec::new(),
    };
    if let Some(path) = &args.chat {
        own(context, agent, args, path, &mut declared)?;
        return Ok(declared);
    }
    // The decision of 3 February with the file it rests on.
    let mut decision = shipped(context, agent, ANDROID, "10-13", &mut declared)?;
    decision.marking = Some("official-sensitive".into());
    decision.reason =
        Some("The minister was between meetings and the team used the group to reach her.".into());
    decision.on_behalf_of = Some(Person {
        name: "The Exchequer Secretary".into(),
        role: Some("Minister".into()),
    });
    confirmed(context, agent, decision, &mut declared)?;
    // The approval of 13 March, which came on a private phone.
    let mut approval = shipped(context, agent, IOS, "17-20", &mut declared)?;
    approval.device = Some(DeviceOwnership::Private);
    approval.reason = Some("The approval was given from the car, outside office hours.".into());
    approval.exceptional_circumstances = Some(
        "The work phone had no signal on the train and the amendment paper closed at 16:30.".into(),
    );
    approval.disappearing = Some(Disappearing::Off);
    confirmed(context, agent, approval, &mut declared)?;
    // A call leaves no messages: its substance is written down.
    context
        .out
        .line("A call leaves no messages, so its substance is noted:")?;
    confirmed(context, agent, call()?, &mut declared)?;
    Ok(declared)
}

/// The user's own export: listed, picked by number, previewed and confirmed.
fn own(
    context: &mut Context<'_>,
    agent: &Agent,
    args: &Demo,
    path: &Path,
    declared: &mut Declared,
) -> Result<(), Failure> {
    let mut chat = Chat::open(&[path.to_owned()], true)?;
    let loaded = one(chat.load(&args.reading)?)?;
    let conversation = chat.index(&loaded, &args.reading)?;
    list(context, &conversation)?;
    let selection = if args.yes {
        // Without questions: the first three messages that a person wrote.
        let first = conversation
            .messages()
            .filter(|m| m.author().is_some())
            .take(3)
            .map(|m| (m.index() + 1).to_string());
        first.collect::<Vec<_>>().join(",")
    } else {
        // EXPOSE: numbers.
        ask::answer("Which messages, by number, such as 3-7,12?")?
            .map(|numbers| numbers.expose().clone())
            .unwrap_or_default()
    };
    let places = places(&selection, &conversation)?;
    let known = Known {
        zone: &agent.config().time_zone,
        me: None,
        holder: None,
        channels: &channels(agent),
    };
    let mut draft = pick(&conversation, &places, &known)?.draft;
    if let Some(source) = &mut draft.source {
        source.sha256 = Some(loaded.digest(&conversation));
    }
    draft.direction.get_or_insert(Direction::Both);
    draft.significance = Some(Significance::Significant);
    draft.reason = Some("Tried out in the demo.".into());
    if draft.participants.is_empty() {
        draft.participants.push(Participant {
            name: "Someone in the chat".into(),
            role: None,
        });
    }
    let checked = agent.preview(&draft)?;
    preview::show(&mut context.out, checked.content(), agent.policy().as_ref())?;
    if !args.yes && !ask::confirm("Declare this to the demo's own server on this machine?")? {
        return Err(Failure::NotConfirmed("nothing was declared"));
    }
    // Names are not searched for here: one may be a department's, which the gateway knows.
    keep(agent, draft, declared)
}

/// A draft of the messages `picked` of a shipped export, with the files that belong to them.
fn shipped(
    context: &mut Context<'_>,
    agent: &Agent,
    (name, files): (&str, [(&str, &[u8]); 2]),
    picked: &str,
    declared: &mut Declared,
) -> Result<Draft, Failure> {
    let mut chat = Chat::of(name, Box::new(Archive::open(Cursor::new(zipped(&files)?))?))?;
    let loaded = one(chat.load(&Reading::default())?)?;
    let conversation = chat.index(&loaded, &Reading::default())?;
    list(context, &conversation)?;
    let known = Known {
        zone: &agent.config().time_zone,
        me: Some(HOLDER.0),
        holder: None,
        channels: &channels(agent),
    };
    let picked = pick(&conversation, &places(picked, &conversation)?, &known)?;
    let mut draft = picked.draft;
    draft.significance = Some(Significance::Significant);
    for file in &picked.files {
        let sealed = chat.with_file(&loaded, &conversation, file, |reader| {
            Ok(agent.attach(&file.name, reader)?)
        })?;
        draft.attachments.extend(sealed);
        let text = chat.with_file(&loaded, &conversation, file, |reader| {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            Ok(String::from_utf8(bytes).ok())
        })?;
        declared.others.extend(text.flatten().map(Text::new));
    }
    Ok(draft)
}

/// The one chat of an export; of several one must be named.
fn one(loading: Loading) -> Result<Loaded, Failure> {
    match loading {
        Loading::One(loaded) => Ok(loaded),
        Loading::Several(found) => Err(ImportError::NeedsConversation(found.len()).into()),
    }
}

fn places(selection: &str, conversation: &Conversation<'_>) -> Result<Vec<usize>, Failure> {
    let all: Vec<usize> = (0..conversation.len()).collect();
    Ok(selection
        .parse::<Selection>()?
        .places(&all, conversation.len())?)
}

fn call() -> Result<Draft, Failure> {
    let wall = jiff::civil::date(2026, 3, 16).at(18, 40, 0, 0);
    let occurred = MessageTime::at(wall, "Europe/London")
        .map_err(|unknown| Failure::Usage(format!("Europe/London: {unknown}")))?;
    Ok(Draft {
        channel: Some(channel("voice-call")),
        direction: Some(Direction::Both),
        participants: vec![Participant { name: "Dev P".into(), role: Some("Special adviser".into()) }],
        occurred: Some(occurred),
        capture: Some(Capture::Note),
        significance: Some(Significance::Significant),
        reason: Some("The adviser rang on a private service.".into()),
        substance: Some(
            "Agreed that the Government amendment goes down on the first Lords day and that the Welsh text follows."
                .into(),
        ),
        ..Draft::default()
    })
}

/// Shows the preview and declares. For the shipped chats, running the demo is the confirmation.
fn confirmed(
    context: &mut Context<'_>,
    agent: &Agent,
    draft: Draft,
    declared: &mut Declared,
) -> Result<(), Failure> {
    let checked = agent.preview(&draft)?;
    context.out.line("\nThis is declared:")?;
    preview::show(&mut context.out, checked.content(), agent.policy().as_ref())?;
    context.out.line("")?;
    let names: Vec<Text> = draft
        .participants
        .iter()
        .map(|person| &person.name)
        .chain(draft.on_behalf_of.iter().map(|person| &person.name))
        .chain(draft.attachments.iter().map(|file| &file.name))
        .cloned()
        .collect();
    keep(agent, draft, declared)?;
    declared.others.extend(names);
    Ok(())
}

fn keep(agent: &Agent, draft: Draft, declared: &mut Declared) -> Result<(), Failure> {
    let checked = agent.preview(&draft)?;
    declared.records.push(agent.declare(checked, None)?);
    declared
        .texts
        .extend(draft.messages.iter().map(|message| message.text.clone()));
    let words = [
        &draft.reason,
        &draft.exceptional_circumstances,
        &draft.substance,
    ];
    declared.texts.extend(words.into_iter().flatten().cloned());
    Ok(())
}

fn list(context: &mut Context<'_>, conversation: &Conversation<'_>) -> Result<(), Failure> {
    let title = conversation.title().map(text::line).unwrap_or_default();
    context.out.line(format!(
        "“{title}”, {} messages, exported by WhatsApp on {}:",
        conversation.len(),
        phone(conversation.layout())
    ))?;
    context.out.table(
        &["No.", "When", "Who", "Message", "Remarks"],
        conversation
            .messages()
            .map(|message| message_row(&message, &TimeZone::UTC).into())
            .collect(),
    )
}

const fn phone(layout: Option<Layout>) -> &'static str {
    match layout {
        Some(Layout::AndroidDash) => "Android",
        _ => "an iPhone",
    }
}

fn channels(agent: &Agent) -> Vec<ChannelId> {
    agent
        .policy()
        .into_iter()
        .flat_map(|policy| policy.channels)
        .map(|channel| channel.id)
        .collect()
}

fn channel(id: &str) -> ChannelId {
    id.parse().expect("it is a valid channel id")
}

/// A zip as the app makes it.
fn zipped(files: &[(&str, &[u8])]) -> Result<Vec<u8>, Failure> {
    let failed = |error: zip::result::ZipError| Failure::Output(std::io::Error::other(error));
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in files {
        archive.start_file(*name, options).map_err(failed)?;
        archive.write_all(bytes)?;
    }
    Ok(archive.finish().map_err(failed)?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts((name, files): (&str, [(&str, &[u8]); 2]), numbers: &str) -> Vec<String> {
        let archive = Archive::open(Cursor::new(zipped(&files).unwrap())).unwrap();
        let mut chat = Chat::of(name, Box::new(archive)).unwrap();
        let loaded = one(chat.load(&Reading::default()).unwrap()).unwrap();
        let index = chat.index(&loaded, &Reading::default()).unwrap();
        places(numbers, &index)
            .unwrap()
            .into_iter()
            .map(|place| index.message(place).unwrap().text().into_owned())
            .collect()
    }

    #[test]
    fn the_messages_that_the_demo_declares_are_the_ones_it_speaks_of() {
        let decision = texts(ANDROID, "10-13");
        assert!(
            decision[0].starts_with("clause-14-options.txt"),
            "{}",
            decision[0]
        );
        assert!(decision[3].starts_with("A decision."), "{}", decision[3]);
        let approval = texts(IOS, "17-20");
        assert!(approval[0].starts_with("Amendment 61"), "{}", approval[0]);
        assert!(
            approval[3].starts_with("Then we need that on the record"),
            "{}",
            approval[3]
        );
    }
}
