//! Runs the Rust parsers that Candour is compared with. See `../compare.py` for what is asked and
//! answered.

use std::time::Instant;
use std::{env, fs};

use chatpack::config::WhatsAppConfig;
use chatpack::parser::Parser;
use chatpack::parsers::WhatsAppParser;
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [parser, task, path] = args.as_slice() else {
        return Err("usage: compare-others chatpack|wc-parser speed|case FILE".into());
    };
    let answer = match task.as_str() {
        "speed" => {
            let started = Instant::now();
            let messages = match parser.as_str() {
                "chatpack" => chatpack(path)?.len(),
                _ => wc_parser(path)?.len(),
            };
            let seconds = started.elapsed().as_secs_f64();
            json!({ "messages": messages, "seconds": seconds, "peak_bytes": peak_bytes()? })
        }
        _ if parser == "chatpack" => chatpack(path)?
            .into_iter()
            .map(|m| {
                let author = Some(m.sender).filter(|sender| sender != "System");
                row(m.timestamp.map(|t| t.naive_utc().to_string()), author, m.content)
            })
            .collect(),
        _ => wc_parser(path)?
            .into_iter()
            .map(|m| row(Some(m.date.naive_utc().to_string()), m.author, m.message))
            .collect(),
    };
    println!("{answer}");
    Ok(())
}

fn row(time: Option<String>, author: Option<String>, text: String) -> Value {
    json!({ "t": time, "author": author, "text": text })
}

fn chatpack(path: &str) -> Result<Vec<chatpack::Message>, Failure> {
    let config = WhatsAppConfig::new().with_skip_system_messages(false);
    Ok(WhatsAppParser::with_config(config).parse(path.as_ref())?)
}

fn wc_parser(path: &str) -> Result<Vec<wc_parser::models::Message>, Failure> {
    Ok(wc_parser::parse_file(path, None)?)
}

fn peak_bytes() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line.ok_or("no VmHWM")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}
