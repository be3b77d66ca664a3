//! Which number of a date is the day?
//!
//! Every possible order is tried on every header. An order costs one for each date that it makes
//! impossible and one for each step back in time; the order that clearly costs least is taken.
//! Counting both kinds keeps a single pasted header from deciding for the whole file. Where no
//! order is clearly best, the holder is asked.

use super::header::YearPlace;
use super::scan::Raw;
use crate::ImportError;
use crate::options::{DateOrder, OrderBasis};

use DateOrder::{DayMonthYear, MonthDayYear, YearMonthDay};

/// Clocks that go back make steps of at most an hour.
pub(crate) const CLOCK_CHANGE_SECONDS: u64 = 3_600;

/// Year of the first WhatsApp. A two-digit year before it is not one.
const FIRST_SHORT_YEAR: u16 = 9;

/// What every possible order would make of the headers, counted as they are read.
pub(crate) struct Tally {
    /// By order, as [`ORDERS`].
    costs: [Cost; 3],
    /// By pairs of orders, as [`PAIRS`]: whether both gave every header the same date.
    same: [bool; 3],
    first: Option<[u16; 3]>,
    leading_moves: bool,
    last_moves: bool,
}

const ORDERS: [DateOrder; 3] = [DayMonthYear, MonthDayYear, YearMonthDay];
const PAIRS: [(usize, usize); 3] = [(0, 1), (0, 2), (1, 2)];

impl Tally {
    pub(crate) const fn new() -> Self {
        Self {
            costs: [Cost::NONE; 3],
            same: [true; 3],
            first: None,
            leading_moves: false,
            last_moves: false,
        }
    }

    /// Counts the next header.
    pub(crate) fn add(&mut self, raw: Raw, year: YearPlace) {
        let is_first = self.first.is_none();
        let first = *self.first.get_or_insert(raw.date);
        self.leading_moves |= raw.date[0] != first[0];
        self.last_moves |= raw.date[2] != first[2];
        let possible = |order: DateOrder| match year {
            YearPlace::First => order == YearMonthDay,
            YearPlace::Last => order != YearMonthDay,
            YearPlace::Short => true,
        };
        let walls = ORDERS.map(|order| possible(order).then(|| wall(raw, order)).flatten());
        for (cost, wall) in self.costs.iter_mut().zip(walls) {
            cost.add(wall, is_first);
        }
        for (same, (a, b)) in self.same.iter_mut().zip(PAIRS) {
            *same &= walls.get(a) == walls.get(b);
        }
    }

    fn cost(&self, order: DateOrder) -> Cost {
        self.costs[order as usize]
    }

    fn same_dates(&self, a: DateOrder, b: DateOrder) -> bool {
        let (a, b) = (a as usize, b as usize);
        a == b
            || PAIRS
                .iter()
                .zip(self.same)
                .any(|(pair, same)| same && *pair == (a.min(b), a.max(b)))
    }

    /// Whether two digits of year may stand first (Basque, Korean, Nepali phones).
    ///
    /// It is rare, and most files of a single day would fit it, so it must be asked for by the
    /// text: the other orders do not fit, or the first number never changes while the last one
    /// does.
    fn year_may_lead(&self, costs: &[(DateOrder, Cost)]) -> bool {
        let others_fit = costs
            .iter()
            .any(|(order, cost)| *order != YearMonthDay && cost.total() == 0);
        !others_fit || (self.last_moves && !self.leading_moves)
    }
}

/// Decides the order of the headers that were counted.
pub(crate) fn decide(
    tally: &Tally,
    year: YearPlace,
    given: Option<DateOrder>,
) -> Result<(DateOrder, OrderBasis), ImportError> {
    if year == YearPlace::First {
        return if tally.cost(YearMonthDay).first_possible {
            Ok((YearMonthDay, OrderBasis::Layout))
        } else {
            Err(ImportError::DateOrderImpossible(YearMonthDay))
        };
    }
    if let Some(order) = given {
        return if tally.cost(order).first_possible {
            Ok((order, OrderBasis::Given))
        } else {
            Err(ImportError::DateOrderImpossible(order))
        };
    }

    let mut costs: Vec<(DateOrder, Cost)> = ORDERS
        .into_iter()
        .map(|order| (order, tally.cost(order)))
        .filter(|(_, cost)| cost.first_possible)
        .collect();
    if !tally.year_may_lead(&costs) {
        costs.retain(|(order, _)| *order != YearMonthDay);
    }
    costs.sort_by_key(|(_, cost)| cost.total());
    match costs.as_slice() {
        [] => Err(ImportError::UnknownFormat),
        [(order, _)] => Ok((*order, OrderBasis::OverTwelve)),
        [(best, low), (next, high), ..] => {
            if low.total() < high.total() && low.total() * 2 <= high.total() {
                let basis = if high.impossible > 0 {
                    OrderBasis::OverTwelve
                } else {
                    OrderBasis::Monotonic
                };
                Ok((*best, basis))
            } else if costs
                .iter()
                .all(|(other, _)| tally.same_dates(*best, *other))
            {
                Ok((*best.min_by_name(next), OrderBasis::SameEitherWay))
            } else {
                Err(ImportError::NeedsDateOrder)
            }
        }
    }
}

impl DateOrder {
    /// A fixed choice between orders that mean the same.
    fn min_by_name<'o>(&'o self, other: &'o Self) -> &'o Self {
        if self.as_str() <= other.as_str() {
            self
        } else {
            other
        }
    }
}

/// What an order costs.
#[derive(Clone, Copy)]
struct Cost {
    first_possible: bool,
    impossible: u64,
    steps_back: u64,
    before: Option<u64>,
}

impl Cost {
    const NONE: Self = Self {
        first_possible: false,
        impossible: 0,
        steps_back: 0,
        before: None,
    };

    fn add(&mut self, wall: Option<u64>, is_first: bool) {
        match wall {
            None => self.impossible += 1,
            Some(now) => {
                self.first_possible |= is_first;
                if self
                    .before
                    .is_some_and(|before| now + CLOCK_CHANGE_SECONDS < before)
                {
                    self.steps_back += 1;
                }
                self.before = Some(now);
            }
        }
    }

    const fn total(&self) -> u64 {
        self.impossible + self.steps_back
    }
}

/// Seconds of the wall clock since 1970-01-01T00:00:00, when there is such a date.
pub(crate) fn wall(raw: Raw, order: DateOrder) -> Option<u64> {
    let [a, b, c] = raw.date;
    let (year, month, day) = match order {
        DayMonthYear => (c, b, a),
        MonthDayYear => (c, a, b),
        YearMonthDay => (a, b, c),
    };
    let year = match year {
        0..FIRST_SHORT_YEAR => return None,
        FIRST_SHORT_YEAR..=99 => 2000 + year,
        1970..=2099 => year,
        _ => return None,
    };
    let days = days_since_1970(year, month, day)?;
    Some(days * 86_400 + u64::from(raw.second))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, years 1970 to 2099, in which every
/// fourth year is a leap year (2000 among them).
fn days_since_1970(year: u16, month: u16, day: u16) -> Option<u64> {
    const BEFORE: [u16; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    const LENGTH: [u16; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let at = usize::from(month.checked_sub(1)?);
    let leap = year.is_multiple_of(4);
    let length = LENGTH.get(at)? + u16::from(leap && month == 2);
    if day == 0 || day > length {
        return None;
    }
    let years = year.checked_sub(1970)?;
    let leap_days = (years + 1) / 4 + u16::from(leap && month > 2);
    Some(u64::from(years) * 365 + u64::from(leap_days + BEFORE.get(at)? + day - 1))
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;

    use super::*;

    #[test]
    fn days_are_counted_as_the_calendar_counts_them() {
        let epoch = Date::new(1970, 1, 1).unwrap();
        for year in 1970..=2099_u16 {
            for month in 0..=13_u16 {
                for day in 0..=32_u16 {
                    let ours = days_since_1970(year, month, day);
                    let theirs = Date::new(
                        i16::try_from(year).unwrap(),
                        i8::try_from(month).unwrap(),
                        i8::try_from(day).unwrap(),
                    )
                    .ok()
                    .map(|date| u64::try_from(date.since(epoch).unwrap().get_days()).unwrap());
                    assert_eq!(ours, theirs, "{year}-{month}-{day}");
                }
            }
        }
    }
}
