//! Text messages and MMS as SMS Backup & Restore writes them: an invented phone.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod chats;
mod damage;
mod files;
mod in_parts;
mod people;
mod says;

use candour_import::{Conversation, Doubt, Message, Options, Stamp, import};

const PHONE: &str = include_str!("../sms/sms-20240602101500.xml");

const ALICE: &str = "+447700900121";
const BOB: &str = "+447700900122";
const BOTH: &str = "+447700900121~+447700900122";
const NOBODY: &str = "~";
const OWNER: &str = "(owner of the phone)";

fn chosen<'a>(source: &'a str, id: &str) -> Conversation<'a> {
    let options = Options {
        conversation: Some(id),
        ..Options::default()
    };
    import(source.as_bytes(), &options).unwrap()
}

/// An export of the elements `inside`.
fn export(inside: &str) -> String {
    format!("<?xml version='1.0' encoding='UTF-8'?>\n<smses>\n{inside}\n</smses>\n")
}

fn sms(attributes: &str) -> String {
    format!("<sms address=\"1\" date=\"1717232460000\" type=\"1\" {attributes}/>")
}

/// The only message of an export of one.
fn one<T>(inside: &str, look: impl FnOnce(Message<'_>) -> T) -> T {
    let source = export(inside);
    let chat = import(source.as_bytes(), &Options::default()).unwrap();
    assert_eq!(chat.len(), 1);
    look(chat.message(0).unwrap())
}

fn saying<'c>(chat: &'c Conversation<'_>, part: &str) -> Message<'c> {
    chat.messages()
        .find(|message| message.text().contains(part))
        .unwrap()
}

fn doubts(message: &Message<'_>) -> Vec<Doubt> {
    message.doubts().collect()
}

fn instant(text: &str) -> Stamp {
    Stamp::Instant(text.parse().unwrap())
}
