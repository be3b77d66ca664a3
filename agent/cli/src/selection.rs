//! `--pick 3-7,12`: which messages of a list are meant.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// Most ranges in one selection: nobody types more, and each costs a pass.
const PARTS_MAX: usize = 1_000;

/// A selection as written: numbers and ranges, each from 1, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    parts: Vec<(NonZeroUsize, Option<NonZeroUsize>)>,
}

/// A selection cannot be read, or names what is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectionError {
    #[error("`{0}` is not a number or a range such as 3-7, 12 or 20-")]
    Malformed(String),
    #[error("the range {0}-{1} runs backwards")]
    Backwards(usize, usize),
    #[error("there is no message {asked}; the list ends at {last}")]
    Beyond { asked: usize, last: usize },
    #[error("it has more than {PARTS_MAX} parts")]
    TooLong,
}

impl FromStr for Selection {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let mut parts = Vec::new();
        for part in text.split(',') {
            if parts.len() == PARTS_MAX {
                return Err(SelectionError::TooLong);
            }
            parts.push(part_of(part.trim())?);
        }
        Ok(Self { parts })
    }
}

fn part_of(part: &str) -> Result<(NonZeroUsize, Option<NonZeroUsize>), SelectionError> {
    let malformed = || SelectionError::Malformed(part.chars().take(40).collect());
    let number = |text: &str| text.trim().parse::<NonZeroUsize>().map_err(|_| malformed());
    let Some((first, last)) = part.split_once(['-', '–']) else {
        let only = number(part)?;
        return Ok((only, Some(only)));
    };
    let first = number(first)?;
    if last.trim().is_empty() {
        return Ok((first, None));
    }
    let last = number(last)?;
    if last < first {
        return Err(SelectionError::Backwards(first.get(), last.get()));
    }
    Ok((first, Some(last)))
}

impl Selection {
    /// The places that are meant, from 0, sorted, each once, in a list of `len`.
    pub(crate) fn places(&self, len: usize) -> Result<Vec<usize>, SelectionError> {
        let mut places = BTreeSet::new();
        for (first, last) in &self.parts {
            let last = last.map_or(len, NonZeroUsize::get);
            let asked = last.max(first.get());
            if asked > len {
                return Err(SelectionError::Beyond { asked, last: len });
            }
            places.extend(first.get() - 1..last);
        }
        Ok(places.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str, len: usize) -> Result<Vec<usize>, SelectionError> {
        text.parse::<Selection>()?.places(len)
    }

    #[test]
    fn numbers_and_ranges_are_read_as_a_person_writes_them() {
        assert_eq!(places("3-5,12", 12), Ok(vec![2, 3, 4, 11]));
        assert_eq!(places(" 2 , 1 ", 2), Ok(vec![0, 1]));
        assert_eq!(places("4–5", 9), Ok(vec![3, 4]));
        assert_eq!(places("8-", 10), Ok(vec![7, 8, 9]));
        assert_eq!(places("1-3,2,2-4", 9), Ok(vec![0, 1, 2, 3]), "each once");
    }

    #[test]
    fn what_is_not_in_the_list_is_refused_and_named() {
        assert_eq!(
            places("1-4", 3),
            Err(SelectionError::Beyond { asked: 4, last: 3 })
        );
        assert_eq!(
            places("5-", 3),
            Err(SelectionError::Beyond { asked: 5, last: 3 })
        );
    }

    #[test]
    fn a_huge_range_costs_nothing_before_it_is_refused() {
        let huge = format!("1-{}", usize::MAX);
        assert_eq!(
            places(&huge, 3),
            Err(SelectionError::Beyond {
                asked: usize::MAX,
                last: 3
            })
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for bad in [
            "",
            "0",
            "-",
            "-3",
            "a",
            "1,,2",
            "1-2-3",
            "1.5",
            "99999999999999999999999",
        ] {
            assert!(
                matches!(places(bad, 9), Err(SelectionError::Malformed(_))),
                "{bad:?}"
            );
        }
        assert_eq!(places("7-3", 9), Err(SelectionError::Backwards(7, 3)));
        assert_eq!(places(&"1,".repeat(2_000), 9), Err(SelectionError::TooLong));
    }
}
