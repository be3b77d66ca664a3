use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use clap::CommandFactory as _;

use super::*;

/// Runs a command on a data directory and returns its exit code.
pub(super) fn code(data: &Path, arguments: &[&str]) -> u8 {
    let data = data.to_str().unwrap();
    let arguments = ["candour-server", "--data", data, "--json"]
        .into_iter()
        .chain(arguments.iter().copied());
    let outcome = Arguments::try_parse_from(arguments).map(dispatch);
    match outcome {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => error.exit_code(),
        Err(error) => u8::try_from(error.exit_code()).unwrap(),
    }
}

pub(super) const INIT: [&str; 7] = [
    "init",
    "--department",
    "hm-treasury",
    "--name",
    "HM Treasury",
    "--host",
    "localhost",
];

#[test]
fn the_command_line_is_well_formed() {
    Arguments::command().debug_assert();
}

#[test]
fn init_sets_up_once_and_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert_eq!(code(&data, &["token", "new"]), 3, "not set up yet");
    assert_eq!(code(&data, &INIT), 0);
    let ca = std::fs::read(data.join("ca.pem")).unwrap();
    assert_eq!(code(&data, &INIT), 5);
    assert_eq!(std::fs::read(data.join("ca.pem")).unwrap(), ca);
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn a_refused_init_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut arguments = INIT;
    arguments[6] = "not a host";
    assert_eq!(code(&data, &arguments), 2);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn an_empty_directory_is_filled_without_touching_the_one_above_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let permit = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    permit(&data, 0o755);
    permit(dir.path(), 0o555);
    let before = std::fs::metadata(&data).unwrap();
    // What is refused leaves it empty.
    let mut arguments = INIT;
    arguments[6] = "not a host";
    assert_eq!(code(&data, &arguments), 2);
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0);

    assert_eq!(code(&data, &INIT), 0);
    permit(dir.path(), 0o755);
    let after = std::fs::metadata(&data).unwrap();
    assert_eq!(before.ino(), after.ino(), "it may be a mount");
    assert_eq!(after.permissions().mode() & 0o777, 0o700);
    let left_over = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.contains(".init-")
    };
    assert!(!std::fs::read_dir(&data).unwrap().any(left_over));
    assert_eq!(code(&data, &["handset", "list"]), 0);
    assert_eq!(code(&data, &INIT), 5);
}

#[test]
fn each_department_has_a_records_key_and_a_policy_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert_eq!(code(&data, &INIT), 0);
    assert_eq!(
        code(&data, &["department", "add", "home-office", "Home Office"]),
        0
    );
    assert_eq!(
        code(&data, &["department", "add", "home-office", "Home Office"]),
        5
    );
    assert_eq!(code(&data, &["token", "new"]), 2, "which department?");
    assert_eq!(code(&data, &["token", "new", "--department", "dwp"]), 4);
    assert_eq!(
        code(
            &data,
            &[
                "token",
                "new",
                "--department",
                "home-office",
                "--count",
                "3"
            ]
        ),
        0
    );
    let keys = ["records", "home-office"]
        .map(|name| files::read_secret(&data.join(format!("records-role/{name}.key"))).unwrap());
    assert_ne!(keys[0], keys[1]);
    assert_eq!(
        code(&data, &["policy", "show", "--department", "home-office"]),
        0
    );
    assert!(
        files::read(&data.join("agent/home-office.toml"))
            .unwrap()
            .contains("home-office")
    );
}

#[test]
fn what_is_not_there_has_its_own_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert_eq!(code(&data, &INIT), 0);
    let handset = candour_wire::HandsetId::derive(b"nobody").to_string();
    assert_eq!(
        code(&data, &["handset", "revoke", &handset, "--reason", "lost"]),
        4
    );
    assert_eq!(
        code(
            &data,
            &["handset", "reinstate", &handset, "--reason", "a mistake"]
        ),
        4
    );
    assert_eq!(code(&data, &["handset", "show", &handset]), 4);
    assert_eq!(
        code(&data, &["handset", "revoke", &handset, "--reason", " "]),
        2
    );
    let record = candour_wire::RecordId::make(SystemClock.now()).to_string();
    let key = data.join("records-role/records.key");
    let open = [
        "open",
        &record,
        "--key",
        key.to_str().unwrap(),
        "--reason",
        "FOI 123",
        "--who",
        "tester",
    ];
    assert_eq!(code(&data, &open), 4);
    let wrong = data.join("policy.key");
    let open = [
        "open",
        &record,
        "--key",
        wrong.to_str().unwrap(),
        "--reason",
        "FOI 123",
        "--who",
        "tester",
    ];
    assert_eq!(code(&data, &open), 5);
    for unknown in [["--app", "nonsense"], ["--department", "nowhere"]] {
        assert_eq!(code(&data, &["prevalence", unknown[0], unknown[1]]), 4);
    }
    for command in [
        &["audit"][..],
        &["checkpoint"],
        &["config", "show"],
        &["config", "keys"],
        &["prevalence"],
        &["prevalence", "--app", "all", "--department", "hm-treasury"],
        &["handset", "list"],
        &["agent-config"],
        &["certificate", "renew"],
    ] {
        assert_eq!(code(&data, command), 0, "{command:?}");
    }
}

#[test]
fn a_policy_with_a_member_that_nobody_knows_is_not_issued() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert_eq!(code(&data, &INIT), 0);
    let (issued, next) = (
        data.join("policy/hm-treasury"),
        dir.path().join("next.json"),
    );
    let key = candour_wire::seal::RecordsPrivateKey::generate()
        .public_key(candour_wire::seal::Suite::XWingAes256Gcm);
    let department: DepartmentId = "hm-treasury".parse().unwrap();
    let mut policy = crate::policy::standard(&department, "HM Treasury", key, SystemClock.now());
    policy.version = 2;
    let right = serde_json::to_string(&policy).unwrap();
    std::fs::write(&next, right.replacen("\"catalogue\"", "\"catalog\"", 1)).unwrap();
    let command = ["policy", "issue", next.to_str().unwrap()];
    assert_eq!(code(&data, &command), 2);
    assert_eq!(std::fs::read_dir(&issued).unwrap().count(), 1);
    std::fs::write(&next, right).unwrap();
    assert_eq!(code(&data, &command), 0);
}

#[test]
fn whoever_opens_a_record_without_a_name_is_told_to_give_one_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert_eq!(code(&data, &INIT), 0);
    let record = candour_wire::RecordId::make(SystemClock.now()).to_string();
    let key = data.join("records-role/records.key");
    let Command::Open(open) = Arguments::try_parse_from([
        "candour-server",
        "open",
        &record,
        "--key",
        key.to_str().unwrap(),
        "--reason",
        "FOI 123",
    ])
    .unwrap()
    .command
    else {
        panic!("it is `open`")
    };
    let mut context = Context::new(Global { data, json: false }).unwrap();
    context.environment.clear();
    let error = open.run(&context).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let said = error.sentence();
    assert!(
        said.contains("--who") && said.contains("audit trail"),
        "{said}"
    );
    let store = context.store().unwrap();
    assert_eq!(
        context.wait(store.audit_trail(9)).unwrap(),
        [],
        "nobody opened anything"
    );
}

#[test]
fn a_name_that_is_nearly_right_brings_the_right_one_to_mind() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert_eq!(code(&data, &INIT), 0);
    for (arguments, said) in [
        (
            ["--app", "WhatsAp"],
            "there is no app WhatsAp in any catalogue; did you mean `whatsapp`?",
        ),
        (
            ["--department", "hm-tresury"],
            "there is no department hm-tresury; did you mean `hm-treasury`?",
        ),
    ] {
        let data = data.to_str().unwrap();
        let command = ["candour-server", "--data", data, "prevalence"];
        let arguments = Arguments::try_parse_from(command.into_iter().chain(arguments));
        assert_eq!(dispatch(arguments.unwrap()).unwrap_err().sentence(), said);
    }
}
