//! Asks a Linux machine about catalogue apps.
//!
//! Each place is asked by name: a file or directory that would be there if the app were. No
//! directory of apps is ever listed. Two places cannot be asked by name, and both are read with
//! nothing kept but the catalogue's names: dpkg's status file (`dpkg`, opened only when a
//! catalogue package has left traces) and the table of processes (`process`).
//!
//! | place | asked for |
//! |---|---|
//! | dpkg | `info/<package>.list`, then the package's state |
//! | flatpak, of the system and of the holder | `app/<id>/current` |
//! | snap | `<name>/current` |
//! | desktop entries in the XDG directories | `applications/<id>.desktop` |
//! | running programs | names, as the kernel cuts them |
//!
//! An app found in any place is `installed`. It is `absent` when every place that the catalogue
//! names could be asked, at least one of them by a verified name, and it was in none. Otherwise
//! it is `unknown`: no name on Linux, a place that could not be read, or a machine whose own
//! package system is not dpkg. A running program can show that an app is there; that none runs
//! shows nothing.
//!
//! The holder's own directories are those of the user that runs the agent, so it must run as the
//! holder, not as a system user.

mod desktop;
mod dpkg;
mod facts;
mod flatpak;
mod place;
mod process;
mod snap;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use candour_wire::policy::{Catalogue, CatalogueApp, Identifier};
use candour_wire::posture::{AppPresence, Evidence, HandsetFacts, Presence};

use crate::ports::AppProbe;

/// Where the places are. [`Roots::from_environment`] for this machine, [`Roots::under`] for one
/// that is laid out in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// dpkg's administrative directory.
    pub dpkg: PathBuf,
    /// System-wide flatpak installations.
    pub flatpak: Vec<PathBuf>,
    /// Where further flatpak installations are configured. Where there are any, flatpak cannot
    /// answer that an app is absent.
    pub flatpak_further: PathBuf,
    /// Where snaps are mounted.
    pub snap: Vec<PathBuf>,
    /// The holder's own data directory (`XDG_DATA_HOME`). Where it is not known, neither flatpak
    /// nor desktop entries can answer that an app is absent.
    pub user_data: Option<PathBuf>,
    /// System-wide data directories (`XDG_DATA_DIRS`).
    pub data: Vec<PathBuf>,
    /// Where programs are looked up (`PATH`).
    pub programs: Vec<PathBuf>,
}

impl Roots {
    /// The places of this machine, as this process's environment has them. Reads `XDG_DATA_HOME`,
    /// `XDG_DATA_DIRS`, `PATH` and the home directory.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::from_variables(|name| env::var_os(name), env::home_dir())
    }

    /// The places of a machine whose root directory is `root`, with `home/holder` as the home.
    #[must_use]
    pub fn under(root: &Path) -> Self {
        let mut roots = Self::from_variables(|_| None, Some(PathBuf::from("/home/holder")));
        let rebase = |path: &mut PathBuf| {
            *path = root.join(
                path.strip_prefix("/")
                    .expect("the default places are absolute"),
            );
        };
        [&mut roots.dpkg, &mut roots.flatpak_further]
            .into_iter()
            .for_each(rebase);
        let lists = [
            &mut roots.flatpak,
            &mut roots.snap,
            &mut roots.data,
            &mut roots.programs,
        ];
        lists
            .into_iter()
            .flatten()
            .chain(&mut roots.user_data)
            .for_each(rebase);
        roots
    }

    /// The rules are those of the XDG Base Directory Specification 0.8: an empty variable counts
    /// as unset, and a relative path is ignored.
    fn from_variables(variable: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Self {
        let absolute = |path: &PathBuf| path.is_absolute();
        let list = |name: &str, default: &str| {
            let value = variable(name).filter(|value| !value.is_empty());
            env::split_paths(&value.unwrap_or_else(|| default.into()))
                .filter(absolute)
                .collect()
        };
        Self {
            dpkg: "/var/lib/dpkg".into(),
            flatpak: vec!["/var/lib/flatpak".into()],
            flatpak_further: "/etc/flatpak/installations.d".into(),
            snap: vec!["/snap".into(), "/var/lib/snapd/snap".into()],
            user_data: variable("XDG_DATA_HOME")
                .map(PathBuf::from)
                .filter(absolute)
                .or_else(|| home.filter(absolute).map(|home| home.join(".local/share"))),
            data: list("XDG_DATA_DIRS", "/usr/local/share:/usr/share"),
            programs: list("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/games"),
        }
    }
}

/// The table of processes, asked by name.
pub trait RunningPrograms: Send + Sync {
    /// Which of the `wanted` names a running program has. No other name is kept or returned. May
    /// block for a moment.
    fn running(&self, wanted: &BTreeSet<&str>) -> BTreeSet<String>;
}

/// The probe for Linux.
pub struct LinuxProbe {
    roots: Roots,
    programs: Box<dyn RunningPrograms>,
}

impl LinuxProbe {
    /// Asks this machine.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self::new(Roots::from_environment(), Box::new(process::KernelTable))
    }

    /// Asks in other places, or another table of processes.
    #[must_use]
    pub fn new(roots: Roots, programs: Box<dyn RunningPrograms>) -> Self {
        Self { roots, programs }
    }

    /// Asks the places on disk about one app, `dpkg` having been asked before.
    fn on_disk(&self, app: &CatalogueApp, dpkg: &BTreeMap<&str, Answer>) -> OnDisk {
        let mut found = OnDisk::default();
        let names = &app.linux;
        for name in &names.dpkg {
            let answer = dpkg
                .get(name.id.as_str())
                .copied()
                .unwrap_or(Answer::CannotTell);
            found.note(Evidence::PackageDatabase, name, answer);
        }
        for name in &names.flatpak {
            found.note(
                Evidence::PackageDatabase,
                name,
                flatpak::ask(&self.roots, &name.id),
            );
        }
        for name in &names.snap {
            found.note(
                Evidence::PackageDatabase,
                name,
                snap::ask(&self.roots, &name.id),
            );
        }
        for name in &names.desktop {
            found.note(
                Evidence::DesktopEntry,
                name,
                desktop::ask(&self.roots, &name.id),
            );
        }
        found
    }
}

impl AppProbe for LinuxProbe {
    fn probe(&self, catalogue: &Catalogue) -> Vec<AppPresence> {
        let packages = catalogue
            .apps
            .iter()
            .flat_map(|app| &app.linux.dpkg)
            .map(|name| name.id.as_str());
        let dpkg = dpkg::ask(&self.roots.dpkg, &packages.collect());

        let on_disk: Vec<_> = catalogue
            .apps
            .iter()
            .map(|app| (app, self.on_disk(app, &dpkg)))
            .collect();

        // A program that is known to be installed is not looked for: whether it runs is usage.
        let programs = on_disk
            .iter()
            .filter(|(_, found)| found.installed_by.is_empty());
        let programs = programs
            .flat_map(|(app, _)| &app.linux.process)
            .map(|name| name.id.as_str())
            .collect();
        let running = self.programs.running(&programs);

        on_disk
            .into_iter()
            .map(|(app, found)| found.into_presence(app, &running))
            .collect()
    }

    fn handset_facts(&self) -> HandsetFacts {
        facts::of_this_machine()
    }
}

/// One place's answer about one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    /// It is not there.
    NotFound,
    /// The place cannot be read, or what is there makes no sense.
    CannotTell,
    /// It is there.
    Found,
}

impl Answer {
    /// The answer over several places or packages of one name: one that has it decides, else one
    /// that cannot tell.
    fn over(answers: impl IntoIterator<Item = Self>) -> Self {
        answers.into_iter().max().unwrap_or(Self::CannotTell)
    }
}

/// What the places on disk say of one app.
#[derive(Debug, Default)]
struct OnDisk {
    installed_by: BTreeSet<Evidence>,
    /// Asked by a verified name.
    asked: BTreeSet<Evidence>,
    cannot_tell: bool,
}

impl OnDisk {
    fn note(&mut self, place: Evidence, name: &Identifier, answer: Answer) {
        match answer {
            Answer::Found => {
                self.installed_by.insert(place);
            }
            Answer::CannotTell => self.cannot_tell = true,
            Answer::NotFound if name.unverified => {}
            Answer::NotFound => {
                self.asked.insert(place);
            }
        }
    }

    fn into_presence(self, app: &CatalogueApp, running: &BTreeSet<String>) -> AppPresence {
        let (state, evidence) = if !self.installed_by.is_empty() {
            (Presence::Installed, self.installed_by)
        } else if app
            .linux
            .process
            .iter()
            .any(|name| running.contains(&name.id))
        {
            (Presence::Installed, BTreeSet::from([Evidence::Process]))
        } else if !self.cannot_tell && !self.asked.is_empty() {
            (Presence::Absent, self.asked)
        } else {
            (Presence::Unknown, BTreeSet::new())
        };
        AppPresence {
            app: app.id.clone(),
            state,
            evidence: evidence.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests;
