//! Choosing at the terminal: one of several conversations, and messages of a list.

use std::collections::BTreeSet;

use candour_core::chat::{flags, meaning};
use candour_import::{Conversation, DateOrder, ImportError, Message};
use jiff::tz::TimeZone;

use super::declared::Declared;
use super::list::{day, row};
use crate::args::Reading;
use crate::chat::{Chat, Loaded, Loading, Offer};
use crate::failure::Failure;
use crate::selection::SelectionError;
use crate::{ask, out, text};

/// Most messages that are shown to be marked at the terminal: more are not looked through, and
/// each costs memory.
const CHOICES_MAX: usize = 50_000;

/// Lets the holder choose one of several conversations, and reads it.
///
/// # Errors
///
/// When the holder breaks off, or it cannot be read.
pub(super) fn conversation(
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
        let days = [offer.first, offer.last].map(|stamp| day(stamp, tz));
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

/// Asks which number of a date comes first, where the chat itself leaves it open.
///
/// # Errors
///
/// When the holder breaks off.
pub(super) fn date_order() -> Result<DateOrder, Failure> {
    let item = |line: &str, order: DateOrder| ask::Item {
        line: line.to_owned(),
        words: order.as_str().to_owned(),
        value: order,
    };
    let items = vec![
        item("03/02, the day first (dmy)", DateOrder::DayMonthYear),
        item("02/03, the month first (mdy)", DateOrder::MonthDayYear),
    ];
    ask::one_of(
        "The dates of this chat can be read in two ways. How did the phone write 3 February?",
        items,
    )
}

/// What the holder marks in the list, at the terminal.
///
/// # Errors
///
/// When there is nothing or too much to choose from, or the holder breaks off.
pub(super) fn messages(
    conversation: &Conversation<'_>,
    listed: &[usize],
    declared: &Declared,
    tz: &TimeZone,
) -> Result<Vec<usize>, Failure> {
    if listed.is_empty() {
        return Err(SelectionError::Nothing.into());
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
            remarks.extend(flags(&message));
            let declared = declared.day(message.index());
            item(&message, declared.as_deref(), tz, width)
        })
        .collect();
    for remark in &remarks {
        if let Some(meaning) = meaning(remark) {
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
