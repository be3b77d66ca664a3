//! What the machine is, by `sysinfo` where it has it.

use candour_wire::posture::HandsetFacts;
use sysinfo::{Product, System};

/// Maker's names that say nothing: what firmware carries when nobody filled it in.
const PLACEHOLDERS: [&str; 7] = [
    "to be filled by o.e.m.",
    "default string",
    "system manufacturer",
    "system product name",
    "not specified",
    "not applicable",
    "o.e.m.",
];

/// Never a serial number, host name, address or user. Reads `/etc/os-release` and the firmware's
/// vendor and product names.
pub(super) fn of_this_machine() -> HandsetFacts {
    HandsetFacts {
        platform: "linux".into(),
        os_version: os_version(System::name().ok(), System::os_version().ok()),
        model: model(Product::vendor_name().ok(), Product::name().ok()),
        agent_version: env!("CARGO_PKG_VERSION").into(),
    }
}

fn os_version(name: Option<String>, version: Option<String>) -> Option<String> {
    let words: Vec<_> = [name, version]
        .into_iter()
        .flatten()
        .filter(|word| !word.is_empty())
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn model(vendor: Option<String>, name: Option<String>) -> Option<String> {
    let said = |text: Option<String>| {
        let text = text?.trim().to_owned();
        (!text.is_empty() && !PLACEHOLDERS.contains(&text.to_lowercase().as_str())).then_some(text)
    };
    match (said(vendor), said(name)) {
        (Some(vendor), Some(name)) if name.starts_with(&vendor) => Some(name),
        (Some(vendor), Some(name)) => Some(format!("{vendor} {name}")),
        // A vendor alone is no model.
        (_, name) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_model_is_made_of_what_the_maker_filled_in() {
        assert_eq!(
            model(some("Framework"), some("Laptop 13")),
            some("Framework Laptop 13")
        );
        assert_eq!(
            model(some("HP"), some("HP EliteBook 840")),
            some("HP EliteBook 840")
        );
        assert_eq!(
            model(some("To Be Filled By O.E.M."), some("System Product Name")),
            None
        );
        assert_eq!(model(None, some("Raspberry Pi 5")), some("Raspberry Pi 5"));
        assert_eq!(model(some("LENOVO"), None), None);
    }

    #[test]
    fn an_operating_system_is_named_with_its_version() {
        assert_eq!(
            os_version(some("Debian GNU/Linux"), some("12")),
            some("Debian GNU/Linux 12")
        );
        assert_eq!(os_version(some("Arch Linux"), None), some("Arch Linux"));
        assert_eq!(os_version(None, None), None);
    }

    #[test]
    fn this_machine_has_the_platform_and_the_agents_version() {
        let facts = of_this_machine();
        assert_eq!(facts.platform, "linux");
        assert_eq!(facts.agent_version, env!("CARGO_PKG_VERSION"));
    }
}
