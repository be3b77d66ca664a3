//! Printing: tables for people, JSON for programs.

use std::io::{self, Write as _};

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use jiff::Timestamp;
use serde::Serialize;

use super::CliError;

/// Prints a text and a newline. A reader that has gone away, as in `… | head`, is no error.
pub(super) fn text(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints a value as JSON.
pub(super) fn json(value: &impl Serialize) {
    text(&serde_json::to_string_pretty(value).expect("what is printed is plain data"));
}

/// One line under the header, so that rows can be cut with other tools.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Prints a table.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| clean(&cell))));
    text(&table.to_string());
}

/// Prints why a command failed, and what to do.
pub(super) fn error(error: &CliError, json: bool) {
    let sentence = clean(&error.sentence());
    let mut stderr = io::stderr().lock();
    // Nothing is left to be done when even this cannot be written.
    let _ = if json {
        let value = serde_json::json!({
            "error": sentence,
            "code": error.code().map(|code| code.as_str()),
            "advice": error.advice(),
        });
        writeln!(stderr, "{value}")
    } else {
        let advice = error
            .advice()
            .map(|advice| format!("\n{advice}"))
            .unwrap_or_default();
        writeln!(stderr, "candour-server: {sentence}{advice}")
    };
}

/// Text from outside, made fit for a terminal: control characters could rewrite what was shown.
pub(super) fn clean(text: &str) -> String {
    let fit = |c: char| {
        if c == '\n' || !c.is_control() && !is_direction_mark(c) {
            c
        } else {
            '\u{fffd}'
        }
    };
    text.chars().map(fit).collect()
}

/// Marks that turn the direction of writing (Unicode, bidi controls), and so the meaning of a line.
const fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A time for a table, to the second.
pub(super) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A time that may be absent.
pub(super) fn time_or_dash(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "–".to_owned(), time)
}
