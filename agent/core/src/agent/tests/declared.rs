//! An export that is read again offers only what has not been declared.

use super::*;
use crate::declaration::{Origin, Origins};

fn origin(text: &str) -> Origin {
    Origins::default().next(candour_wire::Digest::of(text.as_bytes()))
}

/// A draft of messages that were imported, and of one that was pasted.
fn imported(texts: &[&str]) -> Draft {
    let one = draft().messages.remove(0);
    let message = |text: &&str| Message {
        text: (*text).into(),
        ..one.clone()
    };
    Draft {
        messages: texts.iter().chain(&["pasted"]).map(message).collect(),
        origins: texts.iter().map(|text| Some(origin(text))).collect(),
        ..draft()
    }
}

fn records(agent: &Agent, texts: &[&str]) -> Vec<Option<RecordId>> {
    let origins: Vec<Origin> = texts.iter().map(|text| origin(text)).collect();
    let found = agent.already_declared(&origins).unwrap();
    found
        .into_iter()
        .map(|found| found.map(|declared| declared.record))
        .collect()
}

#[test]
fn what_a_draft_imported_counts_as_declared_once_it_is_and_not_before() {
    let phone = Phone::enrolled();
    let agent = phone.agent();
    let id = agent.save_draft(None, &imported(&["a", "b"])).unwrap();
    assert_eq!(records(&agent, &["a", "b", "pasted"]), [None, None, None]);
    drop(agent);
    let agent = phone.agent();
    let stored = agent.draft(id).unwrap();
    assert_eq!(stored, imported(&["a", "b"]));
    let preview = agent.preview(&stored).unwrap();
    agent.declare(preview, Some(id)).unwrap();
    drop(agent);
    let agent = phone.agent();
    assert_eq!(
        records(&agent, &["a", "b", "pasted"]),
        [Some(id), Some(id), None]
    );
}

#[test]
fn a_correction_declares_what_it_adds_and_a_withdrawal_offers_all_of_it_again() {
    let phone = Phone::enrolled();
    let agent = phone.agent();
    let preview = |texts: &[&str]| agent.preview(&imported(texts)).unwrap();
    let first = agent.declare(preview(&["a"]), None).unwrap();
    phone.pass_hours(1);
    let second = agent.amend(first, preview(&["a", "b"]), None).unwrap();
    assert_eq!(records(&agent, &["a", "b"]), [Some(first), Some(second)]);
    agent
        .withdraw(first, "Private after all".into(), None)
        .unwrap();
    assert_eq!(records(&agent, &["a", "b"]), [None, None]);
}

#[test]
fn the_origins_of_other_messages_are_not_believed() {
    let phone = Phone::enrolled();
    let agent = phone.agent();
    let mut odd = imported(&["a"]);
    odd.messages.truncate(1);
    odd.origins.push(Some(origin("b")));
    agent.declare(agent.preview(&odd).unwrap(), None).unwrap();
    assert_eq!(records(&agent, &["a", "b"]), [None, None]);
}
