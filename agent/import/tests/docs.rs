//! docs/imports.md names every format, doubt, caveat, refusal and limit as the code has it.
//!
//! `UPDATE_DOCS=1 cargo test -p candour-import --test docs` writes the tables anew.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fmt::Write as _;
use std::path::PathBuf;

use candour_import::{Caveat, Doubt, Format, Refusal, RowKind};

#[test]
fn the_tables_are_the_ones_of_the_code() {
    let before = std::fs::read_to_string(path()).unwrap();
    let mut text = before.clone();
    for (name, table) in [
        ("formats", formats()),
        (
            "doubts",
            reasons(Doubt::ALL.map(|d| (d.as_str(), d.reason()))),
        ),
        (
            "caveats",
            reasons(Caveat::ALL.map(|c| (c.as_str(), c.reason()))),
        ),
        ("refusals", refusals()),
        ("limits", limits()),
    ] {
        let begin = format!("<!-- {name}: begin -->\n");
        let end = format!("<!-- {name}: end -->");
        let (start, rest) = text.split_once(&begin).expect(name);
        let (_, after) = rest.split_once(&end).expect(name);
        text = format!("{start}{begin}{table}{end}{after}");
    }
    if text == before {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return std::fs::write(path(), text).unwrap();
    }
    panic!(
        "docs/imports.md has drifted: run `UPDATE_DOCS=1 cargo test -p candour-import --test docs`"
    );
}

#[test]
fn the_lists_of_the_code_are_complete() {
    for (source, name, listed) in [
        (
            include_str!("../src/format.rs"),
            "Format",
            Format::ALL.len(),
        ),
        (include_str!("../src/row.rs"), "Doubt", Doubt::ALL.len()),
        (
            include_str!("../src/conversation.rs"),
            "Caveat",
            Caveat::ALL.len(),
        ),
        (
            include_str!("../src/bundle.rs"),
            "Refusal",
            Refusal::ALL.len(),
        ),
    ] {
        assert_eq!(variants(source, name).len(), listed, "{name}::ALL");
    }
}

#[test]
fn every_format_has_a_section_and_every_kind_of_row_its_word() {
    let text = std::fs::read_to_string(path()).unwrap();
    for format in Format::ALL {
        let heading = format!("\n## {}\n", section(format));
        assert!(text.contains(&heading), "docs/imports.md lacks: {heading}");
    }
    for kind in [
        RowKind::Text,
        RowKind::Media,
        RowKind::Omitted,
        RowKind::Deleted,
        RowKind::Poll,
        RowKind::Location,
        RowKind::Contact,
        RowKind::Blank,
        RowKind::Notice,
        RowKind::System,
    ] {
        let row = format!("| `{}` | ", kind.as_str());
        assert!(text.contains(&row), "docs/imports.md lacks: {row}");
    }
}

/// The heading under which the page says what a format has of its own.
fn section(format: Format) -> &'static str {
    match format {
        Format::WhatsAppText => "WhatsApp",
        Format::Signal => "Signal",
        Format::Telegram => "Telegram",
        Format::Sms => "SMS Backup & Restore",
        Format::Teams => "Skype and Teams",
        Format::Meta | Format::MessengerEncrypted => "Messenger and Instagram",
        Format::Slack => "Slack",
        Format::Eml | Format::Mbox => "E-mail",
        Format::Pasted => "Pasted text",
        Format::Zip => "Several files",
        other => panic!("say here which section is about {}", other.as_str()),
    }
}

fn formats() -> String {
    let mut table = "| export | name in records | channel |\n|---|---|---|\n".to_owned();
    for format in Format::ALL {
        let channel = format
            .channel()
            .map_or("–".to_owned(), |id| format!("`{id}`"));
        let (section, name) = (section(format), format.as_str());
        writeln!(table, "| {section} | `{name}` | {channel} |").unwrap();
    }
    table
}

fn reasons<'r>(rows: impl IntoIterator<Item = (&'r str, &'r str)>) -> String {
    let mut table = "| word | what it means |\n|---|---|\n".to_owned();
    for (word, reason) in rows {
        writeln!(table, "| `{word}` | {reason} |").unwrap();
    }
    table
}

fn refusals() -> String {
    let lines = Refusal::ALL.map(|refusal| format!("- {refusal}\n"));
    lines.concat()
}

/// The constants of limits.rs with what is said of them there.
fn limits() -> String {
    let mut table = "| name | value | what, and why this much |\n|---|---:|---|\n".to_owned();
    let mut about = String::new();
    for line in include_str!("../src/limits.rs").lines() {
        if let Some(said) = line.strip_prefix("///") {
            let said = said.trim();
            if !said.is_empty() {
                about.push_str(said);
                about.push(' ');
            }
        } else if let Some(constant) = line.strip_prefix("pub const ") {
            let (name, rest) = constant.split_once(": ").unwrap();
            let value = rest.split_once(" = ").unwrap().1.trim_end_matches(';');
            writeln!(
                table,
                "| `{name}` | {} | {} |",
                worked_out(value),
                plain(&about)
            )
            .unwrap();
            about.clear();
        }
    }
    assert!(about.is_empty(), "each limit is one line");
    table
}

/// `512 << 20` as 536,870,912.
fn worked_out(value: &str) -> String {
    let digits = |digits: &str| digits.replace('_', "").parse::<u64>().unwrap();
    let number = if let Some((number, shift)) = value.split_once(" << ") {
        digits(number) << shift.parse::<u32>().unwrap()
    } else if let Some((number, name)) = value.split_once(" * ") {
        return format!("{number} × `{name}`");
    } else {
        digits(value)
    };
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Without the links of the code's own documentation.
fn plain(about: &str) -> String {
    about.trim().replace("[`", "`").replace("`]", "`")
}

/// The variants of an enum without fields, as its source lists them.
fn variants<'s>(source: &'s str, name: &str) -> Vec<&'s str> {
    let (_, rest) = source.split_once(&format!("pub enum {name} {{\n")).unwrap();
    let (body, _) = rest.split_once("\n}\n").unwrap();
    body.lines()
        .filter_map(|line| line.strip_prefix("    ")?.strip_suffix(','))
        .filter(|line| line.chars().all(char::is_alphanumeric))
        .collect()
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/imports.md")
}
