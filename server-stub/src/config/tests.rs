use super::*;

const FILE: &str = r#"
public_url = "https://candour.example:8443"
handset_url = "https://candour.example:8444"
hosts = ["candour.example", "192.0.2.7"]
log_origin = "candour.example/log"
connections_max = 100

[departments]
hm-treasury = "HM Treasury"
"#;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn load(
    file: &str,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Config, ConfigError> {
    let (environment, flags) = (pairs(environment), pairs(flags));
    Config::load(&Sources {
        file,
        environment: &environment,
        flags: &flags,
    })
}

#[test]
fn flags_win_over_the_environment_and_the_environment_over_the_file() {
    let file = load(FILE, &[], &[]).unwrap();
    assert_eq!(file.connections_max, 100);
    assert_eq!(
        file.public_listen.to_string(),
        "127.0.0.1:8443",
        "the default"
    );
    let environment = [
        ("CANDOUR_SERVER_CONNECTIONS_MAX", "200"),
        ("PATH", "/bin"),
        ("CANDOUR_DATA", "x"),
    ];
    assert_eq!(load(FILE, &environment, &[]).unwrap().connections_max, 200);
    assert_eq!(
        load(FILE, &environment, &[("connections_max", "300")])
            .unwrap()
            .connections_max,
        300
    );
}

#[test]
fn an_unknown_key_is_refused_and_the_nearest_is_named_wherever_it_stands() {
    let error = load(
        &format!("ops_lisen = \"127.0.0.1:1\"\n{FILE}"),
        &[("CANDOUR_SERVER_HOST", "a")],
        &[("zzz", "1")],
    );
    let problems = error.unwrap_err().0;
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "ops_lisen (config.toml): there is no such key; did you mean `ops_listen`?",
            "host (environment): there is no such key; did you mean `hosts`?",
            "zzz (command line): there is no such key",
        ]
    );
}

#[test]
fn every_problem_is_named_at_once() {
    let file = "public_url = \"http://x\"\nconnections_max = 0\n[departments]\n\"A B\" = \"x\"\n";
    let keys: Vec<_> = load(file, &[], &[])
        .unwrap_err()
        .0
        .into_iter()
        .map(|problem| problem.key)
        .collect();
    assert_eq!(
        keys,
        [
            "departments.A B",
            "public_url",
            "handset_url",
            "hosts",
            "log_origin",
            "connections_max"
        ]
    );
}

#[test]
fn the_operations_listener_stays_on_loopback_unless_it_is_said_otherwise() {
    let open = [("ops_listen", "0.0.0.0:9000")];
    assert_eq!(load(FILE, &[], &open).unwrap_err().0[0].key, "ops_listen");
    let said = [open[0], ("ops_allow_remote", "true")];
    assert!(load(FILE, &[], &said).is_ok());
}

#[test]
fn addresses_that_are_not_plain_are_refused() {
    for url in [
        "https://",
        "https://a:b",
        "https://a:0",
        "https://a/b",
        "https://u@a",
        "https://a b",
        "ftp://a",
    ] {
        assert!(load(FILE, &[], &[("public_url", url)]).is_err(), "{url}");
    }
    for url in [
        "https://a",
        "https://a.example:1",
        "https://[::1]:8443",
        "https://127.0.0.1:8443/",
    ] {
        assert!(load(FILE, &[], &[("public_url", url)]).is_ok(), "{url}");
    }
}

#[test]
fn what_is_shown_covers_every_key() {
    let shown: Vec<_> = load(FILE, &[], &[])
        .unwrap()
        .settings()
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    let known: Vec<_> = KEYS.iter().map(|key| key.name).collect();
    assert_eq!(shown, known);
}
