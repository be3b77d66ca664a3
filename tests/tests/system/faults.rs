//! Networks, clocks and disks that let one down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candour_core::agent::{Finding, RecordState};
use candour_tests::cli::DECLARE;
use candour_tests::department::now;
use candour_tests::handset::{config_through, declare};
use candour_tests::interceptor::{Answer, Asked, Fate};
use candour_tests::pki::Authority;
use candour_tests::program::run;
use candour_tests::raw::batch;
use candour_tests::{AgentCli, Department, Handset, Interceptor, RawHandset, SmallDisk};
use candour_wire::api::{BatchReply, RecordResult};
use candour_wire::code::Refusal;
use candour_wire::record::Stream;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_blocks_neither_enrolment_nor_sync_and_is_told() {
    let department = department();
    for years in [-10, 10] {
        let handset = Handset::new();
        handset.set_clock_wrong_by(SignedDuration::from_hours(24 * 365 * years));
        let agent = handset.open(department.config());
        agent
            .enrol(Sensitive::new(department.token()))
            .await
            .unwrap();
        agent.scan().unwrap();
        let first = agent.sync().await.unwrap();
        assert!(first.failure.is_none(), "{first:?}");
        assert_eq!(first.received, 1);
        assert!(first.clock_wrong);
        // From the department's signed time on the agent knows better than its clock.
        declare(&agent, "at some time");
        let second = agent.sync().await.unwrap();
        assert!(second.failure.is_none(), "{second:?}");
        assert_eq!(second.received, 1);
        let problems = agent.status().unwrap().problems;
        assert!(
            problems.iter().any(|problem| problem.code == "clock_wrong"),
            "{problems:?}"
        );
        assert!(
            agent
                .verify(None)
                .unwrap()
                .iter()
                .all(|checked| checked.finding == Finding::Verified)
        );

        handset.set_clock_wrong_by(SignedDuration::ZERO);
        declare(&agent, "the clock is set");
        assert!(!agent.sync().await.unwrap().clock_wrong);
        assert_eq!(agent.status().unwrap().problems, []);
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_at_the_server_is_told_loses_nothing_and_passes() {
    let mut department = department();
    let raw = RawHandset::enrol(&department).await;
    let handset = Handset::enrolled(&department).await;
    let key = raw
        .connect(&department)
        .await
        .policy(&department)
        .await
        .records_key;
    assert_eq!(department.stop().code(), Some(0));
    let disk = SmallDisk::mount(&department.data(), 64 << 10);
    disk.take_in(&department.data());
    let mut serve = disk.inside(&department.serve_command());
    // A disk that is full all the same.
    serve.env("CANDOUR_SERVER_DISK_RESERVE_MIB", "0");
    department.restart_with(&mut serve);
    disk.fill_up_to(512);

    let mut connection = raw.connect(&department).await;
    let records = raw.declarations(raw.genesis(Stream::Records), &key, 16 * 60);
    let mut taken = 0;
    // What a large batch could not use of the journal is still there for a smaller one.
    for size in [60, 8, 1] {
        loop {
            let reply = connection
                .post(Stream::Records, batch(&records[taken..taken + size]))
                .await
                .unwrap();
            if reply.status != StatusCode::OK {
                assert_eq!(
                    (reply.status.as_u16(), reply.problem().as_str()),
                    (507, "storage_full")
                );
                break;
            }
            taken += size;
        }
    }
    assert_eq!(
        department.checkpoint().await.size,
        taken as u64,
        "reading goes on"
    );

    let agent = handset.open(department.config());
    declare(&agent, "no room for it");
    let report = agent.sync().await.unwrap();
    assert_eq!(
        report.failure.as_ref().map(|failure| failure.code),
        Some(Code::StorageFull),
        "{report:?}"
    );
    assert_eq!(agent.status().unwrap().pending_records, 1);

    // Room comes back, and the same process goes on.
    disk.free();
    let reply = connection.deliver(&records[taken..taken + 60]).await;
    assert_eq!(candour_tests::raw::receipts(&reply).len(), 60);
    let report = agent.sync().await.unwrap();
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(report.received, 1);
    assert_eq!(department.checkpoint().await.size, taken as u64 + 61);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_on_the_phone_refuses_visibly_and_keeps_what_was_declared() {
    let department = department();
    let cli = AgentCli::new(&department, "phone");
    cli.enrol(&department);
    let kept = cli.declare("while there was room");
    let disk = SmallDisk::mount(cli.home(), 32 << 10);
    disk.take_in(cli.home());
    disk.fill_up_to(0);
    let inside =
        |args: &[&str], input: &str| run(&mut disk.inside(&cli.command(args)), input.as_bytes());

    let long = "word ".repeat(10_000);
    let refused = inside(&DECLARE, &long);
    assert_eq!(refused.error_code(), "store_full", "{refused:?}");
    assert_eq!(refused.status.code(), Some(1));

    disk.free();
    let sent = inside(&["sent"], "").succeeded().json();
    assert_eq!(
        sent.as_array().unwrap().len(),
        1,
        "the one before, and not half of the other: {sent}"
    );
    let declared = inside(&DECLARE, &long).succeeded().json();
    let _ = inside(&["sync"], "").succeeded();
    let sent = inside(&["sent"], "").succeeded().json();
    let received: Vec<_> = sent
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["state"] == "received")
        .collect();
    assert_eq!(received.len(), 2, "{sent}");
    assert!(received.iter().any(|item| item["id"] == kept.as_str()));
    assert!(received.iter().any(|item| item["id"] == declared["record"]));
    assert_eq!(department.checkpoint().await.size, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_in_the_midst_of_a_write_refuses_visibly_and_keeps_what_was_declared() {
    let department = department();
    let cli = AgentCli::new(&department, "phone");
    cli.enrol(&department);
    let kept = cli.declare("while the disk was well");
    let long = "word ".repeat(10_000);
    // Writes beyond 64 KiB of any file fail, without a signal, as on a disk with a bad block.
    let declare = cli.command(&DECLARE);
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", r#"trap "" XFSZ; ulimit -f 128; exec "$@""#, "sh"]);
    limited.arg(declare.get_program()).args(declare.get_args());
    for name in declare
        .get_envs()
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| name)
    {
        limited.env_remove(name);
    }
    let refused = run(&mut limited, long.as_bytes());
    assert_eq!(refused.error_code(), "store_failed", "{refused:?}");

    let _ = cli.run(&["sync"], "").succeeded();
    let sent = cli.run(&["sent"], "").succeeded().json();
    assert_eq!(sent.as_array().unwrap().len(), 1, "{sent}");
    assert_eq!(
        (&sent[0]["id"], &sent[0]["state"]),
        (&kept.into(), &"received".into())
    );
}
