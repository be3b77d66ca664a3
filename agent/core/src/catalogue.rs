//! The catalogue: the apps that may be asked about, and no others (invariant I1).
//!
//! One comes with every build, in `agent/core/catalogue.json`; a department's policy may bring a
//! newer one. Names that could not be checked against the app itself are marked `unverified`
//! there: they may show that an app is installed, and never alone that it is absent.
//!
//! Apps for health, faith, dating, unions and parties are never listed: that somebody has one is
//! special category data (UK GDPR, article 9) and no business of an employer. Text messages that
//! are built into the phone and web mail leave nothing to ask about; they are channels to
//! declare.
//!
//! The iOS URL scheme `whatsapp` stands at both WhatsApp and WhatsApp Business, which share it.
//! It is the only one: on its own it cannot tell which of the two is there.

use std::collections::HashSet;
use std::sync::OnceLock;

use candour_wire::policy::{Catalogue, CatalogueApp, Identifier, Policy};

/// The catalogue that comes with this build.
#[must_use]
pub fn bundled() -> &'static Catalogue {
    static BUNDLED: OnceLock<Catalogue> = OnceLock::new();
    BUNDLED.get_or_init(|| {
        serde_json::from_str(include_str!("../catalogue.json"))
            .expect("the catalogue is part of the source and a test reads it")
    })
}

/// The catalogue in force: the policy's when it is newer than `bundled`, else `bundled`.
///
/// An older one does not bring back apps that were taken off the list since.
#[must_use]
pub fn in_force<'a>(bundled: &'a Catalogue, policy: Option<&'a Policy>) -> &'a Catalogue {
    policy
        .and_then(|policy| policy.catalogue.as_ref())
        .filter(|signed| signed.version > bundled.version)
        .unwrap_or(bundled)
}

/// Whether this build can see the app if it is there, so that not seeing it means something.
///
/// Android shows an app only the packages that its manifest names, and iOS only the URL schemes
/// that its property list declares. Both are generated from the bundled catalogue, so that an
/// app which a newer catalogue adds stays `unknown` until the next release. Linux needs no such
/// leave. `platform` is as in [`candour_wire::posture::HandsetFacts`].
#[must_use]
pub fn build_can_see(platform: &str, app: &CatalogueApp) -> bool {
    let all_declared = |names: fn(&CatalogueApp) -> &Vec<Identifier>| {
        let declared: HashSet<&str> = bundled()
            .apps
            .iter()
            .flat_map(names)
            .map(|name| name.id.as_str())
            .collect();
        let wanted = names(app);
        !wanted.is_empty()
            && wanted
                .iter()
                .all(|name| declared.contains(name.id.as_str()))
    };
    match platform {
        "linux" => true,
        "android" => all_declared(|app| &app.android),
        "ios" => all_declared(|app| &app.ios_scheme),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
