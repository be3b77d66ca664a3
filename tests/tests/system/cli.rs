//! The two programs as people use them.

use candour_tests::cli::DECLARE;
use candour_tests::preload;
use candour_tests::program::run;
use candour_tests::{AgentCli, Outcome};

use crate::{department, program};

#[tokio::test(flavor = "multi_thread")]
async fn a_declaration_goes_all_the_way_by_the_command_line() {
    let department = department();
    let cli = AgentCli::new(&department, "phone");
    let early = cli.run(&DECLARE, "too early");
    assert_eq!(
        (early.status.code(), early.error_code().as_str()),
        (Some(3), "not_enrolled"),
        "{early:?}"
    );
    cli.enrol(&department);
    let scan = cli.run(&["scan"], "").succeeded().json();
    assert!(scan.to_string().contains("whatsapp"), "{scan}");

    let first = cli.declare("Agreed at 1.2m");
    let amend = ["amend", &first]
        .into_iter()
        .chain(DECLARE[1..].iter().copied())
        .collect::<Vec<_>>();
    let amended = cli.run(&amend, "Agreed at 1.3m").succeeded().json();
    assert_eq!(amended["amends"], first.as_str());
    let sync = cli.run(&["sync"], "").succeeded().json();
    assert_eq!(
        sync["received"], 3,
        "app list, declaration, amendment: {sync}"
    );
    let withdrawn = cli.run(
        &[
            "withdraw",
            &first,
            "--reason",
            "declared twice",
            "--by",
            "Ada (PS)",
            "--yes",
        ],
        "",
    );
    let withdrawn = withdrawn.succeeded().json();
    let _ = cli.run(&["sync"], "").succeeded();

    let sent = cli.run(&["sent"], "").succeeded().json();
    let states: Vec<_> = sent
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["received"; 4]);
    let verified = cli.run(&["verify"], "").succeeded().json();
    assert_eq!(
        (
            verified["failed"].as_u64(),
            verified["receipts"].as_array().unwrap().len()
        ),
        (Some(0), 4)
    );

    // Against a checkpoint that somebody else brings.
    let checkpoint = department.command(&["checkpoint"]).succeeded().stdout;
    let verified = cli
        .run(&["verify", "--checkpoint", "-"], &checkpoint)
        .succeeded()
        .json();
    assert_eq!(verified["failed"], 0);
    let forged = checkpoint.replacen("\n4\n", "\n5\n", 1);
    let refused = cli.run(&["verify", "--checkpoint", "-"], &forged);
    assert_eq!(
        (refused.status.code(), refused.error_code().as_str()),
        (Some(7), "checkpoint_invalid")
    );

    let key = department.data().join("records-role/records.key");
    let open = |id: &str| {
        let args = [
            "open",
            id,
            "--key",
            key.to_str().unwrap(),
            "--reason",
            "FOI",
            "--who",
            "Rita",
            "--json",
        ];
        department.command(&args).succeeded().stdout
    };
    assert!(
        open(&first).contains("Agreed at 1.2m"),
        "the first stays as it was"
    );
    assert!(open(amended["record"].as_str().unwrap()).contains("Agreed at 1.3m"));
    assert!(open(withdrawn["record"].as_str().unwrap()).contains("declared twice"));

    let wiped = cli.run(&["wipe", "--yes"], "").succeeded();
    drop(wiped);
    assert!(!cli.home().join("agent.db").exists() && !cli.home().join("identity.json").exists());
    assert_eq!(
        std::fs::read_dir(cli.home().join("keys")).map_or(0, Iterator::count),
        0,
        "the keys are gone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn material_above_official_sensitive_is_refused_before_anything_is_stored() {
    let department = department();
    let cli = AgentCli::new(&department, "phone");
    cli.enrol(&department);
    for marking in ["secret", "TOP SECRET", "uk-secret"] {
        for last in ["--yes", "--save"] {
            let mut args = DECLARE.to_vec();
            args.pop();
            args.extend([last, "--marking", marking]);
            let refused = cli.run(&args, "the codename is marmalade");
            assert_eq!(
                (refused.status.code(), refused.error_code().as_str()),
                (Some(6), "marking_too_high")
            );
        }
    }
    assert!(!crate::privacy::contains(cli.home(), "marmalade"));
    let status = cli.run(&["status"], "").succeeded().json();
    assert_eq!(
        (
            status["drafts"].as_u64(),
            status["pending_records"].as_u64()
        ),
        (Some(0), Some(0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_a_code_advice_and_an_exit_code() {
    let department = department();
    let cli = AgentCli::new(&department, "phone");
    let expect = |outcome: Outcome, exit: i32, code: &str| {
        assert_eq!(
            (outcome.status.code(), outcome.error_code().as_str()),
            (Some(exit), code),
            "{outcome:?}"
        );
    };
    expect(cli.run(&["sync"], ""), 3, "not_enrolled");
    expect(
        cli.run(&["enrol", "--token-file", "-"], "nonsense"),
        3,
        "token_unknown",
    );
    expect(
        cli.run(
            &["enrol", "--token-file", "-"],
            &department.token_valid_for("0s"),
        ),
        3,
        "token_expired",
    );
    cli.enrol(&department);
    expect(
        cli.run(&["enrol", "--token-file", "-"], &department.token()),
        6,
        "already_enrolled",
    );
    let mut unconfirmed = DECLARE.to_vec();
    unconfirmed.pop();
    expect(
        cli.run(&unconfirmed, "nobody confirms this"),
        6,
        "not_confirmed",
    );
    let mut elsewhere = DECLARE.to_vec();
    elsewhere[2] = "carrier-pigeon";
    expect(cli.run(&elsewhere, "coo"), 2, "channel_unknown");

    let _ = department.stop();
    expect(cli.run(&["sync"], ""), 5, "unreachable");

    let config = std::fs::read_to_string(cli.config())
        .unwrap()
        .replace("ca_pins", "ca_pinz");
    std::fs::write(cli.config(), config).unwrap();
    let misspelt = cli.run(&["status"], "");
    assert!(
        misspelt.stdout.contains("did you mean `ca_pins`"),
        "{misspelt:?}"
    );
    expect(misspelt, 2, "config_invalid");
}

/// How a second agent ends, and with what code, while the first has the home. One that is broken on
/// purpose does not heed the lock.
async fn second_agent(broken: bool) -> (Option<i32>, Option<String>) {
    let department = department();
    let handset = candour_tests::Handset::enrolled(&department).await;
    let cli = AgentCli::new(&department, "elsewhere");
    let _holder = handset.open(department.config());
    let mut second = program().agent(["status", "--json"]);
    second
        .arg("--home")
        .arg(handset.home())
        .arg("--config")
        .arg(cli.config());
    if broken {
        let source = include_str!("../../torture/unlocked.c");
        let library = preload::compile("unlocked", source, department.scratch()).unwrap();
        second.env("LD_PRELOAD", library);
    }
    let outcome = run(&mut second, b"");
    let refused = !outcome.status.success();
    (outcome.status.code(), refused.then(|| outcome.error_code()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_on_the_same_home_is_told_that_the_first_has_it() {
    let told = second_agent(false).await;
    assert_eq!(told, (Some(4), Some("store_busy".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_that_does_not_heed_the_lock_is_noticed() {
    assert_eq!(second_agent(true).await, (Some(0), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_refuses_to_overwrite_to_guess_and_to_open_its_operations_to_the_world() {
    let department = department();
    let before = department.file("ca.pem");
    let again = department.command(&[
        "init",
        "--department",
        "hm-treasury",
        "--name",
        "X",
        "--host",
        "127.0.0.1",
    ]);
    assert!(!again.status.success(), "{again:?}");
    assert_eq!(department.file("ca.pem"), before);
    let second = run(&mut department.serve_command(), b"");
    assert_eq!(second.status.code(), Some(5), "{second:?}");
    assert!(
        second.stderr.contains("another process serves"),
        "{second:?}"
    );

    let _ = department.stop();
    let refused = |name: &str, value: &str| {
        let outcome = run(department.serve_command().env(name, value), b"");
        assert!(!outcome.status.success(), "{name}: {outcome:?}");
        outcome.stderr
    };
    assert!(refused("CANDOUR_SERVER_OPS_LISTEN", "0.0.0.0:0").contains("loopback"));
    assert!(
        refused("CANDOUR_SERVER_OPS_LISTN", "127.0.0.1:0").contains("did you mean `ops_listen`")
    );
    let shown = department.command(&["config", "show"]).succeeded().stdout;
    for file in ["ca.key", "policy.key", "log.key"] {
        let secret = department.file(file);
        let line = secret.lines().find(|line| line.len() > 40).unwrap();
        assert!(!shown.contains(line), "{file} is shown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_on_their_own_listener_and_name_no_handset() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let department = department();
    let handset = candour_tests::Handset::enrolled(&department).await;
    let agent = handset.open(department.config());
    candour_tests::handset::declare(&agent, "counted");
    assert_eq!(agent.sync().await.unwrap().received, 1);
    let id = handset.identity().handset;
    for (path, expected) in [("/livez", ""), ("/readyz", ""), ("/metrics", "declaration")] {
        let mut stream = tokio::net::TcpStream::connect(department.ops_address())
            .await
            .unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: ops\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        candour_tests::wait::within(path, stream.read_to_string(&mut reply))
            .await
            .unwrap();
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
        assert!(reply.contains(expected), "{reply}");
        assert!(!reply.contains(id.as_str()), "{reply}");
    }
}
