//! The way through a `result.json`, with the messages of the wanted chats on it.

use std::borrow::Cow;
use std::collections::HashMap;

use super::message::Read;
use crate::files::bom;
use crate::json::{Broken, Cursor, Stop, Value};
use crate::limits::PEOPLE_MAX;
use crate::{Caveat, ImportError};

/// What the app calls the chat of a person with themselves.
const SAVED_MESSAGES: &str = "Saved Messages";

/// Takes what is found on the way.
pub(super) trait Sink<'a> {
    /// Whether the messages of this chat are wanted.
    fn wants(&mut self, head: &Head<'a>) -> Result<bool, ImportError>;

    /// Takes a message of a wanted chat.
    fn message(&mut self, head: &Head<'a>, read: &Read<'a>) -> Result<(), ImportError>;
}

/// A chat, as far as it is known.
#[derive(Clone)]
pub(super) struct Head<'a> {
    /// Tells it from the others of the file.
    pub(super) key: String,
    name: Option<Value<'a>>,
    kind: Option<Value<'a>>,
    id: Option<Value<'a>>,
}

impl<'a> Head<'a> {
    pub(super) fn title(&self) -> Option<Cow<'a, str>> {
        self.name.and_then(Value::full).or_else(|| {
            let kind = self.kind?.text()?;
            (kind == "saved_messages").then_some(Cow::Borrowed(SAVED_MESSAGES))
        })
    }
}

/// What was found out on the way.
pub(super) struct End<'a> {
    /// The number of the account's owner, where the export names it.
    pub(super) owner: Option<&'a str>,
    /// Why it ended before the file.
    pub(super) caveat: Option<Caveat>,
}

/// Goes through `source`; ends early where it is cut off or damaged.
pub(super) fn walk<'a>(source: &'a [u8], sink: &mut impl Sink<'a>) -> Result<End<'a>, ImportError> {
    let mut walk = Walk {
        cursor: Cursor::new(source, bom(source)),
        sink,
        keys: HashMap::new(),
        owner: None,
    };
    let caveat = Stop::caveat(walk.root())?;
    Ok(End {
        owner: walk.owner,
        caveat,
    })
}

struct Walk<'a, 's, S> {
    cursor: Cursor<'a>,
    sink: &'s mut S,
    /// How many chats had this key.
    keys: HashMap<String, u32>,
    owner: Option<&'a str>,
}

impl<'a, S: Sink<'a>> Walk<'a, '_, S> {
    /// The file: a chat, or an account that has chats.
    fn root(&mut self) -> Result<(), Stop> {
        self.cursor.expect(b'{')?;
        self.chat(true)?;
        match self.cursor.peek() {
            Err(Broken::End) => Ok(()),
            // Something follows the end.
            _ => Err(Stop::At(Broken::Bad)),
        }
    }

    /// A chat, past its `{`; or the account, which is `root`.
    fn chat(&mut self, root: bool) -> Result<(), Stop> {
        let mut head = Head {
            key: String::new(),
            name: None,
            kind: None,
            id: None,
        };
        // Where messages stand that come before what the chat is.
        let mut waiting = Vec::new();
        let mut first = true;
        while let Some(key) = self.cursor.key(&mut first)? {
            match key {
                b"messages" => {
                    if head.id.is_some() && head.kind.is_some() {
                        self.messages(&mut head)?;
                    } else {
                        waiting.push(self.cursor);
                        self.cursor.value()?;
                    }
                }
                b"chats" | b"left_chats" if root => self.list()?,
                b"personal_information" if root => {
                    let id = self.cursor.value()?.get("user_id");
                    self.owner = id.and_then(|id| std::str::from_utf8(id.0).ok());
                }
                _ => {
                    let value = self.cursor.value()?;
                    let field = match key {
                        b"name" => &mut head.name,
                        b"type" => &mut head.kind,
                        b"id" => &mut head.id,
                        _ => continue,
                    };
                    field.get_or_insert(value);
                }
            }
        }
        for place in waiting {
            let end = std::mem::replace(&mut self.cursor, place);
            self.messages(&mut head)?;
            self.cursor = end;
        }
        Ok(())
    }

    /// `{"about": …, "list": [chats]}`
    fn list(&mut self) -> Result<(), Stop> {
        if self.cursor.peek()? != b'{' {
            self.cursor.value()?;
            return Ok(());
        }
        self.cursor.expect(b'{')?;
        let mut first = true;
        while let Some(key) = self.cursor.key(&mut first)? {
            if key != b"list" || self.cursor.peek()? != b'[' {
                self.cursor.value()?;
                continue;
            }
            self.cursor.expect(b'[')?;
            let mut first = true;
            while self.cursor.item(&mut first)? {
                self.cursor.expect(b'{')?;
                self.chat(false)?;
            }
        }
        Ok(())
    }

    /// The array of a chat's messages.
    fn messages(&mut self, head: &mut Head<'a>) -> Result<(), Stop> {
        if head.key.is_empty() {
            self.name(head)?;
        }
        if self.cursor.peek()? != b'[' || !self.sink.wants(head)? {
            self.cursor.value()?;
            return Ok(());
        }
        self.cursor.expect(b'[')?;
        let mut first = true;
        while self.cursor.item(&mut first)? {
            let read = Read::next(&mut self.cursor)?;
            self.sink.message(head, &read)?;
        }
        Ok(())
    }

    /// Gives a chat its key: its type and number, and a count where both come again.
    fn name(&mut self, head: &mut Head<'a>) -> Result<(), ImportError> {
        if self.keys.len() == PEOPLE_MAX {
            return Err(ImportError::TooManyPeople);
        }
        let kind = head.kind.and_then(Value::text).unwrap_or_default();
        let id = head.id.map(|id| String::from_utf8_lossy(id.0));
        let key = format!("{kind}-{}", id.unwrap_or_default());
        let count = self.keys.entry(key.clone()).or_insert(0);
        *count += 1;
        head.key = if *count == 1 {
            key
        } else {
            format!("{key}-{count}")
        };
        Ok(())
    }
}
