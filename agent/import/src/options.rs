//! What the holder can say about a source, and what was decided from it.

use std::collections::BTreeSet;

/// The order of the numbers in a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DateOrder {
    /// 13/02/2024
    DayMonthYear,
    /// 02/13/2024
    MonthDayYear,
    /// 2024/02/13
    YearMonthDay,
}

impl DateOrder {
    /// The name used on the command line and in records: `dmy`, `mdy` or `ymd`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DayMonthYear => "dmy",
            Self::MonthDayYear => "mdy",
            Self::YearMonthDay => "ymd",
        }
    }
}

impl std::str::FromStr for DateOrder {
    type Err = UnknownDateOrder;

    fn from_str(text: &str) -> Result<Self, UnknownDateOrder> {
        [Self::DayMonthYear, Self::MonthDayYear, Self::YearMonthDay]
            .into_iter()
            .find(|order| order.as_str() == text)
            .ok_or(UnknownDateOrder)
    }
}

/// The text names no date order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a date order is dmy, mdy or ymd")]
pub struct UnknownDateOrder;

/// Why a date order was taken. Stored with the import, so that it can be questioned later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderBasis {
    /// The year comes first with four digits.
    Layout,
    /// A number over 12 cannot be a month.
    OverTwelve,
    /// Only this order keeps the messages in time order.
    Monotonic,
    /// Both orders give the same dates.
    SameEitherWay,
    /// The holder said so.
    Given,
}

impl OrderBasis {
    /// The name used in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Layout => "layout",
            Self::OverTwelve => "over_twelve",
            Self::Monotonic => "monotonic",
            Self::SameEitherWay => "same_either_way",
            Self::Given => "given",
        }
    }

    /// Whether the dates rest on inference or on the holder's word, not on the text alone.
    #[must_use]
    pub const fn is_inferred(self) -> bool {
        matches!(self, Self::Monotonic | Self::Given)
    }
}

/// What to do with a line that has the form of a header but does not fit where it stands (its
/// date is impossible, out of time order, or written otherwise than every other date).
///
/// Such a line cannot be told from a pasted or forged one. Either way the message is flagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EmbeddedHeaders {
    /// It belongs to the message before it, which shows it as it stands.
    #[default]
    KeepInMessage,
    /// It begins a message of its own, where its date allows.
    ReadAsMessages,
}

/// What the holder knows about a source.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'o> {
    /// The order of the numbers in dates; `None` decides from the text, or asks.
    pub date_order: Option<DateOrder>,
    /// The chat's title, for instance from [`title_from_name`](crate::title_from_name).
    pub title: Option<&'o str>,
    /// Which conversation of an export that holds several: the id of its
    /// [`Summary`](crate::Summary).
    pub conversation: Option<&'o str>,
    /// What to do with headers that do not fit.
    pub embedded: EmbeddedHeaders,
    /// The names of the files that came with the text, when known: a row that names one of them
    /// is media whatever the language of the phone.
    pub attachments: Option<&'o BTreeSet<String>>,
}
