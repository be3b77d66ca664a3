//! Proxies, shutdowns, and doing two things at once.

use std::sync::{Arc, Mutex, mpsc};

use candour_core::Config;
use candour_core::agent::Finding;
use candour_tests::client::connect_tls;
use candour_tests::handset::{config_through, declare};
use candour_tests::interceptor::{Answer, Asked, Fate};
use candour_tests::program::Process;
use candour_tests::raw::batch;
use candour_tests::{AgentCli, Handset, Interceptor, Proxy, RawHandset, wait};
use candour_wire::limits::{BATCH_MAX_RECORDS, REPLY_MAX_BYTES};
use candour_wire::record::Stream;
use candour_wire::{Code, Sensitive};
use http::StatusCode;
use jiff::SignedDuration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::department;

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_goes_through_a_web_proxy_and_tells_when_it_refuses() {
    let department = department();
    let config = |proxy: &Proxy| {
        let mut settings = department.settings();
        settings.insert("proxy".into(), proxy.url().into());
        Config::from_object(&settings).unwrap()
    };
    let handset = Handset::new();
    let (open, shut) = (Proxy::start(true).await, Proxy::start(false).await);
    {
        let agent = handset.open(config(&open));
        agent
            .enrol(Sensitive::new(department.token()))
            .await
            .unwrap();
        declare(&agent, "through the wall");
        assert_eq!(agent.sync().await.unwrap().received, 1);
        assert!(open.tunnels() >= 2, "enrolment and sync both went through");
    }
    let agent = handset.open(config(&shut));
    declare(&agent, "against the wall");
    let report = agent.sync().await.unwrap();
    assert_eq!(report.failure.unwrap().code, Code::ProxyFailed);
    assert_eq!(report.received, 0);
    assert_eq!(shut.tunnels(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_asked_to_stop_finishes_the_request_that_it_has_begun_to_take() {
    let mut department = department();
    let handset = RawHandset::enrol(&department).await;
    let key = handset
        .connect(&department)
        .await
        .policy(&department)
        .await
        .records_key;
    let records = handset.declarations(handset.genesis(Stream::Records), &key, 3);
    let body = batch(&records);
    let address = department.handset_address();
    let mut stream = connect_tls(address, handset.tls(&department))
        .await
        .unwrap();
    let head = format!(
        "POST /v1/records HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body, so it has taken the request.
    let mut go_on = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    wait::within("100 Continue", stream.read_exact(&mut go_on))
        .await
        .unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"));

    department.process().ask_to_stop();
    wait::until("the door is shut", || async {
        TcpStream::connect(address).await.err()
    })
    .await;
    stream.write_all(&body).await.unwrap();
    let mut reply = Vec::new();
    let ended = wait::within("the reply", stream.read_to_end(&mut reply)).await;
    assert!(
        reply.starts_with(b"HTTP/1.1 200"),
        "{ended:?} {} {}",
        String::from_utf8_lossy(&reply),
        department.process().log()
    );
    assert_eq!(department.stop().code(), Some(0));
    department.restart();
    assert_eq!(department.checkpoint().await.size, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_second_sync_is_told_that_one_is_under_way_and_the_holder_can_declare_meanwhile() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    let (entered, has_entered) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let may_go = Arc::new(Mutex::new(may_go));
    let rule = move |asked: &Asked| {
        if asked.path != "/v1/records" {
            return Fate::Pass;
        }
        let (entered, may_go) = (entered.clone(), Arc::clone(&may_go));
        Fate::Alter(Box::new(move |answer| {
            // Later batches find that nobody waits any more.
            let _ = entered.send(());
            let _ = may_go.lock().unwrap().recv();
            answer
        }))
    };
    let interceptor = Interceptor::start(&department, handset.tls(&department), rule).await;
    let agent = Arc::new(handset.open(config_through(&department, &interceptor)));
    declare(&agent, "first");
    let first = tokio::spawn({
        let agent = Arc::clone(&agent);
        async move { agent.sync().await }
    });
    tokio::task::spawn_blocking(move || has_entered.recv_timeout(wait::DEADLINE).unwrap())
        .await
        .unwrap();
    let busy = agent.sync().await.unwrap_err();
    assert_eq!(busy.code(), Code::StoreBusy);
    declare(&agent, "meanwhile");
    drop(go);
    let report = first.await.unwrap().unwrap();
    assert!(report.failure.is_none(), "{report:?}");
    assert!(agent.sync().await.unwrap().failure.is_none());
    assert_eq!(department.checkpoint().await.size, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_never_ends_or_leaves_a_record_out_settles_nothing() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    let long = vec![b' '; 2 * REPLY_MAX_BYTES];
    let answers: [Box<dyn Fn(Answer) -> Answer + Send + Sync>; 2] = [
        Box::new(move |answer| Answer {
            body: long.clone().into(),
            ..answer
        }),
        Box::new(|answer| {
            answer.with_json(|reply| {
                reply["results"].as_array_mut().unwrap().pop();
            })
        }),
    ];
    for alter in answers {
        let alter = Arc::new(alter);
        let rule = move |asked: &Asked| {
            let alter = Arc::clone(&alter);
            if asked.path == "/v1/records" {
                Fate::Alter(Box::new(move |answer| alter(answer)))
            } else {
                Fate::Pass
            }
        };
        let interceptor = Interceptor::start(&department, handset.tls(&department), rule).await;
        let agent = handset.open(config_through(&department, &interceptor));
        declare(&agent, "one of several");
        let report = agent.sync().await.unwrap();
        assert_eq!(
            report.failure.as_ref().map(|failure| failure.code),
            Some(Code::BadReply),
            "{report:?}"
        );
        assert_eq!(report.received, 0);
    }
    let agent = handset.open(department.config());
    assert_eq!(agent.sync().await.unwrap().received, 2);
    assert_eq!(department.checkpoint().await.size, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_servers_additions_and_unknown_refusals_condemn_nothing() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    let answers: [fn(Answer) -> Answer; 2] = [
        |answer| {
            answer.with_json(|reply| {
                reply["results"][0] =
                    serde_json::json!({ "refusal": { "code": "of_the_next_version" } });
            })
        },
        |answer| Answer {
            status: StatusCode::IM_A_TEAPOT,
            ..answer
        },
    ];
    for alter in answers {
        let rule = move |asked: &Asked| {
            if asked.path == "/v1/records" {
                Fate::Alter(Box::new(alter))
            } else {
                Fate::Pass
            }
        };
        let interceptor = Interceptor::start(&department, handset.tls(&department), rule).await;
        let agent = handset.open(config_through(&department, &interceptor));
        declare(&agent, "ahead of its time");
        let report = agent.sync().await.unwrap();
        assert_eq!(
            (report.received, report.quarantined.len()),
            (0, 0),
            "{report:?}"
        );
    }
    // A member that this version does not know is passed over.
    let rule = |asked: &Asked| {
        if asked.path != "/v1/records" {
            return Fate::Pass;
        }
        Fate::Alter(Box::new(|answer| {
            answer.with_json(|reply| reply["of_the_next_version"] = serde_json::json!([1, 2, 3]))
        }))
    };
    let interceptor = Interceptor::start(&department, handset.tls(&department), rule).await;
    let agent = handset.open(config_through(&department, &interceptor));
    assert_eq!(agent.sync().await.unwrap().received, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_that_stays_up_scans_lets_the_home_go_and_stops_when_asked() {
    let department = department();
    let cli = AgentCli::new(&department, "phone");
    cli.enrol(&department);
    let process = Process::start_silent(
        &mut cli.command(&["run"]),
        &department.scratch().join("run.log"),
    );
    wait::until("the scan is made and the home is free", || async {
        let status = cli.run(&["status"], "");
        let pending = status.status.success() && {
            let status = status.json();
            status["pending_posture"].as_u64() > Some(0) || !status["last_success"].is_null()
        };
        pending.then_some(())
    })
    .await;
    assert_eq!(process.stop().code(), Some(0), "{}", process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_longer_than_a_batch_goes_home_in_one_sync() {
    const BACKLOG: usize = BATCH_MAX_RECORDS * 2 + 10;
    let department = department();
    let handset = Handset::enrolled(&department).await;
    let agent = handset.open(department.config());
    for number in 0..BACKLOG {
        declare(&agent, &format!("number {number}"));
    }
    let report = agent.sync().await.unwrap();
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(report.received, BACKLOG as u64);
    let verified = agent.verify(None).unwrap();
    assert_eq!(verified.len(), BACKLOG);
    assert!(
        verified
            .iter()
            .all(|checked| checked.finding == Finding::Verified)
    );
    assert_eq!(department.checkpoint().await.size, BACKLOG as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn background_work_without_time_left_sends_nothing_and_comes_back_soon() {
    let department = department();
    let handset = Handset::enrolled(&department).await;
    let agent = handset.open(department.config());
    declare(&agent, "no time for it");
    // Later than the ten minutes over which phones spread what was just declared.
    handset.set_clock_wrong_by(SignedDuration::from_mins(15));
    let tick = agent.tick(Some(SignedDuration::ZERO)).await.unwrap();
    let report = tick.sync.expect("a sync was due");
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(report.received, 0);
    assert_eq!(agent.status().unwrap().pending_records, 1);
}
