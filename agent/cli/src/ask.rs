//! Asking the holder, at a terminal, for what a declaration still needs.

use std::fmt::Display;
use std::io::BufRead as _;

use candour_core::config::Config;
use candour_core::declaration::{Draft, Violation, Violations};
use candour_wire::Code;
use candour_wire::content::{
    DeviceOwnership, Direction, Disappearing, Extent, Participant, Person, Significance, Text,
};
use candour_wire::policy::Policy;
use inquire::list_option::ListOption;
use inquire::validator::Validation;
use inquire::{Confirm, InquireError, MultiSelect, Password, Select};
use jiff::civil::DateTime;

use crate::failure::Failure;
use crate::form;
use crate::out::{note, room};
use crate::text;

/// Asks for everything that is missing from `draft`.
///
/// # Errors
///
/// When the holder breaks off, or says that the material is above OFFICIAL-SENSITIVE.
pub(crate) fn complete(draft: &mut Draft, policy: &Policy, config: &Config) -> Result<(), Failure> {
    let marking = match &draft.marking {
        Some(marking) => marking.clone(),
        None => marking_of(policy)?,
    };
    let sensitive = policy
        .markings
        .iter()
        .any(|m| m.id.eq_ignore_ascii_case(&marking) && m.sensitive);
    draft.marking = Some(marking);
    if draft.channel.is_none() {
        let channels = policy
            .channels
            .iter()
            .map(|c| Choice(text::line(&c.name), c.id.clone()))
            .collect();
        draft.channel = Some(select("Where did the conversation take place?", channels)?);
    }
    if draft.direction.is_none() {
        let choices = Direction::ALL
            .iter()
            .map(|w| Choice(w.label().to_owned(), *w))
            .collect();
        draft.direction = Some(select("Which way did the messages go?", choices)?);
    }
    let significance = match draft.significance {
        Some(significance) => significance,
        None => {
            let choices = Significance::ALL
                .iter()
                .map(|w| Choice(w.label().to_owned(), *w))
                .collect();
            select("What kind of information is it?", choices)?
        }
    };
    draft.significance = Some(significance);
    let device = match draft.device {
        Some(device) => device,
        None => {
            let choices = DeviceOwnership::ALL
                .iter()
                .map(|w| Choice(w.label().to_owned(), *w))
                .collect();
            select("Whose device were they on?", choices)?
        }
    };
    draft.device = Some(device);
    content(draft, config, significance == Significance::Significant)?;
    if significance == Significance::Significant {
        if draft.reason.is_none() {
            draft.reason = answer("Why was this channel used?")?;
        }
        if draft.participants.is_empty() {
            draft.participants = participants()?;
        }
    }
    let exceptional = significance == Significance::Significant || sensitive;
    if device == DeviceOwnership::Private
        && exceptional
        && draft.exceptional_circumstances.is_none()
    {
        draft.exceptional_circumstances = answer("What were the exceptional circumstances?")?;
    }
    if draft.disappearing.is_none() {
        let choices = Disappearing::ALL
            .iter()
            .map(|w| Choice(w.label().to_owned(), *w))
            .collect();
        draft.disappearing = Some(select("Were disappearing messages on?", choices)?);
    }
    if draft.extent.is_none() {
        let choices = Extent::ALL
            .iter()
            .map(|w| Choice(w.label().to_owned(), *w))
            .collect();
        draft.extent = Some(select("Is this all of the conversation?", choices)?);
    }
    if draft.declared_by.is_none() && config.holder_name.is_none() {
        draft.declared_by = answer("Who declares, as Name (Role)?")?.map(form::person);
    }
    Ok(())
}

/// Asks a question that is answered with yes or no.
///
/// # Errors
///
/// When the holder breaks off.
pub(crate) fn confirm(question: &str) -> Result<bool, Failure> {
    Confirm::new(question)
        .with_default(false)
        .prompt()
        .map_err(broken_off)
}

/// Asks for a secret, which is not shown.
///
/// # Errors
///
/// When the holder breaks off.
pub(crate) fn secret(question: &str) -> Result<Text, Failure> {
    Password::new(question)
        .without_confirmation()
        .prompt()
        .map(Text::new)
        .map_err(broken_off)
}

/// Asks for a line of text; `None` where it is left empty.
///
/// # Errors
///
/// When the holder breaks off.
pub(crate) fn answer(question: &str) -> Result<Option<Text>, Failure> {
    let answer = inquire::Text::new(question).prompt().map_err(broken_off)?;
    Ok((!answer.trim().is_empty()).then(|| answer.into()))
}

/// Something to choose from a long list.
pub(crate) struct Item<T> {
    /// What is shown, on one line; what does not fit is cut off.
    pub(crate) line: String,
    /// What is searched besides.
    pub(crate) words: String,
    /// What it stands for.
    pub(crate) value: T,
}

/// Asks for one of several. Typing searches them.
///
/// # Errors
///
/// When the holder breaks off.
pub(crate) fn one_of<T>(question: &str, items: Vec<Item<T>>) -> Result<T, Failure> {
    let (rows, columns) = room();
    let shown = items.into_iter().map(|item| item.cut(columns, 4)).collect();
    Select::new(question, shown)
        .with_page_size(page(rows))
        .with_scorer(&|typed, item: &Item<T>, _, _| item.found(typed))
        .with_help_message("↑↓ move, type to search, enter chooses, esc stops")
        .prompt()
        .map(|item| item.value)
        .map_err(broken_off)
}

/// Asks for some of several, none of which is marked at first. Typing searches them.
///
/// # Errors
///
/// When the holder breaks off.
pub(crate) fn some_of<T>(question: &str, items: Vec<Item<T>>) -> Result<Vec<T>, Failure> {
    let (rows, columns) = room();
    let shown = items.into_iter().map(|item| item.cut(columns, 8)).collect();
    let chosen = MultiSelect::new(question, shown)
        .with_page_size(page(rows))
        .with_scorer(&|typed, item: &Item<T>, _, _| item.found(typed))
        .with_formatter(&|chosen| format!("{} marked", chosen.len()))
        .with_validator(|chosen: &[ListOption<&Item<T>>]| {
            Ok(if chosen.is_empty() {
                Validation::Invalid("Mark at least one, with the space bar.".into())
            } else {
                Validation::Valid
            })
        })
        .with_help_message(
            "↑↓ move, space marks, → all, ← none, type to search, enter goes on, esc stops",
        )
        .prompt()
        .map_err(broken_off)?;
    Ok(chosen.into_iter().map(|item| item.value).collect())
}

/// How many items a page has, of the terminal's `rows`: a question, a remark and help are around.
fn page(rows: usize) -> usize {
    rows.saturating_sub(4).max(5)
}

impl<T> Item<T> {
    /// With a line that fits beside the `taken` columns of marks.
    fn cut(self, columns: usize, taken: usize) -> Self {
        Self {
            line: text::short(&self.line, columns.saturating_sub(taken)),
            ..self
        }
    }

    /// Keeps the order of the list: what holds `typed`, in any case, stays.
    fn found(&self, typed: &str) -> Option<i64> {
        let typed = typed.to_lowercase();
        [&self.line, &self.words]
            .into_iter()
            .any(|text| text.to_lowercase().contains(&typed))
            .then_some(0)
    }
}

impl<T> Display for Item<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line)
    }
}

fn marking_of(policy: &Policy) -> Result<String, Failure> {
    let mut choices: Vec<Choice<Option<String>>> = policy
        .markings
        .iter()
        .map(|m| Choice(text::line(&m.name), Some(m.id.clone())))
        .collect();
    // Without this choice someone with SECRET material would have to pick a lower one.
    choices.push(Choice("SECRET or above".to_owned(), None));
    select("What is its marking?", choices)?.ok_or_else(|| {
        Violations(vec![Violation {
            field: "marking",
            code: Code::MarkingTooHigh,
            detail: None,
        }])
        .into()
    })
}

fn content(draft: &mut Draft, config: &Config, significant: bool) -> Result<(), Failure> {
    let empty =
        draft.messages.is_empty() && draft.attachments.is_empty() && draft.substance.is_none();
    if empty && significant {
        if confirm("Do you have the messages' text to paste?")? {
            draft.messages.push(form::pasted(paste()?));
        } else {
            note("Say in a note what was said and decided.");
            draft.substance = Some(paste()?);
        }
    }
    if draft.occurred.is_none() && draft.messages.iter().all(|message| message.at.is_none()) {
        let wall: DateTime = inquire::CustomType::new("When was it?")
            .with_help_message("as 2026-11-20T14:30")
            .with_error_message("Write it as 2026-11-20T14:30")
            .prompt()
            .map_err(broken_off)?;
        draft.occurred = Some(form::given_time(wall, &config.time_zone)?);
    }
    Ok(())
}

fn participants() -> Result<Vec<Participant>, Failure> {
    let mut participants = Vec::new();
    while let Some(name) = answer(if participants.is_empty() {
        "Who took part, besides you? One at a time, as Name (Role):"
    } else {
        "Who else? Leave empty when that is all:"
    })? {
        let Person { name, role } = form::person(name);
        participants.push(Participant { name, role });
    }
    Ok(participants)
}

/// Reads lines up to one that holds only a full stop. No editor is opened: editors leave copies.
///
/// # Errors
///
/// When the lines cannot be read or are too long.
pub(crate) fn paste() -> Result<Text, Failure> {
    note("Paste the text; end with a line that holds only a full stop.");
    let mut text = String::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line == "." {
            break;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&line);
        if text.len() > candour_wire::limits::CONTENT_MAX_BYTES {
            return Err(Failure::Found {
                code: Code::FieldTooLong,
                detail: "the pasted text is too long".into(),
            });
        }
    }
    Ok(text.into())
}

/// A value under the words that a person reads.
struct Choice<T>(String, T);

impl<T> Display for Choice<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn select<T>(question: &str, choices: Vec<Choice<T>>) -> Result<T, Failure> {
    Select::new(question, choices)
        .prompt()
        .map(|choice| choice.1)
        .map_err(broken_off)
}

fn broken_off(error: InquireError) -> Failure {
    match error {
        InquireError::IO(error) => Failure::Output(error),
        _ => Failure::NotConfirmed("it was broken off; nothing was done"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_found_by_what_was_cut_off_and_by_what_is_not_shown() {
        let item = Item {
            line: "12  3 Feb  Tom: To be clear: is that a decision or a steer?".to_owned(),
            words: "…more than one line shows: Option B".to_owned(),
            value: (),
        }
        .cut(30, 8);
        assert_eq!(item.to_string(), "12  3 Feb  Tom: To be…");
        assert_eq!(item.found("tom"), Some(0));
        assert_eq!(item.found("option b"), Some(0));
        assert_eq!(item.found("option c"), None);
    }
}
