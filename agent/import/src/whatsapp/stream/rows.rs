//! The rows of a file, one after another, each with its end.
//!
//! The same rules as for a file that is held whole ([`fit`](crate::whatsapp::fit)), over a window
//! of rows: a row is handed out when no later one can change it.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Seek};
use std::ops::Range;

use super::lines::Lines;
use super::{Plan, damaged};
use crate::ImportError;
use crate::limits::{STREAM_NAMES_MAX, STREAM_NAMES_MAX_BYTES};
use crate::row::{Doubt, Row};
use crate::whatsapp::fit::{self, OutOfTime};
use crate::whatsapp::scan::{self, Line};

/// A row, whose `body` counts from its start, and where it stands in the file.
pub(super) struct Placed {
    pub(super) span: Range<u64>,
    pub(super) row: Row,
}

/// Names, in the order in which they first stand in the file.
#[derive(Default)]
pub(super) struct Names {
    pub(super) list: Vec<Box<[u8]>>,
    known: HashMap<Box<[u8]>, u32>,
    bytes: usize,
}

impl Names {
    fn intern(&mut self, name: &[u8]) -> Result<u32, ImportError> {
        if let Some(place) = self.known.get(name) {
            return Ok(*place);
        }
        self.bytes += name.len();
        if self.list.len() == STREAM_NAMES_MAX || self.bytes > STREAM_NAMES_MAX_BYTES {
            return Err(ImportError::TooManyNames);
        }
        let place = u32::try_from(self.list.len()).map_err(|_| ImportError::TooManyNames)?;
        self.list.push(name.into());
        self.known.insert(name.into(), place);
        Ok(place)
    }
}

/// Where a pass stands.
pub(super) struct Rows {
    lines: Lines,
    /// Whether time decides which rows stay; it does not while it is being found out.
    apart: bool,
    count: usize,
    /// The latest row that fits by itself, which following lines may still flag.
    fitting: Option<(u64, Row)>,
    /// Whether the latest header began that row.
    is_fitting: bool,
    /// Rows that may be out of time, from row `waiting_from` on.
    waiting: VecDeque<(u64, Row)>,
    waiting_from: usize,
    order: OutOfTime,
    run: Option<Range<usize>>,
    /// The latest row that stays, which following ones may be folded into.
    host: Option<(u64, Row)>,
    latest: u64,
    ended: bool,
}

impl Rows {
    /// A pass from the first header, which stands at `start`. Rows out of time stay rows when
    /// `apart`.
    pub(super) fn from(start: u64, apart: bool) -> Self {
        Self {
            lines: Lines::from(start),
            apart,
            count: 0,
            fitting: None,
            is_fitting: false,
            waiting: VecDeque::new(),
            waiting_from: 0,
            order: OutOfTime::new(),
            run: None,
            host: None,
            latest: 0,
            ended: false,
        }
    }

    /// How many runs of rows were out of time, of how many rows.
    pub(super) const fn out_of_time(&self) -> (usize, usize) {
        (self.order.found(), self.count)
    }

    /// The next row.
    pub(super) fn next<R: Read + Seek>(
        &mut self,
        file: &mut R,
        plan: &Plan,
        names: &mut Names,
    ) -> Result<Option<Placed>, ImportError> {
        loop {
            if let Some(placed) = self.settle(plan) {
                return Ok(Some(placed));
            }
            if self.ended {
                return Ok(self.host.take().map(|(start, row)| Placed {
                    span: start..plan.bytes,
                    row,
                }));
            }
            self.read_line(file, plan, names)?;
        }
    }

    fn read_line<R: Read + Seek>(
        &mut self,
        file: &mut R,
        plan: &Plan,
        names: &mut Names,
    ) -> Result<(), ImportError> {
        let Some((start, line)) = self.lines.next(file).map_err(damaged)? else {
            self.pass_on();
            self.order.end();
            self.ended = true;
            return Ok(());
        };
        match Line::read(&plan.figures.shape, line) {
            Line::Header(header) => {
                let (mut row, name) = scan::row(line, &header);
                if let Some(name) = name {
                    row.author = names.intern(line.get(name).unwrap_or_default())?;
                }
                let is_first = self.fitting.is_none() && self.count == 0;
                self.is_fitting = fit::fits(
                    &mut row,
                    is_first,
                    &plan.figures.usual,
                    plan.order,
                    plan.embedded,
                );
                if self.is_fitting {
                    self.pass_on();
                    self.fitting = Some((start, row));
                } else if let Some((_, host)) = &mut self.fitting {
                    host.doubt(Doubt::HeaderInside);
                }
            }
            // What is said of a header that became part of a message goes with it.
            Line::Foreign if self.is_fitting => {
                if let Some((_, row)) = &mut self.fitting {
                    row.doubt(Doubt::OtherHeaderInside);
                }
            }
            Line::Misfit if self.is_fitting => {
                if let Some((_, row)) = &mut self.fitting {
                    row.doubt(Doubt::HeaderInside);
                }
            }
            Line::Foreign | Line::Misfit | Line::Body => {}
        }
        Ok(())
    }

    /// Gives the latest fitting row to be judged by its time.
    fn pass_on(&mut self) {
        if let Some((start, row)) = self.fitting.take() {
            self.order.add(row.time);
            self.waiting.push_back((start, row));
            self.count += 1;
        }
    }

    /// Takes waiting rows that are settled until one of them settles the host.
    fn settle(&mut self, plan: &Plan) -> Option<Placed> {
        while self.waiting_from < self.order.settled() || self.ended {
            let (start, mut row) = self.waiting.pop_front()?;
            let index = self.waiting_from;
            self.waiting_from += 1;
            while self.run.as_ref().is_none_or(|run| run.end <= index) {
                match self.order.take() {
                    Some(run) => self.run = Some(run),
                    None => break,
                }
            }
            let is_out = self.run.as_ref().is_some_and(|run| run.contains(&index));
            if is_out && self.apart {
                row.doubt(Doubt::TimeRunsBack);
            } else if is_out && let Some((_, host)) = &mut self.host {
                host.doubt(Doubt::HeaderInside);
                continue;
            }
            fit::flag_if_behind(&mut row, &mut self.latest);
            let done = self.host.replace((start, row));
            if let Some((host_start, host)) = done {
                debug_assert!(start <= plan.bytes);
                return Some(Placed {
                    span: host_start..start,
                    row: host,
                });
            }
        }
        None
    }
}
