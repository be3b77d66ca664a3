//! Policy, certificate and clock.

use jiff::SignedDuration;

use super::department::{Trouble, problem};
use super::phone::Phone;
use super::*;
use crate::ports::{Clock as _, Home as _, TransportError};
use crate::testing;

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
async fn a_time_that_the_department_signed_years_ahead_is_not_taken_as_passed() {
    let mut phone = Phone::new();
    let honest = phone.department.state.lock().unwrap().time;
    phone.heartbeat();
    phone.sync().await;
    for ahead in ["2036-11-22T10:00:00Z", "9999-12-30T22:00:00Z"] {
        phone.department.state.lock().unwrap().time = ahead.parse().unwrap();
        phone.heartbeat();
        let report = phone.sync().await;
        assert_eq!(
            (report.failure, report.received, report.clock_wrong),
            (None, 1, false)
        );
        assert_eq!(phone.state().signed_time, Some(honest));
    }
    let later = honest + SignedDuration::from_hours(1);
    phone.department.state.lock().unwrap().time = later;
    phone.heartbeat();
    phone.sync().await;
    assert_eq!(phone.state().signed_time, Some(later));
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

    // A server that refuses to renew, or answers nonsense, is still sent records.
    let refusals = [
        (Ok(problem(Code::CsrInvalid, &[])), Code::CsrInvalid),
        (Err(TransportError::TooLarge(1 << 16)), Code::BadReply),
        (
            Err(TransportError::Malformed("its headers".into())),
            Code::BadReply,
        ),
    ];
    for (instead, expected) in refusals {
        *phone.department.est.instead.lock().unwrap() = Some(instead);
        phone.declare(&[]);
        let report = phone.sync().await;
        assert!(
            matches!(&report.renewal, RenewalOutcome::Failed(failure) if failure.code == expected)
        );
        assert_eq!(
            (report.received, phone.state().renewal_problem),
            (1, Some(expected))
        );
    }

    // One that cannot be reached is not tried with records either.
    let cut_off = TransportError::Unreachable("cut off".into());
    *phone.department.est.instead.lock().unwrap() = Some(Err(cut_off));
    phone.declare(&[]);
    let report = phone.sync().await;
    assert_eq!(
        (code(&report), report.received),
        (Some(Code::Unreachable), 0)
    );
}

#[tokio::test]
async fn a_policy_too_long_to_be_read_keeps_no_record_from_the_department() {
    let mut phone = Phone::new();
    phone.declare(&[]);
    for error in [
        TransportError::TooLarge(1 << 20),
        TransportError::Malformed("its headers".into()),
    ] {
        phone
            .department
            .trouble("/v1/policy", Trouble::Fails(error));
        phone.declare(&[]);
        let report = phone.sync().await;
        assert!(
            matches!(&report.policy, PolicyOutcome::Kept(failure) if failure.code == Code::BadReply)
        );
        assert_eq!((report.failure, phone.waiting()), (None, 0));
        assert_eq!(phone.state().policy_problem, Some(Code::BadReply));
    }
}
