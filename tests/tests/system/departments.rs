//! Several departments on one server.

use candour_core::Config;
use candour_tests::handset::declare;
use candour_tests::{Handset, wait};
use candour_wire::{Code, Sensitive};

use crate::department;

#[tokio::test(flavor = "multi_thread")]
async fn departments_on_one_server_have_keys_policies_and_numbers_of_their_own() {
    let mut department = department();
    let _ = department
        .command(&["department", "add", "cabinet-office", "Cabinet Office"])
        .succeeded();
    department.restart_after_stop();
    let text = department.file("agent/cabinet-office.toml");
    let table: toml::Table = text.parse().unwrap();
    let serde_json::Value::Object(mut settings) = serde_json::to_value(table).unwrap() else {
        panic!("{text}")
    };
    let addresses = department.settings();
    for key in ["server_url", "enrol_url"] {
        settings.insert(key.into(), addresses[key].clone());
    }
    let config = || Config::from_object(&settings).unwrap();
    let token = |id: &str| {
        let made = department
            .command(&["token", "new", "--department", id])
            .succeeded()
            .stdout;
        Sensitive::new(made.trim().to_owned())
    };

    let treasury = Handset::new();
    let agent = treasury.open(department.config());
    assert!(
        agent.enrol(token("cabinet-office")).await.is_err(),
        "a token of another department"
    );
    drop(agent);

    let phones = [
        (Handset::new(), config(), "cabinet-office"),
        (Handset::new(), department.config(), "hm-treasury"),
    ];
    let mut declared = Vec::new();
    for (handset, config, id) in phones {
        handset.install(if id == "hm-treasury" {
            &["whatsapp"]
        } else {
            &[]
        });
        let agent = handset.open(config);
        agent.enrol(token(id)).await.unwrap();
        assert_eq!(agent.policy().unwrap().department.as_str(), id);
        agent.scan().unwrap();
        declared.push(declare(&agent, "the same words").to_string());
        let report = agent.sync().await.unwrap();
        assert!(report.failure.is_none(), "{report:?}");
        assert_eq!(report.received, 2);
    }
    let lines = department.command(&["prevalence"]).succeeded().stdout;
    assert!(
        lines.contains("HM Treasury: 100% of 1 reporting handset"),
        "{lines}"
    );
    assert!(
        lines.contains("Cabinet Office: 0% of 1 reporting handset"),
        "{lines}"
    );

    let open = |id: &str, key: &str| {
        let key = department.data().join("records-role").join(key);
        department.command(&[
            "open",
            id,
            "--key",
            key.to_str().unwrap(),
            "--reason",
            "FOI",
            "--who",
            "Rita",
        ])
    };
    assert!(
        open(&declared[0], "cabinet-office.key")
            .succeeded()
            .stdout
            .contains("the same words")
    );
    assert!(
        open(&declared[1], "records.key")
            .succeeded()
            .stdout
            .contains("the same words")
    );
    let wrong = open(&declared[0], "records.key");
    assert!(
        !wrong.status.success() && !wrong.stdout.contains("the same words"),
        "{wrong:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handset_that_was_revoked_by_mistake_is_let_back_in_and_delivers_what_waited() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    let agent = handset.open(department.config());
    declare(&agent, "acknowledged to the holder");
    let id = agent.status().unwrap().handset.unwrap();
    department.revoke(&id);
    wait::until("the door is shut", || async {
        let failure = Box::pin(agent.sync()).await.unwrap().failure?;
        (failure.code == Code::HandsetRevoked).then_some(())
    })
    .await;

    let command = [
        "handset",
        "reinstate",
        id.as_str(),
        "--reason",
        "wrong phone",
    ];
    let _ = department.command(&command).succeeded();
    wait::until("the door is open", || async {
        Box::pin(agent.sync())
            .await
            .unwrap()
            .failure
            .is_none()
            .then_some(())
    })
    .await;
    assert_eq!(department.checkpoint().await.size, 1);
    let shown = department
        .command(&["handset", "show", id.as_str(), "--json"])
        .succeeded()
        .json();
    assert_eq!(shown["reinstatements"][0]["revoked_because"], "lost");
    assert_eq!(
        shown["reinstatements"][0]["reinstated_because"],
        "wrong phone"
    );
}
