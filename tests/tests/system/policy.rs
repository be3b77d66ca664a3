//! Policies: only newer ones, only the department's, only in time.

use std::sync::{Arc, Mutex};

use candour_core::sync::PolicyOutcome;
use candour_tests::handset::{config_through, declare};
use candour_tests::interceptor::{Answer, Asked, Fate};
use candour_tests::{Department, Handset, Interceptor, RawHandset, wait};
use candour_wire::api::BatchReply;
use candour_wire::policy::Policy;
use candour_wire::record::Stream;
use candour_wire::{Code, Digest};
use http::{Request, StatusCode};
use jiff::SignedDuration;

use crate::department;

/// Issues the policy in force again with the next version, changed by `change`.
fn issue(department: &Department, change: impl FnOnce(&mut Policy)) -> Policy {
    let shown = department.command(&["policy", "show"]).succeeded().stdout;
    let mut policy: Policy = serde_json::from_str(&shown).unwrap();
    policy.version += 1;
    change(&mut policy);
    let file = department.scratch().join("policy.json");
    std::fs::write(&file, serde_json::to_string(&policy).unwrap()).unwrap();
    let _ = department
        .command(&["policy", "issue", file.to_str().unwrap()])
        .succeeded();
    policy
}

/// Waits until the running server has taken over that version.
async fn in_force(department: &Department, handset: &RawHandset, version: u64) {
    let mut connection = handset.connect(department).await;
    loop_until(&mut connection, department, version).await;
}

async fn loop_until(
    connection: &mut candour_tests::Connection,
    department: &Department,
    version: u64,
) {
    let connection = tokio::sync::Mutex::new(connection);
    wait::until("the server takes the policy over", || async {
        let policy = connection.lock().await.policy(department).await;
        (policy.version == version).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_issued_reaches_handsets_without_a_restart_and_only_once() {
    let department = department();
    let raw = RawHandset::enrol(&department).await;
    let handset = Handset::enrolled(&department).await;
    let policy = issue(&department, |policy| {
        policy.wording.purpose = "Another purpose".into()
    });
    in_force(&department, &raw, policy.version).await;

    let agent = handset.open(department.config());
    let report = agent.sync().await.unwrap();
    assert!(
        matches!(report.policy, PolicyOutcome::Updated(_)),
        "{:?}",
        report.policy
    );
    assert_eq!(agent.policy().unwrap().wording.purpose, "Another purpose");
    let report = agent.sync().await.unwrap();
    assert!(
        matches!(report.policy, PolicyOutcome::Unchanged),
        "{:?}",
        report.policy
    );

    let mut connection = raw.connect(&department).await;
    let first = connection.get("/v1/policy").await.unwrap();
    let tag = first.header("etag").unwrap().to_owned();
    let again = Request::get("/v1/policy").header("if-none-match", tag);
    let again = connection.send(again, "").await.unwrap();
    assert_eq!(
        (again.status, again.body.len()),
        (StatusCode::NOT_MODIFIED, 0)
    );
    let key = connection.policy(&department).await.records_key;
    let record = raw.declaration(&raw.genesis(Stream::Records), &key, "names the policy");
    let named = connection.deliver(&[record]).await.policy.unwrap();
    assert_eq!(first.header("etag"), Some(format!("\"{named}\"").as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_refuses_to_issue_a_policy_that_does_not_go_up_or_breaks_a_rule() {
    let department = department();
    let shown = department.command(&["policy", "show"]).succeeded().stdout;
    let policy: Policy = serde_json::from_str(&shown).unwrap();
    let changes: [fn(&mut Policy); 4] = [
        |_| {},
        |policy| {
            policy.version += 1;
            policy.markings[0].id = "secret".into();
        },
        |policy| {
            policy.version += 1;
            policy.schedule.sync_spread_s = 1;
        },
        |policy| {
            policy.version += 1;
            policy.expires = policy.issued;
        },
    ];
    for change in changes {
        let mut changed = policy.clone();
        change(&mut changed);
        let file = department.scratch().join("policy.json");
        std::fs::write(&file, serde_json::to_string(&changed).unwrap()).unwrap();
        let outcome = department.command(&["policy", "issue", file.to_str().unwrap()]);
        assert!(!outcome.status.success(), "{outcome:?}");
    }
    assert_eq!(
        department.command(&["policy", "show"]).succeeded().stdout,
        shown
    );
}

/// Serves and names whatever bundle is put into it in place of the server's.
struct Served {
    department: Department,
    handset: Handset,
    bundle: Arc<Mutex<String>>,
    interceptor: Interceptor,
}

impl Served {
    async fn set_up() -> Self {
        let department = department();
        let handset = Handset::enrolled(&department).await;
        let bundle = Arc::new(Mutex::new(String::new()));
        let served = Arc::clone(&bundle);
        let rule = move |asked: &Asked| match asked.path.as_str() {
            "/v1/policy" => {
                let bundle = served.lock().unwrap().clone();
                Fate::Answer(Answer::new(StatusCode::OK, "application/jose", bundle))
            }
            "/v1/posture" | "/v1/records" => {
                let named = Digest::of(served.lock().unwrap().as_bytes());
                Fate::Alter(Box::new(move |mut answer| {
                    let mut reply: BatchReply = serde_json::from_slice(&answer.body).unwrap();
                    reply.policy = Some(named);
                    answer.body = serde_json::to_vec(&reply).unwrap().into();
                    answer
                }))
            }
            _ => Fate::Pass,
        };
        let interceptor = Interceptor::start(&department, handset.tls(&department), rule).await;
        Self {
            department,
            handset,
            bundle,
            interceptor,
        }
    }

    /// Version 1 with changes, signed by the policy key.
    fn sign(&self, change: impl FnOnce(&mut Policy)) -> String {
        let shown = self
            .department
            .command(&["policy", "show"])
            .succeeded()
            .stdout;
        let mut policy = serde_json::from_str(&shown).unwrap();
        change(&mut policy);
        self.department.sign_policy(&policy)
    }

    async fn sync(&self, bundle: String) -> (PolicyOutcome, u64) {
        *self.bundle.lock().unwrap() = bundle;
        let agent = self
            .handset
            .open(config_through(&self.department, &self.interceptor));
        declare(&agent, "goes on all the same");
        let report = agent.sync().await.unwrap();
        assert!(
            report.failure.is_none(),
            "the rest of the sync goes on: {report:?}"
        );
        assert_eq!(report.received, 1);
        (report.policy, agent.policy().unwrap().version)
    }

    async fn refuses(&self, bundle: String, code: Code, in_force: u64) {
        let (outcome, version) = self.sync(bundle).await;
        let PolicyOutcome::Kept(failure) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(failure.code, code);
        assert_eq!(version, in_force);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_policy_is_refused_and_the_one_in_force_stays() {
    let served = Served::set_up().await;
    let first = served.sign(|_| {});
    let third = served.sign(|policy| policy.version = 3);
    let (outcome, version) = served.sync(third.clone()).await;
    assert!(matches!(outcome, PolicyOutcome::Updated(_)), "{outcome:?}");
    assert_eq!(version, 3);

    served.refuses(first, Code::PolicyRolledBack, 3).await;
    let second = served.sign(|policy| policy.version = 2);
    served.refuses(second, Code::PolicyRolledBack, 3).await;
    // The same version with other words is a roll-back in disguise.
    let other_third = served.sign(|policy| {
        policy.version = 3;
        policy.wording.purpose = "Other words".into();
    });
    served.refuses(other_third, Code::PolicyRolledBack, 3).await;
    let (outcome, version) = served.sync(third).await;
    assert!(matches!(outcome, PolicyOutcome::Unchanged), "{outcome:?}");
    assert_eq!(version, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_policy_is_refused_even_where_the_handsets_clock_is_slow() {
    let served = Served::set_up().await;
    let now = candour_tests::department::now();
    let expired = served.sign(|policy| {
        policy.version = 2;
        policy.issued = now - SignedDuration::from_hours(48);
        policy.expires = now - SignedDuration::from_hours(1);
    });
    served
        .refuses(expired.clone(), Code::PolicyExpired, 1)
        .await;
    // The department has signed the log's time since, so this handset knows better than its clock.
    served
        .handset
        .set_clock_wrong_by(SignedDuration::from_hours(-24));
    served.refuses(expired, Code::PolicyExpired, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_of_another_key_department_or_shape_is_refused() {
    let served = Served::set_up().await;
    let good = served.sign(|policy| policy.version = 2);
    let other = department();
    let by_another_key = other.sign_policy(&{
        let shown = served
            .department
            .command(&["policy", "show"])
            .succeeded()
            .stdout;
        let mut policy: Policy = serde_json::from_str(&shown).unwrap();
        policy.version = 2;
        policy
    });
    let of_another = served.sign(|policy| {
        policy.version = 2;
        policy.department = "cabinet-office".parse().unwrap();
    });
    let marked_secret = served.sign(|policy| {
        policy.version = 2;
        policy.markings[0].id = "top-secret".into();
    });
    let cut = good[..good.len() - 10].to_owned();
    for bundle in [
        by_another_key,
        of_another,
        marked_secret,
        cut,
        String::new(),
        "<html>".into(),
    ] {
        served.refuses(bundle, Code::PolicyInvalid, 1).await;
    }
    let (outcome, version) = served.sync(good).await;
    assert!(matches!(outcome, PolicyOutcome::Updated(_)), "{outcome:?}");
    assert_eq!(version, 2);
}
