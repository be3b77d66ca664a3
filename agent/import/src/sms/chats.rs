//! Whom messages were exchanged with: a chat is everybody of a set of addresses.
//!
//! Addresses are one where they differ in nothing but how a number is spaced. A number with its
//! country's code and the same without are two: which country that is, the file does not say.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use super::entry::Entry;
use crate::limits::{PEOPLE_MAX, SMS_CHATS_MAX_BYTES};
use crate::tally::Tally;
use crate::xml::decode;
use crate::{ImportError, Summary};

/// Between the addresses of a chat. Alone, it is the chat of messages that have none.
const AND: char = '~';

/// The chats of an export, numbered in the order of their first messages.
pub(super) struct Chats {
    /// By addresses as they are written: of one, and of several.
    written: [HashMap<Vec<u8>, u32>; 2],
    keys: HashMap<String, u32>,
    chats: Vec<Chat>,
    /// Names of people whose own chat is not in this file.
    contacts: HashMap<String, String>,
    /// The last one asked for.
    last: Option<(usize, Vec<u8>, u32)>,
    bytes: usize,
}

struct Chat {
    key: String,
    /// Whether it is with one address.
    alone: bool,
    /// Its addresses as they are first written.
    addresses: String,
    /// What the address book calls them.
    name: Option<String>,
    tally: Tally,
}

impl Chats {
    pub(super) fn new() -> Self {
        Self {
            written: [HashMap::new(), HashMap::new()],
            keys: HashMap::new(),
            chats: Vec::new(),
            contacts: HashMap::new(),
            last: None,
            bytes: 0,
        }
    }

    /// The number of the chat that a message is of.
    pub(super) fn number<K: AsRef<[u8]>>(&mut self, entry: &Entry<K>) -> Result<u32, ImportError> {
        let number = match &entry.address {
            Some(address) => {
                let several = entry.multimedia && address.as_ref().contains(&b'~');
                self.find(usize::from(several), address.as_ref())?
            }
            None => {
                let all: Vec<&[u8]> = entry.everybody.iter().map(AsRef::as_ref).collect();
                self.find(1, &all.join(&b'~'))?
            }
        };
        if let Some(chat) = self.chats.get_mut(number as usize)
            && chat.name.is_none()
            && let Some(name) = &entry.name
        {
            self.bytes += name.as_ref().len();
            chat.name = Some(decode(name.as_ref()).into_owned());
        }
        if self.bytes > SMS_CHATS_MAX_BYTES {
            return Err(ImportError::TooManyPeople);
        }
        Ok(number)
    }

    fn find(&mut self, several: usize, written: &[u8]) -> Result<u32, ImportError> {
        if let Some((kind, last, number)) = &self.last
            && *kind == several
            && last == written
        {
            return Ok(*number);
        }
        let known = self.written.get(several).and_then(|map| map.get(written));
        let number = match known {
            Some(number) => *number,
            None => self.add(several, written)?,
        };
        let mut last = self.last.take().map_or(Vec::new(), |(_, last, _)| last);
        last.clear();
        last.extend(written);
        self.last = Some((several, last, number));
        Ok(number)
    }

    fn add(&mut self, several: usize, written: &[u8]) -> Result<u32, ImportError> {
        self.bytes += 4 * written.len();
        if self.chats.len() == PEOPLE_MAX || self.bytes > SMS_CHATS_MAX_BYTES {
            return Err(ImportError::TooManyPeople);
        }
        let text = decode(written);
        let pieces = text.splitn(if several == 1 { usize::MAX } else { 1 }, AND);
        let addresses: Vec<String> = pieces
            .map(|address| address.trim().to_owned())
            .filter(|address| !address.is_empty())
            .collect();
        let set: BTreeSet<Cow<'_, str>> = addresses.iter().map(|text| one(text)).collect();
        let alone = set.len() == 1;
        let key = if set.is_empty() {
            AND.to_string()
        } else {
            let all: Vec<&str> = set.iter().map(AsRef::as_ref).collect();
            all.join("~")
        };
        let next = u32::try_from(self.chats.len()).map_err(|_| ImportError::TooManyPeople)?;
        let number = *self.keys.entry(key.clone()).or_insert(next);
        if number == next {
            self.chats.push(Chat {
                key,
                alone,
                addresses: addresses.join(", "),
                name: None,
                tally: Tally::new(),
            });
        }
        if let Some(map) = self.written.get_mut(several) {
            map.insert(written.to_vec(), number);
        }
        Ok(number)
    }

    /// Keeps the name of an address that has no chat of its own here.
    pub(super) fn contact(&mut self, address: &[u8], name: &[u8]) -> Result<(), ImportError> {
        self.bytes += address.len() + name.len();
        if self.contacts.len() == PEOPLE_MAX || self.bytes > SMS_CHATS_MAX_BYTES {
            return Err(ImportError::TooManyPeople);
        }
        self.contacts
            .entry(one(&decode(address)).into_owned())
            .or_insert_with(|| decode(name).into_owned());
        Ok(())
    }

    /// What the address book calls the one with this address, which is not part of a list.
    pub(super) fn name_of(&self, address: &str) -> Option<&str> {
        let key = one(address);
        let chat = self.keys.get(&*key).and_then(|number| self.chat(*number));
        chat.filter(|chat| chat.alone)
            .and_then(|chat| chat.name.as_deref())
            .or_else(|| self.contacts.get(&*key).map(String::as_str))
    }

    /// Whether the chat is with the one who has this address, and nobody else.
    pub(super) fn is_with(&self, number: u32, address: &str) -> bool {
        self.chat(number)
            .is_some_and(|chat| chat.alone && chat.key == one(address))
    }

    /// What names the chat for [`Options::conversation`](crate::Options::conversation).
    pub(super) fn key(&self, number: u32) -> &str {
        self.chat(number).map_or("", |chat| &chat.key)
    }

    /// Its name in the address book, or its addresses.
    pub(super) fn title(&self, number: u32) -> Option<String> {
        let chat = self.chat(number)?;
        let addresses = Some(&chat.addresses).filter(|addresses| !addresses.is_empty());
        chat.name.as_ref().or(addresses).cloned()
    }

    pub(super) fn tally(&mut self, number: u32) -> Option<&mut Tally> {
        let chat = self.chats.get_mut(number as usize);
        chat.map(|chat| &mut chat.tally)
    }

    /// The chats that were counted.
    pub(super) fn summaries(&self) -> Vec<Summary> {
        (0..)
            .zip(&self.chats)
            .map(|(number, chat)| chat.tally.summary(chat.key.clone(), self.title(number)))
            .collect()
    }

    fn chat(&self, number: u32) -> Option<&Chat> {
        self.chats.get(number as usize)
    }
}

/// An address without what spaces the digits of a number (RFC 3966, 5.1.1, and blanks); anything
/// that is no number as it is.
pub(super) fn one(address: &str) -> Cow<'_, str> {
    let address = address.trim();
    let spaces = |char: char| matches!(char, ' ' | '\u{a0}' | '-' | '.' | '(' | ')');
    let digits = |char: char| char.is_ascii_digit() || matches!(char, '+' | '*' | '#');
    let is_number = address.chars().all(|char| spaces(char) || digits(char))
        && address.chars().any(|char| char.is_ascii_digit());
    if is_number && address.contains(spaces) {
        Cow::Owned(address.chars().filter(|char| !spaces(*char)).collect())
    } else {
        Cow::Borrowed(address)
    }
}
