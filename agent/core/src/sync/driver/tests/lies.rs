//! Replies that prove nothing, and what the phone makes of them.

use candour_wire::api::{BatchReply, RecordResult};
use candour_wire::log::LeafSalt;

use super::department::Trouble;
use super::phone::Phone;
use super::*;
use crate::testing;

/// Sends two records to a department that changes its reply; returns the phone and the report.
async fn lied_to(lie: impl FnOnce(&mut BatchReply) + Send + 'static) -> (Phone, SyncReport) {
    let mut phone = Phone::new();
    // One record in the log beforehand, so that there is a checkpoint to continue from.
    phone.heartbeat();
    assert_eq!(phone.sync().await.failure, None);
    phone.declare(&[]);
    phone.declare(&[]);
    phone
        .department
        .trouble("/v1/records", Trouble::Lies(Box::new(lie)));
    let report = phone.sync().await;
    assert_eq!(
        (report.received, phone.waiting()),
        (0, 2),
        "nothing is let go"
    );
    (phone, report)
}

fn receipt(reply: &mut BatchReply, place: usize) -> &mut candour_wire::api::Receipt {
    match &mut reply.results[place] {
        RecordResult::Receipt(receipt) => receipt,
        RecordResult::Refusal(refusal) => panic!("{refusal:?}"),
    }
}

#[tokio::test]
async fn a_receipt_that_proves_nothing_lets_nothing_go_and_raises_an_alarm() {
    let lies: [fn(&mut BatchReply); 4] = [
        |reply| receipt(reply, 1).salt = LeafSalt([0; 16]),
        |reply| receipt(reply, 1).index = 0,
        |reply| receipt(reply, 0).index = u64::MAX,
        |reply| receipt(reply, 0).path = candour_wire::log::HashPath::default(),
    ];
    for lie in lies {
        let (mut phone, report) = lied_to(lie).await;
        assert_eq!(code(&report), Some(Code::ReceiptInvalid));
        let alarm = phone.state().alarm.unwrap();
        assert_eq!(alarm.code, Code::ReceiptInvalid);
        assert!(alarm.checkpoint.is_some(), "evidence for the auditors");

        // An honest answer lets them go; the alarm stays until a person has looked.
        assert_eq!(phone.sync().await.received, 2);
        let mut state = phone.state();
        assert!(state.alarm.is_some());
        state.clear_alarm();
        assert_eq!(state.alarm, None);
    }
}

#[tokio::test]
async fn a_checkpoint_by_another_key_is_an_alarm() {
    let foreign = testing::log_signer();
    let (phone, report) = lied_to(move |reply| {
        let checkpoint = candour_wire::log::Checkpoint {
            origin: foreign.verifier().name().to_owned(),
            size: 3,
            root: candour_wire::Digest::of(b"root"),
            time: "2026-11-22T10:00:00Z".parse().unwrap(),
        };
        reply.checkpoint = checkpoint.sign(&foreign).unwrap();
    })
    .await;
    assert_eq!(code(&report), Some(Code::CheckpointInvalid));
    assert_eq!(phone.state().alarm.unwrap().code, Code::CheckpointInvalid);
}

#[tokio::test]
async fn a_reply_that_does_not_fit_the_request_is_not_used_and_is_no_alarm() {
    let lies: [fn(&mut BatchReply); 3] = [
        |reply| reply.results.truncate(1),
        |reply| reply.results.swap(0, 1),
        |reply| {
            let again = reply.results[1].clone();
            reply.results.push(again);
        },
    ];
    for lie in lies {
        let (phone, report) = lied_to(lie).await;
        assert_eq!(
            (code(&report), phone.state().alarm),
            (Some(Code::BadReply), None)
        );
    }
}

#[tokio::test]
async fn a_log_that_rewrote_its_past_halts_the_sync_until_a_person_clears_it() {
    let mut phone = Phone::new();
    phone.heartbeat();
    phone.sync().await;
    phone.department.state.lock().unwrap().leaves[0] = candour_wire::Digest::of(b"rewritten");
    phone.declare(&[]);
    assert_eq!(code(&phone.sync().await), Some(Code::LogForked));
    assert_eq!(phone.waiting(), 1);

    let before = phone.department.state.lock().unwrap().requests.len();
    phone.issue_policy(2, |_| {});
    let report = phone.sync().await;
    assert_eq!(code(&report), Some(Code::LogForked));
    assert!(
        matches!(report.policy, PolicyOutcome::Updated(_)),
        "the policy is kept fresh"
    );
    assert_eq!(
        phone.department.state.lock().unwrap().requests.len(),
        before + 1,
        "and nothing else is sent"
    );

    let mut state = phone.state();
    state.clear_alarm();
    state.save(&mut phone.outbox.lock().unwrap()).unwrap();
    let report = phone.sync().await;
    assert_eq!(
        (report.failure, report.received, phone.waiting()),
        (None, 1, 0)
    );
    assert!(
        !phone.state().log_anew,
        "from here on the log must continue again"
    );
    phone.department.state.lock().unwrap().leaves[0] = candour_wire::Digest::of(b"again");
    phone.declare(&[]);
    assert_eq!(code(&phone.sync().await), Some(Code::LogForked));
}

#[tokio::test]
async fn a_log_that_shrank_is_a_fork() {
    let mut phone = Phone::new();
    phone.heartbeat();
    phone.sync().await;
    phone.department.state.lock().unwrap().leaves.clear();
    phone.declare(&[]);
    assert_eq!(code(&phone.sync().await), Some(Code::LogForked));
}

#[tokio::test]
async fn an_alarm_that_is_cleared_during_a_sync_stays_cleared() {
    let (mut phone, _) = lied_to(|reply| receipt(reply, 1).index = 0).await;
    let outbox = Arc::clone(&phone.outbox);
    phone.department.trouble(
        "/v1/records",
        Trouble::Lies(Box::new(move |_| {
            let mut outbox = outbox.lock().unwrap();
            let mut state = SyncState::load(&mut outbox).unwrap();
            state.clear_alarm();
            state.save(&mut outbox).unwrap();
        })),
    );
    let report = phone.sync().await;
    assert_eq!(
        (report.received, report.next_attempt),
        (2, phone.clock.now())
    );
    let state = phone.state();
    assert_eq!(state.alarm, None);
    assert!(state.due(phone.clock.now(), None), "nothing puts it off");
}

#[tokio::test]
async fn clearing_an_alarm_about_a_receipt_forgives_no_fork() {
    let (mut phone, _) = lied_to(|reply| receipt(reply, 1).index = 0).await;
    let mut state = phone.state();
    state.clear_alarm();
    assert_eq!((&state.alarm, state.log_anew), (&None, false));
    state.save(&mut phone.outbox.lock().unwrap()).unwrap();

    phone.department.state.lock().unwrap().leaves[0] = candour_wire::Digest::of(b"rewritten");
    assert_eq!(code(&phone.sync().await), Some(Code::LogForked));
    assert_eq!(phone.waiting(), 2);
}
