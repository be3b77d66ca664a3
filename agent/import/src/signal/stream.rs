//! An export that is larger than memory allows: read line by line, all but one chat gone at once.
//!
//! What stays is the text of a smaller export: the lines of the chosen chat as they are, and of
//! the account, its recipients and its chats what names and titles need. Keys do not stay.

use std::io::{BufRead, Read as _};

use super::Frame;
use super::recipient::Recipients;
use super::survey::Survey;
use crate::files::bom;
use crate::json::{Broken, Value};
use crate::limits::{LINE_MAX_BYTES, TEXT_MAX_BYTES};
use crate::selected::Meter;
use crate::{ImportError, SelectedChat, Summary};

/// Lists the chats of a `main.jsonl` of any size that have messages, in the order of their first.
///
/// Blocks on `reader`; holds a line, and the names of the account's recipients.
///
/// # Errors
///
/// [`ImportError::TooLarge`] for a line over [`LINE_MAX_BYTES`] or names over [`TEXT_MAX_BYTES`],
/// [`ImportError::TooManyPeople`], [`ImportError::Damaged`] when it cannot be read.
pub fn list_signal(reader: impl BufRead) -> Result<Vec<Summary>, ImportError> {
    let mut survey = Survey::new();
    let mut names = Vec::new();
    each_line(reader, |line, _| {
        match Frame::read(line.get(bom(line)..).unwrap_or(line), None) {
            Ok(Frame::Item(item)) => survey.count(&item)?,
            Ok(Frame::Other(kind, value)) => keep_names(&mut names, kind, value)?,
            Ok(Frame::Elsewhere) | Err(_) => {}
        }
        Ok(())
    })?;
    let mut recipients = Recipients::new();
    for line in super::Lines::of(&names) {
        if let Ok(Frame::Other(kind, value)) = Frame::read(line.bytes, None) {
            recipients.take(kind, value)?;
        }
    }
    Ok(survey.summaries(&recipients))
}

/// Takes the chat `id` (of its [`Summary`]) out of a `main.jsonl` of any size.
///
/// Blocks on `reader`; holds a line, and what is taken.
///
/// # Errors
///
/// As [`list_signal`], and [`ImportError::NoSuchConversation`] when no message is of that chat.
pub fn select_signal(reader: impl BufRead, id: &str) -> Result<SelectedChat, ImportError> {
    let mut text = Vec::new();
    let mut meter = Meter::new();
    let mut found = false;
    let (mut damaged, mut cut_off) = (false, false);
    each_line(reader, |line, ended| {
        meter.add(line);
        match Frame::read(line.get(bom(line)..).unwrap_or(line), Some(id.as_bytes())) {
            Ok(Frame::Item(_)) => {
                found = true;
                let room = TEXT_MAX_BYTES.saturating_sub(text.len());
                if line.len() >= room {
                    return Err(too_large(text.len() + line.len()));
                }
                text.extend(line.trim_ascii_end());
                text.push(b'\n');
            }
            Ok(Frame::Other(kind, value)) => keep_names(&mut text, kind, value)?,
            Ok(Frame::Elsewhere) => {}
            Err(_) if line.trim_ascii().is_empty() => {}
            Err(Broken::End) if !ended => cut_off = true,
            Err(_) => damaged = true,
        }
        Ok(())
    })?;
    if !found {
        return Err(ImportError::NoSuchConversation);
    }
    // What was broken is not kept, but that it was must be said when the text is imported: these
    // lines are broken in the same way.
    if damaged {
        text.extend(b"?\n");
    }
    if cut_off {
        text.push(b'{');
    }
    Ok(meter.chat(text))
}

/// Gives every line to `take`, with its line ending and whether it has one.
fn each_line(
    mut reader: impl BufRead,
    mut take: impl FnMut(&[u8], bool) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let mut line = Vec::new();
    loop {
        line.clear();
        reader
            .by_ref()
            .take(LINE_MAX_BYTES as u64 + 1)
            .read_until(b'\n', &mut line)
            .map_err(ImportError::Damaged)?;
        if line.is_empty() {
            return Ok(());
        }
        if line.len() > LINE_MAX_BYTES {
            return Err(ImportError::TooLarge {
                bytes: line.len() as u64,
                max: LINE_MAX_BYTES as u64,
            });
        }
        take(&line, line.ends_with(b"\n"))?;
    }
}

/// What is kept of an object.
enum Keep {
    /// The value under this key.
    All(&'static str),
    /// That there is something under this key.
    Mark(&'static str),
    /// These parts of the object under this key.
    Of(&'static str, &'static [Keep]),
}

use Keep::{All, Mark, Of};

const ACCOUNT: &[Keep] = &[All("givenName"), All("familyName"), All("username")];
const CHAT: &[Keep] = &[All("id"), All("recipientId")];
const RECIPIENT: &[Keep] = &[
    All("id"),
    Mark("self"),
    Mark("releaseNotes"),
    Of(
        "contact",
        &[
            All("aci"),
            All("pni"),
            All("e164"),
            All("username"),
            All("profileGivenName"),
            All("profileFamilyName"),
            All("systemGivenName"),
            All("systemFamilyName"),
            All("nickname"),
        ],
    ),
    Of("group", &[Of("snapshot", &[Of("title", &[All("title")])])]),
    Of("callLink", &[All("name")]),
    Of(
        "distributionList",
        &[Of("distributionList", &[All("name")])],
    ),
];

/// Writes what names and titles need of a frame; nothing of other frames.
fn keep_names(out: &mut Vec<u8>, kind: &[u8], value: Value<'_>) -> Result<(), ImportError> {
    let (kind, keep) = match kind {
        b"account" => ("account", ACCOUNT),
        b"recipient" => ("recipient", RECIPIENT),
        b"chat" => ("chat", CHAT),
        _ => return Ok(()),
    };
    if !value.is_object() {
        return Ok(());
    }
    // What is kept is shorter than its line, but for the quotes and commas around it.
    if out.len() + 2 * LINE_MAX_BYTES > TEXT_MAX_BYTES {
        return Err(too_large(out.len()));
    }
    out.extend(b"{\"");
    out.extend(kind.as_bytes());
    out.extend(b"\":");
    write(out, value, keep);
    out.extend(b"}\n");
    Ok(())
}

fn write(out: &mut Vec<u8>, value: Value<'_>, keep: &[Keep]) {
    out.push(b'{');
    let mut first = true;
    for keep in keep {
        let (All(key) | Mark(key) | Of(key, _)) = keep;
        let Some(value) = value.get(key) else {
            continue;
        };
        if !first {
            out.push(b',');
        }
        first = false;
        out.push(b'"');
        out.extend(key.as_bytes());
        out.extend(b"\":");
        match keep {
            All(_) => out.extend(value.0),
            Mark(_) => out.extend(b"{}"),
            Of(_, keep) => write(out, value, keep),
        }
    }
    out.push(b'}');
}

const fn too_large(bytes: usize) -> ImportError {
    ImportError::TooLarge {
        bytes: bytes as u64,
        max: TEXT_MAX_BYTES as u64,
    }
}
