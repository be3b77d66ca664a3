//! The bodies of the fuzz targets, run over every input that is kept, and over some thousands that are
//! made from them in the same way each time.
//!
//! `tests/fuzz/minute` looks for new inputs with coverage; this keeps what it found from coming back.

#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests may, like the tests themselves"
)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
#[allow(
    unreachable_pub,
    missing_docs,
    reason = "it is a crate of its own elsewhere"
)]
mod targets;

use targets::{Body, TARGETS};

/// Inputs made from those that are kept for each target, and the number that they are made with, unless
/// `CANDOUR_FUZZ_INPUTS` and `CANDOUR_FUZZ_SEED` say otherwise.
const MUTANTS: u32 = 2_000;
const SEED: u64 = 1;

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The inputs that are kept for a target, in the order of their names: its seeds, and the corpus that
/// fuzzing with coverage has come to.
fn kept(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut kept = Vec::new();
    for folder in ["seeds", "corpus"] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz")
            .join(folder)
            .join(target);
        for entry in fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            kept.push((name, fs::read(entry.path()).unwrap()));
        }
    }
    kept.sort();
    kept
}

/// Changes an input in one to four places, or crosses it with another.
fn mutate(random: &mut fastrand::Rng, seed: &[u8], other: &[u8]) -> Vec<u8> {
    const TEXTS: [&[u8]; 12] = [
        b"-1",
        b"9007199254740992",
        b"18446744073709551616",
        b"null",
        b"\"\"",
        b"{}",
        b"[",
        b"\\u0000",
        b"\xff\xfe",
        b"1e400",
        b"../",
        b"\r\n",
    ];
    let mut input = seed.to_vec();
    for _ in 0..random.u8(1..=4) {
        let at = random.usize(0..=input.len());
        let end = (at + random.usize(0..=16)).min(input.len());
        match random.u8(0..7) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..end)),
            2 => input.insert(at, random.u8(..)),
            3 if at < input.len() => input[at] ^= 1 << random.u8(0..8),
            4 => drop(input.splice(at..end, TEXTS[random.usize(0..TEXTS.len())].to_vec())),
            5 => {
                let again = input[at..end].to_vec();
                drop(input.splice(at..at, again));
            }
            _ if !other.is_empty() => {
                let from = random.usize(0..other.len());
                let to = (from + random.usize(0..=64)).min(other.len());
                drop(input.splice(at..end, other[from..to].to_vec()));
            }
            _ => {}
        }
    }
    input
}

/// How many inputs a body stood, or the first that broke it.
fn shake(kept: &[(String, Vec<u8>)], body: Body, mutants: u32) -> Result<u32, String> {
    let stands = |input: &[u8]| catch_unwind(AssertUnwindSafe(|| body(input))).is_ok();
    let mut count = 0;
    for (name, input) in kept {
        if !stands(input) {
            return Err(name.clone());
        }
        count += 1;
    }
    let mut random = fastrand::Rng::with_seed(setting("CANDOUR_FUZZ_SEED", SEED));
    for _ in 0..mutants {
        let one = &kept[random.usize(0..kept.len())].1;
        let other = &kept[random.usize(0..kept.len())].1;
        let input = mutate(&mut random, one, other);
        if !stands(&input) {
            return Err(format!("\"{}\"", input.escape_ascii()));
        }
        count += 1;
    }
    Ok(count)
}

#[test]
fn every_parser_of_outside_bytes_stands_what_is_kept_and_thousands_of_changes_to_it() {
    let mutants = setting("CANDOUR_FUZZ_INPUTS", MUTANTS);
    let mut broken = Vec::new();
    for (target, body) in TARGETS {
        let kept = kept(target);
        assert!(!kept.is_empty(), "{target} has no inputs");
        match shake(&kept, body, mutants) {
            Ok(count) => println!("{target}: {count} inputs, {} of them kept", kept.len()),
            Err(input) => broken.push(format!("{target}: {input}")),
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_parser_that_breaks_on_some_input_is_found_and_the_input_is_told() {
    let seeds = [("seed".to_owned(), b"{\"size\":1}".to_vec())];
    let broken: Body = |bytes| assert!(!bytes.contains(&0xff), "it breaks");
    let told = shake(&seeds, broken, MUTANTS).unwrap_err();
    assert!(told.contains("\\xff"), "{told}");
    assert_eq!(shake(&seeds, |_| {}, 10), Ok(11));
    assert!(catch_unwind(|| targets::control(b"stepdown")).is_err());
}

#[test]
fn every_target_has_its_program_and_its_seeds() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(dir.join("Cargo.toml")).unwrap();
    let mut programs: Vec<_> = fs::read_dir(dir.join("fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_owned())
        .collect();
    programs.retain(|name| name != "control");
    programs.sort();
    assert_eq!(programs, TARGETS.map(|(name, _)| name));
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}
