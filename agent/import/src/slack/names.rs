//! The lists at the root of an export: who people are and what channels are called.

use std::collections::HashMap;

use crate::ImportError;
use crate::json::{Broken, Cursor, Value};
use crate::limits::PEOPLE_MAX;

/// What a conversation of several people is called: `mpdm-alice--bob--carol-1`.
const GROUP: &str = "mpdm-";

/// Names by ids.
pub(super) struct Names {
    people: HashMap<String, String>,
    channels: HashMap<String, String>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self {
            people: HashMap::new(),
            channels: HashMap::new(),
        }
    }

    /// Takes a list, from `at` in its file; says why reading ended before the file.
    pub(super) fn take(&mut self, source: &[u8], at: usize) -> Result<Option<Broken>, ImportError> {
        let mut cursor = Cursor::new(source, at);
        let mut first = true;
        if let Err(broken) = cursor.expect(b'[') {
            return Ok(Some(broken));
        }
        loop {
            match cursor.item(&mut first) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(broken) => return Ok(Some(broken)),
            }
            match cursor.value() {
                Ok(item) => self.add(item)?,
                Err(broken) => return Ok(Some(broken)),
            }
        }
    }

    /// Adds a person or a channel; the first of one id counts.
    fn add(&mut self, item: Value<'_>) -> Result<(), ImportError> {
        if self.people.len() + self.channels.len() == PEOPLE_MAX {
            return Err(ImportError::TooManyPeople);
        }
        let Some(id) = item.get("id").and_then(Value::full) else {
            return Ok(());
        };
        let members = item.get("members");
        let name = item.get("name").and_then(Value::full);
        match members {
            None => {
                if let Some(name) = person(item) {
                    self.people.entry(id.into_owned()).or_insert(name);
                }
            }
            // A channel has a name; a conversation of two, or of several, is called by them.
            Some(members) => {
                let whole = match name {
                    Some(name) if !name.starts_with(GROUP) => name.into_owned(),
                    name => {
                        let people: Vec<String> = members
                            .items()
                            .filter_map(|member| Some(member.full()?.into_owned()))
                            .collect();
                        if let Some(name) = name {
                            self.channels
                                .entry(name.into_owned())
                                .or_insert(people.join(" "));
                        }
                        people.join(" ")
                    }
                };
                self.channels.entry(id.into_owned()).or_insert(whole);
            }
        }
        Ok(())
    }

    /// The name of a person.
    pub(super) fn person(&self, id: &str) -> Option<&str> {
        self.people.get(id).map(String::as_str)
    }

    /// What the channel of that folder is called: people's names where it has no other.
    pub(super) fn channel(&self, folder: &str) -> String {
        let Some(called) = self.channels.get(folder) else {
            return folder.to_owned();
        };
        let names: Vec<&str> = called
            .split(' ')
            .map(|id| self.person(id).unwrap_or(id))
            .collect();
        names.join(", ")
    }
}

/// What somebody is called: what they chose to be called here, their name, what they log in with.
fn person(user: Value<'_>) -> Option<String> {
    [
        &["profile", "display_name"][..],
        &["profile", "real_name"],
        &["real_name"],
        &["name"],
    ]
    .into_iter()
    .find_map(|keys| user.path(keys).and_then(Value::full))
    .map(Into::into)
}

/// What a profile in a message says that its author is called.
pub(super) fn called(profile: Value<'_>) -> Option<String> {
    ["display_name", "real_name", "name"]
        .into_iter()
        .find_map(|key| profile.get(key).and_then(Value::full))
        .map(Into::into)
}
