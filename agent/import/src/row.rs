//! One row of the index, and what it may be.

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RowKind {
    /// Words that a person wrote.
    Text,
    /// A file, by name, with or without a caption; see [`Message::attachment_name`](crate::Message::attachment_name).
    Media,
    /// A file that the export left out.
    Omitted,
    /// The app says that the message was deleted.
    Deleted,
    /// A poll with its options.
    Poll,
    /// A place on the map.
    Location,
    /// A contact card.
    Contact,
    /// An author and nothing else: view-once and unsupported messages show so.
    Blank,
    /// Words of the app under a person's name (a call, a security code, a deleted message in a
    /// language that this version does not know).
    Notice,
    /// Words of the app about the group. Nobody wrote them.
    System,
}

impl RowKind {
    /// The name used in records and on screen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Media => "media",
            Self::Omitted => "omitted",
            Self::Deleted => "deleted",
            Self::Poll => "poll",
            Self::Location => "location",
            Self::Contact => "contact",
            Self::Blank => "blank",
            Self::Notice => "notice",
            Self::System => "system",
        }
    }
}

/// Why a row may not be what it seems. A doubt never hides a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Doubt {
    /// The message holds bytes that are not UTF-8; they are shown as U+FFFD and kept as they are.
    InvalidUtf8,
    /// The message is dated before one that stands earlier in the file.
    TimeRunsBack,
    /// The author appears once in the whole chat.
    OneOffAuthor,
    /// The message holds a line in the form of a header that does not fit there: pasted, forged
    /// or a message of its own.
    HeaderInside,
    /// The message holds a line in the form of another phone's header: pasted from elsewhere.
    OtherHeaderInside,
    /// The header is written otherwise than most of the file's.
    OddHeader,
    /// Where the author's name ends cannot be told: it may hold a colon.
    AuthorUnsure,
    /// The message is longer than the app allows, so it is not one message.
    TooLong,
    /// The export gives no time for the message.
    NoTime,
    /// The export gives the time of the message twice, and the two do not agree.
    TimesDisagree,
    /// The export says nothing of the person whom it names as the author.
    AuthorUnknown,
    /// A part of the message does not have the form of its format; it is left out of the text.
    Malformed,
    /// The message gives one of its parts twice; the first is shown.
    RepeatedPart,
    /// The message holds something that this version cannot show.
    NotShown,
    /// The message passes on what somebody else wrote.
    Forwarded,
    /// The message is longer than the export shows; the whole text is in a file beside it.
    TextContinues,
    /// The phone had written the message and not sent it.
    NotSent,
    /// The words may be the app's own, which the export writes as if the person had said them.
    PerhapsNotice,
    /// The time is one of a wall clock in a zone that the message does not name.
    ZoneUnknown,
}

impl Doubt {
    /// Every doubt there is, in the order in which they are shown.
    pub const ALL: [Self; 19] = [
        Self::InvalidUtf8,
        Self::TimeRunsBack,
        Self::OneOffAuthor,
        Self::HeaderInside,
        Self::OtherHeaderInside,
        Self::OddHeader,
        Self::AuthorUnsure,
        Self::TooLong,
        Self::NoTime,
        Self::TimesDisagree,
        Self::AuthorUnknown,
        Self::Malformed,
        Self::RepeatedPart,
        Self::NotShown,
        Self::Forwarded,
        Self::TextContinues,
        Self::NotSent,
        Self::PerhapsNotice,
        Self::ZoneUnknown,
    ];

    /// The bits of all doubts.
    pub(crate) const BITS: u32 = (1 << Self::ALL.len()) - 1;

    /// The stable name, for records and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidUtf8 => "invalid_utf8",
            Self::TimeRunsBack => "time_runs_back",
            Self::OneOffAuthor => "one_off_author",
            Self::HeaderInside => "header_inside",
            Self::OtherHeaderInside => "other_header_inside",
            Self::OddHeader => "odd_header",
            Self::AuthorUnsure => "author_unsure",
            Self::TooLong => "too_long",
            Self::NoTime => "no_time",
            Self::TimesDisagree => "times_disagree",
            Self::AuthorUnknown => "author_unknown",
            Self::Malformed => "malformed",
            Self::RepeatedPart => "repeated_part",
            Self::NotShown => "not_shown",
            Self::Forwarded => "forwarded",
            Self::TextContinues => "text_continues",
            Self::PerhapsNotice => "perhaps_notice",
            Self::NotSent => "not_sent",
            Self::ZoneUnknown => "zone_unknown",
        }
    }

    /// The reason, as a sentence for the holder.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::InvalidUtf8 => "Some bytes of this message are damaged.",
            Self::TimeRunsBack => {
                "This message is dated before one that comes earlier in the file."
            }
            Self::OneOffAuthor => "This person appears only once in the whole chat.",
            Self::HeaderInside => {
                "This message holds a line that looks like the start of another message but does not fit there."
            }
            Self::OtherHeaderInside => "This message holds a line copied from another export.",
            Self::OddHeader => "The date of this message is written differently from the others.",
            Self::AuthorUnsure => "The author's name may hold a colon, so check who wrote this.",
            Self::TooLong => "This is longer than one message can be.",
            Self::NoTime => "The export does not say when this was sent.",
            Self::TimesDisagree => "The export gives two times for this message that do not agree.",
            Self::AuthorUnknown => "The export does not say who this person is.",
            Self::Malformed => "A part of this message is damaged and is not shown.",
            Self::RepeatedPart => {
                "The export gives a part of this message twice; the first is shown."
            }
            Self::NotShown => "This message holds something that Candour cannot show.",
            Self::Forwarded => "This message passes on what somebody else wrote.",
            Self::TextContinues => {
                "This message is longer; the whole text is in a file of the export."
            }
            Self::PerhapsNotice => {
                "These may be words of the app about this person, and not what they wrote."
            }
            Self::ZoneUnknown => "The message does not say in which time zone its time is.",
            Self::NotSent => {
                "The phone had not sent this message: it is a draft, or it waited or failed."
            }
        }
    }

    pub(crate) const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Set when the app says that the message was edited.
pub(crate) const EDITED: u32 = 1 << 31;

/// Set when the export says that its owner sent the message.
pub(crate) const OUTGOING: u32 = 1 << 29;

/// Set when the export says that its owner received the message.
pub(crate) const INCOMING: u32 = 1 << 28;

/// No author.
pub(crate) const NOBODY: u32 = u32::MAX;

/// One row: offsets into the source. It ends where the next one starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Where the row starts.
    pub(crate) start: u32,
    /// Where it ends; 0 where the next one starts.
    pub(crate) end: u32,
    /// Where the body starts, where the body is a part of the row as it stands.
    pub(crate) body: u32,
    /// Index into the conversation's authors, or [`NOBODY`].
    pub(crate) author: u32,
    /// What `clock` says it is. In chat texts before the date order is known, the numbers as read
    /// ([`crate::whatsapp`]).
    pub(crate) time: u64,
    /// Bits of [`Doubt`] and [`EDITED`].
    pub(crate) flags: u32,
    /// Length of the header, up to the author, in bytes.
    pub(crate) head: u16,
    pub(crate) clock: Clock,
    pub(crate) kind: RowKind,
}

/// What a row's `time` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Seconds of the wall clock since 1970-01-01T00:00:00.
    Wall,
    /// Milliseconds since the Unix epoch.
    Instant,
    /// Nothing: the source gives no time.
    None,
}

/// The index is held for every message of a file, so its size is a promise.
const _: () = assert!(size_of::<Row>() == 32);

impl Row {
    /// A row of which nothing is known but its place.
    pub(crate) const fn at(start: u32, end: u32) -> Self {
        Self {
            start,
            end,
            body: start,
            author: NOBODY,
            time: 0,
            flags: 0,
            head: 0,
            clock: Clock::None,
            kind: RowKind::Blank,
        }
    }

    /// Sets the instant, in milliseconds since the Unix epoch; doubts one that no app can show.
    pub(crate) fn set_instant(&mut self, ms: Option<i64>) {
        match ms.and_then(|ms| u64::try_from(ms).ok()) {
            // To the end of the year 2099, as for chat texts.
            Some(ms) if ms < 4_102_444_800_000 => {
                self.time = ms;
                self.clock = Clock::Instant;
            }
            Some(_) => self.doubt(Doubt::Malformed),
            None => {}
        }
        if self.clock == Clock::None {
            self.doubt(Doubt::NoTime);
        }
    }

    /// Whether it is dated more than `jitter` units before `before`, counted as it counts.
    pub(crate) fn is_before(&self, before: &Self, jitter: u64) -> bool {
        self.clock != Clock::None
            && self.clock == before.clock
            && self.time.saturating_add(jitter) < before.time
    }

    pub(crate) fn doubt(&mut self, doubt: Doubt) {
        self.flags |= doubt.bit();
    }

    /// Keeps the first value of a part; doubts the row where the part comes again.
    pub(crate) fn keep_first<T>(&mut self, part: &mut Option<T>, value: T) {
        match part {
            Some(_) => self.doubt(Doubt::RepeatedPart),
            None => *part = Some(value),
        }
    }

    pub(crate) const fn has(&self, doubt: Doubt) -> bool {
        self.flags & doubt.bit() != 0
    }
}

/// Puts rows in the order of their times, those of one time as they stand in the file. A row
/// without a time stays behind the one that it stands behind.
pub(crate) fn order_by_time(rows: &mut Vec<Row>) {
    let mut time = 0;
    let mut keyed = Vec::with_capacity(rows.len());
    for row in rows.iter() {
        if row.clock != Clock::None {
            time = row.time;
        }
        keyed.push((time, *row));
    }
    if keyed.is_sorted_by_key(|(time, _)| *time) {
        return;
    }
    keyed.sort_by_key(|(time, _)| *time);
    rows.clear();
    rows.extend(keyed.into_iter().map(|(_, row)| row));
}
