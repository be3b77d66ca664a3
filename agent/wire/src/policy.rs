//! The policy bundle: what the department decides, signed, in one document.
//!
//! It travels as a JWS of [`TYP`], signed by the policy key that the handset's configuration
//! pins. Versions only go up; a handset keeps the last one that it accepted.

mod marking;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::marking::above_official_sensitive;
use crate::id::{AppId, ChannelId, DepartmentId};
use crate::jws::{self, JwsError, VerifyingKey};
use crate::limits;
use crate::seal::RecordsPublicKey;

/// The media type in the JWS header of a policy bundle.
pub const TYP: &str = "candour-policy+jws";

/// What the department decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Goes up by at least one with each issue; from 1.
    pub version: u64,
    /// Whose policy it is.
    pub department: DepartmentId,
    /// When it was signed.
    pub issued: Timestamp,
    /// After this a handset no longer takes it as new; the one in force stays in force.
    pub expires: Timestamp,
    /// Key that declarations are sealed to.
    pub records_key: RecordsPublicKey,
    /// Which apps may be asked about. Absent: the catalogue that the agent brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalogue: Option<Catalogue>,
    /// Channels that can be declared.
    pub channels: Vec<Channel>,
    /// Markings that can be chosen, lowest first. None is above OFFICIAL-SENSITIVE.
    pub markings: Vec<Marking>,
    /// Deadlines.
    pub deadlines: Deadlines,
    /// How long things are kept.
    pub retention: Retention,
    /// When the agent acts by itself.
    pub schedule: Schedule,
    /// Words that the department puts in front of the holder.
    pub wording: Wording,
}

/// The apps that may be asked about, and no others (invariant I1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// Goes up with each issue; a newer one replaces an older.
    pub version: u64,
    /// At most [`limits::CATALOGUE_MAX_APPS`], sorted by id.
    pub apps: Vec<CatalogueApp>,
}

/// An app of the catalogue, with every name it goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueApp {
    /// Stable id.
    pub id: AppId,
    /// Name for people.
    pub name: String,
    /// `messaging`, `collaboration`, `email` or `social`.
    pub category: Category,
    /// Why it is listed, in a sentence for the holder.
    pub why: String,
    /// Android package names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub android: Vec<Identifier>,
    /// iOS bundle ids, to match a device management inventory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ios_bundle: Vec<Identifier>,
    /// iOS URL schemes: a hint only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ios_scheme: Vec<Identifier>,
    /// Linux identifiers.
    #[serde(default, skip_serializing_if = "LinuxIdentifiers::is_empty")]
    pub linux: LinuxIdentifiers,
}

/// What kind of app it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Person to person and groups.
    Messaging,
    /// Work chat and meetings.
    Collaboration,
    /// Mail.
    Email,
    /// Social networks with direct messages.
    Social,
}

/// One name that an app goes by on a platform. In JSON either a plain string, or an object with
/// `unverified: true` where the name could not be checked against the app itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "IdentifierForm", into = "IdentifierForm")]
pub struct Identifier {
    /// The name.
    pub id: String,
    /// Not checked against the app itself.
    pub unverified: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum IdentifierForm {
    Plain(String),
    Marked { id: String, unverified: bool },
}

impl From<IdentifierForm> for Identifier {
    fn from(form: IdentifierForm) -> Self {
        match form {
            IdentifierForm::Plain(id) => Self {
                id,
                unverified: false,
            },
            IdentifierForm::Marked { id, unverified } => Self { id, unverified },
        }
    }
}

impl From<Identifier> for IdentifierForm {
    fn from(identifier: Identifier) -> Self {
        let Identifier { id, unverified } = identifier;
        if unverified {
            Self::Marked { id, unverified }
        } else {
            Self::Plain(id)
        }
    }
}

/// The names that an app goes by on Linux.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LinuxIdentifiers {
    /// Debian packages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dpkg: Vec<Identifier>,
    /// Flatpak application ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flatpak: Vec<Identifier>,
    /// Snap names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub snap: Vec<Identifier>,
    /// Desktop entry ids, without `.desktop`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub desktop: Vec<Identifier>,
    /// Names of running programs, at most 15 bytes (the kernel cuts them there).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub process: Vec<Identifier>,
}

impl LinuxIdentifiers {
    /// Whether the app has no name on Linux.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

/// A channel that can be declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Stable id.
    pub id: ChannelId,
    /// Name for people.
    pub name: String,
}

/// A marking that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marking {
    /// Stable id, such as `official-sensitive`.
    pub id: String,
    /// Name for people, such as `OFFICIAL-SENSITIVE`.
    pub name: String,
    /// Whether this is the SENSITIVE marking, which private devices must not carry but in
    /// exceptional circumstances.
    #[serde(default)]
    pub sensitive: bool,
}

/// Deadlines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadlines {
    /// A declaration later than this many days after the exchange is flagged, never refused.
    pub declare_within_days: u32,
}

/// How long things are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Days for which posture rows are kept by the department.
    pub posture_days: u32,
    /// Days for which the handset lists what it sent.
    pub handset_receipt_days: u32,
}

/// When the agent acts by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Seconds between scans.
    pub scan_interval_s: u32,
    /// Seconds between syncs when nothing waits.
    pub sync_interval_s: u32,
    /// Seconds over which handsets spread their syncs; at least 600.
    pub sync_spread_s: u32,
}

/// Words that the department puts in front of the holder. Plain text, no markup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wording {
    /// Why Candour is on this phone.
    pub purpose: String,
    /// What to do with material above OFFICIAL-SENSITIVE.
    pub incident_route: String,
    /// Who can help.
    pub contact: String,
}

/// A bundle could not be accepted.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The signature or the framing is wrong.
    #[error("the policy's signature does not stand")]
    Signature(#[source] JwsError),
    /// The JSON is not a policy.
    #[error("the policy cannot be read")]
    Malformed(#[source] serde_json::Error),
    /// A rule of the format is broken.
    #[error("the policy breaks a rule: {0}")]
    Rule(&'static str),
}

impl Policy {
    /// Verifies a bundle's signature and reads it.
    ///
    /// Whether it is newer than the one in force, and not expired, is for the caller to judge:
    /// it knows the time and the version.
    ///
    /// # Errors
    ///
    /// When the signature is not the policy key's, or the content is not a valid policy.
    pub fn open(bundle: &str, key: &VerifyingKey) -> Result<Self, PolicyError> {
        let payload = jws::verify(TYP, bundle, key).map_err(PolicyError::Signature)?;
        let policy: Self = serde_json::from_slice(&payload).map_err(PolicyError::Malformed)?;
        policy.check()?;
        Ok(policy)
    }

    /// Checks the rules that the types cannot express; the server does so before it signs.
    ///
    /// # Errors
    ///
    /// Names the rule that is broken.
    pub fn check(&self) -> Result<(), PolicyError> {
        let rule = |holds: bool, rule: &'static str| {
            if holds {
                Ok(())
            } else {
                Err(PolicyError::Rule(rule))
            }
        };
        rule(self.version >= 1, "versions start at 1")?;
        rule(self.expires > self.issued, "it expires after it is issued")?;
        rule(!self.channels.is_empty(), "at least one channel")?;
        rule(!self.markings.is_empty(), "at least one marking")?;
        rule(
            self.markings
                .iter()
                .all(|m| !above_official_sensitive(&m.id)),
            "no marking above OFFICIAL-SENSITIVE",
        )?;
        rule(
            self.schedule.sync_spread_s >= 600,
            "syncs are spread over at least 600 seconds",
        )?;
        rule(
            self.schedule.scan_interval_s >= 900,
            "scans are at least 900 seconds apart",
        )?;
        rule(
            self.schedule.sync_interval_s >= 900,
            "syncs are at least 900 seconds apart",
        )?;
        self.catalogue.as_ref().map_or(Ok(()), Catalogue::check)
    }
}

impl Catalogue {
    /// Checks size, order and uniqueness.
    ///
    /// # Errors
    ///
    /// Names the rule that is broken.
    pub fn check(&self) -> Result<(), PolicyError> {
        if self.apps.len() > limits::CATALOGUE_MAX_APPS {
            return Err(PolicyError::Rule("at most 200 apps in the catalogue"));
        }
        if !self.apps.is_sorted_by(|a, b| a.id < b.id) {
            return Err(PolicyError::Rule(
                "the catalogue's apps are sorted by id, each once",
            ));
        }
        Ok(())
    }

    /// Whether the app is in the catalogue.
    #[must_use]
    pub fn contains(&self, app: &AppId) -> bool {
        self.apps.binary_search_by(|a| a.id.cmp(app)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        serde_json::from_str(include_str!("../tests/fixtures/v1/policy.json")).unwrap()
    }

    fn broken(change: impl FnOnce(&mut Policy)) -> Option<&'static str> {
        let mut policy = policy();
        change(&mut policy);
        match policy.check() {
            Ok(()) => None,
            Err(PolicyError::Rule(rule)) => Some(rule),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn each_rule_of_a_policy_is_kept_to_the_second() {
        assert_eq!(broken(|_| ()), None);
        assert_eq!(
            broken(|policy| policy.version = 0),
            Some("versions start at 1")
        );
        for expires in [0, -1] {
            let expires = jiff::SignedDuration::from_millis(expires);
            assert_eq!(
                broken(|policy| policy.expires = policy.issued + expires),
                Some("it expires after it is issued")
            );
        }
        assert_eq!(
            broken(|policy| policy.channels.clear()),
            Some("at least one channel")
        );
        assert_eq!(
            broken(|policy| policy.markings.clear()),
            Some("at least one marking")
        );
        assert_eq!(
            broken(|policy| policy.markings[0].id = "secret".parse().unwrap()),
            Some("no marking above OFFICIAL-SENSITIVE")
        );
        type Set = fn(&mut Schedule, u32);
        let least: [(Set, u32, _); 3] = [
            (
                |schedule, seconds| schedule.sync_spread_s = seconds,
                600,
                "syncs are spread over at least 600 seconds",
            ),
            (
                |schedule, seconds| schedule.scan_interval_s = seconds,
                900,
                "scans are at least 900 seconds apart",
            ),
            (
                |schedule, seconds| schedule.sync_interval_s = seconds,
                900,
                "syncs are at least 900 seconds apart",
            ),
        ];
        for (set, seconds, rule) in least {
            assert_eq!(broken(|policy| set(&mut policy.schedule, seconds)), None);
            let shorter = broken(|policy| set(&mut policy.schedule, seconds - 1));
            assert_eq!(shorter, Some(rule));
        }
    }

    #[test]
    fn a_catalogue_is_short_and_sorted_and_knows_its_apps() {
        let apps = |count: usize| {
            let mut catalogue = policy().catalogue.unwrap();
            let app = catalogue.apps[0].clone();
            let numbered = |number| CatalogueApp {
                id: format!("app{number:03}").parse().unwrap(),
                ..app.clone()
            };
            catalogue.apps = (0..count).map(numbered).collect();
            catalogue
        };
        assert!(apps(limits::CATALOGUE_MAX_APPS).check().is_ok());
        assert!(apps(limits::CATALOGUE_MAX_APPS + 1).check().is_err());
        let mut twice = apps(2);
        twice.apps[1].id = twice.apps[0].id.clone();
        assert!(twice.check().is_err());
        let mut turned = apps(2);
        turned.apps.reverse();
        assert!(turned.check().is_err());
        assert!(broken(|policy| policy.catalogue = Some(turned)).is_some());
        assert!(apps(3).contains(&"app002".parse().unwrap()));
        assert!(!apps(3).contains(&"app003".parse().unwrap()));
    }

    #[test]
    fn an_app_without_any_name_on_linux_is_empty_there() {
        let mut names = LinuxIdentifiers::default();
        assert!(names.is_empty());
        names.process = vec![serde_json::from_str("\"signal-desktop\"").unwrap()];
        assert!(!names.is_empty());
    }

    #[test]
    fn an_identifier_is_a_plain_string_unless_it_is_unverified() {
        let plain: Identifier = serde_json::from_str("\"com.whatsapp\"").unwrap();
        assert!(!plain.unverified);
        let marked: Identifier =
            serde_json::from_str(r#"{"id":"com.viber","unverified":true}"#).unwrap();
        assert!(marked.unverified);
        assert_eq!(serde_json::to_string(&plain).unwrap(), "\"com.whatsapp\"");
        assert_eq!(
            serde_json::to_string(&marked).unwrap(),
            r#"{"id":"com.viber","unverified":true}"#
        );
    }
}
