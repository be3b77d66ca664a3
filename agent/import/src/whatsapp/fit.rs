//! Headers that do not fit where they stand.
//!
//! A header inside a pasted message has the same form as a real one. What gives it away is a date
//! that is impossible in this file's order, another padding than every other header has, or a
//! place out of time. By default such a line stays in the message before it: then that message
//! shows it as it stands, and nobody is said to have written what another person pasted.

use std::collections::VecDeque;
use std::ops::Range;

use super::order::{CLOCK_CHANGE_SECONDS, wall};
use super::scan::{Padding, Raw};
use crate::options::{DateOrder, EmbeddedHeaders};
use crate::row::{Doubt, Row};

/// Steps back of up to this many seconds are rounding and delivery, not news.
const JITTER_SECONDS: u64 = 60;

/// Most rows in a run that may be taken for pasted: what a person selects and copies at once. A
/// longer run is a second export in the same file.
const RUN_MAX: usize = 64;

/// Marks a row that becomes part of the one before it.
const FOLD: u32 = 1 << 30;

/// Turns raw numbers into wall-clock seconds, and deals with impossible dates and odd padding.
pub(crate) fn resolve(
    rows: &mut Vec<Row>,
    usual: &UsualPadding,
    order: DateOrder,
    embedded: EmbeddedHeaders,
) {
    for (index, row) in rows.iter_mut().enumerate() {
        if !fits(row, index == 0, usual, order, embedded) {
            row.flags |= FOLD;
        }
    }
    fold(rows);
}

/// Turns the raw numbers of one row into seconds. Says whether it is a row of its own.
pub(crate) fn fits(
    row: &mut Row,
    is_first: bool,
    usual: &UsualPadding,
    order: DateOrder,
    embedded: EmbeddedHeaders,
) -> bool {
    let raw = Raw::unpack(row.time);
    let mut fits = true;
    if !is_first {
        match usual.judge(raw) {
            Oddity::None => {}
            Oddity::Mixed => row.doubt(Doubt::OddHeader),
            Oddity::Foreign if embedded == EmbeddedHeaders::KeepInMessage => fits = false,
            Oddity::Foreign => row.doubt(Doubt::OddHeader),
        }
    }
    match wall(raw, order) {
        Some(seconds) => row.time = seconds,
        None => fits = false,
    }
    fits || is_first
}

/// Deals with rows out of time.
pub(crate) fn time(rows: &mut Vec<Row>, embedded: EmbeddedHeaders) {
    let mut order = OutOfTime::new();
    for row in rows.iter() {
        order.add(row.time);
    }
    order.end();
    let apart = keep_apart(embedded, order.found(), rows.len());
    while let Some(run) = order.take() {
        for row in rows.get_mut(run).unwrap_or_default() {
            if apart {
                row.doubt(Doubt::TimeRunsBack);
            } else {
                row.flags |= FOLD;
            }
        }
    }
    fold(rows);

    let mut latest = 0;
    for row in rows {
        flag_if_behind(row, &mut latest);
    }
}

/// Whether rows out of time stay rows. Where time runs back again and again, the file is not in
/// time order at all, and no row in it is the odd one out.
pub(crate) fn keep_apart(embedded: EmbeddedHeaders, runs: usize, rows: usize) -> bool {
    embedded == EmbeddedHeaders::ReadAsMessages || runs > 3 + rows / 50
}

/// Flags a row that is behind the `latest` before it.
pub(crate) fn flag_if_behind(row: &mut Row, latest: &mut u64) {
    if row.time + JITTER_SECONDS < *latest {
        row.doubt(Doubt::TimeRunsBack);
    }
    *latest = row.time.max(*latest);
}

/// Finds runs of rows without which the rows around them are in time order. Looks at a window of
/// [`RUN_MAX`] rows to either side, so that a file of any length can pass through.
pub(crate) struct OutOfTime {
    /// Times of the rows from `base` on.
    window: VecDeque<u64>,
    base: usize,
    /// The row to be judged next.
    index: usize,
    /// Time of the latest row in order.
    latest: u64,
    /// Where the last run ended.
    floor: usize,
    runs: VecDeque<Range<usize>>,
    found: usize,
}

impl OutOfTime {
    pub(crate) const fn new() -> Self {
        Self {
            window: VecDeque::new(),
            base: 0,
            index: 0,
            latest: 0,
            floor: 0,
            runs: VecDeque::new(),
            found: 0,
        }
    }

    /// Takes the time of the next row.
    pub(crate) fn add(&mut self, time: u64) {
        self.window.push_back(time);
        while self.ahead() > RUN_MAX + 1 {
            self.judge();
        }
    }

    /// No more rows come.
    pub(crate) fn end(&mut self) {
        while self.ahead() > 0 {
            self.judge();
        }
    }

    /// The next run, first to last.
    pub(crate) fn take(&mut self) -> Option<Range<usize>> {
        self.runs.pop_front()
    }

    /// How many runs there were so far.
    pub(crate) const fn found(&self) -> usize {
        self.found
    }

    /// Rows below this one are in no run that is yet to be found.
    pub(crate) fn settled(&self) -> usize {
        self.index.saturating_sub(RUN_MAX + 1).max(self.floor)
    }

    /// How many rows there are from the one to be judged on.
    fn ahead(&self) -> usize {
        self.base + self.window.len() - self.index
    }

    fn judge(&mut self) {
        let Some(time) = self.window.get(self.index - self.base).copied() else {
            return;
        };
        if time + CLOCK_CHANGE_SECONDS >= self.latest {
            self.latest = self.latest.max(time);
            self.index += 1;
        } else {
            self.judge_step_back(time);
        }
        while self.base + RUN_MAX + 1 < self.index {
            self.window.pop_front();
            self.base += 1;
        }
    }

    fn judge_step_back(&mut self, time: u64) {
        let at = self.index - self.base;
        // Either the rows from here are early, until time is back where it was …
        let early = self
            .window
            .iter()
            .skip(at)
            .take(RUN_MAX + 1)
            .position(|later| later + CLOCK_CHANGE_SECONDS >= self.latest)
            .filter(|length| *length <= RUN_MAX);
        // … or the rows up to here are late.
        let late = self
            .window
            .range(self.floor.saturating_sub(self.base)..at)
            .rev()
            .take(RUN_MAX + 1)
            .position(|earlier| *earlier <= time + CLOCK_CHANGE_SECONDS)
            .filter(|length| *length > 0 && *length < self.ahead());
        match (early, late) {
            (Some(early), late) if late.is_none_or(|late| early < late) => {
                self.run(self.index..self.index + early);
                self.index += early;
            }
            (early, Some(late)) if early.is_none_or(|early| late < early) => {
                self.run(self.index - late..self.index);
                self.latest = time;
                self.index += 1;
            }
            _ => {
                // Neither is the odd one out. A later pass flags every row that stands behind.
                self.latest = time;
                self.index += 1;
            }
        }
    }

    fn run(&mut self, run: Range<usize>) {
        self.floor = run.end;
        self.found += 1;
        self.runs.push_back(run);
    }
}

/// Removes the rows marked [`FOLD`], leaving their bytes to the row before.
fn fold(rows: &mut Vec<Row>) {
    if rows.iter().all(|row| row.flags & FOLD == 0) {
        return;
    }
    let mut kept = 0;
    for index in 0..rows.len() {
        let Some(row) = rows.get(index).copied() else {
            break;
        };
        if row.flags & FOLD == 0 || kept == 0 {
            if let Some(place) = rows.get_mut(kept) {
                *place = row;
                place.flags &= !FOLD;
            }
            kept += 1;
        } else if let Some(host) = rows.get_mut(kept - 1) {
            host.doubt(Doubt::HeaderInside);
        }
    }
    rows.truncate(kept);
}

/// How this file writes numbers under ten.
pub(crate) struct UsualPadding {
    /// Headers that pad, and that do not, for the three numbers of the date and the hour.
    counts: [(usize, usize); 4],
}

enum Oddity {
    None,
    /// The file itself is undecided.
    Mixed,
    /// Nearly every other header is written otherwise.
    Foreign,
}

impl UsualPadding {
    pub(crate) const fn new() -> Self {
        Self {
            counts: [(0, 0); 4],
        }
    }

    /// Counts the next header.
    pub(crate) fn add(&mut self, raw: Raw) {
        for (count, padding) in self.counts.iter_mut().zip(raw.padding) {
            match padding {
                Padding::Silent => {}
                Padding::Padded => count.0 += 1,
                Padding::Bare => count.1 += 1,
            }
        }
    }

    fn judge(&self, raw: Raw) -> Oddity {
        let mut oddity = Oddity::None;
        for ((padded, bare), padding) in self.counts.iter().zip(raw.padding) {
            let (mine, others) = match padding {
                Padding::Silent => continue,
                Padding::Padded => (*padded, *bare),
                Padding::Bare => (*bare, *padded),
            };
            if mine * 3 <= others {
                return Oddity::Foreign;
            }
            if mine <= others {
                oddity = Oddity::Mixed;
            }
        }
        oddity
    }
}
