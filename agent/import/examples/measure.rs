//! How long an import takes and how much memory it needs, for `docs/benchmarks.md`.
//!
//! `measure MODE FILE` imports FILE once and prints one line of JSON: the mode, the bytes, the
//! messages, the seconds from opening the file to the finished index, and the most memory that
//! the process ever held. A process measures one import, because memory that was held once
//! counts for ever. The modes are `index`, `digest` which also takes the SHA-256 of every message,
//! and `stream` which reads a WhatsApp chat in parts.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring program prints figures, and must look at the clock"
)]

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::time::Instant;

use candour_import::{ChatStream, Options, import};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(mode), Some(file)) = (args.next(), args.next()) else {
        return Err("usage: measure index|digest|stream FILE".into());
    };
    let started = Instant::now();
    let (bytes, messages) = match mode.as_str() {
        "index" => whole(&file, false)?,
        "digest" => whole(&file, true)?,
        "stream" => stream(&file)?,
        _ => return Err(format!("no such mode: {mode}").into()),
    };
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{{\"mode\":\"{mode}\",\"bytes\":{bytes},\"messages\":{messages},\"seconds\":{seconds:.4},\"peak_bytes\":{}}}",
        peak_bytes()?
    );
    Ok(())
}

fn whole(file: &str, digests: bool) -> Result<(u64, usize), Box<dyn Error>> {
    let source = fs::read(file)?;
    let chat = import(&source, &Options::default())?;
    if digests {
        for message in chat.messages() {
            black_box(message.digest());
        }
    }
    Ok((source.len() as u64, black_box(&chat).len()))
}

fn stream(file: &str) -> Result<(u64, usize), Box<dyn Error>> {
    let mut chat = ChatStream::open(File::open(file)?, Options::default())?;
    let mut messages = 0;
    while let Some(part) = chat.next_part()? {
        messages += black_box(part.conversation()).len();
    }
    Ok((chat.bytes(), messages))
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
