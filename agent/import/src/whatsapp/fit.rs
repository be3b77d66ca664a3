//! Headers that do not fit where they stand.
//!
//! A header inside a pasted message has the same form as a real one. What gives it away is a date
//! that is impossible in this file's order, another padding than every other header has, or a
//! place out of time. By default such a line stays in the message before it: then that message
//! shows it as it stands, and nobody is said to have written what another person pasted.

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
pub(crate) fn resolve(rows: &mut Vec<Row>, order: DateOrder, embedded: EmbeddedHeaders) {
    let usual = UsualPadding::of(rows);
    for row in rows.iter_mut().skip(1) {
        let raw = Raw::unpack(row.time);
        match usual.judge(raw) {
            Oddity::None => {}
            Oddity::Mixed => row.doubt(Doubt::OddHeader),
            Oddity::Foreign if embedded == EmbeddedHeaders::KeepInMessage => row.flags |= FOLD,
            Oddity::Foreign => row.doubt(Doubt::OddHeader),
        }
    }
    for row in rows.iter_mut() {
        match wall(Raw::unpack(row.time), order) {
            Some(seconds) => row.time = seconds,
            None => row.flags |= FOLD,
        }
    }
    fold(rows);
}

/// Deals with rows out of time.
pub(crate) fn time(rows: &mut Vec<Row>, embedded: EmbeddedHeaders) {
    let runs = out_of_time(rows);
    // Where time runs back again and again, the file is not in time order at all, and no row in
    // it is the odd one out.
    let keep_apart =
        embedded == EmbeddedHeaders::ReadAsMessages || runs.len() > 3 + rows.len() / 50;
    for run in runs {
        for row in rows.get_mut(run).unwrap_or_default() {
            if keep_apart {
                row.doubt(Doubt::TimeRunsBack);
            } else {
                row.flags |= FOLD;
            }
        }
    }
    fold(rows);

    let mut latest = 0;
    for row in rows {
        if row.time + JITTER_SECONDS < latest {
            row.doubt(Doubt::TimeRunsBack);
        }
        latest = latest.max(row.time);
    }
}

/// Runs of rows without which the rows around them are in time order.
fn out_of_time(rows: &[Row]) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    let Some(first) = rows.first() else {
        return runs;
    };
    // Kept below: time of the latest row in order.
    let mut latest = first.time;
    let mut index = 1;
    while let Some(row) = rows.get(index) {
        if row.time + CLOCK_CHANGE_SECONDS >= latest {
            latest = latest.max(row.time);
            index += 1;
            continue;
        }
        // Either the rows from here are early, until time is back where it was …
        let early = rows
            .iter()
            .skip(index)
            .take(RUN_MAX + 1)
            .position(|later| later.time + CLOCK_CHANGE_SECONDS >= latest)
            .filter(|length| *length <= RUN_MAX);
        // … or the rows up to here are late.
        let floor = runs.last().map_or(0, |run| run.end);
        let late = rows
            .get(floor..index)
            .unwrap_or_default()
            .iter()
            .rev()
            .take(RUN_MAX + 1)
            .position(|earlier| earlier.time <= row.time + CLOCK_CHANGE_SECONDS)
            .filter(|length| *length > 0 && *length < rows.len() - index);
        match (early, late) {
            (Some(early), late) if late.is_none_or(|late| early < late) => {
                runs.push(index..index + early);
                index += early;
            }
            (early, Some(late)) if early.is_none_or(|early| late < early) => {
                runs.push(index - late..index);
                latest = row.time;
                index += 1;
            }
            _ => {
                // Neither is the odd one out. The second pass flags every row that stands behind.
                latest = row.time;
                index += 1;
            }
        }
    }
    runs
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
struct UsualPadding {
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
    fn of(rows: &[Row]) -> Self {
        let mut counts = [(0, 0); 4];
        for row in rows {
            for (count, padding) in counts.iter_mut().zip(Raw::unpack(row.time).padding) {
                match padding {
                    Padding::Silent => {}
                    Padding::Padded => count.0 += 1,
                    Padding::Bare => count.1 += 1,
                }
            }
        }
        Self { counts }
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
