mod department;
mod lies;
mod phone;
mod policy_turn;
mod upkeep;

use std::time::Duration;

use jiff::SignedDuration;

use self::department::{Trouble, problem};
use self::phone::Phone;
use super::*;
use crate::ports::{Clock as _, Home as _, Response, TransportError};

fn code(report: &SyncReport) -> Option<Code> {
    report.failure.as_ref().map(|failure| failure.code)
}

#[tokio::test]
async fn everything_that_waits_is_sent_once_and_let_go_with_its_receipt() {
    let mut phone = Phone::new();
    let mut ids = vec![phone.heartbeat()];
    ids.extend((0..70).map(|_| phone.declare(&[])));
    let report = phone.sync().await;
    assert_eq!(
        (report.received, report.failure, report.clock_wrong),
        (71, None, false)
    );
    assert_eq!(phone.waiting(), 0);
    for id in ids {
        assert_eq!((phone.held(id), phone.has_receipt(id)), (1, true));
    }
    assert!(
        matches!(report.policy, PolicyOutcome::Updated(policy) if policy.policy().version == 1)
    );
    assert!(phone.home.read(Document::Policy).unwrap().is_some());
    let heard = phone.heard.0.lock().unwrap();
    assert_eq!(
        heard.last(),
        Some(&Event::SyncProgress {
            done: 71,
            total: 71
        })
    );
    let state = phone.state();
    assert_eq!(
        (state.failures, state.last_failure, state.alarm),
        (0, None, None)
    );
    assert_eq!(
        state.signed_time.unwrap().to_string(),
        "2026-11-22T10:00:00Z"
    );
    let wait = state
        .next_attempt
        .unwrap()
        .duration_since(state.last_success.unwrap());
    assert!((21_600..=22_200).contains(&wait.as_secs()), "{wait}");
    assert_eq!(phone.department.state.lock().unwrap().anomalies, 0);
}

#[tokio::test]
async fn with_nothing_to_send_only_the_policy_is_asked_for() {
    let mut phone = Phone::new();
    phone.sync().await;
    let report = phone.sync().await;
    assert!(matches!(report.policy, PolicyOutcome::Unchanged));
    assert_eq!(phone.department.state.lock().unwrap().requests.len(), 2);
}

#[tokio::test]
async fn wherever_a_sync_is_cut_off_the_next_one_ends_with_one_copy_and_a_receipt() {
    for after in [false, true] {
        for cut_at in 0.. {
            let mut phone = Phone::new();
            let big: Vec<u8> = (0..2_500_000_u32).map(|n| (n % 251) as u8).collect();
            let file = phone.spool(&big);
            let ids = [
                phone.heartbeat(),
                phone.declare(&[]),
                phone.declare(&[file]),
                phone.declare(&[]),
            ];
            let cut = if after {
                Trouble::CutAfter
            } else {
                Trouble::CutBefore
            };
            phone.department.state.lock().unwrap().trouble_at = Some((cut_at, cut));
            let report = phone.sync().await;
            phone.crash();
            if report.failure.is_none() {
                assert!(cut_at > 7, "the upload alone takes four requests");
                break;
            }
            assert_eq!(report.failure.unwrap().code, Code::Unreachable);
            let again = phone.sync().await;
            assert_eq!(again.failure, None, "cut at {cut_at}");
            for id in ids {
                assert_eq!(
                    (phone.held(id), phone.has_receipt(id)),
                    (1, true),
                    "cut at {cut_at}"
                );
            }
            assert_eq!((phone.waiting(), phone.quarantined().len()), (0, 0));
            assert_eq!(
                phone.department.state.lock().unwrap().anomalies,
                0,
                "cut at {cut_at}"
            );
        }
    }
}

#[tokio::test]
async fn a_refused_record_is_set_aside_and_shown_while_the_rest_go_on() {
    let mut phone = Phone::new();
    let ids: Vec<_> = (0..5).map(|_| phone.declare(&[])).collect();
    {
        let refuses = &mut phone.department.state.lock().unwrap().refuses;
        refuses.insert(ids[0], Code::SealRefused);
        refuses.insert(ids[2], Code::RecordMalformed);
    }
    let report = phone.sync().await;
    assert_eq!((report.failure, report.received), (None, 3));
    let mut expected = [
        (ids[0], "seal_refused".to_owned()),
        (ids[2], "record_malformed".to_owned()),
    ];
    expected.sort();
    assert_eq!(phone.quarantined(), expected);
    let told: Vec<_> = report
        .quarantined
        .iter()
        .map(|refused| refused.id)
        .collect();
    assert_eq!(told, [ids[0], ids[2]]);
    assert_eq!((phone.held(ids[4]), phone.waiting()), (1, 0));
    assert_eq!(
        phone.department.state.lock().unwrap().anomalies,
        0,
        "a gap after a refusal is none"
    );
}

#[tokio::test]
async fn a_phone_set_back_to_a_backup_goes_on_from_where_the_server_is() {
    let mut phone = Phone::new();
    phone.declare(&[]);
    phone.sync().await;
    let backup = phone.store.backup();
    let lost: Vec<_> = (0..2).map(|_| phone.declare(&[])).collect();
    phone.sync().await;
    phone.restore(backup);
    let new = phone.declare(&[]);
    let report = phone.sync().await;
    assert_eq!((report.failure, report.received), (None, 1));
    assert!(lost.iter().chain([&new]).all(|id| phone.held(*id) == 1));
    assert_eq!(
        phone.department.state.lock().unwrap().anomalies,
        1,
        "the department is told"
    );
}

#[tokio::test]
async fn a_troubled_server_is_left_alone_for_as_long_as_it_asks() {
    let mut phone = Phone::new();
    phone.declare(&[]);
    let busy = problem(Code::Unavailable, &[("retry-after", "7200")]);
    phone
        .department
        .trouble("/v1/records", Trouble::Answers(busy));
    let report = phone.sync().await;
    assert_eq!(
        (code(&report), phone.waiting()),
        (Some(Code::Unavailable), 1)
    );
    assert!(
        report
            .next_attempt
            .duration_since(phone.clock.now())
            .as_secs()
            >= 7200
    );
    let state = phone.state();
    assert!(!state.due(phone.clock.now() + SignedDuration::from_secs(7199), None));
    assert_eq!(
        (state.failures, state.last_failure.unwrap().code),
        (1, Code::Unavailable)
    );

    let since = phone.clock.now();
    let mut fails_after = async |seconds| {
        phone.advance(SignedDuration::from_secs(seconds));
        phone.department.trouble(
            "/v1/records",
            Trouble::Answers(problem(Code::Internal, &[])),
        );
        let report = phone.sync().await;
        let state = phone.state();
        let wait = report.next_attempt.duration_since(phone.clock.now());
        (state.failures, state.failing_since, wait.as_secs())
    };
    for (failures, seconds, bound) in [(2, 300, 60), (3, 0, 120), (4, 0, 240), (5, 0, 300)] {
        let (failed, from, wait) = fails_after(seconds).await;
        assert_eq!((failed, from), (failures, Some(since)));
        assert!((0..=bound).contains(&wait), "{wait} of {bound} s");
    }
    let (_, put_back, wait) = fails_after(-3600).await;
    assert_eq!(put_back, Some(phone.clock.now()));
    assert!((0..=30).contains(&wait));
    assert_eq!(phone.sync().await.failure, None);
    let state = phone.state();
    assert_eq!(
        (state.failures, state.last_failure, state.last_success),
        (0, None, Some(phone.clock.now()))
    );
    assert_eq!(state.failing_since, None);
}

#[tokio::test]
async fn what_only_the_department_can_mend_is_not_tried_again_within_the_minute() {
    let mut phone = Phone::new();
    phone.heartbeat();
    assert_eq!(phone.sync().await.failure, None);
    let mut wait = async |trouble: Trouble| {
        phone.department.trouble("/v1/policy", trouble);
        let report = phone.sync().await;
        assert!(report.failure.is_some());
        report.next_attempt.duration_since(phone.clock.now())
    };
    for code in [Code::HandsetRevoked, Code::CertificateRefused] {
        let wait = wait(Trouble::Answers(problem(code, &[]))).await.as_secs();
        assert!((21_600..=22_200).contains(&wait), "{code}: {wait}");
    }
    let untrusted = Trouble::Fails(TransportError::ServerNotTrusted("a hotel".into()));
    assert!(wait(untrusted).await.as_secs() <= 120, "it may pass");

    phone.department.state.lock().unwrap().leaves.clear();
    phone.declare(&[]);
    let report = phone.sync().await;
    assert_eq!(
        report.failure.map(|failure| failure.code),
        Some(Code::LogForked)
    );
    let wait = report.next_attempt.duration_since(phone.clock.now());
    assert!(wait.as_secs() >= 21_600, "{wait}");
    let mut state = phone.state();
    state.clear_alarm();
    assert!(state.due(phone.clock.now(), None), "a person has looked");
}

#[tokio::test]
async fn tls_failures_and_401_pause_the_queue_and_condemn_no_record() {
    let refused = problem(Code::CertificateRefused, &[]);
    let troubles = [
        (
            Trouble::Fails(TransportError::ClientCertificateRevoked),
            Code::HandsetRevoked,
        ),
        (
            Trouble::Fails(TransportError::ServerNotTrusted("x".into())),
            Code::ServerNotTrusted,
        ),
        (
            Trouble::Fails(TransportError::ClientCertificateExpired),
            Code::CertificateExpired,
        ),
        (
            Trouble::Fails(TransportError::TimedOut(Duration::from_secs(60))),
            Code::TimedOut,
        ),
        (
            Trouble::Fails(TransportError::Key("locked".into())),
            Code::KeyUnavailable,
        ),
        (Trouble::Answers(refused), Code::CertificateRefused),
        (
            Trouble::Answers(problem(Code::HandsetRevoked, &[])),
            Code::HandsetRevoked,
        ),
    ];
    for (trouble, expected) in troubles {
        let mut phone = Phone::new();
        phone.heartbeat();
        phone.declare(&[]);
        phone.department.trouble("/v1/posture", trouble);
        let report = phone.sync().await;
        assert_eq!(code(&report), Some(expected));
        assert_eq!((phone.waiting(), phone.quarantined().len()), (2, 0));
        assert_eq!(phone.sync().await.received, 2);
    }
}

#[tokio::test]
async fn replies_that_are_nonsense_or_endless_are_not_used() {
    let page = |body: &[u8]| Response {
        status: 200,
        headers: Vec::new(),
        body: body.to_vec(),
    };
    let endless = vec![b' '; candour_wire::limits::REPLY_MAX_BYTES + 1];
    for body in [b"".as_slice(), b"<html>", b"{}", b"[1", b"\xff", &endless] {
        let mut phone = Phone::new();
        phone.declare(&[]);
        phone
            .department
            .trouble("/v1/records", Trouble::Answers(page(body)));
        let report = phone.sync().await;
        assert_eq!((code(&report), phone.waiting()), (Some(Code::BadReply), 1));
    }
}

#[tokio::test]
async fn a_server_that_takes_smaller_batches_gets_smaller_batches() {
    let mut phone = Phone::new();
    let ids: Vec<_> = (0..20).map(|_| phone.declare(&[])).collect();
    phone.department.state.lock().unwrap().most_records = 3;
    assert_eq!(phone.sync().await.received, 20);
    assert!(ids.iter().all(|id| phone.held(*id) == 1));

    phone.declare(&[]);
    phone.department.state.lock().unwrap().most_records = 0;
    let report = phone.sync().await;
    assert_eq!(
        (report.failure, report.quarantined[0].code.as_str()),
        (None, "record_too_large")
    );
}

#[tokio::test]
async fn an_upload_goes_on_where_it_stopped() {
    let mut phone = Phone::new();
    let bytes = vec![7; 3 << 20];
    let file = phone.spool(&bytes);
    let id = phone.declare(&[file]);
    // HEAD and the first piece pass; the second piece is lost.
    phone.department.state.lock().unwrap().trouble_at = Some((3, Trouble::CutBefore));
    assert_eq!(code(&phone.sync().await), Some(Code::Unreachable));
    assert_eq!(
        phone.department.state.lock().unwrap().files[&file.sha256].len(),
        1 << 20
    );
    let before = phone.department.state.lock().unwrap().requests.len();
    let report = phone.sync().await;
    assert_eq!(
        (report.received, report.delivered_files),
        (1, vec![file.sha256])
    );
    assert_eq!(phone.held(id), 1);
    let requests = phone
        .department
        .state
        .lock()
        .unwrap()
        .requests
        .split_off(before);
    let pieces = requests
        .iter()
        .filter(|(method, _)| *method == crate::ports::Method::Put)
        .count();
    assert_eq!(pieces, 2, "the first of three is not sent again");
}

#[tokio::test]
async fn a_record_whose_file_is_gone_is_set_aside_and_the_rest_go_on() {
    let mut phone = Phone::new();
    let file = phone.spool(b"a photograph");
    let (lost, next) = (phone.declare(&[file]), phone.declare(&[]));
    phone.home.remove_spooled(&file.sha256).unwrap();
    let report = phone.sync().await;
    assert_eq!((report.failure, report.received), (None, 1));
    assert_eq!(
        phone.quarantined(),
        [(lost, "attachment_unreadable".to_owned())]
    );
    assert_eq!(phone.held(next), 1);
}

#[tokio::test]
async fn a_sync_without_time_left_begins_nothing_and_comes_back_soon() {
    let mut phone = Phone::new();
    phone.declare(&[]);
    phone.deadline = Some(phone.clock.now());
    let report = phone.sync().await;
    assert_eq!((report.failure, report.received), (None, 0));
    assert!(phone.department.state.lock().unwrap().requests.is_empty());
    assert!(
        report
            .next_attempt
            .duration_since(phone.clock.now())
            .as_secs()
            <= 600
    );
}

#[tokio::test]
async fn a_sync_that_is_cut_short_and_went_well_ends_the_failing() {
    let mut phone = Phone::new();
    phone.heartbeat();
    phone.declare(&[]);
    phone.department.trouble(
        "/v1/posture",
        Trouble::Fails(TransportError::Unreachable("a tunnel".into())),
    );
    phone.sync().await;
    assert!(phone.state().failing_since.is_some());
    let (now, clock) = (phone.clock.now(), phone.clock.clone());
    phone.deadline = Some(now + jiff::SignedDuration::from_secs(1));
    phone.department.trouble(
        "/v1/posture",
        Trouble::Lies(Box::new(move |_| {
            *clock.0.lock().unwrap() += jiff::SignedDuration::from_secs(2);
        })),
    );
    let report = phone.sync().await;
    assert_eq!((report.failure, report.received), (None, 1));
    assert_eq!(phone.waiting(), 1, "it was cut short");
    let state = phone.state();
    assert_eq!((state.failures, state.failing_since), (0, None));
}

#[tokio::test]
async fn what_is_made_during_a_sync_does_not_wait_for_the_next_scheduled_one() {
    let mut phone = Phone::new();
    phone.declare(&[]);
    let (outbox, late) = (Arc::clone(&phone.outbox), phone.new_heartbeat());
    // The posture stream has been emptied by the time the records are answered.
    phone.department.trouble(
        "/v1/records",
        Trouble::Lies(Box::new(move |_| {
            outbox.lock().unwrap().append(&late, &[]).unwrap();
        })),
    );
    let report = phone.sync().await;
    assert_eq!(
        (report.failure, report.received, phone.waiting()),
        (None, 1, 1)
    );
    let wait = report.next_attempt.duration_since(phone.clock.now());
    assert!((0..=600).contains(&wait.as_secs()), "{wait}");
    assert_eq!(phone.state().next_attempt, Some(report.next_attempt));
}
