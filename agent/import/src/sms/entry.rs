//! What the index keeps of an `<sms>` or `<mms>` element.

use crate::limits::{AUTHOR_MAX_BYTES, SMS_PEOPLE_MAX, SMS_VALUE_MAX_BYTES};
use crate::row::{Doubt, INCOMING, OUTGOING, Row, RowKind};
use crate::xml::{Broken, Tag, decode, is_sound};

/// 3 December 1992, in milliseconds: nobody sent a text message before.
const FIRST_SMS_MS: i64 = 723_340_800_000;

/// Dates under this count seconds. In milliseconds it is a day of 1973.
const SECONDS_MAX: i64 = 100_000_000_000;

/// By how much a message may have been sent after it arrived before the two clocks do not agree.
const CLOCKS_MS: i64 = 5 * 60 * 1_000;

/// Stands for the phone itself in the addresses of an MMS.
const ITSELF: &[u8] = b"insert-address-token";

/// An MMS that was announced and never fetched: OMA MMS Encapsulation, `m-notification-ind`.
const ANNOUNCED: &[u8] = b"130";

/// An element as it is read. `K` is what it keeps of the source: slices of it where that is held
/// whole, copies where not.
pub(super) struct Entry<K> {
    pub(super) multimedia: bool,
    /// The others, as the app writes them: several numbers of an MMS stand between `~`.
    pub(super) address: Option<K>,
    /// The others' names in the phone's address book.
    pub(super) name: Option<K>,
    /// Whom an MMS names as its sender.
    pub(super) from: Option<K>,
    /// Everybody whom an MMS names, where it has no `address`.
    pub(super) everybody: Vec<K>,
    /// Its row, but for its place and its author.
    pub(super) row: Row,
    came: u16,
    announced: bool,
    texts: bool,
    files: Files,
}

/// The files of an MMS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Files {
    None,
    LeftOut,
    Cards,
    Some,
}

impl<K> Entry<K> {
    /// Begins the element that `tag` opens.
    pub(super) fn of<'t>(tag: &Tag<'t>, multimedia: bool) -> Result<Self, Broken>
    where
        K: From<&'t [u8]>,
    {
        let mut entry = Self {
            multimedia,
            address: None,
            name: None,
            from: None,
            everybody: Vec::new(),
            row: Row::at(0, 0),
            came: 0,
            announced: false,
            texts: false,
            files: Files::None,
        };
        let (mut date, mut sent) = (None, None);
        for attribute in tag.attributes() {
            let (name, value) = attribute?;
            let field = match name {
                b"address" => 1,
                b"date" => 2,
                b"type" | b"msg_box" if multimedia == (name == b"msg_box") => 4,
                b"body" if !multimedia => 8,
                b"subject" | b"sub" => 16,
                b"contact_name" => 32,
                b"date_sent" => 64,
                b"m_type" => 128,
                _ => continue,
            };
            if !entry.is_first(field) {
                continue;
            }
            match field {
                1 => entry.address = short(value).map(K::from),
                2 => date = Some(value),
                4 => entry.direct(value),
                8 | 16 => entry.says(value),
                32 => {
                    entry.name = short(value)
                        .filter(|name| *name != b"(Unknown)")
                        .map(K::from)
                }
                64 => sent = number(value).filter(|sent| *sent > 0),
                _ => entry.announced = value == ANNOUNCED,
            }
        }
        if entry.came & 4 == 0 {
            entry.direct(b"");
        }
        entry.date(date, sent);
        Ok(entry)
    }

    /// Adds an element inside this one.
    pub(super) fn add<'t>(&mut self, tag: &Tag<'t>) -> Result<(), Broken>
    where
        K: From<&'t [u8]>,
    {
        match tag.name {
            b"part" => self.part(tag),
            b"addr" => self.person(tag),
            b"parts" | b"addrs" => Ok(()),
            _ => {
                self.row.doubt(Doubt::NotShown);
                Ok(())
            }
        }
    }

    fn part(&mut self, tag: &Tag<'_>) -> Result<(), Broken> {
        let (mut media_type, mut text, mut data) = (None, None, None);
        for attribute in tag.attributes() {
            let (name, value) = attribute?;
            let field = match name {
                b"ct" => &mut media_type,
                b"text" => &mut text,
                b"data" => &mut data,
                _ => continue,
            };
            self.row.keep_first(field, value);
        }
        let media_type = media_type.unwrap_or_default();
        let data = data.and_then(full);
        if is_layout(media_type) {
            return Ok(());
        }
        if let Some(text) = text.and_then(full).filter(|_| is_text(media_type)) {
            self.says(text);
            return Ok(());
        }
        let files = match data {
            // An empty text has no data either.
            None if is_text(media_type) => Files::None,
            None => Files::LeftOut,
            Some(_) if is_card(media_type) => Files::Cards,
            Some(_) => Files::Some,
        };
        self.files = self.files.max(files);
        Ok(())
    }

    fn person<'t>(&mut self, tag: &Tag<'t>) -> Result<(), Broken>
    where
        K: From<&'t [u8]>,
    {
        let (mut address, mut role) = (None, None);
        for attribute in tag.attributes() {
            let (name, value) = attribute?;
            match name {
                b"address" => address = address.or(short(value)),
                b"type" => role = role.or(Some(value)),
                _ => {}
            }
        }
        let Some(address) = address.filter(|address| *address != ITSELF) else {
            return Ok(());
        };
        if address.len() > AUTHOR_MAX_BYTES || self.everybody.len() == SMS_PEOPLE_MAX {
            self.row.doubt(Doubt::Malformed);
            return Ok(());
        }
        // 151 is to, 130 cc and 129 bcc; others are no people.
        match role {
            Some(b"137") if self.from.is_some() => self.row.doubt(Doubt::RepeatedPart),
            Some(b"137") => self.from = Some(K::from(address)),
            Some(b"151" | b"130" | b"129") => {}
            _ => return Ok(()),
        }
        if self.address.is_none() {
            self.everybody.push(K::from(address));
        }
        Ok(())
    }

    /// What the row is, once all of it is read.
    pub(super) fn finish(&mut self) {
        self.row.kind = match self.files {
            Files::Some => RowKind::Media,
            Files::Cards => RowKind::Contact,
            Files::LeftOut => RowKind::Omitted,
            Files::None if self.texts => RowKind::Text,
            Files::None if self.announced => RowKind::Omitted,
            Files::None => RowKind::Blank,
        };
        if self.row.kind == RowKind::Blank {
            self.row.doubt(Doubt::NotShown);
        }
    }

    fn is_first(&mut self, field: u16) -> bool {
        let first = self.came & field == 0;
        if !first {
            self.row.doubt(Doubt::RepeatedPart);
        }
        self.came |= field;
        first
    }

    fn says(&mut self, value: &[u8]) {
        if let Some(text) = full(value) {
            self.texts = true;
            if !is_sound(text) {
                self.row.doubt(Doubt::Malformed);
            }
        }
    }

    /// Which way it went: `type` of an SMS, `msg_box` of an MMS.
    fn direct(&mut self, value: &[u8]) {
        match value {
            b"1" => self.row.flags |= INCOMING,
            b"2" => self.row.flags |= OUTGOING,
            // A draft, one that waits, one that failed, one that is queued.
            b"3" | b"4" | b"5" | b"6" => {
                self.row.flags |= OUTGOING;
                self.row.doubt(Doubt::NotSent);
            }
            _ => self.row.doubt(Doubt::Malformed),
        }
    }

    /// When the phone received or sent it, and when the network says that it was sent.
    fn date(&mut self, date: Option<&[u8]>, sent: Option<i64>) {
        let at = date.and_then(number);
        if date.is_some() && at.is_none_or(|at| at < FIRST_SMS_MS) {
            self.row.doubt(Doubt::Malformed);
        }
        let at = at.filter(|at| *at >= FIRST_SMS_MS);
        self.row.set_instant(at);
        // Phones give this one in seconds for an MMS.
        let sent = sent.map(|sent| {
            if sent < SECONDS_MAX {
                sent * 1_000
            } else {
                sent
            }
        });
        if let (Some(at), Some(sent)) = (at, sent)
            && sent.saturating_sub(at) > CLOCKS_MS
        {
            self.row.doubt(Doubt::TimesDisagree);
        }
    }
}

/// A value that says something: the app writes `null` where the phone has none.
pub(super) fn full(value: &[u8]) -> Option<&[u8]> {
    Some(value).filter(|value| !value.is_empty() && *value != b"null")
}

/// A list of addresses, or a name.
fn short(value: &[u8]) -> Option<&[u8]> {
    full(value).filter(|value| value.len() <= SMS_VALUE_MAX_BYTES)
}

fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// A media type without its parameters.
fn essence(media_type: &[u8]) -> &[u8] {
    let end = memchr::memchr(b';', media_type).unwrap_or(media_type.len());
    media_type.get(..end).unwrap_or_default().trim_ascii()
}

/// How an MMS is laid out, which says nothing by itself.
pub(super) fn is_layout(media_type: &[u8]) -> bool {
    essence(media_type).eq_ignore_ascii_case(b"application/smil")
}

pub(super) fn is_text(media_type: &[u8]) -> bool {
    essence(media_type).eq_ignore_ascii_case(b"text/plain")
}

fn is_card(media_type: &[u8]) -> bool {
    [b"text/x-vcard".as_slice(), b"text/vcard"]
        .iter()
        .any(|card| essence(media_type).eq_ignore_ascii_case(card))
}

/// The subject of an MMS.
///
/// Phones keep it as Latin-1 of its UTF-8 bytes (Android's `PduPersister`), which `charset` 106
/// tells, and the app writes it as it is kept. Where it is no such thing it stands as it is
/// written.
pub(super) fn subject(raw: &[u8], charset: Option<&[u8]>) -> String {
    let text = decode(raw);
    if charset == Some(b"106") && !text.is_ascii() {
        let bytes: Option<Vec<u8>> = text.chars().map(|char| u8::try_from(char).ok()).collect();
        if let Some(Ok(text)) = bytes.map(String::from_utf8) {
            return text;
        }
    }
    text.into_owned()
}
