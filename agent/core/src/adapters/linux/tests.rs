use std::fs;
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};

use candour_wire::posture::Evidence::{DesktopEntry, PackageDatabase, Process};
use candour_wire::posture::Presence::{self, Absent, Installed, Unknown};

use super::*;
use crate::catalogue;

/// A machine laid out in a directory, with dpkg and nothing installed.
struct Machine {
    root: tempfile::TempDir,
    running: BTreeSet<String>,
    asked: Arc<Mutex<BTreeSet<String>>>,
}

struct FakeTable {
    running: BTreeSet<String>,
    asked: Arc<Mutex<BTreeSet<String>>>,
}

impl RunningPrograms for FakeTable {
    fn running(&self, wanted: &BTreeSet<&str>) -> BTreeSet<String> {
        self.asked
            .lock()
            .unwrap()
            .extend(wanted.iter().map(|name| (*name).to_owned()));
        self.running
            .iter()
            .filter(|name| wanted.contains(name.as_str()))
            .cloned()
            .collect()
    }
}

impl Machine {
    fn debian() -> Self {
        let machine = Self {
            root: tempfile::tempdir().unwrap(),
            running: BTreeSet::new(),
            asked: Arc::default(),
        };
        machine.write("var/lib/dpkg/status", "");
        fs::create_dir_all(machine.path("var/lib/dpkg/info")).unwrap();
        machine
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn install_deb(&self, package: &str) {
        self.write(&format!("var/lib/dpkg/info/{package}.list"), "/.\n");
        let status = fs::read_to_string(self.path("var/lib/dpkg/status")).unwrap();
        self.write(
            "var/lib/dpkg/status",
            &format!("{status}Package: {package}\nStatus: install ok installed\n\n"),
        );
    }

    fn install_link(&self, link: &str) {
        let path = self.path(link);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink("wherever", path).unwrap();
    }

    fn install_entry(&self, directory: &str, id: &str) {
        let entry = "[Desktop Entry]\nType=Application\nName=x\nExec=x\n";
        self.write(&format!("{directory}/applications/{id}.desktop"), entry);
    }

    fn probe(&self) -> LinuxProbe {
        let table = FakeTable {
            running: self.running.clone(),
            asked: Arc::clone(&self.asked),
        };
        LinuxProbe::new(Roots::under(self.root.path()), Box::new(table))
    }

    fn answer(&self, app: &str) -> (Presence, Vec<Evidence>) {
        let answers = self.probe().probe(catalogue::bundled());
        let answer = answers
            .into_iter()
            .find(|answer| answer.app.as_str() == app)
            .unwrap();
        (answer.state, answer.evidence)
    }
}

#[test]
fn on_an_empty_debian_machine_an_app_with_a_linux_name_is_absent_and_another_unknown() {
    let machine = Machine::debian();
    assert_eq!(
        machine.answer("signal"),
        (Absent, vec![PackageDatabase, DesktopEntry])
    );
    assert_eq!(
        machine.answer("whatsapp"),
        (Unknown, vec![]),
        "it has no name on Linux"
    );
    assert_eq!(
        machine.answer("proton-mail"),
        (Unknown, vec![]),
        "none of its names is verified"
    );
}

#[test]
fn each_place_shows_an_app() {
    let machine = Machine::debian();
    machine.install_deb("pidgin");
    machine.install_link("var/lib/flatpak/app/org.signal.Signal/current");
    machine.install_link("home/holder/.local/share/flatpak/app/org.telegram.desktop/current");
    machine.install_link("snap/slack/current");
    machine.install_link("var/lib/snapd/snap/thunderbird/current");
    machine.install_entry("usr/share", "nheko");
    machine.install_entry("home/holder/.local/share", "im.dino.Dino");
    for (app, evidence) in [
        ("pidgin", PackageDatabase),
        ("signal", PackageDatabase),
        ("telegram", PackageDatabase),
        ("slack", PackageDatabase),
        ("thunderbird", PackageDatabase),
        ("nheko", DesktopEntry),
        ("dino", DesktopEntry),
    ] {
        assert_eq!(machine.answer(app), (Installed, vec![evidence]), "{app}");
    }
}

#[test]
fn evidence_of_several_places_is_named_once_each_and_sorted() {
    let machine = Machine::debian();
    machine.install_entry("usr/local/share", "signal-desktop");
    machine.install_deb("signal-desktop");
    machine.install_link("snap/signal-desktop/current");
    assert_eq!(
        machine.answer("signal"),
        (Installed, vec![PackageDatabase, DesktopEntry])
    );
}

#[test]
fn an_unverified_name_can_show_an_app() {
    let machine = Machine::debian();
    machine.install_deb("proton-mail");
    assert_eq!(
        machine.answer("proton-mail"),
        (Installed, vec![PackageDatabase])
    );
}

#[test]
fn a_running_program_shows_an_app_and_one_that_does_not_run_shows_nothing() {
    let mut machine = Machine::debian();
    fs::remove_dir_all(machine.path("var/lib/dpkg")).unwrap();
    assert_eq!(machine.answer("zoom"), (Unknown, vec![]));
    machine.running.insert("zoom".into());
    assert_eq!(machine.answer("zoom"), (Installed, vec![Process]));
}

#[test]
fn whether_an_installed_app_runs_is_not_even_asked() {
    let mut machine = Machine::debian();
    machine.install_deb("zoom");
    machine.running.insert("zoom".into());
    assert_eq!(machine.answer("zoom"), (Installed, vec![PackageDatabase]));
    let asked = machine.asked.lock().unwrap();
    assert!(!asked.contains("zoom"));
    assert!(asked.contains("pidgin"));
}

#[test]
fn a_place_that_cannot_be_read_makes_absent_unknown_but_hides_nothing_found() {
    // Files stand where directories should be, or links lead nowhere: permissions would not stop
    // a test that runs as root.
    for (place, by_link) in [
        ("var/lib/dpkg/info", false),
        ("var/lib/flatpak", false),
        ("var/lib/flatpak", true),
        ("home/holder/.local/share/flatpak/app", false),
        ("snap", false),
        ("snap", true),
        ("usr/share/applications", false),
        ("usr/share/applications", true),
        ("home/holder/.local/share/applications", false),
    ] {
        let mut machine = Machine::debian();
        let path = machine.path(place);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if by_link {
            symlink("/no/such/place", &path).unwrap();
        } else {
            fs::write(&path, "").unwrap();
        }
        assert_eq!(machine.answer("signal"), (Unknown, vec![]), "{place}");
        machine.running.insert("signal-desktop".into());
        assert_eq!(
            machine.answer("signal"),
            (Installed, vec![Process]),
            "{place}"
        );
    }
}

#[test]
fn a_machine_of_another_package_system_cannot_say_that_an_app_is_absent() {
    let machine = Machine::debian();
    fs::remove_dir_all(machine.path("var/lib/dpkg")).unwrap();
    assert_eq!(machine.answer("signal"), (Unknown, vec![]));
    machine.install_link("var/lib/flatpak/app/org.signal.Signal/current");
    assert_eq!(machine.answer("signal"), (Installed, vec![PackageDatabase]));
}

#[test]
fn leavings_of_a_flatpak_or_a_snap_cannot_tell() {
    let machine = Machine::debian();
    fs::create_dir_all(machine.path("var/lib/flatpak/app/org.signal.Signal")).unwrap();
    assert_eq!(machine.answer("signal").0, Unknown);
    fs::create_dir_all(machine.path("snap/slack/42")).unwrap();
    assert_eq!(machine.answer("slack").0, Unknown);
}

#[test]
fn a_further_flatpak_installation_makes_absent_unknown() {
    let machine = Machine::debian();
    fs::create_dir_all(machine.path("etc/flatpak/installations.d")).unwrap();
    assert_eq!(
        machine.answer("signal").0,
        Absent,
        "the directory comes with flatpak"
    );
    machine.write(
        "etc/flatpak/installations.d/disk.conf",
        "[Installation \"disk\"]\nPath=/mnt/flatpak\n",
    );
    assert_eq!(machine.answer("signal").0, Unknown);
    assert_eq!(machine.answer("viber").0, Unknown);
}

#[test]
fn a_package_that_was_removed_but_left_its_settings_is_absent() {
    let machine = Machine::debian();
    machine.install_deb("hexchat");
    machine.write(
        "var/lib/dpkg/status",
        "Package: hexchat\nStatus: deinstall ok config-files\n\n",
    );
    assert_eq!(
        machine.answer("hexchat"),
        (Absent, vec![PackageDatabase, DesktopEntry])
    );
}

#[test]
fn nothing_is_said_of_an_app_outside_the_catalogue_and_its_files_are_not_opened() {
    let mut machine = Machine::debian();
    machine.install_deb("decoy");
    machine.install_deb("pidgin");
    machine.install_link("var/lib/flatpak/app/org.decoy.Decoy/current");
    machine.install_link("snap/decoy/current");
    machine.running.insert("decoy".into());
    // Whoever opens these never comes back.
    for directory in [
        "usr/share/applications",
        "home/holder/.local/share/applications",
    ] {
        fs::create_dir_all(machine.path(directory)).unwrap();
        symlink("/dev/zero", machine.path(directory).join("decoy.desktop")).unwrap();
    }

    let catalogue = catalogue::bundled();
    let answers = machine.probe().probe(catalogue);
    let answered: Vec<_> = answers.iter().map(|answer| &answer.app).collect();
    assert_eq!(
        answered,
        catalogue.apps.iter().map(|app| &app.id).collect::<Vec<_>>()
    );
    assert!(!serde_json::to_string(&answers).unwrap().contains("decoy"));
    assert!(!machine.asked.lock().unwrap().contains("decoy"));
    let known: BTreeSet<_> = catalogue
        .apps
        .iter()
        .flat_map(|app| &app.linux.process)
        .map(|name| name.id.clone())
        .collect();
    assert!(machine.asked.lock().unwrap().is_subset(&known));
}

#[test]
fn a_smaller_catalogue_asks_about_fewer_apps() {
    let machine = Machine::debian();
    machine.install_deb("pidgin");
    let mut catalogue = catalogue::bundled().clone();
    catalogue.apps.retain(|app| app.id.as_str() == "signal");
    let answers = machine.probe().probe(&catalogue);
    assert_eq!(answers.len(), 1);
    assert_eq!(
        *machine.asked.lock().unwrap(),
        BTreeSet::from(["signal-desktop".to_owned()])
    );
}

#[test]
fn a_name_that_is_a_path_is_never_followed() {
    let machine = Machine::debian();
    machine.write("var/lib/dpkg/secret.list", "");
    machine.write(
        "usr/share/secret.desktop",
        "[Desktop Entry]\nType=Application\n",
    );
    machine.install_link("var/lib/flatpak/secret/current");
    machine.install_link("secret/current");
    let mut catalogue = catalogue::bundled().clone();
    catalogue.apps.truncate(1);
    let path = || {
        vec![Identifier {
            id: "../secret".into(),
            unverified: false,
        }]
    };
    catalogue.apps[0].linux = candour_wire::policy::LinuxIdentifiers {
        dpkg: path(),
        flatpak: path(),
        snap: path(),
        desktop: path(),
        process: vec![],
    };
    assert_eq!(machine.probe().probe(&catalogue)[0].state, Unknown);
}

#[test]
fn without_a_home_the_holders_own_apps_cannot_be_told() {
    let machine = Machine::debian();
    let mut roots = Roots::under(machine.root.path());
    roots.user_data = None;
    let table = FakeTable {
        running: BTreeSet::new(),
        asked: Arc::default(),
    };
    let answers = LinuxProbe::new(roots, Box::new(table)).probe(catalogue::bundled());
    assert!(answers.iter().all(|answer| answer.state == Unknown));
}

#[test]
fn the_xdg_variables_are_read_as_their_specification_says() {
    let set = |name: &str| match name {
        "XDG_DATA_HOME" => Some("relative/path".into()),
        "XDG_DATA_DIRS" => Some("/opt/share:not/absolute:/usr/share".into()),
        "PATH" => Some(OsString::new()),
        _ => None,
    };
    let roots = Roots::from_variables(set, Some("/home/a".into()));
    assert_eq!(roots.user_data, Some("/home/a/.local/share".into()));
    assert_eq!(
        roots.data,
        [PathBuf::from("/opt/share"), "/usr/share".into()]
    );
    assert_eq!(
        roots.programs.first(),
        Some(&PathBuf::from("/usr/local/bin"))
    );
    assert_eq!(Roots::from_variables(|_| None, None).user_data, None);
}

#[test]
fn this_machine_can_be_asked_with_the_real_probes() {
    let catalogue = catalogue::bundled();
    let answers = LinuxProbe::of_this_machine().probe(catalogue);
    assert_eq!(answers.len(), catalogue.apps.len());
    assert!(
        answers
            .iter()
            .all(|answer| (answer.state == Unknown) == answer.evidence.is_empty())
    );
}
