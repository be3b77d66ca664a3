//! When a message was sent, as far as its source says.

use candour_wire::time::{MessageTime, TimeConfidence, UnknownZone};
use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::row::{Clock, Row};

/// The zone in which an instant is given whose wall-clock time the holder's zone has twice.
const UTC: &str = "Etc/UTC";

/// When a message was sent, as far as its source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stamp {
    /// The time on a wall somewhere; the source does not say in which zone.
    Wall(DateTime),
    /// One instant, to the millisecond.
    Instant(Timestamp),
    /// The source gives no time.
    None,
}

impl Stamp {
    pub(crate) fn of(row: &Row) -> Self {
        match row.clock {
            Clock::Wall => Self::Wall(wall_of(row.time)),
            Clock::Instant => i64::try_from(row.time)
                .ok()
                .and_then(|ms| Timestamp::from_millisecond(ms).ok())
                .map_or(Self::None, Self::Instant),
            Clock::None => Self::None,
        }
    }

    /// The time on a wall in `zone`. A wall-clock time of the source is taken to be one there.
    #[must_use]
    pub fn wall_in(self, zone: &TimeZone) -> Option<DateTime> {
        match self {
            Self::Wall(wall) => Some(wall),
            Self::Instant(instant) => Some(zone.to_datetime(instant)),
            Self::None => None,
        }
    }

    /// The time in `zone`, an IANA name, and how sure it is; `None` where the source gives none.
    ///
    /// An instant in the hour that `zone` has twice is given in `Etc/UTC`, where it is exact: the
    /// source knows which of the two it was, so that must not get lost.
    ///
    /// # Errors
    ///
    /// When the tz database does not know `zone`.
    pub fn time_in(self, zone: &str) -> Result<Option<MessageTime>, UnknownZone> {
        match self {
            Self::Wall(wall) => MessageTime::at(wall, zone).map(Some),
            Self::Instant(instant) => {
                let tz = TimeZone::get(zone).map_err(|_| UnknownZone)?;
                let time = MessageTime::at(tz.to_datetime(instant), zone)?;
                if time.confidence == TimeConfidence::Exact {
                    return Ok(Some(time));
                }
                MessageTime::at(TimeZone::UTC.to_datetime(instant), UTC).map(Some)
            }
            Self::None => {
                TimeZone::get(zone).map_err(|_| UnknownZone)?;
                Ok(None)
            }
        }
    }
}

fn wall_of(seconds: u64) -> DateTime {
    let epoch = date(1970, 1, 1).at(0, 0, 0, 0);
    // Years are 1970 to 2099, so the sum is a date.
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| epoch.checked_add(SignedDuration::from_secs(seconds)).ok())
        .unwrap_or(epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_in_the_hour_that_comes_twice_stays_exact() {
        // 27 October 2024, 01:30 in London: the first time in summer time, the second in winter's.
        for (instant, wall) in [
            ("2024-10-27T00:30:00Z", "2024-10-27T00:30:00"),
            ("2024-10-27T01:30:00Z", "2024-10-27T01:30:00"),
        ] {
            let stamp = Stamp::Instant(instant.parse().unwrap());
            let time = stamp.time_in("Europe/London").unwrap().unwrap();
            assert_eq!(time.zone, "Etc/UTC");
            assert_eq!(time.confidence, TimeConfidence::Exact);
            assert_eq!(time.wall.to_string(), wall);
            assert_eq!(time.instant(), Some(instant.parse().unwrap()));
        }
    }

    #[test]
    fn an_instant_is_shown_in_the_holders_zone() {
        let stamp = Stamp::Instant("2024-07-01T11:00:00.250Z".parse().unwrap());
        let time = stamp.time_in("Europe/London").unwrap().unwrap();
        assert_eq!(time.wall.to_string(), "2024-07-01T12:00:00.25");
        assert_eq!(time.zone, "Europe/London");
        assert_eq!(time.confidence, TimeConfidence::Exact);
    }

    #[test]
    fn no_time_is_none_but_an_unknown_zone_is_said_all_the_same() {
        assert_eq!(Stamp::None.time_in("Europe/London"), Ok(None));
        assert_eq!(Stamp::None.time_in("Europe/Atlantis"), Err(UnknownZone));
    }
}
