//! What an import reads in a chat, as JSON, for `tests/compare`.
//!
//! `rows MODE FILE [ID]` prints a list of `{t, author, text}`, of the conversation ID where there are
//! several. The modes are `index` and `stream`.
#![expect(clippy::print_stdout, reason = "a program that prints")]

use std::error::Error;
use std::fs::{self, File};

use candour_import::{ChatStream, Conversation, Options, Stamp, import};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(mode), Some(file)) = (args.next(), args.next()) else {
        return Err("usage: rows index|stream FILE [ID]".into());
    };
    let id = args.next();
    let options = Options {
        conversation: id.as_deref(),
        ..Options::default()
    };
    let mut rows = Vec::new();
    if mode == "stream" {
        let mut chat = ChatStream::open(File::open(&file)?, Options::default())?;
        while let Some(part) = chat.next_part()? {
            rows.extend(rows_of(part.conversation()));
        }
    } else {
        rows.extend(rows_of(&import(&fs::read(&file)?, &options)?));
    }
    println!("{}", Value::from(rows));
    Ok(())
}

fn rows_of(chat: &Conversation<'_>) -> Vec<Value> {
    let row = |message: candour_import::Message<'_>| {
        let time = match message.stamp() {
            Stamp::Wall(wall) => wall.to_string(),
            Stamp::Instant(instant) => instant.to_string(),
            Stamp::None => String::new(),
        };
        json!({ "t": time, "author": message.author(), "text": message.text() })
    };
    chat.messages().map(row).collect()
}
