mod department;
mod phone;

use std::time::Duration;

use candour_wire::api::{BatchReply, RecordResult};
use candour_wire::log::LeafSalt;
use jiff::SignedDuration;

use self::department::{Trouble, problem};
use self::phone::Phone;
use super::*;
use crate::ports::{Clock as _, Home as _, Response, TransportError};
use crate::testing;

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

fn code(report: &SyncReport) -> Option<Code> {
    report.failure.as_ref().map(|failure| failure.code)
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

    for failures in 2..6 {
        phone
            .department
            .trouble("/v1/policy", Trouble::Answers(problem(Code::Internal, &[])));
        let report = phone.sync().await;
        assert_eq!(phone.state().failures, failures);
        let bound = Duration::from_secs(30 << (failures - 1));
        assert!(
            report
                .next_attempt
                .duration_since(phone.clock.now())
                .unsigned_abs()
                <= bound
        );
    }
    assert_eq!(phone.sync().await.failure, None);
    let state = phone.state();
    assert_eq!(
        (state.failures, state.last_failure, state.last_success),
        (0, None, Some(phone.clock.now()))
    );
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
async fn a_policy_that_may_not_replace_the_one_in_force_is_refused_and_the_records_go_all_the_same()
{
    type Issue = fn(&mut Phone);
    let refused: [(Issue, Code); 5] = [
        (
            |phone| phone.issue_policy(4, |_| {}),
            Code::PolicyRolledBack,
        ),
        (
            |phone| phone.issue_policy(5, |policy| policy.deadlines.declare_within_days = 1),
            Code::PolicyRolledBack,
        ),
        (
            |phone| {
                phone.issue_policy(6, |policy| {
                    policy.expires = "2026-11-21T00:00:00Z".parse().unwrap()
                })
            },
            Code::PolicyExpired,
        ),
        (
            |phone| phone.issue_policy(6, |policy| policy.department = "other".parse().unwrap()),
            Code::PolicyInvalid,
        ),
        (
            |phone| {
                let foreign = testing::TestKey::generate().sign_policy(&testing::policy(6));
                phone.department.state.lock().unwrap().policy = Some(foreign);
            },
            Code::PolicyInvalid,
        ),
    ];
    for (issue, expected) in refused {
        let mut phone = Phone::new();
        phone.issue_policy(5, |_| {});
        phone.sync().await;
        let in_force = phone.home.read(Document::Policy).unwrap();
        issue(&mut phone);
        phone.declare(&[]);
        let report = phone.sync().await;
        assert!(
            matches!(&report.policy, PolicyOutcome::Kept(failure) if failure.code == expected),
            "{expected}"
        );
        assert_eq!((report.failure, report.received), (None, 1));
        assert_eq!(phone.state().policy_problem, Some(expected));
        assert_eq!(phone.home.read(Document::Policy).unwrap(), in_force);
    }
}

#[tokio::test]
async fn a_department_without_a_policy_still_gets_records() {
    let mut phone = Phone::new();
    phone.department.state.lock().unwrap().policy = None;
    phone.declare(&[]);
    let report = phone.sync().await;
    assert!(
        matches!(&report.policy, PolicyOutcome::Kept(failure) if failure.code == Code::PolicyMissing)
    );
    assert_eq!(report.received, 1);
}

#[tokio::test]
async fn a_clock_years_out_is_noticed_and_does_not_expire_the_policy() {
    let mut phone = Phone::new();
    phone.heartbeat();
    phone.advance(SignedDuration::from_hours(24 * 3650));
    // The first sync cannot know yet; it learns the time from the checkpoint.
    assert!(phone.sync().await.clock_wrong);
    let report = phone.sync().await;
    assert!(
        matches!(report.policy, PolicyOutcome::Updated(_)),
        "{report:?}"
    );
    assert!(phone.state().clock_wrong);

    phone.advance(SignedDuration::from_hours(-24 * 3650));
    phone.heartbeat();
    assert!(!phone.sync().await.clock_wrong);
    let far_ahead = phone.clock.now() - SignedDuration::from_hours(24 * 3650);
    assert!(
        phone.state().due(far_ahead, None),
        "a time set by a wrong clock is not waited for"
    );
}

#[tokio::test]
async fn a_certificate_that_is_due_is_renewed_on_the_way() {
    let mut phone = Phone::new();
    phone.identity.obtained = "2026-11-01T00:00:00Z".parse().unwrap();
    phone.identity.not_before = "2026-10-30T00:00:00Z".parse().unwrap();
    phone.identity.not_after = "2026-12-01T00:00:00Z".parse().unwrap();
    phone.advance(SignedDuration::from_hours(72));
    phone.declare(&[]);
    let report = phone.sync().await;
    let RenewalOutcome::Renewed(identity) = report.renewal else {
        panic!("{:?}", report.renewal)
    };
    assert_eq!(identity.handset, phone.identity.handset);
    assert_eq!(
        phone.home.read(Document::Identity).unwrap(),
        Some(identity.to_json())
    );
    assert_eq!(report.received, 1);

    // A server that refuses to renew is still sent records.
    *phone.department.est.instead.lock().unwrap() = Some(Ok(problem(Code::CsrInvalid, &[])));
    phone.declare(&[]);
    let report = phone.sync().await;
    assert!(
        matches!(&report.renewal, RenewalOutcome::Failed(failure) if failure.code == Code::CsrInvalid)
    );
    assert_eq!(
        (report.received, phone.state().renewal_problem),
        (1, Some(Code::CsrInvalid))
    );
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
    assert_eq!(phone.sync().await.received, 2);
    assert_eq!(phone.state().alarm, None);
}
