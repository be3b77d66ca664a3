//! Who the numbers in a Signal export stand for.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::{Table, add, number};
use crate::ImportError;
use crate::conversation::Person;
use crate::json::Value;
use crate::limits::AUTHOR_MAX_BYTES;

/// What the app calls the chat of a person with themselves.
const NOTE_TO_SELF: &str = "Note to Self";

/// The people, groups and chats of an export. Holds slices of the file, and looks into them for
/// names and numbers only: the same lines hold keys.
pub(super) struct Recipients<'a> {
    account: Option<Value<'a>>,
    recipients: Table<'a>,
    chats: Table<'a>,
    /// Recipients by account identifier, once a mention needs one.
    accounts: OnceLock<Table<'a>>,
}

/// A person, and whether the export knows them.
pub(super) struct Found {
    pub(super) person: Person,
    pub(super) known: bool,
}

impl<'a> Recipients<'a> {
    pub(super) fn new() -> Self {
        Self {
            account: None,
            recipients: Table::new(),
            chats: Table::new(),
            accounts: OnceLock::new(),
        }
    }

    /// Takes in a frame that says who somebody is; passes all others by.
    pub(super) fn take(&mut self, kind: &[u8], value: Value<'a>) -> Result<(), ImportError> {
        let id = |value: Value<'a>| value.get("id").map(number);
        match kind {
            b"account" if self.account.is_none() && value.is_object() => {
                self.account = Some(value);
            }
            b"recipient" => {
                if let Some(id) = id(value) {
                    add(&mut self.recipients, id, value)?;
                }
            }
            b"chat" => {
                if let Some(id) = id(value) {
                    add(&mut self.chats, id, value)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The person of number `id`.
    pub(super) fn person(&self, id: &[u8]) -> Found {
        let Some(recipient) = self.recipients.get(id) else {
            return Found {
                person: Person {
                    name: None,
                    id: None,
                },
                known: false,
            };
        };
        let id = recipient.get("contact").and_then(contact_id).or_else(|| {
            recipient.get("self")?;
            full(self.account?, "username")
        });
        Found {
            person: Person {
                name: self.name(*recipient),
                id,
            },
            known: true,
        }
    }

    /// The title of chat `id`.
    pub(super) fn title(&self, id: &[u8]) -> Option<String> {
        let chat = self.chats.get(id)?;
        let recipient = self.recipients.get(number(chat.get("recipientId")?))?;
        if recipient.get("self").is_some() {
            return Some(NOTE_TO_SELF.to_owned());
        }
        self.name(*recipient)
    }

    /// The name of whoever has the account identifier `aci`, in base64, which a mention holds;
    /// `None` for names longer than any app takes.
    pub(super) fn mentioned(&self, aci: &[u8]) -> Option<String> {
        let accounts = self.accounts.get_or_init(|| {
            let recipients = self.recipients.values();
            recipients
                .filter_map(|recipient| {
                    Some((recipient.path(&["contact", "aci"])?.raw()?, *recipient))
                })
                .collect()
        });
        self.name(*accounts.get(aci)?)
            .filter(|name| name.len() <= AUTHOR_MAX_BYTES)
    }

    /// A recipient's name, as the app chooses it.
    fn name(&self, recipient: Value<'_>) -> Option<String> {
        if let Some(contact) = recipient.get("contact") {
            let two =
                |given: &str, family: &str| joined(full(contact, given), full(contact, family));
            let nickname = contact.get("nickname");
            return nickname
                .and_then(|name| joined(full(name, "given"), full(name, "family")))
                .or_else(|| two("systemGivenName", "systemFamilyName"))
                .or_else(|| two("profileGivenName", "profileFamilyName"))
                .or_else(|| contact_id(contact));
        }
        if recipient.get("self").is_some() {
            let account = self.account?;
            return joined(full(account, "givenName"), full(account, "familyName"));
        }
        if recipient.get("releaseNotes").is_some() {
            return Some("Signal".to_owned());
        }
        recipient
            .path(&["group", "snapshot", "title", "title"])
            .or_else(|| recipient.path(&["callLink", "name"]))
            .or_else(|| recipient.path(&["distributionList", "distributionList", "name"]))
            .and_then(Value::full)
            .map(Cow::into_owned)
    }
}

/// What tells a contact from others of the same name.
fn contact_id(contact: Value<'_>) -> Option<String> {
    let e164 = contact.get("e164").map(number);
    let digits = e164.and_then(|e164| std::str::from_utf8(e164).ok());
    digits
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()))
        .map(|digits| format!("+{digits}"))
        .or_else(|| full(contact, "username"))
        .or_else(|| full(contact, "aci"))
        .or_else(|| full(contact, "pni"))
}

fn full(value: Value<'_>, key: &str) -> Option<String> {
    value.get(key)?.full().map(Cow::into_owned)
}

fn joined(given: Option<String>, family: Option<String>) -> Option<String> {
    match (given, family) {
        (Some(given), Some(family)) => Some(format!("{given} {family}")),
        (given, family) => given.or(family),
    }
}
