//! What a simulated handset says of itself. The answers are drawn from a fixed seed, so that two
//! demos count the same.

use candour_core::ports::AppProbe;
use candour_wire::Digest;
use candour_wire::policy::Catalogue;
use candour_wire::posture::{AppPresence, Evidence, HandsetFacts, Presence};

/// Percent of each department's handsets that have an app, in the order of
/// [`super::DEPARTMENTS`]. The span for WhatsApp is that of the Institute for Government's survey
/// (*WhatsApp in government*, March 2022: 13 to 31%).
const SHARES: [(&str, [u32; 3]); 6] = [
    ("whatsapp", [31, 24, 13]),
    ("signal", [14, 9, 4]),
    ("telegram", [3, 2, 1]),
    ("messenger", [6, 5, 8]),
    ("microsoft-teams", [100, 100, 100]),
    ("slack", [22, 31, 17]),
];

/// One simulated handset.
pub(super) struct SimulatedProbe {
    /// Place of its department in the demo's list.
    pub(super) department: usize,
    /// Place of the handset in its department, from 0.
    pub(super) place: u32,
    /// Simulated handsets in this department.
    pub(super) simulated: u32,
    /// Handsets in this department, of which the shares are taken.
    pub(super) of: u32,
}

impl AppProbe for SimulatedProbe {
    fn probe(&self, catalogue: &Catalogue) -> Vec<AppPresence> {
        catalogue
            .apps
            .iter()
            .map(|app| AppPresence {
                app: app.id.clone(),
                state: if self.has(app.id.as_str()) {
                    Presence::Installed
                } else {
                    Presence::Absent
                },
                evidence: vec![if self.is_iphone() {
                    Evidence::Mdm
                } else {
                    Evidence::PackageManager
                }],
            })
            .collect()
    }

    fn handset_facts(&self) -> HandsetFacts {
        let (platform, os, model) = if self.is_iphone() {
            ("ios", "26.1", "iPhone 16")
        } else {
            ("android", "16", "Pixel 9")
        };
        HandsetFacts {
            platform: platform.to_owned(),
            os_version: Some(os.to_owned()),
            model: Some(model.to_owned()),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl SimulatedProbe {
    fn is_iphone(&self) -> bool {
        self.place % 5 < 2
    }

    /// The share of handsets with the app is met exactly: those whose draw is lowest have it.
    fn has(&self, app: &str) -> bool {
        let share = SHARES
            .iter()
            .find(|(id, _)| *id == app)
            .and_then(|(_, shares)| shares.get(self.department));
        let with_it = (self.of * share.copied().unwrap_or(0) + 50) / 100;
        let draw = |place: u32| {
            let seed = format!("candour demo: {app} {} {place}", self.department);
            (Digest::of(seed.as_bytes()).to_hex(), place)
        };
        let own = draw(self.place);
        let lower = (0..self.simulated)
            .filter(|place| draw(*place) < own)
            .count();
        lower < with_it as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_handsets_with_an_app_is_the_one_that_was_set() {
        let with = |app: &str, department: usize, simulated: u32, of: u32| {
            (0..simulated)
                .filter(|place| {
                    SimulatedProbe {
                        department,
                        place: *place,
                        simulated,
                        of,
                    }
                    .has(app)
                })
                .count()
        };
        assert_eq!(with("whatsapp", 0, 63, 64), 20, "31% of 64");
        assert_eq!(with("whatsapp", 2, 64, 64), 8, "13% of 64");
        assert_eq!(with("microsoft-teams", 1, 73, 73), 73);
        assert_eq!(with("viber", 1, 73, 73), 0);
    }

    #[test]
    fn every_app_with_a_share_is_in_the_catalogue() {
        let catalogue = candour_core::catalogue::bundled();
        for (app, _) in SHARES {
            assert!(catalogue.contains(&app.parse().unwrap()), "{app}");
        }
    }
}
