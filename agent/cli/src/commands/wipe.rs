//! `candour wipe`.

use serde_json::json;

use super::Context;
use crate::args::Wipe;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::text::count;
use crate::{ask, out};

pub(super) fn wipe(context: &mut Context<'_>, args: &Wipe) -> Result<Exit, Failure> {
    let agent = context.open()?;
    let status = agent.status()?;
    let waiting = status.pending_records + status.quarantined;
    let aside = status.set_aside_stores.len() as u64;
    out::note(&warning(waiting, status.drafts, aside));
    let confirmed = args.yes
        || (out::can_ask() && ask::confirm("Wipe everything of Candour from this machine?")?);
    if !confirmed {
        return Err(NOT_WIPED);
    }
    agent.wipe()?;
    context.out.line("The keys are destroyed and the agent's files are removed. Tell the device team, so that the enrolment is withdrawn.")?;
    context.out.json(&json!({
        "wiped": true,
        "lost_records": waiting,
        "lost_drafts": status.drafts,
        "lost_set_aside_stores": aside,
    }))?;
    Ok(Exit::Done)
}

const NOT_WIPED: Failure = Failure::NotConfirmed("nothing was wiped");

/// What a wipe would cost.
fn warning(waiting: u64, drafts: u64, set_aside: u64) -> String {
    let lost: Vec<String> = [
        (
            waiting,
            count(
                waiting,
                "declaration that was not received by the department",
                "declarations that were not received by the department",
            ),
        ),
        (drafts, count(drafts, "draft", "drafts")),
        (
            set_aside,
            count(
                set_aside,
                "damaged store that may hold more of either",
                "damaged stores that may hold more of either",
            ),
        ),
    ]
    .into_iter()
    .filter_map(|(number, words)| (number > 0).then_some(words))
    .collect();
    let lost = if lost.is_empty() {
        "No declaration and no draft".to_owned()
    } else {
        lost.join(" and ")
    };
    format!("Wiping destroys this machine's keys. {lost} would be lost.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warning_counts_what_would_be_lost() {
        let said = |waiting, drafts| {
            let warning = warning(waiting, drafts, 0);
            warning.split_once("keys. ").unwrap().1.to_owned()
        };
        assert_eq!(
            said(1, 2),
            "1 declaration that was not received by the department and 2 drafts would be lost."
        );
        assert_eq!(said(0, 1), "1 draft would be lost.");
        assert_eq!(
            said(3, 0),
            "3 declarations that were not received by the department would be lost."
        );
        assert_eq!(said(0, 0), "No declaration and no draft would be lost.");
        assert!(
            warning(0, 0, 1)
                .ends_with("keys. 1 damaged store that may hold more of either would be lost.")
        );
    }

    #[test]
    fn a_wipe_that_was_not_confirmed_says_nothing_about_declaring() {
        for line in NOT_WIPED.lines() {
            assert!(!line.contains("declare"), "{line}");
        }
    }
}
