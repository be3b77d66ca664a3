//! Goes through the markup of an export, piece by piece, and gives its messages.
//!
//! It is told the pieces and never sees the file, so that a file that is held whole and one that
//! is read in parts go through the same steps.

use super::entry::Entry;
use crate::ImportError;
use crate::xml::{Attributes, Markup, Tag};

/// Deepest nesting inside a message: the app's is two.
const DEPTH_MAX: usize = 16;

/// The instruction by which a chat that was taken out of an export keeps a name that stood with
/// another chat; see [`super::stream`].
pub(super) const CONTACT: &[u8] = b"candour-contact";

/// What a piece of markup did.
pub(super) enum Step<K> {
    Nothing,
    /// A message began that goes on: [`Walk::message`] is what is known of it.
    Began,
    /// A message ended.
    Ended(Entry<K>),
    /// The name of an address.
    Contact(K, K),
}

pub(super) struct Walk<K> {
    place: Place,
    open: Option<Entry<K>>,
    /// The elements that are open inside the message, itself first.
    inside: Vec<Name>,
    damaged: bool,
    /// How many messages the file says that it holds, and how many it does.
    announced: Option<u64>,
    held: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Inside,
    After,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Sms,
    Mms,
    Parts,
    Part,
    Addrs,
    Addr,
    Other,
}

impl Name {
    const fn of(name: &[u8]) -> Self {
        match name {
            b"sms" => Self::Sms,
            b"mms" => Self::Mms,
            b"parts" => Self::Parts,
            b"part" => Self::Part,
            b"addrs" => Self::Addrs,
            b"addr" => Self::Addr,
            _ => Self::Other,
        }
    }
}

impl<K> Walk<K> {
    pub(super) const fn new() -> Self {
        Self {
            place: Place::Before,
            open: None,
            inside: Vec::new(),
            damaged: false,
            announced: None,
            held: 0,
        }
    }

    /// The message that has begun and not ended.
    pub(super) const fn message(&self) -> Option<&Entry<K>> {
        self.open.as_ref()
    }

    /// Whether `markup` begins a message, whatever it stands in.
    pub(super) fn begins(&self, markup: &Markup<'_>) -> bool {
        match markup {
            Markup::Open(tag) => {
                self.place == Place::Inside && matches!(Name::of(tag.name), Name::Sms | Name::Mms)
            }
            _ => false,
        }
    }

    /// Whether a part of the file could not be read.
    pub(super) const fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// Whether the file ends before its end.
    pub(super) fn is_cut_off(&self) -> bool {
        self.place != Place::After
    }

    /// Whether the file is whole and holds another number of messages than it says.
    pub(super) fn miscounts(&self) -> bool {
        !self.damaged
            && !self.is_cut_off()
            && self
                .announced
                .is_some_and(|announced| announced != self.held)
    }

    /// Takes what stands between two pieces of markup.
    pub(super) fn text(&mut self, text: &[u8]) {
        // A byte-order mark, and what else stands before the export begins, is no part of it.
        if self.place != Place::Before && !text.trim_ascii().is_empty() {
            self.stray();
        }
    }

    /// Takes what is no XML: the message that it stands in is lost.
    pub(super) fn broken(&mut self) {
        self.damaged = true;
        self.open = None;
        self.inside.clear();
    }

    /// Takes the next piece of markup.
    ///
    /// # Errors
    ///
    /// [`ImportError::Doctype`] and [`ImportError::UnknownEncoding`].
    pub(super) fn markup<'t>(&mut self, markup: &Markup<'t>) -> Result<Step<K>, ImportError>
    where
        K: From<&'t [u8]>,
    {
        match markup {
            Markup::Doctype => return Err(ImportError::Doctype),
            Markup::Comment => {}
            Markup::Cdata => self.stray(),
            Markup::Instruction(content) => return self.instruction(content),
            Markup::Open(tag) => return Ok(self.opened(tag)),
            Markup::Close(name) => return Ok(self.closed(name)),
        }
        Ok(Step::Nothing)
    }

    /// Text where the app writes none.
    fn stray(&mut self) {
        match &mut self.open {
            Some(entry) => entry.row.doubt(crate::Doubt::NotShown),
            None => self.damaged = true,
        }
    }

    fn instruction<'t>(&mut self, content: &'t [u8]) -> Result<Step<K>, ImportError>
    where
        K: From<&'t [u8]>,
    {
        let name_len = content
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(content.len());
        let (name, rest) = content.split_at(name_len);
        let value = |key: &[u8]| {
            Attributes::of_instruction(rest)
                .map_while(Result::ok)
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value)
        };
        if name == b"xml" && self.place == Place::Before {
            let known = [b"utf-8".as_slice(), b"utf8", b"us-ascii", b"ascii"];
            let encoding = value(b"encoding");
            if encoding.is_some_and(|name| !known.iter().any(|k| k.eq_ignore_ascii_case(name))) {
                return Err(ImportError::UnknownEncoding);
            }
        }
        if name == CONTACT
            && let (Some(address), Some(name)) = (value(b"address"), value(b"contact_name"))
        {
            return Ok(Step::Contact(K::from(address), K::from(name)));
        }
        Ok(Step::Nothing)
    }

    fn opened<'t>(&mut self, tag: &Tag<'t>) -> Step<K>
    where
        K: From<&'t [u8]>,
    {
        let name = Name::of(tag.name);
        match self.place {
            Place::Before if tag.name == b"smses" => {
                self.place = if tag.empty {
                    Place::After
                } else {
                    Place::Inside
                };
                self.announced = tag
                    .get(b"count")
                    .and_then(|count| std::str::from_utf8(count).ok()?.parse().ok());
                return Step::Nothing;
            }
            Place::Inside if matches!(name, Name::Sms | Name::Mms) => {
                // The one before never ended.
                if self.open.is_some() {
                    self.broken();
                }
                return match Entry::of(tag, name == Name::Mms) {
                    Ok(entry) if tag.empty => self.ended(entry),
                    Ok(entry) => {
                        self.open = Some(entry);
                        self.inside.push(name);
                        Step::Began
                    }
                    Err(_) => {
                        self.broken();
                        Step::Nothing
                    }
                };
            }
            _ => {}
        }
        let Some(entry) = &mut self.open else {
            self.damaged = true;
            return Step::Nothing;
        };
        if entry.add(tag).is_err() {
            self.broken();
            return Step::Nothing;
        }
        if !tag.empty {
            self.inside.push(name);
        }
        if self.inside.len() > DEPTH_MAX {
            self.broken();
        }
        Step::Nothing
    }

    fn closed(&mut self, name: &[u8]) -> Step<K> {
        match self.inside.pop() {
            Some(open) if open == Name::of(name) => {
                if self.inside.is_empty()
                    && let Some(entry) = self.open.take()
                {
                    return self.ended(entry);
                }
                return Step::Nothing;
            }
            Some(_) => self.broken(),
            None if name != b"smses" => self.damaged = true,
            None => {}
        }
        if name == b"smses" {
            self.damaged |= self.place != Place::Inside;
            self.place = Place::After;
        }
        Step::Nothing
    }

    fn ended(&mut self, mut entry: Entry<K>) -> Step<K> {
        entry.finish();
        self.held += 1;
        Step::Ended(entry)
    }
}
