//! The rules that a declaration must meet.
//!
//! They follow the Cabinet Office guidance *Using non-corporate communication channels (e.g.
//! WhatsApp, private email, SMS) for government business* (March 2023): significant government
//! information is captured into government systems; private devices are for exceptional
//! circumstances when the business is significant or SENSITIVE; SECRET and above is forbidden.

use candour_wire::content::{
    Capture, DeclarationContent, DeviceOwnership, Disappearing, Extent, Person, Significance, Text,
    flag,
};
use candour_wire::policy::{Policy, above_official_sensitive};
use candour_wire::time::MessageTime;
use candour_wire::{Code, limits};
use jiff::Timestamp;

use super::{Draft, Origin, Present, Preview, Violation, Violations, redact};

/// How far ahead of the handset's clock a message may lie before it is called wrong: a day, so
/// that another zone or a clock that is a little off refuses nothing.
const FUTURE_TOLERANCE_S: i64 = 24 * 60 * 60;

/// Refuses a draft that is marked above OFFICIAL-SENSITIVE. Called before anything of it is
/// stored (invariant I7).
///
/// # Errors
///
/// [`Code::MarkingTooHigh`], whatever else may be wrong with the draft.
pub fn refuse_above_official_sensitive(draft: &Draft) -> Result<(), Violations> {
    let too_high = |field, text: Option<&str>| {
        text.filter(|text| above_official_sensitive(text))
            .map(|_| Violation {
                field,
                code: Code::MarkingTooHigh,
                detail: None,
            })
    };
    // EXPOSE: the words are looked at for a marking and go nowhere.
    let handling = draft.handling.as_ref().map(|text| text.expose().as_str());
    match too_high("marking", draft.marking.as_deref()).or_else(|| too_high("handling", handling)) {
        Some(violation) => Err(Violations(vec![violation])),
        None => Ok(()),
    }
}

/// Holds a draft against the policy.
///
/// `holder` declares where the draft names nobody.
///
/// # Errors
///
/// Names everything that is missing or against the rules.
pub fn check(
    draft: &Draft,
    policy: &Policy,
    holder: Option<&Person>,
    present: Present,
) -> Result<Preview, Violations> {
    refuse_above_official_sensitive(draft)?;
    let mut found = Found::default();
    let significance = found.require("significance", draft.significance);
    let channel = found.require("channel", draft.channel.clone());
    if channel
        .as_ref()
        .is_some_and(|id| policy.channels.iter().all(|c| c.id != *id))
    {
        let known: Vec<&str> = policy.channels.iter().map(|c| c.id.as_str()).collect();
        found.add_with(
            "channel",
            Code::ChannelUnknown,
            format!("the policy has {}", known.join(", ")),
        );
    }
    let direction = found.require("direction", draft.direction);
    let declared_by = found.require(
        "declared_by",
        draft.declared_by.clone().or_else(|| holder.cloned()),
    );
    let marking = marking(draft, policy, &mut found);
    let device = draft.device.unwrap_or(DeviceOwnership::Government);
    let significant = significance == Some(Significance::Significant);

    if draft.reason.as_ref().is_none_or(is_blank) && significant {
        found.add("reason", Code::ReasonRequired);
    }
    let sensitive = marking.as_ref().is_some_and(|(_, sensitive)| *sensitive);
    if device == DeviceOwnership::Private
        && (significant || sensitive)
        && draft
            .exceptional_circumstances
            .as_ref()
            .is_none_or(is_blank)
    {
        found.add("exceptional_circumstances", Code::ExceptionRequired);
    }
    let has_content = !draft.messages.is_empty()
        || !draft.attachments.is_empty()
        || draft.substance.as_ref().is_some_and(|s| !is_blank(s));
    if significant && !has_content {
        found.add("messages", Code::ContentRequired);
    }
    if significant && draft.participants.iter().all(|p| is_blank(&p.name)) {
        found.add("participants", Code::ParticipantsRequired);
    }
    check_lengths(draft, &mut found);
    check_messages(draft, &mut found);
    let occurred = occurred(draft, present.latest, &mut found);

    match (
        significance,
        channel,
        direction,
        declared_by,
        marking,
        occurred,
    ) {
        (
            Some(significance),
            Some(channel),
            Some(direction),
            Some(declared_by),
            Some((marking, _)),
            Some(occurred),
        ) if found.violations.is_empty() => {
            let within_days = policy.deadlines.declare_within_days;
            let late_days = late_days(&occurred, within_days, present.likely);
            let mut content = DeclarationContent {
                channel,
                direction,
                participants: draft.participants.clone(),
                occurred,
                capture: draft.capture.unwrap_or_else(|| capture(draft)),
                device,
                significance,
                marking,
                handling: draft.handling.clone(),
                reason: draft.reason.clone(),
                exceptional_circumstances: draft.exceptional_circumstances.clone(),
                disappearing: draft.disappearing.unwrap_or(Disappearing::Unknown),
                extent: draft.extent.unwrap_or(Extent::Extract),
                declared_by,
                on_behalf_of: draft.on_behalf_of.clone(),
                messages: draft.messages.clone(),
                substance: draft.substance.clone(),
                attachments: draft.attachments.clone(),
                source: draft.source.clone(),
                late_days,
            };
            redact::unlink(&mut content);
            Ok(Preview {
                content,
                policy: policy.version,
                origins: origins(draft),
            })
        }
        _ => Err(Violations(found.violations)),
    }
}

#[derive(Default)]
struct Found {
    violations: Vec<Violation>,
}

impl Found {
    fn add(&mut self, field: &'static str, code: Code) {
        self.violations.push(Violation {
            field,
            code,
            detail: None,
        });
    }

    fn add_with(&mut self, field: &'static str, code: Code, detail: String) {
        self.violations.push(Violation {
            field,
            code,
            detail: Some(detail),
        });
    }

    fn require<T>(&mut self, field: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.add(field, Code::FieldMissing);
        }
        value
    }

    fn at_most(&mut self, field: &'static str, text: &Text, most: usize) {
        // EXPOSE: only the length is looked at.
        if text.expose().chars().count() > most {
            self.add_with(
                field,
                Code::FieldTooLong,
                format!("at most {most} characters"),
            );
        }
    }
}

fn is_blank(text: &Text) -> bool {
    // EXPOSE: only whether there is anything in it is looked at.
    text.expose().trim().is_empty()
}

/// The marking's id and whether it is the SENSITIVE one.
fn marking(draft: &Draft, policy: &Policy, found: &mut Found) -> Option<(String, bool)> {
    let chosen = match &draft.marking {
        None => policy.markings.first(),
        Some(id) => policy
            .markings
            .iter()
            .find(|m| m.id.eq_ignore_ascii_case(id)),
    };
    if chosen.is_none() {
        let known: Vec<&str> = policy.markings.iter().map(|m| m.id.as_str()).collect();
        found.add_with(
            "marking",
            Code::MarkingUnknown,
            format!("the policy has {}", known.join(", ")),
        );
    }
    chosen.map(|marking| (marking.id.clone(), marking.sensitive))
}

/// The time of the exchange: as given, else the first message's.
fn occurred(draft: &Draft, latest: Timestamp, found: &mut Found) -> Option<MessageTime> {
    let first_message = || draft.messages.iter().find_map(|message| message.at.clone());
    let occurred = found.require("occurred", draft.occurred.clone().or_else(first_message))?;
    match occurred.instant() {
        None => found.add("occurred", Code::TimeInvalid),
        Some(instant)
            if instant.as_second() > latest.as_second().saturating_add(FUTURE_TOLERANCE_S) =>
        {
            found.add("occurred", Code::TimeInFuture);
        }
        Some(_) => {}
    }
    Some(occurred)
}

/// Those of the messages that came from an export. A list that is longer than that of the messages
/// is of other messages, and none is better than a wrong one.
fn origins(draft: &Draft) -> Vec<Origin> {
    if draft.origins.len() > draft.messages.len() {
        Vec::new()
    } else {
        draft.origins.iter().copied().flatten().collect()
    }
}

fn late_days(occurred: &MessageTime, within_days: u32, now: Timestamp) -> Option<u32> {
    let elapsed_s = now
        .as_second()
        .saturating_sub(occurred.instant()?.as_second());
    let days = u32::try_from(elapsed_s / (24 * 60 * 60)).ok()?;
    days.checked_sub(within_days).filter(|late| *late > 0)
}

fn capture(draft: &Draft) -> Capture {
    if draft.source.is_some() {
        Capture::Export
    } else if !draft.messages.is_empty() {
        Capture::Paste
    } else if !draft.attachments.is_empty() {
        Capture::File
    } else {
        Capture::Note
    }
}

fn check_lengths(draft: &Draft, found: &mut Found) {
    let people = [
        ("declared_by", &draft.declared_by),
        ("on_behalf_of", &draft.on_behalf_of),
    ];
    for (field, person) in people {
        for text in person
            .iter()
            .flat_map(|p| std::iter::once(&p.name).chain(&p.role))
        {
            found.at_most(field, text, limits::SHORT_TEXT_MAX_CHARS);
        }
        if person.as_ref().is_some_and(|p| is_blank(&p.name)) {
            found.add(field, Code::FieldMissing);
        }
    }
    if draft.participants.len() > limits::PARTICIPANTS_MAX {
        found.add_with(
            "participants",
            Code::FieldTooLong,
            format!("at most {} people", limits::PARTICIPANTS_MAX),
        );
    }
    for text in draft
        .participants
        .iter()
        .flat_map(|p| std::iter::once(&p.name).chain(&p.role))
    {
        found.at_most("participants", text, limits::SHORT_TEXT_MAX_CHARS);
    }
    let long = [
        ("handling", &draft.handling, limits::SHORT_TEXT_MAX_CHARS),
        ("reason", &draft.reason, limits::LONG_TEXT_MAX_CHARS),
        (
            "exceptional_circumstances",
            &draft.exceptional_circumstances,
            limits::LONG_TEXT_MAX_CHARS,
        ),
        ("substance", &draft.substance, limits::MESSAGE_MAX_CHARS),
    ];
    for (field, text, most) in long {
        if let Some(text) = text {
            found.at_most(field, text, most);
        }
    }
    if draft.messages.len() > limits::MESSAGES_MAX {
        found.add_with(
            "messages",
            Code::FieldTooLong,
            format!("at most {} messages", limits::MESSAGES_MAX),
        );
    }
    if draft.attachments.len() > limits::ATTACHMENTS_MAX {
        found.add_with(
            "attachments",
            Code::FieldTooLong,
            format!("at most {} files", limits::ATTACHMENTS_MAX),
        );
    }
}

fn check_messages(draft: &Draft, found: &mut Found) {
    for (message, number) in draft.messages.iter().zip(1_usize..) {
        if message.flags.iter().any(|flag| flag == flag::TOO_LONG) {
            found.add_with(
                "messages",
                Code::MessageTooLong,
                format!("message {number} of the draft"),
            );
        } else {
            found.at_most("messages", &message.text, limits::MESSAGE_MAX_CHARS);
        }
        if let Err(error) = redact::check(message) {
            found.add_with(
                "messages",
                error.code(),
                format!("message {number} of the draft: {error}"),
            );
        }
    }
}
