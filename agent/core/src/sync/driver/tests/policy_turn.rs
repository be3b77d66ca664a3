//! When a sync asks for the policy: never without need, and in no sync not at all.

use super::*;
use crate::ports::Method;

/// A phone that has the policy in force, whose next requests alone count.
async fn phone_with_policy() -> Phone {
    let mut phone = Phone::new();
    assert_eq!(phone.sync().await.failure, None);
    requests(&phone);
    phone
}

/// Paths of the requests since this was last asked, without those of files but for their method.
fn requests(phone: &Phone) -> Vec<String> {
    let requests = std::mem::take(&mut phone.department.state.lock().unwrap().requests);
    let name = |(method, path): (Method, String)| match method {
        Method::Head => "ask for a file".to_owned(),
        Method::Put => "a piece".to_owned(),
        _ => path,
    };
    requests.into_iter().map(name).collect()
}

#[tokio::test]
async fn a_policy_that_the_reply_names_is_not_asked_for() {
    let mut phone = phone_with_policy().await;
    phone.heartbeat();
    let report = phone.sync().await;
    assert_eq!((report.received, report.failure), (1, None));
    assert!(matches!(report.policy, PolicyOutcome::Unchanged));
    assert_eq!(requests(&phone), ["/v1/posture"]);
}

#[tokio::test]
async fn a_newer_policy_is_fetched_in_the_sync_whose_first_reply_names_it() {
    let mut phone = phone_with_policy().await;
    phone.issue_policy(2, |_| {});
    phone.heartbeat();
    phone.declare(&[]);
    let report = phone.sync().await;
    assert_eq!((report.received, report.failure), (2, None));
    assert!(
        matches!(report.policy, PolicyOutcome::Updated(policy) if policy.policy().version == 2)
    );
    assert_eq!(
        requests(&phone),
        ["/v1/posture", "/v1/policy", "/v1/records"]
    );
}

#[tokio::test]
async fn a_server_that_names_no_policy_is_asked() {
    let mut phone = phone_with_policy().await;
    phone.department.state.lock().unwrap().names_policy = false;
    phone.heartbeat();
    let report = phone.sync().await;
    assert!(matches!(report.policy, PolicyOutcome::Unchanged));
    assert_eq!(requests(&phone), ["/v1/posture", "/v1/policy"]);
}

#[tokio::test]
async fn a_large_file_does_not_put_the_policy_off() {
    let mut phone = phone_with_policy().await;
    let file = phone.spool(b"a photograph");
    phone.declare(&[file]);
    assert_eq!(phone.sync().await.received, 1);
    assert_eq!(
        requests(&phone),
        ["/v1/policy", "ask for a file", "a piece", "/v1/records"]
    );
}

#[tokio::test]
async fn records_that_fare_badly_do_not_keep_a_newer_policy_away() {
    let lie = || Trouble::Lies(Box::new(|reply| reply.results.clear()));
    let unread = || Trouble::Answers(problem(Code::BadRequest, &[]));
    let budget = || Trouble::Answers(problem(Code::BudgetSpent, &[]));
    for trouble in [lie(), unread(), budget()] {
        let mut phone = phone_with_policy().await;
        phone.issue_policy(2, |_| {});
        phone.heartbeat();
        phone.department.trouble("/v1/posture", trouble);
        let report = phone.sync().await;
        assert!(report.failure.is_some());
        assert!(matches!(report.policy, PolicyOutcome::Updated(_)));
        assert_eq!(phone.state().failures, 1);
    }
    // A server that cannot be reached, or asks to be left alone, is not asked for more.
    let cut = Trouble::CutBefore;
    let busy = Trouble::Answers(problem(Code::Unavailable, &[]));
    for trouble in [cut, busy] {
        let mut phone = phone_with_policy().await;
        phone.heartbeat();
        phone.department.trouble("/v1/posture", trouble);
        assert!(phone.sync().await.failure.is_some());
        assert_eq!(requests(&phone), ["/v1/posture"]);
    }
}
