//! The agent by itself in a process, for its memory.

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};

use candour_core::Config;
use candour_wire::Sensitive;
use serde_json::{Map, Value};

use super::Scale;
use super::ingest::to_f64;
use super::usage::Watched;
use crate::department::Department;
use crate::handset::{Handset, declare};
use crate::program::Program;

/// Records that are declared and sent, at full scale.
pub(super) const RECORDS: u32 = 1_000;

/// The agent's peak memory in MB through enrolment, a scan and the sync of [`RECORDS`], scaled, in
/// a process of its own.
pub(super) fn peak_mb(program: &Program, department: &Department, scale: Scale) -> f64 {
    let settings = serde_json::json!({
        "settings": department.settings(),
        "token": department.token(),
    });
    let mut child = Command::new(program.path())
        .args(["bench", "agent-memory", "--scale", &scale.0.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program");
    let mut input = child.stdin.take().expect("a pipe");
    input
        .write_all(settings.to_string().as_bytes())
        .expect("the child reads");
    drop(input);
    let output = child.wait_with_output().expect("the child ends");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("a number")
}

/// What [`peak_mb`] starts: reads the settings and a token, and prints this process's peak memory.
pub(super) fn measure_here(scale: Scale) -> ExitCode {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .expect("the parent writes");
    let input: Map<String, Value> = serde_json::from_str(&text).expect("JSON");
    let settings = input["settings"].as_object().expect("settings");
    let token = input["token"].as_str().expect("a token").to_owned();
    // As the command line has it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let handset = Handset::new();
    let agent = handset.open(Config::from_object(settings).expect("valid settings"));
    runtime
        .block_on(agent.enrol(Sensitive::new(token)))
        .expect("an enrolment");
    agent.scan().expect("a scan");
    runtime.block_on(agent.sync()).expect("a sync");
    let count = scale.of(RECORDS);
    for number in 0..count {
        declare(&agent, &format!("Message {number}: the annex is agreed."));
    }
    runtime.block_on(agent.sync()).expect("a sync");
    let sent = agent.sent().expect("the list").len();
    assert!(to_f64(sent) >= to_f64(count), "{sent} sent");
    match writeln!(std::io::stdout(), "{}", Watched::this().peak_mb()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
