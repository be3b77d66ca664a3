//! Members of a policy file that no policy has.
//!
//! Handsets pass over members that they do not know, so that a newer policy can say more. Whoever
//! writes a policy wants the opposite: a member that nobody knows is a mistake in writing, and a
//! rule that would silently not hold.

use std::collections::BTreeSet;

use candour_wire::policy::{
    Catalogue, CatalogueApp, Category, Identifier, LinuxIdentifiers, Policy,
};
use serde_json::Value;

use crate::names::Hint;

/// Names the members of the JSON policy `text` that a policy does not have, with where they stand
/// and the nearest name that a policy has there; empty when there are none.
///
/// `policy` is what the text was read as.
#[must_use]
pub fn unknown(text: &str, policy: &Policy) -> Vec<String> {
    let Ok(written) = serde_json::from_str::<Value>(text) else {
        return Vec::new();
    };
    let mut known = BTreeSet::new();
    let full = serde_json::to_value(with_every_member(policy)).expect("a policy is plain data");
    collect(&full, "", &mut known);
    let mut found = BTreeSet::new();
    collect(&written, "", &mut found);
    found
        .difference(&known)
        // What is in an unknown member is unknown as well; the outermost says enough.
        .filter(|path| parent(path).is_empty() || known.contains(parent(path)))
        .map(|path| describe(path, &known))
        .collect()
}

/// The paths of all members, such as `catalogue.apps.name`; places in lists are left out.
fn collect(value: &Value, path: &str, paths: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                collect(member, &path, paths);
                paths.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, path, paths)),
        _ => {}
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

fn describe<'a>(path: &'a str, known: &'a BTreeSet<String>) -> String {
    let name = |path: &'a str| path.rsplit_once('.').map_or(path, |(_, name)| name);
    let beside = known
        .iter()
        .filter(|other| parent(other) == parent(path))
        .map(|other| name(other));
    let hint = Hint::nearest(name(path), beside);
    format!("there is no member `{path}`{hint}")
}

/// The policy with every member that may be absent.
fn with_every_member(policy: &Policy) -> Policy {
    let some = || {
        vec![Identifier {
            id: String::new(),
            unverified: true,
        }]
    };
    let app = CatalogueApp {
        id: "app".parse().expect("it is a slug"),
        name: String::new(),
        category: Category::Messaging,
        why: String::new(),
        android: some(),
        ios_bundle: some(),
        ios_scheme: some(),
        linux: LinuxIdentifiers {
            dpkg: some(),
            flatpak: some(),
            snap: some(),
            desktop: some(),
            process: some(),
        },
    };
    Policy {
        catalogue: Some(Catalogue {
            version: 1,
            apps: vec![app],
        }),
        ..policy.clone()
    }
}
