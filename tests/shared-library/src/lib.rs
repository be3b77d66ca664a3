//! Everything that a phone's app calls, behind one C function, so that it can be measured how
//! large a shared library of the agent is:
//!
//! ```text
//! cargo build --profile handset -p candour-shared-library
//! ls -l target/handset/libcandour_shared_library.so
//! ```
//!
//! It is for nobody's use. The bindings add their own glue; the linker keeps of the core what they
//! call, and that is what is called here.

use std::hint::black_box;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use candour_core::adapters::linux_platform;
use candour_core::chat::{self, Known};
use candour_core::declaration::Draft;
use candour_core::ports::{Event, EventSink};
use candour_core::{Agent, Config};
use candour_import::{
    Archive, ChatStream, Export, Options, conversations, import_files, import_pasted, list_signal,
    list_sms, select_signal, select_sms,
};
use candour_wire::content::{Person, RedactionReason, Text};
use candour_wire::{RecordId, Sensitive};
use serde_json::Value;

/// What went wrong, as text; the bindings have types for it.
type Failure = Box<dyn std::error::Error>;

struct NobodyListens;

impl EventSink for NobodyListens {
    fn emit(&self, event: Event) {
        black_box(event);
    }
}

/// Makes the call with this number. The input is JSON, or an export for the last calls. Returns
/// how it went.
///
/// # Safety
///
/// `input` points to `length` bytes that nobody changes meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn candour_call(call: u32, input: *const u8, length: usize) -> i32 {
    // SAFETY: the caller says so.
    let input = unsafe { std::slice::from_raw_parts(input, length) };
    let done = if call < 100 {
        agent_call(call, input)
    } else {
        import_call(call, input)
    };
    i32::from(done.is_err())
}

fn agent_call(call: u32, input: &[u8]) -> Result<(), Failure> {
    let input: Value = serde_json::from_slice(input)?;
    let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
    let id = || text("id").parse::<RecordId>();
    let draft = || serde_json::from_value::<Draft>(input["draft"].clone());
    let settings = input["settings"].as_object().ok_or("no settings")?;
    let config = Config::from_object(settings)?;
    let platform = linux_platform(Path::new(&text("home")), Arc::new(NobodyListens))?;
    let agent = Agent::open(config, platform)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    match call {
        0 => drop(black_box(
            runtime.block_on(agent.enrol(Sensitive::new(text("token"))))?,
        )),
        1 => drop(black_box(runtime.block_on(agent.sync())?)),
        2 => drop(black_box(runtime.block_on(agent.tick(None))?)),
        3 => drop(black_box(agent.scan()?)),
        4 => drop(black_box((agent.catalogue(), agent.policy()))),
        5 => drop(black_box(agent.save_draft(id().ok(), &draft()?)?)),
        6 => drop(black_box((agent.drafts()?, agent.draft(id()?)?))),
        7 => agent.delete_draft(id()?)?,
        8 => {
            let attached = agent.attach(&text("name"), &mut text("file").as_bytes())?;
            black_box(attached);
        }
        9 => drop(black_box(
            agent.declare(agent.preview(&draft()?)?, id().ok())?,
        )),
        10 => drop(black_box(agent.amend(
            id()?,
            agent.preview(&draft()?)?,
            None,
        )?)),
        11 => {
            let by = Person {
                name: Text::from(text("name")),
                role: None,
            };
            black_box(agent.withdraw(id()?, Text::from(text("reason")), Some(by))?);
        }
        12 => drop(black_box((agent.status()?, agent.sent()?))),
        13 => drop(black_box(agent.verify(Some(&text("checkpoint")))?)),
        14 => agent.requeue(id()?)?,
        15 => agent.clear_alarm()?,
        16 => agent.acknowledge_set_aside()?,
        17 => agent.wipe()?,
        _ => return Err("no such call".into()),
    }
    Ok(())
}

fn import_call(call: u32, input: &[u8]) -> Result<(), Failure> {
    let options = Options::default();
    match call {
        100 => pick(&import_files(&[input], &options)?)?,
        101 => pick(&import_pasted(input, &options)?)?,
        102 => drop(black_box(conversations(&[input], &options)?)),
        103 => {
            let mut export = Export::open(Archive::open(Cursor::new(input))?)?;
            let files = export.read(export.find(None)?)?;
            let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
            pick(&import_files(&files, &options)?)?;
        }
        104 => {
            let mut stream = ChatStream::open(Cursor::new(input), options)?;
            while let Some(part) = stream.next_part()? {
                pick(part.conversation())?;
            }
        }
        105 => drop(black_box((
            list_signal(Cursor::new(input))?,
            select_signal(Cursor::new(input), "")?,
        ))),
        106 => drop(black_box((
            list_sms(Cursor::new(input))?,
            select_sms(Cursor::new(input), "")?,
        ))),
        _ => return Err("no such call".into()),
    }
    Ok(())
}

fn pick(chat: &candour_import::Conversation<'_>) -> Result<(), Failure> {
    let known = Known {
        zone: "Europe/London",
        me: None,
        holder: None,
        channels: &[],
    };
    let places: Vec<usize> = (0..chat.len()).collect();
    let mut picked = chat::pick(chat, &places, &known)?;
    picked.redact(0, &Text::from("name"), RedactionReason::ALL[0], None)?;
    for file in &picked.files {
        black_box(chat::embedded(chat, file, 1 << 20)?);
    }
    black_box(chat::origins(chat).count());
    black_box(picked.draft);
    Ok(())
}
