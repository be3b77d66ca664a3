//! `--pick 3-7,12` or `--pick listed`: which messages of a list are meant.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// Most ranges in one selection: nobody types more, and each costs a pass.
const PARTS_MAX: usize = 1_000;

/// The word for everything that is listed.
const LISTED: &str = "listed";

/// A selection as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    /// Everything that is listed.
    Listed,
    /// Numbers and ranges, each from 1, both ends included.
    Numbers(Vec<(NonZeroUsize, Option<NonZeroUsize>)>),
}

/// A selection cannot be read, or names what is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectionError {
    #[error("`{0}` is not a number or a range such as 3-7, 12 or 20-, and not the word {LISTED}")]
    Malformed(String),
    #[error("the range {0}-{1} runs backwards")]
    Backwards(usize, usize),
    #[error("there is no message {asked}; the list ends at {last}")]
    Beyond { asked: usize, last: usize },
    #[error("message {0} is not listed: --from, --to, --author or --text leaves it out")]
    NotListed(usize),
    #[error("no message is listed, so none can be picked")]
    Nothing,
    #[error("it has more than {PARTS_MAX} parts")]
    TooLong,
}

impl FromStr for Selection {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        if text.trim() == LISTED {
            return Ok(Self::Listed);
        }
        let mut parts = Vec::new();
        for part in text.split(',') {
            if parts.len() == PARTS_MAX {
                return Err(SelectionError::TooLong);
            }
            parts.push(part_of(part.trim())?);
        }
        Ok(Self::Numbers(parts))
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
    /// The places that are meant, from 0, sorted, each once: of a list of `len` messages those at
    /// `listed`, which is sorted. A range means what is listed within it; a number that is not
    /// listed is refused, since the holder named that very message.
    pub(crate) fn places(
        &self,
        listed: &[usize],
        len: usize,
    ) -> Result<Vec<usize>, SelectionError> {
        let Self::Numbers(parts) = self else {
            return some(listed.to_vec());
        };
        let mut places = BTreeSet::new();
        for (first, last) in parts {
            let end = last.map_or(len, NonZeroUsize::get);
            let asked = end.max(first.get());
            if asked > len {
                return Err(SelectionError::Beyond { asked, last: len });
            }
            let start = first.get() - 1;
            let from = listed.partition_point(|place| *place < start);
            let to = listed.partition_point(|place| *place < end);
            if from == to && Some(*first) == *last {
                return Err(SelectionError::NotListed(asked));
            }
            places.extend(listed.get(from..to).unwrap_or_default());
        }
        some(places.into_iter().collect())
    }
}

fn some(places: Vec<usize>) -> Result<Vec<usize>, SelectionError> {
    if places.is_empty() {
        return Err(SelectionError::Nothing);
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str, len: usize) -> Result<Vec<usize>, SelectionError> {
        // A list that no range can need more of; the length is what is said.
        let listed: Vec<usize> = (0..len.min(100)).collect();
        text.parse::<Selection>()?.places(&listed, len)
    }

    #[test]
    fn a_range_means_what_is_listed_within_it_and_a_number_must_be_listed() {
        let of = |text: &str| text.parse::<Selection>().unwrap().places(&[1, 4, 6, 9], 12);
        assert_eq!(of("listed"), Ok(vec![1, 4, 6, 9]));
        assert_eq!(of("2-7"), Ok(vec![1, 4, 6]));
        assert_eq!(of("7-"), Ok(vec![6, 9]));
        assert_eq!(of("5,10"), Ok(vec![4, 9]));
        assert_eq!(of("2-7,6"), Err(SelectionError::NotListed(6)));
        assert_eq!(of("11-12"), Err(SelectionError::Nothing));
        assert_eq!(
            of("13"),
            Err(SelectionError::Beyond {
                asked: 13,
                last: 12
            })
        );
        assert_eq!(
            Selection::Listed.places(&[], 12),
            Err(SelectionError::Nothing)
        );
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
