use candour_wire::Code;
use candour_wire::posture::{Presence, Status};
use candour_wire::record::{Body, Stream};

use super::phone::{heartbeat, list};
use super::{Backend, Phone, at};
use crate::store::{AppPrevalence, Batch, Reason, Store};
use Presence::{Absent, Installed, Unknown};

pub(in crate::store) async fn a_list_then_a_difference_then_a_heartbeat_are_taken<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let before = list(&[
        ("signal", Absent),
        ("telegram", Installed),
        ("whatsapp", Unknown),
    ]);
    let after = list(&[("signal", Installed), ("whatsapp", Unknown)]);
    phone.sent(&*store, Body::Inventory(before.clone())).await;
    let change = before.change_to(&after).unwrap();
    phone.sent(&*store, Body::InventoryChange(change)).await;
    let beat = phone.next(heartbeat(&after));
    let batch = Batch {
        received: at(1_440),
        ..phone.batch(Stream::Posture, &[beat])
    };
    store.append(batch).await.unwrap();
    let row = store.handset(&phone.id).await.unwrap().unwrap();
    assert_eq!(row.posture_confirmed, Some(at(1_440)));
    let apps = store.prevalence(None, at(0)).await.unwrap();
    let apps: Vec<_> = apps
        .iter()
        .map(|app| (app.app.as_str(), app.installed))
        .collect();
    assert_eq!(apps, [("signal", 1), ("whatsapp", 0)]);
}

pub(in crate::store) async fn a_difference_or_heartbeat_from_another_list_is_refused<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let (one, two) = (list(&[("signal", Absent)]), list(&[("signal", Installed)]));
    let change = || Body::InventoryChange(one.change_to(&two).unwrap());
    let at_head =
        |phone: &Phone, body| phone.record(phone.posture.seq + 1, phone.posture.digest, body);
    let code = async |phone: &Phone, body| {
        phone
            .refused(&store, at_head(phone, body))
            .await
            .known_code()
    };
    assert_eq!(code(&phone, change()).await, Some(Code::BaseUnknown));
    assert_eq!(code(&phone, heartbeat(&one)).await, Some(Code::BaseUnknown));
    phone.sent(&*store, Body::Inventory(two.clone())).await;
    assert_eq!(code(&phone, change()).await, Some(Code::BaseUnknown));
    assert_eq!(code(&phone, heartbeat(&one)).await, Some(Code::BaseUnknown));
    phone.sent(&*store, heartbeat(&two)).await;
    assert_eq!(store.anomalies(&phone.id).await.unwrap(), []);
}

pub(in crate::store) async fn a_list_that_breaks_the_format_is_refused<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let phone = Phone::enrolled(&*store, "a").await;
    let twice = list(&[("signal", Absent), ("signal", Installed)]);
    let mut long = list(&[("signal", Absent)]);
    long.apps = (0..201)
        .map(|n| list(&[(&format!("app-{n}"), Absent)]).apps.remove(0))
        .collect();
    let mut chatty = list(&[("signal", Absent)]);
    chatty.handset.model = Some("x".repeat(201));
    for bad in [twice, long, chatty] {
        let record = phone.record(1, phone.posture.digest, Body::Inventory(bad));
        let refusal = phone.refused(&store, record).await;
        assert_eq!(refusal.known_code(), Some(Code::RecordMalformed));
    }
    assert_eq!(store.prevalence(None, at(0)).await.unwrap(), []);
}

pub(in crate::store) async fn the_last_status_is_kept<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let status = |pending, problems: Vec<String>| Status {
        pending,
        quarantined: 0,
        oldest_pending: None,
        last_success: None,
        problems,
    };
    let chatty = Body::Status(status(9, vec!["x".repeat(201)]));
    let refusal = phone
        .refused(&store, phone.record(1, phone.posture.digest, chatty))
        .await;
    assert_eq!(refusal.known_code(), Some(Code::RecordMalformed));
    phone.sent(&*store, Body::Status(status(5, vec![]))).await;
    phone.sent(&*store, Body::Status(status(0, vec![]))).await;
    let row = store.handset(&phone.id).await.unwrap().unwrap();
    assert_eq!(row.status.unwrap().status, status(0, vec![]));
}

async fn lists(
    store: &dyn Store,
    name: &str,
    department: &str,
    apps: &[(&str, Presence)],
) -> Phone {
    let mut phone = Phone::enrolled_in(store, name, department).await;
    phone.sent(store, Body::Inventory(list(apps))).await;
    phone
}

pub(in crate::store) async fn prevalence_counts_current_lists_by_department<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let (here, there) = ("hm-treasury", "cabinet-office");
    lists(
        &*store,
        "a",
        here,
        &[("signal", Absent), ("whatsapp", Installed)],
    )
    .await;
    lists(
        &*store,
        "b",
        here,
        &[("signal", Unknown), ("whatsapp", Installed)],
    )
    .await;
    // An older catalogue does not ask about Signal.
    lists(&*store, "c", here, &[("whatsapp", Absent)]).await;
    lists(&*store, "d", there, &[("whatsapp", Unknown)]).await;
    let gone = lists(&*store, "e", here, &[("whatsapp", Installed)]).await;
    store
        .revoke(&gone.id, Reason::new("lost").unwrap(), at(2))
        .await
        .unwrap();
    // Enrolled, but has never reported.
    Phone::enrolled(&*store, "f").await;
    let row = |department: &str, app: &str, [installed, absent, unknown, reporting]: [u64; 4]| {
        AppPrevalence {
            department: department.parse().unwrap(),
            app: app.parse().unwrap(),
            installed,
            absent,
            unknown,
            reporting,
        }
    };
    let expected = [
        row(there, "whatsapp", [0, 0, 1, 1]),
        row(here, "signal", [0, 1, 2, 3]),
        row(here, "whatsapp", [2, 1, 0, 3]),
    ];
    assert_eq!(store.prevalence(None, at(1)).await.unwrap(), expected);
    let ours = store
        .prevalence(Some(&here.parse().unwrap()), at(1))
        .await
        .unwrap();
    assert_eq!(ours, expected[1..]);
    assert_eq!(
        store.prevalence(None, at(2)).await.unwrap(),
        [],
        "all lists are older"
    );
}
