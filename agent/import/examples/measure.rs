//! How long an import takes and how much memory it needs, for `docs/benchmarks.md`.
//!
//! `measure MODE FILE [ID]` imports FILE once and prints one line of JSON: the mode, the bytes, the
//! messages, the seconds from opening the file to the finished index, and the most memory that
//! the process ever held. A process measures one import, because memory that was held once
//! counts for ever. The modes are:
//!
//! - `index`, and `digest` which also takes the SHA-256 of every message;
//! - `list`, which counts the messages of all conversations;
//! - `stream`, which reads in parts: a WhatsApp chat; or, of Signal's export and of text messages,
//!   the conversation ID or, without one, the list;
//! - `zip`, which opens a zip, reads the only chat in it and indexes that; `read`, which does not
//!   index it; and `unzip`, which does no more than such an archive needs at the least: it inflates
//!   the chat's file, checks its sum and keeps nothing.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring program prints figures, and must look at the clock"
)]

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufReader, Read as _};
use std::time::Instant;

use candour_import::{
    Archive, ChatStream, Export, Format, Options, Summary, conversations, import, limits,
    list_signal, list_sms, select_signal, select_sms, sniff,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(mode), Some(file)) = (args.next(), args.next()) else {
        return Err("usage: measure index|digest|list|stream|zip|read|unzip FILE [ID]".into());
    };
    let id = args.next();
    let options = Options {
        conversation: id.as_deref(),
        ..Options::default()
    };
    let started = Instant::now();
    let (bytes, messages) = match mode.as_str() {
        "index" => whole(&file, &options, false)?,
        "digest" => whole(&file, &options, true)?,
        "list" => list(&file)?,
        "stream" => stream(&file, &options)?,
        "zip" => zip(&file, true)?,
        "read" => zip(&file, false)?,
        "unzip" => unzip(&file)?,
        _ => return Err(format!("no such mode: {mode}").into()),
    };
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{{\"mode\":\"{mode}\",\"bytes\":{bytes},\"messages\":{messages},\"seconds\":{seconds:.4},\"peak_bytes\":{}}}",
        peak_bytes()?
    );
    Ok(())
}

fn whole(file: &str, options: &Options<'_>, digests: bool) -> Result<(u64, usize), Box<dyn Error>> {
    let source = fs::read(file)?;
    let chat = import(&source, options)?;
    if digests {
        for message in chat.messages() {
            black_box(message.digest());
        }
    }
    Ok((source.len() as u64, black_box(&chat).len()))
}

fn list(file: &str) -> Result<(u64, usize), Box<dyn Error>> {
    let source = fs::read(file)?;
    let listed = conversations(&[&source], &Options::default())?;
    Ok((source.len() as u64, all(&listed)))
}

/// How many messages there are in all of them.
fn all(listed: &[Summary]) -> usize {
    listed.iter().map(|one| one.messages).sum()
}

fn stream(file: &str, options: &Options<'_>) -> Result<(u64, usize), Box<dyn Error>> {
    let bytes = fs::metadata(file)?.len();
    let mut start = Vec::new();
    File::open(file)?
        .take(limits::PREAMBLE_MAX_BYTES as u64)
        .read_to_end(&mut start)?;
    let reader = BufReader::new(File::open(file)?);
    let chosen = match (sniff(&start), options.conversation) {
        (Some(Format::Signal), Some(id)) => select_signal(reader, id)?,
        (Some(Format::Signal), None) => return Ok((bytes, all(&list_signal(reader)?))),
        (Some(Format::Sms), Some(id)) => select_sms(reader, id)?,
        (Some(Format::Sms), None) => return Ok((bytes, all(&list_sms(reader)?))),
        _ => return stream_chat(file),
    };
    let chat = import(&chosen.text, options)?;
    Ok((chosen.bytes, black_box(&chat).len()))
}

fn stream_chat(file: &str) -> Result<(u64, usize), Box<dyn Error>> {
    let mut chat = ChatStream::open(File::open(file)?, Options::default())?;
    let mut messages = 0;
    while let Some(part) = chat.next_part()? {
        messages += black_box(part.conversation()).len();
    }
    Ok((chat.bytes(), messages))
}

/// The bytes are those of the chat, inflated.
fn zip(file: &str, index: bool) -> Result<(u64, usize), Box<dyn Error>> {
    let mut export = Export::open(Archive::open(File::open(file)?)?)?;
    let chat = export.find(None)?;
    let files = export.read(chat)?;
    let messages = if index {
        black_box(export.import(chat, &files, &Options::default())?).len()
    } else {
        0
    };
    let bytes = files.iter().map(Vec::len).sum::<usize>();
    Ok((bytes as u64, messages))
}

/// The largest file is the chat's.
fn unzip(file: &str) -> Result<(u64, usize), Box<dyn Error>> {
    let mut archive = zip::ZipArchive::new(File::open(file)?)?;
    let mut largest = (0, 0);
    for place in 0..archive.len() {
        largest = largest.max((archive.by_index(place)?.size(), place));
    }
    let bytes = io::copy(&mut archive.by_index(largest.1)?, &mut io::sink())?;
    Ok((bytes, 0))
}

/// The most memory that this process has held at once, in bytes, as Linux counts it; 0 elsewhere.
fn peak_bytes() -> Result<u64, Box<dyn Error>> {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return Ok(0);
    };
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}
