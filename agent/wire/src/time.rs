//! The time that a message shows, as evidence.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

/// When a message says it was sent: the clock on the wall, the zone in which that clock hung,
/// and how sure one can be.
///
/// An exported chat carries wall-clock times without a zone, so neither may be invented: the
/// instant is derived for display and search, never stored in place of what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MessageTime {
    /// Wall-clock time, to the precision of the source (seconds are 0 where it shows none).
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "2024-10-27T01:30:00"))]
    pub wall: DateTime,
    /// IANA zone name, such as `Europe/London`.
    pub zone: String,
    /// How the wall time relates to one instant.
    pub confidence: TimeConfidence,
}

/// How a wall-clock time relates to one instant in its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TimeConfidence {
    /// One instant.
    Exact,
    /// The clocks went back: two instants.
    Ambiguous,
    /// The clocks went forward: no instant.
    Nonexistent,
    /// The holder gave it, or the order of day and month was inferred.
    Inferred,
}

/// The zone name is not in the tz database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time zone is not in the tz database; write one such as Europe/London")]
pub struct UnknownZone;

impl MessageTime {
    /// Places `wall` in `zone` and says whether that is one instant, two or none.
    ///
    /// # Errors
    ///
    /// When the tz database does not know `zone`.
    pub fn at(wall: DateTime, zone: &str) -> Result<Self, UnknownZone> {
        use jiff::tz::{AmbiguousOffset, TimeZone};
        let tz = TimeZone::get(zone).map_err(|_| UnknownZone)?;
        let confidence = match tz.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { .. } => TimeConfidence::Exact,
            AmbiguousOffset::Fold { .. } => TimeConfidence::Ambiguous,
            AmbiguousOffset::Gap { .. } => TimeConfidence::Nonexistent,
        };
        Ok(Self {
            wall,
            zone: zone.to_owned(),
            confidence,
        })
    }

    /// The instant, for sorting and for deadlines: the earlier one where there are two, the one
    /// after the gap where there is none; `None` where the zone is unknown here.
    #[must_use]
    pub fn instant(&self) -> Option<jiff::Timestamp> {
        let tz = jiff::tz::TimeZone::get(&self.zone).ok()?;
        tz.to_ambiguous_timestamp(self.wall).compatible().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn london(text: &str) -> MessageTime {
        MessageTime::at(text.parse().unwrap(), "Europe/London").unwrap()
    }

    #[test]
    fn the_hour_the_clocks_go_back_is_ambiguous_and_the_lost_hour_does_not_exist() {
        assert_eq!(
            london("2024-10-27T01:30:00").confidence,
            TimeConfidence::Ambiguous
        );
        assert_eq!(
            london("2024-03-31T01:30:00").confidence,
            TimeConfidence::Nonexistent
        );
        let summer = london("2024-07-01T12:00:00");
        assert_eq!(summer.confidence, TimeConfidence::Exact);
        assert_eq!(
            summer.instant().unwrap().to_string(),
            "2024-07-01T11:00:00Z"
        );
        assert_eq!(
            MessageTime::at(summer.wall, "Europe/Atlantis"),
            Err(UnknownZone)
        );
    }
}
