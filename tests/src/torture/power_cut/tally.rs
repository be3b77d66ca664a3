//! What was found on how many images.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::{Control, Side};
use crate::torture::disk::Fate;

/// Counts over many images.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counts>);

/// What was counted.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    /// Images that were looked at.
    pub images: u64,
    /// Those with something wrong.
    pub bad: u64,
    /// Findings by their first word or two.
    pub kinds: BTreeMap<String, u64>,
    /// The first findings in full, with what led to them.
    pub examples: Vec<String>,
}

/// Examples that are kept.
const EXAMPLES_MAX: usize = 5;

impl Tally {
    pub(super) fn add(&self, findings: Vec<String>, cut: usize, fate: Fate) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.images += 1;
        if findings.is_empty() {
            return;
        }
        counts.bad += 1;
        if counts.examples.len() < EXAMPLES_MAX {
            let example = format!("cut at step {cut}, {fate:?}: {findings:?}");
            counts.examples.push(example);
        }
        for finding in findings {
            let kind = finding.split(':').next().unwrap_or_default().to_owned();
            *counts.kinds.entry(kind).or_default() += 1;
        }
    }

    /// What has been counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Prints the outcome, and says whether it is as it should be: nothing found where nothing was
/// broken, and something wherever something was.
///
/// # Errors
///
/// When it cannot be printed.
pub fn report(lines: &[(Side, Control, Tally)], json: bool) -> Result<bool, String> {
    let mut out = std::io::stdout();
    let failed = |error: std::io::Error| error.to_string();
    let mut good = true;
    let mut values = Vec::new();
    for (side, control, tally) in lines {
        let counts = tally.counts();
        let as_it_should = (*control == Control::None) == (counts.bad == 0);
        good &= as_it_should || counts.images == 0;
        values.push(json!({
            "side": format!("{side:?}").to_lowercase(),
            "broken": control.as_str(),
            "images": counts.images,
            "bad": counts.bad,
            "kinds": counts.kinds,
            "examples": counts.examples,
        }));
    }
    if json {
        writeln!(out, "{}", Value::from(values)).map_err(failed)?;
        return Ok(good);
    }
    writeln!(
        out,
        "{:<8}{:<48}{:>8}{:>8}",
        "side", "broken on purpose", "images", "caught"
    )
    .map_err(failed)?;
    for value in &values {
        writeln!(
            out,
            "{:<8}{:<48}{:>8}{:>8}",
            value["side"].as_str().unwrap_or_default(),
            value["broken"].as_str().unwrap_or_default(),
            value["images"].to_string(),
            value["bad"].to_string()
        )
        .map_err(failed)?;
    }
    for value in values
        .iter()
        .filter(|value| value["broken"] == Control::None.as_str())
    {
        for example in value["examples"].as_array().into_iter().flatten() {
            writeln!(out, "{example}").map_err(failed)?;
        }
    }
    Ok(good)
}
