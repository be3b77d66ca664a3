//! What a command prints: tables and sentences for people, or one JSON document for programs.
//!
//! Results go to standard output, remarks and prompts to standard error. Under `--json` standard
//! output carries exactly one document.

use std::io::{self, IsTerminal as _, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::failure::Failure;

/// Widest table: longer lines are hard to read. Narrowest: below it, columns fall apart.
const WIDTH: std::ops::RangeInclusive<usize> = 80..=120;

/// Widest first column that is never broken, in columns: a record's id, which is copied, fits.
const UNBROKEN_MAX: usize = 40;

/// Where a command's results go.
pub(crate) struct Out {
    json: bool,
    sink: Box<dyn Write>,
    columns: usize,
}

impl Out {
    /// Prints to standard output.
    pub(crate) fn new(json: bool) -> Self {
        let columns = console::Term::stdout()
            .size_checked()
            .map_or(100, |(_, columns)| usize::from(columns));
        Self {
            json,
            sink: Box::new(io::stdout()),
            columns: columns.clamp(*WIDTH.start(), *WIDTH.end()),
        }
    }

    /// Whether a program reads the result.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// A line for people. The text has been made safe where it comes from elsewhere.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        Ok(writeln!(self.sink, "{}", text.as_ref())?)
    }

    /// A paragraph for people, broken at the width of the page.
    pub(crate) fn paragraph(&mut self, text: &str) -> Result<(), Failure> {
        for line in wrap(text, self.columns) {
            self.line(line)?;
        }
        Ok(())
    }

    /// A table for people.
    pub(crate) fn table(
        &mut self,
        headings: &[&str],
        rows: Vec<Vec<String>>,
    ) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let mut table = self.ruled();
        if !headings.is_empty() {
            table.set_header(headings);
        }
        let first = rows
            .iter()
            .filter_map(|row| row.first())
            .flat_map(|cell| cell.lines());
        let widest = first.map(UnicodeWidthStr::width).max().unwrap_or(0);
        table.add_rows(rows);
        if let Some(column) = table.column_mut(0).filter(|_| widest <= UNBROKEN_MAX) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        self.line(table.trim_fmt())
    }

    /// How wide the page is, in terminal columns.
    pub(crate) const fn columns(&self) -> usize {
        self.columns
    }

    /// A piece of a table that is too long to be held whole: every piece has the same columns,
    /// each of so many terminal columns. Headings go with the first piece.
    pub(crate) fn piece(
        &mut self,
        headings: Option<&[&str]>,
        widths: &[usize],
        rows: Vec<Vec<String>>,
    ) -> Result<(), Failure> {
        if self.json || (rows.is_empty() && headings.is_none()) {
            return Ok(());
        }
        let mut table = self.ruled();
        if let Some(headings) = headings {
            table.set_header(headings);
        }
        table.add_rows(rows);
        for (number, width) in widths.iter().enumerate() {
            if let Some(column) = table.column_mut(number) {
                // A blank stands on either side.
                let width = u16::try_from(width + 2).unwrap_or(80);
                column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
            }
        }
        self.line(table.trim_fmt())
    }

    /// An empty table in the house's style, as wide as the page.
    fn ruled(&self) -> Table {
        let mut table = Table::new();
        table.load_style(
            TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')),
        );
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(self.columns).unwrap_or(80));
        table
    }

    /// Names and values for people, one pair to a row.
    pub(crate) fn pairs(&mut self, pairs: Vec<(&str, String)>) -> Result<(), Failure> {
        let rows = pairs
            .into_iter()
            .map(|(name, value)| vec![name.to_owned(), value])
            .collect();
        self.table(&[], rows)
    }

    /// The result for programs.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        serde_json::to_writer_pretty(&mut self.sink, value).map_err(io::Error::from)?;
        Ok(writeln!(self.sink)?)
    }

    /// Writes bytes as they are, whatever the form: completions and man pages.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.sink.write_all(bytes)?;
        Ok(self.sink.flush()?)
    }

    /// Tells how the command ended, where it ended early.
    pub(crate) fn failure(&mut self, failure: &Failure) -> Result<(), Failure> {
        if self.json {
            return self.json(&failure.to_json());
        }
        for line in failure.lines() {
            note(&line);
        }
        Ok(())
    }
}

/// A remark on standard error. One that cannot be written is dropped: there is nowhere else.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether a person sits there who can be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// How much a question can show: rows and columns of the terminal on standard error.
pub(crate) fn room() -> (usize, usize) {
    let (rows, columns) = console::Term::stderr().size();
    (usize::from(rows), usize::from(columns))
}

/// Breaks `text` at blanks so that no line is wider than `columns`, where words allow.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut current = String::new();
        for word in paragraph.split(' ') {
            if !current.is_empty() && current.width() + 1 + word.width() > columns {
                lines.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
        }
        lines.push(current);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_break_at_blanks_and_keep_every_word() {
        let text = "one two three four five\nsix";
        assert_eq!(wrap(text, 9), ["one two", "three", "four five", "six"]);
        assert_eq!(wrap("unbreakable", 4), ["unbreakable"]);
    }
}
