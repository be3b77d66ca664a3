//! Dependencies point down, and only adapters do I/O.
//!
//! Two sources are read: `cargo metadata` for the arrows between packages, and the `use` lines of
//! the agent's core for the arrows between its modules.

#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests may, like the tests themselves"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Each package of the house, and the packages of the house that it may use.
const PACKAGES: &[(&str, &[&str])] = &[
    ("candour-wire", &[]),
    ("candour-import", &["candour-wire"]),
    ("candour-sqlite-log", &[]),
    (
        "candour-core",
        &["candour-wire", "candour-import", "candour-sqlite-log"],
    ),
    (
        "candour",
        &["candour-core", "candour-import", "candour-wire"],
    ),
    ("candour-server", &["candour-wire", "candour-sqlite-log"]),
    (
        "candour-shared-library",
        &["candour-core", "candour-import", "candour-wire"],
    ),
    (
        "candour-tests",
        &[
            "candour",
            "candour-core",
            "candour-import",
            "candour-server",
            "candour-wire",
        ],
    ),
];

/// Libraries that would be a second way of doing what one library does here, or must not be on a
/// phone.
const BANNED: &[&str] = &[
    "openssl",
    "openssl-sys",
    "native-tls",
    "aws-lc-rs",
    "aws-lc-sys",
    "async-std",
    "smol",
    "sqlx",
    "diesel",
    "sqlite",
    "chrono",
];

/// Modules of the core from the top down. A module may use those below it, and those beside it
/// where they share a row.
const CORE_ROWS: &[&[&str]] = &[
    &["agent"],
    &["error"],
    &["sync"],
    &[
        "identity",
        "inventory",
        "chat",
        "declaration",
        "outbox",
        "config",
        "policy",
        "catalogue",
        "reply",
    ],
    &["ports", "wiped"],
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--offline",
            "--filter-platform",
        ])
        .arg("x86_64-unknown-linux-gnu")
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn packages_depend_only_on_those_below_them() {
    let metadata = metadata();
    let members: BTreeSet<&str> = metadata["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    let allowed: BTreeMap<&str, &[&str]> = PACKAGES.iter().copied().collect();
    let mut checked = 0;
    for package in metadata["packages"].as_array().unwrap() {
        if !members.contains(package["id"].as_str().unwrap()) {
            continue;
        }
        let name = package["name"].as_str().unwrap();
        let below = allowed
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not in the list of packages"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            assert!(
                !used.starts_with("candour") || below.contains(&used),
                "{name} must not use {used}"
            );
        }
        checked += 1;
    }
    assert_eq!(checked, PACKAGES.len());
}

#[test]
fn there_is_one_tls_stack_one_sqlite_and_one_runtime() {
    let metadata = metadata();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for node in metadata["packages"].as_array().unwrap() {
        let (name, version) = (
            node["name"].as_str().unwrap(),
            node["version"].as_str().unwrap(),
        );
        assert!(!BANNED.contains(&name), "{name} {version} is in the tree");
        versions.entry(name).or_default().insert(version);
    }
    for single in [
        "rustls",
        "ring",
        "rustls-webpki",
        "libsqlite3-sys",
        "tokio",
        "hyper",
        "reqwest",
    ] {
        assert_eq!(
            versions[single].len(),
            1,
            "{single}: {:?}",
            versions[single]
        );
    }
}

#[test]
fn modules_of_the_core_use_only_those_below_them() {
    let source = root().join("agent/core/src");
    let row_of = |module: &str| CORE_ROWS.iter().position(|row| row.contains(&module));
    let mut checked = 0;
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).unwrap();
        let module = relative
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs");
        if matches!(module, "lib" | "testing" | "wycheproof" | "adapters") || is_test(relative) {
            continue;
        }
        let row =
            row_of(module).unwrap_or_else(|| panic!("{module} has no place in the core's rows"));
        for used in used_modules(&std::fs::read_to_string(&file).unwrap()) {
            assert_ne!(used, "adapters", "{} uses an adapter", relative.display());
            if let Some(used_row) = row_of(&used) {
                assert!(
                    used_row >= row,
                    "{} uses {used}, which is above it",
                    relative.display()
                );
            }
        }
        checked += 1;
    }
    assert!(checked > 15, "only {checked} files were looked at");
}

#[test]
fn only_adapters_do_io() {
    let forbidden = [
        "std::fs",
        "std::net",
        "tokio::net",
        "tokio::fs",
        "std::process",
        "std::env",
        "rusqlite",
        "reqwest",
    ];
    for place in ["agent/core/src", "agent/wire/src", "agent/import/src"] {
        let source = root().join(place);
        for file in rust_files(&source) {
            let relative = file.strip_prefix(&source).unwrap();
            if relative.starts_with("adapters")
                || relative == Path::new("adapters.rs")
                || is_test(relative)
            {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            for line in code.take_while(|line| !line.starts_with("#[cfg(test)]")) {
                for io in forbidden {
                    assert!(
                        !line.contains(io),
                        "{place}/{} does I/O: {line}",
                        relative.display()
                    );
                }
            }
        }
    }
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn is_test(path: &Path) -> bool {
    path.iter()
        .any(|part| part == "tests" || part == "tests.rs" || part == "testing.rs")
}

/// The first path segment after each `crate::`, before the unit tests.
fn used_modules(text: &str) -> BTreeSet<String> {
    let code = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .collect()
}
