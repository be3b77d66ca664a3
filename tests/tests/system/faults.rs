//! Networks and clocks that let one down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candour_core::Agent;
use candour_core::agent::{Finding, RecordState};
use candour_core::ports::{Connector, Endpoint, Platform, Transport, TransportError};
use candour_tests::department::now;
use candour_tests::handset::{config_through, declare};
use candour_tests::interceptor::{Answer, Asked, Fate};
use candour_tests::pki::Authority;
use candour_tests::torture::phone_check::Findings;
use candour_tests::{Department, Handset, Interceptor};
use candour_wire::api::{BatchReply, RecordResult};
use candour_wire::code::Refusal;
use candour_wire::{Code, Sensitive};
use http::{HeaderValue, StatusCode};
use jiff::SignedDuration;

use crate::department;

/// Syncs once through an interceptor that answers or cuts every request for which `fate` says
/// so, and then directly: nothing may be lost.
async fn survives(
    department: &Department,
    code: Code,
    fate: impl Fn(&Asked) -> Fate + Send + Sync + 'static,
) {
    let handset = Handset::enrolled(department).await;
    {
        let interceptor = Interceptor::start(department, handset.tls(department), fate).await;
        let agent = handset.open(config_through(department, &interceptor));
        declare(&agent, "whatever happens");
        let report = agent.sync().await.unwrap();
        assert_eq!(
            report.failure.as_ref().map(|failure| failure.code),
            Some(code),
            "{report:?}"
        );
        assert_eq!(report.received, 0);
        let sent = agent.sent().unwrap();
        assert!(
            sent.iter().all(|item| item.state == RecordState::Queued),
            "condemned: {sent:?}"
        );
        let status = agent.status().unwrap();
        assert_eq!(status.last_failure.unwrap().code, code.as_str());
        assert!(report.next_attempt > now(), "not at once");
    }
    let agent = handset.open(department.config());
    let report = agent.sync().await.unwrap();
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(report.received, 1);
    assert_eq!(agent.status().unwrap().last_failure, None);
}

fn posts_records(asked: &Asked) -> bool {
    asked.path == "/v1/records"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_cuts_loses_or_garbles_leaves_every_record_waiting() {
    let department = department();
    let page = || {
        Answer::new(
            StatusCode::OK,
            "text/html",
            "<html>Welcome to the hotel's network</html>",
        )
    };
    survives(&department, Code::Unreachable, |asked| {
        if posts_records(asked) {
            Fate::Cut
        } else {
            Fate::Pass
        }
    })
    .await;
    survives(&department, Code::BadReply, move |asked| {
        if posts_records(asked) {
            Fate::Answer(page())
        } else {
            Fate::Pass
        }
    })
    .await;
    survives(&department, Code::BadReply, |asked| {
        if !posts_records(asked) {
            return Fate::Pass;
        }
        // The reply breaks off in the middle of its JSON.
        Fate::Alter(Box::new(|answer| {
            let half = answer.body.len() / 2;
            Answer {
                body: answer.body.slice(..half),
                ..answer
            }
        }))
    })
    .await;
    survives(&department, Code::Unavailable, |asked| {
        if posts_records(asked) {
            Fate::Answer(Answer::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "text/plain",
                "down for maintenance",
            ))
        } else {
            Fate::Pass
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_to_be_left_alone_is_left_alone_for_as_long_as_it_says() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    let rule = |asked: &Asked| {
        if !posts_records(asked) {
            return Fate::Pass;
        }
        let problem =
            serde_json::to_vec(&candour_wire::Problem::new(Code::TooManyRequests)).unwrap();
        let mut answer = Answer::new(
            StatusCode::TOO_MANY_REQUESTS,
            "application/problem+json",
            problem,
        );
        answer
            .headers
            .insert("retry-after", HeaderValue::from_static("3600"));
        Fate::Answer(answer)
    };
    let interceptor = Interceptor::start(&department, handset.tls(&department), rule).await;
    let agent = handset.open(config_through(&department, &interceptor));
    declare(&agent, "later then");
    let report = agent.sync().await.unwrap();
    assert_eq!(report.failure.unwrap().code, Code::TooManyRequests);
    let wait = report.next_attempt.duration_since(now());
    assert!(wait >= SignedDuration::from_secs(3_590), "{wait:?}");
    assert!(
        agent.tick(None).await.unwrap().sync.is_none(),
        "nothing goes out before that by itself"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_loses_nothing() {
    let mut department = department();
    let handset = Handset::enrolled(&department).await;
    let agent = handset.open(department.config());
    assert_eq!(department.stop().code(), Some(0));
    declare(&agent, "into the void");
    let report = agent.sync().await.unwrap();
    assert_eq!(report.failure.unwrap().code, Code::Unreachable);
    drop(agent);
    department.restart();
    let agent = handset.open(department.config());
    assert_eq!(agent.sync().await.unwrap().received, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_server_or_one_whose_certificate_has_expired_gets_nothing() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    let asked = Arc::new(AtomicBool::new(false));
    let cases = [
        (
            Authority::foreign("HM Treasury Candour CA", now()).issue_server((-48, 24), now()),
            Code::ServerNotTrusted,
        ),
        (
            department
                .authority()
                .issue_server((-24 * 400, -24 * 300), now()),
            Code::ServerCertificateExpired,
        ),
    ];
    for (certificate, code) in cases {
        let seen = Arc::clone(&asked);
        let rule = move |_: &Asked| {
            seen.store(true, Ordering::SeqCst);
            Fate::Pass
        };
        let to = department.handset_address();
        let interceptor =
            Interceptor::start_as(&certificate, to, handset.tls(&department), rule).await;
        let agent = handset.open(config_through(&department, &interceptor));
        declare(&agent, "not for you");
        let report = agent.sync().await.unwrap();
        assert_eq!(
            report.failure.as_ref().map(|failure| failure.code),
            Some(code),
            "{report:?}"
        );
        assert!(!asked.load(Ordering::SeqCst), "not a byte of a request");
        assert!(
            agent
                .status()
                .unwrap()
                .problems
                .iter()
                .any(|problem| problem.code == code.as_str())
        );
    }
}

/// A connector as one would first write it: what the handset's clock says is the time.
struct ByItsOwnClock(Platform);

impl Connector for ByItsOwnClock {
    fn connect(&self, endpoint: &Endpoint) -> Result<Arc<dyn Transport>, TransportError> {
        let mut endpoint = endpoint.clone();
        endpoint.not_before = self.0.clock.now();
        self.0.connector.connect(&endpoint)
    }
}

/// What is wrong with a handset whose clock is: the product, or one that is broken on purpose, in
/// that it goes by its own clock.
async fn wrong_clock(department: &Department, years: i64, broken: bool) -> Findings {
    let handset = Handset::new();
    handset.set_clock_wrong_by(SignedDuration::from_hours(24 * 365 * years));
    let mut platform = handset.platform().unwrap();
    if broken {
        platform.connector = Arc::new(ByItsOwnClock(platform.clone()));
    }
    let agent = Agent::open(department.config(), platform).unwrap();
    if let Err(error) = agent.enrol(Sensitive::new(department.token())).await {
        return vec![format!("it does not enrol: {error:?}")];
    }
    let mut wrong = Findings::new();
    let syncs = async |when: &str, is_wrong: bool| {
        let report = agent.sync().await.unwrap();
        let right = report.failure.is_none() && report.received == 1;
        let right = right && report.clock_wrong == is_wrong;
        (!right).then(|| format!("{when}: {report:?}"))
    };
    agent.scan().unwrap();
    wrong.extend(syncs("at first", true).await);
    // From the department's signed time on the agent knows better than its clock.
    declare(&agent, "at some time");
    wrong.extend(syncs("after that", true).await);
    let problems = agent.status().unwrap().problems;
    if !problems.iter().any(|problem| problem.code == "clock_wrong") {
        wrong.push(format!("it does not tell: {problems:?}"));
    }
    let checked = agent.verify(None).unwrap();
    if !checked.iter().all(|one| one.finding == Finding::Verified) {
        wrong.push(format!("{checked:?}"));
    }

    handset.set_clock_wrong_by(SignedDuration::ZERO);
    declare(&agent, "the clock is set");
    wrong.extend(syncs("once the clock is set", false).await);
    let problems = agent.status().unwrap().problems;
    if !problems.is_empty() {
        wrong.push(format!("once the clock is set: {problems:?}"));
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_blocks_neither_enrolment_nor_sync_and_is_told() {
    let department = department();
    for years in [-10, 10] {
        let wrong = wrong_clock(&department, years, false).await;
        assert_eq!(wrong, [""; 0], "{years}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_goes_by_a_wrong_clock_is_noticed() {
    let wrong = wrong_clock(&department(), 10, true).await;
    assert!(wrong[0].starts_with("it does not enrol"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_record_is_set_aside_and_shown_while_the_rest_go_on() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    {
        // Something for the log, so that there is a checkpoint to answer with.
        let agent = handset.open(department.config());
        declare(&agent, "before");
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
        if !posts_records(asked) || refused_once.swap(true, Ordering::SeqCst) {
            return Fate::Pass;
        }
        // As a server does that dislikes the first: the rest then follow a gap.
        let mut results = vec![RecordResult::Refusal(Refusal::new(Code::SealRefused))];
        let gaps = asked.batch().records.len() - 1;
        results.extend((0..gaps).map(|_| RecordResult::Refusal(Refusal::new(Code::SequenceGap))));
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
    let bad = declare(&agent, "disliked");
    let good = [declare(&agent, "fine"), declare(&agent, "fine as well")];
    let report = agent.sync().await.unwrap();
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(report.received, 2);
    assert_eq!(
        report
            .quarantined
            .iter()
            .map(|refused| refused.id)
            .collect::<Vec<_>>(),
        [bad]
    );
    let state = |id| {
        agent
            .sent()
            .unwrap()
            .into_iter()
            .find(|item| item.id == id)
            .unwrap()
    };
    assert_eq!(state(bad).state, RecordState::Quarantined);
    assert_eq!(state(bad).refused.unwrap().code, "seal_refused");
    assert!(
        good.into_iter()
            .all(|id| state(id).state == RecordState::Received)
    );

    // Once whatever was wrong is mended, it goes as any other.
    agent.requeue(bad).unwrap();
    assert_eq!(agent.sync().await.unwrap().received, 1);
    assert_eq!(state(bad).state, RecordState::Received);
    assert_eq!(department.checkpoint().await.size, 4);
}
