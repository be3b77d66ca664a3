//! The messages of a chat, and the chats of an export, as tables or as JSON.

use std::collections::BTreeSet;

use candour_core::chat::flags;
use candour_import::{Caveat, Conversation, DateOrder, Message, OrderBasis, Stamp};
use candour_wire::Digest;
use jiff::tz::TimeZone;
use serde::ser::{Serialize, Serializer};
use serde_json::{Value, json};

use super::declared::Declared;
use crate::chat::Offer;
use crate::failure::Failure;
use crate::out::Out;
use crate::preview::{doubt, explain};
use crate::text;

/// How much of a message the list shows, in columns; the preview shows all of it.
const SHOWN_COLUMNS: usize = 160;

/// How many rows are put together before they are printed: a list of a million is never held.
const PIECE_ROWS: usize = 200;

/// What five columns need beside their words: a blank on either side, and one between two.
const BETWEEN: usize = 14;

const HEADINGS: [&str; 5] = ["No.", "When", "Who", "Message", "Remarks"];

/// What is listed.
pub(super) struct Listing<'l> {
    pub(super) chat: &'l Conversation<'l>,
    /// The places of the messages that the filters leave.
    pub(super) places: &'l [usize],
    pub(super) declared: &'l Declared,
    /// IANA name of the zone of times that name none.
    pub(super) zone: &'l str,
    pub(super) tz: &'l TimeZone,
    /// SHA-256 of what the chat came in.
    pub(super) digest: Digest,
}

impl Listing<'_> {
    /// Prints the list.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub(super) fn print(&self, out: &mut Out) -> Result<(), Failure> {
        if out.is_json() {
            return self.print_json(out);
        }
        let mut remarks = BTreeSet::new();
        let widths = widths(out.columns(), self.chat.len());
        let mut headings = Some(HEADINGS.as_slice());
        for piece in self.places.chunks(PIECE_ROWS) {
            let rows = piece
                .iter()
                .filter_map(|place| self.chat.message(*place))
                .map(|message| {
                    remarks.extend(flags(&message));
                    self.row(&message)
                });
            out.piece(headings.take(), &widths, rows.collect())?;
        }
        let title = self
            .chat
            .title()
            .map(|title| format!(" of “{}”", text::line(title)))
            .unwrap_or_default();
        out.line(format!(
            "{} of {} messages{title}.",
            self.places.len(),
            self.chat.len()
        ))?;
        said_before_picking(out, self.chat)?;
        explain(out, remarks.iter().map(String::as_str))?;
        let declared = self
            .places
            .iter()
            .filter(|place| self.declared.at(**place).is_some())
            .count();
        if declared > 0 {
            out.paragraph(&format!(
                "{} declared before; picking leaves {} out, unless --again is added.",
                if declared == 1 {
                    "1 of these has been".to_owned()
                } else {
                    format!("{declared} of these have been")
                },
                if declared == 1 { "it" } else { "them" },
            ))?;
        }
        out.paragraph(
            "To declare some: add --pick with their numbers, such as --pick 3-7,12, or --pick \
             listed for all that are listed; at a terminal, --choose lets you mark them.",
        )
    }

    fn row(&self, message: &Message<'_>) -> Vec<String> {
        let mut row = row(message, self.tz);
        if let Some(day) = self.declared.day(message.index()) {
            let [.., remarks] = &mut row;
            *remarks = match remarks.as_str() {
                "" => format!("declared {day}"),
                others => format!("declared {day}, {others}"),
            };
        }
        row.into()
    }

    fn print_json(&self, out: &mut Out) -> Result<(), Failure> {
        out.json(&Json {
            title: self.chat.title(),
            format: self.chat.format_name(),
            date_order: self.chat.date_order().map(DateOrder::as_str),
            date_order_basis: self.chat.order_basis().map(OrderBasis::as_str),
            sha256: self.digest,
            caveats: self
                .chat
                .caveats()
                .iter()
                .copied()
                .map(Caveat::as_str)
                .collect(),
            messages_in_all: self.chat.len(),
            messages: Messages(self),
        })
    }

    fn message_json(&self, message: &Message<'_>) -> Value {
        let earlier: Vec<Value> = message
            .revisions()
            .into_iter()
            .map(|wording| {
                json!({
                    "at": wording.at.time_in(self.zone).ok().flatten(),
                    "text": wording.text,
                })
            })
            .collect();
        let declared = self.declared.at(message.index());
        json!({
            "number": message.index() + 1,
            "at": message.time_in(self.zone).ok().flatten(),
            "author": message.author(),
            "outgoing": message.is_outgoing(),
            "kind": message.kind().as_str(),
            "text": message.text(),
            "earlier_wordings": earlier,
            "file": message.attachment_name(),
            "flags": flags(message),
            "sha256": message.digest(),
            "declared": declared.map(|declared| json!({ "record": declared.record, "at": declared.at })),
        })
    }
}

#[derive(serde::Serialize)]
struct Json<'l> {
    title: Option<&'l str>,
    format: &'static str,
    date_order: Option<&'static str>,
    date_order_basis: Option<&'static str>,
    sha256: Digest,
    caveats: Vec<&'static str>,
    messages_in_all: usize,
    messages: Messages<'l>,
}

/// The messages one by one, so that those of a large chat are never held together.
struct Messages<'l>(&'l Listing<'l>);

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let listed = self.0.places.iter();
        serializer.collect_seq(
            listed
                .filter_map(|place| self.0.chat.message(*place))
                .map(|message| self.0.message_json(&message)),
        )
    }
}

/// A message as a row of the list.
pub(crate) fn row(message: &Message<'_>, zone: &TimeZone) -> [String; 5] {
    let mut remarks: Vec<String> = flags(message)
        .iter()
        .map(|flag| flag.replace('_', " "))
        .collect();
    remarks.dedup();
    match message.revisions().len() {
        0 => {}
        wordings => remarks.push(text::count(
            wordings as u64,
            "earlier wording",
            "earlier wordings",
        )),
    }
    let time = zone.iana_name().and_then(|zone| message.time_in(zone).ok());
    remarks.extend(
        time.flatten()
            .and_then(|time| doubt(time.confidence))
            .map(str::to_owned),
    );
    [
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

/// The columns of the list on a page `page` columns wide: what is left goes to the messages.
fn widths(page: usize, messages: usize) -> [usize; 5] {
    let number = messages.to_string().len().max(3);
    let (when, who, remarks) = if page < 100 {
        (12, 14, 12)
    } else {
        (18, 18, 14)
    };
    let rest = page.saturating_sub(number + when + who + remarks + BETWEEN);
    [number, when, who, rest.max(20), remarks]
}

/// What the holder is told before picking: what the export leaves out, and what was inferred.
pub(super) fn said_before_picking(out: &mut Out, chat: &Conversation<'_>) -> Result<(), Failure> {
    if chat.order_basis() == Some(OrderBasis::Monotonic) {
        out.paragraph(
            "Day and month were told apart by the order of the messages; check that the dates \
             are right.",
        )?;
    }
    for caveat in chat.caveats() {
        out.paragraph(caveat.reason())?;
    }
    Ok(())
}

/// The conversations of an export that holds several, and nothing of what they say.
pub(super) fn offers(out: &mut Out, found: &[Offer], tz: &TimeZone) -> Result<(), Failure> {
    let rows = found.iter().map(|offer| {
        vec![
            text::line(&offer.id),
            offer.title.as_deref().map(text::name).unwrap_or_default(),
            offer.messages.map(|n| n.to_string()).unwrap_or_default(),
            day(offer.first, tz),
            day(offer.last, tz),
        ]
    });
    out.table(
        &["Id", "With or title", "Messages", "First", "Last"],
        rows.collect(),
    )?;
    out.paragraph("To list one: add --conversation with its id. Nothing of the others is kept.")?;
    if out.is_json() {
        let conversations: Vec<Value> = found
            .iter()
            .map(|offer| {
                json!({
                    "id": offer.id,
                    "title": offer.title,
                    "messages": offer.messages,
                    "first": offer.first.wall_in(tz).map(|wall| wall.date()),
                    "last": offer.last.wall_in(tz).map(|wall| wall.date()),
                })
            })
            .collect();
        out.json(&json!({ "conversations": conversations }))?;
    }
    Ok(())
}

/// The day of a time; nothing where there is none.
pub(super) fn day(stamp: Stamp, tz: &TimeZone) -> String {
    let wall = stamp.wall_in(tz);
    wall.map(|wall| wall.strftime("%-d %b %Y").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use candour_import::Options;

    use super::*;

    #[test]
    fn a_list_fits_the_narrowest_page_and_gives_the_rest_to_the_messages() {
        for (page, messages) in [(80, 10), (80, 8_000_000), (100, 999), (120, 40_000)] {
            let widths = widths(page, messages);
            assert!(widths.iter().sum::<usize>() + BETWEEN <= page, "{page}");
            assert!(widths[3] >= 20, "{page}");
        }
    }

    #[test]
    fn a_time_that_the_clocks_had_twice_or_never_is_said_on_its_row() {
        let chat = "[31/03/2024, 01:30:00] Alice: never\n\
                    [27/10/2024, 01:30:00] Alice: twice\n\
                    [27/10/2024, 02:30:00] Alice: once\n";
        let chat = candour_import::import(chat.as_bytes(), &Options::default()).unwrap();
        let london = TimeZone::get("Europe/London").unwrap();
        let remarks: Vec<String> = chat
            .messages()
            .map(|message| {
                let [.., remarks] = row(&message, &london);
                remarks
            })
            .collect();
        assert!(remarks[0].contains("no such time"), "{remarks:?}");
        assert!(remarks[1].contains("one of two"), "{remarks:?}");
        assert_eq!(remarks[2], "");
    }
}
