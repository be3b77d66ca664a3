//! The rules for WhatsApp texts, each with the case that it is for.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod authors;
mod dates;
mod headers;
mod identity;
mod kinds;

use candour_import::{Conversation, Doubt, Options, RowKind, import};

fn read(text: &str) -> Conversation<'_> {
    import(text.as_bytes(), &Options::default()).unwrap()
}

fn walls(chat: &Conversation<'_>) -> Vec<String> {
    chat.messages()
        .map(|message| message.wall().unwrap().to_string())
        .collect()
}

fn authors(chat: &Conversation<'_>) -> Vec<Option<String>> {
    chat.messages()
        .map(|message| message.author().map(|author| author.into_owned()))
        .collect()
}

fn kinds(chat: &Conversation<'_>) -> Vec<RowKind> {
    chat.messages().map(|message| message.kind()).collect()
}

fn doubts(chat: &Conversation<'_>, index: usize) -> Vec<Doubt> {
    chat.message(index).unwrap().doubts().collect()
}

fn some(names: &[&str]) -> Vec<Option<String>> {
    names.iter().map(|name| Some((*name).to_owned())).collect()
}
