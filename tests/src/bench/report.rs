//! The table of figures.

use serde::Serialize;

use super::usage::Machine;

/// Figures, in the order in which they were measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    machine: Machine,
    figures: Vec<Figure>,
}

/// One line of the table.
#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    /// What it is compared with, and by which factor it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<(String, f64)>,
    /// What it should be, as a sentence; empty where nothing was said.
    reach: &'static str,
}

impl Report {
    pub(super) fn new() -> Self {
        Self {
            machine: Machine::read(),
            figures: Vec::new(),
        }
    }

    /// Adds a figure by itself.
    pub(super) fn figure(
        &mut self,
        name: &str,
        value: f64,
        unit: &'static str,
        reach: &'static str,
    ) {
        self.figures.push(Figure {
            name: name.to_owned(),
            value,
            unit,
            reference: None,
            reach,
        });
    }

    /// Adds a figure and the one that it is compared with.
    pub(super) fn compared(
        &mut self,
        name: &str,
        value: f64,
        unit: &'static str,
        reference: (&str, f64),
        reach: &'static str,
    ) {
        self.compared_in_turns(name, value, unit, reference, value / reference.1, reach);
    }

    /// As [`Report::compared`], with a ratio that comes of many turns and not of the two sums.
    pub(super) fn compared_in_turns(
        &mut self,
        name: &str,
        value: f64,
        unit: &'static str,
        reference: (&str, f64),
        ratio: f64,
        reach: &'static str,
    ) {
        let (what, other) = reference;
        self.figures.push(Figure {
            name: name.to_owned(),
            value,
            unit,
            reference: Some((format!("{what} {}", short(other)), ratio)),
            reach,
        });
    }

    /// As Markdown, which people read as well.
    pub(super) fn table(&self) -> String {
        let mut text = format!("{}\n\n", self.machine);
        text.push_str("| figure | measured | unit | reference | ratio | reach |\n");
        text.push_str("|---|---:|---|---|---:|---|\n");
        for figure in &self.figures {
            let (reference, ratio) = match &figure.reference {
                Some((reference, ratio)) => (reference.as_str(), format!("{ratio:.2}")),
                None => ("", String::new()),
            };
            text.push_str(&format!(
                "| {} | {} | {} | {reference} | {ratio} | {} |\n",
                figure.name,
                short(figure.value),
                figure.unit,
                figure.reach
            ));
        }
        text
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and texts serialise")
    }
}

/// Three digits or so.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
