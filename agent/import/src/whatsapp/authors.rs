//! Names that hold a colon, rows that nobody wrote, people who appear once.

use super::Chat;
use super::chars::LRM;
use super::classify::{classify, first_line};
use super::phrases::ENCRYPTION_NOTICE;
use super::scan::colon;
use crate::Options;
use crate::row::{Doubt, NOBODY, Row, RowKind};

/// From how many messages on a word before a second colon, the same in all of them, is taken for
/// a part of the name. Fewer may as well be a habit ("FYI: …").
const NAME_REPEATS: u32 = 3;

/// Up to how many times the app says the very same about a group. A quotation mark in a name that
/// comes more often belongs to the name.
const QUOTED_REPEATS: u32 = 2;

/// From how many rows on an author who appears once is remarkable.
const ONE_OFF_ROWS: usize = 20;

/// Longest second part of a name, in bytes.
const SECOND_PART_MAX_BYTES: usize = 100;

/// Settles who wrote what. Runs last: it needs the kinds.
pub(crate) fn settle(chat: &mut Chat<'_>, options: &Options<'_>) {
    quoted_titles(chat);
    names_with_colons(chat, options);
    rows_of_the_group(chat);
    one_offs(chat);
}

/// A row such as `Alice changed the group name to “Budget: final”` has its colon inside a
/// quotation, so what stands before it is no name.
fn quoted_titles(chat: &mut Chat<'_>) {
    let mut counts = vec![0_u32; chat.authors.len()];
    for row in &chat.rows {
        if let Some(count) = counts.get_mut(row.author as usize) {
            *count += 1;
        }
    }
    let broken: Vec<bool> = chat
        .authors
        .iter()
        .zip(counts)
        .map(|(range, count)| count <= QUOTED_REPEATS && opens_quote(name(chat, range)))
        .collect();
    for row in &mut chat.rows {
        if broken
            .get(row.author as usize)
            .is_some_and(|broken| *broken)
        {
            row.body = row.start + u32::from(row.head);
            row.author = NOBODY;
            row.kind = RowKind::System;
            row.doubt(Doubt::AuthorUnsure);
        }
    }
}

fn opens_quote(name: &[u8]) -> bool {
    let text = String::from_utf8_lossy(name);
    let last = |marks: &[char]| text.rfind(marks);
    let open_at = last(&['“', '„', '«']);
    let close_at = last(&['”', '»']);
    // German closes with the mark that English opens with.
    let german_closed = text
        .rfind('„')
        .is_some_and(|open| text.rfind('“') > Some(open));
    let unclosed = open_at.is_some() && open_at > close_at && !german_closed;
    unclosed || text.matches('"').count() % 2 == 1
}

/// What the messages of one author say about a second colon.
#[derive(Clone, Copy)]
struct Second {
    /// Start and length of the word before it; `None` once two messages differ.
    word: Option<(u32, u32)>,
    messages: u32,
    /// A message is the app's own from after the second colon on, so the name reaches up to it.
    certain: bool,
}

/// What is done about an author whose messages all go on with the same word and a colon.
#[derive(Clone, Copy, Default)]
struct Longer {
    /// By how many bytes the name is longer than up to its first colon.
    by: u32,
    unsure: bool,
}

fn names_with_colons(chat: &mut Chat<'_>, options: &Options<'_>) {
    let seconds = second_words(chat, options);
    let mut verdicts = vec![Longer::default(); seconds.len()];
    for (author, second) in seconds.iter().enumerate() {
        let Some(Second {
            word: Some((_, len)),
            messages,
            certain,
        }) = second
        else {
            continue;
        };
        let Some(range) = chat.authors.get(author) else {
            continue;
        };
        let whole = range.start..range.end + 2 + len;
        let titled = options
            .title
            .is_some_and(|title| same_letters(name(chat, &whole), title));
        let joined = *certain || titled || *messages >= NAME_REPEATS;
        if let Some(verdict) = verdicts.get_mut(author) {
            verdict.by = if joined { len + 2 } else { 0 };
            verdict.unsure = !*certain && !titled;
        }
        if joined && let Some(range) = chat.authors.get_mut(author) {
            *range = whole;
        }
    }
    for index in 0..chat.rows.len() {
        let end = chat.end(index);
        let Some(row) = chat.rows.get_mut(index) else {
            break;
        };
        let Some(verdict) = verdicts.get(row.author as usize) else {
            continue;
        };
        if verdict.by > 0 {
            row.body += verdict.by;
            row.kind = classify(span(chat.source, row.body, end), options.attachments).0;
        }
        if verdict.unsure {
            row.doubt(Doubt::AuthorUnsure);
        }
    }
}

fn second_words(chat: &Chat<'_>, options: &Options<'_>) -> Vec<Option<Second>> {
    let mut seconds: Vec<Option<Second>> = vec![None; chat.authors.len()];
    for (index, row) in chat.rows.iter().enumerate() {
        let Some(second) = seconds.get_mut(row.author as usize) else {
            continue;
        };
        if second.is_some_and(|second| second.word.is_none()) {
            continue;
        }
        let body = span(chat.source, row.body, chat.end(index));
        let found = match row.kind {
            RowKind::Text | RowKind::Media => second_part(body),
            // The app's own words follow the first colon, so the name ends there.
            _ => None,
        };
        let state = second.get_or_insert(Second {
            word: found.map(|len| (row.body, len)),
            messages: 0,
            certain: false,
        });
        state.messages += 1;
        match (state.word, found) {
            (Some((start, len)), Some(found))
                if span(chat.source, start, start + len) == span(body, 0, found) =>
            {
                let rest = body.get(found as usize + 2..).unwrap_or_default();
                state.certain |= is_the_apps(rest, options);
            }
            _ => state.word = None,
        }
    }
    seconds
}

/// Whether a body is the app's from its first byte on.
fn is_the_apps(body: &[u8], options: &Options<'_>) -> bool {
    if body.starts_with(LRM) {
        return true;
    }
    match classify(body, options.attachments).0 {
        RowKind::Deleted | RowKind::Omitted => true,
        RowKind::Media => first_line(body).ends_with(b")"),
        _ => false,
    }
}

/// The length of what stands before another `: ` in the first line of `body`.
fn second_part(body: &[u8]) -> Option<u32> {
    let line = first_line(body);
    let line = line
        .get(..line.len().min(SECOND_PART_MAX_BYTES))
        .unwrap_or_default();
    // A link or a time has no space after its colon; a bracketed file name is the app's.
    let at = colon(line).filter(|at| *at > 0)?;
    let word = line.get(..at)?;
    let plain =
        !word.iter().any(|byte| matches!(byte, b'<' | b'>' | b'\n')) && !word.starts_with(LRM);
    plain.then(|| u32::try_from(at).ok()).flatten()
}

/// Titles become file names with some characters replaced, so letters and digits must do.
fn same_letters(name: &[u8], title: &str) -> bool {
    let name = String::from_utf8_lossy(name);
    let letters = |text: &str| {
        text.chars()
            .filter(|c| c.is_alphanumeric())
            .collect::<String>()
    };
    letters(&name) == letters(title) && !title.is_empty()
}

/// On iOS the group's own rows carry the group's name as author, each marked as the app's. A name
/// all of whose rows are such is the group, not a person.
fn rows_of_the_group(chat: &mut Chat<'_>) {
    let mut notices = vec![(0_u32, 0_u32); chat.authors.len()];
    for row in &chat.rows {
        if let Some((notice, other)) = notices.get_mut(row.author as usize) {
            if row.kind == RowKind::Notice {
                *notice += 1
            } else {
                *other += 1
            }
        }
    }
    let only_notices = |author: usize| {
        notices
            .get(author)
            .is_some_and(|(notice, other)| *notice > 0 && *other == 0)
    };
    let titled = (0..chat.authors.len()).find(|author| {
        let range = chat.authors.get(*author);
        only_notices(*author)
            && chat
                .title
                .as_deref()
                .zip(range)
                .is_some_and(|(t, r)| same_letters(name(chat, r), t))
    });
    let opening = chat
        .rows
        .first()
        .map(|row| row.author as usize)
        .filter(|author| only_notices(*author) && notices.len() > 1);
    let most = (0..notices.len())
        .filter(|author| only_notices(*author))
        .max_by_key(|author| notices.get(*author).map_or(0, |(notice, _)| *notice))
        .filter(|author| notices.get(*author).is_some_and(|(notice, _)| *notice > 1));
    let group = titled.or(opening).or(most);
    if chat.title.is_none()
        && let Some(range) = group.and_then(|group| chat.authors.get(group))
    {
        chat.title = Some(String::from_utf8_lossy(name(chat, range)).into_owned());
    }

    for index in 0..chat.rows.len() {
        let end = chat.end(index);
        let source = chat.source;
        let Some(row) = chat.rows.get_mut(index) else {
            break;
        };
        if row.kind != RowKind::Notice {
            continue;
        }
        let of_group = group.is_some_and(|group| row.author as usize == group);
        // In a chat of two the opening notice stands under the other person's name.
        if of_group || (index == 0 && is_encryption_notice(span(source, row.body, end))) {
            row.kind = RowKind::System;
        }
    }
}

fn is_encryption_notice(body: &[u8]) -> bool {
    ENCRYPTION_NOTICE
        .iter()
        .any(|part| memchr::memmem::find(body, part.as_bytes()).is_some())
}

fn one_offs(chat: &mut Chat<'_>) {
    if chat.rows.len() < ONE_OFF_ROWS {
        return;
    }
    let mut counts = vec![0_u32; chat.authors.len()];
    let written = |row: &Row| row.kind != RowKind::System;
    for row in chat.rows.iter().filter(|row| written(row)) {
        if let Some(count) = counts.get_mut(row.author as usize) {
            *count += 1;
        }
    }
    for row in chat.rows.iter_mut().filter(|row| written(row)) {
        if counts.get(row.author as usize) == Some(&1) {
            row.doubt(Doubt::OneOffAuthor);
        }
    }
}

fn name<'a>(chat: &Chat<'a>, range: &std::ops::Range<u32>) -> &'a [u8] {
    span(chat.source, range.start, range.end)
}

fn span(bytes: &[u8], start: u32, end: u32) -> &[u8] {
    bytes.get(start as usize..end as usize).unwrap_or_default()
}
