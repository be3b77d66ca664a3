//! The posture stream: app lists, differences, heartbeats, and the numbers made from them.

use std::sync::atomic::{AtomicBool, Ordering};

use candour_tests::department::now;
use candour_tests::handset::config_through;
use candour_tests::interceptor::{Answer, Asked, Fate};
use candour_tests::raw::{receipts, refusal};
use candour_tests::{Handset, Interceptor, RawHandset};
use candour_wire::api::{BatchReply, RecordResult};
use candour_wire::code::Refusal;
use candour_wire::posture::{Heartbeat, Presence};
use candour_wire::record::{Body, Kind, Stream};
use candour_wire::{Code, Digest, RecordId};
use http::StatusCode;

use crate::department;

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_app_list_travels_as_a_difference_and_is_counted() {
    let mut department = department();
    let handset = Handset::enrolled(&department).await;
    handset.install(&["whatsapp"]);
    let agent = handset.open(department.config());
    assert_eq!(agent.scan().unwrap().queued, Some(Kind::Inventory));
    assert_eq!(agent.sync().await.unwrap().received, 1);
    handset.install(&["signal", "whatsapp"]);
    assert_eq!(agent.scan().unwrap().queued, Some(Kind::InventoryChange));
    assert_eq!(agent.sync().await.unwrap().received, 1);
    assert_eq!(agent.scan().unwrap().queued, None, "nothing changed");
    let line = department
        .command(&["prevalence", "--app", "signal"])
        .succeeded()
        .stdout;
    assert!(line.contains("100% of 1 reporting handset"), "{line}");
    department.restart_after_stop();
    let line = department
        .command(&["prevalence", "--app", "telegram"])
        .succeeded()
        .stdout;
    assert!(line.contains("0% of 1 reporting handset"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_or_a_difference_from_a_list_that_is_not_the_current_one_is_refused() {
    let department = department();
    let handset = RawHandset::enrol(&department).await;
    let mut connection = handset.connect(&department).await;
    let catalogue = connection
        .policy(&department)
        .await
        .catalogue
        .unwrap()
        .version;
    let list = |head, state| handset.inventory(head, catalogue, &[("whatsapp", state)]);
    let genesis = handset.genesis(Stream::Posture);
    let first = list(&genesis, Presence::Absent);
    let head = genesis.extended(&first.jws);
    assert_eq!(
        receipts(&connection.deliver(std::slice::from_ref(&first)).await).len(),
        1
    );

    let record = |body| handset.sign(handset.record(&head, RecordId::make(now()), body));
    let beat = |inventory| record(Body::Heartbeat(Heartbeat { inventory }));
    let reply = connection
        .deliver(&[beat(Digest::of(b"another list"))])
        .await;
    assert_eq!(refusal(&reply).code, "base_unknown");

    let other = list(&genesis, Presence::Installed);
    let lists = [&other, &first].map(|signed| match &signed.record.body {
        Body::Inventory(list) => list.clone(),
        other => panic!("{other:?}"),
    });
    let change = lists[0].change_to(&lists[1]).unwrap();
    let reply = connection
        .deliver(&[record(Body::InventoryChange(change))])
        .await;
    assert_eq!(refusal(&reply).code, "base_unknown");

    let good = beat(lists[1].hash());
    assert_eq!(receipts(&connection.deliver(&[good]).await).len(), 1);
    assert_eq!(department.checkpoint().await.size, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_list_whose_base_the_server_does_not_know_is_sent_whole_the_next_time() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    {
        let agent = handset.open(department.config());
        agent.scan().unwrap();
        assert_eq!(agent.sync().await.unwrap().received, 1);
    }
    let checkpoint = department
        .connect_public()
        .await
        .get("/log/checkpoint")
        .await
        .unwrap()
        .text();
    let refused_once = AtomicBool::new(false);
    let rule = move |asked: &Asked| {
        if asked.path != "/v1/posture" || refused_once.swap(true, Ordering::SeqCst) {
            return Fate::Pass;
        }
        // As a server does that was set back to before the first list.
        let results = vec![RecordResult::Refusal(Refusal::new(Code::BaseUnknown))];
        let reply = BatchReply {
            results,
            checkpoint: checkpoint.clone(),
            consistency: Default::default(),
            policy: None,
        };
        Fate::Answer(Answer::new(
            StatusCode::OK,
            "application/json",
            serde_json::to_vec(&reply).unwrap(),
        ))
    };
    let interceptor = Interceptor::start(&department, handset.tls(&department), rule).await;
    let agent = handset.open(config_through(&department, &interceptor));
    handset.install(&["signal"]);
    assert_eq!(agent.scan().unwrap().queued, Some(Kind::InventoryChange));
    let report = agent.sync().await.unwrap();
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(report.received, 0);
    assert_eq!(agent.scan().unwrap().queued, Some(Kind::Inventory));
    assert_eq!(agent.sync().await.unwrap().received, 1);
    let status = agent.status().unwrap();
    assert_eq!(
        (status.quarantined, status.problems),
        (0, vec![]),
        "nothing is left for the holder to do"
    );
    let line = department
        .command(&["prevalence", "--app", "signal"])
        .succeeded()
        .stdout;
    assert!(line.contains("100% of 1 reporting handset"), "{line}");
}
