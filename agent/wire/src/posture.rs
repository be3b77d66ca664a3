//! What the posture stream says: which catalogue apps are there, and how the agent fares.
//!
//! Nothing else is asked of the platform (invariants I1 and I2): no other app, no usage, no
//! account.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::AppId;

/// Whether an app is installed. A platform that cannot tell says so (invariant I2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Presence {
    /// The evidence shows the app.
    Installed,
    /// Every place where it could be was asked, and it is in none.
    Absent,
    /// The platform cannot tell.
    Unknown,
}

impl Presence {
    /// The word in JSON, SQL and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
        }
    }
}

/// What an answer rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Evidence {
    /// Android's or another system's package manager.
    PackageManager,
    /// A package database on disk: dpkg, flatpak, snap.
    PackageDatabase,
    /// A desktop entry in one of the XDG directories.
    DesktopEntry,
    /// A URL scheme that the platform can open: a hint, since any app may claim any scheme.
    UrlScheme,
    /// The mobile device management's own inventory.
    Mdm,
    /// A running program of that name.
    Process,
}

impl Evidence {
    /// The word in JSON and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PackageManager => "package_manager",
            Self::PackageDatabase => "package_database",
            Self::DesktopEntry => "desktop_entry",
            Self::UrlScheme => "url_scheme",
            Self::Mdm => "mdm",
            Self::Process => "process",
        }
    }
}

/// The answer for one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AppPresence {
    /// Which app of the catalogue.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub app: AppId,
    /// The answer.
    pub state: Presence,
    /// What it rests on, sorted; for `absent` the places that were asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

/// What the handset is. Each is absent where the platform does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandsetFacts {
    /// `android`, `ios` or `linux`.
    pub platform: String,
    /// Version of the operating system, such as `15` or `12 (bookworm)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Make and model, such as `Pixel 9`; never a serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Version of Candour.
    pub agent_version: String,
}

/// The whole list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Version of the catalogue that was asked about.
    pub catalogue: u64,
    /// What the handset is.
    pub handset: HandsetFacts,
    /// One answer for each app in the catalogue, sorted by app id.
    pub apps: Vec<AppPresence>,
}

/// What changed since the list whose hash is `from`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryChange {
    /// [`Inventory::hash`] of the list before.
    pub from: Digest,
    /// [`Inventory::hash`] of the list after.
    pub to: Digest,
    /// Version of the catalogue after.
    pub catalogue: u64,
    /// What the handset is, when that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handset: Option<HandsetFacts>,
    /// New answers, sorted by app id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<AppPresence>,
    /// Apps that left the catalogue, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<AppId>,
}

/// The list is still the one whose hash is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// [`Inventory::hash`] of the list in force.
    pub inventory: Digest,
}

/// How the agent fares, so that the department sees a handset that cannot deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Records that wait to be sent.
    pub pending: u64,
    /// Records that the server refused and that wait for the holder.
    pub quarantined: u64,
    /// When the oldest waiting record was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_pending: Option<Timestamp>,
    /// The last verified receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Timestamp>,
    /// What is wrong, as codes; empty when all is well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

impl Inventory {
    /// The hash that names this list in differences and heartbeats.
    ///
    /// It covers the catalogue's version, the handset's facts, and each app with its state,
    /// sorted; not the evidence, since the same answer on other evidence is no change. Every
    /// text is preceded by its length, so that no two lists have the same encoding.
    #[must_use]
    pub fn hash(&self) -> Digest {
        let mut bytes = b"candour/inventory/v1\n".to_vec();
        bytes.extend(self.catalogue.to_be_bytes());
        let mut text = |value: Option<&str>| match value {
            None => bytes.push(0),
            Some(value) => {
                bytes.push(1);
                bytes.extend((value.len() as u64).to_be_bytes());
                bytes.extend(value.as_bytes());
            }
        };
        text(Some(&self.handset.platform));
        text(self.handset.os_version.as_deref());
        text(self.handset.model.as_deref());
        text(Some(&self.handset.agent_version));
        let mut apps: Vec<_> = self.apps.iter().collect();
        apps.sort_by(|a, b| a.app.cmp(&b.app));
        for app in apps {
            text(Some(app.app.as_str()));
            text(Some(app.state.as_str()));
        }
        Digest::of(&bytes)
    }

    /// The difference that leads from `self` to `after`; `None` where the hashes are the same.
    #[must_use]
    pub fn change_to(&self, after: &Self) -> Option<InventoryChange> {
        let (from, to) = (self.hash(), after.hash());
        if from == to {
            return None;
        }
        let state_in =
            |list: &Self, app: &AppId| list.apps.iter().find(|a| a.app == *app).map(|a| a.state);
        let mut changed: Vec<_> = after
            .apps
            .iter()
            .filter(|a| state_in(self, &a.app) != Some(a.state))
            .cloned()
            .collect();
        changed.sort_by(|a, b| a.app.cmp(&b.app));
        let mut removed: Vec<_> = self
            .apps
            .iter()
            .filter(|a| state_in(after, &a.app).is_none())
            .map(|a| a.app.clone())
            .collect();
        removed.sort();
        Some(InventoryChange {
            from,
            to,
            catalogue: after.catalogue,
            handset: (self.handset != after.handset).then(|| after.handset.clone()),
            changed,
            removed,
        })
    }

    /// Applies a difference. `None` where it does not start from this list or does not lead to
    /// the list that it claims.
    #[must_use]
    pub fn apply(&self, change: &InventoryChange) -> Option<Self> {
        if self.hash() != change.from {
            return None;
        }
        let mut apps: Vec<_> = self
            .apps
            .iter()
            .filter(|a| {
                !change.removed.contains(&a.app) && !change.changed.iter().any(|c| c.app == a.app)
            })
            .chain(&change.changed)
            .cloned()
            .collect();
        apps.sort_by(|a, b| a.app.cmp(&b.app));
        let after = Self {
            catalogue: change.catalogue,
            handset: change
                .handset
                .clone()
                .unwrap_or_else(|| self.handset.clone()),
            apps,
        };
        (after.hash() == change.to).then_some(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(catalogue: u64, apps: &[(&str, Presence)]) -> Inventory {
        Inventory {
            catalogue,
            handset: HandsetFacts {
                platform: "linux".into(),
                os_version: Some("12".into()),
                model: None,
                agent_version: "0.1.0".into(),
            },
            apps: apps
                .iter()
                .map(|(app, state)| AppPresence {
                    app: app.parse().unwrap(),
                    state: *state,
                    evidence: vec![],
                })
                .collect(),
        }
    }

    #[test]
    fn a_difference_leads_from_one_list_to_the_other() {
        use Presence::{Absent, Installed, Unknown};
        let before = list(
            1,
            &[
                ("signal", Absent),
                ("telegram", Installed),
                ("whatsapp", Unknown),
            ],
        );
        let after = list(
            2,
            &[
                ("element", Absent),
                ("signal", Installed),
                ("whatsapp", Unknown),
            ],
        );
        let change = before.change_to(&after).unwrap();
        assert_eq!(change.changed.len(), 2);
        assert_eq!(change.removed.len(), 1);
        assert_eq!(before.apply(&change), Some(after.clone()));
        assert_eq!(after.apply(&change), None, "it starts from another list");
        assert_eq!(after.change_to(&after), None);
    }

    #[test]
    fn facts_about_the_handset_travel_where_they_have_changed() {
        let before = list(1, &[("signal", Presence::Absent)]);
        let mut after = list(1, &[("signal", Presence::Installed)]);
        assert_eq!(before.change_to(&after).unwrap().handset, None);
        after.handset.os_version = Some("13".into());
        let told = before.change_to(&after).unwrap().handset;
        assert_eq!(told, Some(after.handset));
    }

    #[test]
    fn evidence_has_the_same_word_everywhere() {
        for evidence in [
            Evidence::PackageManager,
            Evidence::PackageDatabase,
            Evidence::DesktopEntry,
            Evidence::UrlScheme,
            Evidence::Mdm,
            Evidence::Process,
        ] {
            let json = serde_json::to_value(evidence).unwrap();
            assert_eq!(json, evidence.as_str());
        }
    }

    #[test]
    fn a_difference_that_claims_another_outcome_is_refused() {
        let before = list(1, &[("signal", Presence::Absent)]);
        let mut change = before
            .change_to(&list(1, &[("signal", Presence::Installed)]))
            .unwrap();
        change.changed[0].state = Presence::Unknown;
        assert_eq!(before.apply(&change), None);
    }

    #[test]
    fn evidence_alone_is_no_change() {
        let before = list(1, &[("signal", Presence::Installed)]);
        let mut after = before.clone();
        after.apps[0].evidence = vec![Evidence::Process];
        assert_eq!(before.change_to(&after), None);
    }
}
