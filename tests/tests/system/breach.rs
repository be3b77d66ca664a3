//! Somebody has broken into the gateway, or holds a copy of the phone's files: what is there to
//! read (invariants I5 and I6).
//!
//! The search looks for a secret in every form in which a program may leave it: as it is, in
//! hexadecimal, in UTF-16, and inside a longer text in base64 or base64url at each of the three
//! alignments.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use candour_tests::cli::{AgentCli, DECLARE};
use candour_tests::needs::cannot_run;
use memchr::memmem;
use rustix::process::Pid;

use crate::department;

const SECRET_WORDS: &str = "the rhubarb treaty will be signed at half past nine";

/// A secret in one form, and what the form is called.
type Form = (String, Vec<u8>);

/// Every form in which `secret` is looked for.
fn forms(secret: &[u8]) -> Vec<Form> {
    let hex = |upper: bool| {
        let digits = secret.iter().map(|byte| {
            if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            }
        });
        digits.collect::<String>().into_bytes()
    };
    let mut forms = vec![
        ("as it is".to_owned(), secret.to_vec()),
        ("hexadecimal".to_owned(), hex(false)),
        ("upper-case hexadecimal".to_owned(), hex(true)),
    ];
    if let Ok(text) = std::str::from_utf8(secret) {
        let wide = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect();
        forms.push(("UTF-16".to_owned(), wide(u16::to_le_bytes)));
        forms.push(("big-endian UTF-16".to_owned(), wide(u16::to_be_bytes)));
    }
    for before in 0..3 {
        let padded = [&[0; 2][..before], secret].concat();
        // Characters that the bytes before or after have a part in are left out.
        let (start, end) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        for (name, encoded) in [
            ("base64", STANDARD_NO_PAD.encode(&padded)),
            ("base64url", URL_SAFE_NO_PAD.encode(&padded)),
        ] {
            let inner = encoded.as_bytes()[start..end].to_vec();
            forms.push((format!("{name} after {before} bytes"), inner));
        }
    }
    forms
}

/// A place to look in: its name, and what is there.
type Place = (String, Vec<u8>);

/// Where and in which form a secret lies.
fn leaks(places: &[Place], secret: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for (form, bytes) in forms(secret) {
        let finder = memmem::Finder::new(&bytes);
        for (place, content) in places {
            if finder.find(content).is_some() || finder.find(place.as_bytes()).is_some() {
                found.push(format!("{place}: {form}"));
            }
        }
    }
    found
}

/// Every file below `dir`.
fn files(dir: &Path) -> Vec<Place> {
    let mut places = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            places.push((path.display().to_string(), Vec::new()));
            places.extend(files(&path));
        } else {
            // A database may drop its journal between listing and reading.
            let bytes = fs::read(&path).unwrap_or_default();
            places.push((path.display().to_string(), bytes));
        }
    }
    places
}

/// All that a process has in memory and lets be read: what a dump of its core holds, and the
/// pages that come from files besides.
pub(crate) fn memory(pid: Pid) -> Vec<Place> {
    let process = format!("/proc/{}", pid.as_raw_nonzero());
    let needs = "to be allowed to read /proc/PID/mem of a process that it has started";
    let maps = fs::read_to_string(format!("{process}/maps"));
    let maps = maps.unwrap_or_else(|error| cannot_run(&error.to_string(), needs));
    let memory = File::open(format!("{process}/mem"));
    let memory = memory.unwrap_or_else(|error| cannot_run(&error.to_string(), needs));
    let mut places = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else {
            continue;
        };
        let parse = |text| u64::from_str_radix(text, 16).ok();
        let range = range.split_once('-');
        let Some((Some(start), Some(end))) = range.map(|(start, end)| (parse(start), parse(end)))
        else {
            continue;
        };
        if !rights.starts_with('r') {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        // Some pages are the kernel's own and cannot be read.
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            let name = words.nth(3).unwrap_or("memory");
            places.push((format!("{name} at {start:x}"), bytes));
        }
    }
    places
}

#[test]
fn a_secret_is_found_in_every_form_that_a_program_leaves_it_in() {
    let secret = SECRET_WORDS.as_bytes();
    let wide: Vec<u8> = SECRET_WORDS
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let json = serde_json::json!({ "text": SECRET_WORDS }).to_string();
    let mut texts: Vec<Vec<u8>> = vec![json.clone().into_bytes(), wide];
    texts.push(
        secret
            .iter()
            .flat_map(|byte| format!("{byte:02x}").into_bytes())
            .collect(),
    );
    for before in 0..5 {
        let around = format!("{}{json}{}", "x".repeat(before), "y".repeat(before));
        texts.push(STANDARD_NO_PAD.encode(&around).into_bytes());
        texts.push(URL_SAFE_NO_PAD.encode(&around).into_bytes());
    }
    for text in texts {
        let place = (
            "there".to_owned(),
            [b"before ".as_slice(), &text, b" after"].concat(),
        );
        let shown = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(leaks(&[place], secret).len().min(1), 1, "{shown}");
    }
    let nothing = (
        "there".to_owned(),
        b"the rhubarb treaty was signed".repeat(9),
    );
    assert_eq!(leaks(&[nothing], secret), [""; 0]);
    let name = (format!("/{SECRET_WORDS}.txt"), Vec::new());
    assert_eq!(leaks(&[name], secret).len(), 1, "a file's name counts too");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_the_gateways_memory_disk_and_logs_reads_no_declaration_key_or_token() {
    let mut department = department();
    // As the guide says: the records role's folder leaves the machine before the first phone.
    let away = department.scratch().join("away");
    fs::rename(department.data().join("records-role"), &away).unwrap();
    let temporary = department.scratch().join("temporary");
    fs::create_dir(&temporary).unwrap();
    assert_eq!(department.stop().code(), Some(0));
    let mut serve = department.serve_command();
    serve
        .env("CANDOUR_SERVER_LOG_FILTER", "trace")
        .env("TMPDIR", &temporary);
    department.restart_with(&mut serve);

    let agent = AgentCli::new(&department, "phone");
    let token = department.token();
    let _ = agent
        .run(&["enrol", "--token-file", "-"], &token)
        .succeeded();
    let record = agent.declare(SECRET_WORDS);
    let synced = agent.run(&["sync"], "").succeeded().json();
    assert_eq!(synced["received"], 1, "{synced}");

    let key = fs::read_to_string(away.join("records.key")).unwrap();
    let seed = key.trim().rsplit(':').next().unwrap();
    let raw_seed = URL_SAFE_NO_PAD.decode(seed).unwrap();
    let secrets: [(&str, &[u8]); 5] = [
        ("what was declared", SECRET_WORDS.as_bytes()),
        ("who wrote it", "Bob O'Neil (Adviser)".as_bytes()),
        ("the records key", seed.as_bytes()),
        ("the records key's bytes", &raw_seed),
        ("the token", token.trim().as_bytes()),
    ];

    let log = department.process().log();
    assert!(log.contains("a handset has enrolled"), "the control: {log}");
    let mut disk = files(&department.data());
    disk.extend(files(&temporary));
    disk.push(("the log".to_owned(), log.into_bytes()));
    let id: candour_wire::RecordId = record.parse().unwrap();
    assert!(
        !leaks(&disk, id.as_bytes()).is_empty() || !leaks(&disk, record.as_bytes()).is_empty(),
        "the control: the record is there, by its id"
    );
    let told = |places: &[Place]| -> Vec<String> {
        let told = secrets.iter().flat_map(|(what, secret)| {
            let leaks = leaks(places, secret).into_iter();
            leaks.map(move |leak| format!("{what}: {leak}"))
        });
        told.collect()
    };
    assert_eq!(told(&disk), [""; 0]);
    let memory = memory(department.process().pid());
    let path = department.data().display().to_string();
    assert!(!leaks(&memory, path.as_bytes()).is_empty(), "the control");
    // The library that reads HTTP does not wipe its buffers. By now the token is spent.
    let spent = |leak: &String| !leak.starts_with("the token: ") || !leak.contains("base64");
    let told: Vec<String> = told(&memory).into_iter().filter(spent).collect();
    assert_eq!(told, [""; 0]);
    let thief = AgentCli::new(&department, "thief");
    let refused = thief.run(&["enrol", "--token-file", "-"], &token);
    assert_eq!(refused.error_code(), "token_used");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_copies_the_phones_files_or_its_log_reads_no_declaration_and_no_token() {
    let department = department();
    let mut logs = String::new();
    for (number, verbose) in [None, Some("-v"), Some("-vv"), Some("-vvv")]
        .into_iter()
        .enumerate()
    {
        let agent = AgentCli::new(&department, &format!("phone-{number}"));
        let token = department.token();
        let mut run = |args: &[&str], input: &str| {
            let args: Vec<&str> = args.iter().copied().chain(verbose).collect();
            let outcome = agent.run(&args, input).succeeded();
            logs.push_str(&outcome.stderr);
            let mut places = files(agent.home());
            places.push(("the log".to_owned(), logs.clone().into_bytes()));
            for (what, secret) in [
                ("what was declared", SECRET_WORDS),
                ("who wrote it", "Bob O'Neil (Adviser)"),
                ("the token", token.trim()),
            ] {
                assert_eq!(
                    leaks(&places, secret.as_bytes()),
                    [""; 0],
                    "{what}, {args:?}"
                );
            }
            (places, outcome)
        };
        let (places, _) = run(&["enrol", "--token-file", "-"], &token);
        let whose = leaks(&places, b"hm-treasury");
        assert!(
            !whose.is_empty(),
            "the control: its identity says whose it is"
        );
        // What waits, and what was sent.
        run(&DECLARE, SECRET_WORDS);
        let (_, synced) = run(&["sync"], "");
        assert_eq!(synced.json()["received"], 1, "{synced:?}");
    }
    assert!(
        logs.contains("DEBUG"),
        "the control: it is a full log: {logs}"
    );
}
