use std::collections::BTreeMap;

use candour_wire::policy::CatalogueApp;

use super::*;
use crate::testing;

/// Which apps a name of one platform stands at, over the whole catalogue.
fn holders(
    names: fn(&CatalogueApp) -> &Vec<Identifier>,
) -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut holders = BTreeMap::<_, Vec<_>>::new();
    for app in &bundled().apps {
        for name in names(app) {
            holders
                .entry(name.id.as_str())
                .or_default()
                .push(app.id.as_str());
        }
    }
    holders
}

fn shared(names: fn(&CatalogueApp) -> &Vec<Identifier>) -> Vec<(&'static str, Vec<&'static str>)> {
    holders(names)
        .into_iter()
        .filter(|(_, apps)| apps.len() > 1)
        .collect()
}

#[test]
fn the_bundled_catalogue_keeps_the_rules_of_the_format() {
    let catalogue = bundled();
    catalogue.check().unwrap();
    assert!(catalogue.version >= 1);
    for app in &catalogue.apps {
        assert!(
            app.why.ends_with('.') && app.why.len() > 20,
            "{} says why it is listed",
            app.id
        );
        assert!(!app.name.trim().is_empty());
        let names = app.android.len() + app.ios_bundle.len() + app.ios_scheme.len();
        assert!(
            names > 0 || !app.linux.is_empty(),
            "{} can be asked about somewhere",
            app.id
        );
    }
}

#[test]
fn every_app_of_the_gathered_facts_is_listed() {
    let listed: Vec<_> = bundled().apps.iter().map(|app| app.id.as_str()).collect();
    for app in [
        "whatsapp",
        "whatsapp-business",
        "signal",
        "telegram",
        "messenger",
        "threema",
        "threema-work",
        "wire",
        "viber",
        "line",
        "wechat",
        "snapchat",
        "discord",
        "slack",
        "microsoft-teams",
        "google-messages",
        "samsung-messages",
        "element",
        "element-x",
        "session",
        "aws-wickr",
        "zoom",
        "instagram",
        "tiktok",
        "gmail",
        "outlook",
        "proton-mail",
        "yahoo-mail",
        "thunderbird",
        "evolution",
        "gajim",
        "dino",
        "pidgin",
        "hexchat",
        "nheko",
    ] {
        assert!(listed.contains(&app), "{app}");
    }
    assert_eq!(listed.len(), 35, "an app was added: list it here too");
}

#[test]
fn no_name_stands_at_two_apps_but_the_scheme_that_whatsapp_shares() {
    assert_eq!(shared(|app| &app.android), []);
    assert_eq!(shared(|app| &app.ios_bundle), []);
    assert_eq!(shared(|app| &app.linux.dpkg), []);
    assert_eq!(shared(|app| &app.linux.flatpak), []);
    assert_eq!(shared(|app| &app.linux.snap), []);
    assert_eq!(shared(|app| &app.linux.desktop), []);
    assert_eq!(shared(|app| &app.linux.process), []);
    assert_eq!(
        shared(|app| &app.ios_scheme),
        [("whatsapp", vec!["whatsapp", "whatsapp-business"])]
    );
}

#[test]
fn names_fit_what_their_platform_takes() {
    // More are refused by iOS from the 51st on.
    assert!(holders(|app| &app.ios_scheme).len() <= 50);
    for name in holders(|app| &app.linux.process).keys() {
        assert!(name.len() <= 15, "{name} is longer than the kernel keeps");
    }
    for name in holders(|app| &app.android).keys() {
        assert!(name.contains('.'), "{name} is not an Android package name");
    }
    for name in holders(|app| &app.linux.dpkg).keys() {
        assert!(
            name.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b)),
            "{name} is not a Debian package name"
        );
    }
    for name in holders(|app| &app.ios_scheme).keys() {
        // RFC 3986, section 3.1.
        assert!(
            name.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)),
            "{name} is not a scheme"
        );
    }
}

#[test]
fn names_from_memory_are_marked_unverified() {
    let app = |id: &str| {
        bundled()
            .apps
            .iter()
            .find(|app| app.id.as_str() == id)
            .unwrap()
    };
    assert!(app("viber").ios_bundle[0].unverified);
    assert!(app("tiktok").android[0].unverified);
    assert!(!app("whatsapp").android[0].unverified);
    assert_eq!(
        app("slack").android[0].id,
        "com.Slack",
        "with a capital letter"
    );
}

#[test]
fn a_signed_catalogue_replaces_the_bundled_one_only_when_it_is_newer() {
    let mut policy = testing::policy(1);
    assert_eq!(in_force(bundled(), None), bundled());
    assert_eq!(in_force(bundled(), Some(&policy)), bundled());

    let mut signed = bundled().clone();
    signed.apps.truncate(3);
    policy.catalogue = Some(signed.clone());
    assert_eq!(
        in_force(bundled(), Some(&policy)),
        bundled(),
        "of the same version"
    );

    signed.version += 1;
    policy.catalogue = Some(signed.clone());
    assert_eq!(in_force(bundled(), Some(&policy)), &signed);

    signed.version = 0;
    policy.catalogue = Some(signed);
    assert_eq!(in_force(bundled(), Some(&policy)), bundled(), "older");
}

#[test]
fn a_phone_cannot_see_an_app_that_its_build_did_not_name() {
    let whatsapp = bundled()
        .apps
        .iter()
        .find(|app| app.id.as_str() == "whatsapp")
        .unwrap();
    assert!(build_can_see("android", whatsapp));
    assert!(build_can_see("ios", whatsapp));

    let mut renamed = whatsapp.clone();
    renamed.android.push(Identifier {
        id: "com.whatsapp.lite".into(),
        unverified: false,
    });
    renamed.ios_scheme.push(Identifier {
        id: "whatsapp-lite".into(),
        unverified: false,
    });
    assert!(!build_can_see("android", &renamed));
    assert!(!build_can_see("ios", &renamed));
    assert!(build_can_see("linux", &renamed));
    assert!(!build_can_see("plan9", &renamed));

    let gajim = bundled()
        .apps
        .iter()
        .find(|app| app.id.as_str() == "gajim")
        .unwrap();
    assert!(
        !build_can_see("android", gajim),
        "it has no name there to ask for"
    );
}
