//! Names that hold a colon, rows that nobody wrote, people who appear once.

use std::ops::Range;

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

/// Counts what each author's rows have in common, in the order of the file, once each row's kind
/// is known.
pub(crate) struct Survey {
    authors: Vec<Author>,
    rows: usize,
    first: Option<First>,
}

/// What is known of the rows under one name.
#[derive(Clone, Default)]
struct Author {
    rows: u32,
    kinds: Kinds,
    second: Option<Second>,
}

#[derive(Clone, Copy, Default)]
struct Kinds {
    notices: u32,
    others: u32,
}

impl Kinds {
    fn add(&mut self, kind: RowKind) {
        if kind == RowKind::Notice {
            self.notices += 1;
        } else {
            self.others += 1;
        }
    }

    const fn only_notices(self) -> bool {
        self.notices > 0 && self.others == 0
    }
}

/// What the messages of one author say about a second colon.
#[derive(Clone, Default)]
struct Second {
    /// The word before it; `None` once two messages differ.
    word: Option<Box<[u8]>>,
    /// Where the word first stands.
    at: u32,
    messages: u32,
    /// A message is the app's own from after the second colon on, so the name reaches up to it.
    certain: bool,
    /// What the rows are from after the second colon on.
    kinds: Kinds,
}

/// The first row: in a chat of two the opening notice stands under the other person's name.
struct First {
    author: u32,
    /// Whether it is that notice, with the body as it was found and from a second colon on.
    opens: bool,
    opens_beyond: bool,
}

impl Survey {
    pub(crate) const fn new() -> Self {
        Self {
            authors: Vec::new(),
            rows: 0,
            first: None,
        }
    }

    /// Takes the next row, of whose bytes `body` are the body.
    pub(crate) fn add(&mut self, row: &Row, body: &[u8], options: &Options<'_>) {
        self.rows += 1;
        let mut beyond = None;
        if row.author != NOBODY {
            let place = row.author as usize;
            if self.authors.len() <= place {
                self.authors.resize(place + 1, Author::default());
            }
            if let Some(author) = self.authors.get_mut(place) {
                author.rows = author.rows.saturating_add(1);
                author.kinds.add(row.kind);
                beyond = author.second(row, body, options);
            }
        }
        if self.first.is_none() {
            self.first = Some(First {
                author: row.author,
                opens: opens(row.kind, body),
                opens_beyond: beyond.is_some_and(|(kind, body)| opens(kind, body)),
            });
        }
    }

    /// What follows for each of the authors, whose names are given, and for the title.
    pub(crate) fn settle(self, names: &[&[u8]], title: Option<&str>) -> Settled {
        let mut verdicts: Vec<Verdict> = Vec::with_capacity(self.authors.len());
        let mut kinds: Vec<Kinds> = Vec::with_capacity(self.authors.len());
        for (author, name) in self.authors.iter().zip(names) {
            let verdict = author.verdict(name, title);
            kinds.push(match &author.second {
                _ if verdict.broken => Kinds::default(),
                Some(second) if verdict.longer_by > 0 => second.kinds,
                _ => author.kinds,
            });
            verdicts.push(verdict);
        }
        let full_name = |index: usize| {
            let name = names.get(index).copied().unwrap_or_default();
            verdicts
                .get(index)
                .and_then(|verdict| verdict.name.as_deref())
                .unwrap_or(name)
        };
        let group = self.group(&kinds, names.len(), |index| {
            title.is_some_and(|title| same_letters(full_name(index), title))
        });
        let title = title
            .map(str::to_owned)
            .or_else(|| group.map(|group| String::from_utf8_lossy(full_name(group)).into_owned()));
        for (index, verdict) in verdicts.iter_mut().enumerate() {
            verdict.group = group == Some(index);
            verdict.one_off = self.rows >= ONE_OFF_ROWS && self.written(index, verdict) == 1;
        }
        Settled { verdicts, title }
    }

    /// On iOS the group's own rows carry the group's name as author, each marked as the app's. A
    /// name all of whose rows are such is the group, not a person.
    fn group(
        &self,
        kinds: &[Kinds],
        names: usize,
        is_titled: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let only_notices = |index: usize| kinds.get(index).is_some_and(|k| k.only_notices());
        let titled = (0..kinds.len()).find(|index| only_notices(*index) && is_titled(*index));
        let opening = self
            .first
            .as_ref()
            .map(|first| first.author as usize)
            .filter(|index| only_notices(*index) && names > 1);
        let most = (0..kinds.len())
            .filter(|index| only_notices(*index))
            .max_by_key(|index| kinds.get(*index).map_or(0, |kinds| kinds.notices))
            .filter(|index| kinds.get(*index).is_some_and(|kinds| kinds.notices > 1));
        titled.or(opening).or(most)
    }

    /// How many rows somebody wrote under a name.
    fn written(&self, index: usize, verdict: &Verdict) -> u32 {
        let rows = self.authors.get(index).map_or(0, |author| author.rows);
        let opening = self.first.as_ref().is_some_and(|first| {
            first.author as usize == index
                && if verdict.longer_by > 0 {
                    first.opens_beyond
                } else {
                    first.opens
                }
        });
        if verdict.broken || verdict.group {
            0
        } else {
            rows - u32::from(opening && rows > 0)
        }
    }
}

impl Author {
    /// Looks at what stands behind a second colon: what the row would be from there on.
    fn second<'b>(
        &mut self,
        row: &Row,
        body: &'b [u8],
        options: &Options<'_>,
    ) -> Option<(RowKind, &'b [u8])> {
        if self
            .second
            .as_ref()
            .is_some_and(|second| second.word.is_none())
        {
            return None;
        }
        let found = match row.kind {
            RowKind::Text | RowKind::Media => second_part(body),
            // The app's own words follow the first colon, so the name ends there.
            _ => None,
        };
        let second = self.second.get_or_insert_with(|| Second {
            word: found.map(Into::into),
            at: row.body,
            ..Second::default()
        });
        second.messages = second.messages.saturating_add(1);
        let word = found.filter(|found| second.word.as_deref() == Some(*found));
        let Some(word) = word else {
            second.word = None;
            return None;
        };
        let rest = body.get(word.len() + 2..).unwrap_or_default();
        let kind = classify(rest, options.attachments).0;
        second.certain |= rest.starts_with(LRM)
            || match kind {
                RowKind::Deleted | RowKind::Omitted => true,
                RowKind::Media => first_line(rest).ends_with(b")"),
                _ => false,
            };
        second.kinds.add(kind);
        Some((kind, rest))
    }

    fn verdict(&self, name: &[u8], title: Option<&str>) -> Verdict {
        // A row such as `Alice changed the group name to “Budget: final”` has its colon inside a
        // quotation, so what stands before it is no name.
        let mut verdict = Verdict {
            broken: self.rows <= QUOTED_REPEATS && opens_quote(name),
            ..Verdict::default()
        };
        if verdict.broken {
            return verdict;
        }
        let Some(second) = &self.second else {
            return verdict;
        };
        let Some(word) = &second.word else {
            return verdict;
        };
        let whole = [name, b": ", word].concat();
        let titled = title.is_some_and(|title| same_letters(&whole, title));
        verdict.unsure = !second.certain && !titled;
        if second.certain || titled || second.messages >= NAME_REPEATS {
            // At most SECOND_PART_MAX_BYTES and two.
            verdict.longer_by = u32::try_from(word.len() + 2).unwrap_or(0);
            verdict.word_at = second.at;
            verdict.name = Some(whole);
        }
        verdict
    }
}

/// What follows for each author.
pub(crate) struct Settled {
    verdicts: Vec<Verdict>,
    /// The chat's title: as given, or the group's name.
    pub(crate) title: Option<String>,
}

/// What follows for the rows under one name.
#[derive(Default)]
struct Verdict {
    /// It is no name.
    broken: bool,
    /// By how many bytes the name is longer than up to its first colon, and the whole of it.
    longer_by: u32,
    name: Option<Vec<u8>>,
    /// Where the part that makes it longer first stands.
    word_at: u32,
    unsure: bool,
    group: bool,
    one_off: bool,
}

impl Settled {
    /// Settles one row, of whose bytes `body` are the body.
    pub(crate) fn apply(&self, row: &mut Row, is_first: bool, body: &[u8], options: &Options<'_>) {
        let Some(verdict) = self.verdicts.get(row.author as usize) else {
            return;
        };
        if verdict.broken {
            row.body = row.start + u32::from(row.head);
            row.author = NOBODY;
            row.kind = RowKind::System;
            row.doubt(Doubt::AuthorUnsure);
            return;
        }
        let mut body = body;
        if verdict.longer_by > 0 {
            row.body += verdict.longer_by;
            body = body.get(verdict.longer_by as usize..).unwrap_or_default();
            row.kind = classify(body, options.attachments).0;
        }
        if verdict.unsure {
            row.doubt(Doubt::AuthorUnsure);
        }
        if row.kind == RowKind::Notice && (verdict.group || (is_first && opens(row.kind, body))) {
            row.kind = RowKind::System;
        }
        if verdict.one_off && row.kind != RowKind::System {
            row.doubt(Doubt::OneOffAuthor);
        }
    }

    /// The whole name of an author whose name holds a colon.
    pub(crate) fn longer_name(&self, author: usize) -> Option<&[u8]> {
        self.verdicts.get(author)?.name.as_deref()
    }

    /// Where the whole name of an author whose name holds a colon stands, when `range` is the part
    /// before its first colon.
    pub(crate) fn longer_range(&self, author: usize, range: &Range<u32>) -> Option<Range<u32>> {
        let verdict = self.verdicts.get(author).filter(|v| v.longer_by > 0)?;
        let start = verdict.word_at.checked_sub(2 + (range.end - range.start))?;
        Some(start..verdict.word_at + verdict.longer_by - 2)
    }
}

fn opens(kind: RowKind, body: &[u8]) -> bool {
    kind == RowKind::Notice && is_encryption_notice(body)
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

/// What stands before another `: ` in the first line of `body`.
fn second_part(body: &[u8]) -> Option<&[u8]> {
    let line = first_line(body);
    let line = line
        .get(..line.len().min(SECOND_PART_MAX_BYTES))
        .unwrap_or_default();
    // A link or a time has no space after its colon; a bracketed file name is the app's.
    let at = colon(line).filter(|at| *at > 0)?;
    let word = line.get(..at)?;
    let plain =
        !word.iter().any(|byte| matches!(byte, b'<' | b'>' | b'\n')) && !word.starts_with(LRM);
    plain.then_some(word)
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

fn is_encryption_notice(body: &[u8]) -> bool {
    ENCRYPTION_NOTICE
        .iter()
        .any(|part| memchr::memmem::find(body, part.as_bytes()).is_some())
}
