//! The department's policies: issuing them, and knowing every one that was ever issued.
//!
//! Each is kept for good as `policy/<department>/<version>.jws`, and the highest version is in
//! force. The older ones matter because a record that waited on a phone was made under the
//! policy of its day: what that one allowed is still taken.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;
use candour_wire::jws::VerifyingKey;
use candour_wire::policy::{Catalogue, Policy, PolicyError};
use candour_wire::seal::RecordsKeyId;
use candour_wire::{AppId, DepartmentId, Digest};

use crate::files::{self, FileError};
use crate::keys::PolicyKey;

mod members;
mod standard;

pub use members::unknown as unknown_members;
pub use standard::standard;

/// The catalogue that comes with this build, the same as the agent's.
pub static BUNDLED_CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../agent/core/catalogue.json"))
        .expect("the catalogue is part of the source and a test reads it")
});

/// A policy cannot be issued or read.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The directory cannot be listed.
    #[error("{} cannot be listed", .0.display())]
    List(PathBuf, #[source] io::Error),
    /// A bundle is not what it should be.
    #[error("{} is not a policy of this server", .0.display())]
    Bundle(PathBuf, #[source] PolicyError),
    /// A bundle is in another's place.
    #[error("{} is in the place of another department or version", .0.display())]
    Misplaced(PathBuf),
    /// The policy breaks a rule.
    #[error("the policy cannot be issued")]
    Rule(#[source] PolicyError),
    /// The version does not go up.
    #[error("the version must be higher than {0}, which is in force")]
    Version(u64),
    /// The policy is longer than a bundle may be.
    #[error("the policy is longer than handsets take")]
    TooLong,
}

/// A signed policy.
#[derive(Debug, Clone)]
pub struct Issued {
    /// What it says.
    pub policy: Policy,
    /// The JWS that handsets get.
    pub bundle: String,
    /// Digest of the bundle, by which replies name it.
    pub digest: Digest,
    /// HTTP entity tag: the digest in quotes.
    pub etag: String,
}

/// All policies of one department.
#[derive(Debug, Clone)]
pub struct DepartmentPolicies {
    /// The one in force.
    pub current: Arc<Issued>,
    /// Apps by catalogue version, over all policies and the bundled catalogue.
    catalogues: HashMap<u64, HashSet<AppId>>,
    /// Records keys over all policies.
    records_keys: HashSet<RecordsKeyId>,
}

impl DepartmentPolicies {
    /// Whether the app is in a catalogue of that version.
    #[must_use]
    pub fn lists(&self, catalogue: u64, app: &AppId) -> bool {
        self.catalogues
            .get(&catalogue)
            .is_some_and(|apps| apps.contains(app))
    }

    /// Whether the app is or was in any catalogue.
    #[must_use]
    pub fn ever_listed(&self, app: &AppId) -> bool {
        self.catalogues.values().any(|apps| apps.contains(app))
    }

    /// The apps that are or were in any catalogue, in no order; one may be there more than once.
    pub fn apps(&self) -> impl Iterator<Item = &AppId> {
        self.catalogues.values().flatten()
    }

    /// Whether declarations are or were to be sealed to this key.
    #[must_use]
    pub fn seals_to(&self, key: &RecordsKeyId) -> bool {
        self.records_keys.contains(key)
    }

    /// Reads the policies of one department, oldest first; `None` where there is none.
    fn new(issued: Vec<Issued>) -> Option<Self> {
        let mut catalogues: HashMap<u64, HashSet<AppId>> = HashMap::new();
        let mut records_keys = HashSet::new();
        let signed = issued
            .iter()
            .filter_map(|issued| issued.policy.catalogue.as_ref());
        for catalogue in signed.chain([&*BUNDLED_CATALOGUE]) {
            let apps = catalogues.entry(catalogue.version).or_default();
            apps.extend(catalogue.apps.iter().map(|app| app.id.clone()));
        }
        for issued in &issued {
            records_keys.insert(issued.policy.records_key.id().clone());
        }
        let current = Arc::new(issued.into_iter().next_back()?);
        Some(Self {
            current,
            catalogues,
            records_keys,
        })
    }
}

/// The policies of all departments, as the gateway holds them. Follows the directory.
#[derive(Debug)]
pub struct Policies {
    dir: PathBuf,
    key: VerifyingKey,
    held: ArcSwap<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// What the directory held: files are never changed, so their names say it all.
    listing: Listing,
    departments: HashMap<DepartmentId, Arc<DepartmentPolicies>>,
}

/// Versions by department.
type Listing = BTreeMap<DepartmentId, Vec<u64>>;

impl Policies {
    /// Reads all policies of the directory.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read or is not signed by this key.
    pub fn open(dir: PathBuf, key: VerifyingKey) -> Result<Self, PolicyFileError> {
        let policies = Self {
            dir,
            key,
            held: ArcSwap::default(),
        };
        policies.refresh()?;
        Ok(policies)
    }

    /// The department's policies; `None` where none was issued.
    #[must_use]
    pub fn of(&self, department: &DepartmentId) -> Option<Arc<DepartmentPolicies>> {
        self.held.load().departments.get(department).cloned()
    }

    /// The departments that have a policy, sorted.
    #[must_use]
    pub fn departments(&self) -> Vec<DepartmentId> {
        self.held.load().listing.keys().cloned().collect()
    }

    /// Takes over what was issued since. Reads the disk; cheap when nothing has changed.
    ///
    /// # Errors
    ///
    /// As [`Policies::open`]; the policies in force stay then.
    pub fn refresh(&self) -> Result<bool, PolicyFileError> {
        let listing = list(&self.dir)?;
        if self.held.load().listing == listing {
            return Ok(false);
        }
        let mut departments = HashMap::new();
        for (department, versions) in &listing {
            let issued: Result<Vec<_>, _> = versions
                .iter()
                .map(|version| self.read(department, *version))
                .collect();
            if let Some(policies) = DepartmentPolicies::new(issued?) {
                departments.insert(department.clone(), Arc::new(policies));
            }
        }
        self.held.store(Arc::new(Held {
            listing,
            departments,
        }));
        Ok(true)
    }

    fn read(&self, department: &DepartmentId, version: u64) -> Result<Issued, PolicyFileError> {
        let path = bundle_path(&self.dir, department, version);
        let bundle = files::read(&path)?.trim_end().to_owned();
        let policy = Policy::open(&bundle, &self.key)
            .map_err(|error| PolicyFileError::Bundle(path.clone(), error))?;
        if policy.department != *department || policy.version != version {
            return Err(PolicyFileError::Misplaced(path));
        }
        let digest = Digest::of(bundle.as_bytes());
        Ok(Issued {
            policy,
            bundle,
            digest,
            etag: format!("\"{digest}\""),
        })
    }
}

/// Signs a policy and puts it in force. A running server takes it over within a second.
///
/// # Errors
///
/// When it breaks a rule, its version does not go up, or it cannot be written.
pub fn issue(dir: &Path, key: &PolicyKey, policy: &Policy) -> Result<(), PolicyFileError> {
    policy.check().map_err(PolicyFileError::Rule)?;
    let highest = list(dir)?
        .get(&policy.department)
        .and_then(|versions| versions.last().copied());
    if let Some(highest) = highest.filter(|highest| policy.version <= *highest) {
        return Err(PolicyFileError::Version(highest));
    }
    let payload = serde_json::to_vec(policy).expect("a policy is plain data");
    let bundle = key.sign(&payload).map_err(|_| PolicyFileError::TooLong)?;
    if bundle.len() > candour_wire::limits::POLICY_MAX_BYTES {
        return Err(PolicyFileError::TooLong);
    }
    // Creating fails where another issuer was faster, so no version ever has two contents.
    files::create(
        &bundle_path(dir, &policy.department, policy.version),
        &bundle,
    )?;
    Ok(())
}

fn bundle_path(dir: &Path, department: &DepartmentId, version: u64) -> PathBuf {
    dir.join(department.as_str()).join(format!("{version}.jws"))
}

/// Lists what the directory holds; other files are ignored. Versions are sorted.
fn list(dir: &Path) -> Result<Listing, PolicyFileError> {
    let mut listing = Listing::new();
    for name in names(dir)? {
        let Ok(department) = name.parse::<DepartmentId>() else {
            continue;
        };
        let mut versions: Vec<u64> = names(&dir.join(&name))?
            .iter()
            .filter_map(|file| {
                let version: u64 = file.strip_suffix(".jws")?.parse().ok()?;
                (format!("{version}.jws") == *file).then_some(version)
            })
            .collect();
        versions.sort_unstable();
        listing.insert(department, versions);
    }
    Ok(listing)
}

/// The names in a directory that are text; none where there is no such directory.
fn names(dir: &Path) -> Result<Vec<String>, PolicyFileError> {
    let fail = |error| PolicyFileError::List(dir.to_owned(), error);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(fail(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(fail)?.file_name().into_string());
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
